"""The receive side with its real stores on an emulated DynamoDB, and a Twilio, a bus and a bucket that remember."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from whatsapp.adapters.dynamodb.callback_store import CallbackStore
from whatsapp.adapters.dynamodb.client import DynamoDB, Item
from whatsapp.adapters.dynamodb.contact_store import ContactStore
from whatsapp.adapters.dynamodb.conversation_store import ConversationStore
from whatsapp.adapters.dynamodb.erasure_store import ErasureStore
from whatsapp.adapters.dynamodb.inbox_store import InboxStore
from whatsapp.adapters.dynamodb.items import message_key
from whatsapp.adapters.dynamodb.message_store import Limits, MessageStore
from whatsapp.domain.address import Address
from whatsapp.domain.contact import Contact, ContactIds
from whatsapp.domain.ports import Deadline, FetchedMedium, MediumUnavailableError, TwilioMessage, TwilioUnavailable
from whatsapp.domain.receiving.inbound import InboundForm, InboundMedium
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, message_id_of, shard_of
from whatsapp.domain.templates.catalog import load_catalog
from whatsapp.use_cases.commit import Commit
from whatsapp.use_cases.erase_contact import EraseContact
from whatsapp.use_cases.manage_contacts import ManageContacts
from whatsapp.use_cases.outbox import Outbox
from whatsapp.use_cases.publish_waiting import PublishWaiting
from whatsapp.use_cases.receive_message import ReceiveMessage
from whatsapp.use_cases.reconcile import Reconcile
from whatsapp.use_cases.record_status import RecordStatus
from whatsapp.use_cases.store_media import StoreMedia

from tests.fakes import CountingMetrics, FrozenClock, RecordingAlerts, RecordingBus, RecordingQueue

MESSAGES, CONTACTS = "MessagesTable", "ContactsTable"
ASHA = Address("+919812345678")
HIDDEN = Address("IN.1344567890")
SENDER = "+14155550100"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
IDS = ContactIds("key")
JPEG = FetchedMedium(b"\xff\xd8\xff", "image/jpeg")


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
    files: dict[str, FetchedMedium] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    """Ids, URLs, `list` or `everything`: what is not answered."""
    keeps: set[str] = field(default_factory=set)
    """Ids and URLs that it does not delete."""
    questions: int = 0

    def list_received(self, since: int) -> Iterator[TwilioMessage]:
        self._answer("list")
        yield from (one for one in reversed(self.received) if one.date_created >= since)

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

    files: dict[str, FetchedMedium] = field(default_factory=dict)
    down: bool = False

    def put(self, key: str, medium: FetchedMedium) -> None:
        if self.down:
            raise MediumUnavailableError("the bucket did not take it")
        self.files[key] = medium

    def delete_all(self, contact_id: str) -> None:
        self.files = {key: medium for key, medium in self.files.items() if not key.startswith(f"media/{contact_id}/")}


def listed(twilio_sid: str, body: str, *, at: int = 0, from_: str = ASHA.value, num_media: int = 0) -> TwilioMessage:
    """A message in Twilio's list."""
    return TwilioMessage(
        twilio_sid=twilio_sid,
        status="received",
        direction="inbound",
        from_=from_,
        to=SENDER,
        body=body,
        date_created=at,
        num_media=num_media,
    )


class Receiving:
    """All of it, joined."""

    def __init__(self, db: DynamoDB) -> None:
        self.db = db
        self.clock = FrozenClock()
        self.bus, self.metrics = RecordingBus(), CountingMetrics()
        self.twilio, self.bucket = FakeTwilio(), FakeBucket()
        self.inbox = InboxStore(db, MESSAGES, CONTACTS, 400)
        self.contacts = ContactStore(db, CONTACTS)
        self.messages = MessageStore(db, MESSAGES, CONTACTS, Limits(HOUR, 3, 400))
        callbacks = CallbackStore(db, MESSAGES, 400)
        alerts, queue = RecordingAlerts(), RecordingQueue()
        templates: Any = None  # no code here speaks of a template
        self.outbox = Outbox(bus=self.bus, alerts=alerts, queue=queue, metrics=self.metrics)
        self.commit = Commit(
            messages=self.messages,
            contacts=self.contacts,
            templates=templates,
            outbox=self.outbox,
            clock=self.clock,
            metrics=self.metrics,
            rate_limit_ms=HOUR,
        )
        self.record_status = RecordStatus(
            messages=self.messages,
            contacts=self.contacts,
            callbacks=callbacks,
            clock=self.clock,
            metrics=self.metrics,
            commit=self.commit,
        )
        self.receive = ReceiveMessage(
            inbox=self.inbox,
            messages=self.messages,
            contacts=self.contacts,
            contact_ids=IDS,
            outbox=self.outbox,
            clock=self.clock,
            metrics=self.metrics,
            default_agent="scheduling",
        )
        self.publish_waiting = PublishWaiting(
            inbox=self.inbox,
            callbacks=callbacks,
            receive_message=self.receive,
            record_status=self.record_status,
            clock=self.clock,
        )
        self.store_media = StoreMedia(
            inbox=self.inbox,
            source=self.twilio,
            store=self.bucket,
            outbox=self.outbox,
            clock=self.clock,
            metrics=self.metrics,
        )
        self.reconcile = Reconcile(
            inbox=self.inbox,
            messages=self.messages,
            contacts=self.contacts,
            gateway=self.twilio,  # type: ignore[arg-type]  # nothing is posted here
            catalog=load_catalog(),
            contact_ids=IDS,
            sender=Address(SENDER),
            clock=self.clock,
            metrics=self.metrics,
            receive_message=self.receive,
            record_status=self.record_status,
        )
        self.conversations = ConversationStore(db, MESSAGES, lambda key: f"https://bucket/{key}?signed")
        self.manage = ManageContacts(contacts=self.contacts, conversations=self.conversations, contact_ids=IDS)
        self.erase = EraseContact(
            contacts=self.contacts,
            messages=self.messages,
            erasures=ErasureStore(db, MESSAGES, CONTACTS, 400),
            gateway=self.twilio,  # type: ignore[arg-type]  # as above
            media=self.bucket,
            clock=self.clock,
            commit=self.commit,
        )

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

    def contact(self, address: Address = ASHA) -> Contact:
        """The contact's row, through aliases."""
        return self.contacts.get(IDS.of(address)) or Contact(contact_id="nobody")

    def told(self, detail_type: str = "message.received") -> list[Any]:
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
