"""What a status callback may change, and what it brings to light."""

from dataclasses import replace

import pytest
from whatsapp.domain.ports import StatusUpdate
from whatsapp.domain.sending.lifecycle import Status

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
    in_doubt = side.outgoing("doubt", status=Status.SENDING, twilio_sid=None, accepted_at=None, claimed_at=now - 1_000)
    side.record_status(
        StatusUpdate(message_id=in_doubt.message_id, attempt="a" * 12, twilio_sid=sid(5), status="delivered")
    )
    assert side.metrics.counts["MessagesSent"] == 1
    assert side.metrics.counts.get("RateLimitViolations", 0) == violations


def test_the_patients_own_word_outweighs_an_older_failure(side: Receiving) -> None:
    now = side.clock.now()
    side.contacts.update(IDS.of(ASHA), {"last_inbound_at": now - MINUTE})
    sent = side.outgoing("sent", claimed_at=now - 60 * MINUTE)
    side.record_status(undelivered(sent.message_id, sent.twilio_sid))
    assert side.contact().suppressed_code is None


def test_a_failure_told_after_the_patient_had_read_it_proves_nothing(side: Receiving) -> None:
    read = side.outgoing("read", status=Status.READ, claimed_at=side.clock.now() - MINUTE)
    side.record_status(undelivered(read.message_id, read.twilio_sid))
    assert side.contact().suppressed_code is None
    assert side.metrics.counts.get("MessagesFailed", 0) == 0


def test_a_strangers_callback_does_not_stand_in_for_ours(side: Receiving) -> None:
    ours = side.outgoing("ours")
    told = StatusUpdate(message_id=ours.message_id, attempt="a" * 12, twilio_sid=sid(77), status="delivered")
    side.record_status(told)
    side.record_status(replace(told, twilio_sid=ours.twilio_sid or ""))
    assert side.item(ours.message_id)["status"] == "delivered"


def undelivered(message_id: str, twilio_sid: str | None) -> StatusUpdate:
    """WhatsApp could not reach the recipient."""
    return StatusUpdate(
        message_id=message_id, attempt="a" * 12, twilio_sid=twilio_sid or "", status="undelivered", error_code=63024
    )
