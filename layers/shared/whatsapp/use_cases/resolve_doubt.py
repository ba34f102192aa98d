"""Resolve a message whose POST had no clear answer: wait for callbacks, then look in Twilio's list."""

from collections.abc import Sequence

from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.ports import Clock, Gateway, StatusUpdate, TwilioUnavailable
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.on_doubt import (
    LookAgain,
    is_early,
    list_from,
    next_look,
    of_interest,
    on_doubt,
    others_span,
    overdue,
    without_list,
)
from whatsapp.domain.sending.transition import Transition
from whatsapp.use_cases.commit import Commit
from whatsapp.use_cases.record_status import RecordStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveDoubt:
    """Settles a message that is `sending` or `unknown` by Twilio's list, or ends the doubt."""

    messages: MessageStore
    gateway: Gateway
    clock: Clock
    commit: Commit
    record_status: RecordStatus

    def __call__(self, message: Message, *, resend: bool = False) -> Message:
        """Look at a message that is due and postponed, or that an operator asks about.

        `resend`: send it again if Twilio's list certainly lacks it, whatever its caller asked for.

        Raises:
            TwilioUnavailable: the list did not answer. The message comes again.
        """
        now = self.clock.now()
        decision = overdue(message, now) or is_early(message, now) or self._by_the_list(message, resend=resend)
        if isinstance(decision, StatusUpdate):
            return self.record_status.apply(message, decision)
        if isinstance(decision, Transition):
            return self.commit(decision)
        if decision.at is None and not message.outbox:
            return self.messages.clear_outbox(message, due_at=None) or message
        at = now + periods.OUTBOX_RETRY if decision.at is None else next_look(message, decision.at, now)
        return self.messages.postpone(message, at) or message

    def _by_the_list(self, message: Message, *, resend: bool) -> StatusUpdate | Transition | LookAgain:
        try:
            listed = self.gateway.list_sent_to(message.to, list_from(message))
        except TwilioUnavailable:
            if ended := without_list(message, self.clock.now()):
                return ended
            raise
        # A whole history is much to read: it matters only if something listed may be this message.
        listed = [one for one in of_interest(message, listed) if not self._is_anothers(one.twilio_sid, message)]
        others = self._others(message) if listed else ()
        return on_doubt(message, listed, others, self.clock.now(), resend=resend)

    def _is_anothers(self, twilio_sid: str, message: Message) -> bool:
        return any(one != message.message_id for one in self.messages.message_ids_for_sid(twilio_sid))

    def _others(self, message: Message) -> Sequence[Message]:
        found = self.messages.of_contact(message.contact_id, *others_span(message))
        return [other for other in found if other.message_id != message.message_id]
