"""Every minute: look at whatever is due, and take it one step on.

A sweep books an item before acting on it, so two at once, or a backlog, act on it once. The index it reads is a hint.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain import periods
from whatsapp.domain.ports import Clock, Deadline, Metrics, Queue
from whatsapp.domain.sending import lifecycle
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import MAX_ATTEMPTS, SHARDS, Failure, Message, SendKind
from whatsapp.use_cases.resolve_doubt import ResolveDoubt
from whatsapp.use_cases.steps import EVENT, EVERYONE, Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepDue:
    """Nudges what may go, expires what may not, takes back what a dead worker held, resolves what is in doubt."""

    messages: MessageStore
    queue: Queue
    clock: Clock
    metrics: Metrics
    steps: Steps
    resolve_doubt: ResolveDoubt

    def __call__(self, deadline: Deadline) -> dict[str, int]:
        """Sweep every shard; returns how many items were acted on, and how many had waited too long.

        Raises:
            ExceptionGroup: after all else is done, what went wrong with single items. They are booked: they come again.
        """
        acted = stale = 0
        trouble: list[Exception] = []
        now = self.clock.now()
        seen = [m for shard in range(SHARDS) for m in self.messages.due(f"send#{shard}", now + periods.POSTPONED)]
        due = [message for message in seen if message.due_at is not None and message.due_at <= now]
        for message in sorted(due, key=lambda m: (m.is_in_doubt, m.due_at)):  # a question to Twilio may take long
            stale += now - (message.due_at or now) > periods.STALE
            if deadline.at - self.clock.now() < (
                periods.TWILIO_QUESTION if message.is_in_doubt else periods.SWEEP_NEEDS
            ):
                continue
            try:
                if booked := self.messages.book(message, self.clock.now() + periods.POSTPONED):
                    self._act(booked, seen)
                    acted += 1
            except Exception as error:  # noqa: BLE001 - one item's trouble must not stop the others
                trouble.append(error)
        self.metrics.count("DueStale", stale)
        if trouble:
            raise ExceptionGroup("the sweep could not do everything", trouble)
        return {"acted": acted, "stale": stale}

    def _act(self, message: Message, seen: Sequence[Message]) -> None:
        told = self.steps.tell(message)  # a bus that is down keeps no message from going
        if (told.status, told.attempt) != (message.status, message.attempt):
            return  # somebody else goes on with it
        if message.is_waiting:
            self._wake(message, seen)
        elif message.status is Status.CLAIMED:
            self._take_back(message)
        elif message.is_in_doubt:
            self.resolve_doubt(message)

    def _wake(self, message: Message, seen: Sequence[Message]) -> None:
        now = self.clock.now()
        if message.expires_at is not None and message.expires_at <= now:
            self.steps.take(message, lifecycle.EXPIRE, outbox=EVENT)
        elif _has_turn(message, seen):
            self.queue.nudge(message.message_id)

    def _take_back(self, message: Message) -> None:
        """Its worker's lease has passed, and it did not reach the fence: certainly nothing was sent."""
        died = Failure(code="twilio_unavailable", detail="the worker died before it could send", retryable=True)
        if message.attempts >= MAX_ATTEMPTS:
            self.steps.refund(message, lifecycle.GIVE_UP, error=died, outbox=EVERYONE)
        else:
            self.steps.refund(message, lifecycle.TAKE_BACK, error=died, due_at=self.clock.now())


def _has_turn(message: Message, seen: Sequence[Message]) -> bool:
    """Of a contact's waiting proactive messages only the one that expires first goes: the slot takes one."""
    if message.kind is SendKind.REPLY:
        return True
    rivals = [m for m in seen if m.contact_id == message.contact_id and m.is_waiting and m.kind is SendKind.PROACTIVE]
    first = min(
        [message, *rivals],
        key=lambda m: (m.expires_at is None, m.expires_at or 0, m.created_at, m.message_id),
    )
    return first.message_id == message.message_id
