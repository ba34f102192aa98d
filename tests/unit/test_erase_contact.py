"""Forgetting a person: nothing personal stays anywhere, and what binds us stays."""

import json
from dataclasses import fields
from typing import Any

import pytest
from whatsapp.adapters.dynamodb import erasure_store
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.events import Choice, Location, Reaction, Referral
from whatsapp.domain.ports import Deadline, OutgoingPost, StatusUpdate
from whatsapp.domain.receiving.inbound import InboundMedium, InboundMessage
from whatsapp.domain.sending import lifecycle
from whatsapp.domain.sending.after_post import accepted
from whatsapp.domain.sending.before_claim import claim, fence
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import SendKind, shard_of
from whatsapp.domain.sending.transition import take

from tests.app import SENDER, message_id_of
from tests.unit.receive_kit import ASHA, HIDDEN, HOUR, IDS, JPEG, MINUTE, Receiving, sid

ME = IDS.of(ASHA)
CANARIES = (
    "9812345678",
    "Asha",
    "my arm hurts",
    "user-42",
    "Main St",
    "https://media",
    "hash-of",
    "card",
    "sleepless",
    "slot-7",
    "🤕",
    "click-1",
)


def a_life(side: Receiving) -> None:
    """Everything that can be known of a person."""
    side.manage_contacts.put(
        ASHA.value, {"user_id": "user-42", "language": "hi", "agent": "mood", "opt_in_source": "card"}
    )
    side.outgoing("asked")
    media = (InboundMedium(url="https://media/0", content_type="image/jpeg"),)
    more = {"profile_name": "Asha", "media": media, "more": {"Forwarded": "card"}}
    place = Location(latitude=1.5, longitude=2.5, label="Asha's", address="1 Main St")
    side.receive_message(side.form(1, "my arm hurts", location=place, **more))
    side.receive_message(side.form(2, "Confirm", kind="button", button_text="Asha", button_payload="user-42"))
    answers: dict[str, Any] = {
        "flow": {"why": "sleepless"},
        "choice": Choice(id="slot-7", title="5 pm"),
        "reaction": Reaction(emoji="🤕"),
    }
    side.receive_message(side.form(3, kind="flow", referral=Referral(ctwa_clid="click-1"), **answers))
    side.gateway.files = {"https://media/0": JPEG}
    side.store_media(sid(1), side.deadline)


def everything(side: Receiving) -> str:
    tables: Any = side.db._client
    found = [tables.scan(TableName=table)["Items"] for table in ("MessagesTable", "ContactsTable")]
    return json.dumps(found, default=str, ensure_ascii=False)


def sweep(side: Receiving, minutes: int) -> int:
    side.clock.at += minutes * MINUTE
    return side.erase_contact.sweep(side.deadline)


def test_erasure_is_dated_by_a_clock_that_a_read_has_corrected(side: Receiving) -> None:
    """A new sandbox's own clock may be minutes slow: messages of these minutes would be brought back."""
    side.receive_message(side.form(1))
    now = side.clock.now()
    side.clock.at = now - 10 * 60_000

    def correct() -> None:
        side.clock.at = now

    with side.before_call("GetItem", correct):
        side.erase_contact(ME, side.deadline)
    assert side.contact().erased_at == now


def test_nothing_personal_stays(side: Receiving) -> None:
    a_life(side)
    of_asked = message_id_of("asked")
    side.record_status(StatusUpdate(message_id=of_asked, attempt="a" * 12, twilio_sid=sid(1_005), status="read"))
    before = everything(side)
    assert [canary for canary in CANARIES if canary not in before] == []
    side.erase_contact(ME, side.deadline)
    found = everything(side)
    assert [canary for canary in CANARIES if canary in found] == []
    assert side.media_store.files == {}
    assert set(side.gateway.deleted) == {sid(1), sid(2), sid(3), sid(1_005)}


KEPT_OF_AN_INBOUND_MESSAGE = {
    *("message_id", "contact_id", "to", "received_at", "kind", "source", "opt", "agent", "due_shard", "due_at"),
    *("in_reply_to", "in_reply_to_template", "group", "forwarded", "frequently_forwarded", "opt_word", "opt_again"),
}


def test_each_attribute_of_an_inbound_message_is_erased_or_known_to_be_nobodys() -> None:
    attributes = {f.name for f in fields(InboundMessage)}
    assert attributes - set(erasure_store._PERSONAL_ON_MESSAGES) == KEPT_OF_AN_INBOUND_MESSAGE


def test_our_own_number_stays_on_what_was_written_to_it(side: Receiving) -> None:
    a_life(side)
    side.erase_contact(ME, side.deadline)
    inbound = side.inbox.get(sid(1))
    assert inbound is not None
    assert (inbound.to, inbound.address, inbound.is_erased) == (SENDER, "", True)
    assert "to" not in side.item(message_id_of("asked"))
    assert len(side.manage_contacts.conversation(ME, None, None)["messages"]) == 4


def test_ledger_stays(side: Receiving) -> None:
    a_life(side)
    now = side.clock.now()
    binding = {"opted_out_at": now, "next_allowed_at": now + HOUR, "inflight": "m#a", "inflight_at": now}
    side.contacts.update(ME, binding)
    side.erase_contact(ME, side.deadline)
    contact = side.contact()
    assert {name: getattr(contact, name) for name in binding} == binding
    assert (contact.erased_at, contact.address, contact.user_id, contact.last_inbound_at) == (now, None, None, None)
    assert side.item(sid(1))["at"] == now
    assert side.item(message_id_of("asked"))["status"] == "sent"


def test_five_passes_and_then_no_more(side: Receiving) -> None:
    a_life(side)
    side.erase_contact(ME, side.deadline)
    hour, day = 60, 24 * 60
    minutes = (1, 15, hour, hour, day, 2 * day, day, day)
    assert [sweep(side, passed) for passed in minutes] == [0, 1, 0, 1, 1, 0, 1, 0]


def test_later_passes_ask_twilio_nothing_twice(side: Receiving) -> None:
    a_life(side)
    side.erase_contact(ME, side.deadline)
    sweep(side, 16)
    sweep(side, 120)
    assert len(side.gateway.deleted) == 4


def test_contact_who_only_waits(side: Receiving) -> None:
    """A message that waits for its time has stored no contact yet."""
    later = side.clock.now() + HOUR
    unsent: dict[str, Any] = {"attempt": None, "twilio_sid": None, "accepted_at": None}
    waits = side.outgoing("waits", status=Status.DEFERRED, due_at=later, due_shard=shard_of("send", ME), **unsent)
    assert side.contacts.get(ME) is None
    assert side.erase_contact(ME, side.deadline) == {"contact_id": ME, "status": "erasing"}
    record = side.messages.get(waits.message_id)
    assert record is not None
    assert (record.status, record.to, record.due_at) == (Status.CANCELED, "", None)


def test_an_erasure_is_taken_although_nothing_is_found(side: Receiving) -> None:
    """A request of theirs may wait in a queue: the row says that it was asked for before the erasure."""
    nobody = "f" * 32
    assert side.erase_contact(nobody, side.deadline) == {"contact_id": nobody, "status": "erasing"}
    assert getattr(side.contacts.get(nobody), "erased_at", None) == side.clock.now()


@pytest.mark.parametrize("contact_id", ["none", "F" * 32, "f" * 31, "f" * 33, "", "f" * 32 + "\n", "+919812345678"])
def test_what_is_no_contact_id_is_not_found(side: Receiving, contact_id: str) -> None:
    with pytest.raises(MessagingError, match="not_found"):
        side.erase_contact(contact_id, side.deadline)


@pytest.mark.parametrize(
    ("letter", "is_theirs"),
    [
        ('{"to": "+919812345678", "template": "mood_checkin"}', True),
        ('{"to": "98123 45678", "text": "Hello"}', True),
        ('{"to": "\\u200e+91 98123-45678"}', True),
        ('{"poison": "{\\"to\\": \\"+919812345678\\", ", "error": {}}', True),
        ("to: +91 (98123) 45678", True),
        ('{"to": "+919812345679"}', False),
        ('{"message_id": "m1", "attempts": 3, "error": {"code": "throttled", "twilio_code": 63018}}', False),
        ("not JSON", False),
        ("[1, 2]", False),
    ],
)
def test_dead_letters_that_name_the_person_are_deleted(side: Receiving, letter: str, is_theirs: bool) -> None:
    side.queue.letters = [letter, "another's"]
    side.erase_contact(ME, side.deadline)
    assert side.queue.letters == ["another's"] if is_theirs else [letter, "another's"]


def test_a_request_that_becomes_a_dead_letter_days_after_the_erasure_is_deleted(side: Receiving) -> None:
    """It lay in the send queue until then, and its worker crashed five times."""
    side.queue.letters_asked_at = side.clock.now() - HOUR
    side.erase_contact(ME, side.deadline)
    sweep(side, 16)
    sweep(side, 120)
    side.queue.letters = ['{"to": "+919812345678", "text": "Hello"}']
    for _ in range(5):
        sweep(side, 24 * 60)
    assert side.queue.letters == []


def test_a_dead_letter_of_who_came_back_after_the_erasure_stays(side: Receiving) -> None:
    side.erase_contact(ME, side.deadline)
    side.queue.letters, side.queue.letters_asked_at = ['{"to": "+919812345678"}'], side.clock.now() + 1
    sweep(side, 16)
    assert side.queue.letters == ['{"to": "+919812345678"}']


def test_an_erasure_goes_on_until_the_dead_letters_were_looked_through(side: Receiving) -> None:
    side.queue.letters, side.queue.down = ['{"to": "+919812345678"}'], True
    for _ in range(4):
        side.erase_contact.sweep(side.deadline)
        side.erase_contact(ME, side.deadline)
    side.queue.down = False
    side.clock.sleep(3 * 3600)
    side.erase_contact.sweep(side.deadline)
    assert side.queue.letters == []


def test_again_does_no_harm(side: Receiving) -> None:
    a_life(side)
    for _ in range(3):
        side.erase_contact(ME, side.deadline)
    assert side.contact().erased_at == side.clock.now()
    assert len(side.gateway.deleted) == 4


def test_what_waits_is_canceled(side: Receiving) -> None:
    now = side.clock.now()
    waiting = {"twilio_sid": None, "attempt": None, "due_at": now, "due_shard": shard_of("send", ME)}
    side.outgoing("waits", status=Status.DEFERRED, **waiting)
    side.contacts.update(ME, {"address": ASHA.value})
    side.erase_contact(ME, side.deadline)
    stored = side.item(message_id_of("waits"))
    assert (stored["status"], "text" in stored, "to" in stored) == ("canceled", False, False)
    assert [event.status for event in side.published("message.status_changed")] == ["canceled"]


@pytest.mark.parametrize("status", [Status.CLAIMED, Status.SENDING, Status.UNKNOWN])
def test_what_is_in_flight_keeps_its_text_until_it_is_settled(side: Receiving, status: Status) -> None:
    """However long that takes: passes go on until nothing is left."""
    side.contacts.update(ME, {"address": ASHA.value})
    due = {"due_at": side.clock.now() + 999 * HOUR, "due_shard": shard_of("send", ME)}
    flying = side.outgoing("flies", status=status, claimed_at=side.clock.now(), **due)
    side.erase_contact(ME, side.deadline)
    for minutes in (16, 120, 121, 121):
        assert sweep(side, minutes) == 1
        assert side.item(flying.message_id)["stop"] == "erased"
        assert side.item(flying.message_id)["text"] == "Dear Asha"
    stored = side.messages.get(flying.message_id)
    assert stored is not None
    if status is Status.CLAIMED:
        assert side.messages.commit(take(stored, lifecycle.STOP, side.clock.now()))
    else:
        assert side.messages.commit(take(stored, lifecycle.FAIL, side.clock.now()))
    assert sweep(side, 121) == 1
    assert "text" not in side.item(flying.message_id)
    assert sweep(side, 121) == 0


@pytest.mark.parametrize("kind", SendKind)
def test_acceptance_brings_nothing_back_to_the_contact(side: Receiving, kind: SendKind) -> None:
    """The message was at Twilio when the erasure began; Twilio's yes comes after."""
    side.receive_message(side.form(1))
    reply_to = {"in_reply_to": sid(1)} if kind is SendKind.REPLY else {}
    pending = {"status": Status.PENDING, "attempt": None, "twilio_sid": None, "accepted_at": None}
    message = side.outgoing("flies", kind=kind, agent="mood", **reply_to, **pending)
    claimed = claim(message, "b" * 12, side.clock.now(), side.deadline.at)
    assert side.messages.claim(claimed, side.deadline.at, side.contact()) is None
    fenced = fence(claimed.after, OutgoingPost(to=ASHA.value, rendered="Dear Asha"), side.clock.now())
    assert side.messages.commit(fenced)
    assert (side.contact().user_id, side.contact().last_outbound_agent) == ("user-42", "mood")
    side.clock.sleep(1)
    side.erase_contact(ME, side.deadline)
    at = side.clock.now()
    assert side.messages.commit(accepted(fenced.after, sid(2), at, at))
    contact = side.contact()
    assert (contact.last_outbound_at, contact.inflight) == (at, None)
    assert (contact.user_id, contact.last_outbound_agent, contact.address) == (None, None, None)


def test_copy_at_twilio_that_a_late_callback_shows_is_deleted(side: Receiving) -> None:
    side.contacts.update(ME, {"address": ASHA.value})
    lost = side.outgoing(
        "lost", status=Status.UNRESOLVED, twilio_sid=None, accepted_at=None, claimed_at=side.clock.now()
    )
    side.erase_contact(ME, side.deadline)
    for minutes in (16, 120):
        sweep(side, minutes)
    side.record_status(
        StatusUpdate(message_id=lost.message_id, attempt="a" * 12, twilio_sid=sid(7), status="delivered")
    )
    assert "text" not in side.item(lost.message_id)
    assert sweep(side, 121) == 1
    assert side.gateway.deleted == [sid(7)]
    assert sweep(side, 121) == 0


def test_what_never_shows_at_twilio_is_given_up_after_two_days(side: Receiving) -> None:
    side.contacts.update(ME, {"address": ASHA.value})
    side.outgoing("lost", status=Status.UNRESOLVED, twilio_sid=None, accepted_at=None, claimed_at=side.clock.now())
    side.erase_contact(ME, side.deadline)
    rounds = 0
    while sweep(side, 121):
        rounds += 1
    assert 20 < rounds < 30
    assert side.item(message_id_of("lost"))["erased"]


def test_what_continues_an_erased_message_is_erased_too(side: Receiving) -> None:
    """It may have been made after the erasure began."""
    side.contacts.update(ME, {"address": ASHA.value})
    side.outgoing("first", status=Status.FAILED, continued_as=message_id_of("next"))
    erased_at = side.clock.now()
    side.outgoing("next", created_at=erased_at + 5, status=Status.PENDING, twilio_sid=None, attempt=None)
    side.erase_contact(ME, side.deadline)
    assert side.item(message_id_of("next"))["status"] == "canceled"
    assert "text" not in side.item(message_id_of("next"))


@pytest.mark.parametrize(("asked_at", "stays"), [(-5_000, False), (None, True), (5, True)])
def test_a_message_that_is_stored_just_after_the_erasure(side: Receiving, asked_at: int | None, stays: bool) -> None:
    """Its worker had read the contact before. What was asked for before the erasure is erased all the same."""
    side.contacts.update(ME, {"address": ASHA.value})
    erased_at = side.clock.now()
    side.erase_contact(ME, side.deadline)
    unsent: dict[str, Any] = {"status": Status.DEFERRED, "attempt": None, "twilio_sid": None, "accepted_at": None}
    asked = None if asked_at is None else erased_at + asked_at
    side.outgoing("late", created_at=erased_at + 30_000, asked_at=asked, **unsent)
    side.clock.sleep(30)
    sweep(side, 16)
    assert (side.item(message_id_of("late")).get("text") is not None) == stays


def test_twilio_down_leaves_nothing_here_and_is_asked_again(side: Receiving) -> None:
    a_life(side)
    side.gateway.keeps = {sid(1)}
    side.erase_contact(ME, side.deadline)
    assert "text" not in side.item(sid(1))
    assert sid(1) not in side.gateway.deleted
    sweep(side, 16)
    sweep(side, 120)
    side.gateway.keeps = set()
    assert sweep(side, 121) == 1
    assert side.gateway.deleted.count(sid(1)) == 1
    assert sweep(side, 121) == 0


def test_out_of_time_the_sweep_carries_on(side: Receiving) -> None:
    a_life(side)
    side.erase_contact(ME, Deadline(side.clock.now() + 10_000))
    assert "text" in side.item(sid(1))
    assert sweep(side, 6) == 1
    assert "text" not in side.item(sid(1))


def test_two_sweeps_at_once_work_once(side: Receiving) -> None:
    a_life(side)
    side.erase_contact(ME, side.deadline)
    side.clock.at += 16 * MINUTE
    (job,) = (j for n in range(4) for j in side.erase_contact.erasures.due(f"erase#{n}", side.clock.now()))
    later = side.clock.now() + MINUTE
    assert [side.erase_contact.erasures.postpone(job, later) is not None for _ in range(2)] == [True, False]


def test_one_persons_trouble_does_not_stop_the_others(side: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in (ASHA, HIDDEN):
        side.contacts.update(IDS.of(address), {"address": address.value})
        side.erase_contact(IDS.of(address), side.deadline)
    real = side.media_store.delete_all

    def delete_all(contact_id: str) -> None:
        if contact_id == ME:
            raise RuntimeError("a bug")
        real(contact_id)

    monkeypatch.setattr(side.media_store, "delete_all", delete_all)
    with pytest.raises(ExceptionGroup):
        sweep(side, 16)
    monkeypatch.undo()
    assert sweep(side, 6) == 1


def test_both_addresses_of_a_person(side: Receiving) -> None:
    side.receive_message(side.form(1, "my arm hurts", from_=HIDDEN))
    side.receive_message(side.form(2, external_user_id=HIDDEN))
    side.erase_contact(IDS.of(HIDDEN), side.deadline)
    found = everything(side)
    assert [canary for canary in (*CANARIES, "1344567890") if canary in found] == []
    assert side.contact(HIDDEN.value).contact_id == ME


def test_erased_person_who_writes_again_is_a_fresh_contact_with_the_old_ledger(side: Receiving) -> None:
    a_life(side)
    side.receive_message(side.form(3, "STOP"))
    out = side.contact().opted_out_at
    side.erase_contact(ME, side.deadline)
    side.clock.at += 20 * MINUTE
    side.receive_message(side.form(4, "hello again"))
    sweep(side, 1)
    contact = side.contact()
    assert (contact.address, contact.user_id, contact.opted_out_at) == (ASHA.value, None, out)
    page = side.manage_contacts.conversation(ME, None, None)
    assert [message.get("text") for message in page["messages"]][-1] == "hello again"
    assert {message.get("text") for message in page["messages"][:-1]} == {None}


def test_message_that_was_not_published_yet_is_never_published(side: Receiving) -> None:
    side.bus.down = True
    side.receive_message(side.form(1, "my arm hurts"))
    side.erase_contact(ME, side.deadline)
    side.bus.down = False
    side.clock.at += 2 * MINUTE
    side.publish_waiting(side.deadline)
    assert side.published() == []
    assert "due_at" not in side.item(sid(1))
