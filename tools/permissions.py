"""What the functions' roles may do and never need: `python -m tools.permissions FILE`.

`make test` tries everything under enforced policies, and the embedded AWS notes in FILE each grant without which a
request would have been denied. One that is never noted can be taken away and nothing fails: it is superfluous.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.deploy import read_template
from tools.translate import translate

Grant = tuple[str, str, str, int]
"""Role, statement, action, and which of the statement's resources."""

_QUEUE_POLLER = {"sqs:ReceiveMessage", "sqs:DeleteMessage"}
_NOTE = re.compile(
    r"\S+:assumed-role/[\w-]+-(?P<role>\w+)-\w+/(?P<function>\S+) (?P<sid>\w+) (?P<action>\S+) (?P<number>\d+)"
)
NOT_ASKED_FOR_HERE: dict[Grant, str] = {
    ("SendRole", "Nudges", action, 0): "Lambda's poller of the queue, which the embedded AWS lets do all"
    for action in _QUEUE_POLLER
}
"""With the reason. tests/infra/test_template.py holds these on the translated template."""


def granted(resources: Mapping[str, Any]) -> set[Grant]:
    """Every grant of the template's own roles, one for each action and resource."""
    return {
        (name, statement["Sid"], action, number)
        for name, role in resources.items()
        if role["Type"] == "AWS::IAM::Role"
        for policy in role["Properties"].get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
        for action in _listed(statement["Action"])
        for number in range(len(_listed(statement["Resource"])))
    }


def used(lines: list[str]) -> set[Grant]:
    """What the functions of whatever stack needed. A `probe` is a test's, which looks into a function's role."""
    noted = (_NOTE.fullmatch(line) for line in lines)
    return {(m["role"], m["sid"], m["action"], int(m["number"])) for m in noted if m and m["function"] != "probe"}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def main(file: Path) -> int:
    """Name what is superfluous; 1 if anything is."""
    if not file.exists():
        print(f"{file} is missing: `make test` writes it", file=sys.stderr)
        return 1
    all_granted, all_used = granted(translate(read_template(), {})["Resources"]), used(file.read_text().splitlines())
    needless = sorted(all_granted - all_used - NOT_ASKED_FOR_HERE.keys())
    for role, sid, action, number in needless:
        print(f"{role}: nothing needs {action} of {sid}, resource {number + 1}", file=sys.stderr)
    for role, sid, action, _ in sorted(NOT_ASKED_FOR_HERE.keys() & all_used):
        print(f"{role}: {action} of {sid} is asked for after all: strike it off the list", file=sys.stderr)
    print(f"permissions: {len(all_granted)}, each needed: {len(all_granted & all_used)}, superfluous: {len(needless)}")
    return 1 if needless or NOT_ASKED_FOR_HERE.keys() & all_used else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
