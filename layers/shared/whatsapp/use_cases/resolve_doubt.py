"""Find out what became of a message whose POST had no clear answer: wait for callbacks, then look in Twilio's list."""

from dataclasses import dataclass

from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain import periods
from whatsapp.domain.ports import Clock, Gateway, StatusUpdate, TwilioMessage
from whatsapp.domain.sending import lifecycle
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Failure, Message
from whatsapp.use_cases.continue_message import ContinueMessage
from whatsapp.use_cases.record_status import RecordStatus
from whatsapp.use_cases.steps import EVENT_AND_ALERT, Steps


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
        started = message.claimed_at or message.created_at
        age = self.clock.now() - started
        if age < periods.RECONCILE_DOUBT:
            return self.messages.book(message, started + periods.RECONCILE_DOUBT) or message
        candidates = self._candidates(message)
        if len(candidates) == 1 and not self._is_contested(message, candidates[0]):
            return self.record_status.apply(message, _update_of(message, candidates[0]))
        if message.status is Status.UNRESOLVED:
            return self._resend(message, age, candidates)
        if age >= periods.DOUBT_HORIZON:
            lost = Failure(
                code="twilio_unavailable",
                detail="no evidence whether Twilio sent it; look it up before you send it anew",
            )
            return self.steps.take(message, lifecycle.END_DOUBT, error=lost, release_slot=True, outbox=EVENT_AND_ALERT)
        return self.messages.book(message, self.clock.now() + periods.RECONCILE_AGAIN) or message

    def _resend(self, message: Message, age: int, candidates: list[TwilioMessage]) -> Message:
        if age < periods.RESEND:
            return self.messages.book(message, (message.claimed_at or message.created_at) + periods.RESEND) or message
        if not candidates and message.on_unknown == "resend" and self.continue_message.resend(message):
            return message
        return self.messages.announced(message, due_at=None) or message

    def _candidates(self, message: Message) -> list[TwilioMessage]:
        """What Twilio lists that may be this message and is no other record's."""
        listed = self.gateway.list_sent_to(message.to, (message.claimed_at or message.created_at) - periods.LIST_FROM)
        alike = [one for one in listed if _may_be(message, one)]
        owned = {other.twilio_sid for other in self._others(message)} if alike else set()
        return [one for one in alike if one.twilio_sid not in owned]

    def _is_contested(self, message: Message, listed: TwilioMessage) -> bool:
        """Whether it may as well be another message to the same contact, whose fate is open too."""
        return any(
            (other.is_in_doubt or other.status is Status.CLAIMED) and _may_be(other, listed)
            for other in self._others(message)
        )

    def _others(self, message: Message) -> list[Message]:
        """The contact's other messages that may have been tried near that time, as their own rows show them."""
        started = message.claimed_at or message.created_at
        found = self.messages.of_contact(
            message.contact_id, started - periods.LONGEST_DEFERRAL, started + periods.LIST_UNTIL
        )
        return [other for other in found if other.message_id != message.message_id]


def _may_be(message: Message, listed: TwilioMessage) -> bool:
    """Whether a message in Twilio's list is of this time and content. Twilio may show a template's with no body."""
    if (
        message.claimed_at is None
        or not message.claimed_at - periods.LIST_FROM <= listed.date_created <= message.claimed_at + periods.LIST_UNTIL
    ):
        return False
    return listed.body == message.text or (message.content_sid is not None and listed.body == "")


def _update_of(message: Message, found: TwilioMessage) -> StatusUpdate:
    return StatusUpdate(
        message_id=message.message_id,
        attempt=message.attempt or "",
        twilio_sid=found.twilio_sid,
        status=found.status,
        error_code=found.error_code,
    )
