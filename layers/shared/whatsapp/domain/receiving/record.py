"""The record of an inbound message, and the events that are made from it."""

import json
from dataclasses import replace
from typing import Any

from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.events import (
    Button,
    Choice,
    ContactOptedIn,
    ContactOptedOut,
    Event,
    InReplyTo,
    Medium,
    MessageReceived,
)
from whatsapp.domain.receiving.conversation import choose_agent
from whatsapp.domain.receiving.inbound import MAX_EVENT_FLOW, MAX_EVENT_TEXT, InboundForm, InboundMessage
from whatsapp.domain.receiving.opt_out import effective_opt, opt_of
from whatsapp.domain.receiving.safety import safety_of
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.choices import chosen
from whatsapp.domain.sending.message import Message, shard_of


def record_of(
    form: InboundForm,
    contact: Contact,
    answered: Message | None,
    *,
    received_at: int,
    now: int,
    source: str,
    default_agent: str,
) -> InboundMessage:
    """The record to store, with its outbox marker. `answered`: our message that the patient replied to."""
    replied_to_agent = answered.agent if answered else None
    content = {**form.content, **_choice_tapped(form, answered)}
    answered_user = answered.user_id if answered else None
    payload = form.button_payload or (form.choice.id if form.choice else None)
    inbound = InboundMessage(
        message_id=form.twilio_sid,
        contact_id=contact.contact_id,
        to=form.to,
        address=form.from_.value if form.from_.is_phone_number else contact.address or form.from_.value,
        received_at=received_at,
        **content,
        in_reply_to=answered.message_id if answered else None,
        in_reply_to_template=answered.template if answered else None,
        user_id=answered_user or contact.user_id_at(received_at),
        user_ids=() if answered_user else tuple(contact.users_written_to(received_at)),
        agent=choose_agent(payload, replied_to_agent, contact, received_at, default_agent),
        group=answered.group if answered else None,
        safety=safety_of((form.text, form.button_text, form.choice.title if form.choice else None), payload),
        source=source,
        opt_word=opt_of(form.text, form.opt_out_type),
        due_shard=shard_of("publish", contact.contact_id),
        due_at=now + periods.OUTBOX_RETRY,
    )
    word = inbound.as_opt_word
    return replace(inbound, opt=effective_opt(word, contact)) if word else inbound


def _choice_tapped(form: InboundForm, answered: Message | None) -> dict[str, Any]:
    """What changes where the tapped button is one of the choices of the answered message: Twilio tells a button."""
    if form.kind != "button" or answered is None:
        return {}
    choice = chosen(answered.choices, form.button_text or form.text, form.button_payload)
    if choice is None:
        return {}
    tapped = Choice(id=choice["id"], title=choice["title"])
    return {"kind": "choice", "choice": tapped, "button_text": None, "button_payload": None}


def events_of(inbound: InboundMessage) -> list[Event]:
    """The message's events. The same record always gives the same events."""
    about = {
        "occurred_at": iso(inbound.received_at),
        "contact_id": inbound.contact_id,
        "address": inbound.address,
        "user_id": inbound.user_id,
        "agent": inbound.agent,
        "group": inbound.group,
        "message_id": inbound.message_id,
    }
    button = (
        Button(text=inbound.button_text or inbound.text, payload=inbound.button_payload)
        if inbound.kind == "button"
        else None
    )
    reply = (
        InReplyTo(message_id=inbound.in_reply_to, template=inbound.in_reply_to_template)
        if inbound.in_reply_to
        else None
    )
    is_flow_too_large = len(json.dumps(inbound.flow, ensure_ascii=False).encode()) > MAX_EVENT_FLOW
    events: list[Event] = [
        MessageReceived(
            **about,  # type: ignore[arg-type]  # the fields every event shares
            event_id=inbound.message_id,
            to=inbound.to,
            user_ids=list(inbound.user_ids),
            kind=inbound.kind,
            text=inbound.text[:MAX_EVENT_TEXT],
            text_truncated=len(inbound.text) > MAX_EVENT_TEXT,
            button=button,
            choice=inbound.choice,
            flow=None if is_flow_too_large else inbound.flow,
            flow_omitted=is_flow_too_large,
            reaction=inbound.reaction,
            media=[Medium(index=n, content_type=m.content_type) for n, m in enumerate(inbound.media)],
            location=inbound.location,
            forwarded=inbound.forwarded,
            frequently_forwarded=inbound.frequently_forwarded,
            referral=inbound.referral,
            profile_name=inbound.profile_name,
            safety=inbound.safety,
            in_reply_to=reply,
            window_expires_at=iso(inbound.received_at + periods.WINDOW),
            source="backfill" if inbound.source == "backfill" else "webhook",
        )
    ]
    again = "#again" if inbound.opt_again else ""
    if inbound.opt == "out":
        events.append(ContactOptedOut(**about, event_id=f"{inbound.message_id}#opted_out{again}"))  # type: ignore[arg-type]  # as above
    elif inbound.opt == "in":
        events.append(ContactOptedIn(**about, event_id=f"{inbound.message_id}#opted_in{again}"))  # type: ignore[arg-type]  # as above
    return events
