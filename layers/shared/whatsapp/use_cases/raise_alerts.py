"""Alerts people once a cause and hour, never once a message: at once about the first, then about all that followed.
One about danger to life comes again until somebody acknowledges it.

An incident is stored before the alert is sent, and is due until it was. So a topic that is down only delays it.
"""

from collections.abc import Callable
from dataclasses import replace

from whatsapp.adapters.dynamodb.incident_store import IncidentStore
from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import Failure, MessagingError
from whatsapp.domain.incident import Incident
from whatsapp.domain.ports import Alerts, Clock, Deadline, PublishFailed
from whatsapp.domain.sending.message import Message
from whatsapp.use_cases.sweep import Sweep

_NO_REASON = Failure(code="unknown_error", detail="no reason known")


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseAlerts:
    """Alerts about messages, unreadable queue messages, and unknown hosts of media."""

    alerts: Alerts
    incidents: IncidentStore
    clock: Clock
    safety_again_after: int
    """How long (ms) an alert about danger to life waits to be acknowledged before it comes again."""

    def about(self, message: Message) -> None:
        """Alert about a message in its present status.

        Raises:
            PublishFailed: the topic did not take it. The sweep alerts in a minute.
        """
        state, failure = message.status.public_status, message.error or _NO_REASON
        incident = Incident(state=state, failure=failure, ids=frozenset({message.message_id}))
        self._raise(incident, lambda: self.alerts.about(message))

    def unreadable(self, queue_message_id: str, error: MessagingError) -> None:
        """Alert about a queue message that cannot be read.

        Raises:
            PublishFailed: as in `about`.
        """
        incident = Incident(state="unreadable", failure=error.failure, ids=frozenset({queue_message_id}))
        self._raise(incident, lambda: self.alerts.unreadable(queue_message_id, error))

    def media_host(self, message_id: str, reason: str) -> None:
        """Alert about a file that Twilio keeps at a host that we do not know; the reason names the host.

        Raises:
            PublishFailed: as in `about`.
        """
        failure = Failure(code="unknown_media_host", detail=reason, retryable=True)
        incident = Incident(state="not fetched", failure=failure, ids=frozenset({message_id}))
        self._raise(incident, lambda: self.alerts.about_incident(incident))

    def safety(self, message_id: str, contact_id: str) -> None:
        """Alert about words that may mean danger to life. It bears none of them. Each contact is a cause of its own.

        Raises:
            PublishFailed: as in `about`.
        """
        incident = replace(_danger_to(contact_id), ids=frozenset({message_id}))
        self._raise(incident, lambda: self.alerts.about_incident(incident))

    def acknowledge(self, contact_id: str) -> bool:
        """Somebody looks after the patient, so no alert about them comes again. False: none was open."""
        return self.incidents.acknowledge(_danger_to(contact_id), self.clock.now())

    def sweep(self, deadline: Deadline) -> int:
        """Every minute: send the alerts that are due, hourly follow-ups and failed ones; returns how many.

        Raises:
            ExceptionGroup: after everything else is done, the errors of single incidents. Those come again.
        """
        sweep = Sweep(clock=self.clock, deadline=deadline, outages=(PublishFailed,))
        now = self.clock.now()
        sent = sweep.each(
            self.incidents.due(now),
            self._follow_up,
            claim=lambda incident: self.incidents.postpone(incident, now, now + periods.POSTPONED),
            needs=periods.SWEEP_NEEDS,
        )
        sweep.raise_errors("not every alert could be sent")
        return sent

    def _follow_up(self, incident: Incident) -> bool:
        if not incident.ids and not incident.is_longer:
            self.incidents.alerted(incident, None)
            return False
        self.alerts.about_incident(incident)
        self._alerted(incident)
        return True

    def _raise(self, incident: Incident, alert: Callable[[], None]) -> None:
        """Store it first. Only a new one alerts at once."""
        if self.incidents.record(incident, self.clock.now() + periods.OUTBOX_RETRY):
            alert()
            self._alerted(incident)

    def _alerted(self, incident: Incident) -> None:
        window = self.safety_again_after if incident.about else periods.ALERT_WINDOW
        self.incidents.alerted(incident, self.clock.now() + window)


def _danger_to(contact_id: str) -> Incident:
    failure = Failure(code="safety", detail="a patient's words may mean danger to life")
    return Incident(state="urgent", failure=failure, about=contact_id)
