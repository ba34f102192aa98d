"""A transition is one decided step of one message: the record before and after it, its outbox and its successor.

Decisions are pure: they take what is known and return a transition. `use_cases/commit.py` stores it.
"""

from dataclasses import replace
from typing import Any

from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.events import MessageStatusChanged
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.lifecycle import (
    ACCEPT,
    ARRIVED,
    DELIVER,
    FAIL,
    READ,
    RECOGNISE,
    STOP,
    UNDELIVER,
    Status,
    Step,
)
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.twilio_codes import Action, Audience, Row

NOTHING: frozenset[str] = frozenset()
EVENT = frozenset({"event"})
EVENT_AND_ALERT = frozenset({"event", "alert"})
EVERYONE = frozenset({"event", "alert", "dlq"})
_CLEARS_ERROR = (ACCEPT, RECOGNISE, STOP, DELIVER, READ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One step of one message."""

    before: Message
    step: Step
    after: Message
    """`after.outbox` names what is to be delivered: `event`, `alert`, `dlq`."""
    next_due: int | None = None
    """When the sweep looks at a waiting message again, once the outbox is empty."""
    successor: Message | None = None
    """The record that continues this message; stored in the same write."""
    proof: Row | None = None
    """A Twilio code that proves something about the contact, the template or our sender, even if the step fails."""

    @property
    def was_accepted(self) -> bool:
        """Whether this step is the first to show that Twilio accepted the message, be it by its failure afterwards."""
        return self.before.is_in_doubt and self.step in (ACCEPT, FAIL, UNDELIVER)

    @property
    def has_arrived(self) -> bool:
        """Whether the message reaches the phone by this step: the first that says delivered or read."""
        return self.step.target in ARRIVED and self.before.status not in ARRIVED


def take(
    before: Message,
    step: Step,
    now: int,
    *,
    due_at: int | None = None,
    outbox: frozenset[str] = NOTHING,
    successor: Message | None = None,
    proof: Row | None = None,
    **changes: Any,
) -> Transition:
    """The transition that takes this step. `changes` are fields of the message.

    A message with something in its outbox is due soon, in case the worker dies before it is delivered. Where `due_at`
    stays, so does the shard: an entry of the index that does not change costs nothing. The error of an earlier attempt
    stays until the message is accepted or stopped.
    """
    looks = [at for at in (due_at, now + periods.OUTBOX_RETRY if outbox else None) if at is not None]
    after = replace(
        before,
        **{
            "status": step.target,
            "status_at": now,
            "due_at": min(looks, default=None),
            "outbox": outbox,
            "scheduled_for": None,
            "error": None
            if step in (ACCEPT, RECOGNISE, STOP) or step.target in (Status.DELIVERED, Status.READ)
            else before.error,
            "continued_as": successor.message_id if successor else before.continued_as,
            **changes,
        },
    )
    keeps_shard = after.due_at == before.due_at and before.due_shard is not None
    if not keeps_shard:
        after = replace(after, due_shard=after.sweep_shard if looks else None)
    return Transition(before=before, step=step, after=after, next_due=due_at, successor=successor, proof=proof)


def swept_at(message: Message, now: int) -> int | None:
    """When the sweep of sends looks at the message anyhow, if that is soon enough to deliver a new outbox."""
    is_swept = (message.due_shard or "").startswith(("urgent#", "send#"))
    soon = message.due_at is not None and now < message.due_at <= now + periods.OUTBOX_RETRY
    return message.due_at if is_swept and soon else None


def asked_from(message: Message) -> int:
    """When Twilio is asked for the first time what became of a message that it accepted."""
    return (message.accepted_at or message.created_at) + periods.ASK_STATUS[0]


def next_look(message: Message, due_at: int | None) -> tuple[int | None, str]:
    """When and by which sweep a message is looked at next, once its outbox is empty.

    Most messages are delivered before the sweep would look for a worker that died in its claim. So a `sent` message
    keeps that entry of the index, and the sweep moves on only what is not delivered by then.

    `due_at`: for a message that waits, or is in doubt.
    """
    if message.is_waiting or message.status is Status.UNKNOWN:
        return due_at or message.due_at, "send"
    if message.status is Status.SENT:
        return (message.due_at, "send") if message.due_at else (asked_from(message), "status")
    if message.status is Status.UNRESOLVED and message.on_unknown == "resend" and message.claimed_at is not None:
        return message.claimed_at + periods.RESEND, "send"
    return None, "send"


def outbox_of_failure(
    message: Message, row: Row, successor: Message | None, *, was_retryable: bool = False
) -> frozenset[str]:
    """Whether a failure alerts people: if the code's row says so, or if a retry was possible and none follows.

    `was_retryable`: the code would have been retried, had attempts been left.
    """
    is_template = message.template is not None and message.content_sid is not None
    template_taken_for_text = row.action is Action.FALL_BACK and is_template
    stops_here = successor is None and (template_taken_for_text or was_retryable)
    return EVENT_AND_ALERT if stops_here or row.alert is not Audience.NOBODY else EVENT


def status_changed(message: Message) -> MessageStatusChanged:
    """The event of a message's present status; the same status gives the same `event_id`."""
    at = message.scheduled_for if message.status is Status.DEFERRED else None
    which = at or ("overdue" if message.status is Status.UNKNOWN else None)
    return MessageStatusChanged(
        event_id=f"{message.message_id}#{message.status.public_status}" + (f"#{which}" if which else ""),
        occurred_at=iso(message.status_at or message.created_at),
        contact_id=message.contact_id,
        address=message.to,
        user_id=message.user_id,
        agent=message.agent,
        group=message.group,
        message_id=message.message_id,
        idempotency_key=message.idempotency_key,
        status=message.status.public_status,  # type: ignore[arg-type]  # only statuses that the event knows have an outbox
        twilio_sid=message.twilio_sid,
        template=message.template,
        scheduled_for=iso(at) if at else None,
        will_expire=at is not None and message.is_past(at),
        error=message.error,
        continues=message.continues,
        continued_as=message.continued_as,
    )
