"""How far a group got, and what its cancel covers."""

import pytest
from whatsapp.domain.contact import Contact
from whatsapp.domain.sending.group import Group, Progress, got_as_far_as
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message

from tests.unit.sending_kit import CONTACT, NOW, message


def at(status: Status, accepted_at: int | None = NOW) -> Message:
    return message(status, accepted_at=accepted_at)


@pytest.mark.parametrize(
    ("status", "reached"),
    [
        (Status.DEFERRED, []),
        (Status.SENT, []),
        (Status.FAILED, []),
        (Status.UNDELIVERED, []),
        (Status.DELIVERED, ["delivered"]),
        (Status.READ, ["delivered", "read"]),
    ],
)
def test_a_status_gets_as_far(status: Status, reached: list[Progress]) -> None:
    contact = Contact(contact_id=CONTACT)
    asked: list[Progress] = ["answered", "delivered", "read"]
    assert [progress for progress in asked if got_as_far_as(progress, [at(status)], contact)] == reached


@pytest.mark.parametrize(
    ("accepted", "wrote", "answered"),
    [
        ([NOW], None, False),
        ([NOW], NOW - 1, False),
        ([NOW], NOW, True),
        ([NOW + 5, NOW], NOW + 1, True),  # since the first of them
        ([], NOW, False),
        ([None], NOW, False),
    ],
)
def test_answered_since_the_first(accepted: list[int | None], wrote: int | None, answered: bool) -> None:
    contact = Contact(contact_id=CONTACT, last_inbound_at=wrote)
    messages = [at(Status.SENT, accepted_at) for accepted_at in accepted]
    assert got_as_far_as("answered", messages, contact) is answered


def test_what_never_reached_twilio_is_not_answered() -> None:
    contact = Contact(contact_id=CONTACT, last_inbound_at=NOW)
    assert not got_as_far_as("answered", [at(Status.FAILED)], contact)


@pytest.mark.parametrize(
    ("canceled_at", "asked_at", "canceled"),
    [(None, NOW, False), (NOW, NOW - 1, True), (NOW, NOW, True), (NOW, NOW + 1, False)],
)
def test_a_cancel_covers_what_was_asked_for_before(canceled_at: int | None, asked_at: int, canceled: bool) -> None:
    asked = message(Status.PENDING, asked_at=asked_at)
    assert Group(name="appointment-1", canceled_at=canceled_at).is_canceled_for(asked) is canceled
