"""Every five minutes: ask Twilio for what never reached us. A webhook is retried for 15 seconds at most.

One item that goes wrong does not stop the others, and Twilio being down is no error of ours: what was not asked today
is asked five minutes later.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile

from whatsapp.adapters.dynamodb.contact_store import ContactStore
from whatsapp.adapters.dynamodb.inbox_store import InboxStore
from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact, ContactIds
from whatsapp.domain.events import Kind
from whatsapp.domain.ports import (
    Clock,
    Deadline,
    Gateway,
    Metrics,
    PublishFailed,
    StatusUpdate,
    TwilioMessage,
    TwilioUnavailable,
)
from whatsapp.domain.receiving.inbound import InboundForm, InboundMedium, cleaned, kind_of, sender_of
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import SHARDS, Message
from whatsapp.domain.templates.catalog import Catalog
from whatsapp.use_cases.receive_message import ErasedError, ReceiveMessage
from whatsapp.use_cases.record_status import RecordStatus


class UnreadableSenderError(Exception):
    """A message in Twilio's list of which we cannot tell who wrote it. It stays there until our code can."""


@dataclass
class Found:
    """What one reconcile found."""

    backfilled: int = 0
    statuses: int = 0
    unanswered: int = 0
    trouble: list[Exception] = field(default_factory=list)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """One item by itself: what goes wrong with it is kept for the end."""
        try:
            yield
        except (TwilioUnavailable, PublishFailed):
            self.unanswered += 1
        except Exception as error:  # noqa: BLE001 - one item's trouble must not stop the others
            self.trouble.append(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    """Backfills inbound messages and statuses from Twilio."""

    inbox: InboxStore
    messages: MessageStore
    contacts: ContactStore
    gateway: Gateway
    catalog: Catalog
    contact_ids: ContactIds
    clock: Clock
    metrics: Metrics
    receive_message: ReceiveMessage
    record_status: RecordStatus

    def __call__(self, deadline: Deadline) -> dict[str, int]:
        """Look at both; returns how many of each were found, and how many questions had no answer.

        Raises:
            ExceptionGroup: after all else is done, what went wrong with single items, other than Twilio or the bus
                being down.
        """
        found = Found()
        with found.apart():
            self._inbound(found, deadline)
        self._statuses(found, deadline)
        self.metrics.count("MessagesBackfilled", found.backfilled)
        if found.trouble:
            raise ExceptionGroup("the reconcile could not do everything", found.trouble)
        return {name: getattr(found, name) for name in ("backfilled", "statuses", "unanswered")}

    # --- inbound messages that never arrived -----------------------------------------------------------------------

    def _inbound(self, found: Found, deadline: Deadline) -> None:
        until = self.clock.now() - periods.RECONCILE_AFTER
        looked_until = self.inbox.reconciled_until() or until
        self.metrics.count("ReconcileBehind", int(until - looked_until > periods.RECONCILE_BEHIND))
        since = max(min(looked_until, until) - periods.RECONCILE_OVERLAP, until - periods.RECONCILE_LOOK_BACK)
        in_time = takewhile(lambda _: self._has_time(deadline), self.gateway.list_received(since))
        listed = [one for one in in_time if one.date_created <= until]
        missing = self.inbox.missing([one.twilio_sid for one in listed])
        # Oldest first, of one second as they came: STOP and START end as they were meant.
        listed.reverse()
        for one in sorted(listed, key=lambda one: one.date_created):
            if one.twilio_sid in missing and self._has_time(deadline):
                with found.apart():
                    found.backfilled += self._backfill(one)
        if self._has_time(deadline) and not found.unanswered and not found.trouble:
            self.inbox.note_reconciled(until)

    def _backfill(self, one: TwilioMessage) -> bool:
        sender = sender_of(one.from_)
        if sender is None:
            raise UnreadableSenderError(f"{one.twilio_sid}: its sender has a form that we do not know")
        contact_id = self.contact_ids.of(sender)
        contact = self.contacts.get(contact_id) or Contact(contact_id=contact_id)
        if contact.was_erased_since(one.date_created):
            return False
        tapped = self._tapped(contact, one)
        media = tuple(self.gateway.media_of(one.twilio_sid)) if one.num_media else ()
        form = InboundForm(
            twilio_sid=one.twilio_sid,
            from_=sender,
            to=one.to,
            text=cleaned(one.body),
            kind=_kind(one, tapped, media),
            button_text=one.body if tapped else None,
            button_payload=tapped,
            media=media,
        )
        try:
            self.receive_message(form, received_at=one.date_created, source="backfill")
        except ErasedError:  # in this very moment
            return False
        return True

    def _tapped(self, contact: Contact, one: TwilioMessage) -> str | None:
        """A list shows a tapped button as text only: the last template's replies tell which it was."""
        since, until = one.date_created - periods.TAPPED_REPLY, one.date_created
        before = [m for contact_id in contact.ids for m in self.messages.of_contact(contact_id, since, until)]
        templates = [m for m in before if m.template in self.catalog.names and m.twilio_sid]
        if not templates:
            return None
        last = max(templates, key=lambda m: m.accepted_at or m.created_at)
        reply = self.catalog.get(last.template or "").quick_reply(one.body)
        return reply.payload if reply else None

    # --- statuses that are due -------------------------------------------------------------------------------------

    def _statuses(self, found: Found, deadline: Deadline) -> None:
        for shard in range(SHARDS):
            for message in self.messages.due(f"status#{shard}", self.clock.now()):
                if self._has_time(deadline):
                    with found.apart():
                        found.statuses += self._ask(message)

    def _ask(self, message: Message) -> bool:
        """Book, ask, and only then note when to ask next: an answer that did not come is asked for in an hour."""
        age = self.clock.now() - (message.accepted_at or message.created_at)
        booked = self.messages.postpone(message, self.clock.now() + periods.HOUR, "status")
        if booked is None:
            return False
        listed = self.gateway.fetch(message.twilio_sid or "") if age < periods.ASK_STATUS_UNTIL else None
        asked = self.record_status.apply(booked, _update_of(booked, listed)) if listed else booked
        if asked.status is Status.SENT:
            next_ask = next((after for after in periods.ASK_STATUS if after > age), None) if listed else None
            due_at = self.clock.now() - age + next_ask if next_ask else None
            self.messages.clear_outbox(booked, due_at=due_at, shard="status")
        return True

    def _has_time(self, deadline: Deadline) -> bool:
        return deadline.at - self.clock.now() > periods.TWILIO_QUESTION


def _kind(one: TwilioMessage, tapped: str | None, media: Sequence[InboundMedium]) -> Kind:
    """A list does not show a place: what has neither words nor media is of a kind that nobody can tell."""
    if tapped:
        return "button"
    if media:
        return kind_of(media[0].content_type)
    return "text" if one.body else "unknown"


def _update_of(message: Message, listed: TwilioMessage) -> StatusUpdate:
    return StatusUpdate(
        message_id=message.message_id,
        attempt=message.attempt or "",
        twilio_sid=listed.twilio_sid,
        status=listed.status,
        error_code=listed.error_code,
    )
