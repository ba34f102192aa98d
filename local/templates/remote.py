"""`plan` and `sync` for people: the deployed sync function, in the running local stack or on AWS, and its answer."""

import json
import sys
from typing import Any

import boto3

from local import aws
from local.__main__ import UsageError, running_stack


def run(command: str, *, stack: str, function: str, recreate: bool) -> int:
    """Ask the function for a sync, or for the plan of one, and print its answer; 1 if it has problems."""
    try:
        client, name = _function(stack, function)
    except UsageError as error:
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


def _function(stack: str, function: str) -> tuple[Any, str]:
    """The client and name of the function: on AWS by its name, with the user's own credentials, else in the stack."""
    if function:
        return boto3.client("lambda"), function
    where = running_stack(stack)
    return aws.client("lambda", where["aws_endpoint"]), where["outputs"]["TemplateSyncFunctionName"]
