"""What the routes answer beside a message's record, as JSON. `events/schemas/openapi.json` is made from these."""

from typing import (
    Any,
    Literal,
    Required,  # pydantic takes typing's own only from Python 3.12 on
)

from typing_extensions import TypedDict

from whatsapp.domain.errors import Failure
from whatsapp.domain.events import Choice, Location, Reaction, Referral


class ContactKnown(TypedDict):
    """`known`: whether anything is stored of this contact."""

    contact_id: str
    known: bool


class ContactStored(TypedDict):
    """The contact's pseudonym."""

    contact_id: str


class ContactAcknowledged(TypedDict):
    """`was_open`: whether an alert about the contact waited to be acknowledged."""

    contact_id: str
    was_open: bool


class ContactErasing(TypedDict):
    """The erasure has begun; it ends within hours."""

    contact_id: str
    status: Literal["erasing"]


class Hold(TypedDict, total=False):
    """Whether sending is held, and since when."""

    held: Required[bool]
    since: str


class ShownGroup(TypedDict):
    """A group's messages, each as `GET /messages/{message_id}` shows it."""

    group: str
    messages: list[dict[str, Any]]


class CanceledGroup(TypedDict):
    """The ids of the messages that do not go, and of those that went or may have gone."""

    canceled: list[str]
    too_late: list[str]


class ShownMedium(TypedDict):
    """A file that the patient sent. `url` can be read for a few minutes."""

    index: int
    content_type: str | None
    status: str | None
    key: str | None
    size: int | None
    duration: int | None
    reason: str | None
    url: str | None


class ShownMessage(TypedDict, total=False):
    """A message of a conversation. A field that says nothing is left out."""

    message_id: Required[str]
    direction: Required[Literal["inbound", "outbound"]]
    at: Required[str]
    status: Required[str]
    text: str
    media_url: str
    kind: str
    template: str
    language: str
    agent: str
    user_id: str
    twilio_sid: str
    in_reply_to: str
    button_text: str
    button_payload: str
    choice: Choice
    choices: list[dict[str, str]]
    flow: dict[str, Any]
    reaction: Reaction
    forwarded: bool
    frequently_forwarded: bool
    referral: Referral
    media: list[ShownMedium]
    location: Location | None
    profile_name: str
    more: dict[str, str]
    continues: str
    continued_as: str
    error: Failure


class Conversation(TypedDict):
    """A page of a conversation, in order of time. `next_before` asks for the page before it."""

    contact_id: str
    user_id: str | None
    opted_out: bool
    messages: list[ShownMessage]
    next_before: str | None
