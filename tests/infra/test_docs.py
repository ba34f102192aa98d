"""The docs against the code: whoever is paged finds the alarm, and every metric has a place where it is counted."""

import re
from pathlib import Path
from typing import Any

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


def test_costs_are_those_of_the_counts() -> None:
    page = cost.PAGE.read_text()
    assert cost.current(page) == page, "run: python -m tests.performance.cost"
    assert page.count("<!--") == 8
