"""The contact routes: who an address is, and the conversation page by page."""

import base64

import pytest
from whatsapp.domain.address import Address
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.schedule import iso

from tests.unit.receive_kit import ASHA, HIDDEN, IDS, Receiving, sid


def test_address_that_was_never_seen_has_an_id_all_the_same(side: Receiving) -> None:
    assert side.manage_contacts.lookup("98123 45678") == {"contact_id": IDS.of(ASHA), "known": False}
    with pytest.raises(MessagingError, match="invalid_address"):
        side.manage_contacts.lookup("12")


def test_put_lifts_a_suppression(side: Receiving) -> None:
    side.contacts.update(IDS.of(ASHA), {"suppressed_code": 63024})
    side.manage_contacts.put(ASHA.value, {})
    assert side.contact().suppressed_code is None


def test_known_before_the_first_message(side: Receiving) -> None:
    known = side.manage_contacts.put("98123 45678", {"user_id": "user-7", "agent": "mood"})
    assert side.manage_contacts.lookup(ASHA.value) == {"contact_id": known["contact_id"], "known": True}
    side.receive_message(side.form(1))
    assert (side.published()[0].user_id, side.published()[0].agent) == ("user-7", "mood")


def test_caller_that_names_the_id_does_not_replace_the_number(side: Receiving) -> None:
    side.receive_message(side.form(1, external_user_id=HIDDEN))
    side.manage_contacts.put(HIDDEN.value, {"user_id": "user-9"})
    assert (side.contact().address, side.contact().user_id) == (ASHA.value, "user-9")


def test_contact_of_before_a_renumbering_is_found_by_both_spellings(side: Receiving) -> None:
    old, new = Address("+22997123456"), Address("+2290197123456")
    (former,) = IDS.former(new)
    side.contacts.update(former, {"user_id": "user-7"})
    assert side.manage_contacts.lookup("+229 01 97 12 34 56") == {"contact_id": IDS.of(new), "known": True}
    assert side.manage_contacts.put(old.value, {"language": "fr"}) == {"contact_id": IDS.of(new)}
    assert side.manage_contacts.conversation(former, None, None)["user_id"] == "user-7"


@pytest.mark.parametrize(
    "mark", ['[1e999, "a"]', '[1.5, "a"]', '[true, "a"]', '[-1, "a"]', f'[{10**40}, "a"]', "[1]", "[1, 2]", "[" * 5_000]
)
def test_place_that_no_page_gave_is_refused(side: Receiving, mark: str) -> None:
    side.receive_message(side.form(1))
    with pytest.raises(MessagingError, match="before"):
        side.manage_contacts.conversation(IDS.of(ASHA), 4, base64.urlsafe_b64encode(mark.encode()).decode())


def test_pages_of_a_conversation_leave_nothing_out_and_show_nothing_twice(side: Receiving) -> None:
    """Under two contact_ids, several in the same millisecond, both directions."""
    wanted = []
    for number in range(18):
        side.clock.at += 5 if number % 3 else 0
        if number % 5 == 0:
            wanted.append(side.outgoing(f"n{number}").message_id)
        else:
            from_ = HIDDEN if number % 2 and number < 9 else ASHA
            wanted.append(side.receive_message(side.form(number, from_=from_)).message_id)
    side.receive_message(side.form(99, external_user_id=HIDDEN))
    wanted.append(sid(99))
    seen: list[str] = []
    before = None
    for _ in range(20):
        page = side.manage_contacts.conversation(IDS.of(ASHA), 4, before)
        seen = [message["message_id"] for message in page["messages"]] + seen
        before = page["next_before"]
        if before is None:
            break
    assert sorted(seen) == sorted(wanted)
    assert len(set(seen)) == len(seen)
    assert [m["at"] for m in page["messages"]] == sorted(m["at"] for m in page["messages"])


def test_conversation_shows_both_directions_as_callers_know_them(side: Receiving) -> None:
    ours = side.outgoing("asked")
    side.clock.sleep(1)
    side.receive_message(side.form(1, "STOP"))
    page = side.manage_contacts.conversation(IDS.of(ASHA), None, None)
    assert (page["contact_id"], page["opted_out"], page["next_before"]) == (IDS.of(ASHA), True, None)
    shown = [(m["message_id"], m["direction"], m["status"], m["text"]) for m in page["messages"]]
    assert shown == [(ours.message_id, "outbound", "sent", "Dear Asha"), (sid(1), "inbound", "received", "STOP")]
    assert page["messages"][1]["at"] == iso(side.clock.now())


def test_conversation_shows_which_file_we_sent(side: Receiving) -> None:
    side.receive_message(side.form(1))
    side.clock.sleep(1)
    side.outgoing("asked", text=None, media_url="https://clinic.example/plan.pdf")
    _, message = side.manage_contacts.conversation(IDS.of(ASHA), None, None)["messages"]
    assert ("text" in message, message["media_url"]) == (False, "https://clinic.example/plan.pdf")


@pytest.mark.parametrize("limit", [0, -1, 201])
def test_limit_that_makes_no_sense_is_refused(side: Receiving, limit: int) -> None:
    side.receive_message(side.form(1))
    with pytest.raises(MessagingError, match="limit"):
        side.manage_contacts.conversation(IDS.of(ASHA), limit, None)


def test_conversation_of_an_unknown_contact_is_not_found(side: Receiving) -> None:
    with pytest.raises(MessagingError, match="not_found"):
        side.manage_contacts.conversation("f" * 32, None, None)


def test_second_address_is_looked_up_as_the_contact_it_belongs_to(side: Receiving) -> None:
    side.receive_message(side.form(1, external_user_id=HIDDEN))
    assert side.manage_contacts.lookup(HIDDEN.value) == {"contact_id": IDS.of(ASHA), "known": True}


def test_put_of_an_id_without_a_number_keeps_the_id_as_the_address(side: Receiving) -> None:
    side.manage_contacts.put(HIDDEN.value, {})
    assert side.contact(HIDDEN.value).address == HIDDEN.value


@pytest.mark.parametrize(("limit", "shown"), [(None, 50), (1, 1), (200, 51)])
def test_page_has_50_messages_unless_asked_otherwise(side: Receiving, limit: int | None, shown: int) -> None:
    for number in range(51):
        side.receive_message(side.form(number))
    assert len(side.manage_contacts.conversation(IDS.of(ASHA), limit, None)["messages"]) == shown
