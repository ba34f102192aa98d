"""Erases a contact: both directions of the conversation, the media, the address. A pseudonymous ledger stays.

The passes after the first are there because the index lags, a message may be in flight, and a request that lies in the
send queue for days may yet become a dead letter; more follow until nothing is left to erase.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace

from whatsapp.adapters.dynamodb.contact_store import ContactStore
from whatsapp.adapters.dynamodb.erasure_store import ErasureJob, ErasureStore
from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain import periods
from whatsapp.domain.address import Address, addresses_in
from whatsapp.domain.answers import ContactErasing
from whatsapp.domain.contact import ContactIds, is_contact_id
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Clock, Deadline, Gateway, MediaStore, PublishFailed, Queue, TwilioUnavailable
from whatsapp.domain.sending.before_claim import cancel
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, shards_of
from whatsapp.domain.sending.request import object_in
from whatsapp.use_cases.commit import Commit
from whatsapp.use_cases.raise_alerts import RaiseAlerts
from whatsapp.use_cases.sweep import Sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseContact:
    """Erases a contact at once as far as time allows; the sweep makes the other passes."""

    contacts: ContactStore
    messages: MessageStore
    erasures: ErasureStore
    gateway: Gateway
    media_store: MediaStore
    queue: Queue
    contact_ids: ContactIds
    clock: Clock
    commit: Commit
    raise_alerts: RaiseAlerts

    def __call__(self, contact_id: str, deadline: Deadline) -> ContactErasing:
        """Start an erasure and make its first pass.

        It is taken although nothing of the person is found: a request of theirs may still be in a queue, and is not
        sent then, because it was asked for before the erasure.

        Raises:
            MessagingError: `not_found`: no contact can have this id.
        """
        if not is_contact_id(contact_id):
            raise MessagingError("not_found", "no contact_id: POST /contacts/lookup gives that of an address")
        contact = self.contacts.get(contact_id)
        contact_id = contact.contact_id if contact else contact_id
        now = self.clock.now()  # after a read, which corrects a new sandbox's clock: too early, it would miss messages
        job = ErasureJob(contact_id=contact_id, erased_at=now, due_at=now + periods.ERASURE_POSTPONED)
        self.erasures.begin(job)
        self._pass(job, deadline)
        return {"contact_id": contact_id, "status": "erasing"}

    def sweep(self, deadline: Deadline) -> int:
        """Every five minutes: make a pass for each erasure that is due; returns how many.

        Raises:
            ExceptionGroup: after everything else is done, the errors of single erasures. Those come again.
        """
        sweep = Sweep(clock=self.clock, deadline=deadline)
        done = sweep.each(
            (job for shard in shards_of("erase") for job in self.erasures.due(shard, self.clock.now())),
            lambda job: self._pass(job, deadline),
            claim=lambda job: self.erasures.postpone(job, self.clock.now() + periods.ERASURE_POSTPONED),
            needs=periods.TWILIO_QUESTION,
        )
        sweep.raise_errors("not every erasure could go on")
        return done

    def _pass(self, job: ErasureJob, deadline: Deadline) -> bool:
        """Erase the rest of a contact, under each of its contact_ids. True: it counts as one."""
        contact = self.contacts.get(job.contact_id)
        contact_ids = (job.contact_id, *sorted(contact.aliases if contact else ()))
        is_all_erased = self._delete_dead_letters(contact_ids, job.erased_at, deadline)
        for contact_id in contact_ids:
            self.media_store.delete_all(contact_id)
            self.raise_alerts.acknowledge(contact_id)
            for message_id in self.erasures.unfinished(contact_id, job.erased_at):
                if not self._has_time(deadline):
                    return True  # the sweep continues when the job is due again
                is_all_erased &= self._erase(message_id)
        self.erasures.record_pass(replace(job, due_at=self._next_pass(job, is_all_erased)))
        return True

    def _next_pass(self, job: ErasureJob, is_all_erased: bool) -> int | None:
        now = self.clock.now()
        passes = [job.erased_at + after for after in periods.ERASURE_PASSES]
        if not is_all_erased:
            passes.append(now + periods.ERASURE_AGAIN)
        return min((at for at in passes if at > now), default=None)

    def _delete_dead_letters(self, contact_ids: Collection[str], erased_at: int, deadline: Deadline) -> bool:
        """Delete the dead letters that name the person: requests as they came. True: all were looked through."""
        try:
            for letter in self.queue.dead_letters():
                if not self._has_time(deadline):
                    return False
                if names_any(letter.body, contact_ids, self.contact_ids) and letter.asked_at <= erased_at:
                    self.queue.delete_dead_letter(letter.receipt_handle)
        except PublishFailed:
            return False
        return True

    def _erase(self, message_id: str) -> bool:
        """Erase one message, of either direction; returns whether nothing is left of it.

        A message in flight keeps its text until its outcome is known; a later pass erases it.
        """
        message = self.messages.get(message_id)
        if message and message.is_waiting:
            message = self.commit(cancel(message, self.clock.now()))
        if message and (message.is_waiting or message.holds_slot):
            self.messages.request_stop(message, "erased")
            return False
        is_gone = self._delete_at_twilio(message.twilio_sid if message else message_id)
        if message and self._may_yet_show(message):
            is_gone = False
        self.erasures.strip(message_id, is_outgoing=message is not None, is_gone_at_twilio=is_gone)
        if message and message.continued_as:  # it may be newer than the erasure
            is_gone &= self._erase(message.continued_as)
        return is_gone

    def _may_yet_show(self, message: Message) -> bool:
        """Whether a late callback may still prove that Twilio has the message."""
        is_young = self.clock.now() < (message.claimed_at or message.created_at) + periods.LATEST_CALLBACK
        return message.status is Status.UNRESOLVED and not message.twilio_sid and is_young

    def _delete_at_twilio(self, twilio_sid: str | None) -> bool:
        if not twilio_sid:
            return True
        try:
            self.gateway.delete(twilio_sid)
        except TwilioUnavailable:  # an outage, or the message is still on its way
            return False
        return True

    def _has_time(self, deadline: Deadline) -> bool:
        return deadline.at - self.clock.now() > periods.TWILIO_QUESTION


def names_any(letter: str, wanted: Collection[str], contact_ids: ContactIds) -> bool:
    """Whether a dead letter names a person: `wanted` are their contact_ids."""
    return any(contact_ids.of(address) in wanted for address in _addresses_of(letter))


def _addresses_of(letter: str) -> Iterator[Address]:
    """The addresses in a dead letter: a request's `to`, and every number that stands anywhere in it."""
    yield from addresses_in(letter)
    with suppress(MessagingError):
        yield Address.parse(str(object_in(letter).get("to")))
