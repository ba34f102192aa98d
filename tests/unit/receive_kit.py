"""The product for tests of the receive side: a Twilio with lists and files, a bucket, and records to start from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from whatsapp.adapters.dynamodb.client import Item
from whatsapp.adapters.dynamodb.items import message_key
from whatsapp.domain.address import Address
from whatsapp.domain.contact import ContactIds
from whatsapp.domain.ports import Deadline, MediumUnavailableError, TwilioMessage, TwilioUnavailable
from whatsapp.domain.receiving.inbound import InboundForm, InboundMedium
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, shard_of

from tests.app import SENDER, UnitApp, message_id_of

MESSAGES = "MessagesTable"
ASHA = Address("+919812345678")
HIDDEN = Address("IN.1344567890")
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
IDS = ContactIds("key")
JPEG = b"\xff\xd8\xff"


def sid(number: int, prefix: str = "SM") -> str:
    """A message id of Twilio's."""
    return f"{prefix}{number:032x}"


@dataclass
class FakeTwilio:
    """The `Gateway` and `MediaSource` ports: what it lists, what it was asked, and what it will not answer."""

    received: list[TwilioMessage] = field(default_factory=list)
    """Oldest first."""
    media: dict[str, list[InboundMedium]] = field(default_factory=dict)
    statuses: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    """Ids, URLs, `list` or `everything`: what is not answered."""
    keeps: set[str] = field(default_factory=set)
    """Ids and URLs that it does not delete."""
    questions: int = 0

    def list_received(self, since: int, until: int | None = None) -> Iterator[TwilioMessage]:
        self._answer("list")
        yield from (o for o in reversed(self.received) if since <= o.date_created <= (until or o.date_created))

    def media_of(self, twilio_sid: str) -> Sequence[InboundMedium]:
        self._answer(twilio_sid)
        return self.media.get(twilio_sid, [])

    def fetch(self, what: str) -> Any:
        """A message by its id, or a file by its URL."""
        self._answer(what)
        if what.startswith("https:"):
            if what not in self.files:
                raise MediumUnavailableError("404")
            return self.files[what]
        if inbound := next((one for one in self.received if one.twilio_sid == what), None):
            return inbound
        if what not in self.statuses:
            return None
        status, code = self.statuses[what]
        return replace(listed(what, ""), status=status, error_code=code, direction="outbound-api")

    def delete(self, what: str) -> None:
        if what in self.keeps:
            raise MediumUnavailableError("500") if what.startswith("https:") else TwilioUnavailable
        self.deleted.append(what)

    def _answer(self, what: str) -> None:
        self.questions += 1
        if what in self.refuses or "everything" in self.refuses:
            raise TwilioUnavailable("down")


@dataclass
class FakeBucket:
    """The `MediaStore` port."""

    files: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    """Content and type."""
    down: bool = False

    def put(self, key: str, content: bytes, content_type: str) -> None:
        if self.down:
            raise MediumUnavailableError("the bucket did not take it")
        self.files[key] = (content, content_type)

    def url(self, key: str) -> str:
        return f"https://bucket/{key}?signed"

    def delete_all(self, contact_id: str) -> None:
        self.files = {key: file for key, file in self.files.items() if not key.startswith(f"media/{contact_id}/")}


def listed(
    twilio_sid: str, body: str, *, at: int = 0, from_: str = ASHA.value, to: str = SENDER, num_media: int = 0
) -> TwilioMessage:
    """A message in Twilio's list."""
    return TwilioMessage(
        twilio_sid=twilio_sid,
        status="received",
        direction="inbound",
        from_=from_,
        to=to,
        body=body,
        date_created=at,
        num_media=num_media,
    )


@dataclass(frozen=True)
class Receiving(UnitApp):
    """The product, with a Twilio that lists what patients wrote and keeps their files, and a bucket."""

    gateway: Any = field(default_factory=FakeTwilio)
    media_store: Any = field(default_factory=FakeBucket)

    @property
    def media_source(self) -> Any:
        """Twilio's files."""
        return self.gateway

    @property
    def deadline(self) -> Deadline:
        """A minute from now."""
        return Deadline(self.clock.now() + MINUTE)

    def form(self, number: int, text: str = "hello", **more: Any) -> InboundForm:
        """A message from Asha."""
        return InboundForm(**{"twilio_sid": sid(number), "from_": ASHA, "to": SENDER, "text": text, **more})

    def item(self, message_id: str) -> Item:
        """A record as it is stored."""
        return self.db.get(MESSAGES, message_key(message_id)) or {}

    def published(self, detail_type: str = "message.received") -> list[Any]:
        """What the bus took."""
        return [event for event in self.bus.events if event.detail_type == detail_type]

    def outgoing(self, key: str, **more: Any) -> Message:
        """A record of ours, stored as it is."""
        now = self.clock.now()
        values = {
            "message_id": message_id_of(key),
            "contact_id": IDS.of(ASHA),
            "to": ASHA.value,
            "request_hash": "hash-of-what-was-asked",
            "created_at": now,
            "status": Status.SENT,
            "attempt": "a" * 12,
            "twilio_sid": sid(len(key) + 1_000),
            "accepted_at": now,
            "status_at": now,
            "text": "Dear Asha",
            "variables": {"patient_name": "Asha"},
            "template": "appointment_confirmation",
            "language": "en",
            "agent": "scheduling",
            "user_id": "user-42",
        }
        message = Message(**{**values, **more})
        assert self.messages.put_new(message)
        return message

    def awaits_status(self, key: str, **more: Any) -> Message:
        """A record that is asked about at Twilio, now."""
        at = self.clock.now()
        return self.outgoing(key, due_shard=shard_of("status", IDS.of(ASHA)), due_at=at, accepted_at=at - HOUR, **more)
