"""Every five minutes: ask Twilio for what never reached us. A webhook is retried for 15 seconds at most."""

from dataclasses import dataclass

from whatsapp.domain.address import Address
from whatsapp.domain.catalog import Catalog
from whatsapp.domain.contact import ContactIds
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.inbound import InboundForm, kind_of
from whatsapp.domain.message import SHARDS, Message
from whatsapp.domain.ports import (
    Clock,
    ContactStore,
    Deadline,
    Gateway,
    InboxStore,
    Listed,
    MessageStore,
    Metrics,
    StatusUpdate,
)
from whatsapp.use_cases.receive_message import ReceiveMessage
from whatsapp.use_cases.record_status import RecordStatus
from whatsapp.use_cases.store_media import StoreMedia

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEBHOOK_MAY_COME_MS = 2 * MINUTE_MS
LOOK_BACK_MS = HOUR_MS
DAILY_LOOK_BACK_MS = 48 * HOUR_MS
EVERY_MS = 5 * MINUTE_MS
ASKS_MS = (HOUR_MS, 12 * HOUR_MS, 24 * HOUR_MS)
"""How long after acceptance a message that is still `sent` is asked about."""
ENOUGH_MS = 15_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    """Backfills inbound messages, statuses and media from Twilio."""

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
    store_media: StoreMedia

    def __call__(self, deadline: Deadline) -> dict[str, int]:
        """Look at each of the three; returns how many of each were found."""
        return {
            "backfilled": self._inbound(deadline),
            "statuses": self._statuses(deadline),
            "media": self._media(deadline),
        }

    # --- inbound messages that never arrived -----------------------------------------------------------------------

    def _inbound(self, deadline: Deadline) -> int:
        now = self.clock.now()
        # Once a day, further back: an outage may have lasted longer than an hour.
        daily = now % DAY_MS < EVERY_MS
        listed = self.gateway.list_received(now - (DAILY_LOOK_BACK_MS if daily else LOOK_BACK_MS))
        found = 0
        for one in reversed(listed):  # oldest first, so that STOP and START end as they were meant
            if not self._has_time(deadline):
                break
            if one.date_created <= now - WEBHOOK_MAY_COME_MS and self.inbox.get(one.twilio_sid) is None:
                found += self._backfill(one)
        self.metrics.count("MessagesBackfilled", found)
        return found

    def _backfill(self, one: Listed) -> bool:
        try:
            address = Address.parse(one.from_)
        except MessagingError:
            return False
        contact_id = self.contact_ids.of(address)
        contact = self.contacts.get(contact_id)
        if contact and contact.erased_at and one.date_created <= contact.erased_at:
            return False
        tapped = self._tapped(contact.contact_id if contact else contact_id, one)
        media = tuple(self.gateway.media_of(one.twilio_sid)) if one.num_media else ()
        form = InboundForm(
            twilio_sid=one.twilio_sid,
            from_=address,
            to=one.to,
            text=one.body,
            kind="button" if tapped else kind_of(media[0].content_type) if media else "text",
            button_text=one.body if tapped else None,
            button_payload=tapped,
            media=media,
        )
        self.receive_message(form, received_at=one.date_created, source="backfill")
        return True

    def _tapped(self, contact_id: str, one: Listed) -> str | None:
        """A list shows a tapped button as text only: the last template's replies tell which it was."""
        before = self.messages.of_contact(contact_id, one.date_created - 7 * DAY_MS, one.date_created)
        templates = [m for m in before if m.template and m.twilio_sid]
        if not templates:
            return None
        last = max(templates, key=lambda m: m.accepted_at or m.created_at)
        reply = self.catalog.get(last.template or "").quick_reply(one.body)
        return reply.payload if reply else None

    # --- statuses that are due -------------------------------------------------------------------------------------

    def _statuses(self, deadline: Deadline) -> int:
        asked = 0
        for shard in range(SHARDS):
            for message in self.messages.due(f"status#{shard}", self.clock.now()):
                if self._has_time(deadline) and (booked := self._book(message)):
                    self._ask(booked)
                    asked += 1
        return asked

    def _book(self, message: Message) -> Message | None:
        """Move the next question before asking this one; after a day, none is left."""
        since = self.clock.now() - (message.accepted_at or message.created_at)
        next_ask = next((after for after in ASKS_MS if after > since), None)
        if next_ask is None:
            return self.messages.announced(message, due_at=None)
        return self.messages.book(message, (message.accepted_at or message.created_at) + next_ask, "status")

    def _ask(self, message: Message) -> None:
        listed = self.gateway.fetch(message.twilio_sid or "")
        if listed:
            update = StatusUpdate(
                message_id=message.message_id,
                attempt=message.attempt or "",
                twilio_sid=listed.twilio_sid,
                status=listed.status,
                error_code=listed.error_code,
            )
            self.record_status.apply(message, update)

    # --- media that are still at Twilio ----------------------------------------------------------------------------

    def _media(self, deadline: Deadline) -> int:
        stored = 0
        for shard in range(SHARDS):
            for inbound in self.inbox.due(f"media#{shard}", self.clock.now()):
                if self._has_time(deadline) and self.inbox.book(inbound, self.clock.now() + EVERY_MS):
                    stored += self.store_media(inbound.message_id)
        return stored

    def _has_time(self, deadline: Deadline) -> bool:
        return deadline.at - self.clock.now() > ENOUGH_MS
