"""A group: the messages about one thing, such as an appointment, by the name that the caller gave it."""

from collections.abc import Iterable
from typing import Literal

from whatsapp.domain.contact import Contact
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.sending.lifecycle import ACCEPTED, ARRIVED, Status
from whatsapp.domain.sending.message import Message

Progress = Literal["answered", "delivered", "read"]
"""How far a message of a group got."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group's item."""

    name: str
    message_ids: frozenset[str] = frozenset()
    canceled_at: int | None = None
    """The end of its last cancel (epoch ms): what is asked for later goes."""

    def cancel_before(self, asked_at: int | None) -> int | None:
        """The cancel that a request came after. `asked_at`: of one that waited in the queue; others come just now."""
        return self.canceled_at if asked_at is None or asked_at > (self.canceled_at or 0) else None

    def is_canceled_for(self, message: Message) -> bool:
        """Whether it was canceled since the message was asked for."""
        return self.canceled_at is not None and self.canceled_at > (message.after_cancel or 0)


def got_as_far_as(progress: Progress, messages: Iterable[Message], contact: Contact) -> bool:
    """Whether one of the messages reached the contact so far."""
    match progress:
        case "delivered":
            return any(message.status in ARRIVED for message in messages)
        case "read":
            return any(message.status is Status.READ for message in messages)
        case "answered":
            return is_answered(messages, contact)


def is_answered(messages: Iterable[Message], contact: Contact) -> bool:
    """Whether the contact wrote since the first of these messages went, or may have gone."""
    first = min((went for message in messages if (went := _went_at(message))), default=None)
    return first is not None and contact.last_inbound_at is not None and contact.last_inbound_at >= first


def _went_at(message: Message) -> int | None:
    """When Twilio took it at the earliest. Where only a callback showed that, `accepted_at` is later."""
    return message.claimed_at if message.status in ACCEPTED or message.is_in_doubt else None
