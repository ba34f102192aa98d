"""The docs against the code: whoever is paged finds the alarm, and every metric has a place where it is counted."""

import importlib.util
import re
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from local.drills import __main__ as drills
from tests.performance import cost

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
ALARMS = [name for name, one in TEMPLATE["Resources"].items() if one["Type"] == "AWS::CloudWatch::Alarm"]
CODE = "\n".join(
    path.read_text() for path in (ROOT / "layers" / "shared").rglob("*.py") if "observability" not in path.name
)
CODE += "\n".join(path.read_text() for path in (ROOT / "functions").rglob("*.py"))


@pytest.mark.parametrize("name", drills.NAMES)
def test_every_drill_is_kept_as_played_and_named_by_the_runbooks_that_it_tells(name: str) -> None:
    played = (ROOT / "docs" / "drills" / f"{name}.md").read_text()
    assert played.startswith(f"# {importlib.import_module(f'local.drills.{name}').TITLE}\n")
    assert f"(drills/{name}.md)" in OPERATIONS
    told = re.findall(r'runbook\("([^"]+)"\)', (ROOT / "local" / "drills" / f"{name}.py").read_text())
    for section in told:
        assert re.search(rf"^##+ {section}$", OPERATIONS, re.MULTILINE), section
        assert f"  {section}:\n" in played, section


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.relative_to(ROOT)} links to {target}"


DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "events/README.md", "tests/simulation/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]
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


MAKE_COMMANDS = sorted(
    {
        " ".join(found["command"].split("#")[0].split())
        for document in DOCUMENTS
        for found in re.finditer(
            r"(?:`|^ *(?:- run: )?)(?P<command>make [a-z][a-z-]+(?: [A-Z]+=[^\s`]+)*)",
            document.read_text(),
            re.MULTILINE,
        )
    }
)
VARIABLES = set(re.findall(r"\$\((?:if \$\()?([A-Z]+)", (ROOT / "Makefile").read_text())) | set(
    re.findall(r"environ(?:\.get\(|\[)\"([A-Z]+)\"", (ROOT / "local" / "__main__.py").read_text())
)


@pytest.mark.parametrize("printed", MAKE_COMMANDS)
def test_printed_make_commands_are_taken_as_they_are_printed(printed: str) -> None:
    """By make, and what make would run of ours is there and takes the options. Nothing is run."""
    _, *words = shlex.split(printed)
    assert {word.partition("=")[0] for word in words[1:]} <= VARIABLES
    would = subprocess.run(["make", "--dry-run", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert would.returncode == 0, would.stderr
    for module, arguments in re.findall(
        r"^\S+python -m ((?:local|commands|tools|tests)\b\S*)(.*)$", would.stdout, re.MULTILINE
    ):
        assert_takes(module, arguments)


MODULE_COMMANDS = sorted(
    {
        (found["module"], found["arguments"].strip())
        for document in DOCUMENTS
        for found in re.finditer(
            r"python -m (?P<module>(?:local|tools|tests)\b[\w.]*\w)(?P<arguments>[^`#|>\n]*)", document.read_text()
        )
    }
)


@pytest.mark.parametrize(("module", "arguments"), MODULE_COMMANDS)
def test_printed_modules_are_there_and_take_the_options(module: str, arguments: str) -> None:
    assert_takes(module, arguments)


def assert_takes(module: str, arguments: str) -> None:
    """The module can be run, and its source knows each option and sub-command."""
    found = importlib.util.find_spec(module)
    assert found, f"no module {module}"
    if found.submodule_search_locations:
        found = importlib.util.find_spec(f"{module}.__main__")
    assert found, f"{module} cannot be run"
    assert found.origin, f"{module} cannot be run"
    source = Path(found.origin).read_text()
    assert "__main__" in source or found.name.endswith("__main__"), f"{module} cannot be run"
    for word in re.findall(r"(?<!\S)--?[a-z][a-z-]*", arguments):
        known = word in ("--stage", "--stack") or f'"{word}"' in source  # commands.target adds these two
        assert known, f"{module} has no {word}"


PRINTED_PATHS = sorted(
    {
        path
        for document in DOCUMENTS
        for path in re.findall(
            r"(?<![\w/.-])(?:tests|events|local|tools|examples|docs|commands)/[\w./-]*\w", document.read_text()
        )
    }
)


def test_printed_paths_are_there() -> None:
    """A module may be named without its ending; capitals stand for a name of the reader's."""
    missing = [
        path
        for path in PRINTED_PATHS
        if not re.search("[A-Z]{4}", path) and not (ROOT / path).exists() and not (ROOT / f"{path}.py").exists()
    ]
    assert missing == []


def test_costs_are_those_of_the_counts() -> None:
    page = cost.PAGE.read_text()
    assert cost.current(page) == page, "run: python -m tests.performance.cost"
    assert page.count("<!--") == 8
