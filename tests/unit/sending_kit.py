"""What the decision tables of the send path share. Periods are literals, so that a changed policy is a red test."""

from dataclasses import replace
from typing import Any

from whatsapp.domain.contact import Contact
from whatsapp.domain.ports import StatusUpdate
from whatsapp.domain.sending.lifecycle import Status, Step
from whatsapp.domain.sending.message import Message, SendKind
from whatsapp.domain.sending.transition import Transition
from whatsapp.domain.sending.twilio_codes import Row
from whatsapp.domain.templates.template import Template, Wording

from tests.fakes import NOON

NOW = NOON
SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

ID, SUCCESSOR_ID = "a" * 32, "3626e00e1ac25609afc9bae7a5035540"
CONTACT, SHARD = "0000000b" + "c" * 24, "send#3"
PATIENT = "+919812345678"
SID, OTHER_SID = "SM" + "1" * 32, "SM" + "2" * 32

NOTHING: frozenset[str] = frozenset()
EVENT = frozenset({"event"})
ALERT = frozenset({"event", "alert"})
DEAD_LETTER = frozenset({"event", "alert", "dlq"})

REPLY = SendKind.REPLY
TEMPLATE = Template(
    name="greeting",
    purpose="Greets a patient.",
    agent="scheduling",
    category="UTILITY",
    default_language="en",
    languages={"en": Wording("Hello", ()), "hi": Wording("नमस्ते", ())},
    variables={},
    expires_after=None,
    quiet_hours_exempt=False,
    on_unknown="hold",
    free_form=False,
)


def message(status: Status = Status.SENDING, **values: Any) -> Message:
    """A stored proactive message of free text, claimed a second ago for the first time."""
    defaults: dict[str, Any] = {
        "message_id": ID,
        "contact_id": CONTACT,
        "to": PATIENT,
        "request_hash": "hash",
        "created_at": NOW - HOUR,
        "status": status,
        "text": "Hello",
        "attempt": "attempt-1",
        "attempts": 1,
        "claimed_at": NOW - SECOND,
        "due_at": NOW + 30 * SECOND,
        "due_shard": SHARD,
        "status_at": NOW - SECOND,
    }
    return Message(**{**defaults, **values})


def new(**values: Any) -> Message:
    """A message that is not stored yet."""
    unclaimed = {"attempt": None, "attempts": 0, "claimed_at": None, "due_at": None, "due_shard": None}
    return message(Status.PENDING, **{**unclaimed, "status_at": None, "created_at": NOW, **values})


def contact(**values: Any) -> Contact:
    return Contact(contact_id=CONTACT, **values)


def update(status: str, error_code: int | None = None, **values: Any) -> StatusUpdate:
    """A callback about the message that `message` builds."""
    about = {"message_id": ID, "attempt": "attempt-1", "twilio_sid": SID, **values}
    return StatusUpdate(status=status, error_code=error_code, **about)


def taken(
    before: Message,
    step: Step,
    *,
    due: int | None = None,
    outbox: frozenset[str] = NOTHING,
    successor: Message | None = None,
    proof: Row | None = None,
    **fields: Any,
) -> Transition:
    """The whole transition that is expected: all fields but those that are named, and those of any step, stay.

    `due`: when the sweep looks again; a message with something in its outbox is due within a minute.
    """
    looks = ([] if due is None else [due]) + ([NOW + MINUTE] if outbox else [])
    of_any_step: dict[str, Any] = {
        "status": step.target,
        "status_at": NOW,
        "due_at": min(looks, default=None),
        "outbox": outbox,
        "scheduled_for": None,
        "continued_as": successor.message_id if successor else before.continued_as,
    }
    after = replace(before, **{**of_any_step, **fields})
    if after.due_at is None or after.due_at != before.due_at:
        after = replace(after, due_shard=after.sweep_shard if looks else None)
    return Transition(before=before, step=step, after=after, next_due=due, successor=successor, proof=proof)
