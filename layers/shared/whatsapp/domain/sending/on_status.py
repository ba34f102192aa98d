"""Decides which step a message takes on a status from a callback or from Twilio's list. Steps only go forward."""

from whatsapp.domain import periods
from whatsapp.domain.ports import StatusUpdate
from whatsapp.domain.sending.after_post import accepted, failure_of
from whatsapp.domain.sending.continuation import continuation_after
from whatsapp.domain.sending.lifecycle import DELIVER, FAIL, READ, UNDELIVER, Step
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.transition import EVENT, Transition, outbox_of_failure, swept_at, take
from whatsapp.domain.sending.twilio_codes import row_for

_FAILURES = {"failed": FAIL, "undelivered": UNDELIVER}
_ARRIVALS = {"delivered": DELIVER, "read": READ}


def on_status(message: Message, update: StatusUpdate, now: int) -> Transition | None:
    """The next step; None if the update says nothing new. An update of a message in doubt takes two steps.

    Any status of Twilio's but a failure proves that it accepted the message.
    """
    if step := _FAILURES.get(update.status):
        return _failed_late(message, step, update, now) if message.status in step.sources else None
    if message.is_in_doubt:
        latest = now if message.claimed_at is None else min(now, message.claimed_at + periods.LATEST_ACCEPTANCE)
        return accepted(message, update.twilio_sid, latest, now)
    step = _ARRIVALS.get(update.status)
    if step is None or message.status not in step.sources:
        return None
    return take(message, step, now, due_at=swept_at(message, now), outbox=EVENT, twilio_sid=update.twilio_sid)


def speaks_of(message: Message, update: StatusUpdate) -> bool:
    """Whether the update is about this message's last attempt, and the one message that Twilio made of it.

    An operator who repeats our request by hand makes another message with the same callback URL.
    """
    return message.attempt == update.attempt and message.twilio_sid in (None, update.twilio_sid)


def _failed_late(message: Message, step: Step, update: StatusUpdate, now: int) -> Transition:
    """Twilio accepted it, and it failed afterwards: no refund; the same table of codes."""
    row = row_for(update.error_code)
    successor = continuation_after(message, row, now, was_accepted=True)
    return take(
        message,
        step,
        now,
        error=failure_of(row, update.error_code),
        twilio_sid=update.twilio_sid or message.twilio_sid,
        outbox=outbox_of_failure(message, row, successor, was_retryable=row.retryable),
        successor=successor,
        proof=row,
    )
