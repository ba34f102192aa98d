"""Contacts in DynamoDB."""

import pytest
from whatsapp.adapters.dynamodb.client import ConditionFailed, DynamoDB
from whatsapp.adapters.dynamodb.contact_store import ContactStore

from tests.fakes import NOON

TABLE = "ContactsTable"


@pytest.fixture
def contacts(db: DynamoDB) -> ContactStore:
    return ContactStore(db, TABLE)


def test_stranger_has_no_row(contacts: ContactStore) -> None:
    assert contacts.get("c1") is None


def test_what_the_caller_knows_is_kept_and_null_removes_it(contacts: ContactStore) -> None:
    contacts.update("c1", {"user_id": "u", "language": "hi"})
    contacts.update("c1", {"language": None, "agent": "mood"})
    contact = contacts.get("c1")
    assert contact is not None
    assert (contact.user_id, contact.language, contact.agent) == ("u", None, "mood")


def test_second_address_leads_to_the_one_row(contacts: ContactStore) -> None:
    contacts.update("number", {"user_id": "u"})
    contacts.tie("id", "number")
    contact = contacts.get("id")
    assert contact is not None
    assert (contact.contact_id, contact.user_id, contact.aliases) == ("number", "u", frozenset({"id"}))
    with pytest.raises(ConditionFailed):
        contacts.update("id", {"user_id": "somebody else"})


def test_of_two_rows_the_later_limit_and_either_opt_out_bind(contacts: ContactStore) -> None:
    contacts.update("number", {"next_allowed_at": NOON, "last_inbound_at": NOON})
    contacts.update("id", {"next_allowed_at": NOON + 7, "opted_out_at": NOON, "last_inbound_at": NOON - 9})
    contacts.tie("id", "number")
    contact = contacts.get("id")
    assert contact is not None
    assert (contact.next_allowed_at, contact.opted_out_at, contact.last_inbound_at) == (NOON + 7, NOON, NOON)


@pytest.mark.parametrize("flying", ["number", "id"])
def test_rows_are_not_joined_while_a_message_is_in_flight(contacts: ContactStore, flying: str) -> None:
    contacts.update("number", {"next_allowed_at": NOON})
    contacts.update("id", {"next_allowed_at": NOON})
    contacts.update(flying, {"inflight": "m#a"})
    contacts.tie("id", "number")
    own = contacts.get("id")
    assert own is not None
    assert own.contact_id == "id"


def test_suppression_needs_evidence_newer_than_the_last_sign_of_life(contacts: ContactStore) -> None:
    contacts.update("c1", {"last_inbound_at": NOON})
    contacts.suppress("c1", 63024, NOON)
    assert getattr(contacts.get("c1"), "suppressed_code", 0) is None
    contacts.suppress("c1", 63024, NOON + 1)
    assert getattr(contacts.get("c1"), "suppressed_code", 0) == 63024


@pytest.mark.parametrize(("arrived", "lifted"), [(NOON - 1, False), (NOON, True), (NOON + 1, True)])
def test_an_arrival_disproves_what_no_later_message_proved(contacts: ContactStore, arrived: int, lifted: bool) -> None:
    contacts.suppress("c1", 63024, NOON)
    contacts.lift_suppression("c1", arrived)
    row = contacts.get("c1")
    assert row is not None
    assert (row.suppressed_code, row.suppressed_at) == ((None, None) if lifted else (63024, NOON))


def test_an_arrival_of_a_contact_without_a_row_makes_none(contacts: ContactStore) -> None:
    contacts.lift_suppression("c1", NOON)
    assert contacts.get("c1") is None


def test_an_arrival_under_an_alias_lifts_the_contacts_suppression(contacts: ContactStore) -> None:
    contacts.tie("id", "number")
    contacts.suppress("number", 63024, NOON)
    contacts.lift_suppression("id", NOON)
    assert getattr(contacts.get("number"), "suppressed_code", 0) is None
