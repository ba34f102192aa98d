"""The order of a receive: store the message with an outbox marker, publish it, clear the marker."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from whatsapp.adapters.dynamodb.contact_store import ContactMovedError, ContactStore
from whatsapp.adapters.dynamodb.inbox_store import InboxStore
from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain.contact import Contact, ContactIds
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.ports import Clock, Metrics, TwilioUnavailable
from whatsapp.domain.receiving.conversation import answers
from whatsapp.domain.receiving.inbound import InboundForm, InboundMessage
from whatsapp.domain.receiving.opt_out import are_settled, recent_words
from whatsapp.domain.receiving.record import events_of, record_of
from whatsapp.domain.sending.message import Message
from whatsapp.use_cases.outbox import Outbox

TRIES = 5


class ErasedError(Exception):
    """The person was erased after they wrote this message, so it must not be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveMessage:
    """Stores one inbound message once, and publishes it at least once, however often Twilio delivers it."""

    inbox: InboxStore
    messages: MessageStore
    contacts: ContactStore
    contact_ids: ContactIds
    outbox: Outbox
    clock: Clock
    metrics: Metrics
    default_agent: str
    settle_opt_words: Callable[[str], InboundMessage | None]
    """`SettleOptWords`, made when it is needed: it loads Twilio's SDK, which no other webhook pays for."""

    def __call__(
        self,
        form: InboundForm,
        *,
        received_at: int | None = None,
        source: str = "webhook",
        contact: Contact | None = None,
    ) -> InboundMessage:
        """Receive one message.

        Args:
            form: Twilio's webhook or list entry.
            received_at: when it was written (epoch ms); now if that is not known.
            source: `webhook` or `backfill`.
            contact: the sender's row, if the caller has just read it.

        Raises:
            ContactMovedError: the contact's row kept changing; Twilio retries the webhook.
            ErasedError: the person was erased at `received_at` or later.
        """
        contact_id = self.contact_ids.of(form.from_)
        for tries_left in reversed(range(TRIES)):
            try:
                if form.from_.is_phone_number and form.external_user_id:
                    self.contacts.tie(self.contact_ids.of(form.external_user_id), contact_id)
                found = contact or self.contacts.find(contact_id, self.contact_ids.former(form.from_))
                known = found or Contact(contact_id=contact_id)
                replied_to = self._replied_to(form, known)
                if received_at and known.was_erased_since(received_at):
                    raise ErasedError
                now = self.clock.now()  # after a read: DynamoDB's answer corrects the clock of a new sandbox
                inbound = record_of(
                    form,
                    known,
                    replied_to,
                    received_at=received_at or now,
                    now=now,
                    source=source,
                    default_agent=self.default_agent,
                )
                stored = self.inbox.put(inbound, known)
            except ContactMovedError:
                if not tries_left:
                    raise
                contact = None
            else:
                break
        if stored:
            self.metrics.count_at(self.clock.now(), {"DuplicatesAbsorbed": 1})
            return stored if stored.is_published else self.publish(stored)
        self.metrics.count("MessagesReceived")
        if answered := answers(known, replied_to, inbound.received_at):
            at, layout = answered
            self.metrics.count_at(at, {"ProactiveAnswered": 1}, **layout)
        return self._settle_and_publish(inbound, known)

    def publish(self, inbound: InboundMessage) -> InboundMessage:
        """Publish a stored message and clear its marker. If the bus does not take it, the sweep tries again."""
        if inbound.safety and not inbound.is_erased:
            self.outbox.alert_about_safety(inbound.message_id, inbound.contact_id)  # if it fails, its sweep tries again
        if not inbound.is_erased and not self.outbox.publish(*events_of(inbound)):
            return inbound
        self.inbox.record_published(inbound, self.clock.now())
        return replace(inbound, due_at=None, due_shard=None)

    def _settle_and_publish(self, inbound: InboundMessage, contact: Contact) -> InboundMessage:
        """Publish a new message. If it leaves a STOP and a START unsettled, first ask Twilio for their dates."""
        word = inbound.as_opt_word
        if word and not are_settled(recent_words(contact, word)):
            with suppress(TwilioUnavailable):  # then STOP stands, and the reconcile asks again
                if start := self.settle_opt_words(contact.contact_id):
                    self.publish(start)
            inbound = self.inbox.get(inbound.message_id) or inbound
        return inbound if inbound.is_published else self.publish(inbound)

    def _replied_to(self, form: InboundForm, contact: Contact) -> Message | None:
        """Our message that the patient replied to, if it was sent to this contact."""
        if not form.replied_to_sid:
            return None
        found = (self.messages.get(message_id) for message_id in self.messages.message_ids_for_sid(form.replied_to_sid))
        return next((m for m in found if m and m.contact_id in contact.ids), None)
