"""Every minute: take each message that is due one step on."""

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import count, islice

from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.adapters.dynamodb.sender_store import SenderStore
from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.ports import Clock, Deadline, Metrics, Queue, TwilioUnavailable
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, SendKind, shards_of
from whatsapp.domain.sending.transition import Transition, asked_from
from whatsapp.domain.sending.when_due import Due, Turns, when_due
from whatsapp.use_cases.commit import Commit
from whatsapp.use_cases.resolve_doubt import ResolveDoubt
from whatsapp.use_cases.sweep import RunAll, Sweep

READ_AT_ONCE = 500
"""How many messages are read before they are acted on, in the order of their urgency."""
BATCH = 10
"""How many nudges one call of SQS takes."""


class Places:
    """The places in the send queue until the next sweep, a minute from now, behind its backlog.

    The queue is worked at `per_second`. A message without a place is left for a later sweep.
    Threads may share it.
    """

    def __init__(self, per_second: int, backlog: int) -> None:
        self._per_second = per_second
        self._taken, self._nudged = count(backlog), count(backlog)
        self.is_full = False

    def take(self) -> bool:
        """Whether one more may be nudged before the next sweep."""
        if next(self._taken) < self._per_second * periods.SWEEP_EVERY // periods.SECOND:
            return True
        self.is_full = True
        return False

    def delay_seconds(self) -> int:
        """The delay of the next nudge."""
        return next(self._nudged) // self._per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepDue:
    """Nudges and expires waiting messages, takes back the claims of dead workers, resolves doubts.

    `sends_per_second`: the rate of one sender and of the queue's workers.
    """

    messages: MessageStore
    senders: SenderStore
    queue: Queue
    clock: Clock
    metrics: Metrics
    commit: Commit
    resolve_doubt: ResolveDoubt
    sends_per_second: int
    run_all: RunAll

    def __call__(self, deadline: Deadline) -> dict[str, int]:
        """Sweep every shard; returns how many messages were acted on, and how many of those seen were overdue.

        Raises:
            ExceptionGroup: after everything else is done, the errors of single messages. Those come again.
        """
        sender = self.senders.get()
        self.metrics.count("SendingHeld", int(sender.is_held))
        self.metrics.count("SenderThrottled", int(sender.is_throttled(self.clock.now())))
        if sender.is_restored:  # what looks as if it had expired or waited may be at Twilio
            self.metrics.count("DueStale", 0)
            return {"acted": 0, "stale": 0}
        if not sender.is_marked:
            self.senders.mark()
        now = self.clock.now()
        sweep = Sweep(clock=self.clock, deadline=deadline, outages=(TwilioUnavailable,))  # the next one asks again
        acted = stale = backlog = 0
        with sweep.collecting_errors():  # a queue that does not answer keeps no message from expiring
            backlog = self.queue.backlog()
        places, turns = Places(self.sends_per_second, backlog), Turns()
        for kind in ("urgent", "send"):
            for seen in self._seen(kind, now, sweep):
                turns.see(seen)
                due = sorted((m for m in seen if (m.due_at or 0) <= now), key=_urgency)
                stale += sum(now - (m.due_at or now) > periods.STALE for m in due)
                acted += self._act_on(due, sweep, turns, places)
                if not due or (kind == "send" and places.is_full):
                    break
        self.metrics.count("DueStale", stale)
        sweep.raise_errors("the sweep could not do everything")
        return {"acted": acted, "stale": stale}

    def _seen(self, kind: str, now: int, sweep: Sweep) -> Iterator[Sequence[Message]]:
        """The messages in the shards of a kind, the longest due first, those that a sweep just postponed included."""
        shards = [self.messages.due(shard, now + periods.POSTPONED) for shard in shards_of(kind)]
        found = merge(*shards, key=lambda message: message.due_at or 0)
        while sweep.has_time(periods.SWEEP_NEEDS) and (seen := list(islice(found, READ_AT_ONCE))):
            yield seen

    def _act_on(self, due: Sequence[Message], sweep: Sweep, turns: Turns, places: Places) -> int:
        """Act on all of these at once; a question to Twilio may take long, so those come last."""

        def work(batch: Sequence[Message]) -> int:
            return self._work(batch, sweep, turns, places)

        def ask(message: Message) -> int:
            return sweep.each([message], self._ask, claim=self._postpone, needs=periods.TWILIO_QUESTION)

        settled = [message for message in due if not message.is_in_doubt]
        batches = [settled[start : start + BATCH] for start in range(0, len(settled), BATCH)]
        return sum(self.run_all(work, batches)) + sum(self.run_all(ask, [m for m in due if m.is_in_doubt]))

    def _work(self, batch: Sequence[Message], sweep: Sweep, turns: Turns, places: Places) -> int:
        """Act on up to ten messages, and nudge those that may go by one call."""
        nudged: list[tuple[str, int]] = []

        def claim(message: Message) -> Message | None:
            may_be_nudged = message.is_waiting and not message.is_past(self.clock.now())
            return None if may_be_nudged and not places.take() else self._postpone(message)

        def act(message: Message) -> bool:
            match self._judge(message, turns):
                case Transition() as transition:
                    self.commit(transition)
                case Due.NUDGE:
                    nudged.append((message.message_id, places.delay_seconds()))
                    return False  # not yet
            return True

        acted = sweep.each(batch, act, claim=claim, needs=periods.SWEEP_NEEDS)
        with sweep.collecting_errors():
            if nudged:
                self.queue.nudge_many(nudged)
            acted += len(nudged)
        return acted

    def _ask(self, message: Message) -> bool:
        if self._judge(message, Turns()) is Due.LOOK_UP:
            self.resolve_doubt(message)
        return True

    def _judge(self, message: Message, turns: Turns) -> Transition | Due:
        after = self.commit.drain(message)  # a bus that is down holds no message back
        has_moved_on = (after.status, after.attempt) != (message.status, message.attempt)
        return Due.NOTHING if has_moved_on else when_due(message, turns, self.clock.now())

    def _postpone(self, message: Message) -> Message | None:
        if message.status is Status.SENT and not message.outbox:  # not delivered yet: its status is asked for later
            return self.messages.postpone(message, asked_from(message), "status")
        return self.messages.postpone(message, self.clock.now() + periods.POSTPONED)


def _urgency(message: Message) -> tuple[bool, int, bool, int, int]:
    """Replies, then by priority, then the first to expire, then the longest due."""
    expires_at = message.expires_at
    return message.kind is not SendKind.REPLY, message.rank, expires_at is None, expires_at or 0, message.due_at or 0
