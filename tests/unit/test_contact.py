"""What a contact's row says about the window and the slot."""

from whatsapp.domain import periods
from whatsapp.domain.contact import Contact

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
