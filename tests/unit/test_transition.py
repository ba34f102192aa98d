"""What every step sets, when a message is looked at next, who hears of a failure, and the event of a status."""

import pytest
from whatsapp.domain.errors import Failure
from whatsapp.domain.events import MessageStatusChanged
from whatsapp.domain.sending.lifecycle import (
    ACCEPT,
    CANCEL,
    DEFER,
    DELIVER,
    DOUBT,
    FAIL,
    READ,
    RECOGNISE,
    RETRY,
    STEPS,
    STOP,
    Status,
    Step,
)
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.transition import Transition, next_look, outbox_of_failure, status_changed, swept_at, take
from whatsapp.domain.sending.twilio_codes import ROWS

from tests.unit.sending_kit import (
    ALERT,
    CONTACT,
    DEAD_LETTER,
    EVENT,
    HOUR,
    ID,
    MINUTE,
    NOTHING,
    NOW,
    PATIENT,
    SECOND,
    SHARD,
    SID,
    message,
)

ERROR = Failure(code="throttled", detail="too many requests", twilio_code=20429, retryable=True)
ROW = ROWS[20429]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_step_sets_status_and_time_and_clears_what_the_old_status_needed(step: Step) -> None:
    before = message(scheduled_for=NOW, outbox=ALERT, continued_as="one", error=ERROR)
    transition = take(before, step, NOW)
    after = transition.after
    assert transition == Transition(before=before, step=step, after=after)
    assert (after.status, after.status_at) == (step.target, NOW)
    assert (after.due_at, after.due_shard, after.scheduled_for, after.outbox) == (None, None, None, NOTHING)
    assert after.continued_as == "one"
    assert (after.attempt, after.attempts, after.claimed_at) == (before.attempt, before.attempts, before.claimed_at)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_an_earlier_error_stays_until_the_message_is_accepted_or_stopped(step: Step) -> None:
    is_over = step in (ACCEPT, RECOGNISE, STOP, DELIVER, READ)
    assert take(message(error=ERROR), step, NOW).after.error == (None if is_over else ERROR)


def test_a_step_carries_its_changes_its_successor_and_its_proof() -> None:
    successor = message(message_id="b" * 32)
    transition = take(
        message(), RETRY, NOW, successor=successor, proof=ROW, error=ERROR, attempts=7, scheduled_for=NOW + SECOND
    )
    after = transition.after
    assert (transition.successor, transition.proof, after.continued_as) == (successor, ROW, "b" * 32)
    assert (after.error, after.attempts, after.scheduled_for) == (ERROR, 7, NOW + SECOND)


@pytest.mark.parametrize(
    ("due_at", "outbox", "first_look"),
    [
        (None, NOTHING, None),
        (None, EVENT, NOW + MINUTE),
        (NOW, NOTHING, NOW),
        (NOW + HOUR, NOTHING, NOW + HOUR),
        (NOW + HOUR, EVENT, NOW + MINUTE),
        (NOW + SECOND, DEAD_LETTER, NOW + SECOND),
        (0, NOTHING, 0),
    ],
)
def test_an_outbox_is_looked_at_within_a_minute(
    due_at: int | None, outbox: frozenset[str], first_look: int | None
) -> None:
    transition = take(message(), DEFER, NOW, due_at=due_at, outbox=outbox)
    assert (transition.after.due_at, transition.after.outbox) == (first_look, outbox)
    assert transition.after.due_shard == (None if first_look is None else SHARD)
    assert transition.next_due == due_at


@pytest.mark.parametrize(
    ("now_is", "due_at", "look"),
    [
        (message(Status.DEFERRED, due_at=NOW), NOW + HOUR, (NOW + HOUR, "send")),
        (message(Status.PENDING, due_at=NOW), NOW + HOUR, (NOW + HOUR, "send")),
        (message(Status.RETRYING, due_at=NOW), None, (NOW, "send")),
        (message(Status.SENT, due_at=NOW + 7), NOW, (NOW + 7, "send")),
        (message(Status.SENT, due_at=None, accepted_at=NOW), NOW, (NOW + HOUR, "status")),
        (
            message(Status.SENT, due_at=None, accepted_at=None, created_at=NOW - MINUTE),
            1,
            (NOW + 59 * MINUTE, "status"),
        ),
        (message(Status.UNRESOLVED, on_unknown="resend", claimed_at=NOW), None, (NOW + 76 * MINUTE, "send")),
        (message(Status.UNRESOLVED, on_unknown="resend", claimed_at=None), None, (None, "send")),
        (message(Status.UNRESOLVED, on_unknown="hold"), None, (None, "send")),
        (message(Status.FAILED, on_unknown="resend"), None, (None, "send")),
        (message(Status.DELIVERED), None, (None, "send")),
        (message(Status.EXPIRED), None, (None, "send")),
    ],
    ids=lambda value: value.status if isinstance(value, Message) else None,
)
def test_next_look_once_the_outbox_is_empty(now_is: Message, due_at: int | None, look: tuple[int | None, str]) -> None:
    assert next_look(now_is, due_at) == look


@pytest.mark.parametrize(
    ("due_at", "shard", "kept"),
    [
        (NOW + 1, "urgent#1", True),
        (NOW + MINUTE, "send#1", True),
        (NOW + MINUTE + 1, "send#1", False),  # an event would be late
        (NOW, "send#1", False),  # the sweep looks at it now
        (NOW + 1, "status#1", False),  # another sweep, which publishes nothing
        (NOW + 1, None, False),
        (None, None, False),
    ],
)
def test_entry_of_the_index_is_kept_where_the_sweep_looks_soon_anyhow(
    due_at: int | None, shard: str | None, kept: bool
) -> None:
    sent = message(Status.SENT, due_at=due_at, due_shard=shard)
    after = take(sent, DELIVER, NOW, outbox=EVENT, due_at=swept_at(sent, NOW)).after
    moved = (NOW + MINUTE, after.sweep_shard)
    assert (after.due_at, after.due_shard) == ((due_at, shard) if kept else moved)


NOBODY, OPERATOR, FALL_BACK = ROWS[21610], ROWS[63018], ROWS[63016]
CHAINED, FIRST = {"waiting_since": NOW - HOUR}, {"waiting_since": None}


@pytest.mark.parametrize(
    ("row", "values", "has_successor", "was_retryable", "outbox"),
    [
        # The code alerts somebody: always.
        (OPERATOR, FIRST, False, False, ALERT),
        (OPERATOR, FIRST, True, False, ALERT),
        (OPERATOR, CHAINED, True, True, ALERT),
        (OPERATOR, CHAINED, False, False, ALERT),
        # The code alerts nobody: only where nothing goes on although it might have.
        (NOBODY, FIRST, False, False, EVENT),
        (NOBODY, CHAINED, False, False, EVENT),
        (NOBODY, FIRST, False, True, ALERT),
        (NOBODY, FIRST, True, True, EVENT),
        (NOBODY, {"content_sid": "HX1"}, False, False, EVENT),
        # Twilio takes a template for free text.
        (FALL_BACK, {"content_sid": None}, False, False, EVENT),
        (FALL_BACK, {"template": "greeting", "content_sid": "HX1"}, False, False, ALERT),
        (FALL_BACK, {"template": "greeting", "content_sid": "HX1"}, True, False, EVENT),
        # Choices are free text, which is sent with a content too.
        (FALL_BACK, {"content_sid": "HX1"}, False, False, EVENT),
    ],
)
def test_a_failure_alerts(
    row: object, values: dict[str, object], has_successor: bool, was_retryable: bool, outbox: frozenset[str]
) -> None:
    failed, successor = message(Status.SENT, **values), message() if has_successor else None
    assert outbox_of_failure(failed, row, successor, was_retryable=was_retryable) == outbox  # type: ignore[arg-type]


def test_a_failure_was_not_retryable_unless_it_is_said() -> None:
    assert outbox_of_failure(message(Status.SENT), NOBODY, None) == EVENT


def test_the_event_of_a_status_names_all_that_callers_know() -> None:
    known = {
        "user_id": "user",
        "agent": "scheduling",
        "twilio_sid": SID,
        "template": "greeting",
        "error": ERROR,
        "continues": "before",
        "continued_as": "after",
    }
    assert status_changed(message(Status.FAILED, status_at=NOW, **known)) == MessageStatusChanged(
        event_id=f"{ID}#failed",
        occurred_at="2026-11-24T12:30:00+05:30",
        contact_id=CONTACT,
        address=PATIENT,
        message_id=ID,
        status="failed",
        scheduled_for=None,
        will_expire=False,
        **known,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("values", "event_id", "scheduled_for", "will_expire"),
    [
        ({}, f"{ID}#deferred#{NOW}", "2026-11-24T12:30:00+05:30", False),
        ({"expires_at": NOW + 1}, f"{ID}#deferred#{NOW}", "2026-11-24T12:30:00+05:30", False),
        ({"expires_at": NOW}, f"{ID}#deferred#{NOW}", "2026-11-24T12:30:00+05:30", True),
        ({"expires_at": NOW - 1}, f"{ID}#deferred#{NOW}", "2026-11-24T12:30:00+05:30", True),
        ({"scheduled_for": None, "expires_at": NOW}, f"{ID}#deferred", None, False),
        ({"status": Status.CANCELED, "expires_at": NOW}, f"{ID}#canceled", None, False),
        ({"status": Status.UNKNOWN, "expires_at": NOW}, f"{ID}#unknown#overdue", None, False),
        ({"status": Status.UNRESOLVED}, f"{ID}#unknown", None, False),
    ],
)
def test_a_deferral_says_until_when_and_whether_that_is_too_late(
    values: dict[str, object], event_id: str, scheduled_for: str | None, will_expire: bool
) -> None:
    event = status_changed(message(**{"status": Status.DEFERRED, "scheduled_for": NOW, **values}))  # type: ignore[arg-type]
    assert (event.event_id, event.scheduled_for, event.will_expire) == (event_id, scheduled_for, will_expire)


def test_a_status_without_a_time_is_dated_by_the_record() -> None:
    assert status_changed(message(Status.CANCELED, status_at=None)).occurred_at == "2026-11-24T11:30:00+05:30"


@pytest.mark.parametrize(("step", "kind"), [(CANCEL, "send"), (DOUBT, "urgent"), (FAIL, "send")])
def test_the_status_and_the_contact_decide_the_shard(step: Step, kind: str) -> None:
    for first, shard in (("00000000", 0), ("00000001", 1), ("0000000e", 2), ("ffffffff", 3)):
        after = take(message(contact_id=first + "c" * 24), step, NOW, due_at=NOW).after
        assert after.due_shard == f"{kind}#{shard}"
