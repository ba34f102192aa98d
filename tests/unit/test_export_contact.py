"""A person's export: nothing that is kept is missing, whatever the size."""

import json
from typing import Any

import pytest
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Deadline, StatusUpdate
from whatsapp.domain.receiving.inbound import InboundMedium
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.use_cases import export_contact

from tests.unit.receive_kit import ASHA, HIDDEN, IDS, JPEG, Receiving, sid

MEDIUM_URL = f"https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/{sid(7, 'MM')}/Media/ME1"
LETTER = json.dumps({"to": "98123 45678", "template": "none"})


def export(side: Receiving, contact_id: str = "", before: str | None = None) -> dict[str, Any]:
    return side.export_contact(contact_id or IDS.of(ASHA), before, side.deadline)


def lived(side: Receiving) -> None:
    """Asha was registered, written to, wrote under both addresses, sent a file, and stands in a dead letter."""
    side.manage_contacts.put(ASHA.value, {"user_id": "user-42", "opted_in_at": 1, "opt_in_source": "form"})
    sent = side.outgoing("sent", idempotency_key="appt-1")
    side.record_status(
        StatusUpdate(
            message_id=sent.message_id, status="delivered", attempt=sent.attempt or "", twilio_sid=sent.twilio_sid or ""
        )
    )
    side.receive_message(side.form(1, "Namaste", external_user_id=HIDDEN))
    side.gateway.files[MEDIUM_URL] = JPEG
    side.receive_message(
        side.form(
            2,
            "",
            from_=HIDDEN,
            external_user_id=HIDDEN,
            media=(InboundMedium(url=MEDIUM_URL, content_type="image/jpeg"),),
        )
    )
    side.store_media(sid(2), side.deadline)
    side.queue.letters = [LETTER, json.dumps({"to": "+919800000001", "text": "of another"})]


def test_export_has_all_that_is_kept(side: Receiving) -> None:
    lived(side)
    found = export(side)
    assert (found["contact_id"], found["next_before"]) == (IDS.of(ASHA), None)
    assert {row["contact_id"] for row in found["contact"]} == {IDS.of(ASHA), IDS.of(HIDDEN)}
    (contact,) = (row for row in found["contact"] if row["contact_id"] == IDS.of(ASHA))
    assert contact["address"] == ASHA.value
    assert (contact["user_id"], contact["opt_in_source"], contact["opted_in_at"]) == ("user-42", "form", iso(1))
    outgoing, text, file = sorted(found["messages"], key=lambda m: len(m.get("text", "")), reverse=True)
    assert (outgoing["to"], outgoing["variables"]) == (ASHA.value, {"patient_name": "Asha"})
    assert [callback["update"]["status"] for callback in outgoing["callbacks"]] == ["delivered"]
    assert (text["text"], text["address"]) == ("Namaste", ASHA.value)
    assert file["media"][0]["url"] == f"https://bucket/{file['media'][0]['key']}?signed"
    assert found["dead_letters"] == [LETTER]
    json.dumps(found)


def test_no_attribute_of_a_stored_row_is_left_out(side: Receiving) -> None:
    lived(side)
    found = json.dumps(export(side))
    contact_ids = {IDS.of(ASHA), IDS.of(HIDDEN)}
    for rows in side.backup().values():
        for row in rows:
            if row.get("contact_id", {}).get("S") in contact_ids or row.get("entry", {}).get("S", "").startswith(
                "status"
            ):
                missing = {name for name in row if f'"{name}": ' not in found}
                assert missing <= {"write_id", "ttl"}, missing
    assert '"kept_until": "' in found


def test_export_of_the_alias_is_that_of_the_person(side: Receiving) -> None:
    lived(side)
    assert export(side, IDS.of(HIDDEN)) == export(side)


def test_nothing_of_anybody_else_is_in_it(side: Receiving) -> None:
    lived(side)
    side.outgoing("other", contact_id="f" * 32, to="+919800000001", text="of another")
    assert "of another" not in json.dumps(export(side))


def test_person_without_a_contact_row_has_an_export(side: Receiving) -> None:
    """A message that waits for its time is kept before there is a row."""
    side.outgoing("waits", status=Status.DEFERRED)
    found = export(side)
    assert (found["contact"], len(found["messages"])) == ([], 1)


def test_after_an_erasure_only_the_pseudonymous_ledger_is_left(side: Receiving) -> None:
    lived(side)
    side.erase_contact(IDS.of(ASHA), side.deadline)
    found = json.dumps(export(side))
    for gone in (ASHA.value, ASHA.value[-10:], "Asha", "Namaste", "user-42", "appt-1", "form", "https://"):
        assert gone not in found


@pytest.mark.parametrize(("enough", "left"), [(1, 60_000), (10**9, 9_999)])
def test_what_does_not_fit_is_in_the_next_answers(
    side: Receiving, monkeypatch: pytest.MonkeyPatch, enough: int, left: int
) -> None:
    """Either the answer has enough, or the invocation has no time for more."""
    monkeypatch.setattr(export_contact, "ENOUGH", enough)
    monkeypatch.setattr(export_contact, "_PAGE", 4)
    for number in range(10):
        side.clock.at += 1
        side.receive_message(side.form(number))
    seen: list[str] = []
    before: str | None = None
    for _ in range(3):
        found = side.export_contact(IDS.of(ASHA), before, Deadline(side.clock.now() + left))
        seen = [message["message_id"] for message in found["messages"]] + seen
        before = found["next_before"]
    assert (seen, before) == ([sid(number) for number in range(10)], None)


@pytest.mark.parametrize("contact_id", ["", "f" * 31, "G" * 32, "f" * 32])
def test_nobody_is_not_found(side: Receiving, contact_id: str) -> None:
    with pytest.raises(MessagingError) as refused:
        side.export_contact(contact_id, None, side.deadline)
    assert refused.value.code == "not_found"


def test_dead_letters_that_cannot_be_read_are_no_empty_list(side: Receiving) -> None:
    lived(side)
    side.queue.down = True
    with pytest.raises(MessagingError, match="the dead letters could not be read") as refused:
        export(side)
    assert refused.value.failure.retryable
