"""The record that continues another one: when there is one, and all of its fields."""

from dataclasses import fields
from typing import Any

import pytest
from whatsapp.domain.errors import Failure
from whatsapp.domain.sending.continuation import continuation_after, continuation_of, redrive, resend
from whatsapp.domain.sending.lifecycle import REDRIVE, RESEND, Status
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.twilio_codes import ROWS, Action, Row

from tests.unit.sending_kit import (
    ALERT,
    CONTACT,
    DAY,
    EVENT,
    HOUR,
    ID,
    MINUTE,
    NOTHING,
    NOW,
    PATIENT,
    REPLY,
    SID,
    SUCCESSOR_ID,
    message,
    taken,
)

AS_ASKED: dict[str, Any] = {
    "contact_id": CONTACT,
    "to": PATIENT,
    "request_hash": "hash",
    "idempotency_key": "appt-1",
    "kind": REPLY,
    "template": "greeting",
    "language": "hi",
    "variables": {"patient_name": "Asha"},
    "text": "Hello Asha",
    "media_url": "https://example.org/a.png",
    "choices": [{"id": "1", "title": "Yes"}],
    "choices_label": "Answers",
    "user_id": "user",
    "agent": "scheduling",
    "in_reply_to": "SM3",
    "group": "appointment-1",
    "after_cancel": NOW - DAY,
    "unless": "answered",
    "priority": "urgent",
    "answer_by": NOW + DAY,
    "send_at": NOW - DAY,
    "expires_at": NOW + DAY,
    "on_unknown": "resend",
}
OF_THE_OLD: dict[str, Any] = {
    "continues": "before",
    "content_sid": "HX1",
    "twilio_sid": SID,
    "accepted_at": NOW - HOUR,
    "error": Failure(code="throttled", detail="too many requests"),
    "outbox": ALERT,
    "scheduled_for": NOW - HOUR,
    "waiting_since": NOW - HOUR,
    "attempts": 3,
    "due_at": None,
    "due_shard": None,
}


def test_a_continuation_is_the_same_request_begun_anew() -> None:
    successor = continuation_of(message(Status.FAILED, **AS_ASKED, **OF_THE_OLD), NOW)
    assert successor == Message(
        **AS_ASKED,
        message_id=SUCCESSOR_ID,
        continues=ID,
        asked_at=NOW - HOUR,
        status=Status.PENDING,
        created_at=NOW,
        status_at=NOW,
        attempt=None,
        attempts=0,
        claimed_at=None,
        twilio_sid=None,
        accepted_at=None,
        error=None,
        outbox=NOTHING,
        due_at=NOW,
        due_shard="urgent#3",
        scheduled_for=None,
        template_only=False,
        content_sid=None,
        waiting_since=None,
        stop=None,
        continued_as=None,
    )


def test_every_field_is_decided() -> None:
    """A new field of a message is added to one of the two lists above, or starts anew."""
    anew = {"message_id", "status", "created_at", "status_at", "asked_at", "attempt", "claimed_at"}
    anew |= {"template_only", "stop", "continued_as"}
    assert {field.name for field in fields(Message)} == AS_ASKED.keys() | OF_THE_OLD.keys() | anew


@pytest.mark.parametrize(
    ("asked_at", "then"), [(None, NOW - HOUR), (NOW - DAY, NOW - DAY)], ids=["of the first", "of a chain"]
)
def test_a_chain_was_asked_for_with_its_first_record(asked_at: int | None, then: int) -> None:
    successor = continuation_of(message(Status.FAILED, asked_at=asked_at), NOW)
    assert successor is not None
    assert successor.asked_at == then


@pytest.mark.parametrize(("was", "asked", "then"), [(False, False, False), (True, False, True), (False, True, True)])
def test_template_only_stays_in_a_chain(was: bool, asked: bool, then: bool) -> None:
    successor = continuation_of(message(Status.FAILED, template_only=was), NOW, template_only=asked)
    assert successor is not None
    assert successor.template_only is then


@pytest.mark.parametrize(
    ("values", "goes_on"),
    [
        ({}, True),
        ({"expires_at": NOW + 1}, True),
        ({"expires_at": NOW}, False),
        ({"expires_at": NOW - 1}, False),
        ({"expires_at": 0}, False),
        ({"stop": "canceled"}, False),
        ({"stop": "erased"}, False),
        ({"continued_as": SUCCESSOR_ID}, False),
    ],
)
@pytest.mark.parametrize(
    ("decide", "status", "step"), [(resend, Status.UNRESOLVED, RESEND), (redrive, Status.FAILED, REDRIVE)]
)
def test_a_message_is_continued_unless_stopped_expired_or_continued(
    decide: Any, status: Status, step: Any, values: dict[str, Any], goes_on: bool
) -> None:
    old = message(status, attempts=3, waiting_since=NOW - HOUR, **values)
    successor = continuation_of(old, NOW)
    assert (successor is not None) is goes_on
    if successor:
        assert (successor.attempts, successor.waiting_since) == (0, None)
    assert decide(old, NOW) == (taken(old, step, successor=successor) if goes_on else None)


@pytest.mark.parametrize(("decide", "status"), [(resend, Status.UNRESOLVED), (redrive, Status.FAILED)])
def test_an_end_that_is_not_published_yet_is_published_before_it_is_continued(decide: Any, status: Status) -> None:
    assert decide(message(status, outbox=EVENT), NOW) is None


# --- after a code ----------------------------------------------------------------------------------------------------

WINDOW, RETRY, THROTTLED, LIMIT = ROWS[63016], ROWS[63012], ROWS[14107], ROWS[63018]


@pytest.mark.parametrize(
    ("row", "was_accepted", "values", "successor"),
    [
        # Outside the window: once, as its template.
        (WINDOW, True, {"template": "greeting"}, {"template_only": True}),
        (WINDOW, False, {"template": "greeting"}, {"template_only": True}),
        (WINDOW, False, {"template": "greeting", "attempts": 3}, {"template_only": True}),
        (WINDOW, True, {"template": "greeting", "content_sid": "HX1"}, None),
        (WINDOW, True, {"template": None}, None),
        # It may pass: as long as attempts are left.
        (RETRY, True, {"attempts": 1}, {"attempts": 1}),
        (RETRY, True, {"attempts": 2, "waiting_since": NOW - HOUR}, {"attempts": 2}),
        (RETRY, True, {"attempts": 3}, None),
        (RETRY, True, {"attempts": 4}, None),
        (RETRY, False, {"attempts": 1}, None),
        (RETRY, True, {"template": "greeting", "attempts": 1}, {"attempts": 1}),
        # Throttled: not counted, for four hours.
        (THROTTLED, True, {"attempts": 1}, {"attempts": 0, "waiting_since": NOW}),
        (THROTTLED, True, {"attempts": 3}, {"attempts": 2, "waiting_since": NOW}),
        (THROTTLED, True, {"waiting_since": NOW - 1}, {"waiting_since": NOW - 1}),
        (THROTTLED, True, {"waiting_since": NOW - 4 * HOUR + 1}, {"waiting_since": NOW - 4 * HOUR + 1}),
        (THROTTLED, True, {"waiting_since": NOW - 4 * HOUR}, None),
        (THROTTLED, True, {"waiting_since": NOW - 4 * HOUR - 1}, None),
        (THROTTLED, False, {}, None),
        # A limit of our sender's: not counted, until it expires, with growing pauses.
        (LIMIT, True, {"attempts": 1}, {"attempts": 0, "waiting_since": NOW, "due_at": NOW + 6_000}),
        (LIMIT, True, {"waiting_since": NOW - MINUTE}, {"waiting_since": NOW - MINUTE, "due_at": NOW + 30_000}),
        (LIMIT, True, {"waiting_since": NOW - 9 * HOUR}, {"waiting_since": NOW - 9 * HOUR, "due_at": NOW + 5 * MINUTE}),
        (LIMIT, False, {}, None),
    ],
)
def test_a_failure_by_a_code_goes_on(
    row: Row, was_accepted: bool, values: dict[str, Any], successor: dict[str, Any] | None
) -> None:
    old = message(Status.SENT, **values)
    expected = None if successor is None else continuation_of(old, NOW, **successor)
    assert continuation_after(old, row, NOW, was_accepted=was_accepted) == expected
    if successor:
        assert expected is not None
        assert {name: getattr(expected, name) for name in successor} == successor


@pytest.mark.parametrize("was_accepted", [True, False])
@pytest.mark.parametrize(
    "row", [row for row in ROWS.values() if row.action is Action.FAIL], ids=lambda row: str(row.code)
)
def test_a_final_code_ends_the_chain(row: Row, was_accepted: bool) -> None:
    assert continuation_after(message(Status.SENT, template="greeting"), row, NOW, was_accepted=was_accepted) is None
