"""The template sync of the running local stack, or of a function on AWS.

    python -m commands.templates plan                                        what a sync would do
    python -m commands.templates sync                                        do it
    python -m commands.templates sync --function whatsapp-prod-template-sync     on AWS

On AWS it needs lambda:InvokeFunction. The local stack's functions get the edited catalog first; on AWS, a deployment
does that.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
from whatsapp.domain.templates.catalog import DIRECTORY

from commands.target import published
from local import aws
from local.stacks import UsageError, running_stack
from local.templates.reload import CatalogError, reload_catalog


def main(arguments: Sequence[str] | None = None) -> int:
    """Invoke the sync function and print its answer; 1 if it reports problems."""
    parser = argparse.ArgumentParser(
        prog="python -m commands.templates", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["plan", "sync"], help="plan changes nothing at Twilio, sync does")
    parser.add_argument("directory", nargs="?", type=Path, default=DIRECTORY, help="the catalog for the local stack")
    parser.add_argument("--stack", default="", help="the local stack's name")
    parser.add_argument("--function", default="", help="the template_sync function on AWS, in place of a local stack")
    parser.add_argument("--recreate", action="store_true", help="create again what was deleted at Twilio by hand")
    given = parser.parse_args(arguments)
    try:
        client, name = (
            (boto3.client("lambda"), published(given.function))
            if given.function
            else _in_the_stack(given.stack, given.directory)
        )
    except (UsageError, CatalogError) as error:
        print(error, file=sys.stderr)
        return 1
    event = {"task": "sync", "dry_run": given.command == "plan", "recreate": given.recreate}
    response = client.invoke(FunctionName=name, Payload=json.dumps(event).encode())
    answer = json.loads(response["Payload"].read())
    if "FunctionError" in response:
        print(f"{name} failed: {answer.get('errorMessage', answer)}", file=sys.stderr)
        return 1
    print(report(answer))
    return 1 if answer["problems"] else 0


def report(answer: dict[str, Any]) -> str:
    """The answer as lines: the steps, the status of each current wording, the problems."""
    done = [step for step in answer["steps"] if step["do"] != "keep"]
    lines = ["To do:" if answer["dry_run"] else "Done:"]
    lines += [f"  {s['do']:<9} {s['template']} ({s['language']}) {s['version']}: {s['why']}" for s in done]
    lines += [] if done else ["  nothing"]
    lines += ["The catalog's wordings:"]
    lines += [f"  {t['status']:<11} {t['template']} ({t['language']}): {t['next']}" for t in answer["templates"]]
    if answer["problems"]:
        lines += ["Problems:", *(f"  {problem}" for problem in answer["problems"])]
    return "\n".join(lines)


def _in_the_stack(stack: str, directory: Path) -> tuple[Any, str]:
    where = running_stack(stack)
    client = aws.client("lambda", where["aws_endpoint"])
    if reload_catalog(client, where["outputs"], directory):
        print("The stack's functions have the edited catalog now.")
    return client, where["outputs"]["TemplateSyncFunctionName"]


if __name__ == "__main__":
    sys.exit(main())
