"""`make counts`: what must not grow unseen, compared with `counts.json`: calls, units, imports, instructions.

Counts are the same on each run, so a gate may judge them; times are not. `--write` takes the present ones, with a
commit that says why. Instructions are counted where valgrind is, and compared as a ratio to the floor's, so that
another build of Python does not matter.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.performance import events
from tests.performance.__main__ import FLOOR, OURS, SEND, operations
from tests.performance.outside import outside
from tests.performance.sandbox import HERE, Run, Sandbox, has_valgrind, instructions

COUNTS = HERE / "counts.json"
TOLERANCE = 0.03
"""Of the ratios of instructions."""
HANDLERS = {
    "send": ("Send", SEND),
    "webhook": ("Webhook", OURS),
    "template_sync": ("TemplateSync", "functions.template_sync.handler"),
}


def counted() -> dict[str, Any]:
    """The present counts."""
    with tempfile.TemporaryDirectory() as directory, outside(Path(directory)) as server:
        sandbox = Sandbox(Path(directory, "sandbox"), server)
        webhook, send = sandbox.environment("Webhook"), sandbox.environment("Send")
        asked = operations(server, send, webhook)
        counts: dict[str, Any] = {
            "operations": {
                name: {what: one[what] for what in ("calls", "read_units", "write_units", "log_bytes")}
                for name, one in asked.items()
            },
            "imports": {
                name: _packages(Run(sandbox.environment(function), module, []).imported)
                for name, (function, module) in HANDLERS.items()
            },
        }
        if has_valgrind():
            cold, warm, more = ({m: _instructions(webhook, m, n) for m in (OURS, FLOOR)} for n in (1, 2, 6))
            counts["instructions_of_floor"] = {
                "cold webhook": round(cold[OURS] / cold[FLOOR], 3),
                "warm inbound": round((more[OURS] - warm[OURS]) / (more[FLOOR] - warm[FLOOR]), 3),
            }
    return counts


def _packages(imported: list[str]) -> list[str]:
    """Who is imported, without the standard library and the parts of each."""
    packages = {name.split(".")[0] for name in imported} - sys.stdlib_module_names
    return sorted(name for name in packages if not name.startswith("_"))


def _instructions(environment: dict[str, str], module: str, messages: int) -> int:
    return instructions(environment, module, [events.inbound(f"{module}{messages}{n}") for n in range(messages)])


def differences(expected: Any, found: Any, path: str = "") -> Iterator[str]:
    """One line for each count that differs; a ratio of instructions may differ a little."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in expected | found:
            if name in found or name != "instructions_of_floor":
                yield from differences(expected.get(name), found.get(name), f"{path}{name}: ")
    elif isinstance(expected, list) and isinstance(found, list):
        yield from (f"{path}{name} is new" for name in sorted(set(found) - set(expected)))
        yield from (f"{path}{name} is gone" for name in sorted(set(expected) - set(found)))
    elif path.startswith("instructions_of_floor") and expected and found:
        if abs(found / expected - 1) > TOLERANCE:
            yield f"{path}{found}, {found / expected - 1:+.1%} from {expected}"
    elif expected != found:
        yield f"{path}{found or 0}, not {expected or 0}"


def main() -> None:
    """Compare, or write."""
    found = counted()
    if sys.argv[1:] == ["--write"]:
        COUNTS.write_text(json.dumps(found, indent=2) + "\n")
        return
    if lines := list(differences(json.loads(COUNTS.read_text()), found)):
        print(*lines, sep="\n")
        raise SystemExit("counts: changed (see above). Meant? `.venv/bin/python -m tests.performance.counts --write`")
    print("counts: ok")


if __name__ == "__main__":
    main()
