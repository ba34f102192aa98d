"""The table of steps: what it allows, and what no step may ever do."""

import pytest
from whatsapp.domain.sending.lifecycle import ACCEPTED, IN_DOUBT, IN_FLIGHT, STEPS, WAITING, Slot, Status

ENDED = {Status.READ, Status.EXPIRED, Status.CANCELED, Status.REFUSED}


def test_no_step_leads_back_from_twilio_to_waiting() -> None:
    """One record, at most one message: what is or may be at Twilio is never sent again."""
    at_twilio = ACCEPTED | (IN_DOUBT - {Status.SENDING})
    for step in STEPS:
        if step.target in WAITING | {Status.CLAIMED, Status.SENDING}:
            assert not step.sources & at_twilio, step.name


def test_sending_waits_again_only_where_certainly_nothing_was_sent() -> None:
    back = {step.name for step in STEPS if Status.SENDING in step.sources and step.target in WAITING}
    assert back == {"retry"}


def test_only_a_claimed_message_is_posted() -> None:
    (fence,) = [step for step in STEPS if step.target is Status.SENDING]
    assert fence.sources == {Status.CLAIMED}


def test_what_has_ended_stays() -> None:
    for step in STEPS:
        assert not step.sources & ENDED, step.name


def test_every_status_can_be_reached() -> None:
    born = {Status.PENDING, Status.RECEIVED, Status.REFUSED}
    assert {step.target for step in STEPS} | born == set(Status)


def test_names_are_unique_and_explained() -> None:
    assert len({step.name for step in STEPS}) == len(STEPS)
    assert all(step.meaning for step in STEPS)


def test_callers_see_no_inner_state() -> None:
    assert {status.public_status for status in Status} == {s.value for s in Status} - {"claimed", "unknown_final"}


W, DOUBTFUL = "pending deferred retrying", "sending unknown unknown_final"
TABLE = {
    # step: (from, to, the slot, whether a request to stop forbids it)
    "store": ("pending", "pending", "untouched", False),
    "claim": (W, "claimed", "taken", True),
    "fence": ("claimed", "sending", "untouched", True),
    "accept": (DOUBTFUL, "sent", "opens after the rate limit", False),
    "retry": ("claimed sending", "retrying", "refunded", True),
    "take back": ("claimed", "retrying", "refunded", True),
    "refuse": ("claimed sending", "failed", "refunded", True),
    "give up": ("claimed sending", "failed", "refunded", True),
    "stop": ("claimed sending", "canceled", "refunded", False),
    "doubt": ("sending", "unknown", "untouched", False),
    "overdue": ("sending unknown", "unknown", "untouched", False),
    "end doubt": ("sending unknown", "unknown_final", "released", False),
    "resend": ("unknown_final", "unknown_final", "untouched", False),
    "redrive": ("failed", "failed", "untouched", False),
    "recognise": (f"claimed {W}", "sent", "opens after the rate limit", False),
    "suspect": (f"claimed {W} {DOUBTFUL}", "unknown_final", "released", False),
    "defer": (W, "deferred", "untouched", False),
    "expire": (W, "expired", "untouched", False),
    "cancel": (W, "canceled", "untouched", False),
    "drop": (W, "failed", "untouched", False),
    "fail": (f"{DOUBTFUL} sent", "failed", "released", False),
    "undeliver": (f"{DOUBTFUL} sent", "undelivered", "released", False),
    "deliver": ("sent undelivered failed", "delivered", "untouched", False),
    "read": ("sent undelivered failed delivered", "read", "untouched", False),
}


def test_the_whole_table() -> None:
    steps = {step.name: (set(step.sources), step.target, step.slot, step.stoppable) for step in STEPS}
    assert steps == {name: (set(sources.split()), *rest) for name, (sources, *rest) in TABLE.items()}


def test_the_groups_of_statuses() -> None:
    assert set(W.split()) == WAITING
    assert set(DOUBTFUL.split()) == IN_DOUBT
    assert {"claimed", "sending", "unknown"} == IN_FLIGHT
    assert {"sent", "undelivered", "delivered", "read"} == ACCEPTED


def test_a_refund_is_for_what_was_certainly_not_sent() -> None:
    for step in STEPS:
        if step.slot is Slot.REFUNDED:
            assert step.sources <= {Status.CLAIMED, Status.SENDING}, step.name


@pytest.mark.parametrize(("status", "seen"), [(Status.CLAIMED, "sending"), (Status.UNRESOLVED, "unknown")])
def test_an_inner_status_is_shown_as(status: Status, seen: str) -> None:
    assert status.public_status == seen
