"""The record of an inbound message, and its events, as decided from the form, the contact and the answered message."""

from dataclasses import replace
from typing import Any

import pytest
from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.contact import Contact
from whatsapp.domain.events import (
    Choice,
    ContactOptedIn,
    ContactOptedOut,
    Location,
    MessageReceived,
    Reaction,
    Referral,
)
from whatsapp.domain.receiving.inbound import MAX_EVENT_TEXT, InboundForm, InboundMedium, InboundMessage
from whatsapp.domain.receiving.record import events_of, record_of
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, shard_of

from tests.fakes import NOON

NUMBER, HIDDEN, SENDER = "+919812345678", "IN.134", "+14155550100"
CONTACT = Contact(contact_id="c", address=NUMBER)
ANSWERED = Message(
    message_id="m",
    contact_id="c",
    to=NUMBER,
    request_hash="h",
    created_at=NOON,
    status=Status.READ,
    template="mood_checkin",
    agent="mood",
    user_id="user-42",
)


def record(
    contact: Contact = CONTACT, answered: Message | None = None, at: int = NOON, source: str = "webhook", **form: Any
) -> InboundMessage:
    values = {"twilio_sid": "SM1", "from_": Address(NUMBER), "to": SENDER, "text": "hello", **form}
    times: dict[str, Any] = {"received_at": at, "now": NOON, "source": source, "default_agent": "front_desk"}
    return record_of(InboundForm(**values), contact, answered, **times)


# --- the record ------------------------------------------------------------------------------------------------------


def test_form_is_kept() -> None:
    medium = InboundMedium(url="https://x", content_type="image/jpeg")
    kept: dict[str, Any] = {
        "text": "hi",
        "kind": "image",
        "button_text": "b",
        "button_payload": "p",
        "media": (medium,),
    }
    kept |= {
        "location": Location(latitude=1.5, longitude=2.5),
        "profile_name": "Asha",
        "choice": Choice(id="agent:mood:3", title="3"),
        "flow": {"mood": 3},
        "reaction": Reaction(emoji="👍"),
        "forwarded": True,
        "frequently_forwarded": True,
        "referral": Referral(headline="Feel better"),
        "more": {"New": "true"},
        "to": SENDER,
    }
    inbound = record(**kept)
    assert {name: getattr(inbound, name) for name in kept} == kept
    assert (inbound.message_id, inbound.contact_id, inbound.received_at) == ("SM1", "c", NOON)


def test_outbox_marker_counts_from_now_however_old_the_message_is() -> None:
    inbound = record(at=NOON - periods.DAY, source="backfill")
    assert (inbound.due_shard, inbound.due_at) == (shard_of("publish", "c"), NOON + periods.OUTBOX_RETRY)
    assert (inbound.received_at, inbound.source, inbound.is_published) == (NOON - periods.DAY, "backfill", False)


@pytest.mark.parametrize(
    ("written_from", "known", "address"),
    [(NUMBER, None, NUMBER), (NUMBER, "+919812345679", NUMBER), (HIDDEN, None, HIDDEN), (HIDDEN, NUMBER, NUMBER)],
)
def test_number_counts_more_than_an_id_that_hides_it(written_from: str, known: str | None, address: str) -> None:
    assert record(replace(CONTACT, address=known), from_=Address(written_from)).address == address


@pytest.mark.parametrize(
    ("contacts", "answered", "expected"),
    [(None, None, None), ("user-7", None, "user-7"), (None, ANSWERED, "user-42"), ("user-7", ANSWERED, "user-42")],
)
def test_user_is_the_answered_messages_else_the_contacts(
    contacts: str | None, answered: Message | None, expected: str | None
) -> None:
    assert record(replace(CONTACT, user_id=contacts), answered).user_id == expected


def test_where_no_answered_message_decides_the_event_lists_the_users_of_the_phone() -> None:
    shared = replace(CONTACT, user_id="meera", written_to={"meera": NOON - 1, "rohan": NOON - 2})
    nameless = replace(ANSWERED, user_id=None)
    for answered in (None, nameless):
        (event,) = events_of(record(shared, answered))
        assert isinstance(event, MessageReceived)
        assert (event.user_id, event.user_ids) == (None, ["meera", "rohan"])
    (decided,) = events_of(record(shared, ANSWERED))
    assert isinstance(decided, MessageReceived)
    assert (decided.user_id, decided.user_ids) == ("user-42", [])


def test_answered_message_gives_the_reply_context_and_the_agent() -> None:
    inbound = record(answered=ANSWERED)
    assert (inbound.in_reply_to, inbound.in_reply_to_template, inbound.agent) == ("m", "mood_checkin", "mood")
    assert record(answered=ANSWERED, button_payload="agent:reminders:ok").agent == "reminders"
    assert record(answered=ANSWERED, choice=Choice(id="agent:reminders:ok", title="ok")).agent == "reminders"
    assert record(answered=ANSWERED, choice=Choice(title="ok")).agent == "mood"
    inbound = record()
    assert (inbound.in_reply_to, inbound.in_reply_to_template, inbound.agent) == (None, None, "front_desk")


def test_agent_of_a_backfilled_message_is_the_one_of_its_own_time() -> None:
    spoken = replace(CONTACT, last_outbound_agent="mood", last_outbound_at=NOON - periods.AGENT_REMEMBERED - 1)
    assert record(spoken, at=NOON).agent == "front_desk"
    assert record(spoken, at=NOON - 1).agent == "mood"


def test_twilios_reading_of_a_stop_is_kept() -> None:
    assert [record(opt_out_type=said).opt for said in ("STOP", "START", None)] == ["out", "in", None]


# --- its events ------------------------------------------------------------------------------------------------------


def received(**values: Any) -> MessageReceived:
    event = events_of(replace(record(), **values))[0]
    assert isinstance(event, MessageReceived)
    return event


@pytest.mark.parametrize(("opt", "kind"), [("out", ContactOptedOut), ("in", ContactOptedIn), (None, None)])
def test_stop_and_start_are_events_beside_the_message(opt: str | None, kind: type | None) -> None:
    events = events_of(replace(record(), opt=opt, user_id="user-42"))
    assert [type(event) for event in events] == [MessageReceived, *([kind] if kind else [])]
    assert [event.event_id for event in events] == ["SM1", f"SM1#opted_{opt}"][: len(events)]
    for event in events:
        assert (event.occurred_at, event.contact_id, event.address) == (iso(NOON), "c", NUMBER)
        assert (event.user_id, event.agent) == ("user-42", "front_desk")


def test_event_shows_what_was_sent_as_it_was_stored() -> None:
    shown: dict[str, Any] = {
        "kind": "location",
        "location": Location(latitude=1.5, longitude=2.5),
        "profile_name": "Asha",
        "choice": Choice(id="1", title="3"),
        "flow": {"mood": 3},
        "flow_omitted": False,
        "reaction": Reaction(emoji="👍"),
        "forwarded": True,
        "frequently_forwarded": True,
        "referral": Referral(headline="Feel better"),
    }
    event = received(**{name: value for name, value in shown.items() if name != "flow_omitted"})
    assert {name: getattr(event, name) for name in shown} == shown
    assert (event.message_id, event.event_id, event.text, event.content_trust) == ("SM1", "SM1", "hello", "untrusted")


@pytest.mark.parametrize("to", [SENDER, None])
def test_event_says_which_sender_was_written_to_if_it_is_known(to: str | None) -> None:
    assert received(to=to).to == to


@pytest.mark.parametrize(("length", "is_cut"), [(MAX_EVENT_TEXT, False), (MAX_EVENT_TEXT + 1, True)])
def test_long_text_is_cut(length: int, is_cut: bool) -> None:
    event = received(text="x" * length)
    assert (len(event.text), event.text_truncated) == (MAX_EVENT_TEXT, is_cut)


@pytest.mark.parametrize(
    ("answers", "is_omitted"), [("x", False), ("", False), ("आ" * 10_000, False), ("आ" * 11_000, True)]
)
def test_flow_that_is_too_large_for_the_bus_is_left_out(answers: str, is_omitted: bool) -> None:
    flow = {"why": answers} if answers else {}
    event = received(kind="flow", flow=flow)
    assert (event.kind, event.flow, event.flow_omitted) == ("flow", None if is_omitted else flow, is_omitted)


@pytest.mark.parametrize(
    ("values", "button"),
    [
        ({"kind": "text", "button_text": "Yes"}, None),
        ({"kind": "button", "button_text": "Yes", "button_payload": "p"}, ("Yes", "p")),
        ({"kind": "button", "text": "Yes"}, ("Yes", None)),
    ],
)
def test_only_a_button_has_one(values: dict[str, Any], button: tuple[str, str | None] | None) -> None:
    event = received(**values)
    assert (event.button and (event.button.text, event.button.payload)) == button


def test_reply_media_window_and_source() -> None:
    media = tuple(InboundMedium(url=f"https://x/{kind}", content_type=f"image/{kind}") for kind in ("png", "jpeg"))
    event = received(media=media, in_reply_to="m", in_reply_to_template="mood_checkin", source="backfill")
    assert event.in_reply_to is not None
    assert (event.in_reply_to.message_id, event.in_reply_to.template) == ("m", "mood_checkin")
    shown = [(medium.index, medium.content_type, medium.status) for medium in event.media]
    assert shown == [(0, "image/png", "pending"), (1, "image/jpeg", "pending")]
    assert (event.window_expires_at, event.source) == (iso(NOON + periods.WINDOW), "backfill")
    assert received().in_reply_to is None
    assert received().source == "webhook"
