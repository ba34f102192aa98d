"""A status callback: store it once, then move the message forward, never back."""

from whatsapp.adapters.dynamodb.callback_store import CallbackStore
from whatsapp.adapters.dynamodb.contact_store import ContactStore
from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain.contact import Contact
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.ports import Clock, Metrics, StatusUpdate
from whatsapp.domain.sending.before_claim import cancel
from whatsapp.domain.sending.lifecycle import ACCEPT, Status
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.on_status import on_status, speaks_of
from whatsapp.use_cases.commit import Commit

NO_MESSAGE = "0" * 32
"""The id of no message. A callback about it is taken and not stored: `commands.doctor` asks whether signed ones are."""
_STEPS = 4
"""An update takes two steps at most; the others are for a message that another worker moves meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStatus:
    """Records a message's status, from a callback or from Twilio's list."""

    messages: MessageStore
    contacts: ContactStore
    callbacks: CallbackStore
    clock: Clock
    metrics: Metrics
    commit: Commit

    def __call__(self, update: StatusUpdate) -> Message | None:
        """Store the callback and apply it. One that was processed before changes nothing.

        What changes nothing now never will: the message exists since before the POST, and only moves forward.
        """
        if update.message_id == NO_MESSAGE:
            return None
        message = self.messages.get(update.message_id)
        now = self.clock.now()
        changes = bool(message and speaks_of(message, update) and on_status(message, update, now))
        if not self.callbacks.put(update, now, is_done=not changes):
            self.metrics.count_at(now, {"DuplicatesAbsorbed": 1})
            return None
        if changes:
            return self.finish(update, message)
        if not (message and speaks_of(message, update)):
            self.metrics.count("UnmatchedCallbacks")  # it stays stored, for people to look at
        return message

    def finish(self, update: StatusUpdate, message: Message | None = None) -> Message | None:
        """Apply a stored callback and note that it is processed. Twice does no harm. `message`: if it was just read."""
        message = message or self.messages.get(update.message_id)
        if message and speaks_of(message, update):
            message = self.apply(message, update)
        self.callbacks.done(update)
        return message

    def apply(self, message: Message, update: StatusUpdate) -> Message:
        """Move the message as far as the update says."""
        for _ in range(_STEPS):
            transition = on_status(message, update, self.clock.now())
            if transition is None:
                break
            if transition.step is not ACCEPT:
                message = self.commit(transition)
                continue
            contact = self.contacts.get(message.contact_id) or Contact(contact_id=message.contact_id)
            message = self.commit(transition, contact)
            if message.status is Status.SENT and message.continued_as:
                self._withdraw(message.continued_as)
        return message

    def _withdraw(self, successor_id: str) -> None:
        """The message went after all: cancel the record that continues it, if that is not on its way yet."""
        successor = self.messages.get(successor_id)
        if successor and successor.is_waiting:
            self.commit(cancel(successor, self.clock.now()))
        elif successor and successor.status is Status.CLAIMED:
            self.messages.request_stop(successor, "canceled")
