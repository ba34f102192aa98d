"""Decides what became of messages whose table was restored to an earlier moment, by what Twilio's list shows since.

A restored message may look as if it still waited although it has gone out. A pair that is certain is settled: one
message, one entry of the list, the same words, at a time when it may have gone. Where more than one may be meant, none
is ever sent again.
"""

from collections.abc import Sequence
from dataclasses import field

from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import Failure
from whatsapp.domain.ports import TwilioMessage
from whatsapp.domain.sending.lifecycle import RECOGNISE, SUSPECT, Status
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.on_doubt import same_text
from whatsapp.domain.sending.transition import EVENT, EVENT_AND_ALERT, Transition, take


@dataclass(frozen=True, slots=True)
class Restored:
    """A restored message that is not final, and every text under which it may have gone out."""

    message: Message
    texts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Matches:
    """What Twilio's list says of one contact's restored messages."""

    certain: list[tuple[Message, TwilioMessage]] = field(default_factory=list)
    doubtful: list[tuple[Message, TwilioMessage]] = field(default_factory=list)
    """Each with the earliest entry that it may be."""
    unrecorded: list[TwilioMessage] = field(default_factory=list)
    """No restored message is this one: its record was lost."""


def is_open(message: Message) -> bool:
    """Whether it may have gone out since the tables were as they are now."""
    return message.is_waiting or message.status is Status.CLAIMED or (message.is_in_doubt and not message.continued_as)


def match(restored: Sequence[Restored], listed: Sequence[TwilioMessage], since: int) -> Matches:
    """Match a contact's open messages with the listed ones that no record has. `since`: what was restored to."""
    matches = Matches()
    mays = {one.message.message_id: [entry for entry in listed if _may_be(one, entry, since)] for one in restored}
    for one in restored:
        entries = mays[one.message.message_id]
        if len(entries) == 1 and sum(entries[0] in others for others in mays.values()) == 1:
            matches.certain.append((one.message, entries[0]))
        elif entries:
            matches.doubtful.append((one.message, min(entries, key=lambda entry: entry.date_created)))
    known = [entry for entries in mays.values() for entry in entries]
    matches.unrecorded.extend(entry for entry in listed if entry not in known)
    return matches


def recognise(message: Message, entry: TwilioMessage, now: int) -> Transition:
    """It had gone out: it is as Twilio's list shows it."""
    at = entry.date_created
    return take(
        message,
        RECOGNISE,
        now,
        outbox=EVENT,
        twilio_sid=entry.twilio_sid,
        accepted_at=at,
        claimed_at=at,
        text=entry.body or message.text,
    )


def suspect(message: Message, entry: TwilioMessage, now: int) -> Transition | None:
    """It may be what the list shows: it is never sent again by itself. None: that is so already."""
    if message.status is Status.UNRESOLVED and message.on_unknown == "hold":
        return None
    return _suspect(message, (message.claimed_at if message.is_in_doubt else None) or entry.date_created, now)


def perhaps_lost(message: Message, now: int) -> Transition:
    """Its request came out of a queue again, and its record may be one that was lost: it is not sent by itself."""
    return _suspect(message, message.requested_at, now)


def _suspect(message: Message, posted_at: int, now: int) -> Transition:
    """`posted_at`: since when Twilio's list may show it."""
    error = Failure(
        code="twilio_unavailable",
        detail="the tables were restored, and it may have gone out before: look it up before you send it anew",
    )
    return take(message, SUSPECT, now, error=error, outbox=EVENT_AND_ALERT, claimed_at=posted_at, on_unknown="hold")


def _may_be(restored: Restored, entry: TwilioMessage, since: int) -> bool:
    return _may_have_gone(restored.message, entry.date_created, since) and (
        # Twilio may list a content's message without its body.
        ((restored.message.template is not None or bool(restored.message.choices)) and entry.body == "")
        or any(same_text(text, entry.body) for text in restored.texts)
    )


def _may_have_gone(message: Message, at: int, since: int) -> bool:
    """Whether Twilio may have taken it then. Clocks differ, and a POST may be accepted late."""
    if message.is_in_doubt:  # its own POST; or what continued it, whose record was lost
        earliest = message.claimed_at or message.created_at
    else:
        earliest = max(since, message.requested_at, message.send_at or 0)
    latest = at if message.expires_at is None else message.expires_at + periods.LIST_UNTIL
    return earliest - periods.LIST_FROM <= at <= latest
