"""Take a step of the lifecycle, then tell whoever is to know.

A step that something must be told about stores what (`announce`) in the same write. A crash before the telling leaves
it there, and the sweep tells it: nothing is silently lost, and a consumer that dedupes on `event_id` hears it once.
"""

from dataclasses import dataclass

from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain import periods
from whatsapp.domain.events import EventError, MessageStatusChanged
from whatsapp.domain.ports import Alerts, Clock, EventBus, Metrics, PublishFailed, Queue
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending import lifecycle
from whatsapp.domain.sending.lifecycle import Status, Step
from whatsapp.domain.sending.message import Failure, Message

EVENT = frozenset({"event"})
EVENT_AND_ALERT = frozenset({"event", "alert"})
EVERYONE = frozenset({"event", "alert", "dlq"})
_IN_ORDER = ("event", "dlq", "alert")


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The lifecycle's steps as the use cases take them."""

    messages: MessageStore
    bus: EventBus
    alerts: Alerts
    queue: Queue
    clock: Clock
    metrics: Metrics

    def take(
        self,
        message: Message,
        step: Step,
        *,
        error: Failure | None = None,
        due_at: int | None = None,
        scheduled_for: int | None = None,
        release_slot: bool = False,
        twilio_sid: str | None = None,
        outbox: frozenset[str] = frozenset(),
        successor: Message | None = None,
    ) -> Message:
        """Take a step on the message itself. If it was not ours to take, the record as somebody else made it."""
        now = self.clock.now()
        after = self.messages.step(
            message,
            step,
            now=now,
            due_at=_first_look(due_at, outbox, now),
            error=error,
            scheduled_for=scheduled_for,
            release_slot=release_slot,
            twilio_sid=twilio_sid,
            outbox=outbox,
            successor=successor,
        )
        return self._current(message) if after is None else self.tell(after, due_at=due_at)

    def refund(
        self,
        message: Message,
        step: Step,
        *,
        error: Failure | None = None,
        due_at: int | None = None,
        attempts: int | None = None,
        throttled_since: int | None = None,
        outbox: frozenset[str] = frozenset(),
        successor: Message | None = None,
    ) -> Message:
        """Take a step that gives the contact's slot back, since certainly nothing was sent.

        A message that was canceled meanwhile ends here instead, whatever the step was to be.
        """
        now = self.clock.now()
        after = self.messages.refund(
            message,
            step,
            now=now,
            due_at=_first_look(due_at, outbox, now),
            scheduled_for=due_at,
            error=error,
            attempts=attempts,
            throttled_since=throttled_since,
            outbox=outbox,
            successor=successor,
        )
        if after:
            return self.tell(after, due_at=due_at)
        current = self._current(message)
        canceled = current.stop and current.attempt == message.attempt and current.status in lifecycle.STOP.sources
        return self.refund(current, lifecycle.STOP, outbox=EVENT) if canceled else current

    def tell(self, message: Message, *, due_at: int | None = None) -> Message:
        """Tell what is still to be told about the message's status, and note what is told.

        `due_at`: when a message that waits is looked at next.
        """
        if not message.outbox:
            return message
        untold = frozenset(what for what in _IN_ORDER if what in message.outbox and not self._told(what, message))
        if untold == message.outbox:
            return message  # the mark stands: the sweep tells it
        next_due, shard = (message.due_at, "send") if untold else _next_look(message, due_at)
        noted = self.messages.announced(message, untold=untold, due_at=next_due, shard=shard)
        return noted or self._current(message)

    def _told(self, what: str, message: Message) -> bool:
        """Tell one of them; a bus that is down keeps nobody from being paged."""
        try:
            if what == "event":
                self.bus.publish([status_changed(message)])
            elif what == "dlq":
                self.queue.dead_letter(message)
            else:
                self.alerts.about(message)
        except PublishFailed:
            self.metrics.count("NotTold")
            return False
        return True

    def _current(self, message: Message) -> Message:
        return self.messages.get(message.message_id) or message


def _first_look(due_at: int | None, outbox: frozenset[str], now: int) -> int | None:
    """What is to be told is looked after soon, in case the telling does not come off."""
    looks = [at for at in (due_at, now + periods.OUTBOX_RETRY if outbox else None) if at is not None]
    return min(looks, default=None)


def _next_look(message: Message, due_at: int | None) -> tuple[int | None, str]:
    """When and by which sweep a message is looked at next, once all is told."""
    if message.is_waiting:
        return due_at or message.due_at, "send"
    if message.status is Status.SENT:
        return (message.accepted_at or message.created_at) + periods.ASK_STATUS[0], "status"
    if message.status is Status.UNRESOLVED and message.on_unknown == "resend" and message.claimed_at is not None:
        return message.claimed_at + periods.RESEND, "send"
    return None, "send"


def status_changed(message: Message) -> MessageStatusChanged:
    """The event that tells a message's present status; the same status gives the same `event_id`."""
    at = message.scheduled_for if message.status is Status.DEFERRED else None
    error = message.error
    return MessageStatusChanged(
        event_id=f"{message.message_id}#{message.status.public_status}" + (f"#{at}" if at else ""),
        occurred_at=iso(message.status_at or message.created_at),
        contact_id=message.contact_id,
        address=message.to,
        user_id=message.user_id,
        agent=message.agent,
        message_id=message.message_id,
        status=message.status.public_status,  # type: ignore[arg-type]  # only statuses that the event knows are announced
        twilio_sid=message.twilio_sid,
        template=message.template,
        scheduled_for=iso(at) if at else None,
        will_expire=bool(at and message.expires_at and at >= message.expires_at),
        error=EventError(code=error.code, detail=error.detail, twilio_code=error.twilio_code, retryable=error.retryable)
        if error
        else None,
        continues=message.continues,
        continued_as=message.continued_as,
    )
