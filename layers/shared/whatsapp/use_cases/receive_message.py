"""The incoming story: store with an outbox marker, publish, clear the marker. What is stored is never lost."""

from dataclasses import dataclass, replace

from whatsapp.adapters.dynamodb.contact_store import ContactStore
from whatsapp.adapters.dynamodb.inbox_store import ContactMovedError, InboxStore
from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact, ContactIds
from whatsapp.domain.events import (
    Button,
    ContactOptedIn,
    ContactOptedOut,
    Event,
    InReplyTo,
    Medium,
    MessageReceived,
)
from whatsapp.domain.ports import Clock, EventBus, Metrics, PublishFailed
from whatsapp.domain.receiving.conversation import choose_agent
from whatsapp.domain.receiving.inbound import MAX_EVENT_TEXT, InboundForm, InboundMessage
from whatsapp.domain.receiving.opt_out import opt_of
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.message import Message, shard_of

TRIES = 5


class ErasedError(Exception):
    """The person was erased after they wrote this: it must not come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveMessage:
    """Takes in one inbound message, however often Twilio brings it."""

    inbox: InboxStore
    messages: MessageStore
    contacts: ContactStore
    contact_ids: ContactIds
    bus: EventBus
    clock: Clock
    metrics: Metrics
    default_agent: str

    def __call__(self, form: InboundForm, *, received_at: int | None = None, source: str = "webhook") -> InboundMessage:
        """Store it once and publish it at least once.

        Args:
            form: as its webhook tells it.
            received_at: when it was written (epoch ms), where that is known; else now.
            source: `webhook`, or `backfill`.

        Raises:
            ContactMovedError: the contact's row kept changing under us; Twilio brings the message again.
            ErasedError: they were erased since `received_at`.
        """
        inbound, stored = self._store(form, received_at, source)
        if stored is None:
            self.metrics.count("MessagesReceived")
        elif stored.is_published:
            return stored
        return self.publish(stored or inbound)

    def publish(self, inbound: InboundMessage) -> InboundMessage:
        """Put it on the bus and clear the marker; if the bus does not take it, the marker stands."""
        try:
            if not inbound.is_erased:
                self.bus.publish(events_of(inbound))
        except PublishFailed:
            self.metrics.count("PublishFailed")
            return inbound
        self.inbox.published(inbound, self.clock.now())
        return replace(inbound, due_at=None, due_shard=None)

    def _store(
        self, form: InboundForm, received_at: int | None, source: str
    ) -> tuple[InboundMessage, InboundMessage | None]:
        """The new record, and the one that was there before it, if any."""
        for tries_left in reversed(range(TRIES)):
            contact = self._contact(form)
            if received_at and contact.was_erased_since(received_at):
                raise ErasedError
            # The clock is read after the table: a sandbox that just woke up learns from there what time it is.
            inbound = self._record(form, contact, received_at or self.clock.now(), source)
            try:
                return inbound, self.inbox.put(inbound, contact)
            except ContactMovedError:
                if not tries_left:
                    raise
        raise AssertionError("the last try returns or raises")

    def _contact(self, form: InboundForm) -> Contact:
        """The row of the number; of the business-scoped id, where only that is shown. Where both are, they are tied."""
        contact_id = self.contact_ids.of(form.from_)
        if form.from_.is_phone_number and form.external_user_id:
            self.contacts.tie(self.contact_ids.of(form.external_user_id), contact_id)
        return self.contacts.get(contact_id) or Contact(contact_id=contact_id)

    def _record(self, form: InboundForm, contact: Contact, now: int, source: str) -> InboundMessage:
        answered = self._answered(form, contact)
        return InboundMessage(
            message_id=form.twilio_sid,
            contact_id=contact.contact_id,
            address=form.from_.value if form.from_.is_phone_number else contact.address or form.from_.value,
            received_at=now,
            text=form.text,
            kind=form.kind,
            button_text=form.button_text,
            button_payload=form.button_payload,
            media=form.media,
            location=form.location,
            profile_name=form.profile_name,
            in_reply_to=answered.message_id if answered else None,
            in_reply_to_template=answered.template if answered else None,
            user_id=contact.user_id or (answered.user_id if answered else None),
            agent=choose_agent(
                form.button_payload, answered.agent if answered else None, contact, now, self.default_agent
            ),
            source=source,
            opt=self._opt(form, contact, now),
            more=form.more,
            due_shard=shard_of("publish", contact.contact_id),
            due_at=self.clock.now() + periods.OUTBOX_RETRY,
        )

    def _opt(self, form: InboundForm, contact: Contact, at: int) -> str | None:
        """STOP or START, unless either was said later: a backfilled one comes out of its turn. In doubt, STOP counts.

        A webhook's message is dated when it comes, which may be 15 s after it was written. Only their own START
        outdates a STOP: a consent that a caller noted does not.
        """
        opt = opt_of(form.text, form.opt_out_type)
        out_at = contact.opted_out_at or 0
        in_at = contact.opted_in_at or 0 if contact.opt_in_source == "message" else 0
        is_late = at < max(out_at, in_at) if opt == "in" else at < max(out_at, in_at - periods.WEBHOOK_RETRIES)
        return None if is_late else opt

    def _answered(self, form: InboundForm, contact: Contact) -> Message | None:
        """Our message that the patient replied to, if it was one of theirs."""
        if not form.replied_to_sid:
            return None
        found = (self.messages.get(message_id) for message_id in self.messages.message_ids_for_sid(form.replied_to_sid))
        return next((m for m in found if m and m.contact_id in contact.ids), None)


def events_of(inbound: InboundMessage) -> list[Event]:
    """The events of one inbound message: always the same for the same record."""
    about = {
        "occurred_at": iso(inbound.received_at),
        "contact_id": inbound.contact_id,
        "address": inbound.address,
        "user_id": inbound.user_id,
        "agent": inbound.agent,
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
    events: list[Event] = [
        MessageReceived(
            **about,  # type: ignore[arg-type]  # the fields every event shares
            event_id=inbound.message_id,
            kind=inbound.kind,
            text=inbound.text[:MAX_EVENT_TEXT],
            text_truncated=len(inbound.text) > MAX_EVENT_TEXT,
            button=button,
            media=[Medium(index=n, content_type=m.content_type) for n, m in enumerate(inbound.media)],
            location=inbound.location,
            profile_name=inbound.profile_name,
            in_reply_to=reply,
            window_expires_at=iso(inbound.received_at + periods.WINDOW),
            source="backfill" if inbound.source == "backfill" else "webhook",
        )
    ]
    if inbound.opt == "out":
        events.append(ContactOptedOut(**about, event_id=f"{inbound.message_id}#opted_out"))  # type: ignore[arg-type]  # as above
    elif inbound.opt == "in":
        events.append(ContactOptedIn(**about, event_id=f"{inbound.message_id}#opted_in"))  # type: ignore[arg-type]  # as above
    return events
