"""The table of steps: what it allows, and what no step may ever do."""

from whatsapp.domain.sending.lifecycle import (
    ACCEPTED,
    IN_DOUBT,
    STEPS,
    WAITING,
    Status,
)

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
