"""Contacts in DynamoDB."""

from typing import Any

import pytest
from whatsapp.adapters.dynamodb.client import ConditionFailed, DynamoDB
from whatsapp.adapters.dynamodb.contact_store import ContactMovedError, ContactStore

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
    assert (contact.next_allowed_at, contact.tied_until) == (NOON, NOON + 7)
    assert (contact.opted_out_at, contact.last_inbound_at) == (NOON, NOON)


@pytest.mark.parametrize(("met_at", "comes_along"), [(NOON - 1, False), (NOON, False), (NOON + 1, True)])
def test_what_an_erasure_removed_does_not_come_back_by_the_other_address(
    contacts: ContactStore, met_at: int, comes_along: bool
) -> None:
    known = {"user_id": "u", "last_outbound_agent": "mood", "last_inbound_at": met_at}
    contacts.update("number", {"erased_at": NOON})
    contacts.update("id", {**known, "user_written_at": NOON - 5, "opted_out_at": NOON - 5})
    contacts.tie("id", "number")
    contact = contacts.get("number")
    assert contact is not None
    assert list(contact.known_users) == (["u"] if comes_along else [])
    assert {name: getattr(contact, name) for name in known} == (known if comes_along else dict.fromkeys(known))
    assert contact.opted_out_at == NOON - 5


def row(contacts: ContactStore, contact_id: str) -> dict[str, Any]:
    """A row as it is stored."""
    item = contacts._db.get(TABLE, {"contact_id": contact_id}) or {}
    return {name: value for name, value in item.items() if name not in ("contact_id", "write_id")}


@pytest.mark.parametrize("flying", ["number", "id", "both"])
def test_message_in_flight_does_not_keep_an_opt_out_from_binding_both(contacts: ContactStore, flying: str) -> None:
    for one in ("number", "id"):
        in_flight = {"inflight": f"{one}#a", "inflight_at": NOON - 5, "prev_next": 0}
        contacts.update(one, {"next_allowed_at": NOON, **(in_flight if flying in (one, "both") else {})})
    contacts.update("id", {"opted_out_at": NOON, "next_allowed_at": NOON + 7})
    contacts.tie("id", "number")
    contact = contacts.get("id")
    assert contact is not None
    assert (contact.contact_id, contact.opted_out_at) == ("number", NOON)
    assert contact.inflight == (None if flying == "id" else "number#a")
    assert contact.slot_opens_at(NOON, 1) == NOON + 7
    assert (contact.next_allowed_at, contact.tied_until) == (NOON, NOON + 7), "settling sets the first one"
    assert row(contacts, "id").get("inflight") == (None if flying == "number" else "id#a")


def test_reply_in_flight_under_the_id_keeps_its_lane(contacts: ContactStore) -> None:
    contacts.update("number", {"reply_inflight": "old#a", "reply_until": NOON})
    contacts.update("id", {"reply_inflight": "new#a", "reply_until": NOON + 1, "user_id": "u"})
    contacts.tie("id", "number")
    lane = {"reply_inflight": "new#a", "reply_until": NOON + 1}
    assert row(contacts, "number") == {**lane, "user_id": "u", "aliases": {"id"}}
    assert row(contacts, "id") == {**lane, "alias_of": "number"}


def test_words_of_both_rows_are_kept_in_their_order(contacts: ContactStore) -> None:
    def word(message_id: str, at: int) -> dict[str, Any]:
        return {"message_id": message_id, "opt": "out", "at": at, "is_dated": False}

    contacts.update("number", {"opt_words": [word("b", NOON)]})
    contacts.update("id", {"opt_words": [word("a", NOON - 1), word("c", NOON + 1)]})
    contacts.tie("id", "number")
    contact = contacts.get("id")
    assert contact is not None
    assert [one.message_id for one in contact.opt_words] == ["a", "b", "c"]


def test_row_that_changes_meanwhile_is_read_again(contacts: ContactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    contacts.update("number", {"user_id": "u"})
    transact, times = contacts._db.transact, 0

    def meanwhile(*changes: Any) -> None:
        nonlocal times
        times += 1
        if times < 3:
            contacts.update("id", {"opted_out_at": NOON + times})
        transact(*changes)

    monkeypatch.setattr(contacts._db, "transact", meanwhile)
    contacts.tie("id", "number")
    contact = contacts.get("id")
    assert contact is not None
    assert (contact.contact_id, contact.opted_out_at) == ("number", NOON + 2)


def test_rows_that_never_stand_still_are_an_error(contacts: ContactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> None:
        raise ConditionFailed([], [])

    monkeypatch.setattr(contacts._db, "transact", failing)
    with pytest.raises(ContactMovedError):
        contacts.tie("id", "number")


def test_suppression_of_what_became_an_alias_binds_the_contact(contacts: ContactStore) -> None:
    contacts.tie("id", "number")
    contacts.suppress("id", 63024, NOON)
    assert getattr(contacts.get("number"), "suppressed_code", 0) == 63024


def test_suppression_needs_evidence_newer_than_the_last_sign_of_life(contacts: ContactStore) -> None:
    contacts.update("c1", {"last_inbound_at": NOON})
    contacts.suppress("c1", 63024, NOON)
    assert getattr(contacts.get("c1"), "suppressed_code", 0) is None
    contacts.suppress("c1", 63024, NOON + 1)
    assert getattr(contacts.get("c1"), "suppressed_code", 0) == 63024


def test_rows_of_former_spellings_are_tied_with_their_aliases(contacts: ContactStore) -> None:
    contacts.update("old", {"user_id": "u", "opted_out_at": NOON})
    contacts.tie("id", "old")
    contacts.update("new", {"language": "fr"})
    for contact_id in ("new", "old", "id"):
        found = contacts.find("new", ["old", "older"])
        assert found == contacts.get(contact_id)
        assert found is not None
        assert (found.contact_id, found.user_id, found.language, found.opted_out_at) == ("new", "u", "fr", NOON)
        assert found.aliases == {"old", "id"}
    assert contacts.get("older") is None, "no row is made for a spelling that was never stored"


def test_stranger_is_not_found_under_a_former_spelling(contacts: ContactStore) -> None:
    assert contacts.find("new", ["old"]) is None
    assert contacts.get("new") is None


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


def test_users_of_both_rows_are_remembered(contacts: ContactStore) -> None:
    contacts.update("number", {"user_id": "rohan", "last_outbound_at": NOON})
    contacts.update("id", {"user_id": "meera", "last_outbound_at": NOON + 5})
    contacts.tie("id", "number")
    tied = contacts.get("number")
    assert tied
    assert list(tied.users_written_to(NOON + 9)) == ["meera", "rohan"]
