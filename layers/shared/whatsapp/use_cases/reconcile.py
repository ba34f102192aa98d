"""Every five minutes: backfill messages and statuses from Twilio's list. A webhook is retried for 15 seconds only.

An outage of Twilio is not an error of ours: the next run asks again.
"""

from collections.abc import Sequence
from itertools import islice, takewhile

from whatsapp.adapters.dynamodb.contact_store import ContactStore
from whatsapp.adapters.dynamodb.inbox_store import InboxStore, WordsJob
from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.contact import Contact, ContactIds
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.events import Choice, Kind
from whatsapp.domain.ports import (
    Clock,
    Deadline,
    Gateway,
    Metrics,
    TwilioMessage,
    TwilioUnavailable,
)
from whatsapp.domain.receiving.inbound import InboundForm, InboundMedium, cleaned, kind_of, sender_of
from whatsapp.domain.sending.choices import chosen
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, shards_of
from whatsapp.domain.sending.on_doubt import update_of
from whatsapp.domain.templates.catalog import Catalog
from whatsapp.use_cases.receive_message import ErasedError, ReceiveMessage
from whatsapp.use_cases.record_status import RecordStatus
from whatsapp.use_cases.settle_opt_words import SettleOptWords
from whatsapp.use_cases.sweep import RunAll, Sweep

ASKED_AT_ONCE = 100
"""How many messages are read before Twilio is asked for their status."""


class UnreadableSenderError(Exception):
    """The sender of a listed message has an unknown form. The message stays at Twilio until our code can read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    """Backfills inbound messages and statuses from Twilio."""

    inbox: InboxStore
    messages: MessageStore
    contacts: ContactStore
    gateway: Gateway
    catalog: Catalog
    contact_ids: ContactIds
    sender: Address
    clock: Clock
    metrics: Metrics
    receive_message: ReceiveMessage
    settle_opt_words: SettleOptWords
    record_status: RecordStatus
    run_all: RunAll

    def __call__(self, deadline: Deadline) -> dict[str, int]:
        """Look for both; returns how many of each were found, and how many questions had no answer.

        Raises:
            ExceptionGroup: after everything else is done, the errors of single items, other than an outage of Twilio.
        """
        sweep = Sweep(clock=self.clock, deadline=deadline, outages=(TwilioUnavailable,))
        backfilled = self._backfill_missing(sweep)
        self._settle_opt_words(sweep)
        statuses = self._ask_statuses(sweep)
        self.metrics.count("MessagesBackfilled", backfilled)
        sweep.raise_errors("the reconcile could not do everything")
        return {"backfilled": backfilled, "statuses": statuses, "unanswered": len(sweep.unanswered)}

    # --- inbound messages whose webhook never came -----------------------------------------------------------------

    def _backfill_missing(self, sweep: Sweep) -> int:
        """Returns how many. The next run starts where the last complete look ended."""
        complete_until = self.inbox.reconciled_until()
        until = self.clock.now() - periods.RECONCILE_AFTER  # after a read: a new sandbox's clock may be off
        self.metrics.count("ReconcileBehind", int(until - (complete_until or until) > periods.RECONCILE_BEHIND))
        earliest, backfilled = until - periods.RECONCILE_LOOK_BACK, 0
        start = max(min(complete_until or until - periods.RECONCILE_DEEP, until), earliest)
        while sweep.has_time(periods.TWILIO_QUESTION):
            end = min(start + periods.RECONCILE_STEP, until)
            found, is_complete = self._look(max(start - periods.RECONCILE_OVERLAP, earliest), end, sweep)
            backfilled += found
            if not is_complete:
                break
            with sweep.collecting_errors():
                self.inbox.record_reconciled(end)
            if end == until:
                backfilled += self._look_deep(until, sweep)
                break
            start = end
        return backfilled

    def _look_deep(self, until: int, sweep: Sweep) -> int:
        """Every six hours, look that far back: the list may show a message hours late."""
        if until - (self.inbox.reconciled_until("deep") or 0) < periods.RECONCILE_DEEP:
            return 0
        found, is_complete = self._look(until - periods.RECONCILE_DEEP - periods.RECONCILE_OVERLAP, until, sweep)
        if is_complete:
            with sweep.collecting_errors():
                self.inbox.record_reconciled(until, "deep")
        return found

    def _look(self, since: int, until: int, sweep: Sweep) -> tuple[int, bool]:
        """Backfill the missing messages of that span: how many, and whether it is complete now."""
        missing: Sequence[TwilioMessage] = ()
        with sweep.collecting_errors():
            missing = self._missing(since, until, sweep)
        backfilled = sweep.each(missing, self._backfill, needs=periods.TWILIO_QUESTION)
        return backfilled, not (sweep.errors or sweep.unanswered) and sweep.has_time(periods.TWILIO_QUESTION)

    def _missing(self, since: int, until: int, sweep: Sweep) -> Sequence[TwilioMessage]:
        """The messages in Twilio's list that were never stored, oldest first: the last STOP or START must win."""
        is_past = until < self.clock.now() - periods.HOUR
        received = self.gateway.list_received(since, until if is_past else None)
        in_time = takewhile(lambda _: sweep.has_time(periods.TWILIO_QUESTION), received)
        listed = [one for one in in_time if one.date_created <= until and self.is_to_us(one)]
        missing = self.inbox.missing([one.twilio_sid for one in listed])
        listed.reverse()  # the sort keeps this order within one second
        return sorted((one for one in listed if one.twilio_sid in missing), key=lambda one: one.date_created)

    def is_to_us(self, one: TwilioMessage) -> bool:
        """Whether a listed message was written to our sender."""
        return Address(one.to).canonical == self.sender.canonical

    def _backfill(self, one: TwilioMessage) -> bool:
        sender = sender_of(one.from_)
        if sender is None:
            raise UnreadableSenderError(f"{one.twilio_sid}: its sender has a form that we do not know")
        contact_id = self.contact_ids.of(sender)
        contact = self.contacts.find(contact_id, self.contact_ids.former(sender)) or Contact(contact_id=contact_id)
        tapped = self._tapped(contact, one)
        media = tuple(self.gateway.media_of(one.twilio_sid)) if one.num_media else ()
        form = InboundForm(
            twilio_sid=one.twilio_sid,
            from_=sender,
            to=one.to,
            text=cleaned(one.body),
            kind=_kind(one, tapped, media),
            button_text=one.body if isinstance(tapped, str) else None,
            button_payload=tapped if isinstance(tapped, str) else None,
            choice=tapped if isinstance(tapped, Choice) else None,
            media=media,
        )
        try:
            self.receive_message(form, received_at=one.date_created, source="backfill", contact=contact)
        except ErasedError:
            return False
        return True

    def _tapped(self, contact: Contact, one: TwilioMessage) -> str | Choice | None:
        """The payload of the button, or the choice.

        The list shows only its title, so it is matched with what the last message that offered anything had.
        """
        since, until = one.date_created - periods.TAPPED_REPLY, one.date_created
        before = [m for contact_id in contact.ids for m in self.messages.of_contact(contact_id, since, until)]
        offers = [m for m in before if (m.choices or m.template in self.catalog.names) and m.twilio_sid]
        if not offers:
            return None
        last = max(offers, key=lambda m: m.accepted_at or m.created_at)
        if last.choices:
            choice = chosen(last.choices, one.body)
            return Choice(id=choice["id"], title=choice["title"]) if choice else None
        reply = self.catalog.get(last.template or "").quick_reply(one.body)
        return reply.payload if reply else None

    # --- a STOP and a START whose order is not known -----------------------------------------------------------------

    def _settle_opt_words(self, sweep: Sweep) -> None:
        sweep.each(
            (job for shard in shards_of("words") for job in self.inbox.unsettled(shard, self.clock.now())),
            self._settle,
            claim=lambda job: self.inbox.postpone_settling(job, self.clock.now() + periods.POSTPONED),
            needs=periods.TWILIO_QUESTION,
        )

    def _settle(self, job: WordsJob) -> bool:
        if start := self.settle_opt_words(job.contact_id):
            self.receive_message.publish(start)
        return True

    # --- statuses that are due -------------------------------------------------------------------------------------

    def _ask_statuses(self, sweep: Sweep) -> int:
        def ask(message: Message) -> int:
            return sweep.each([message], self._ask, claim=self._postpone, needs=periods.TWILIO_QUESTION)

        now = self.clock.now()
        due = (message for shard in shards_of("status") for message in self.messages.due(shard, now))
        asked = 0
        while sweep.has_time(periods.TWILIO_QUESTION) and (at_once := list(islice(due, ASKED_AT_ONCE))):
            asked += sum(self.run_all(ask, at_once))
        return asked

    def _postpone(self, message: Message) -> Message | None:
        return self.messages.postpone(message, self.clock.now() + periods.HOUR, "status")

    def _ask(self, message: Message) -> bool:
        """Ask Twilio for the status, and store when to ask next. Without an answer, it is asked again in an hour."""
        age = self.clock.now() - (message.accepted_at or message.created_at)
        listed = self.gateway.fetch(message.twilio_sid or "") if age < periods.ASK_STATUS_UNTIL else None
        asked = self.record_status.apply(message, update_of(message, listed)) if listed else message
        if asked.status is Status.SENT:
            next_ask = next((after for after in periods.ASK_STATUS if after > age), None) if listed else None
            due_at = self.clock.now() - age + next_ask if next_ask else None
            self.messages.clear_outbox(message, due_at=due_at, shard="status")
        return True


def _kind(one: TwilioMessage, tapped: str | Choice | None, media: Sequence[InboundMedium]) -> Kind:
    """The list does not show a location: a message with neither text nor media is `unknown`."""
    if tapped:
        return "choice" if isinstance(tapped, Choice) else "button"
    if media:
        return kind_of(media[0].content_type)
    return "text" if one.body else "unknown"
