"""Cancel a message that is not sent yet, or say that it is too late."""

from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Clock
from whatsapp.domain.sending.before_claim import cancel
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, MessageIds, is_message_id
from whatsapp.domain.sending.request import SendAnswer, answer_for
from whatsapp.use_cases.commit import Commit

_TRIES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelMessage:
    """Cancels what is not yet sent, and the records that continue it."""

    messages: MessageStore
    message_ids: MessageIds
    clock: Clock
    commit: Commit

    def __call__(self, message_id: str) -> SendAnswer:
        """Cancel the message of an id or a handle. For an unknown one `canceled` is stored, so that a queued copy which
        arrives later is not sent.

        Raises:
            MessagingError: `too_late_to_cancel`; a message in doubt is not sent again after it. `not_found` for what
                cannot be an outgoing message's id.
        """
        if not is_message_id(message_id):
            raise MessagingError("not_found", "no outgoing message can have this id: it has 32 hex digits")
        for _ in range(_TRIES):
            message = self.messages.find(message_id, self.message_ids)
            if message is None:
                message = self._tombstone(self.message_ids.keyed(message_id))
                if self.messages.put_new(message):
                    return answer_for(message)
            elif message.continued_as:
                self.messages.request_stop(message, "canceled")
                message_id = message.continued_as
            elif answer := self._cancel(message):
                return answer
        raise MessagingError(
            "too_late_to_cancel", "the message is being sent right now; ask again in a minute", retryable=True
        )

    def _cancel(self, message: Message) -> SendAnswer | None:
        """None: the message changed since it was read."""
        if message.status is Status.CANCELED:
            return answer_for(message)
        if message.is_waiting:
            canceled = self.commit(cancel(message, self.clock.now()))
            return answer_for(canceled) if canceled.status is Status.CANCELED else None
        if self.messages.request_stop(message, "canceled") is None:
            return None
        if message.status is Status.CLAIMED:  # its fence fails now, and the worker or the sweep stores `canceled`
            return answer_for(message).model_copy(update={"status": "canceled", "scheduled_for": None})
        raise MessagingError(
            "too_late_to_cancel", f"the message is {message.status.public_status}: it cannot be canceled any more"
        )

    def _tombstone(self, message_id: str) -> Message:
        now = self.clock.now()
        return Message(
            message_id=message_id,
            contact_id="",
            to="",
            request_hash="",
            created_at=now,
            status_at=now,
            status=Status.CANCELED,
        )
