"""Every minute: publish what the bus has not taken yet, and finish callbacks that were cut short."""

from dataclasses import dataclass

from whatsapp.domain.message import SHARDS
from whatsapp.domain.ports import CallbackStore, Clock, Deadline, InboxStore, Metrics
from whatsapp.use_cases.receive_message import MARKER_MS, ReceiveMessage
from whatsapp.use_cases.record_status import RecordStatus

ENOUGH_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishWaiting:
    """Nothing that is stored stays untold."""

    inbox: InboxStore
    callbacks: CallbackStore
    receive_message: ReceiveMessage
    record_status: RecordStatus
    clock: Clock
    metrics: Metrics

    def __call__(self, deadline: Deadline) -> dict[str, int]:
        """Look through every shard; returns what was published and what was finished."""
        published = finished = 0
        for shard in range(SHARDS):
            name, now = f"publish#{shard}", self.clock.now()
            for inbound in self.inbox.due(name, now):
                if deadline.at - self.clock.now() > ENOUGH_MS and self.inbox.book(inbound, now + MARKER_MS):
                    published += self.receive_message.publish(inbound).is_published
            for update in self.callbacks.unfinished(name, now):
                if deadline.at - self.clock.now() > ENOUGH_MS:
                    self.record_status.finish(update)
                    finished += 1
        return {"published": published, "finished": finished}
