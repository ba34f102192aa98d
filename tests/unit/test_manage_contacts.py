"""The contact routes: who a number is, and what was said so far."""

import base64

import pytest
from whatsapp.domain.errors import MessagingError

from tests.unit.receive_kit import ASHA, HIDDEN, IDS, Receiving, sid


def test_known_before_the_first_message(side: Receiving) -> None:
    known = side.manage.put("98123 45678", {"user_id": "user-7", "agent": "mood"})
    assert side.manage.lookup(ASHA.value) == {"contact_id": known["contact_id"], "known": True}
    side.receive(side.form(1))
    assert (side.told()[0].user_id, side.told()[0].agent) == ("user-7", "mood")


def test_caller_that_names_the_id_does_not_replace_the_number(side: Receiving) -> None:
    side.receive(side.form(1, external_user_id=HIDDEN))
    side.manage.put(HIDDEN.value, {"user_id": "user-9"})
    assert (side.contact().address, side.contact().user_id) == (ASHA.value, "user-9")


@pytest.mark.parametrize(
    "mark", ['[1e999, "a"]', '[1.5, "a"]', '[true, "a"]', '[-1, "a"]', f'[{10**40}, "a"]', "[1]", "[1, 2]", "[" * 5_000]
)
def test_place_that_no_page_gave_is_refused(side: Receiving, mark: str) -> None:
    side.receive(side.form(1))
    with pytest.raises(MessagingError, match="before"):
        side.manage.conversation(IDS.of(ASHA), 4, base64.urlsafe_b64encode(mark.encode()).decode())


def test_pages_of_a_conversation_leave_nothing_out_and_show_nothing_twice(side: Receiving) -> None:
    """Under two contact_ids, several in the same millisecond, both directions."""
    wanted = []
    for number in range(18):
        side.clock.at += 5 if number % 3 else 0
        if number % 5 == 0:
            wanted.append(side.outgoing(f"n{number}").message_id)
        else:
            from_ = HIDDEN if number % 2 and number < 9 else ASHA
            wanted.append(side.receive(side.form(number, from_=from_)).message_id)
    side.receive(side.form(99, external_user_id=HIDDEN))
    wanted.append(sid(99))
    seen: list[str] = []
    before = None
    for _ in range(20):
        page = side.manage.conversation(IDS.of(ASHA), 4, before)
        seen = [message["message_id"] for message in page["messages"]] + seen
        before = page["next_before"]
        if before is None:
            break
    assert sorted(seen) == sorted(wanted)
    assert len(set(seen)) == len(seen)
    assert [m["at"] for m in page["messages"]] == sorted(m["at"] for m in page["messages"])


def test_lookup_answers_without_storing_anything(side: Receiving) -> None:
    for _ in range(2):
        assert side.manage.lookup("whatsapp:+919812345678") == {"contact_id": IDS.of(ASHA), "known": False}


def test_second_address_is_looked_up_as_the_contact_it_belongs_to(side: Receiving) -> None:
    side.receive(side.form(1, external_user_id=HIDDEN))
    assert side.manage.lookup(HIDDEN.value) == {"contact_id": IDS.of(ASHA), "known": True}


def test_put_lifts_a_suppression(side: Receiving) -> None:
    side.contacts.update(IDS.of(ASHA), {"suppressed_code": 63024})
    side.manage.put(ASHA.value, {"agent": "mood"})
    assert (side.contact().suppressed_code, side.contact().agent, side.contact().address) == (None, "mood", ASHA.value)


def test_put_of_an_id_without_a_number_keeps_the_id_as_the_address(side: Receiving) -> None:
    side.manage.put(HIDDEN.value, {})
    assert side.contact(HIDDEN).address == HIDDEN.value


@pytest.mark.parametrize(
    ("contact_id", "limit", "code"),
    [("nobody", None, "not_found"), (None, 0, "invalid_request"), (None, 201, "invalid_request")],
)
def test_conversation_that_cannot_be_shown(
    side: Receiving, contact_id: str | None, limit: int | None, code: str
) -> None:
    side.receive(side.form(1))
    with pytest.raises(MessagingError) as refused:
        side.manage.conversation(contact_id or IDS.of(ASHA), limit, None)
    assert refused.value.code == code


@pytest.mark.parametrize(("limit", "shown"), [(None, 50), (1, 1), (200, 51)])
def test_page_has_50_messages_unless_asked_otherwise(side: Receiving, limit: int | None, shown: int) -> None:
    for number in range(51):
        side.receive(side.form(number))
    assert len(side.manage.conversation(IDS.of(ASHA), limit, None)["messages"]) == shown


def test_conversation_says_who_it_is_with(side: Receiving) -> None:
    side.manage.put(ASHA.value, {"user_id": "user-42"})
    side.receive(side.form(1, "STOP"))
    page = side.manage.conversation(IDS.of(ASHA), None, None)
    assert (page["user_id"], page["opted_out"], page["next_before"]) == ("user-42", True, None)
    assert [(m["direction"], m["status"], m["text"]) for m in page["messages"]] == [("inbound", "received", "STOP")]
