"""The policies against a second, a late or a lost message: each is one test that its opposite fails."""

from dataclasses import replace
from typing import Any

import pytest
from whatsapp.domain import periods as p
from whatsapp.domain.ports import OutgoingPost, StatusUpdate, TwilioMessage
from whatsapp.domain.sending.after_post import when_overtaken
from whatsapp.domain.sending.before_claim import fence
from whatsapp.domain.sending.lifecycle import END_DOUBT, EXPIRE, Status
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.on_doubt import LookAgain, on_doubt
from whatsapp.domain.sending.on_status import on_status, speaks_of
from whatsapp.domain.sending.transition import Transition
from whatsapp.domain.sending.when_due import Due, Turns, when_due

NOW = 1_795_503_600_000
SID, OTHER_SID = f"SM{1:032x}", f"SM{2:032x}"


def message(**more: Any) -> Message:
    values = {
        "message_id": "m" * 32,
        "contact_id": "0" * 32,
        "to": "+919812345678",
        "request_hash": "h",
        "created_at": NOW - p.HOUR,
        "status_at": NOW - p.HOUR,
        "status": Status.SENDING,
        "text": "see you then",
        "attempt": "a" * 12,
        "attempts": 1,
        "claimed_at": NOW,
    }
    return Message(**{**values, **more})


def listed(sid: str = SID, **more: Any) -> TwilioMessage:
    values = {
        "twilio_sid": sid,
        "status": "delivered",
        "direction": "outbound-api",
        "from_": "+14155550100",
        "to": "+919812345678",
        "body": "see you then",
        "date_created": NOW,
    }
    return TwilioMessage(**{**values, **more})


def unresolved(**more: Any) -> Message:
    return message(status=Status.UNRESOLVED, on_unknown="resend", **more)


# --- doubt -----------------------------------------------------------------------------------------------------------


def test_a_doubt_with_a_candidate_is_not_sent_again() -> None:
    """Two candidates: neither is certain, and each may be ours."""
    found = [listed(), listed(OTHER_SID)]
    assert on_doubt(unresolved(), found, [], NOW + p.RESEND) == LookAgain(None)


def test_a_doubt_without_a_candidate_is_sent_again_when_its_time_has_come() -> None:
    decided = on_doubt(unresolved(), [], [], NOW + p.RESEND)
    assert isinstance(decided, Transition)
    assert decided.successor
    assert on_doubt(unresolved(), [], [], NOW + p.RESEND - 1) == LookAgain(NOW + p.RESEND)


def test_of_several_candidates_none_is_taken() -> None:
    assert on_doubt(message(), [listed(), listed(OTHER_SID)], [], NOW + p.HOUR) == LookAgain(
        NOW + p.HOUR + p.RECONCILE_AGAIN
    )


def test_a_candidate_that_may_be_another_open_message_is_not_taken() -> None:
    twin = message(message_id="n" * 32, status=Status.UNKNOWN)
    assert isinstance(on_doubt(message(), [listed()], [twin], NOW + p.HOUR), LookAgain)
    elsewhere = replace(twin, text="something else")
    assert isinstance(on_doubt(message(), [listed()], [elsewhere], NOW + p.HOUR), StatusUpdate)


def test_a_candidate_that_another_record_owns_is_none() -> None:
    owner = message(message_id="n" * 32, status=Status.SENT, twilio_sid=SID)
    decided = on_doubt(message(), [listed()], [owner], NOW + p.DOUBT_HORIZON)
    assert isinstance(decided, Transition)
    assert decided.step is END_DOUBT


# --- order and time --------------------------------------------------------------------------------------------------


def test_of_a_contacts_waiting_messages_the_first_to_expire_goes() -> None:
    soon = message(message_id="s" * 32, status=Status.DEFERRED, expires_at=NOW + p.HOUR)
    later = message(message_id="l" * 32, status=Status.DEFERRED, expires_at=NOW + 2 * p.HOUR)
    never = message(message_id="n" * 32, status=Status.DEFERRED)
    seen = [never, later, soon]
    assert [when_due(m, Turns(seen), NOW) for m in seen] == [Due.NOTHING, Due.NOTHING, Due.NUDGE]


@pytest.mark.parametrize(("left", "expires"), [(1, False), (0, True)])
def test_a_message_expires_at_its_moment(left: int, expires: bool) -> None:
    decided = when_due(message(status=Status.PENDING, expires_at=NOW + left), Turns(), NOW)
    assert (isinstance(decided, Transition) and decided.step is EXPIRE) is expires


# --- evidence --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "sid", "ours"), [("a" * 12, SID, True), ("b" * 12, SID, False), ("a" * 12, OTHER_SID, False)]
)
def test_evidence_speaks_of_one_attempt_and_one_message(attempt: str, sid: str, ours: bool) -> None:
    update = StatusUpdate(message_id="m" * 32, attempt=attempt, twilio_sid=sid, status="delivered")
    assert speaks_of(message(twilio_sid=SID), update) is ours


def test_an_acceptance_shown_late_is_dated_no_later_than_it_can_have_been() -> None:
    update = StatusUpdate(message_id="m" * 32, attempt="a" * 12, twilio_sid=SID, status="queued")
    for later, latest in ((p.MINUTE, p.MINUTE), (2 * p.HOUR, p.LATEST_ACCEPTANCE)):
        shown = on_status(message(), update, NOW + later)
        assert shown
        assert shown.after.accepted_at == NOW + latest


# --- a worker that was overtaken -------------------------------------------------------------------------------------


def test_a_stale_worker_changes_nothing_of_a_later_attempt() -> None:
    lost = fence(message(status=Status.CLAIMED), OutgoingPost(to="+919812345678"), NOW)
    assert when_overtaken(lost, message(status=Status.CLAIMED, attempt="b" * 12, stop="canceled"), NOW) is None
    ours = when_overtaken(lost, message(status=Status.CLAIMED, stop="canceled"), NOW)
    assert ours
    assert ours.after.status is Status.CANCELED
