"""Decides, when the sweep finds a message due: what is to be done with it."""

from collections.abc import Sequence
from enum import StrEnum

from whatsapp.domain.errors import Failure
from whatsapp.domain.sending.before_claim import expire, is_past
from whatsapp.domain.sending.lifecycle import GIVE_UP, TAKE_BACK, Status
from whatsapp.domain.sending.message import MAX_ATTEMPTS, Message, SendKind
from whatsapp.domain.sending.transition import EVERYONE, Transition, take


class Due(StrEnum):
    """What the sweep does, where it is no transition."""

    NUDGE = "nudge"
    """Put it on the send queue: a worker claims it."""
    LOOK_UP = "look up"
    """It is in doubt: ask Twilio's list."""
    NOTHING = "nothing"
    """Another message of the contact goes first, or it is final."""


def when_due(message: Message, seen: Sequence[Message], now: int) -> Transition | Due:
    """Judge a message that is due. `seen`: all that waits in its shard, as the sweep found it."""
    if message.is_waiting:
        if is_past(message, now):
            return expire(message, now)
        return Due.NUDGE if _has_turn(message, seen) else Due.NOTHING
    if message.status is Status.CLAIMED:
        return _take_back(message, now)
    return Due.LOOK_UP if message.is_in_doubt else Due.NOTHING


def _take_back(message: Message, now: int) -> Transition:
    """Its worker's lease has passed, and it did not reach the fence: certainly nothing was sent."""
    died = Failure(code="twilio_unavailable", detail="the worker died before it could send", retryable=True)
    if message.attempts >= MAX_ATTEMPTS:
        return take(message, GIVE_UP, now, error=died, outbox=EVERYONE)
    return take(message, TAKE_BACK, now, due_at=now, scheduled_for=now, error=died)


def _has_turn(message: Message, seen: Sequence[Message]) -> bool:
    """Of a contact's waiting proactive messages only the one that expires first is nudged: the slot takes one."""
    if message.kind is SendKind.REPLY:
        return True
    rivals = [m for m in seen if m.contact_id == message.contact_id and m.is_waiting and m.kind is SendKind.PROACTIVE]
    first = min([message, *rivals], key=lambda m: (m.expires_at is None, m.expires_at or 0, m.created_at, m.message_id))
    return first.message_id == message.message_id
