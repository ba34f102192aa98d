"""Every minute: take each message that is due one step on."""

from collections.abc import Sequence
from dataclasses import dataclass

from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.adapters.dynamodb.sender_store import SenderStore
from whatsapp.domain import periods
from whatsapp.domain.ports import Clock, Deadline, Metrics, Queue
from whatsapp.domain.sending.message import SHARDS, Message
from whatsapp.domain.sending.transition import Transition
from whatsapp.domain.sending.when_due import Due, when_due
from whatsapp.use_cases.commit import Commit
from whatsapp.use_cases.resolve_doubt import ResolveDoubt
from whatsapp.use_cases.sweep import Sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepDue:
    """Nudges what may go, expires what may not, takes back what a dead worker held, resolves what is in doubt."""

    messages: MessageStore
    senders: SenderStore
    queue: Queue
    clock: Clock
    metrics: Metrics
    commit: Commit
    resolve_doubt: ResolveDoubt

    def __call__(self, deadline: Deadline) -> dict[str, int]:
        """Sweep every shard; returns how many messages were acted on, and how many were overdue.

        Raises:
            ExceptionGroup: after everything else is done, the errors of single messages. Those come again.
        """
        now = self.clock.now()
        seen = [m for shard in range(SHARDS) for m in self.messages.due(f"send#{shard}", now + periods.POSTPONED)]
        due = sorted((m for m in seen if (m.due_at or 0) <= now), key=lambda m: m.due_at or 0)
        stale = sum(now - (m.due_at or now) > periods.STALE for m in due)
        sweep = Sweep(clock=self.clock, deadline=deadline)
        acted = 0
        # A question to Twilio may take long: those come last.
        for in_doubt, needs in ((False, periods.SWEEP_NEEDS), (True, periods.TWILIO_QUESTION)):
            acted += sweep.each(
                (m for m in due if m.is_in_doubt is in_doubt),
                lambda message: self._act(message, seen),
                claim=lambda message: self.messages.postpone(message, self.clock.now() + periods.POSTPONED),
                needs=needs,
            )
        self.metrics.count("DueStale", stale)
        self.metrics.count("SendingHeld", int(self.senders.get().held_at is not None))
        sweep.raise_errors("the sweep could not do everything")
        return {"acted": acted, "stale": stale}

    def _act(self, message: Message, seen: Sequence[Message]) -> bool:
        after = self.commit.drain(message)  # a bus that is down holds no message back
        if (after.status, after.attempt) == (message.status, message.attempt):
            match when_due(message, seen, self.clock.now()):
                case Transition() as transition:
                    self.commit(transition)
                case Due.NUDGE:
                    self.queue.nudge(message.message_id)
                case Due.LOOK_UP:
                    self.resolve_doubt(message)
        return True
