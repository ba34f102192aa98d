"""After tables were restored to an earlier moment: what Twilio's lists show since then, so that nothing goes out twice.

Sending is held from the first run on. It is released by the first run that begins when Twilio's list shows all that
went out before, and that finds everything settled. Each run may be repeated.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import field, replace

from whatsapp.adapters.dynamodb.contact_store import ContactMovedError, ContactStore
from whatsapp.adapters.dynamodb.inbox_store import InboxStore
from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.adapters.dynamodb.sender_store import SenderStore
from whatsapp.adapters.dynamodb.template_store import TemplateStore
from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.contact import Contact, ContactIds
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Clock, Deadline, Gateway, TwilioMessage
from whatsapp.domain.receiving.inbound import sender_of
from whatsapp.domain.receiving.opt_out import effective_opt
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, SendKind, shards_of
from whatsapp.domain.sending.on_doubt import update_of
from whatsapp.domain.sending.on_restore import Restored, is_open, match, recognise, suspect
from whatsapp.domain.sending.on_status import on_status
from whatsapp.domain.templates.catalog import Catalog
from whatsapp.use_cases.commit import Commit
from whatsapp.use_cases.receive_message import TRIES
from whatsapp.use_cases.reconcile import Reconcile
from whatsapp.use_cases.record_status import RecordStatus


@dataclass(slots=True, kw_only=True)
class Recovery:
    """What one run did, or would do: ids, and nothing personal."""

    sent: list[str] = field(default_factory=list)
    """Messages that had gone out."""
    doubtful: list[str] = field(default_factory=list)
    """Messages that may have gone out: never sent again by themselves."""
    unrecorded: list[str] = field(default_factory=list)
    """Twilio's ids of messages that no record has."""
    statuses: list[str] = field(default_factory=list)
    """Messages whose status Twilio knows better."""
    inbound: list[str] = field(default_factory=list)
    """Inbound messages that were stored again."""
    opt_words: list[str] = field(default_factory=list)
    """Inbound messages whose STOP or START counts again."""
    slots: list[str] = field(default_factory=list)
    """Contacts that are not written to before an hour after what Twilio took, or whose slot nothing holds any more."""
    missing: list[str] = field(default_factory=list)
    """Inbound messages that are still not stored: the webhook function's log says why."""
    release_at: int | None = None
    """When a run may release sending (epoch ms)."""
    is_released: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverAfterRestore:
    """Settles restored tables by Twilio's lists."""

    messages: MessageStore
    contacts: ContactStore
    inbox: InboxStore
    senders: SenderStore
    templates: TemplateStore
    catalog: Catalog
    contact_ids: ContactIds
    gateway: Gateway
    clock: Clock
    commit: Commit
    record_status: RecordStatus
    reconcile: Reconcile
    rate_limit_ms: int

    def __call__(self, since: int, *, dry_run: bool = False) -> Recovery:
        """Settle everything since that moment (epoch ms), the one that the tables were restored to.

        Raises:
            TwilioUnavailable: a list did not answer. Nothing is released; run it again.
        """
        done = Recovery()
        self.senders.get()  # after a read, the clock is right
        began = self.clock.now()
        if not dry_run:
            done.release_at = self.senders.begin_recovery(began) + periods.RECONCILE_DOUBT
        self._hear_again(since, done, dry_run=dry_run)
        for contact, listed in self._sent_by_contact(since):
            self._settle(contact, listed, since, done, dry_run=dry_run)
        self._free_slots(done, dry_run=dry_run)
        if done.release_at is not None and began >= done.release_at and not done.missing:
            self.senders.release_restored(since, began)
            done.is_released = True
        return done

    # --- what patients wrote ---------------------------------------------------------------------------------------

    def _hear_again(self, since: int, done: Recovery, *, dry_run: bool) -> None:
        """Store what is missing, and let the STOPs and STARTs of what is stored bind again."""
        now = self.clock.now()
        until = now - periods.RECONCILE_AFTER
        earliest = max(since - periods.RECONCILE_OVERLAP, now - periods.RECONCILE_LOOK_BACK)  # as the reconcile's
        received = self.gateway.list_received(earliest)
        listed = sorted((one for one in received if self.reconcile.is_to_us(one)), key=lambda one: one.date_created)
        missing = self.inbox.missing([one.twilio_sid for one in listed if one.date_created <= until])
        if missing and not dry_run:
            with suppress(ExceptionGroup):  # what it could not store is still missing
                self.reconcile(Deadline(self.clock.now() + periods.RECOVERY_RECONCILES))
            done.missing += sorted(self._wanted(listed, self.inbox.missing(sorted(missing))))
        done.inbound += sorted(missing - set(done.missing))
        for one in listed:
            if one.twilio_sid not in missing and self._binds_again(one, dry_run=dry_run):
                done.opt_words.append(one.twilio_sid)

    def _wanted(self, listed: Sequence[TwilioMessage], missing: Collection[str]) -> Iterator[str]:
        """Those that ought to be stored: a sender that can be read, and who was not erased since."""
        for one in listed:
            if one.twilio_sid in missing and (sender := sender_of(one.from_)):
                contact = self.contacts.get(self.contact_ids.of(sender))
                if not (contact and contact.was_erased_since(one.date_created)):
                    yield one.twilio_sid

    def _binds_again(self, one: TwilioMessage, *, dry_run: bool) -> bool:
        """A stored message, heard again by a contact's row that may be older. True: its STOP or START counts again."""
        inbound = self.inbox.get(one.twilio_sid)
        for tries_left in reversed(range(TRIES)):
            contact = self.contacts.get(inbound.contact_id) if inbound else None
            if inbound is None or inbound.is_erased:
                return False
            contact = contact or Contact(contact_id=inbound.contact_id)
            if contact.was_erased_since(one.date_created):
                return False
            dated = replace(inbound, received_at=one.date_created, source="backfill", opt=None)
            word = dated.as_opt_word
            is_known = word is None or word.message_id in {known.message_id for known in contact.opt_words}
            opt = effective_opt(word, contact) if word and not is_known else None
            if opt is None and one.date_created <= (contact.last_inbound_at or 0):
                return False
            if dry_run:
                return opt is not None
            try:
                self.inbox.hear_again(replace(dated, opt=opt, opt_word=dated.opt_word if opt else None), contact)
            except ContactMovedError:
                if not tries_left:
                    raise
            else:
                break
        return opt is not None

    # --- what went out ---------------------------------------------------------------------------------------------

    def _sent_by_contact(self, since: int) -> Iterator[tuple[Contact, list[TwilioMessage]]]:
        """What Twilio lists, by contact: as far back as a message that was sent before may have failed since."""
        by_contact: dict[str, list[TwilioMessage]] = defaultdict(list)
        for entry in self.gateway.list_sent(since - periods.LATEST_CALLBACK):
            by_contact[self.contact_ids.of(Address(entry.to))].append(entry)
        by_row: dict[str, tuple[Contact, list[TwilioMessage]]] = {}
        for contact_id, entries in by_contact.items():
            contact = self.contacts.get(contact_id) or Contact(contact_id=contact_id)
            by_row.setdefault(contact.contact_id, (contact, []))[1].extend(entries)
        yield from by_row.values()

    def _settle(
        self, contact: Contact, listed: Sequence[TwilioMessage], since: int, done: Recovery, *, dry_run: bool
    ) -> None:
        """One contact's messages: first those that have a record, since a failure makes a new one; then the others."""
        now, unowned, blocked_until = self.clock.now(), [], 0
        for entry in listed:
            is_recent = entry.date_created >= since - periods.TWILIO_LIST_LAG
            if not is_recent and entry.status not in ("failed", "undelivered"):
                continue
            owner = next(map(self.messages.get, self.messages.message_ids_for_sid(entry.twilio_sid)), None)
            if owner:
                self._catch_up(owner, entry, done, dry_run=dry_run)
            elif is_recent:
                unowned.append(entry)
            if owner is None or owner.kind is SendKind.PROACTIVE:
                blocked_until = max(blocked_until, entry.date_created + self.rate_limit_ms + periods.SLOT_EPSILON)
        while unowned:
            found = match(self._open(contact, unowned[0].to, now), unowned, since)
            for message, entry in found.certain:
                done.sent.append(message.message_id)
                if not dry_run:
                    self._went_out(message, entry)
            for message, entry in found.doubtful:
                if transition := suspect(message, entry, now):
                    done.doubtful.append(message.message_id)
                    if not dry_run:
                        self.commit(transition)
            unowned = found.unrecorded
            if dry_run or not found.certain:
                break
        done.unrecorded += [entry.twilio_sid for entry in unowned]
        if blocked_until > max(now, contact.next_allowed_at or 0, contact.tied_until or 0):
            done.slots.append(contact.contact_id)
            if not dry_run:
                self.contacts.block_until(contact.contact_id, blocked_until)

    def _catch_up(self, message: Message, entry: TwilioMessage, done: Recovery, *, dry_run: bool) -> None:
        update = update_of(message, entry)
        if on_status(message, update, self.clock.now()):
            done.statuses.append(message.message_id)
            if not dry_run:
                self.record_status.apply(message, update)

    def _open(self, contact: Contact, to: str, now: int) -> list[Restored]:
        """The contact's messages that may have gone out, each with the texts of every wording that may have served."""
        ids = {*contact.ids, *self.contact_ids.former(Address(to))}
        span = now - periods.LONGEST_DEFERRAL, now + periods.MINUTE
        found = [message for contact_id in ids for message in self.messages.of_contact(contact_id, *span)]
        return [Restored(message, self._texts(message)) for message in found if is_open(message)]

    def _texts(self, message: Message) -> frozenset[str]:
        texts = {message.text or ""}
        if message.template in self.catalog.names:
            template = self.catalog.get(message.template or "")
            for version in self.templates.versions(template.name):
                if version.language == message.language:
                    try:
                        texts.add(template.render(version.language, message.variables, version.body).text)
                    except MessagingError:
                        continue  # an old wording with a variable that is no longer there
        return frozenset(texts)

    def _went_out(self, message: Message, entry: TwilioMessage) -> None:
        """Settle it as Twilio's list shows it."""
        if not message.is_in_doubt:
            message = self.commit(recognise(message, entry, self.clock.now()))
        if message.is_in_doubt or message.status is Status.SENT:
            self.record_status.apply(message, update_of(message, entry))

    # --- slots -----------------------------------------------------------------------------------------------------

    def _free_slots(self, done: Recovery, *, dry_run: bool) -> None:
        """A slot that a message holds which is not in flight any more would stay held for ever."""
        until = self.clock.now() + periods.LONGEST_DEFERRAL
        shards = [*shards_of("urgent"), *shards_of("send")]
        contact_ids = {message.contact_id for shard in shards for message in self.messages.due(shard, until)}
        for contact_id in sorted(contact_ids):
            contact = self.contacts.get(contact_id)
            if contact is None or contact.inflight is None:
                continue
            holder = self.messages.get(contact.inflight.partition("#")[0])
            if holder is None or not holder.holds_slot or holder.slot_holder != contact.inflight:
                done.slots.append(contact.contact_id)
                if not dry_run:
                    self.contacts.free_slot(contact.contact_id, contact.inflight)
