"""What a status callback may change."""

import pytest
from whatsapp.domain.lifecycle import Status
from whatsapp.domain.ports import StatusUpdate

from tests.unit.receive_kit import Receiving, sid


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
