"""Canaries at DEBUG: a number, a name and texts go in through every handler, well and badly, and every store, queue and
bus fails once. None of them may be in a log line, a metric, an alert or the text of an exception.

`tests/integration/test_privacy.py` does the same with the deployed functions, at the level that is deployed.
"""

import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError
from whatsapp import bootstrap
from whatsapp.adapters.aws.alerts import Place, SnsAlerts
from whatsapp.adapters.twilio.credentials import TwilioCredentials
from whatsapp.domain.ports import InDoubt, NotSent, Rejected
from whatsapp.observability import PowertoolsMetrics, logger, metrics

from functions.send.handler import lambda_handler as send
from functions.template_sync.handler import lambda_handler as template_sync
from functions.webhook.handler import lambda_handler as webhook
from tests.app import UnitApp, a_request, message_id_of
from tests.unit import webhook_kit as kit
from tests.unit.receive_kit import FakeBucket

NUMBER, NAME, TEXT, KEY = "+919876501234", "Zebulon Quartzfield", "my canary sings of dragonfruit", "k" * 32
CANARIES = ("9876501234", "98765 01234", "98765", "zebulon", "quartzfield", "dragonfruit", quote(NAME).lower(), KEY)
ASKED = a_request(to=NUMBER).model_dump(mode="json", exclude_none=True)
ASKED["variables"]["patient_name"] = NAME
CONTEXT: Any = SimpleNamespace(
    function_name="f",
    memory_limit_in_mb=1,
    invoked_function_arn="arn",
    aws_request_id="1",
    get_remaining_time_in_millis=lambda: 30_000,
)
URL = f"https://api.twilio.com/2010-04-01/Accounts/{kit.ACCOUNT}/Messages/{kit.sid('MM')}/Media/ME{'0' * 32}"


class Ear(logging.Handler):
    """Hears what is said at every level, tracebacks included; and what Lambda would print of an exception."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("moto."):
            return  # the embedded DynamoDB is not the product
        self.heard.append(logging.Formatter("%(name)s %(message)s").format(record) + repr(record.__dict__))

    def listen(self, act: Callable[[], Any]) -> Any:
        """Act. An error goes to the log, as in Lambda."""
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - whatever it is, Lambda prints it
            self.heard += traceback.format_exception(error)
            return None


class Topic:
    """SNS."""

    def __init__(self) -> None:
        self.alerts: list[str] = []

    def publish(self, **alert: Any) -> None:
        """Take an alert."""
        self.alerts.append(repr(alert))


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ear]:
    """Everybody logs at DEBUG, as an operator may set it."""
    ear = Ear()
    for variable in ("POWERTOOLS_LOGGER_LOG_EVENT", "POWERTOOLS_DEV"):
        monkeypatch.setenv(variable, "true")
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "false")  # development would disable them
    monkeypatch.setattr(metrics.provider, "namespace", "WhatsApp")
    listening = [logging.getLogger(), logger._logger]
    levels = [one.level for one in listening]
    for one in listening:
        one.addHandler(ear)
        one.setLevel(logging.DEBUG)
    yield ear
    for one, level in zip(listening, levels, strict=True):
        one.removeHandler(ear)
        one.setLevel(level)


def http(method: str, path: str, body: object = None, **more: Any) -> dict[str, Any]:
    """The event of our HTTP API."""
    text = body if isinstance(body, str) else json.dumps(body)
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": method, "path": path}, "requestId": "r", "stage": "$default"},
        "body": text,
        "isBase64Encoded": False,
        **more,
    }


def queued(*bodies: object) -> dict[str, Any]:
    """A batch of the send queue."""
    texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
    return {
        "Records": [
            {"messageId": f"q{n}", "receiptHandle": f"r{n}", "body": text, "attributes": {"SentTimestamp": "1"}}
            for n, text in enumerate(texts)
        ]
    }


BAD: list[dict[str, Any]] = [
    {"to": f"{NUMBER}99999999"},
    {"to": NAME},
    {NAME: NUMBER},
    {"template": NAME},
    {"variables": {NAME: TEXT}},
    {"language": NAME},
    {"agent": NAME},
    {"expires_at": TEXT},
    {"media_url": f"http://{quote(NAME)}"},
    {"in_reply_to": TEXT},
    {"text": TEXT},
    {"template": None, "variables": {}, "text": TEXT},
]


def send_all(app: UnitApp) -> Iterator[dict[str, Any]]:
    """Events of the send function."""
    yield {**ASKED, "idempotency_key": "first"}
    for number, outcome in enumerate((Rejected(63024, 400), InDoubt("no answer"), NotSent("no connection"))):
        app.gateway.outcomes = [outcome]
        app.clock.at += 2 * 3_600_000
        yield {**ASKED, "idempotency_key": f"outcome {number}"}
    for more in BAD:
        yield {**ASKED, **more}
        yield http("POST", "/messages", {**ASKED, **more})
        yield queued({**ASKED, **more})
    yield queued(f'{{"to": "{NUMBER}", "text": "{TEXT}"', [NUMBER], {NAME: NUMBER}, {"message_id": NUMBER})
    yield http("POST", "/messages", f'{{"to": "{NUMBER}"')
    contact_id = app.contact(NUMBER).contact_id
    for body in ({"address": NUMBER, "user_id": "user-1"}, {"address": NAME}, {"address": NUMBER, NAME: NAME}, NUMBER):
        yield http("PUT", "/contacts", body)
        yield http("POST", "/contacts/lookup", body)
    for path in (f"{contact_id}/conversation", f"{contact_id}/export", f"{NAME}/export", f"{NAME}/conversation"):
        yield http("GET", f"/contacts/{path}")
        yield http("GET", f"/contacts/{path}", queryStringParameters={"before": NAME, "limit": NUMBER})
    yield http("GET", f"/messages/{NAME}")
    yield http("DELETE", f"/messages/{NAME}")
    yield {"task": "sweep"}
    yield {"task": NAME}
    yield http("DELETE", f"/contacts/{contact_id}")


def webhook_all(app: UnitApp) -> Iterator[dict[str, Any]]:
    """Events of the webhook function."""
    who = {"From": f"whatsapp:{NUMBER}", "WaId": NUMBER[1:], "ProfileName": NAME, "Body": TEXT}
    flow = json.dumps({NAME: TEXT})
    for more in (
        {},
        {"ButtonText": TEXT, "ButtonPayload": TEXT},
        {"ListId": TEXT, "ListTitle": NAME},
        {"FlowData": flow, "InteractiveData": flow[:-1]},
        {"MessageType": "reaction"},
        {"Latitude": TEXT, "Longitude": NAME, "Label": NAME, "Address": TEXT},
        {"ReferralBody": TEXT, "ReferralHeadline": NAME, "OriginalRepliedMessageSid": TEXT},
        {"NumMedia": "1", "MediaUrl0": URL, "MediaContentType0": TEXT},
        {"NumMedia": NAME, "MediaUrl0": f"https://{quote(NAME)}/", "ChannelMetadata": TEXT},
        {"From": f"whatsapp:{NAME}"},
        {"To": f"whatsapp:{NUMBER}"},
        {"Body": "STOP"},
        {"Body": "START"},
    ):
        form = kit.message(**{**who, **more})
        yield kit.signed(form)
        yield kit.request(kit.encode(form), TEXT)
        yield kit.shared_signed(form, key="x", algorithm=NAME)
    message_id = message_id_of("first")
    message = app.messages.get(message_id)
    path = f"/twilio/status/{message_id}/{message.attempt if message else 'a' * 12}"
    for more in (
        {"MessageStatus": "delivered"},
        {"MessageStatus": "failed", "ErrorCode": "63024", "ChannelStatusMessage": TEXT, "ErrorMessage": NAME},
        {"MessageStatus": NAME, "ErrorCode": TEXT},
    ):
        form = kit.status(**{"To": f"whatsapp:{NUMBER}", "ChannelToAddress": NUMBER, **more})
        yield kit.signed(form, path)
    for task in ("publish", "media", "reconcile", NAME):
        yield {"task": task}
    yield {"detail-type": "message.received", "detail": {"message_id": NAME}}


@pytest.fixture
def product(app: UnitApp, monkeypatch: pytest.MonkeyPatch) -> UnitApp:
    """The product behind the real handlers, with Twilio's door open and alerts as SNS gets them."""
    credentials = TwilioCredentials(kit.ACCOUNT, kit.TOKEN, webhook_shared_keys=(KEY,))
    secret = SimpleNamespace(get=lambda refresh=False: credentials)
    settings = replace(app.settings, sender_address=kit.SENDER.removeprefix("whatsapp:"), public_url=kit.PUBLIC_URL)
    topic: Any = Topic()
    place = Place(stack="stack", stage="dev", region="ap-south-1", runbook_url="runbook")
    alerts = SnsAlerts(lambda: topic, "arn", place, app.clock)
    product = replace(app, settings=settings, alerts=alerts, metrics=PowertoolsMetrics("stack"))
    product.__dict__.update(media_store=FakeBucket(), api_url=kit.PUBLIC_URL, twilio_secret=secret, topic=topic)
    monkeypatch.setattr(bootstrap, "app", lambda: product)
    return product


def fail(*_: Any, **__: Any) -> Any:
    """DynamoDB refuses the call; its words may quote what it was given."""
    raise ClientError({"Error": {"Code": "InternalServerError", "Message": "no"}}, "Any")


def test_nothing_personal_is_said_by_any_handler(
    product: UnitApp, ear: Ear, capsys: pytest.CaptureFixture[str]
) -> None:
    drive(product, ear)
    product.bus.down = product.queue.down = product.gateway.down = True
    drive(product, ear)
    with patch.object(product.dynamodb, "_make_api_call", fail):
        drive(product, ear)
    said = {"log": "\n".join(ear.heard), "stdout and metrics": capsys.readouterr().out}
    said["alerts"] = "\n".join(product.__dict__["topic"].alerts)
    for what, where in {
        "refused": "log",
        "forbidden": "log",
        "received": "log",
        "MessagesReceived": "stdout and metrics",
    }.items():
        assert what in said[where], f"nothing to look at: no {what}"
    assert said["alerts"], "nothing to look at: no alert"
    hits = {
        (where, canary): [line[:300] for line in text.splitlines() if canary in line.lower()][:2]
        for where, text in said.items()
        for canary in CANARIES
    }
    assert {found: lines for found, lines in hits.items() if lines} == {}


def drive(product: UnitApp, ear: Ear) -> None:
    """Every event through its handler, each read only when it is its turn."""
    for handler, events in ((send, send_all), (webhook, webhook_all)):
        made = events(product)
        while (event := ear.listen(lambda made=made: next(made, None))) is not None:  # type: ignore[misc]
            ear.listen(lambda handler=handler, event=event: handler(event, CONTEXT))  # type: ignore[misc]
    ear.listen(lambda: template_sync({"task": NAME}, CONTEXT))


@pytest.mark.parametrize("library", ["botocore.endpoint", "boto3", "urllib3.connectionpool", "twilio.http_client"])
def test_libraries_that_log_what_they_are_given_are_silent_whatever_the_level(ear: Ear, library: str) -> None:
    """At DEBUG botocore writes whole requests, urllib3 and Twilio's SDK URLs with numbers."""
    logging.getLogger(library).debug("%s", NUMBER)
    logging.getLogger(library).info("%s", NUMBER)
    assert ear.heard == []


def test_powertools_does_not_print_requests_whatever_the_environment_says() -> None:
    """Its variable is read when a handler is imported."""
    program = "from functions.send.http import api as one\nfrom functions.template_sync.handler import api as other\n"
    environment = {**os.environ, "POWERTOOLS_DEV": "true"}
    run = subprocess.run(
        [sys.executable, "-c", program + "print(one._debug, other._debug)"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == ["False", "False"]
