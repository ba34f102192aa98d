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
    """When it was last canceled (epoch ms)."""

    def is_canceled_for(self, message: Message) -> bool:
        """Whether the message was asked for before the group was canceled. What is asked for afterwards goes."""
        return self.canceled_at is not None and message.requested_at <= self.canceled_at


def got_as_far_as(progress: Progress, messages: Iterable[Message], contact: Contact) -> bool:
    """Whether one of the messages reached the contact so far.

    Answered means that the contact wrote since Twilio accepted the first of them.
    """
    match progress:
        case "delivered":
            return any(message.status in ARRIVED for message in messages)
        case "read":
            return any(message.status is Status.READ for message in messages)
        case "answered":
            return is_answered(messages, contact)


def is_answered(messages: Iterable[Message], contact: Contact) -> bool:
    """Whether the contact wrote since Twilio accepted the first of these messages."""
    first = min((m.accepted_at for m in messages if m.status in ACCEPTED and m.accepted_at), default=None)
    return first is not None and contact.last_inbound_at is not None and contact.last_inbound_at >= first
