"""When each of a contact's waiting messages can go: one in each period of the rate limit, by priority.

It is a prediction, so that callers see a true `scheduled_for` and `will_expire`. The claim decides.
"""

from collections.abc import Callable, Iterator, Sequence

from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.schedule import QuietHours, earliest
from whatsapp.domain.sending.before_claim import defer, free_at
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.transition import Transition

QuietHoursOf = Callable[[Message], QuietHours | None]
"""The quiet hours that bind a message; None if it is exempt."""


def by_turn(message: Message) -> tuple[int, bool, int, int, str]:
    """The order in which a contact's waiting messages take the slot: by priority, then the first to expire."""
    return message.rank, message.expires_at is None, message.expires_at or 0, message.created_at, message.message_id


def in_turn(
    held: Transition,
    others: Sequence[Message],
    contact: Contact,
    rate_limit_ms: int,
    quiet_hours_of: QuietHoursOf,
    now: int,
) -> list[Transition]:
    """A deferral, moved to the message's turn; then the deferrals of other messages that now go later than published.

    `others`: what else waits for the contact's slot.
    """
    own = held.before
    others = [other for other in others if other.message_id != own.message_id]
    turns = dict(_turns([own, *others], free_at(contact, rate_limit_ms, now), rate_limit_ms, quiet_hours_of))
    moved = [
        defer(other, turns[other.message_id], now, look_at=other.due_at)
        for other in others
        if _is_outdated(other, turns[other.message_id])
    ]
    return [defer(own, turns[own.message_id], now, look_at=held.next_due, error=held.after.error), *moved]


def _turns(
    waiting: Sequence[Message], opens_at: int, rate_limit_ms: int, quiet_hours_of: QuietHoursOf
) -> Iterator[tuple[str, int]]:
    left, at = list(waiting), opens_at
    while left:
        goes_at = {m.message_id: _may_go_at(m, at, quiet_hours_of(m)) for m in left}
        first = min(left, key=lambda m: (goes_at[m.message_id], by_turn(m)))
        left.remove(first)
        turn = goes_at[first.message_id]
        yield first.message_id, turn
        if not first.is_past(turn):  # a message that expires before its turn leaves the turn to the next
            at = turn + rate_limit_ms


def _may_go_at(message: Message, at: int, quiet_hours: QuietHours | None) -> int:
    pause_ends = message.scheduled_for if message.status is Status.RETRYING else None
    return earliest(max(at, pause_ends or at), message.send_at, quiet_hours)


def _is_outdated(message: Message, turn: int) -> bool:
    """Whether the time that was published for a deferred message is no longer true."""
    published = message.scheduled_for
    if message.status is not Status.DEFERRED or published is None:
        return False
    return turn - published > periods.TURN_MOVES or (not message.is_past(published) and message.is_past(turn))
