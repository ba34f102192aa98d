"""`make trace`: what one send and one receive enter, in order: files, functions, calls to AWS and to Twilio.

Each runs in a process of its own against a whole local stack, and is traced as that process's second request.
`--tree PATH` traces another checkout of this project, for a before and after.
"""

import argparse
import ast
import json
import os
import subprocess
import sys
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from local.artifacts import ROOT
from local.aws import server_environment
from local.sample_events import prepare
from local.stack import Stack

COMPOSITION = {"bootstrap.py", "settings.py", "observability.py"}
STORY = ("functions/", "use_cases/")
"""The outline shows what these enter, and what they call."""
DEFINITIONS = """\
entered  a function of functions/ or of the shared layer ran; comprehensions and lambdas belong to their function
to read  the files entered, less leaves (they import no other module of the product: values, such as periods)
         and less composition (bootstrap, settings, observability)
hops     calls into another file than the caller's
fence    the last write to the Messages table before the POST"""

Step = dict[str, Any]


def main() -> None:
    """Trace one send and one receive."""
    parser = argparse.ArgumentParser(prog="make trace", description=__doc__)
    parser.add_argument("--tree", type=Path, default=ROOT, help="the checkout to trace; this one by default")
    tree: Path = parser.parse_args().tree.resolve()
    with tempfile.TemporaryDirectory() as directory, Stack(Path(directory, "stack")) as stack:
        stack.sync_templates()
        stories = {
            "one send (a template, proactive, first contact)": send(tree, stack),
            "one receive (a text of a known contact)": receive(tree, stack),
        }
    for title, steps in stories.items():
        print(f"--- {title} ---", *outline(steps), "", sep="\n")
    print(DEFINITIONS, "", sep="\n")
    for title, steps in stories.items():
        print(*figures(title, steps, tree), "", sep="\n")


def send(tree: Path, stack: Stack) -> list[Step]:
    """An appointment confirmation to a patient who is written to for the first time."""
    sample = json.loads((ROOT / "events/send/appointment_confirmation.json").read_text())
    requests = [{**sample, "to": f"+9198123457{n}", "idempotency_key": f"trace-{n}"} for n in (10, 11)]
    answer, steps = run(tree, stack, "Send", "functions.send.handler", requests)
    if answer["status"] != "sent":
        raise SystemExit(f"trace: not sent: {answer}")
    return steps


def receive(tree: Path, stack: Stack) -> list[Step]:
    """A patient's second text."""
    sample = json.loads((ROOT / "events/webhook/text.json").read_text())
    form = {"From": "whatsapp:+919812345699", "WaId": "919812345699", "Body": "Can I come later?", "NumMedia": "0"}
    bodies = [urlencode({"MessageSid": f"SM{n:032x}", "ProfileName": "Asha", **form}) for n in (1, 2)]
    webhooks = [prepare({**sample, "body": b64encode(body.encode()).decode()}, stack.describe()) for body in bodies]
    answer, steps = run(tree, stack, "Webhook", "functions.webhook.handler", webhooks)
    if answer["statusCode"] != 200:
        raise SystemExit(f"trace: not received: {answer}")
    return steps


def run(tree: Path, stack: Stack, function: str, module: str, events: list[Any]) -> tuple[Any, list[Step]]:
    """Handle the events in a process with the function's deployed environment: the last one's answer and steps."""
    name = stack.outputs[f"{function}FunctionName"]
    deployed = stack.aws("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    own = {
        "AWS_ENDPOINT_URL": stack.aws_endpoint,
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join([str(tree), str(tree / "layers/shared")]),
    }
    arguments = [Path(__file__).with_name("traced.py"), tree, module, *map(json.dumps, events)]
    child = subprocess.run(
        [sys.executable, "-P", *map(str, arguments)],
        env=server_environment(**deployed, **own),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if child.returncode:
        raise SystemExit(f"trace: {module} failed:\n{child.stderr}")
    traced = json.loads(child.stdout)
    return traced["answer"], traced["steps"]


def outline(steps: list[Step]) -> list[str]:
    """The story's functions and what they call, indented; all else is left out, and so are repeated calls."""
    lines: list[str] = []
    shown: list[tuple[int, bool]] = []  # depth in the trace, whether it belongs to the story
    for step in steps:
        while shown and shown[-1][0] >= step["depth"] and "file" in step:
            shown.pop()
        indent = "  " * len(shown)
        if "file" not in step:
            lines.append(f"{indent}-> {step.get('aws') or 'Twilio ' + step['twilio']}")
            continue
        story = step["file"].startswith(STORY)
        if story or not shown or (shown[-1][1] and shown[-1][0] == step["depth"] - 1):
            line = f"{indent}{step['file']}  {step['function']}"
            shown.append((step["depth"], story))
            if not lines or lines[-1] != line:
                lines.append(line)
    return lines


def figures(title: str, steps: list[Step], tree: Path) -> list[str]:
    """The counts."""
    calls = [step for step in steps if "file" in step]
    files = list(dict.fromkeys(step["file"] for step in calls))
    leaves = [file for file in files if is_leaf(path_of(file, tree))]
    to_read = [file for file in files if file not in COMPOSITION and file not in leaves]
    functions = {(step["file"], step["function"]) for step in calls}
    aws = [step["aws"] for step in steps if "aws" in step]
    twilio = [step["twilio"] for step in steps if "twilio" in step]
    return [
        f"{title}:",
        f"  files      {len(files)} entered, {len(to_read)} to read",
        f"  functions  {len(functions)} entered, {hops(calls)} hops between files",
        f"  AWS        {len(aws)} calls: {', '.join(aws)}",
        f"  Twilio     {len(twilio)} calls: {', '.join(twilio) or '-'}",
        f"  contact    {contact_reads(steps)}",
        f"  to read    {' '.join(to_read)}",
        f"  leaves     {' '.join(leaves)}",
    ]


def hops(calls: list[Step]) -> int:
    """How often a function called one of another file."""
    stack: list[Step] = []
    crossed = 0
    for call in calls:
        del stack[call["depth"] - 1 :]
        crossed += bool(stack) and stack[-1]["file"] != call["file"]
        stack.append(call)
    return crossed


def contact_reads(steps: list[Step]) -> str:
    """How often the contact's item was read, before and after the fence."""
    outside = [step.get("aws", "POST") for step in steps if "file" not in step]
    post = outside.index("POST") if "POST" in outside else 0
    fence = max((n for n in range(post) if outside[n] == "DynamoDB UpdateItem Messages"), default=-1)
    read = [n for n, call in enumerate(outside) if call.startswith("DynamoDB") and "Get" in call and "Contacts" in call]
    if fence < 0:
        return f"read {len(read)} times"
    return f"read {sum(n < fence for n in read)} times before the fence, {sum(n > fence for n in read)} after"


def path_of(file: str, tree: Path) -> Path:
    """Where a file of the trace lies."""
    return tree / file if file.startswith("functions/") else tree / "layers/shared/whatsapp" / file


def is_leaf(file: Path) -> bool:
    """Whether it imports no other module of the product."""
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if any(name.partition(".")[0] in {"whatsapp", "functions"} for name in names):
            return False
    return True


if __name__ == "__main__":
    main()
