"""The receiving half: events become typed, each is handled once, and a patient is answered once."""

import logging
import subprocess
import sys
from dataclasses import asdict, fields
from typing import Any

import boto3
import pytest
from jsonschema import Draft202012Validator
from twilio.request_validator import RequestValidator
from whatsapp import client
from whatsapp.bus_events import (
    EVENTS,
    Button,
    Event,
    InReplyTo,
    Medium,
    MessageReceived,
    MessageStatusChanged,
)
from whatsapp.client import MessageRefused
from whatsapp.consumer import BeingHandled, DynamoDBSeen, MemorySeen, handle_once, read, reply, work
from whatsapp.domain import events as domain
from whatsapp.testing import sample, signed_webhook, sqs_batch

from local.aws import REGION
from tests.unit.client_kit import Aws
from tools.schemas import schemas

TAP = {
    "kind": "button",
    "text": "Confirm",
    "button": {"text": "Confirm", "payload": "agent:scheduling:confirm"},
    "in_reply_to": {"message_id": "m1", "template": "appointment_confirmation"},
    "media": [{"index": 0, "content_type": "image/jpeg", "status": "pending"}],
}


# --- typed -------------------------------------------------------------------------------------------------------


def test_every_event_of_the_product_has_its_class() -> None:
    assert [event.detail_type for event in EVENTS] == [event.detail_type for event in domain.EVENTS]
    for ours, theirs in zip(domain.EVENTS, EVENTS, strict=True):
        assert {field.name for field in fields(ours)} == {field.name for field in fields(theirs)}


def test_event_as_its_class() -> None:
    event = read(sample(MessageReceived, **TAP))
    assert isinstance(event, MessageReceived)
    assert event.button == Button(text="Confirm", payload="agent:scheduling:confirm")
    assert event.in_reply_to == InReplyTo(message_id="m1", template="appointment_confirmation")
    assert event.media == [Medium(index=0, content_type="image/jpeg")]
    assert (event.choice, event.content_trust) == (None, "untrusted")


@pytest.mark.parametrize("event", EVENTS)
def test_nothing_is_lost_in_reading(event: type[Event]) -> None:
    delivered = sample(event)
    Draft202012Validator(schemas()[f"{event.detail_type}.json"]).validate(delivered["detail"])
    assert asdict(read(delivered)) == delivered["detail"]


def test_what_a_newer_product_says_is_no_error() -> None:
    newer = sample(MessageReceived, text="Hi")
    newer["detail"] |= {"mood": "good", "button": {"text": "Yes", "payload": None, "colour": "green"}}
    event = read(newer)
    assert isinstance(event, MessageReceived)
    assert event.button == Button(text="Yes")
    unknown = read({**newer, "detail-type": "message.sung"})
    assert (type(unknown), unknown.event_id) == (Event, newer["detail"]["event_id"])


def test_what_an_older_product_did_not_say_is_none() -> None:
    older = sample(MessageReceived)
    for name in ("to", "choice", "media", "text_truncated"):
        del older["detail"][name]
    event = read(older)
    assert isinstance(event, MessageReceived)
    assert (event.to, event.choice, event.media, event.text_truncated) == (None, None, [], False)


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({}, "no event of the bus"),
        ([], "no event of the bus"),
        ("Asha", "no event of the bus"),
        ({"source": "aws.s3", "detail-type": "message.received", "detail": {}}, "no event of the bus"),
        ({"source": "whatsapp", "detail-type": "message.received", "detail": "Asha"}, "no event of the bus"),
        ({"source": "whatsapp", "detail-type": "contact.opted_out", "detail": {"event_id": "e"}}, "lacks occurred_at"),
    ],
)
def test_what_is_no_event_says_what_it_lacks(event: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says) as raised:
        read(event)
    assert "Asha" not in str(raised.value)


def test_events_show_nothing_personal() -> None:
    event = read(sample(MessageReceived, text="I feel low", profile_name="Asha", event_id="e1"))
    assert repr(event) == "MessageReceived(event_id='e1')"


# --- once --------------------------------------------------------------------------------------------------------


class Clock:
    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def table(account: None) -> Any:
    db = boto3.client("dynamodb", region_name=REGION)
    key = {"AttributeName": "event_id", "AttributeType": "S"}
    db.create_table(
        TableName="seen",
        AttributeDefinitions=[key],  # type: ignore[list-item]  # the stubs want literals
        KeySchema=[{"AttributeName": "event_id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return db


@pytest.fixture(params=["memory", "dynamodb"])
def seen(request: pytest.FixtureRequest, table: Any) -> Any:
    for item in table.scan(TableName="seen")["Items"]:
        table.delete_item(TableName="seen", Key={"event_id": item["event_id"]})
    return MemorySeen() if request.param == "memory" else DynamoDBSeen("seen", client=table, clock=Clock())


def test_event_is_handled_once_however_often_it_comes(seen: Any) -> None:
    handled: list[Event] = []
    event = sample(MessageReceived)
    for _ in range(3):
        assert work(sqs_batch(event, event, sample(MessageReceived)), handled.append, seen) == {"batchItemFailures": []}
    assert len(handled) == 4  # the repeated one, and one new a batch


def test_event_that_failed_comes_again_alone(seen: Any, caplog: pytest.LogCaptureFixture) -> None:
    batch = sqs_batch(sample(MessageReceived, text="first"), sample(MessageReceived, text="second"))
    handled: list[str] = []

    def handle(event: Event) -> None:
        assert isinstance(event, MessageReceived)
        if event.text == "first" and not handled:
            handled.append("failed")
            raise RuntimeError(f"the calendar is down for {event.text}")
        handled.append(event.text)

    with caplog.at_level(logging.ERROR):
        failed = work(batch, handle, seen)
    assert failed == {"batchItemFailures": [{"itemIdentifier": batch["Records"][0]["messageId"]}]}
    assert "RuntimeError" in caplog.text
    assert "in handle" in caplog.text
    assert "down for first" not in caplog.text, "the error's text may be a patient's"
    assert work(batch, handle, seen) == {"batchItemFailures": []}
    assert handled == ["failed", "second", "first"]


def test_event_that_another_worker_has_comes_again(seen: Any) -> None:
    event = sample(MessageReceived)

    def meanwhile(_: Event) -> None:
        with pytest.raises(BeingHandled):
            handle_once(event, print, seen)

    handle_once(event, meanwhile, seen)


def test_event_of_a_worker_that_died_is_free_after_its_lease(table: Any) -> None:
    clock = Clock()
    seen = DynamoDBSeen("seen", lease_s=60, client=table, clock=clock)
    assert seen.begin("died")
    clock.now += 60
    with pytest.raises(BeingHandled):
        seen.begin("died")
    clock.now += 1
    assert seen.begin("died")
    seen.finish("died")
    clock.now += 10_000
    assert not seen.begin("died")


def test_message_that_is_no_event_fails_alone(seen: Any) -> None:
    batch = sqs_batch(sample(MessageReceived), {"source": "aws.s3"})
    batch["Records"].append({"messageId": "broken", "body": "{"})
    failed = work(batch, lambda _: None, seen)["batchItemFailures"]
    assert [one["itemIdentifier"] for one in failed] == [batch["Records"][1]["messageId"], "broken"]


# --- answered ----------------------------------------------------------------------------------------------------

SENT = {"message_id": "m", "status": "sent", "duplicate": False, "error": None}


def received(**values: Any) -> MessageReceived:
    event = read(sample(MessageReceived, event_id="e1", message_id="SM" + "1" * 32, **values))
    assert isinstance(event, MessageReceived)
    return event


def test_reply_is_a_request_made_of_the_event(aws: Aws) -> None:
    aws.answers = [SENT, SENT]
    event = received(agent="mood", user_id="user-7")
    assert reply(event, "Thank you", function_name="send") == SENT
    reply(event, template="mood_checkin", variables={"patient_name": "Asha"}, name="again", function_name="send")
    first, second = (asked["request"] for asked in aws.asked)
    assert first == {
        "to": "+919812345678",
        "text": "Thank you",
        "in_reply_to": "SM" + "1" * 32,
        "idempotency_key": "answer-e1",
        "agent": "mood",
        "user_id": "user-7",
    }
    assert (second["idempotency_key"], second["template"]) == ("again-e1", "mood_checkin")


def test_answer_worded_otherwise_the_second_time_is_the_first_one(aws: Aws) -> None:
    error = {"code": "idempotency_conflict", "detail": "another request has this key", "retryable": False}
    aws.answers = [{"message_id": None, "status": "refused", "error": error}, {**SENT, "status": "read"}]
    assert reply(received(), "Thanks a lot!", function_name="send")["status"] == "read"
    asked = aws.asked[1]["request"]
    assert asked == {"action": "get_message", "message_id": client.message_id_of("answer-e1")}


def test_other_refusals_of_a_reply_are_errors(aws: Aws) -> None:
    error = {"code": "opted_out", "detail": "this contact asked not to be written to", "retryable": False}
    aws.answers = [{"message_id": None, "status": "refused", "error": error}]
    with pytest.raises(MessageRefused, match="opted_out"):
        reply(received(), "Thank you", function_name="send")
    with pytest.raises(ValueError, match="no address"):
        reply(received(address=None), "Thank you", function_name="send")


# --- for tests of others -----------------------------------------------------------------------------------------


def test_sample_of_a_field_that_is_none() -> None:
    with pytest.raises(TypeError, match="MessageStatusChanged has no field txt"):
        sample(MessageStatusChanged, txt="Hello")


def test_two_samples_are_two_events() -> None:
    first, second = sample(MessageReceived)["detail"], sample(MessageReceived)["detail"]
    assert first["event_id"] != second["event_id"]
    assert first["message_id"] != second["message_id"]


def test_webhook_is_signed_as_twilio_signs() -> None:
    url, form = "https://api.example/twilio/inbound", {"From": "whatsapp:+919812345678", "Body": "नमस्ते & hi"}
    headers, body = signed_webhook("token", url, form)
    assert RequestValidator("token").validate(url, form, headers["X-Twilio-Signature"])
    assert body.startswith(b"From=whatsapp%3A%2B919812345678&Body=")


def test_it_needs_boto3_alone() -> None:
    look = (
        "import sys; before = set(sys.modules); import whatsapp.consumer, whatsapp.testing\n"
        "own = {'whatsapp.client', 'whatsapp.bus_events', 'whatsapp.consumer', 'whatsapp.testing'}\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('pydantic', 'twilio', 'jinja2', 'aws_lambda_powertools')"
        " or (m.startswith('whatsapp.') and m not in own)])"
    )
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stdout + found.stderr
