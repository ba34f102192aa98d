"""Find out what became of a message whose POST had no clear answer: wait for callbacks, then look in Twilio's list."""

from dataclasses import dataclass

from whatsapp.domain import lifecycle
from whatsapp.domain.lifecycle import Status
from whatsapp.domain.message import Failure, Message
from whatsapp.domain.ports import Clock, Gateway, Listed, MessageStore, StatusUpdate
from whatsapp.use_cases.continue_message import ContinueMessage
from whatsapp.use_cases.record_status import RecordStatus
from whatsapp.use_cases.steps import EVENT_AND_ALERT, RESEND_MS, Steps

RECONCILE_MS = 25 * 60_000
HORIZON_MS = 70 * 60_000
"""No evidence by then: the doubt is final."""
AGAIN_MS = 10 * 60_000
BEFORE_MS = 60_000
AFTER_MS = 12 * 60_000
"""Twilio accepts within ten minutes of the claim; the rest is for clocks that differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveDoubt:
    """Settles a message that is `sending` or `unknown` by Twilio's list, or ends the doubt."""

    messages: MessageStore
    gateway: Gateway
    clock: Clock
    steps: Steps
    record_status: RecordStatus
    continue_message: ContinueMessage

    def __call__(self, message: Message) -> Message:
        """Look at a message that is due and booked."""
        age = self.clock.now() - (message.t0 or message.created_at)
        if age < RECONCILE_MS:
            return self.messages.book(message, (message.t0 or message.created_at) + RECONCILE_MS) or message
        candidates = self._candidates(message)
        if len(candidates) == 1 and not self._has_rival(message):
            found = candidates[0]
            update = StatusUpdate(
                message_id=message.message_id,
                attempt=message.attempt or "",
                twilio_sid=found.twilio_sid,
                status=found.status,
                error_code=found.error_code,
            )
            return self.record_status.apply(message, update)
        if message.status is Status.UNKNOWN_FINAL:
            return self._resend(message, age, candidates)
        if age >= HORIZON_MS:
            lost = Failure(
                code="twilio_unavailable",
                detail="no evidence whether Twilio sent it; look it up before you send it anew",
            )
            return self.steps.take(
                message, lifecycle.END_DOUBT, error=lost, release_slot=True, announce=EVENT_AND_ALERT
            )
        return self.messages.book(message, self.clock.now() + AGAIN_MS) or message

    def _resend(self, message: Message, age: int, candidates: list[Listed]) -> Message:
        if candidates or message.on_unknown != "resend" or message.continued_as:
            return self.messages.announced(message, due_at=None) or message
        if age < RESEND_MS:
            return self.messages.book(message, (message.t0 or message.created_at) + RESEND_MS) or message
        self.continue_message.resend(message)
        return self.messages.get(message.message_id) or message

    def _candidates(self, message: Message) -> list[Listed]:
        """What Twilio lists that may be this message and is no other record's."""
        t0 = message.t0 or message.created_at
        listed = self.gateway.list_sent_to(message.to, t0 - BEFORE_MS)
        return [
            one
            for one in listed
            if t0 - BEFORE_MS <= one.date_created <= t0 + AFTER_MS
            and _same_content(message, one)
            and not [owner for owner in self.messages.owners(one.twilio_sid) if owner != message.message_id]
        ]

    def _has_rival(self, message: Message) -> bool:
        """Whether another message of the same content was in flight to the same contact near that time."""
        t0 = message.t0 or message.created_at
        day = 24 * 3_600_000
        near = [
            other
            for other in self.messages.of_contact(message.contact_id, t0 - 35 * day, t0 + day)
            if other.message_id != message.message_id
            and other.t0 is not None
            and abs(other.t0 - t0) <= AFTER_MS + BEFORE_MS
        ]
        return any(
            (other.is_in_doubt or other.status is Status.CLAIMED) and other.text == message.text for other in near
        )


def _same_content(message: Message, listed: Listed) -> bool:
    """Twilio shows a template's message with an empty body, or with its text once rendered."""
    if message.content_sid:
        return listed.body in ("", message.text)
    return listed.body == message.text
