"""What a status callback may change, and what it brings to light."""

import pytest
from whatsapp.domain.lifecycle import Status
from whatsapp.domain.ports import StatusUpdate

from tests.unit.receive_kit import ASHA, IDS, MINUTE, Receiving, sid


@pytest.mark.parametrize("status", ["delivered", "failed"])
def test_another_message_with_our_callback_address_changes_nothing(side: Receiving, status: str) -> None:
    """Somebody sent it again at Twilio, by hand, with all its parameters."""
    ours = side.outgoing("ours")
    theirs = StatusUpdate(
        message_id=ours.message_id, attempt=ours.attempt or "", twilio_sid=sid(77), status=status, error_code=None
    )
    side.record_status(theirs)
    kept = side.messages.get(ours.message_id)
    assert kept is not None
    assert (kept.twilio_sid, kept.status) == (ours.twilio_sid, Status.SENT)
    assert side.metrics.counts["UnmatchedCallbacks"] == 1


@pytest.mark.parametrize(("minutes_after", "violations"), [(59, 1), (60, 0)])
def test_a_violation_of_the_limit_that_only_a_callback_shows_is_counted(
    side: Receiving, minutes_after: int, violations: int
) -> None:
    now = side.clock.now()
    side.contacts.update(IDS.of(ASHA), {"last_accepted_at": now - minutes_after * MINUTE})
    in_doubt = side.outgoing("doubt", status=Status.SENDING, twilio_sid=None, accepted_at=None, t0=now - 1_000)
    side.record_status(
        StatusUpdate(message_id=in_doubt.message_id, attempt="a" * 12, twilio_sid=sid(5), status="delivered")
    )
    assert side.metrics.counts["MessagesSent"] == 1
    assert side.metrics.counts.get("RateLimitViolations", 0) == violations
