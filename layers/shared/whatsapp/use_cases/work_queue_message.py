"""One message of the send queue: which work it means, whether SQS keeps it, and who hears of a refusal.

The record is the truth; a queue message is only a nudge. Deferred messages and those in doubt are the sweep's.
"""

import json
from dataclasses import dataclass
from typing import Any

from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain import periods
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.events import MessageStatusChanged
from whatsapp.domain.ports import Clock, Deadline, PublishFailed, Queue
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, message_id_of
from whatsapp.domain.sending.request import SendRequest, parse
from whatsapp.use_cases.outbox import Outbox
from whatsapp.use_cases.send_message import SendMessage

POISON = frozenset(
    {
        "invalid_request",
        "invalid_address",
        "invalid_variables",
        "unknown_template",
        "unknown_language",
        "idempotency_conflict",
        "not_found",
    }
)
"""No waiting mends these: to the dead-letter queue at once, with an alert."""
COMES_BACK = frozenset({"account_problem"})
"""Refusals that SQS brings again: an operator has to mend the deployment."""


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A message as SQS hands it over."""

    queue_message_id: str
    receipt_handle: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkQueueMessage:
    """Works one message of the send queue."""

    send_message: SendMessage
    messages: MessageStore
    queue: Queue
    outbox: Outbox
    clock: Clock

    def __call__(self, received: QueueMessage, deadline: Deadline) -> bool:
        """Work it. True if SQS can delete it."""
        try:
            message = self._work(received, deadline)
        except MessagingError as error:
            return self._refused(received, error)
        return not self._comes_back(message, received)

    def _work(self, received: QueueMessage, deadline: Deadline) -> Message | None:
        try:
            body = json.loads(received.body)
        except ValueError:
            raise MessagingError("invalid_request", "the queue message is not JSON") from None
        if isinstance(body, dict) and body.keys() == {"message_id"}:  # a nudge; a request has no such field
            return self.send_message.advance(str(body["message_id"]), deadline)
        request = parse(SendRequest, body)
        answer = self.send_message(request, request.idempotency_key or received.queue_message_id, deadline)
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

    def _refused(self, received: QueueMessage, error: MessagingError) -> bool:
        """No caller waits for an answer: a dead letter and an alert, or an event. True if that is delivered."""
        if error.code in POISON:
            return self.outbox.refuse_poison(received.body, received.queue_message_id, error)
        if error.code in COMES_BACK:
            return False
        return self.outbox.publish(_refusal(received, error, self.clock.now()))


def _refusal(received: QueueMessage, error: MessagingError, now: int) -> MessageStatusChanged:
    body: dict[str, Any] = json.loads(received.body)
    message_id = message_id_of(body.get("idempotency_key") or received.queue_message_id)
    return MessageStatusChanged(
        event_id=f"{message_id}#refused#{error.code}",
        occurred_at=iso(now),
        message_id=message_id,
        status="failed",
        user_id=body.get("user_id"),
        agent=body.get("agent"),
        template=body.get("template"),
        error=error.failure,
    )
