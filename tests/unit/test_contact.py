"""What a contact's row says about the window, the slot and an erasure; and the pseudonyms of addresses."""

import pytest
from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.contact import Contact, ContactIds

from tests.fakes import NOON


def test_window_is_24_hours_from_the_last_inbound() -> None:
    contact = Contact(contact_id="c", last_inbound_at=NOON)
    assert contact.window_open(NOON + periods.WINDOW - 1)
    assert not contact.window_open(NOON + periods.WINDOW)
    assert not Contact(contact_id="c").window_open(NOON)


def test_slot_opens_by_the_last_acceptance_or_by_what_is_in_flight() -> None:
    hour = 3_600_000
    assert Contact(contact_id="c").slot_opens_at(NOON, hour) is None
    assert Contact(contact_id="c", next_allowed_at=NOON + 5).slot_opens_at(NOON, hour) == NOON + 5
    assert Contact(contact_id="c", next_allowed_at=NOON).slot_opens_at(NOON, hour) is None
    flying = Contact(contact_id="c", inflight="m#a", inflight_at=NOON - 10, next_allowed_at=NOON + 2 * hour)
    assert flying.slot_opens_at(NOON, hour) == NOON - 10 + hour
    assert Contact(contact_id="c", inflight="m#a").slot_opens_at(NOON, hour) == NOON + hour  # since when is not known


@pytest.mark.parametrize(
    ("erased_at", "at", "is_older"),
    [(None, NOON, False), (NOON, NOON - 1, True), (NOON, NOON, True), (NOON, NOON + 1, False)],
)
def test_what_was_written_until_the_erasure_must_not_come_back(erased_at: int | None, at: int, is_older: bool) -> None:
    assert Contact(contact_id="c", erased_at=erased_at).was_erased_since(at) is is_older


def test_messages_may_be_stored_under_the_contact_and_its_aliases() -> None:
    assert Contact(contact_id="c", aliases=frozenset({"b", "a"})).ids == ("c", "a", "b")


def test_pseudonym_depends_on_the_key_and_on_the_canonical_address_only() -> None:
    spellings = {ContactIds("key").of(Address(number)) for number in ("+5511987654321", "+551187654321")}
    assert len(spellings) == 1
    assert spellings.isdisjoint({ContactIds("another key").of(Address("+5511987654321"))})
    assert all(len(contact_id) == 32 and int(contact_id, 16) for contact_id in spellings)


def test_of_one_user_only_the_last_message_is_known() -> None:
    contact = Contact(contact_id="c", user_id="rohan", last_outbound_at=NOON)
    assert (contact.users_written_to(NOON + 5), contact.user_id_at(NOON + 5)) == ({"rohan": NOON}, "rohan")
    assert contact.written_to_after("rohan", NOON + 5) == {}
    assert Contact(contact_id="c", user_id="rohan").users_written_to(NOON) == {}


def test_users_of_one_phone_are_known_the_latest_first_until_only_one_was_written_to_of_late() -> None:
    first = Contact(contact_id="c", user_id="rohan", last_outbound_at=NOON)
    both = first.written_to_after("meera", NOON + 5)
    assert list(both.items()) == [("meera", NOON + 5), ("rohan", NOON)]
    shared = Contact(contact_id="c", user_id="meera", last_outbound_at=NOON + 5, written_to=both)
    ends = NOON + periods.USERS_REMEMBERED
    assert (shared.user_id_at(ends - 1), list(shared.users_written_to(ends - 1))) == (None, ["meera", "rohan"])
    assert (shared.user_id_at(ends), list(shared.users_written_to(ends))) == ("meera", ["meera"])
    assert list(shared.written_to_after("rohan", ends - 1)) == ["rohan", "meera"]
    assert shared.written_to_after("meera", ends) == {}
