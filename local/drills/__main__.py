"""`python -m local.drills NAME`: plays an incident on a local stack of its own; exit status 0 only if all of it held.

Each drill is a module: `TITLE`, a docstring that tells its story, `PARAMETERS` of its stack, `play(drill)` and,
if it has options, `add_arguments(parser)`. `--write` keeps the transcript in docs/drills/NAME.md.
"""

import argparse
import pkgutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import httpx

from local import drills
from local.artifacts import ROOT
from local.drills.drill import Drill, DrillFailedError, document
from local.stack import Stack, StackError

NAMES = sorted({module.name for module in pkgutil.iter_modules(drills.__path__)} - {"drill", "__main__"})


def main() -> int:
    """Play one drill; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m local.drills", description=__doc__)
    incidents = parser.add_subparsers(dest="name", required=True)
    for name in NAMES:
        script = import_module(f"local.drills.{name}")
        incident = incidents.add_parser(name, description=script.__doc__)
        incident.add_argument("--write", action="store_true", help="keep the transcript in docs/drills")
        if hasattr(script, "add_arguments"):
            script.add_arguments(incident)
    arguments = parser.parse_args()
    script = import_module(f"local.drills.{arguments.name}")
    with tempfile.TemporaryDirectory(prefix="whatsapp-drill-") as directory, \
            Stack(Path(directory), script.PARAMETERS) as stack:  # fmt: skip
        stack.sync_templates()
        drill = Drill(stack, arguments)
        drill.sweep()  # warm sandboxes: on a busy machine a cold one is too slow for Twilio
        try:
            script.play(drill)
            if not drill.is_moved:
                drill.say("CloudWatch", f"alarms that went off: {', '.join(drill.pages()) or 'none'}")
        except (DrillFailedError, StackError, httpx.HTTPError) as error:
            print(f"drill {arguments.name}: failed: {error}", file=sys.stderr)
            return 1
    if arguments.write:
        page = ROOT / "docs" / "drills" / f"{arguments.name}.md"
        page.parent.mkdir(exist_ok=True)
        page.write_text(document(script.TITLE, script.__doc__ or "", drill.transcript), encoding="utf-8")
    print(f"drill {arguments.name}: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
