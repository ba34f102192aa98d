"""`python -m local run`, `events`, `sam` and `invoke FN EVENT`: what `make` calls under the same names."""

import argparse
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.artifacts import BuildError
from local.aws import client
from local.bus import Forwarder, check_target, tail
from local.claim import DirectoryTakenError
from local.deploy import DeployError
from local.kept import KeptStack
from local.orchestrator import Orchestrator
from local.phone.server import serving
from local.processes import ServerError
from local.sam import stay
from local.sample_events import open_window, prepare
from local.stack import StackError
from local.stacks import UsageError, running_stack, start_stack

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


ERRORS = (UsageError, BuildError, DeployError, ServerError, StackError, DirectoryTakenError)
"""What a user may meet: it is told in one line, without a traceback."""


def main(arguments: list[str]) -> int:
    """Carry out one command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m local")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="start a stack and its phone page, until Ctrl-C (PORT=, STACK=, FORWARD=, RESET=)")
    commands.add_parser("events", help="print every event of the running stack's bus, until Ctrl-C (STACK=, JSON=1)")
    commands.add_parser("sam", help="prepare `sam local` for the running stack, until Ctrl-C (STACK=)")
    invoke_parser = commands.add_parser("invoke", help="run a function of the running stack on an event")
    invoke_parser.add_argument("function", metavar="FN", help="send, webhook or template_sync")
    invoke_parser.add_argument("event", metavar="EVENT", help="a JSON file, such as those in events/")
    given = parser.parse_args(arguments)
    try:
        if given.command == "invoke":
            return invoke(given.function, given.event, os.environ.get("STACK", ""))
        if given.command == "sam":
            return sam(os.environ.get("STACK", ""))
        if given.command == "events":
            return events(os.environ.get("STACK", ""), as_json=bool(os.environ.get("JSON")))
        port, forward = os.environ.get("PORT", ""), os.environ.get("FORWARD", "")
        return run(os.environ.get("STACK", ""), port, forward, anew=bool(os.environ.get("RESET")))
    except ERRORS as error:
        print(f"{given.command}: {error}", file=sys.stderr)
        return 1


def run(name: str, port: str, forward: str = "", *, anew: bool = False) -> int:
    """Start a stack with an orchestrator and the phone page, play one confirmation, and stay until Ctrl-C.

    It goes on with what the last run kept, unless it shall begin anew. With `forward`, the events go to that server,
    which is the orchestrator then.
    """
    check_port(port)
    if forward:
        check_target(forward)
    stop_on_signals()
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as exits:
        stack = start_stack(exits, name, anew=anew)
        if forward:
            secret = os.environ.get("FORWARD_SECRET") or secrets.token_hex(16)
            exits.enter_context(Forwarder(stack.aws_endpoint, stack.outputs["BusName"], forward, secret))
            print(f"Events go to {forward}, signed with FORWARD_SECRET={secret}", flush=True)
        else:
            exits.enter_context(Orchestrator(stack.aws_endpoint, stack.outputs))
        sync(stack)
        with serving(stack.describe(), int(port or 0), kept=stack.page) as phone:
            if stack.page is None:
                stack.invoke("SendFunctionName", FIRST_MESSAGE)
            where = stack.announce(phone.url)
            print(f"The stack is running: {where} says where everything is. Ctrl-C ends it.", flush=True)
            print(f"The phone page: {phone.url}", flush=True)
            try:
                stack.wait()
            except ServerError as error:
                phone.tell_end(f"{error}".partition(". ")[0] + ".")
                raise
            except KeyboardInterrupt:
                pass
        stack.keep(phone.world.kept())
    print("stopped")
    return 0


def sync(stack: KeptStack) -> None:
    """Have the catalog approved. On a stack that goes on, what a reviewer decided on the page stands.

    Raises:
        StackError: a template did not get there.
    """
    try:
        stack.sync_templates()
    except StackError as error:
        if stack.page is None:
            raise
        print(f"As it was left: {error}", flush=True)


def events(name: str, *, as_json: bool) -> int:
    """Print the running stack's events until Ctrl-C."""
    stack = running_stack(name)
    stop_on_signals()
    with contextlib.suppress(KeyboardInterrupt):
        tail(stack, as_json=as_json)
    return 0


def sam(name: str) -> int:
    """Prepare `sam local` for the running stack, until Ctrl-C."""
    stop_on_signals()
    with contextlib.suppress(KeyboardInterrupt):
        stay(name)
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
    name, event = stack["outputs"][outputs[function]], prepare(sample, stack)
    try:
        response = client("lambda", stack["aws_endpoint"]).invoke(FunctionName=name, Payload=json.dumps(event).encode())
        open_window(event, stack)
    except (BotoCoreError, ClientError) as error:
        raise StackError(
            f"the stack's embedded AWS did not run {name}: {error}. Is it alive? `make run` again"
        ) from error
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
