"""The docs against the code: whoever is paged finds the alarm, and every metric has a place where it is counted."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse
from whatsapp.observability import METRICS

from tests.performance import cost

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
ALARMS = [name for name, one in TEMPLATE["Resources"].items() if one["Type"] == "AWS::CloudWatch::Alarm"]
CODE = "\n".join(
    path.read_text() for path in (ROOT / "layers" / "shared").rglob("*.py") if "observability" not in path.name
)
CODE += "\n".join(path.read_text() for path in (ROOT / "functions").rglob("*.py"))


@pytest.mark.parametrize("alarm", ALARMS)
def test_every_alarm_says_what_to_do(alarm: str) -> None:
    assert f"### {alarm}\n" in OPERATIONS


def test_no_alarm_is_described_that_is_gone() -> None:
    described = re.findall(r"^### (\w+Alarm)$", OPERATIONS, re.MULTILINE)
    assert set(described) == set(ALARMS)


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_counted_somewhere(metric: str) -> None:
    assert f'"{metric}"' in CODE


def test_the_dashboard_shows_metrics_that_exist() -> None:
    body = json.loads(TEMPLATE["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    lines = [line for widget in body["widgets"] for line in widget["properties"]["metrics"]]
    shown = {line[1] for line in lines if line[0] == "WhatsApp"}
    assert shown
    assert shown <= METRICS.keys()


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.relative_to(ROOT)} links to {target}"


def test_costs_are_those_of_the_counts() -> None:
    page = cost.PAGE.read_text()
    assert cost.current(page) == page, "run: python -m tests.performance.cost"
    assert page.count("<!--") == 8
