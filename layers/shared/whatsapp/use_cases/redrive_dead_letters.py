"""Redrives dead letters once their cause is repaired. Redriving twice does no harm.

The stored record decides, not the letter: a message that is or may be at Twilio is never sent again. A message that
certainly was not sent goes out as a new record that continues the old one.
"""

from contextlib import suppress
from enum import StrEnum
from typing import Any

from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Clock, Queue
from whatsapp.domain.sending.continuation import redrive
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, MessageIds, handle_of
from whatsapp.domain.sending.request import RequestLabels, object_in
from whatsapp.domain.sending.twilio_codes import REPAIRABLE
from whatsapp.use_cases.commit import Commit

_SENT_ANEW = REPAIRABLE | {"twilio_unavailable"}
"""Failures whose cause is mended, or passed: three attempts that were refused by an outage, too."""


class Action(StrEnum):
    """What happens to one letter."""

    NUDGE = "nudge"
    """The message still waits: nudge it, delete the letter."""
    RENEW = "renew"
    """The message certainly was not sent: a new record continues it, delete the letter."""
    REQUEUE = "requeue"
    """The request was never stored: put it on the send queue again, delete the letter."""
    DROP = "drop"
    """There is nothing left to do: delete the letter."""
    LEAVE = "leave"
    """An operator has to look: the letter stays."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message of the dead-letter queue."""

    queue_message_id: str
    body: str
    asked_at: int
    """When it was first put on a queue (epoch ms): SQS keeps that time when it moves a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The action for one letter, and why. `message` is its record; without one, `message_id` is a handle."""

    action: Action
    why: str
    message_id: str | None = None
    message: Message | None = None
    request: dict[str, Any] | None = None
    """For `REQUEUE`: the request, with an idempotency key, so that a second redrive sends nothing."""
    asked_at: int = 0
    """When that request was first put on the queue (epoch ms). An erasure since then forbids it."""
    labels: RequestLabels | None = None
    """The labels of a request without a record, as far as they can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedriveDeadLetters:
    """Plans for each dead letter, and carries the plan out."""

    messages: MessageStore
    message_ids: MessageIds
    queue: Queue
    commit: Commit
    clock: Clock

    def plan(self, letter: DeadLetter) -> Plan:
        """Read the letter's record and decide. Changes nothing."""
        try:
            body = object_in(letter.body)
        except MessagingError:
            return Plan(action=Action.LEAVE, why="not a JSON object: its sender has to correct it and send it again")
        if "poison" in body:
            return _of_unreadable(body)
        message_id = body.get("message_id")
        if isinstance(message_id, str):  # a nudge, or a message that the send function gave up
            return self._of_record(message_id, self.messages.get(message_id))
        labels = RequestLabels.model_validate(body)
        handle = handle_of(labels.idempotency_key or letter.queue_message_id)
        if message := self.messages.find(handle, self.message_ids):
            return self._of_record(message.message_id, message)
        return Plan(
            action=Action.REQUEUE,
            why="the request was never stored",
            message_id=handle,
            request={**body, "idempotency_key": body.get("idempotency_key") or letter.queue_message_id},
            asked_at=letter.asked_at,
            labels=labels,
        )

    def carry_out(self, plan: Plan) -> bool:
        """Carry the plan out. True if the letter can be deleted.

        Raises:
            PublishFailed: the queue did not take the message.
        """
        if plan.action is Action.NUDGE and plan.message_id:
            self.queue.nudge(plan.message_id)
        elif plan.action is Action.REQUEUE and plan.request:
            self.queue.enqueue(plan.request, plan.asked_at)
        elif plan.action is Action.RENEW and plan.message and (again := redrive(plan.message, self.clock.now())):
            self.commit(again)
        return plan.action is not Action.LEAVE

    def _of_record(self, message_id: str, message: Message | None) -> Plan:
        action, why = self._judge(message)
        return Plan(action=action, why=why, message_id=message_id, message=message)

    def _judge(self, message: Message | None) -> tuple[Action, str]:
        if message is None:
            return Action.LEAVE, "there is no such record: is this the right stack?"
        if message.is_waiting:
            return Action.NUDGE, "it still waits to be sent"
        if message.is_in_doubt and message.status is not Status.SENDING:
            return Action.LEAVE, "it may have gone out: look in Twilio's console; to send it again, use a new key"
        if message.status in (Status.CLAIMED, Status.SENDING):
            return Action.LEAVE, "it is being sent right now: look again in a few minutes"
        if message.status is Status.FAILED:
            return self._judge_failed(message)
        return Action.DROP, f"it is {message.status.public_status}: nothing left to do"

    def _judge_failed(self, message: Message) -> tuple[Action, str]:
        if message.twilio_sid:
            return Action.DROP, "it failed after Twilio had accepted it: the orchestrator got the event"
        if message.continued_as:
            return Action.DROP, f"{message.continued_as} continues it"
        if message.stop or not message.to:
            return Action.DROP, f"it was {message.stop or 'erased'} meanwhile"
        if message.error is None or message.error.code not in _SENT_ANEW:
            return Action.DROP, "its failure is final: the orchestrator got the event"
        if message.is_past(self.clock.now()):
            return Action.DROP, "it has expired"
        if message.outbox:
            return Action.LEAVE, "its failure is not published yet: look again in a few minutes"
        return Action.RENEW, "it was certainly not sent"


def _of_unreadable(letter: dict[str, Any]) -> Plan:
    error, labels = letter.get("error") or {}, RequestLabels()
    with suppress(MessagingError):  # earlier versions kept refused requests here too
        labels = RequestLabels.model_validate(object_in(letter["poison"]))
    sent_as = f", queue id {letter['queue_message_id']} on the send queue" if "queue_message_id" in letter else ""
    why = f"{error.get('code')}: {error.get('detail')}{sent_as}; its sender has to correct it and send it again"
    return Plan(action=Action.LEAVE, why=why, labels=labels)
