"""How far a group got, and what its cancel covers."""

import pytest
from whatsapp.domain.contact import Contact
from whatsapp.domain.sending.group import Group, Progress, got_as_far_as
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message

from tests.unit.sending_kit import CONTACT, NOW, message


def at(status: Status, claimed_at: int = NOW) -> Message:
    return message(status, claimed_at=claimed_at)


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
    ("claimed", "wrote", "answered"),
    [
        ([NOW], None, False),
        ([NOW], NOW - 1, False),
        ([NOW], NOW, True),
        ([NOW + 5, NOW], NOW + 1, True),  # since the first of them
        ([], NOW, False),
    ],
)
def test_answered_since_the_first(claimed: list[int], wrote: int | None, answered: bool) -> None:
    contact = Contact(contact_id=CONTACT, last_inbound_at=wrote)
    messages = [at(Status.SENT, claimed_at) for claimed_at in claimed]
    assert got_as_far_as("answered", messages, contact) is answered


@pytest.mark.parametrize("status", [Status.SENDING, Status.UNKNOWN, Status.UNRESOLVED])
def test_what_is_in_doubt_may_have_been_answered(status: Status) -> None:
    wrote = [NOW - 2_000, NOW - 1_000]  # it was claimed a second ago
    contacts = [Contact(contact_id=CONTACT, last_inbound_at=at) for at in wrote]
    assert [got_as_far_as("answered", [message(status)], contact) for contact in contacts] == [False, True]


def test_what_never_reached_twilio_is_not_answered() -> None:
    contact = Contact(contact_id=CONTACT, last_inbound_at=NOW)
    assert not got_as_far_as("answered", [at(Status.FAILED)], contact)


@pytest.mark.parametrize(
    ("canceled_at", "asked_at", "canceled"),
    [
        (None, None, False),
        (None, NOW, False),
        (NOW, NOW - 1, True),
        (NOW, NOW, True),
        (NOW, NOW + 1, False),
        (NOW, None, False),  # it comes just now
    ],
)
def test_a_cancel_covers_what_was_asked_for_before(
    canceled_at: int | None, asked_at: int | None, canceled: bool
) -> None:
    group = Group(name="appointment-1", canceled_at=canceled_at)
    asked = message(Status.PENDING, after_cancel=group.cancel_before(asked_at))
    assert group.is_canceled_for(asked) is canceled
    assert Group(name="appointment-1", canceled_at=NOW + 1_000).is_canceled_for(asked)
