"""The only place that publishes events, alerts people and writes dead letters.

An entry is stored first, in the same write as the change that it is about. So nothing is lost if the bus is down or
the worker dies: the entry stays, and a sweep delivers it. Consumers dedupe on `event_id`: an event may come twice.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.events import Event
from whatsapp.domain.ports import Alerts, EventBus, Metrics, PublishFailed, Queue
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.transition import status_changed
from whatsapp.use_cases.raise_alerts import RaiseAlerts

if TYPE_CHECKING:
    from whatsapp.domain.templates.version import TemplateVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """Delivers stored entries. Every method returns whether one was taken; False leaves the stored entry to a sweep."""

    bus: EventBus
    alerts: Alerts
    raise_alerts: RaiseAlerts
    queue: Queue
    metrics: Metrics

    def deliver(self, message: Message) -> frozenset[str]:
        """Deliver the message's outbox; returns the entries that were not taken."""
        ways: dict[str, Callable[[], None]] = {
            "event": lambda: self.bus.publish([status_changed(message)]),
            "dlq": lambda: self.queue.dead_letter(message),
            "alert": lambda: self.raise_alerts.about(message),
        }
        return frozenset(n for n, way in ways.items() if n in message.outbox and not self._deliver(way, "NotTold"))

    def publish(self, *events: Event) -> bool:
        """Put events on the bus."""
        return self._deliver(lambda: self.bus.publish(events))

    def alert_about_template(self, version: "TemplateVersion", change: str, serving: "TemplateVersion | None") -> bool:
        """Alert those who word the templates."""
        return self._deliver(lambda: self.alerts.about_template(version, change, serving))

    def alert_about_media_host(self, message_id: str, reason: str) -> bool:
        """Alert people about a host that Twilio keeps a patient's file at, and that we do not know."""
        return self._deliver(lambda: self.raise_alerts.media_host(message_id, reason), "NotTold")

    def alert_about_safety(self, message_id: str, contact_id: str) -> bool:
        """Alert people about a patient whose life may be in danger."""
        return self._deliver(lambda: self.raise_alerts.safety(message_id, contact_id), "NotTold")

    def keep_unreadable(
        self, body: str, queue_message_id: str, error: MessagingError, asked_at: int | None = None
    ) -> bool:
        """Keep a queue message that cannot be read as a dead letter, and alert people."""
        return self._deliver(
            lambda: self.queue.dead_letter_unreadable(body, queue_message_id, error, asked_at), "NotTold"
        ) and self._deliver(lambda: self.raise_alerts.unreadable(queue_message_id, error), "NotTold")

    def _deliver(self, deliver: Callable[[], None], metric: str = "PublishFailed") -> bool:
        try:
            deliver()
        except PublishFailed:
            self.metrics.count(metric)
            return False
        return True
