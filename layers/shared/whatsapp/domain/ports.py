"""The ports of the use cases. `bootstrap` joins each one to its adapter; the simulation to its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass

if TYPE_CHECKING:  # what each function needs of these, it loads itself
    from whatsapp.domain.errors import MessagingError
    from whatsapp.domain.events import Event
    from whatsapp.domain.incident import Incident
    from whatsapp.domain.receiving.inbound import InboundMedium
    from whatsapp.domain.sending.choices import ChoicesLayout
    from whatsapp.domain.sending.message import Message
    from whatsapp.domain.templates.plan import Approval, Content
    from whatsapp.domain.templates.version import TemplateVersion


class Clock(Protocol):
    """Epoch milliseconds, held to within two seconds of DynamoDB's own clock."""

    def now(self) -> int: ...
    def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Deadline:
    """When this invocation ends (epoch ms). No POST starts after it: it is the lease of every claim made in it."""

    at: int


# --- the outcomes of one POST to Twilio ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accepted:
    """Twilio answered 2xx with a sid."""

    twilio_sid: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """Certainly not sent, and no code to judge by: the connection was never made, or there are no credentials."""

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
    choices: "ChoicesLayout | None" = None
    """What `content_sid` and its variables have to be made of, before it can be posted."""


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
    """Twilio did not answer a request, or did not do what it asked for. It may be tried again."""


class Gateway(Protocol):
    """Twilio's Messages API. All but `prepare` and `is_answering` raise `TwilioUnavailable`."""

    def prepare(self, post: OutgoingPost) -> Callable[[], Outcome]: ...
    def is_answering(self) -> bool: ...
    def list_sent_to(self, to: str, since: int) -> Sequence[TwilioMessage]: ...
    def list_sent(self, since: int) -> Iterator[TwilioMessage]: ...
    def fetch(self, twilio_sid: str) -> TwilioMessage | None: ...
    def delete(self, twilio_sid: str) -> None: ...
    def list_received(self, since: int, until: int | None = None) -> Iterator[TwilioMessage]: ...
    def media_of(self, twilio_sid: str) -> "Sequence[InboundMedium]": ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusUpdate:
    """The status of one attempt of a message, from a callback or from Twilio's list."""

    message_id: str
    attempt: str
    twilio_sid: str
    status: str
    error_code: int | None = None


# --- templates at Twilio ---------------------------------------------------------------------------------------------


class ContentUnavailable(Exception):
    """No clear answer of Twilio's Content API: what was asked may be done, or not, or later."""


class NoCredentials(ContentUnavailable):
    """Twilio was not asked: its secret is not filled in, or cannot be read."""


class ContentRefused(ContentUnavailable):
    """Twilio said no: certainly nothing was done."""


class ContentGateway(Protocol):
    """Twilio's Content API."""

    def contents(self) -> "Sequence[Content]": ...
    def find(self, content_sid: str) -> "Content | None": ...
    def create(self, content: dict[str, Any]) -> str: ...
    def named(self, friendly_name: str) -> str | None: ...
    def submit(self, content_sid: str, name: str, category: str) -> "Approval": ...
    def delete(self, content_sid: str) -> None: ...


# --- media -----------------------------------------------------------------------------------------------------------


class MediumRefusedError(Exception):
    """A medium that must not or cannot be stored; the text is the reason."""


class MediumUnavailableError(Exception):
    """Twilio did not hand the medium out this time."""


class MediumHostUnknownError(MediumUnavailableError):
    """Twilio names a host that we do not know; the text says which."""


class MediaSource(Protocol):
    """Twilio's media."""

    def fetch(self, url: str) -> bytes: ...
    def delete(self, url: str) -> None: ...


class MediaStore(Protocol):
    """Our bucket."""

    def put(self, key: str, content: bytes, content_type: str) -> None: ...
    def delete_all(self, contact_id: str) -> None: ...


# --- the rest of the outside -----------------------------------------------------------------------------------------


class PublishFailed(Exception):
    """The bus, the queue or the topic did not take it. The outbox entry stays in the record."""


ASKED_AT = "asked_at"
"""The attribute of a queue message that was put on a queue anew: when it first was (epoch ms)."""
CALLERS_ASKED_AT = "callers_asked_at"
"""The attribute by which a caller says when it asked (epoch ms), by a clock of its own."""


def asked_at(attributes: Mapping[str, str], sent_at: int) -> int:
    """When a queue message was asked for (epoch ms).

    SQS's own redrive makes a new message of a dead letter: its SentTimestamp is that of the redrive, its attributes are
    kept (Amazon SQS Developer Guide, "dead-letter queue redrive"). So the caller's time counts where it is clearly
    earlier; close to SentTimestamp, its clock may be off.

    Args:
        attributes: The message's attributes: `ASKED_AT` of one that our redrive renewed, `CALLERS_ASKED_AT`.
        sent_at: Its SentTimestamp.
    """
    if first := _moment(attributes.get(ASKED_AT)):
        return first
    callers = _moment(attributes.get(CALLERS_ASKED_AT))
    return callers if callers and callers < sent_at - periods.CALLERS_CLOCK_ERROR else sent_at


def _moment(attribute: str | None) -> int | None:
    return int(attribute) if attribute and attribute.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of the dead-letter queue."""

    body: str
    receipt_handle: str
    asked_at: int
    """When it was first put on a queue (epoch ms): SQS keeps that time when it moves a message."""


class Queue(Protocol):
    """The send queue. A queue message is only a nudge: the record is the truth."""

    def nudge(self, message_id: str, delay_seconds: int = 0) -> None: ...
    def nudge_many(self, nudges: Sequence[tuple[str, int]]) -> None: ...
    def backlog(self) -> int: ...
    def enqueue(self, request: Mapping[str, Any], asked_at: int) -> None: ...
    def dead_letter(self, message: "Message") -> None: ...
    def dead_letter_unreadable(
        self, body: str, queue_message_id: str, error: "MessagingError", asked_at: int | None = None
    ) -> None: ...
    def put_back(self, receipt_handle: str, delay_seconds: int) -> None: ...
    def dead_letters(self) -> Iterator[Letter]: ...
    def delete_dead_letter(self, receipt_handle: str) -> None: ...


class EventBus(Protocol):
    """Where the orchestrator listens."""

    def publish(self, events: "Sequence[Event]") -> None: ...


class Alerts(Protocol):
    """The person who is paged at night."""

    def about(self, message: "Message") -> None: ...
    def about_template(self, version: "TemplateVersion", change: str, serving: "TemplateVersion | None") -> None: ...
    def unreadable(self, queue_message_id: str, error: "MessagingError") -> None: ...
    def about_incident(self, incident: "Incident") -> None: ...


class Metrics(Protocol):
    """Counts, by the names in `observability`: now, or for the whole stack at the time (epoch ms) that it is about."""

    def count(self, name: str, value: int = 1) -> None: ...
    def count_at(self, at: int, values: Mapping[str, float], **dimensions: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A metric of the whole stack, as CloudWatch keeps it."""

    name: str
    stat: str = "Sum"
    function: str = ""
    """`send` or `webhook` where it is one function's."""
    dimensions: tuple[tuple[str, str], ...] = ()


class MetricsSource(Protocol):
    """What was counted: of each series, the values of its periods in that span (epoch ms), as far as there are any."""

    def read(self, asked: "Sequence[Series]", since: int, until: int, period_s: int) -> Sequence[Sequence[float]]: ...
