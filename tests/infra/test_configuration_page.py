"""docs/configuration.md says all there is to set, and nothing that is not."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()


def rows(heading: str) -> list[str]:
    """The first cells of the table under a heading."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def test_every_parameter_is_explained_with_its_default(template: dict[str, Any]) -> None:
    assert sorted(rows("Parameters")) == sorted(template["Parameters"])
    for name, parameter in template["Parameters"].items():
        default = str(parameter.get("Default", "")) or "–"
        assert re.search(rf"^\| `{name}` \| `?{re.escape(default)}`? \|", PAGE, re.MULTILINE), (name, default)


def test_every_secret_is_explained(template: dict[str, Any]) -> None:
    made = [n for n, r in template["Resources"].items() if r["Type"] == "AWS::SecretsManager::Secret"]
    assert sorted(rows("Secrets")) == sorted(made)


def test_every_variable_is_explained(resources: dict[str, Any]) -> None:
    variables = resources["SendFunction"]["Properties"]["Environment"]["Variables"]
    assert sorted(rows("Environment variables of the functions")) == sorted(variables)


@pytest.mark.parametrize("name", rows("What the local stack sets differently"))
def test_variables_for_make_are_read_somewhere(name: str) -> None:
    root = Path(__file__).parents[2]
    readers = [
        root / path
        for path in ("Makefile", "local/setup.sh", "local/__main__.py", "tools/shipped.py", "tools/audit.py")
    ]
    assert any(re.search(rf"[\"$({{\s]{name}\b", reader.read_text()) for reader in readers)
