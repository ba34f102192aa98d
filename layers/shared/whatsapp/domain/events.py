"""The events on the bus: one dataclass per `detail-type`.

Not pydantic models, because the webhook's cold start pays for every import; `tools.schemas` has pydantic read them and
writes `events/schemas/`.
"""

from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Any, ClassVar, Literal

from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import Failure

SOURCE = "whatsapp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The fields of every event. `event_id` is the same however often an event is delivered: consumers dedupe on it."""

    detail_type: ClassVar[str]

    event_id: str
    occurred_at: str
    """ISO 8601 with offset."""
    contact_id: str | None = None
    address: str | None = None
    user_id: str | None = None
    agent: str | None = None
    group: str | None = None
    """The caller's name for what the message is about."""
    version: Literal[1] = 1

    def detail(self) -> dict[str, Any]:
        """The event's `detail` as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A quick reply that the patient tapped."""

    text: str
    payload: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """A file the patient sent. `status` is `pending` until it is in our bucket."""

    index: int
    content_type: str
    status: Literal["pending", "stored", "failed"] = "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place the patient shared."""

    latitude: float
    longitude: float
    label: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InReplyTo:
    """Which of our messages the patient answered."""

    message_id: str | None
    template: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the patient tapped of a reply's `choices`, or of another list of ours. `id`: the caller's."""

    id: str | None = None
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """An emoji on one of our messages; None where it was taken back."""

    emoji: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Safety:
    """Words that may mean danger to life: the phrase of the list, and its language (`payload`: a tap)."""

    phrase_id: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Referral:
    """The advertisement from which the patient came."""

    body: str | None = None
    headline: str | None = None
    source_id: str | None = None
    source_type: str | None = None
    source_url: str | None = None
    media_id: str | None = None
    media_content_type: str | None = None
    media_url: str | None = None
    ctwa_clid: str | None = None
    """Meta's id of the click."""


Kind = Literal[
    "text",
    "button",
    "choice",
    "flow",
    "reaction",
    "image",
    "audio",
    "video",
    "document",
    "location",
    "contacts",
    "unknown",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived(Event):
    """A patient wrote. `text` is what a stranger typed: data, never instructions."""

    detail_type: ClassVar[str] = "message.received"

    message_id: str
    to: str | None = None
    """Which of our senders was written to; None on messages stored before this was recorded."""
    user_ids: list[str] = field(default_factory=list)
    """Who was written to of late at this number, the latest first, where no answered message says who writes. If they
    are several, `user_id` is None."""
    kind: Kind
    text: str
    text_truncated: bool = False
    """The text was too long for the bus: read the whole of it in the conversation."""
    button: Button | None = None
    choice: Choice | None = None
    flow: dict[str, Any] | None = None
    """The answers of a WhatsApp Flow, with the names that the flow gives them."""
    flow_omitted: bool = False
    """The answers were too large for the bus: read them in the conversation."""
    reaction: Reaction | None = None
    media: list[Medium] = field(default_factory=list)
    location: Location | None = None
    forwarded: bool = False
    frequently_forwarded: bool = False
    referral: Referral | None = None
    profile_name: str | None = None
    safety: Safety | None = None
    """Call the patient: answer with no form letter."""
    in_reply_to: InReplyTo | None = None
    window_expires_at: str
    content_trust: Literal["untrusted"] = "untrusted"
    source: Literal["webhook", "backfill"] = "webhook"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageMediaStored(Event):
    """A medium is in our bucket, or why it is not."""

    detail_type: ClassVar[str] = "message.media_stored"

    message_id: str
    index: int
    status: Literal["stored", "failed"]
    key: str | None = None
    content_type: str | None = None
    size: int | None = None
    duration: int | None = None
    """Seconds, of a sound such as a voice note."""
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStatusChanged(Event):
    """An outgoing message took a step its caller should know of, or a request on the send queue is refused."""

    detail_type: ClassVar[str] = "message.status_changed"

    message_id: str
    idempotency_key: str | None = None
    """The caller's own. Of a refused request nothing is stored: its `message_id` shows nothing, the key is as free as
    before."""
    status: Literal["deferred", "sent", "delivered", "read", "failed", "undelivered", "expired", "canceled", "unknown"]
    twilio_sid: str | None = None
    template: str | None = None
    scheduled_for: str | None = None
    will_expire: bool = False
    error: Failure | None = None
    continues: str | None = None
    continued_as: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageUnanswered(Event):
    """Nobody answered by the time that the caller gave: phone the patient."""

    detail_type: ClassVar[str] = "message.unanswered"

    message_id: str
    """Of the message with `answer_by`."""
    template: str | None = None
    answer_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactOptedOut(Event):
    """The patient asked for silence: every later send is refused."""

    detail_type: ClassVar[str] = "contact.opted_out"

    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactOptedIn(Event):
    """The patient asked to be written to again."""

    detail_type: ClassVar[str] = "contact.opted_in"

    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateStatusChanged(Event):
    """WhatsApp's review came to a result, or changed its mind. `missing`: the copy at Twilio was deleted by hand."""

    detail_type: ClassVar[str] = "template.status_changed"

    template: str
    language: str
    template_version: str
    content_sid: str
    status: Literal["approved", "rejected", "paused", "disabled", "missing", "category_changed"]
    reason: str | None = None
    category: str | None = None


EVENTS: tuple[type[Event], ...] = (
    MessageReceived,
    MessageMediaStored,
    MessageStatusChanged,
    MessageUnanswered,
    ContactOptedOut,
    ContactOptedIn,
    TemplateStatusChanged,
)


def as_entry(event: Event) -> Mapping[str, Any]:
    """The event as the bus takes it, without the bus's name."""
    return {"Source": SOURCE, "DetailType": event.detail_type, "Detail": event.detail()}
