"""The template sync: what it would do, and do it now.

    python -m commands.templates plan                  what a sync of the running local stack would do
    python -m commands.templates sync                  do it
    python -m commands.templates sync --stage prod     on AWS; --stack NAME for a stack of another name

On AWS it needs cloudformation:DescribeStacks and lambda:InvokeFunction. The local stack's functions get the edited
catalog first; on AWS, a deployment does that.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
from whatsapp.domain.templates.catalog import DIRECTORY

from commands.target import Target, add_options, one_line_errors, target_of
from local.stacks import UsageError
from local.templates.reload import CatalogError, reload_catalog


@one_line_errors("templates")
def main(arguments: Sequence[str]) -> int:
    """Invoke the sync function and print its answer; 1 if it reports problems."""
    parser = argparse.ArgumentParser(
        prog="python -m commands.templates", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["plan", "sync"], help="plan changes nothing at Twilio, sync does")
    parser.add_argument("directory", nargs="?", type=Path, default=DIRECTORY, help="the catalog for the local stack")
    parser.add_argument("--recreate", action="store_true", help="create again what was deleted at Twilio by hand")
    add_options(parser)
    given = parser.parse_args(arguments)
    target = target_of(given)
    print(target)
    if target.is_local:
        try:
            if reload_catalog(boto3.client("lambda"), dict(target.outputs), given.directory):
                print("The stack's functions have the edited catalog now.")
        except CatalogError as error:
            raise UsageError(str(error)) from error
    answer = sync(target, dry_run=given.command == "plan", recreate=given.recreate)
    print(report(answer))
    return 1 if answer["problems"] else 0


def sync(target: Target, *, dry_run: bool, recreate: bool = False) -> dict[str, Any]:
    """The sync function's answer.

    Raises:
        UsageError: the function failed.
    """
    name = target.outputs["TemplateSyncFunctionName"]
    event = {"task": "sync", "dry_run": dry_run, "recreate": recreate}
    response = boto3.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
    answer: dict[str, Any] = json.loads(response["Payload"].read())
    if response.get("FunctionError"):
        raise UsageError(f"{name} failed: {answer.get('errorMessage', answer)}")
    return answer


def report(answer: dict[str, Any]) -> str:
    """The answer as lines: the steps, the status of each current wording, the problems."""
    done = [step for step in answer["steps"] if step["do"] != "keep"]
    lines = ["To do:" if answer["dry_run"] else "Done:"]
    lines += [f"  {s['do']:<9} {s['template']} ({s['language']}) {s['version']}: {s['why']}" for s in done]
    lines += [] if done else ["  nothing"]
    lines += ["The catalog's wordings:"]
    lines += [f"  {t['status']:<11} {t['template']} ({t['language']}): {t['next']}" for t in answer["templates"]]
    counted = Counter(t["status"] for t in answer["templates"])
    lines += [f"{len(answer['templates'])} wordings: " + ", ".join(f"{n} {status}" for status, n in counted.items())]
    if answer["problems"]:
        lines += ["Problems:", *(f"  {problem}" for problem in answer["problems"])]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
