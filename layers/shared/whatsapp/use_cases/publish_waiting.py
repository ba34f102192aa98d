"""Every minute: publish stored inbound messages that the bus has not taken yet, and finish half-processed callbacks."""

from dataclasses import dataclass

from whatsapp.adapters.dynamodb.callback_store import CallbackStore
from whatsapp.adapters.dynamodb.inbox_store import InboxStore
from whatsapp.domain import periods
from whatsapp.domain.ports import Clock, Deadline
from whatsapp.domain.sending.message import SHARDS
from whatsapp.use_cases.receive_message import ReceiveMessage
from whatsapp.use_cases.record_status import RecordStatus
from whatsapp.use_cases.sweep import Sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishWaiting:
    """The sweep of the receive side."""

    inbox: InboxStore
    callbacks: CallbackStore
    receive_message: ReceiveMessage
    record_status: RecordStatus
    clock: Clock

    def __call__(self, deadline: Deadline) -> dict[str, int]:
        """Sweep every shard; returns how many messages were published and how many callbacks finished.

        Raises:
            ExceptionGroup: after everything else is done, the errors of single items. Their markers stay.
        """
        sweep = Sweep(clock=self.clock, deadline=deadline)
        published = finished = 0
        for shard in (f"publish#{number}" for number in range(SHARDS)):
            now = self.clock.now()
            published += sweep.each(
                self.inbox.due(shard, now),
                lambda inbound: self.receive_message.publish(inbound).is_published,
                claim=lambda inbound: self.inbox.postpone(inbound, self.clock.now() + periods.OUTBOX_RETRY),
                needs=periods.SWEEP_NEEDS,
            )
            finished += sweep.each(  # two sweeps may finish one callback: twice does no harm
                self.callbacks.unfinished(shard, now),
                lambda update: bool(self.record_status.finish(update) or True),
                needs=periods.SWEEP_NEEDS,
            )
        sweep.raise_errors("not everything that waited could be published")
        return {"published": published, "finished": finished}
