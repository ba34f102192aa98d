"""The record decides what becomes of a dead letter; doing it twice does no harm."""

import json
from dataclasses import replace
from typing import Any

import pytest
from whatsapp.adapters.dynamodb.client import DynamoDB
from whatsapp.domain.errors import Failure
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, continuation_id_of, handle_of
from whatsapp.domain.sending.transition import EVENT
from whatsapp.use_cases.redrive_dead_letters import Action, DeadLetter, Plan

from commands.dead_letters import Held, describe
from tests.app import SETTINGS, UnitApp, message_id_of
from tests.fakes import NOON, RecordingQueue

HOUR = 3_600_000
GAVE_UP = Failure(code="account_problem", detail="the account is not active", twilio_code=20005, retryable=True)
TO = "+919812345678"


class World(UnitApp):
    """A redrive over the real store."""

    def stored(self, status: Status, **more: Any) -> Message:
        message = Message(
            message_id="m1",
            contact_id="00ff" * 8,
            to=TO,
            request_hash="h",
            created_at=NOON - HOUR,
            status=status,
            status_at=NOON - HOUR,
            template="mood_checkin",
            attempts=3,
        )
        message = replace(message, **more)
        self.messages.put_new(message)
        return message

    def plan(self, body: object = None, queue_message_id: str = "q1") -> Plan:
        text = body if isinstance(body, str) else json.dumps(body or {"message_id": "m1"})
        return self.redrive_dead_letters.plan(DeadLetter(queue_message_id, text, NOON))


@pytest.fixture
def world(db: DynamoDB, tables: Any) -> World:
    return World(SETTINGS, tables)


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (Status.PENDING, Action.NUDGE),
        (Status.DEFERRED, Action.NUDGE),
        (Status.RETRYING, Action.NUDGE),
        (Status.CLAIMED, Action.LEAVE),
        (Status.SENDING, Action.LEAVE),
        (Status.UNKNOWN, Action.LEAVE),
        (Status.UNRESOLVED, Action.LEAVE),
        (Status.SENT, Action.DROP),
        (Status.UNDELIVERED, Action.DROP),
        (Status.DELIVERED, Action.DROP),
        (Status.READ, Action.DROP),
        (Status.EXPIRED, Action.DROP),
        (Status.CANCELED, Action.DROP),
    ],
)
def test_by_status(world: World, status: Status, action: Action) -> None:
    world.stored(status)
    plan = world.plan()
    assert plan.action is action
    assert world.redrive_dead_letters.carry_out(plan) is (action is not Action.LEAVE)
    assert world.queue == RecordingQueue(nudges=[("m1", 0)] if action is Action.NUDGE else [])
    assert world.messages.get(continuation_id_of("m1")) is None


@pytest.mark.parametrize(
    ("more", "action"),
    [
        ({"error": GAVE_UP}, Action.RENEW),
        ({"error": replace(GAVE_UP, code="twilio_unavailable")}, Action.RENEW),
        ({"error": replace(GAVE_UP, code="throttled")}, Action.RENEW),
        ({"error": replace(GAVE_UP, code="unknown_error")}, Action.RENEW),
        ({"error": replace(GAVE_UP, code="opted_out")}, Action.DROP),
        ({"error": replace(GAVE_UP, code="invalid_address")}, Action.DROP),
        ({"error": GAVE_UP, "twilio_sid": "SM1"}, Action.DROP),
        ({"error": GAVE_UP, "continued_as": "m2"}, Action.DROP),
        ({"error": GAVE_UP, "stop": "canceled"}, Action.DROP),
        ({"error": GAVE_UP, "to": ""}, Action.DROP),
        ({"error": GAVE_UP, "outbox": EVENT}, Action.LEAVE),
        ({"error": GAVE_UP, "expires_at": NOON}, Action.DROP),
        ({"error": GAVE_UP, "expires_at": NOON + 1}, Action.RENEW),
        ({}, Action.DROP),
    ],
)
def test_failed_is_sent_again_only_where_that_can_help(world: World, more: dict[str, Any], action: Action) -> None:
    world.stored(Status.FAILED, **more)
    assert world.plan().action is action


def test_renewal_is_one_new_record_however_often(world: World) -> None:
    world.stored(Status.FAILED, error=GAVE_UP)
    plan = world.plan()
    assert world.redrive_dead_letters.carry_out(plan)
    assert world.redrive_dead_letters.carry_out(plan), "a second redrive that planned at the same time"
    new = world.messages.get(continuation_id_of("m1"))
    assert new is not None
    assert (new.status, new.continues, new.attempts, new.due_at) == (Status.PENDING, "m1", 0, NOON)
    assert (new.to, new.template, new.error) == (TO, "mood_checkin", None)
    old = world.messages.get("m1")
    assert old is not None
    assert (old.status, old.continued_as) == (Status.FAILED, new.message_id)
    assert world.plan().action is Action.DROP


def test_request_without_a_record_goes_back_under_the_same_id(world: World) -> None:
    """SQS gave up before any record was made: the crash was ours, before the first write."""
    plan = world.plan({"to": TO, "template": "mood_checkin"}, queue_message_id="q7")
    assert (plan.action, plan.message_id) == (Action.REQUEUE, handle_of("q7"))
    world.redrive_dead_letters.carry_out(plan)
    assert world.queue.requests == [{"to": TO, "template": "mood_checkin", "idempotency_key": "q7", "asked_at": NOON}]


@pytest.mark.parametrize("key", [5, "", None])
def test_request_whose_key_is_none_keeps_what_it_said(world: World, key: object) -> None:
    plan = world.plan({"to": TO, "idempotency_key": key, "user_id": "user-42"}, queue_message_id="q7")
    assert (plan.message_id, (plan.request or {})["idempotency_key"]) == (handle_of("q7"), key or "q7")


ASKED = {"to": TO, "template": "mood_checkin", "idempotency_key": "appt-1", "user_id": "user-42", "text": "gentle"}


@pytest.mark.parametrize("body", [ASKED, {"poison": json.dumps(ASKED), "error": {"code": "c", "detail": "d"}}])
def test_letter_without_a_record_says_what_it_can_of_itself(world: World, body: dict[str, Any]) -> None:
    held = Held(DeadLetter("q1", "", NOON), "receipt", NOON)
    shown = describe(held, world.plan(body))
    assert "a request: idempotency_key appt-1, user_id user-42, template mood_checkin\n" in shown
    assert "98123" not in shown
    assert "gentle" not in shown


def test_letter_that_says_nothing_of_itself(world: World) -> None:
    shown = describe(Held(DeadLetter("q1", "", NOON), "receipt", NOON), world.plan({"poison": "{"}))
    assert "a request" not in shown


def test_request_with_a_record_is_judged_by_it(world: World) -> None:
    world.stored(Status.SENT, message_id=message_id_of("appt-1"))
    plan = world.plan({"to": TO, "template": "mood_checkin", "idempotency_key": "appt-1"})
    assert plan.action is Action.DROP


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"poison": "{", "error": {"code": "invalid_request", "detail": "not JSON"}}, "invalid_request: not JSON"),
        ({"poison": "{", "queue_message_id": "q9", "error": {"code": "c", "detail": "d"}}, "q9 on the send queue"),
        ({"poison": ["odd"]}, "its sender has to correct it"),
        ("not JSON", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ("[" * 100_000, "not a JSON object"),
        ({"message_id": "of another stack"}, "no such record"),
    ],
)
def test_what_nobody_can_send_stays(world: World, body: object, says: str) -> None:
    plan = world.plan(body)
    assert plan.action is Action.LEAVE
    assert says in plan.why
    assert not world.redrive_dead_letters.carry_out(plan)
    assert world.queue == RecordingQueue()
