"""The docs against the code: whoever is paged finds the alarm, and every metric has a place where it is counted."""

import importlib
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.performance import cost

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
ALARMS = [name for name, one in TEMPLATE["Resources"].items() if one["Type"] == "AWS::CloudWatch::Alarm"]
CODE = "\n".join(
    path.read_text() for path in (ROOT / "layers" / "shared").rglob("*.py") if "observability" not in path.name
)
CODE += "\n".join(path.read_text() for path in (ROOT / "functions").rglob("*.py"))


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.relative_to(ROOT)} links to {target}"


DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PRINTED = sorted(
    {
        (found["name"], found["arguments"].strip())
        for document in DOCUMENTS
        for found in re.finditer(r"python -m commands\.(?P<name>\w+)(?P<arguments>[^`#|>\n]*)", document.read_text())
    }
)


class Reached(Exception):
    """The arguments were taken."""


@pytest.mark.parametrize(("name", "printed"), PRINTED)
def test_printed_commands_run_as_they_are_printed(name: str, printed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(_: object) -> None:
        raise Reached

    module = importlib.import_module(f"commands.{name}")
    monkeypatch.setattr(module, "target_of", reached)
    values = {"$SINCE": datetime.now(UTC).isoformat(timespec="seconds"), "$STACK": "whatsapp-prod"}
    arguments = [values.get(word, word) for word in shlex.split(printed)]
    with pytest.raises(Reached):
        module.main(arguments)


def test_printed_make_targets_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    printed = {
        name
        for document in DOCUMENTS
        for name in re.findall(r"(?:`|^ *(?:- run: )?)make ([a-z][a-z-]+)", document.read_text(), re.MULTILINE)
    }
    assert printed - targets == set()
    assert {"deploy", "doctor", "twilio-setup"} <= printed


def test_costs_are_those_of_the_counts() -> None:
    page = cost.PAGE.read_text()
    assert cost.current(page) == page, "run: python -m tests.performance.cost"
    assert page.count("<!--") == 8
