"""What the sweep does with a message that is due."""

from typing import Any

import pytest
from whatsapp.domain.errors import Failure
from whatsapp.domain.sending.lifecycle import EXPIRE, GIVE_UP, TAKE_BACK, Status
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.when_due import Due, Turns, when_due

from tests.unit.sending_kit import CONTACT, DEAD_LETTER, EVENT, HOUR, NOW, REPLY, message, taken

WAITING = [Status.PENDING, Status.DEFERRED, Status.RETRYING]
DIED = Failure(code="twilio_unavailable", detail="the worker died before it could send", retryable=True)


@pytest.mark.parametrize(
    ("status", "then"),
    [
        *((status, Due.NUDGE) for status in WAITING),
        *((status, Due.LOOK_UP) for status in (Status.SENDING, Status.UNKNOWN, Status.UNRESOLVED)),
        *(
            (status, Due.NOTHING)
            for status in (Status.SENT, Status.UNDELIVERED, Status.FAILED, Status.DELIVERED, Status.READ)
        ),
        *((status, Due.NOTHING) for status in (Status.EXPIRED, Status.CANCELED, Status.REFUSED, Status.RECEIVED)),
    ],
)
def test_by_status(status: Status, then: Due) -> None:
    assert when_due(message(status), Turns(), NOW) is then


@pytest.mark.parametrize("status", WAITING)
@pytest.mark.parametrize(("expires_at", "is_expired"), [(NOW + 1, False), (NOW, True), (NOW - 1, True)])
def test_a_waiting_message_expires(status: Status, expires_at: int, is_expired: bool) -> None:
    waiting = message(status, expires_at=expires_at, scheduled_for=NOW)
    assert when_due(waiting, Turns(), NOW) == (taken(waiting, EXPIRE, outbox=EVENT) if is_expired else Due.NUDGE)


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_claim_whose_worker_died_is_taken_back_and_goes_at_once(attempts: int) -> None:
    claimed = message(Status.CLAIMED, attempts=attempts)
    assert when_due(claimed, Turns(), NOW) == taken(claimed, TAKE_BACK, due=NOW, scheduled_for=NOW, error=DIED)


@pytest.mark.parametrize("attempts", [3, 4])
def test_the_third_worker_that_died_is_the_last(attempts: int) -> None:
    claimed = message(Status.CLAIMED, attempts=attempts)
    assert when_due(claimed, Turns(), NOW) == taken(claimed, GIVE_UP, outbox=DEAD_LETTER, error=DIED)


@pytest.mark.parametrize("status", [Status.CLAIMED, Status.SENDING, Status.UNKNOWN])
def test_what_a_worker_has_does_not_expire(status: Status) -> None:
    judged = when_due(message(status, expires_at=NOW), Turns(), NOW)
    assert judged is Due.LOOK_UP or (not isinstance(judged, Due) and judged.step is TAKE_BACK)


# --- one slot, several messages --------------------------------------------------------------------------------------


def rival(message_id: str = "b" * 32, /, status: Status = Status.DEFERRED, **values: Any) -> Message:
    return message(status, **{"message_id": message_id, "expires_at": NOW + HOUR, **values})


@pytest.mark.parametrize(
    ("expires_at", "rivals", "then"),
    [
        (NOW + HOUR, [], Due.NUDGE),
        # Which expires first goes first.
        (NOW + HOUR, [rival(expires_at=NOW + HOUR - 1)], Due.NOTHING),
        (NOW + HOUR, [rival(expires_at=NOW + HOUR + 1)], Due.NUDGE),
        (NOW + HOUR, [rival(expires_at=NOW + HOUR + 1), rival("c" * 32, expires_at=NOW + 1)], Due.NOTHING),
        (NOW + HOUR, [rival(expires_at=None)], Due.NUDGE),
        (None, [rival(expires_at=NOW + 100 * HOUR)], Due.NOTHING),
        (None, [rival(expires_at=None)], Due.NUDGE),
        # Then the older, then the smaller id.
        (NOW + HOUR, [rival(created_at=NOW - HOUR - 1)], Due.NOTHING),
        (NOW + HOUR, [rival(created_at=NOW - HOUR + 1)], Due.NUDGE),
        (None, [rival(expires_at=None, created_at=NOW - HOUR - 1)], Due.NOTHING),
        (NOW + HOUR, [rival("9" * 32)], Due.NOTHING),
        (NOW + HOUR, [rival("b" * 32)], Due.NUDGE),
        # No rivals: of another contact, a reply, not waiting.
        (NOW + HOUR, [rival(expires_at=NOW + 1, contact_id="f" * 32)], Due.NUDGE),
        (NOW + HOUR, [rival(expires_at=NOW + 1, kind=REPLY)], Due.NUDGE),
        (NOW + HOUR, [rival(expires_at=NOW + 1, status=Status.CLAIMED)], Due.NUDGE),
        (NOW + HOUR, [rival(expires_at=NOW + 1, status=Status.SENT)], Due.NUDGE),
    ],
)
def test_of_a_contacts_messages_only_the_first_to_expire_is_nudged(
    expires_at: int | None, rivals: list[Message], then: Due
) -> None:
    mine = message(Status.DEFERRED, expires_at=expires_at)
    assert mine.contact_id == CONTACT
    assert when_due(mine, Turns([mine, *rivals]), NOW) is then
    assert when_due(mine, Turns([*rivals, mine]), NOW) is then
    assert when_due(mine, Turns(rivals), NOW) is then


def test_a_reply_needs_no_turn() -> None:
    assert when_due(message(Status.DEFERRED, kind=REPLY), Turns([rival(expires_at=NOW + 1)]), NOW) is Due.NUDGE


def test_a_rival_that_has_expired_still_goes_first_until_it_is_judged_itself() -> None:
    expired = rival(expires_at=NOW)
    assert when_due(message(Status.DEFERRED), Turns([expired]), NOW) is Due.NOTHING
    assert when_due(expired, Turns(), NOW) == taken(expired, EXPIRE, outbox=EVENT)
