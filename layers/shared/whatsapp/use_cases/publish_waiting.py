"""Every minute: publish what the bus has not taken yet, and finish callbacks that were cut short."""

from dataclasses import dataclass

from whatsapp.adapters.dynamodb.callback_store import CallbackStore
from whatsapp.adapters.dynamodb.inbox_store import InboxStore
from whatsapp.domain import periods
from whatsapp.domain.ports import Clock, Deadline
from whatsapp.domain.sending.message import SHARDS
from whatsapp.use_cases.receive_message import ReceiveMessage
from whatsapp.use_cases.record_status import RecordStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishWaiting:
    """Nothing that is stored stays untold."""

    inbox: InboxStore
    callbacks: CallbackStore
    receive_message: ReceiveMessage
    record_status: RecordStatus
    clock: Clock

    def __call__(self, deadline: Deadline) -> dict[str, int]:
        """Look through every shard; returns what was published and what was finished.

        Raises:
            ExceptionGroup: after all else is done, what went wrong with single items. Their markers stand.
        """
        published = finished = 0
        trouble: list[Exception] = []
        for shard in range(SHARDS):
            name, now = f"publish#{shard}", self.clock.now()
            for inbound in self.inbox.due(name, now):
                if not self._has_time(deadline):
                    break
                try:
                    if self.inbox.book(inbound, now + periods.OUTBOX_RETRY):
                        published += self.receive_message.publish(inbound).is_published
                except Exception as error:  # noqa: BLE001 - one message's trouble must not stop the others
                    trouble.append(error)
            for update in self.callbacks.unfinished(name, now):
                if not self._has_time(deadline):
                    break
                try:
                    self.record_status.finish(update)  # twice at once does no harm
                    finished += 1
                except Exception as error:  # noqa: BLE001 - as above
                    trouble.append(error)
        if trouble:
            raise ExceptionGroup("not everything that waited could be told", trouble)
        return {"published": published, "finished": finished}

    def _has_time(self, deadline: Deadline) -> bool:
        return deadline.at - self.clock.now() > periods.SWEEP_NEEDS
