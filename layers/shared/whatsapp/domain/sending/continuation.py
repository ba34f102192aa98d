"""The record that continues another: after a refusal, a late failure, or doubt without end.

One record stands for at most one message at Twilio. So a retry after Twilio accepted the message is a new record.
"""

from dataclasses import replace

from whatsapp.domain import periods
from whatsapp.domain.sending.lifecycle import REDRIVE, RESEND, Status, Step
from whatsapp.domain.sending.message import MAX_ATTEMPTS, Message, continuation_id_of
from whatsapp.domain.sending.transition import NOTHING, Transition, take
from whatsapp.domain.sending.twilio_codes import Action, Binds, Row


def continuation_after(old: Message, row: Row, now: int, *, was_accepted: bool) -> Message | None:
    """The record that continues a message which failed with this code, if one may.

    `was_accepted`: Twilio had accepted it. A message that Twilio refused at once is retried under its own record.
    """
    if row.action is Action.FALL_BACK and old.template and old.content_sid is None:
        return continuation_of(old, now, template_only=True)
    if was_accepted and row.action is Action.RETRY and old.attempts < MAX_ATTEMPTS:
        return continuation_of(old, now, attempts=old.attempts)
    since = old.waiting_since or now
    if was_accepted and row.binds is not Binds.NOTHING:
        pause = min(max(periods.FIRST_WAIT_PAUSE[1], (now - since) // 2), periods.LONGEST_WAIT_PAUSE)
        return continuation_of(old, now, attempts=old.attempts - 1, waiting_since=since, due_at=now + pause)
    if was_accepted and row.action is Action.WAIT and now - since < periods.WAITS_FOR:
        return continuation_of(old, now, attempts=old.attempts - 1, waiting_since=since)
    return None


def resend(old: Message, now: int) -> Transition | None:
    """Twilio's list shows nothing of an unresolved message, and its caller asked to send it again."""
    return _continued(old, now, RESEND)


def redrive(old: Message, now: int) -> Transition | None:
    """The cause of a failure is mended: send it again, with all its attempts."""
    return _continued(old, now, REDRIVE)


def continuation_of(
    old: Message,
    now: int,
    *,
    attempts: int = 0,
    template_only: bool = False,
    waiting_since: int | None = None,
    due_at: int | None = None,
) -> Message | None:
    """The new record; None if the old one was stopped, has expired, or is continued already."""
    if old.stop or old.continued_as or old.is_past(now):
        return None
    new = replace(
        old,
        message_id=continuation_id_of(old.message_id),
        continues=old.message_id,
        asked_at=old.requested_at,
        status=Status.PENDING,
        created_at=now,
        status_at=now,
        attempt=None,
        attempts=attempts,
        claimed_at=None,
        twilio_sid=None,
        accepted_at=None,
        error=None,
        outbox=NOTHING,
        due_at=due_at or now,
        scheduled_for=None,
        template_only=old.template_only or template_only,
        content_sid=None,
        waiting_since=waiting_since,
    )
    return replace(new, due_shard=new.sweep_shard)


def _continued(old: Message, now: int, step: Step) -> Transition | None:
    """None also while its end is not published yet: the step would empty the outbox."""
    successor = None if old.outbox else continuation_of(old, now)
    return take(old, step, now, successor=successor) if successor else None
