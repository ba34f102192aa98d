"""Receiving: stored once, published at least once, with the window, opt-out and reply context."""

import json
from dataclasses import replace
from typing import Any

import pytest
from whatsapp.adapters.aws.event_bus import EventBridgeBus
from whatsapp.adapters.dynamodb.contact_store import ContactMovedError
from whatsapp.adapters.twilio import form as twilio_form
from whatsapp.adapters.twilio.form import MAX_FORM_BYTES, read_inbound
from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.events import as_entry
from whatsapp.domain.ports import PublishFailed
from whatsapp.domain.receiving.inbound import MAX_EVENT_FLOW, InboundMedium
from whatsapp.domain.receiving.record import events_of
from whatsapp.use_cases.receive_message import TRIES, ErasedError

from tests.app import SENDER
from tests.unit import webhook_kit
from tests.unit.receive_kit import ASHA, DAY, HIDDEN, HOUR, IDS, Receiving, sid


def test_stored_published_and_the_marker_cleared(side: Receiving) -> None:
    side.receive_message(side.form(1, "hello", profile_name="Asha"))
    (event,) = side.published()
    assert (event.event_id, event.text, event.kind, event.profile_name) == (sid(1), "hello", "text", "Asha")
    assert (event.contact_id, event.address, event.agent) == (IDS.of(ASHA), ASHA.value, "scheduling")
    assert (event.content_trust, event.source) == ("untrusted", "webhook")
    assert event.window_expires_at > event.occurred_at
    assert "due_shard" not in side.item(sid(1))
    assert side.contact().last_inbound_at == side.clock.now()
    assert side.metrics.counts == {"MessagesReceived": 1}


def test_sender_that_was_written_to_is_kept_and_published(side: Receiving) -> None:
    side.receive_message(side.form(1))
    assert (side.item(sid(1))["to"], side.published()[0].to) == (SENDER, SENDER)


def test_second_time_nothing_happens(side: Receiving) -> None:
    for _ in range(3):
        side.receive_message(side.form(1))
    assert len(side.published()) == 1
    assert side.metrics.counts == {"MessagesReceived": 1, "DuplicatesAbsorbed": 2}


def test_bus_down_everything_else_is_written(side: Receiving) -> None:
    side.bus.down = True
    side.receive_message(side.form(1, "STOP"))
    assert side.contact().opted_out_at == side.clock.now()
    assert side.contact().last_inbound_at == side.clock.now()
    assert side.metrics.counts == {"MessagesReceived": 1, "PublishFailed": 1}
    assert side.item(sid(1))["due_at"] == side.clock.now() + periods.OUTBOX_RETRY


def test_duplicate_publishes_again_while_the_marker_stands(side: Receiving) -> None:
    side.bus.down = True
    side.receive_message(side.form(1))
    side.bus.down = False
    side.receive_message(side.form(1))
    side.receive_message(side.form(1))
    assert len(side.published()) == 1


# --- opt-out and window -----------------------------------------------------


def test_stop_and_start(side: Receiving) -> None:
    side.receive_message(side.form(1, "Stop!"))
    assert [event.message_id for event in side.published("contact.opted_out")] == [sid(1)]
    side.clock.sleep(60)
    side.receive_message(side.form(2, "शुरू"))
    assert side.contact().opted_out_at is None
    assert side.contact().opted_in_at == side.clock.now()
    assert [event.message_id for event in side.published("contact.opted_in")] == [sid(2)]


def test_backfilled_stop_does_not_undo_the_start_after_it(side: Receiving) -> None:
    now = side.clock.now()
    side.receive_message(side.form(1, "START"))
    side.receive_message(side.form(2, "STOP"), received_at=now - HOUR, source="backfill")
    assert side.contact().opted_out_at is None
    assert side.published("contact.opted_out") == []
    side.clock.sleep(1)
    side.receive_message(side.form(3, "STOP"))
    side.receive_message(side.form(4, "START"), received_at=now - HOUR, source="backfill")
    assert side.contact().opted_out_at == now + 1_000


def test_older_word_does_not_date_a_newer_one_back(side: Receiving) -> None:
    """Each backfilled in turn, though the last word came in long before by its webhook."""
    now = side.clock.now()
    side.receive_message(side.form(1, "START"))
    side.receive_message(side.form(2, "START"), received_at=now - 3 * HOUR, source="backfill")
    side.receive_message(side.form(3, "STOP"), received_at=now - 2 * HOUR, source="backfill")
    assert (side.contact().opted_out_at, side.contact().opted_in_at) == (None, now)
    side.clock.sleep(1)
    side.receive_message(side.form(4, "STOP"))
    side.receive_message(side.form(5, "STOP"), received_at=now - 5 * HOUR, source="backfill")
    side.receive_message(side.form(6, "START"), received_at=now - 4 * HOUR, source="backfill")
    assert side.contact().opted_out_at == now + 1_000


def test_lost_stop_outlives_a_consent_that_a_caller_noted_after_it(side: Receiving) -> None:
    said_at = side.clock.now()
    side.clock.sleep(120)
    side.manage_contacts.put(ASHA.value, {"opted_in_at": side.clock.now(), "opt_in_source": "web form"})
    side.clock.sleep(180)
    side.receive_message(side.form(1, "STOP"), received_at=said_at, source="backfill")
    assert side.contact().opted_out_at == said_at
    assert [event.message_id for event in side.published("contact.opted_out")] == [sid(1)]


@pytest.mark.parametrize(("seconds_before", "is_out"), [(5, True), (15, True), (16, False)])
def test_lost_stop_counts_unless_a_start_was_certainly_later(
    side: Receiving, seconds_before: int, is_out: bool
) -> None:
    """START's webhook may have been retried for 15 seconds: it is dated when it came."""
    side.receive_message(side.form(1, "START"))
    started_at = side.clock.now()
    side.clock.sleep(300)
    side.receive_message(side.form(2, "STOP"), received_at=started_at - seconds_before * 1_000, source="backfill")
    assert (side.contact().opted_out_at is not None) == is_out
    assert len(side.published("contact.opted_out")) == is_out


def test_consent_noted_for_the_future_does_not_outrank_a_stop(side: Receiving) -> None:
    side.manage_contacts.put(ASHA.value, {"opted_in_at": side.clock.now() + DAY})
    side.receive_message(side.form(1, "STOP"))
    assert side.contact().opted_out_at == side.clock.now()


def test_of_stop_and_start_at_once_the_later_wins(side: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    """START was read first and is stored last: between its reading and its writing, a later STOP comes in."""
    side.receive_message(side.form(1, "hello"))
    start_at = side.clock.now() + 1_000
    real, is_first = side.inbox.put, True

    def put(inbound: Any, contact: Any) -> Any:
        nonlocal is_first
        if inbound.opt == "in" and is_first:
            is_first = False
            side.clock.at += 2_000
            side.receive_message(side.form(2, "STOP"))
        return real(inbound, contact)

    monkeypatch.setattr(side.inbox, "put", put)
    side.receive_message(side.form(3, "START"), received_at=start_at)
    assert side.contact().opted_out_at == start_at + 1_000
    assert side.published("contact.opted_in") == []


@pytest.mark.parametrize("source", ["webhook", "backfill"])
def test_contact_erased_between_reading_and_writing_is_read_again(
    side: Receiving, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """What was said before must not come back; what a webhook brings now was said after."""
    side.manage_contacts.put(ASHA.value, {"user_id": "user-42"})
    said_at = side.clock.now() if source == "backfill" else None
    real, is_first = side.inbox.put, True

    def put(inbound: Any, contact: Any) -> Any:
        nonlocal is_first
        if is_first:
            is_first = False
            side.clock.sleep(1)
            side.erase_contact(IDS.of(ASHA), side.deadline)
            side.clock.sleep(1)
        return real(inbound, contact)

    monkeypatch.setattr(side.inbox, "put", put)
    if source == "backfill":
        with pytest.raises(ErasedError):
            side.receive_message(side.form(1), received_at=said_at, source=source)
        assert (side.item(sid(1)), side.contact().address) == ({}, None)
    else:
        assert side.receive_message(side.form(1)).user_id is None


def test_older_message_does_not_close_the_window_early(side: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    now = side.clock.now()
    side.receive_message(side.form(1))
    side.receive_message(side.form(2), received_at=now - 5 * HOUR, source="backfill")
    assert side.contact().last_inbound_at == now
    stale = replace(side.contact(), last_inbound_at=None)  # as a worker read it before the newer message was stored
    inbound = replace(side.receive_message(side.form(3)), message_id=sid(4), received_at=now - HOUR)
    with pytest.raises(ContactMovedError):
        side.inbox.put(inbound, stale)


def test_contact_that_keeps_changing_is_an_error_that_brings_twilio_back(
    side: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def put(*_: object) -> None:
        tries.append(1)
        raise ContactMovedError

    monkeypatch.setattr(side.inbox, "put", put)
    with pytest.raises(ContactMovedError):
        side.receive_message(side.form(1))
    assert len(tries) == TRIES


def test_who_writes_can_be_reached(side: Receiving) -> None:
    side.contacts.update(IDS.of(ASHA), {"suppressed_code": 63024})
    side.receive_message(side.form(1))
    assert side.contact().suppressed_code is None


# --- whose it is -----------------------------------------------------


def test_reply_context_agent_and_user(side: Receiving) -> None:
    ours = side.outgoing("asked", agent="mood")
    side.receive_message(side.form(1, replied_to_sid=ours.twilio_sid))
    (event,) = side.published()
    assert event.in_reply_to.message_id == ours.message_id
    assert event.in_reply_to.template == "appointment_confirmation"
    assert (event.agent, event.user_id) == ("mood", "user-42")


def test_reply_to_what_was_sent_under_an_alias(side: Receiving) -> None:
    ours = side.outgoing("asked", contact_id=IDS.of(HIDDEN))
    side.receive_message(side.form(1, external_user_id=HIDDEN, replied_to_sid=ours.twilio_sid))
    assert side.published()[0].in_reply_to.message_id == ours.message_id


def test_reply_to_another_persons_message_has_no_context(side: Receiving) -> None:
    ours = side.outgoing("asked", contact_id="f" * 32)
    side.receive_message(side.form(1, replied_to_sid=ours.twilio_sid))
    assert side.published()[0].in_reply_to is None


def test_payload_names_the_agent_before_all_others(side: Receiving) -> None:
    ours = side.outgoing("asked", agent="mood")
    tap = {"kind": "button", "button_text": "Confirm", "button_payload": "agent:follow_up:yes"}
    side.receive_message(side.form(1, "Confirm", replied_to_sid=ours.twilio_sid, **tap))
    (event,) = side.published()
    assert (event.agent, event.button.text, event.button.payload) == ("follow_up", "Confirm", "agent:follow_up:yes")


def test_two_spellings_are_one_contact(side: Receiving) -> None:
    for number, spelling in enumerate(("+5511987654321", "+551187654321")):
        side.receive_message(side.form(number, from_=Address(spelling)))
    assert len({event.contact_id for event in side.published()}) == 1


# --- one person, a number and an id -----------------------------------------------------


def test_id_and_number_shown_together_become_one_contact(side: Receiving) -> None:
    side.receive_message(side.form(1, external_user_id=HIDDEN))
    side.receive_message(side.form(2, from_=HIDDEN))
    assert [(event.contact_id, event.address) for event in side.published()] == [(IDS.of(ASHA), ASHA.value)] * 2


def test_id_with_a_row_and_a_history_of_its_own_joins(side: Receiving) -> None:
    side.receive_message(side.form(1, "STOP", from_=HIDDEN))
    side.clock.sleep(60)
    side.receive_message(side.form(2, "it's me", external_user_id=HIDDEN))
    contact = side.contact(HIDDEN.value)
    assert (contact.contact_id, contact.opted_out_at is not None) == (IDS.of(ASHA), True)
    page = side.manage_contacts.conversation(contact.contact_id, None, None)
    assert [message["text"] for message in page["messages"]] == ["STOP", "it's me"]
    stored = side.db.get("ContactsTable", {"contact_id": IDS.of(HIDDEN)}) or {}
    assert set(stored) - {"write_id"} == {"contact_id", "alias_of"}


@pytest.mark.parametrize("flying", [ASHA, HIDDEN], ids=["number", "id"])
def test_stop_under_the_id_binds_the_number_while_a_message_is_in_flight(side: Receiving, flying: Address) -> None:
    side.receive_message(side.form(1, "STOP", from_=HIDDEN))
    side.contacts.update(IDS.of(flying), {"inflight": "m#a", "next_allowed_at": side.clock.now() + 2 * HOUR})
    side.receive_message(side.form(2, external_user_id=HIDDEN))
    assert side.contact(HIDDEN.value).contact_id == IDS.of(ASHA)
    assert side.contact().opted_out_at == side.clock.now()
    opens = side.contact().slot_opens_at(side.clock.now(), 0)
    assert (opens or 0) >= side.clock.now() + (2 * HOUR if flying is HIDDEN else 0)


def test_stop_under_the_id_after_the_tie_binds_the_number_too(side: Receiving) -> None:
    side.contacts.update(IDS.of(ASHA), {"inflight": "m#a"})
    side.receive_message(side.form(1, external_user_id=HIDDEN))
    side.receive_message(side.form(2, "STOP", from_=HIDDEN))
    assert side.contact().opted_out_at == side.clock.now()


def test_tie_that_cannot_be_made_fails_the_webhook(side: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twilio comes again. Its list does not show the id, so a message that is stored without the tie would lose it."""

    def moving(*_: object) -> None:
        raise ContactMovedError

    with monkeypatch.context() as patched:
        patched.setattr(side.contacts, "tie", moving)
        with pytest.raises(ContactMovedError):
            side.receive_message(side.form(1, external_user_id=HIDDEN))
    assert side.item(sid(1)) == {}


@pytest.mark.parametrize(("old", "new"), [("+22997123456", "+2290197123456"), ("+22508123456", "+2250708123456")])
def test_stop_from_one_spelling_binds_the_other(side: Receiving, old: str, new: str) -> None:
    side.receive_message(side.form(1, "STOP", from_=Address(old)))
    side.receive_message(side.form(2, "STOP", from_=Address(new)))
    first, second = (event for event in side.published() if event.text)
    assert first.contact_id == second.contact_id
    assert (first.address, second.address) == (old, new)
    assert side.contact(old).opted_out_at == side.contact(new).opted_out_at == side.clock.now()


def test_contact_of_before_a_renumbering_is_tied_when_a_message_comes_in(side: Receiving) -> None:
    new = Address("+2290197123456")
    (former,) = IDS.former(new)
    side.contacts.update(former, {"user_id": "user-7", "opted_out_at": 5})
    side.receive_message(side.form(1, from_=new))
    assert side.contact(new.value).aliases == {former}
    assert (side.published()[0].user_id, side.contact(new.value).opted_out_at) == ("user-7", 5)


def test_row_that_becomes_an_alias_while_a_message_comes_in(side: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    real, is_first = side.inbox.put, True

    def put(inbound: Any, contact: Any) -> Any:
        nonlocal is_first
        if is_first:
            is_first = False
            side.contacts.tie(IDS.of(HIDDEN), IDS.of(ASHA))
        return real(inbound, contact)

    monkeypatch.setattr(side.inbox, "put", put)
    side.receive_message(side.form(1, from_=HIDDEN))
    assert side.published()[0].contact_id == IDS.of(ASHA)


# --- events -----------------------------------------------------


class Events:
    """EventBridge's client: how many of each call's entries it refuses."""

    def __init__(self, refuses: int = 0) -> None:
        self.refuses = refuses
        self.details: list[str] = []

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's own spelling
        self.details += [entry["Detail"] for entry in Entries]
        codes = [{"ErrorCode": "InternalFailure"}] * self.refuses + [{"EventId": "1"}] * (len(Entries) - self.refuses)
        return {"FailedEntryCount": self.refuses, "Entries": codes}


def test_bus_that_takes_one_of_two_events_has_not_taken_them(side: Receiving) -> None:
    """PutEvents answers 200 even then. The marker stays, and both are published again."""
    client = Events(refuses=1)
    side = replace(side, bus=EventBridgeBus(client, "bus"))  # type: ignore[arg-type]  # all it asks of it
    side.receive_message(side.form(1, "STOP"))
    assert side.item(sid(1))["due_shard"].startswith("publish#")
    client.refuses = 0
    side.receive_message(side.form(1, "STOP"))
    assert len(client.details) == 4
    assert "due_shard" not in side.item(sid(1))


@pytest.mark.parametrize("filler", ["\x01", "😀", '"', "\\", "é"])
@pytest.mark.parametrize("answer", [{"ButtonText": "", "ListTitle": ""}, {"FlowData": ""}])
def test_no_form_makes_an_event_too_large_for_the_bus(side: Receiving, filler: str, answer: dict[str, str]) -> None:
    """Each field with more than it may have, in the costliest characters; a flow's answers with as much as they may."""
    long = filler * 25_000
    names = ("ProfileName", "Label", "Address", "Unknown", *answer, *twilio_form._REFERRAL)
    media = {f"MediaUrl{n}": "https://x" for n in range(10)} | {f"MediaContentType{n}": long for n in range(10)}
    form = webhook_kit.message(Latitude="1", Longitude="1") | media | dict.fromkeys(names, long) | {"Body": long}
    if "FlowData" in answer:
        room = MAX_EVENT_FLOW - len(json.dumps({"why": ""}))
        form["FlowData"] = json.dumps(
            {"why": filler * (room // len(json.dumps(filler, ensure_ascii=False)[1:-1].encode()))}
        )
    inbound = side.receive_message(read_inbound(form | {"Unknown": ""}))
    (event,) = side.published()
    assert (event.flow is not None) == ("FlowData" in answer)
    client = Events()
    EventBridgeBus(client, "bus").publish(events_of(inbound))  # type: ignore[arg-type]  # all it asks of it
    assert max(len(detail.encode()) for detail in client.details) < 220_000
    assert len(side.item(inbound.message_id)["text"]) == len(long)


@pytest.mark.parametrize("filler", ["\x01", "😀", "आ"])
def test_largest_form_can_be_stored(side: Receiving, filler: str) -> None:
    """DynamoDB takes items of 400 KB. All in one field, and in fields that nobody knows."""
    share = MAX_FORM_BYTES // len(filler.encode())
    for number, name in enumerate(("Body", "Unknown")):
        form = webhook_kit.message(MessageSid=sid(number), SmsSid="", SmsMessageSid="") | {name: filler * share}
        assert side.receive_message(read_inbound(form)).is_published


KINDS: dict[str, dict[str, str]] = {
    "choice": {"ListId": "slot-1", "ListTitle": "5 pm"},
    "flow": {"FlowData": '{"sleep": 7.5, "why": ["काम", null]}', "Body": ""},
    "reaction": {"MessageType": "reaction", "Body": "👍"},
    "text": {"FrequentlyForwarded": "true", "ReferralHeadline": "Feel better"},
    "unknown": {"MessageType": "order", "OrderItems": "2", "Body": ""},
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_on_the_bus_in_the_record_and_in_the_conversation(side: Receiving, kind: str) -> None:
    inbound = side.receive_message(
        read_inbound(webhook_kit.message(MessageSid=sid(1), SmsSid="", SmsMessageSid="") | KINDS[kind])
    )
    again = side.inbox.get(sid(1))
    assert again is not None
    assert (again.kind, events_of(again)) == (kind, events_of(inbound))
    (event,) = side.published()
    (shown,) = side.manage_contacts.conversation(IDS.of(ASHA), None, None)["messages"]
    told = {name: shown.get(name) for name in ("kind", "choice", "flow", "reaction", "referral", "more")}
    told |= {name: shown.get(name, False) for name in ("forwarded", "frequently_forwarded")}
    detail = {name: as_entry(event)["Detail"].get(name) for name in told}
    assert told == {**detail, "more": inbound.more or None}
    assert any(value for name, value in told.items() if name != "kind")


def test_long_text_is_cut_on_the_bus_and_whole_in_the_conversation(side: Receiving) -> None:
    side.receive_message(side.form(1, "x" * 30_000))
    (event,) = side.published()
    assert (len(event.text), event.text_truncated) == (20_000, True)
    page = side.manage_contacts.conversation(IDS.of(ASHA), None, None)
    assert len(page["messages"][0]["text"]) == 30_000


def test_events_of_one_record_are_always_the_same(side: Receiving) -> None:
    medium = InboundMedium(url="https://x", content_type="image/jpeg")
    inbound = side.receive_message(side.form(1, "STOP", media=(medium,)))
    again = side.inbox.get(sid(1))
    assert again is not None
    assert [as_entry(e) for e in events_of(again)] == [as_entry(e) for e in events_of(inbound)]


def test_bus_that_does_not_answer_has_not_published(side: Receiving) -> None:
    class Broken:
        def put_events(self, **_: object) -> None:
            from botocore.exceptions import ReadTimeoutError

            raise ReadTimeoutError(endpoint_url="https://events")

    with pytest.raises(PublishFailed):
        EventBridgeBus(Broken(), "bus").publish(events_of(side.receive_message(side.form(1, "STOP"))))  # type: ignore[arg-type]  # as above
