"""`python -m local run` and `python -m local invoke FN EVENT`: what `make run` and `make invoke` call."""

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from local.artifacts import ROOT, BuildError
from local.aws import client
from local.claim import DirectoryTakenError, is_taken
from local.deploy import DeployError
from local.orchestrator import Orchestrator
from local.phone.server import serving
from local.processes import ServerError
from local.sample_events import prepare
from local.stack import Stack, StackError

STACKS = ROOT / ".local"
# So that there is something to see. Nobody else in the samples has this number.
FIRST_MESSAGE = {
    "to": "+919812345600",
    "template": "appointment_confirmation",
    "variables": {
        "patient_name": "Asha",
        "therapist_name": "Dr. Rao",
        "appointment_date": "2026-11-24",
        "appointment_time": "17:30",
    },
}
_RESERVED = {"work", "owner"}  # what a stack in STACKS itself keeps there


class UsageError(Exception):
    """Something the user asked for cannot be. The text is one line that says why and what to do."""


def main(arguments: list[str]) -> int:
    """Carry out one command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m local")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="start a stack and its phone page, until Ctrl-C (PORT=, STACK=)")
    invoke_parser = commands.add_parser("invoke", help="run a function of the running stack on an event")
    invoke_parser.add_argument("function", metavar="FN", help="send, webhook or template_sync")
    invoke_parser.add_argument("event", metavar="EVENT", help="a JSON file, such as those in events/")
    given = parser.parse_args(arguments)
    try:
        if given.command == "invoke":
            return invoke(given.function, given.event, os.environ.get("STACK", ""))
        return run(os.environ.get("STACK", ""), os.environ.get("PORT", ""))
    except (UsageError, BuildError, DeployError, ServerError, StackError, DirectoryTakenError) as error:
        print(f"{given.command}: {error}", file=sys.stderr)
        return 1


def run(name: str, port: str) -> int:
    """Start a stack with an orchestrator and the phone page, play one confirmation, and stay until Ctrl-C."""
    check_port(port)
    stop_on_signals()
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as exits:
        stack = start_stack(exits, name)
        exits.enter_context(Orchestrator(stack.aws_endpoint, stack.outputs))
        stack.sync_templates()
        with serving(stack.describe(), int(port or 0)) as phone:
            stack.invoke("SendFunctionName", FIRST_MESSAGE)
            where = stack.announce(phone.url)
            print(f"The stack is running: {where} says where everything is. Ctrl-C ends it.", flush=True)
            print(f"The phone page: {phone.url}", flush=True)
            signal.pause()
    print("stopped")
    return 0


def invoke(function: str, event_file: str, name: str) -> int:
    """Run a function on an event in the running stack and print its answer."""
    outputs = {
        "send": "SendFunctionName",
        "webhook": "WebhookFunctionName",
        "template_sync": "TemplateSyncFunctionName",
    }
    if function not in outputs:
        raise UsageError(f"no function {function!r}: say FN=send, FN=webhook or FN=template_sync")
    sample = read_event(event_file)
    stack = running_stack(name)
    response = client("lambda", stack["aws_endpoint"]).invoke(
        FunctionName=stack["outputs"][outputs[function]], Payload=json.dumps(prepare(sample, stack)).encode()
    )
    answer = json.loads(response["Payload"].read())
    print(json.dumps(answer, indent=2, ensure_ascii=False))
    return 1 if "FunctionError" in response else 0


def read_event(event_file: str) -> Any:
    """The event, whatever JSON it is.

    Raises:
        UsageError: no such file, or not JSON.
    """
    if not event_file:
        raise UsageError("say which sample: EVENT=events/send/…json")
    try:
        return json.loads(Path(event_file).read_bytes())
    except OSError as error:
        raise UsageError(f"EVENT={event_file}: {error.strerror}. Samples are in events/.") from error
    except ValueError as error:
        raise UsageError(f"EVENT={event_file} is not JSON: {error}") from error


def running_stack(name: str) -> dict[str, Any]:
    """What the stack.json of the running stack says.

    Raises:
        UsageError: none is running.
    """
    directory = directory_of(name)
    description = directory / "stack.json"
    if not description.exists() or not is_taken(directory):
        raise UsageError("no stack is running: start one with `make run`" + (f" STACK={name}" if name else ""))
    found: dict[str, Any] = json.loads(description.read_text())
    return found


def directory_of(name: str) -> Path:
    """Where the stack of that name lives; the nameless one in .local itself.

    Raises:
        UsageError: the name cannot be a folder's.
    """
    if name and (name in _RESERVED or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name)):
        raise UsageError(f"STACK={name}: use small letters, digits and hyphens (and neither work nor owner)")
    return STACKS / name


def start_stack(exits: contextlib.ExitStack, name: str) -> Stack:
    """Start the named stack. Without a name: in .local, or under a number if another one runs there.

    Raises:
        DirectoryTakenError: a stack of that name runs already.
    """
    if name:
        return exits.enter_context(Stack(directory_of(name)))
    number = 1
    while True:
        try:
            stack = exits.enter_context(Stack(STACKS / str(number) if number > 1 else STACKS))
        except DirectoryTakenError:
            number += 1
            continue
        if number > 1:
            print(f"A stack is running already; this one is number {number}: say STACK={number} to `make invoke`.")
        return stack


def check_port(port: str) -> None:
    """Refuse a PORT that cannot be had, before anything is started.

    Raises:
        UsageError: not a port, or taken.
    """
    if not port:
        return
    if not port.isdigit() or not 1 <= int(port) <= 65535:
        raise UsageError(f"PORT={port} is not a port: say a number from 1 to 65535, or nothing for a free one")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(port)))
        except OSError as error:
            raise UsageError(f"PORT={port} is not to be had ({error.strerror}): say another, or none") from error


def stop_on_signals() -> None:
    """Ctrl-C, a polite kill and a closed terminal all end us in order; a second one changes nothing."""

    def stop(_signal: int, _frame: object) -> None:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as under nohup
        signals.append(signal.SIGHUP)
    for number in signals:
        signal.signal(number, stop)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
