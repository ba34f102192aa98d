"""The only place that publishes events, alerts people and writes dead letters.

What is to be delivered is stored first, in the write that makes it true. So nothing is lost if the bus is down or the
worker dies: the stored entry stays, and a sweep delivers it. Consumers dedupe on `event_id`, since it may come twice.
"""

from collections.abc import Callable
from dataclasses import dataclass

from whatsapp.domain.events import Event
from whatsapp.domain.ports import Alerts, EventBus, Metrics, PublishFailed, Queue
from whatsapp.domain.templates.version import TemplateVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """Delivers what was stored. Every method returns whether it was taken; False leaves the stored entry to a sweep."""

    bus: EventBus
    alerts: Alerts
    queue: Queue
    metrics: Metrics

    def publish(self, *events: Event) -> bool:
        """Put events on the bus."""
        return self._deliver(lambda: self.bus.publish(events))

    def alert_about_template(self, version: TemplateVersion, news: str, serving: TemplateVersion | None) -> bool:
        """Alert those who word the templates."""
        return self._deliver(lambda: self.alerts.about_template(version, news, serving))

    def _deliver(self, deliver: Callable[[], None]) -> bool:
        try:
            deliver()
        except PublishFailed:
            self.metrics.count("PublishFailed")
            return False
        return True
