"""`plan` and `sync` for people: the deployed sync function, in the running local stack or on AWS, and its answer."""

import json
import sys
from pathlib import Path
from typing import Any

import boto3

from local import aws
from local.stacks import UsageError, running_stack
from local.templates.reload import CatalogError, reload_catalog


def run(command: str, *, stack: str, function: str, recreate: bool, directory: Path) -> int:
    """Ask the function for a sync, or for the plan of one, and print its answer; 1 if it has problems.

    The local stack's functions get the catalog as it stands in `directory` first. On AWS, a deployment does that.
    """
    try:
        client, name = (boto3.client("lambda"), function) if function else _in_the_stack(stack, directory)
    except (UsageError, CatalogError) as error:
        print(error, file=sys.stderr)
        return 1
    event = {"task": "sync", "dry_run": command == "plan", "recreate": recreate}
    response = client.invoke(FunctionName=name, Payload=json.dumps(event).encode())
    answer = json.loads(response["Payload"].read())
    if "FunctionError" in response:
        print(f"{name} failed: {answer.get('errorMessage', answer)}", file=sys.stderr)
        return 1
    print(report(answer))
    return 1 if answer["problems"] else 0


def report(answer: dict[str, Any]) -> str:
    """The answer as lines: what was done or is to be done, how each wording stands, what is wrong."""
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
