"""Decides what the sweep does with a message that is due."""

from collections.abc import Iterable
from enum import StrEnum

from whatsapp.domain.errors import Failure
from whatsapp.domain.sending.before_claim import expire
from whatsapp.domain.sending.lifecycle import GIVE_UP, TAKE_BACK, Status
from whatsapp.domain.sending.message import MAX_ATTEMPTS, Message, SendKind
from whatsapp.domain.sending.transition import EVERYONE, Transition, take
from whatsapp.domain.sending.turns import by_turn


class Due(StrEnum):
    """What the sweep does instead of a transition."""

    NUDGE = "nudge"
    """Put it on the send queue: a worker claims it."""
    LOOK_UP = "look up"
    """It is in doubt: ask Twilio's list."""
    NOTHING = "nothing"
    """Another message of the contact goes first, or it is final."""


class Turns:
    """Whose turn it is among the messages that the sweep has seen: a slot takes one proactive message at a time."""

    def __init__(self, seen: Iterable[Message] = ()) -> None:
        self._first: dict[str, tuple[int, bool, int, int, str]] = {}
        self.see(seen)

    def see(self, messages: Iterable[Message]) -> None:
        """Take more messages into account."""
        for message in messages:
            if message.is_waiting and message.kind is SendKind.PROACTIVE:
                first = self._first.get(message.contact_id)
                self._first[message.contact_id] = min(first or by_turn(message), by_turn(message))

    def has(self, message: Message) -> bool:
        """Whether it goes before the others of its contact: by priority, or it expires first. A reply needs no turn."""
        first = self._first.get(message.contact_id)
        return message.kind is SendKind.REPLY or first is None or by_turn(message) <= first


def when_due(message: Message, turns: Turns, now: int) -> Transition | Due:
    """Judge a message that is due."""
    if message.is_waiting:
        if message.is_past(now):
            return expire(message, now)
        return Due.NUDGE if turns.has(message) else Due.NOTHING
    if message.status is Status.CLAIMED:
        return _take_back(message, now)
    return Due.LOOK_UP if message.is_in_doubt else Due.NOTHING


def _take_back(message: Message, now: int) -> Transition:
    """Its worker's lease has passed, and it did not reach the fence: certainly nothing was sent."""
    died = Failure(code="twilio_unavailable", detail="the worker died before it could send", retryable=True)
    if message.attempts >= MAX_ATTEMPTS:
        return take(message, GIVE_UP, now, error=died, outbox=EVERYONE)
    return take(message, TAKE_BACK, now, due_at=now, scheduled_for=now, error=died)
