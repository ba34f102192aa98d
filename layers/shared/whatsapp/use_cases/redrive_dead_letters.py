"""Decide what to do with a dead letter, once its cause is mended, and do it. Doing it twice does no harm.

The record decides, not the letter: what is or may be at Twilio is never sent again. What certainly was not sent goes
out as a new record that continues the old one.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain.ports import Clock
from whatsapp.domain.sending.continuation import redrive
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, message_id_of
from whatsapp.use_cases.commit import Commit

MENDABLE = frozenset({"account_problem", "twilio_unavailable", "throttled"})
"""Failures whose cause an operator can mend, or time. The others are final."""


class Action(StrEnum):
    """What a redrive does with one letter."""

    NUDGE = "nudge"
    """The message still waits: nudge it, drop the letter."""
    RENEW = "renew"
    """It certainly was not sent: a new record continues it, drop the letter."""
    REQUEUE = "requeue"
    """Nothing was ever stored of this request: back on the send queue with it."""
    DROP = "drop"
    """There is nothing left to do."""
    LEAVE = "leave"
    """People have to look: the letter stays."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message of the dead-letter queue."""

    queue_message_id: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a redrive would do with a letter, and why. `message` is its record, if there is one."""

    action: Action
    why: str
    message_id: str | None = None
    message: Message | None = None
    request: dict[str, Any] | None = None
    """For `REQUEUE`: the request, under a key that makes the same record each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedriveDeadLetters:
    """Plans for each dead letter, and carries the plan out."""

    messages: MessageStore
    commit: Commit
    clock: Clock
    put_on_queue: Callable[[dict[str, Any]], None]

    def plan(self, letter: DeadLetter) -> Plan:
        """Look at the letter's record and decide. Changes nothing."""
        try:
            body = json.loads(letter.body)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return Plan(action=Action.LEAVE, why="not JSON: its sender has to mend it and send it anew")
        if "poison" in body:
            error = body.get("error") or {}
            why = f"{error.get('code')}: {error.get('detail')}; its sender has to mend it and send it anew"
            return Plan(action=Action.LEAVE, why=why)
        message_id = body.get("message_id")
        if isinstance(message_id, str):  # a nudge, or what the send function says when it gives up
            return self._of_record(message_id, self.messages.get(message_id))
        key = body.get("idempotency_key") or letter.queue_message_id
        message_id = message_id_of(key)
        if message := self.messages.get(message_id):
            return self._of_record(message_id, message)
        return Plan(
            action=Action.REQUEUE,
            why="no attempt of this request got as far as a record",
            message_id=message_id,
            request={**body, "idempotency_key": key},
        )

    def carry_out(self, plan: Plan) -> bool:
        """Do as planned. True if the letter may go.

        Raises:
            NotTold: the queue did not take it.
        """
        if plan.action is Action.NUDGE:
            self.put_on_queue({"message_id": plan.message_id})
        elif plan.action is Action.REQUEUE and plan.request:
            self.put_on_queue(plan.request)
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
            return Action.LEAVE, "it may have gone out: look in Twilio's console; to send it anew, use a new key"
        if message.status in (Status.CLAIMED, Status.SENDING):
            return Action.LEAVE, "a worker has it right now: look again in a few minutes"
        if message.status is Status.FAILED:
            return self._judge_failed(message)
        return Action.DROP, f"it is {message.status.public_status}: nothing left to do"

    def _judge_failed(self, message: Message) -> tuple[Action, str]:
        if message.twilio_sid:
            return Action.DROP, "Twilio had accepted it and told its failure: the orchestrator knows"
        if message.continued_as:
            return Action.DROP, f"{message.continued_as} continues it"
        if message.stop or not message.to:
            return Action.DROP, f"it was {message.stop or 'erased'} meanwhile"
        if message.error is None or message.error.code not in MENDABLE:
            return Action.DROP, "it was refused for good: the orchestrator knows"
        if message.expires_at is not None and message.expires_at <= self.clock.now():
            return Action.DROP, "its time has passed: nobody wants it any more"
        return Action.RENEW, "it was certainly not sent"
