"""Decides what becomes of a message in doubt: matched in Twilio's list, looked at again, unresolved, or sent again.

A match is taken only if it is certain: one candidate, which no other message of the contact may be. Else the message is
held, because sending it again might reach the patient twice. It is sent again only if Twilio's list has nothing to that
address which no record owns: nothing of that time, and nothing later with its words.
"""

from collections.abc import Sequence

from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import Failure
from whatsapp.domain.ports import StatusUpdate, TwilioMessage
from whatsapp.domain.sending.continuation import resend as resent
from whatsapp.domain.sending.lifecycle import END_DOUBT, OVERDUE, Status
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.transition import EVENT, EVENT_AND_ALERT, Transition, take


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Nothing is decided. The next look is at `at` (epoch ms); None: there is nothing left to do."""

    at: int | None


def is_early(message: Message, now: int) -> LookAgain | None:
    """Twilio may still accept it, and the list may still lag: only callbacks settle a doubt this young."""
    at = _started(message) + periods.RECONCILE_DOUBT
    return LookAgain(at) if now < at else None


def overdue(message: Message, now: int) -> Transition | None:
    """Its time has passed, and whether it went is not known yet: its caller hears that once. The doubt goes on."""
    if message.status is Status.UNRESOLVED or not message.is_past(now) or _is_overdue(message):
        return None
    error = Failure(code="expired", detail="`expires_at` has passed, and whether it went is not known yet")
    return take(message, OVERDUE, now, due_at=now + periods.MINUTE, error=error, outbox=EVENT)


def next_look(message: Message, at: int, now: int) -> int:
    """When a message in doubt is looked at: then (epoch ms), or when its time passes."""
    if message.expires_at is None or message.is_past(now) or message.status is Status.UNRESOLVED:
        return at
    return min(at, message.expires_at)


def on_doubt(
    message: Message, listed: Sequence[TwilioMessage], others: Sequence[Message], now: int, *, resend: bool = False
) -> StatusUpdate | Transition | LookAgain:
    """Judge a message by Twilio's list.

    Args:
        message: it is `sending`, `unknown` or unresolved.
        listed: what Twilio's list shows of messages to the same address since `list_from`.
        others: the contact's other messages that were created in `others_span`.
        now: epoch ms.
        resend: send it again if it may be, whatever its caller asked for: an operator wants it.
    """
    candidates = candidates_of(message, listed, others)
    if len(candidates) == 1 and not _is_contested(candidates[0], others):
        return update_of(message, candidates[0])
    age = now - _started(message)
    if message.status is not Status.UNRESOLVED:
        return _end(message, now) if age >= periods.DOUBT_HORIZON else LookAgain(now + periods.RECONCILE_AGAIN)
    if age < periods.RESEND:
        return LookAgain(_started(message) + periods.RESEND)
    is_wanted = resend or message.on_unknown == "resend"
    again = resent(message, now) if is_wanted and not _unowned(message, listed, others) else None
    return again or LookAgain(None)


def without_list(message: Message, now: int) -> Transition | None:
    """Twilio's list does not answer. None: ask again; but not for ever, or the contact's slot would stay held."""
    is_open = message.status is not Status.UNRESOLVED
    return _end(message, now) if is_open and now - _started(message) >= periods.DOUBT_ENDS else None


def of_interest(message: Message, listed: Sequence[TwilioMessage]) -> list[TwilioMessage]:
    """The listed messages of about its time, and later ones with its words. Without any, no other record matters."""
    return [one for one in listed if _is_of_its_time(message, one) or _is_later_copy(message, one)]


def candidates_of(message: Message, listed: Sequence[TwilioMessage], others: Sequence[Message]) -> list[TwilioMessage]:
    """The listed messages that may be this one, and are no other record's."""
    return [one for one in _unowned(message, listed, others) if _may_be(message, one)]


def _unowned(message: Message, listed: Sequence[TwilioMessage], others: Sequence[Message]) -> list[TwilioMessage]:
    """The listed messages of interest that no other record owns, with any text: each may be this one.

    So it is sent again only if Twilio certainly has nothing of it.
    """
    owned = {other.twilio_sid for other in others}
    return [one for one in of_interest(message, listed) if one.twilio_sid not in owned]


def list_from(message: Message) -> int:
    """Since when Twilio's list is asked (epoch ms)."""
    return _started(message) - periods.LIST_FROM


def others_span(message: Message) -> tuple[int, int]:
    """When another message may have been created that was claimed at about the same time (epoch ms, both included)."""
    return _started(message) - periods.LONGEST_DEFERRAL, _started(message) + periods.LIST_UNTIL


def update_of(message: Message, found: TwilioMessage) -> StatusUpdate:
    """A message's status in Twilio's list, in the form of a callback."""
    return StatusUpdate(
        message_id=message.message_id,
        attempt=message.attempt or "",
        twilio_sid=found.twilio_sid,
        status=found.status,
        error_code=found.error_code,
    )


def _is_overdue(message: Message) -> bool:
    return message.error is not None and message.error.code == "expired"


def _started(message: Message) -> int:
    return message.claimed_at or message.created_at


def _may_be(message: Message, listed: TwilioMessage) -> bool:
    """Whether time and content agree."""
    return _is_of_its_time(message, listed) and _has_its_words(message, listed)


def _is_later_copy(message: Message, listed: TwilioMessage) -> bool:
    """Whether it may be what continued an unresolved message, under a record that a restore has lost."""
    return (
        message.status is Status.UNRESOLVED
        and listed.date_created >= list_from(message)
        and _has_its_words(message, listed)
    )


def _has_its_words(message: Message, listed: TwilioMessage) -> bool:
    """Whether the content agrees. Twilio may list a content's message without its body; media alone have none."""
    has_no_body = message.content_sid is not None and listed.body == ""
    return has_no_body or same_text(listed.body, message.text or "")


def _is_of_its_time(message: Message, listed: TwilioMessage) -> bool:
    if message.claimed_at is None:
        return False
    return message.claimed_at - periods.LIST_FROM <= listed.date_created <= message.claimed_at + periods.LIST_UNTIL


def same_text(one: str, other: str) -> bool:
    """Whether two bodies are one text: line ends and white space around it may change on the way."""
    return one.strip().splitlines() == other.strip().splitlines()


def _is_contested(listed: TwilioMessage, others: Sequence[Message]) -> bool:
    """Whether it may as well be another message whose fate is open."""
    return any((other.is_in_doubt or other.status is Status.CLAIMED) and _may_be(other, listed) for other in others)


def _end(message: Message, now: int) -> Transition:
    error = Failure(
        code="twilio_unavailable", detail="no evidence whether Twilio sent it; look it up before you send it anew"
    )
    return take(message, END_DOUBT, now, error=error, outbox=EVENT_AND_ALERT)
