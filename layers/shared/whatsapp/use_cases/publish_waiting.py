"""Every minute: publish the stored inbound messages that the bus has not taken, and finish half-processed callbacks."""

from whatsapp.adapters.dynamodb.callback_store import CallbackStore
from whatsapp.adapters.dynamodb.inbox_store import InboxStore
from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.ports import Clock, Deadline, StatusUpdate
from whatsapp.domain.receiving.inbound import InboundMessage
from whatsapp.domain.sending.message import shards_of
from whatsapp.use_cases.receive_message import ReceiveMessage
from whatsapp.use_cases.record_status import RecordStatus
from whatsapp.use_cases.sweep import Sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishWaiting:
    """Finishes the work of webhooks that failed half-way."""

    inbox: InboxStore
    callbacks: CallbackStore
    receive_message: ReceiveMessage
    record_status: RecordStatus
    clock: Clock

    def __call__(self, deadline: Deadline) -> dict[str, int]:
        """Sweep every shard; returns how many messages were published and how many callbacks finished.

        Raises:
            ExceptionGroup: after everything else is done, the errors of single items. Those come again.
        """
        sweep = Sweep(clock=self.clock, deadline=deadline)
        published = finished = 0
        for shard in shards_of("publish"):
            now = self.clock.now()
            published += sweep.each(
                self.inbox.due(shard, now), self._publish, claim=self._postpone, needs=periods.SWEEP_NEEDS
            )
            # Nothing postpones a callback: to finish it twice does no harm.
            finished += sweep.each(self.callbacks.unfinished(shard, now), self._finish, needs=periods.SWEEP_NEEDS)
        sweep.raise_errors("not everything that waited could be published")
        return {"published": published, "finished": finished}

    def _postpone(self, inbound: InboundMessage) -> bool:
        return self.inbox.postpone(inbound, self.clock.now() + periods.OUTBOX_RETRY)

    def _publish(self, inbound: InboundMessage) -> bool:
        return self.receive_message.publish(inbound).is_published

    def _finish(self, update: StatusUpdate) -> bool:
        self.record_status.finish(update)
        return True
