"""One message of the send queue: which work it means, whether SQS keeps it, and who hears of a refusal.

The record is the truth; a queue message is only a nudge. Deferred messages and those in doubt are the sweep's.
"""

from collections.abc import Mapping
from typing import Any

from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.events import MessageStatusChanged
from whatsapp.domain.ports import Clock, Deadline, PublishFailed, Queue
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, MessageIds, handle_of
from whatsapp.domain.sending.request import RequestLabels, SendRequest, object_in, parse
from whatsapp.use_cases.outbox import Outbox
from whatsapp.use_cases.send_message import SendMessage

COMES_BACK = frozenset({"account_problem"})
"""Refusals that SQS brings again: an operator has to mend the deployment."""


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A message as SQS hands it over."""

    queue_message_id: str
    receipt_handle: str
    body: str
    asked_at: int | None = None
    """When it was first put on a queue (epoch ms), as SQS says, or the redrive of a dead letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkQueueMessage:
    """Works one message of the send queue."""

    send_message: SendMessage
    messages: MessageStore
    message_ids: MessageIds
    queue: Queue
    outbox: Outbox
    clock: Clock

    def __call__(self, received: QueueMessage, deadline: Deadline) -> bool:
        """Work it. True if SQS can delete it.

        An unreadable queue message becomes a dead letter and an alert, since no caller is known. A refused request
        becomes an event for its caller, and alerts no one.
        """
        body: Mapping[str, Any] = {}
        try:
            body = _read(received.body)
            message = self._work(body, received, deadline)
        except MessagingError as error:
            if error.code in COMES_BACK:
                return False
            if _is_request(body):
                return self.outbox.publish(self._refusal(body, received, error))
            return self.outbox.keep_unreadable(received.body, received.queue_message_id, error, received.asked_at)
        return not self._comes_back(message, received)

    def _work(self, body: Mapping[str, Any], received: QueueMessage, deadline: Deadline) -> Message | None:
        """The message, if it waits."""
        if body.keys() == {"message_id"}:  # a nudge; a request has no such field
            return self.send_message.advance(str(body["message_id"]), deadline)
        request = parse(SendRequest, body)
        key = request.idempotency_key or received.queue_message_id
        answer = self.send_message(request, key, deadline, received.asked_at)
        waits = answer.status in (Status.PENDING, Status.RETRYING)
        return self.messages.get(answer.message_id) if waits and answer.message_id else None

    def _comes_back(self, message: Message | None, received: QueueMessage) -> bool:
        """Whether SQS brings it again, after the pause before the next attempt."""
        waits = message and message.status in (Status.PENDING, Status.RETRYING)
        if message is None or not waits or message.next_try_at is None:
            return False
        delay = max(1, -(-(message.next_try_at - self.clock.now()) // periods.SECOND))
        try:
            if message.waiting_since is None:
                self.queue.put_back(received.receipt_handle, min(delay, periods.SQS_LONGEST_VISIBILITY_S))
                return True
            # Such attempts do not count, but SQS counts receives: a fresh nudge starts anew.
            if delay < periods.SELF_NUDGE_S:
                self.queue.nudge(message.message_id, delay)
        except PublishFailed:
            pass  # the sweep finds it
        return False

    def _refusal(self, body: Mapping[str, Any], received: QueueMessage, error: MessagingError) -> MessageStatusChanged:
        """The event of a refusal: one a queue message, so that the same key can be refused anew.

        It has the message's handle, by which the key can be canceled. Where another request has used the key, that
        handle is of the other one's message, which did not fail.
        """
        labels = RequestLabels.model_validate(body)
        handle = handle_of(labels.idempotency_key or received.queue_message_id)
        if self.messages.find(handle, self.message_ids):
            handle = handle_of(received.queue_message_id)
        return MessageStatusChanged(
            event_id=f"{handle}#refused#{received.queue_message_id}",
            occurred_at=iso(self.clock.now()),
            message_id=handle,
            idempotency_key=labels.idempotency_key,
            status="failed",
            user_id=labels.user_id,
            agent=labels.agent,
            template=labels.template,
            error=error.failure,
        )


def _read(text: str) -> dict[str, Any]:
    """A nudge, or a request, good or bad.

    Raises:
        MessagingError: `invalid_request`: it is neither. The error quotes nothing of it.
    """
    body = object_in(text)
    if not _is_request(body) and body.keys() != {"message_id"}:
        raise MessagingError("invalid_request", "the queue message is an object without any field of a request")
    return body


def _is_request(body: Mapping[str, Any]) -> bool:
    """Whether it is meant as one. Anything else, such as an event of another service, has no caller."""
    return not body.keys().isdisjoint(SendRequest.model_fields)
