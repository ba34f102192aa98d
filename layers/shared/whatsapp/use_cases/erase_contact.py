"""Forget a person: what they wrote, what was written to them, who they are. A pseudonymous ledger stays.

Three passes, because an index lags and a message may be in flight: at once, after 15 minutes, after two hours.
"""

from dataclasses import dataclass, replace

from whatsapp.domain import lifecycle
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.lifecycle import Status
from whatsapp.domain.message import SHARDS
from whatsapp.domain.ports import (
    Clock,
    ContactStore,
    Deadline,
    ErasureJob,
    ErasureStore,
    Gateway,
    MediaStore,
    MessageStore,
)
from whatsapp.use_cases.steps import EVENT, Steps

PASSES_AFTER_MS = (15 * 60_000, 120 * 60_000)
BOOKED_FOR_MS = 5 * 60_000
ENOUGH_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseContact:
    """Erases a contact, and carries on where an earlier pass stopped."""

    contacts: ContactStore
    messages: MessageStore
    erasures: ErasureStore
    gateway: Gateway
    media: MediaStore
    clock: Clock
    steps: Steps

    def __call__(self, contact_id: str, deadline: Deadline) -> dict[str, str]:
        """Erase a contact.

        Raises:
            MessagingError: `not_found`.
        """
        contact = self.contacts.get(contact_id)
        if contact is None:
            raise MessagingError(
                "not_found", "no such contact: POST /contacts/lookup gives the contact_id of an address"
            )
        now = self.clock.now()
        job = ErasureJob(contact_id=contact.contact_id, erased_at=now, passes=0, due_at=now + BOOKED_FOR_MS)
        self.erasures.begin(job)
        self._pass(job, deadline)
        return {"contact_id": contact.contact_id, "status": "erasing"}

    def sweep(self, deadline: Deadline) -> int:
        """Carry on with the erasures that are due; returns how many."""
        done = 0
        for shard in range(SHARDS):
            for job in self.erasures.due(f"erase#{shard}", self.clock.now()):
                booked = replace(job, due_at=self.clock.now() + BOOKED_FOR_MS)
                if deadline.at - self.clock.now() > ENOUGH_MS and self.erasures.book(job, booked):
                    self._pass(booked, deadline)
                    done += 1
        return done

    def _pass(self, job: ErasureJob, deadline: Deadline) -> None:
        self.media.delete_all(job.contact_id)
        for message_id in self.erasures.message_ids(job.contact_id, job.erased_at):
            if deadline.at - self.clock.now() < ENOUGH_MS:
                return  # the job stands booked: the sweep carries on
            self._erase(message_id)
        passes = job.passes + 1
        due_at = job.erased_at + PASSES_AFTER_MS[job.passes] if job.passes < len(PASSES_AFTER_MS) else None
        self.erasures.note(replace(job, passes=passes, due_at=due_at))

    def _erase(self, message_id: str) -> None:
        """One message, either direction. What is in flight keeps its text until it is settled; a later pass comes."""
        message = self.messages.get(message_id)
        if message and message.is_waiting:
            message = self.steps.take(message, lifecycle.CANCEL, announce=EVENT)
        if message and (message.is_waiting or message.status in IN_FLIGHT):
            self.messages.request_stop(message, "erased")
            return
        twilio_sid = message.twilio_sid if message else message_id
        if twilio_sid:
            self.gateway.delete(twilio_sid)
        self.erasures.strip(message_id)


IN_FLIGHT = frozenset({Status.CLAIMED, Status.SENDING, Status.UNKNOWN})
