"""What the use cases need of the outside. `bootstrap` joins each port to its adapter; the simulation to its own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from whatsapp.domain.contact import Contact
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.events import Event
from whatsapp.domain.receiving.inbound import InboundMedium, InboundMessage
from whatsapp.domain.sending.lifecycle import Step
from whatsapp.domain.sending.message import Failure, Message
from whatsapp.domain.templates.plan import Approval, Content
from whatsapp.domain.templates.version import TemplateVersion


class Clock(Protocol):
    """Epoch milliseconds, held to within two seconds of DynamoDB's own clock."""

    def now(self) -> int: ...
    def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Deadline:
    """When this invocation ends (epoch ms). Nobody may POST after it: it is the lease of every claim made in it."""

    at: int


# --- the outcomes of one POST to Twilio ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accepted:
    """Twilio answered 2xx with a sid."""

    twilio_sid: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """Certainly not sent, and no code to judge by: the connection was never made."""

    detail: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Twilio answered 4xx: certainly not sent. `code` is Twilio's, or None where it gave none."""

    code: int | None
    http_status: int


@dataclass(frozen=True, slots=True)
class InDoubt:
    """Perhaps sent: timeout, reset, 5xx, an answer cut short. `detail` is for people."""

    detail: str


Outcome = Accepted | NotSent | Rejected | InDoubt


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingPost:
    """One message as it is handed to Twilio: free-form `body` and `media_url`, or `content_sid` with its variables."""

    to: str
    status_path: str = ""
    """`/twilio/status/{message_id}/{attempt}`: how a callback finds its record when Twilio's answer was lost."""
    rendered: str | None = None
    """What the patient reads of a template, for the log."""
    body: str | None = None
    media_url: str | None = None
    content_sid: str | None = None
    content_variables: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioMessage:
    """A message as Twilio's list shows it."""

    twilio_sid: str
    status: str
    direction: str
    from_: str
    to: str
    body: str
    date_created: int
    error_code: int | None = None
    num_media: int = 0


class TwilioUnavailable(Exception):
    """Twilio did not do or tell what it was asked, this time."""


class Gateway(Protocol):
    """Twilio's Messages API. All but `post` raise `TwilioUnavailable`."""

    def post(self, post: OutgoingPost) -> Outcome: ...
    def list_sent_to(self, to: str, since: int) -> Sequence[TwilioMessage]: ...
    def fetch(self, twilio_sid: str) -> TwilioMessage | None: ...
    def delete(self, twilio_sid: str) -> None: ...
    def list_received(self, since: int) -> Iterator[TwilioMessage]: ...
    def media_of(self, twilio_sid: str) -> Sequence[InboundMedium]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusUpdate:
    """A status callback: what Twilio says became of one attempt of a message."""

    message_id: str
    attempt: str
    twilio_sid: str
    status: str
    error_code: int | None = None


# --- templates at Twilio ---------------------------------------------------------------------------------------------


class ContentUnavailable(Exception):
    """No clear answer of Twilio's Content API: what was asked may be done, or not, or later."""


class ContentRefused(ContentUnavailable):
    """Twilio said no: certainly nothing was done."""


class ContentGateway(Protocol):
    """Twilio's Content API."""

    def contents(self) -> Sequence[Content]: ...
    def find(self, content_sid: str) -> Content | None: ...
    def create(self, content: dict[str, Any]) -> str: ...
    def submit(self, content_sid: str, name: str, category: str) -> Approval: ...
    def delete(self, content_sid: str) -> None: ...


# --- media -----------------------------------------------------------------------------------------------------------


class MediumRefusedError(Exception):
    """A medium that must not or cannot be stored; the text is the reason."""


class MediumUnavailableError(Exception):
    """Twilio did not hand the medium out this time."""


@dataclass(frozen=True, slots=True)
class FetchedMedium:
    """A medium's bytes, and what their beginning says they are."""

    content: bytes
    content_type: str


class MediaSource(Protocol):
    """Twilio's media."""

    def fetch(self, url: str) -> FetchedMedium: ...
    def delete(self, url: str) -> None: ...


class MediaStore(Protocol):
    """Our bucket."""

    def put(self, key: str, medium: FetchedMedium) -> None: ...
    def delete_all(self, contact_id: str) -> None: ...


# --- stores ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claimed:
    """The claim held: this worker's message, and the contact as it was just before."""

    message: Message


@dataclass(frozen=True, slots=True)
class ClaimLost:
    """The claim did not hold. `message`: the stored one, if another worker has it; else what stood in the way."""

    message: Message | None = None
    contact: Contact | None = None
    inbound_refused: bool = False
    """The inbound message is over 24 h old or has had all its replies."""
    reply_lane_busy: bool = False


class MessageStore(Protocol):
    """Outgoing messages and the contact's slot: every write is one conditional step of the lifecycle.

    A step returns the message as it is now, or None if it was not this caller's to take.
    """

    def get(self, message_id: str) -> Message | None: ...
    def put_new(self, message: Message) -> Message | None: ...
    def claim(self, message: Message, *, is_new: bool, now: int, lease: int) -> Claimed | ClaimLost: ...
    def fence(self, message: Message, *, now: int, text: str | None, content_sid: str | None) -> Message | None: ...
    def accept(self, message: Message, *, twilio_sid: str, at: int, now: int) -> Message | None: ...
    def refund(
        self,
        message: Message,
        step: Step,
        *,
        now: int,
        due_at: int | None,
        scheduled_for: int | None = None,
        error: Failure | None = None,
        attempts: int | None = None,
        throttled_since: int | None = None,
        outbox: frozenset[str] = frozenset(),
        successor: Message | None = None,
    ) -> Message | None: ...
    def step(
        self,
        message: Message,
        step: Step,
        *,
        now: int,
        due_at: int | None = None,
        error: Failure | None = None,
        scheduled_for: int | None = None,
        release_slot: bool = False,
        twilio_sid: str | None = None,
        outbox: frozenset[str] = frozenset(),
        successor: Message | None = None,
    ) -> Message | None: ...
    def request_stop(self, message: Message, reason: str) -> Message | None: ...
    def book(self, message: Message, due_at: int, shard: str = "send") -> Message | None: ...
    def announced(
        self, message: Message, *, due_at: int | None, shard: str = "send", untold: frozenset[str] = frozenset()
    ) -> Message | None: ...
    def due(self, shard: str, until: int, limit: int = 100) -> Sequence[Message]: ...
    def of_contact(self, contact_id: str, since: int, until: int) -> Sequence[Message]: ...
    def message_ids_for_sid(self, twilio_sid: str) -> Sequence[str]: ...


class ContactStore(Protocol):
    """Contacts and what is known about them. A second address of one person leads to the one row."""

    def get(self, contact_id: str) -> Contact | None: ...
    def suppress(self, contact_id: str, code: int, now: int) -> None: ...
    def update(self, contact_id: str, values: dict[str, Any]) -> None: ...
    def tie(self, second_id: str, contact_id: str) -> None: ...


class LeaseLost(Exception):
    """Another sync has the version now: leave it alone."""


class TemplateStore(Protocol):
    """The catalog's copies at Twilio. What a sync writes, it writes under its lease of the version."""

    def versions(self, template: str) -> Sequence[TemplateVersion]: ...
    def report(self, template: str, content_sid: str, status: str, at: int) -> None: ...
    def put_new(self, version: TemplateVersion) -> bool: ...
    def lease(self, version: TemplateVersion, *, listed_at: int, until: int) -> TemplateVersion: ...
    def note(
        self, version: TemplateVersion, *, news: frozenset[str] = frozenset(), **values: Any
    ) -> TemplateVersion: ...
    def release(self, version: TemplateVersion, *, told: frozenset[str], checked_at: int | None) -> TemplateVersion: ...


class CallbackStore(Protocol):
    """Every status callback as its own entry, marked until it is done with."""

    def put(self, update: StatusUpdate, now: int) -> bool: ...
    def done(self, update: StatusUpdate) -> None: ...
    def unfinished(self, shard: str, until: int) -> Iterator[StatusUpdate]: ...


class ContactMovedError(Exception):
    """The contact's row changed since it was read, or became an alias of another: read it again."""


class ErasedError(Exception):
    """The person was erased after they wrote this: it must not come back."""


class InboxStore(Protocol):
    """Inbound messages, each with an outbox marker until it is on the bus."""

    def get(self, message_id: str) -> InboundMessage | None: ...
    def missing(self, message_ids: Sequence[str]) -> set[str]: ...
    def put(self, inbound: InboundMessage, contact: Contact) -> InboundMessage | None: ...
    def published(self, inbound: InboundMessage, now: int) -> None: ...
    def note_media(self, inbound: InboundMessage, media: Sequence[InboundMedium], due_at: int | None) -> bool: ...
    def due(self, shard: str, until: int) -> Iterator[InboundMessage]: ...
    def book(self, inbound: InboundMessage, due_at: int) -> bool: ...
    def reconciled_until(self) -> int | None: ...
    def note_reconciled(self, until: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureJob:
    """A person who is being erased: how many passes are done, and when the next is due (epoch ms)."""

    contact_id: str
    erased_at: int
    passes: int
    due_at: int | None


class ErasureStore(Protocol):
    """Erasures, and what they strip."""

    def begin(self, job: ErasureJob) -> None: ...
    def due(self, shard: str, until: int) -> Sequence[ErasureJob]: ...
    def book(self, job: ErasureJob, booked: ErasureJob) -> bool: ...
    def note(self, job: ErasureJob) -> None: ...
    def unfinished(self, contact_id: str, until: int) -> Iterator[str]: ...
    def strip(self, message_id: str, *, is_gone_at_twilio: bool) -> None: ...


class ConversationStore(Protocol):
    """A contact's messages in order of time."""

    def page(
        self, contact_ids: Sequence[str], limit: int, before: str | None
    ) -> tuple[list[dict[str, Any]], str | None]: ...


# --- the rest of the outside -----------------------------------------------------------------------------------------


class PublishFailed(Exception):
    """The bus, the queue or the topic did not take it. What was to be told still stands in the record."""


class Queue(Protocol):
    """The send queue. A queue message is only a nudge: the record is the truth."""

    def nudge(self, message_id: str, delay_seconds: int = 0) -> None: ...
    def dead_letter(self, message: Message) -> None: ...
    def dead_letter_poison(self, body: str, error: MessagingError) -> None: ...
    def put_back(self, receipt_handle: str, delay_seconds: int) -> None: ...


class EventBus(Protocol):
    """Where the orchestrator listens."""

    def publish(self, events: Sequence[Event]) -> None: ...


class Alerts(Protocol):
    """The person who is paged at night."""

    def about(self, message: Message) -> None: ...
    def about_template(self, version: TemplateVersion, news: str, serving: TemplateVersion | None) -> None: ...
    def poison(self, queue_message_id: str, error: MessagingError) -> None: ...


class Metrics(Protocol):
    """Counts, by the names in `observability`."""

    def count(self, name: str, value: int = 1) -> None: ...
