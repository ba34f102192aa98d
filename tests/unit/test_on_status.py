"""What a callback, or Twilio's list, makes of a message: forward only."""

from typing import Any

import pytest
from whatsapp.domain.errors import Failure
from whatsapp.domain.sending.continuation import continuation_of
from whatsapp.domain.sending.lifecycle import ACCEPT, DELIVER, FAIL, READ, STEPS, UNDELIVER, Status
from whatsapp.domain.sending.on_status import on_status, speaks_of
from whatsapp.domain.sending.twilio_codes import ROWS, Action, Audience, Row

from tests.unit.sending_kit import (
    ALERT,
    EVENT,
    HOUR,
    MINUTE,
    NOW,
    OTHER_SID,
    SECOND,
    SID,
    message,
    taken,
    update,
)

IN_DOUBT = (Status.SENDING, Status.UNKNOWN, Status.UNRESOLVED)
UNDERWAY = ("accepted", "scheduled", "queued", "sending", "sent", "receiving", "a new word", "")
"""Twilio's words that say no more than that it took the message."""
EARLIER = Failure(code="throttled", detail="too many requests", retryable=True)

STEP_BY_STATUS: dict[tuple[Status, str], str] = {
    **{(status, word): "accept" for status in IN_DOUBT for word in (*UNDERWAY, "delivered", "read")},
    **{(status, "failed"): "fail" for status in (*IN_DOUBT, Status.SENT)},
    **{(status, "undelivered"): "undeliver" for status in (*IN_DOUBT, Status.SENT)},
    **{(status, "delivered"): "deliver" for status in (Status.SENT, Status.UNDELIVERED, Status.FAILED)},
    **{(status, "read"): "read" for status in (Status.SENT, Status.UNDELIVERED, Status.FAILED, Status.DELIVERED)},
}
"""All that changes anything."""


@pytest.mark.parametrize("word", [*UNDERWAY, "delivered", "read", "failed", "undelivered"])
@pytest.mark.parametrize("status", Status)
def test_the_step_by_status_and_word(status: Status, word: str) -> None:
    transition = on_status(message(status), update(word, 63024), NOW)
    assert (transition.step.name if transition else None) == STEP_BY_STATUS.get((status, word))


def test_the_steps_are_in_the_lifecycle() -> None:
    assert set(STEP_BY_STATUS.values()) <= {step.name for step in STEPS}


# --- accepted --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["sent", "delivered", "read"])
@pytest.mark.parametrize("status", IN_DOUBT)
@pytest.mark.parametrize(
    ("claimed_at", "accepted_at"),
    [
        (NOW - SECOND, NOW),
        (NOW - 15 * MINUTE + 10 * SECOND + 1, NOW),
        (NOW - 15 * MINUTE + 10 * SECOND, NOW),
        (NOW - 15 * MINUTE + 10 * SECOND - 1, NOW - 1),
        (NOW - HOUR, NOW - 45 * MINUTE - 10 * SECOND),
        (None, NOW),
    ],
)
def test_a_doubt_is_accepted_and_dated_within_the_slots_guard(
    status: Status, word: str, claimed_at: int | None, accepted_at: int
) -> None:
    """The limit is counted from the acceptance: a late callback must not hold the slot for longer than need be."""
    doubtful = message(status, claimed_at=claimed_at, error=EARLIER)
    dated = {"accepted_at": accepted_at, "due": doubtful.due_at}
    expected = taken(doubtful, ACCEPT, outbox=EVENT, twilio_sid=SID, error=None, **dated)  # type: ignore[arg-type]  # fields
    assert on_status(doubtful, update(word), NOW) == expected


# --- delivered and read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "word", "step"),
    [
        (Status.SENT, "delivered", DELIVER),
        (Status.FAILED, "delivered", DELIVER),
        (Status.UNDELIVERED, "read", READ),
        (Status.DELIVERED, "read", READ),
    ],
)
def test_an_arrival_is_published(status: Status, word: str, step: Any) -> None:
    before = message(status, error=EARLIER, accepted_at=NOW - HOUR)
    expected = taken(before, step, due=before.due_at, outbox=EVENT, twilio_sid=SID, error=None)
    assert on_status(before, update(word), NOW) == expected


# --- failed after all ------------------------------------------------------------------------------------------------


def failure(code: int) -> Failure:
    row = ROWS[code]
    retryable = row.action in (Action.RETRY, Action.WAIT)
    return Failure(code=row.error, detail=row.meaning, twilio_code=code, retryable=retryable)


@pytest.mark.parametrize("attempts", [1, 2, 3])
@pytest.mark.parametrize(("word", "step"), [("failed", FAIL), ("undelivered", UNDELIVER)])
@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: str(row.code))
def test_each_code_does_what_its_row_says(row: Row, word: str, step: Any, attempts: int) -> None:
    before = message(Status.SENT, attempts=attempts, twilio_sid=SID)
    goes_on = {
        Action.RETRY: attempts < 3,
        Action.WAIT: True,
        Action.FAIL: False,
        Action.FALL_BACK: False,
    }[row.action]
    transition = on_status(before, update(word, row.code), NOW)
    assert transition is not None
    assert transition.step is step
    assert (transition.successor is not None) is goes_on
    alerts = row.alert is not Audience.NOBODY or (row.retryable and not goes_on)
    assert transition.after.outbox == (ALERT if alerts else EVENT), "what Twilio took is never dead-lettered"
    assert transition.after.error == failure(row.code)
    assert transition.proof == row, "the shell suppresses the contact and stops the template by it"


@pytest.mark.parametrize("status", [*IN_DOUBT, Status.SENT])
@pytest.mark.parametrize("known_sid", [None, SID])
def test_a_late_failure_keeps_what_is_known(status: Status, known_sid: str | None) -> None:
    before = message(status, twilio_sid=known_sid, accepted_at=NOW - HOUR)
    expected = taken(before, FAIL, outbox=EVENT, twilio_sid=SID, error=failure(63024), proof=ROWS[63024])
    assert on_status(before, update("failed", 63024), NOW) == expected


def test_an_update_without_a_sid_leaves_the_sid() -> None:
    before = message(Status.SENT, twilio_sid=SID)
    transition = on_status(before, update("failed", 63024, twilio_sid=""), NOW)
    assert transition is not None
    assert transition.after.twilio_sid == SID


@pytest.mark.parametrize(
    ("values", "code", "successor"),
    [
        ({}, 63012, {"attempts": 1}),
        ({"attempts": 2}, 63012, {"attempts": 2}),
        ({}, 14107, {"attempts": 0, "waiting_since": NOW}),
        ({}, 63017, {"attempts": 0, "waiting_since": NOW, "due_at": NOW + 6_000}),
        ({"waiting_since": NOW - HOUR}, 14107, {"attempts": 0, "waiting_since": NOW - HOUR}),
        ({"template": "greeting"}, 63016, {"template_only": True}),
    ],
)
def test_a_late_failure_goes_on_in_a_new_record(values: dict[str, Any], code: int, successor: dict[str, Any]) -> None:
    before = message(Status.SENT, twilio_sid=SID, **values)
    new = continuation_of(before, NOW, **successor)
    assert new is not None
    assert on_status(before, update("undelivered", code), NOW) == taken(
        before, UNDELIVER, outbox=EVENT, error=failure(code), successor=new, proof=ROWS[code]
    )


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"attempts": 3}, 63012),
        ({"stop": "canceled"}, 63012),
        ({"expires_at": NOW}, 63012),
        ({"waiting_since": NOW - 4 * HOUR}, 14107),
        ({"template": "greeting", "content_sid": "HX1"}, 63016),
    ],
    ids=["third attempt", "stopped", "expired", "four hours", "it was the template"],
)
def test_a_late_failure_that_cannot_go_on_alerts(values: dict[str, Any], code: int) -> None:
    before = message(Status.SENT, twilio_sid=SID, **values)
    expected = taken(before, FAIL, outbox=ALERT, error=failure(code), proof=ROWS[code])
    assert on_status(before, update("failed", code), NOW) == expected


@pytest.mark.parametrize("code", [None, 0, 69_999])
def test_a_failure_by_no_known_code_alerts(code: int | None) -> None:
    transition = on_status(message(Status.SENT), update("failed", code), NOW)
    assert transition is not None
    assert (transition.after.outbox, transition.successor) == (ALERT, None)
    assert transition.after.error == Failure(
        code="unknown_error", detail="a code that this version does not know", twilio_code=code
    )


# --- whose status it is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "known_sid", "of_attempt", "of_sid", "speaks"),
    [
        ("attempt-2", None, "attempt-2", SID, True),
        ("attempt-2", SID, "attempt-2", SID, True),
        ("attempt-2", None, "attempt-1", SID, False),
        ("attempt-2", SID, "attempt-1", SID, False),
        ("attempt-2", SID, "attempt-2", OTHER_SID, False),
        (None, None, "", SID, False),
    ],
)
def test_evidence_speaks_of_one_attempt_and_one_message_of_twilios(
    attempt: str | None, known_sid: str | None, of_attempt: str, of_sid: str, speaks: bool
) -> None:
    stored = message(Status.UNKNOWN, attempt=attempt, twilio_sid=known_sid)
    assert speaks_of(stored, update("sent", attempt=of_attempt, twilio_sid=of_sid)) is speaks
