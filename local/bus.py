"""Hears the bus of a running stack through a queue of its own: `make events` prints, `make run FORWARD=URL` posts on.

A posted event is signed as Stripe and others do it, so that a consumer can be sure of its sender:

    X-Signature: t=1795980577,v1=<hex of HMAC-SHA256(secret, "1795980577." + body)>

Anything but a 2xx brings the event again, as EventBridge and SQS would: dedupe on `event_id`.
"""

import contextlib
import hashlib
import hmac
import json
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import httpx

from local.aws import client
from local.http import ONE_EACH
from local.stacks import UsageError

AGAIN_AFTER_S = 5
"""An event that was not taken comes again after this long."""


def subscribe(sqs: Any, events: Any, bus: str, name: str, **attributes: str) -> tuple[str, str]:
    """URL and ARN of a queue on which a rule of the same name puts all our events."""
    url: str = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn: str = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": ["whatsapp"]}))
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    return url, arn


@contextlib.contextmanager
def subscribed(aws_endpoint: str, bus: str, name: str) -> Iterator[str]:
    """The URL of a queue that gets all our events for as long as the block lasts."""
    sqs, events = client("sqs", aws_endpoint), client("events", aws_endpoint)
    url, _ = subscribe(sqs, events, bus, name, VisibilityTimeout=str(AGAIN_AFTER_S))
    try:
        yield url
    finally:
        events.remove_targets(Rule=name, EventBusName=bus, Ids=["queue"])
        events.delete_rule(Name=name, EventBusName=bus)
        sqs.delete_queue(QueueUrl=url)


def take(sqs: Any, url: str, act: Callable[[dict[str, Any]], bool]) -> None:
    """Receive once, and delete what `act` has done with."""
    for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
        if act(json.loads(message["Body"])):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def tail(stack: dict[str, Any], *, as_json: bool) -> None:
    """Print every event from now on, a line each, until Ctrl-C."""
    sqs = client("sqs", stack["aws_endpoint"])

    def show(event: dict[str, Any]) -> bool:
        print(json.dumps(event, ensure_ascii=False) if as_json else line_of(event), flush=True)
        return True

    with subscribed(stack["aws_endpoint"], stack["outputs"]["BusName"], f"tail-{time.time_ns()}") as url:
        print("Listening to the bus; Ctrl-C ends it.", file=sys.stderr, flush=True)
        while True:
            take(sqs, url, show)


def line_of(event: dict[str, Any]) -> str:
    """An event as one line. It names no patient: `JSON=1` shows the whole event."""
    detail = event["detail"]
    error = detail.get("error") or {}
    what = [
        detail.get("status"),
        detail.get("kind"),
        detail.get("template"),
        error.get("twilio_code"),
        error.get("code"),
    ]
    said = " ".join(str(each) for each in what if each)
    clock = datetime.now(UTC).astimezone().strftime("%H:%M:%S")
    return f"{clock}  {event['detail-type']:<24} {said:<34} {detail.get('message_id') or ''}"


def signature(secret: str, body: bytes, at: int) -> str:
    """The `X-Signature` of a body that is posted at `at` (epoch seconds)."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class Forwarder:
    """Posts every event of the bus to a server of the user's, signed, for as long as the block lasts.

    Args:
        aws_endpoint: where the embedded AWS is.
        bus: the bus's name.
        target: the server's URL.
        secret: what both sides know.

    Raises:
        UsageError: the target is no http URL.
    """

    def __init__(self, aws_endpoint: str, bus: str, target: str, secret: str) -> None:
        check_target(target)
        self._aws_endpoint, self._bus = aws_endpoint, bus
        self._target, self._secret = target, secret
        self._sqs = client("sqs", aws_endpoint)
        self._http = httpx.Client(trust_env=False, timeout=10, limits=ONE_EACH)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forwarder", daemon=True)
        self._exits = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._url = self._exits.enter_context(subscribed(self._aws_endpoint, self._bus, "forward"))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self._http.close()
        self._exits.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            take(self._sqs, self._url, self.post)

    def post(self, event: dict[str, Any]) -> bool:
        """Post one event; whether it was taken."""
        body = json.dumps(event, ensure_ascii=False).encode()
        signed = signature(self._secret, body, int(time.time()))
        headers = {"Content-Type": "application/json", "X-Signature": signed}
        try:
            answer = self._http.post(self._target, content=body, headers=headers)
        except httpx.HTTPError as error:
            told = f"does not answer ({type(error).__name__})"
        else:
            if answer.is_success:
                return True
            told = f"answered {answer.status_code}"
        print(f"forward: {self._target} {told}: {event['detail-type']} comes again in {AGAIN_AFTER_S} s", flush=True)
        return False


def check_target(target: str) -> None:
    """Refuse what is no server, before anything is started.

    Raises:
        UsageError: it is no http URL with a host.
    """
    parts = urllib.parse.urlsplit(target)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"FORWARD={target} is no URL of a server: say such as FORWARD=http://127.0.0.1:9000/events")
