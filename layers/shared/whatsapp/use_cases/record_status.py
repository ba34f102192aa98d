"""A status callback: store it once, then move the message forward, never back."""

from dataclasses import dataclass

from whatsapp.adapters.dynamodb.callback_store import CallbackStore
from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain.ports import Clock, Metrics, StatusUpdate
from whatsapp.domain.sending import lifecycle
from whatsapp.domain.sending.lifecycle import BY_CALLBACK
from whatsapp.domain.sending.message import Message
from whatsapp.use_cases.settle_message import SettleMessage
from whatsapp.use_cases.steps import EVENT, Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStatus:
    """Records what Twilio says of a message, by callback or by its list."""

    messages: MessageStore
    callbacks: CallbackStore
    clock: Clock
    metrics: Metrics
    steps: Steps
    settle: SettleMessage

    def __call__(self, update: StatusUpdate) -> Message | None:
        """Store the callback and apply it. A callback seen before and done with changes nothing."""
        return self.finish(update) if self.callbacks.put(update, self.clock.now()) else None

    def finish(self, update: StatusUpdate) -> Message | None:
        """Apply a stored callback and note that it is done; twice does no harm."""
        message = self.messages.get(update.message_id)
        if message is None or not _speaks_of(message, update):
            # Nobody's: kept for people to look at.
            self.metrics.count("UnmatchedCallbacks")
        else:
            message = self.apply(message, update)
        self.callbacks.done(update)
        return message

    def apply(self, message: Message, update: StatusUpdate) -> Message:
        """Move the message by what Twilio says; evidence for a message in doubt settles it first."""
        step = BY_CALLBACK.get(update.status)
        if step in (lifecycle.FAIL, lifecycle.UNDELIVER):
            return self.settle.failed_late(
                message, status=update.status, code=update.error_code, twilio_sid=update.twilio_sid
            )
        if message.is_in_doubt:
            message = self.settle.accepted_after_all(message, update.twilio_sid)
        if step not in (lifecycle.DELIVER, lifecycle.READ) or message.status not in step.sources:
            return message
        moved = self.steps.take(message, step, twilio_sid=update.twilio_sid, outbox=EVENT)
        if moved.status is step.target:
            self.metrics.count("MessagesDelivered" if step is lifecycle.DELIVER else "MessagesRead")
        return moved


def _speaks_of(message: Message, update: StatusUpdate) -> bool:
    """Only the last attempt of a record can be at Twilio, and only as one message. Another one that bears the same
    callback address was sent by somebody else, such as a person who repeated ours by hand.
    """
    return message.attempt == update.attempt and message.twilio_sid in (None, update.twilio_sid)
