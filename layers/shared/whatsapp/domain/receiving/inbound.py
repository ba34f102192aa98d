"""A patient's message: as Twilio's form shows it, and as it is stored."""

import re
from dataclasses import field, fields
from typing import Any, Literal

from whatsapp.domain.address import Address
from whatsapp.domain.contact import OptWord
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.events import Choice, Kind, Location, Reaction, Referral, Safety

MAX_EVENT_TEXT = 20_000
"""Characters of text an event may carry. JSON may need six bytes for each, so an event stays under 220 KB for every
form: the bus takes 256 KB."""
MAX_EVENT_FLOW = 32_000
"""Bytes of a flow's answers, as JSON, that an event may carry."""

UNKNOWN_TYPE = "application/octet-stream"
"""The type where Twilio names none, or where the bytes contradict it."""
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_OTHER_NAMES = {
    "application/vcard": "text/vcard",
    "application/rtf": "text/rtf",
    "audio/amr-nb": "audio/amr",
    "audio/mp3": "audio/mpeg",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "audio/vnd.wave": "audio/wav",
    "audio/x-wav": "audio/wav",
    "image/jpg": "image/jpeg",
    "text/x-vcard": "text/vcard",
    "video/mpeg4": "video/mp4",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMedium:
    """A file at Twilio, fetched later."""

    url: str | None = None
    """Where it is at Twilio; None once it was deleted there."""
    content_type: str
    """As Twilio names it, by `media_type`; in older records of stored files, by their bytes."""
    stored_type: str | None = None
    """The stored file's type, where its bytes contradict `content_type`."""
    status: Literal["pending", "stored", "failed"] = "pending"
    key: str | None = None
    """Its key in our bucket."""
    size: int | None = None
    duration: int | None = None
    """Seconds, of a sound."""
    reason: str | None = None
    """Why it could not be stored, for good or yet."""

    @property
    def known_type(self) -> str:
        """Its type, as far as is known."""
        return self.stored_type or self.content_type


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundContent:
    """What the patient wrote. Optional fields that were missing or unreadable are None."""

    text: str = field(default="", repr=False)
    kind: Kind = "text"
    button_text: str | None = None
    button_payload: str | None = None
    choice: Choice | None = field(default=None, repr=False)
    flow: dict[str, Any] | None = field(default=None, repr=False)
    """The answers of a WhatsApp Flow; may be empty."""
    reaction: Reaction | None = field(default=None, repr=False)
    media: tuple[InboundMedium, ...] = ()
    location: Location | None = field(default=None, repr=False)
    forwarded: bool = False
    frequently_forwarded: bool = False
    referral: Referral | None = field(default=None, repr=False)
    profile_name: str | None = field(default=None, repr=False)
    more: dict[str, str] = field(default_factory=dict, repr=False)
    """Twilio's fields that no other attribute holds. All fields of the content, where its kind is not known."""

    @property
    def content(self) -> dict[str, Any]:
        """Its fields by name."""
        return {f.name: getattr(self, f.name) for f in fields(InboundContent)}


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundForm(InboundContent):
    """An inbound webhook, verified and read."""

    twilio_sid: str
    from_: Address
    to: str
    """Which of our senders was written to, as `+E164`."""
    replied_to_sid: str | None = None
    external_user_id: Address | None = None
    opt_out_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage(InboundContent):
    """An inbound message's record; its event is made from it, so that publishing twice publishes the same."""

    message_id: str
    contact_id: str
    to: str | None = None
    """Which of our senders was written to; None on older records."""
    address: str = field(repr=False)
    received_at: int
    in_reply_to: str | None = None
    in_reply_to_template: str | None = None
    user_id: str | None = None
    user_ids: tuple[str, ...] = ()
    """Who was written to of late at this number, the latest first, where no answered message says who writes."""
    agent: str | None = None
    group: str | None = None
    """Of our message that it answers."""
    safety: Safety | None = field(default=None, repr=False)
    source: str = "webhook"
    opt_word: Literal["out", "in"] | None = None
    """`out` or `in` where the message is a STOP or a START."""
    opt: str | None = None
    """The same where it counts: no later word was known, or Twilio's dates proved it the last."""
    opt_again: bool | None = None
    """It was proved the last after a word that came later had counted: it is published a second time."""
    due_shard: str | None = None
    due_at: int | None = None
    """The outbox marker: `publish#…` until the message is on the bus, then `media#…` while media wait."""

    @property
    def as_opt_word(self) -> OptWord | None:
        """The STOP or START that it is. Twilio dates what its list shows."""
        if self.opt_word is None:
            return None
        is_dated = self.source == "backfill"
        return OptWord(message_id=self.message_id, opt=self.opt_word, at=self.received_at, is_dated=is_dated)

    @property
    def is_published(self) -> bool:
        """Whether the bus has taken it."""
        return self.due_shard is None or not self.due_shard.startswith("publish#")

    @property
    def is_erased(self) -> bool:
        """Whether the person was erased: nothing of theirs is left to publish."""
        return not self.address

    @property
    def media_pending(self) -> bool:
        """Whether a medium is still at Twilio only."""
        return any(medium.status == "pending" for medium in self.media)


def media_type(text: str | None) -> str:
    """A type as headers and forms spell it, in one spelling: no parameters, no capitals, one name for each type."""
    bare = (text or "").partition(";")[0].strip().lower()
    return _OTHER_NAMES.get(bare, bare) if _TYPE.fullmatch(bare) else UNKNOWN_TYPE


_KINDS: tuple[tuple[str, Kind], ...] = (
    ("image/", "image"),
    ("audio/", "audio"),
    ("video/", "video"),
    ("text/vcard", "contacts"),
    ("application/", "document"),
    ("text/", "document"),
)


_BY_MESSAGE_TYPE: dict[str, Kind] = {
    "image": "image",
    "sticker": "image",
    "audio": "audio",
    "voice": "audio",
    "video": "video",
    "document": "document",
    "contacts": "contacts",
}


def kind_of(content_type: str, message_type: str = "") -> Kind:
    """The kind of a message with a medium of this type; where it says nothing, what Twilio's `MessageType` says."""
    kind: Kind = next((kind for prefix, kind in _KINDS if content_type.startswith(prefix)), "unknown")
    says_nothing = kind == "unknown" or content_type.startswith("application/octet-stream")
    return _BY_MESSAGE_TYPE.get(message_type, kind) if says_nothing else kind


_NUMBER = re.compile(r"[+ ]?([0-9]{5,18})")
_SCOPED_ID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9._-]{1,128}")
_HANDLE = re.compile(r"@?([A-Za-z0-9._-]{1,128})")
_NUMBER_AND_MORE = re.compile(r"[+ ][0-9]{5,18}(?!X+\Z)[A-Za-z].*", re.DOTALL)
"""A number that runs on into the name of the next field: the form was re-split (`form.py`). A masked number is not."""
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def sender_of(from_: str, scoped_id: Address | None = None) -> Address | None:
    """The sender's address; None if it cannot be read.

    A number is taken as Twilio spells it, because a message came from it, whether or not it looks possible. What `From`
    holds when WhatsApp hides the number is not documented: then the business-scoped id counts; without one, the handle.
    """
    bare = from_.strip().removeprefix("whatsapp:")
    if number := _NUMBER.fullmatch(bare):
        return Address(f"+{number[1]}")
    if _NUMBER_AND_MORE.fullmatch(bare):
        return None
    handle = _HANDLE.fullmatch(bare)
    return scoped_id or (Address(handle[1]) if handle else None)


def business_scoped(text: str) -> Address | None:
    """The business-scoped id in `ExternalUserId`, if it is one."""
    bare = text.strip().removeprefix("whatsapp:")
    return Address(bare) if _SCOPED_ID.fullmatch(bare) else None


def cleaned(text: str) -> str:
    """Without the characters that no store or bus takes: NUL, and halves of surrogate pairs."""
    return _UNSTORABLE.sub("", text)
