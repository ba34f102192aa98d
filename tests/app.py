"""The product as unit tests join it: its own `App` and stores over moto's tables, with an outside that remembers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from whatsapp.bootstrap import App
from whatsapp.domain.address import Address
from whatsapp.domain.contact import Contact, ContactIds
from whatsapp.domain.ports import Accepted, Deadline, Outcome, OutgoingPost, TwilioMessage, TwilioUnavailable
from whatsapp.domain.receiving.inbound import InboundMedium
from whatsapp.domain.sending.message import Message, message_id_of
from whatsapp.domain.sending.request import SendRequest, parse
from whatsapp.domain.templates.version import APPROVED, TemplateVersion
from whatsapp.settings import Settings

from tests.fakes import CountingMetrics, FrozenClock, RecordingAlerts, RecordingBus, RecordingQueue

SENDER = "+14155550100"
PATIENT = "+919812345678"
SETTINGS = Settings(
    messages_table="MessagesTable",
    contacts_table="ContactsTable",
    templates_table="TemplatesTable",
    media_bucket="bucket",
    bus_name="bus",
    alert_topic_arn="topic",
    send_queue_url="queue",
    send_dead_letter_queue_url="dead-letters",
    twilio_secret="secret",
    contact_key_secret="key",
    api_url_parameter="parameter",
    sender_address=SENDER,
    public_url="https://api.example",
)


@dataclass
class ScriptedTwilio:
    """The `Gateway` port: gives the outcomes it was given, in order, then accepts. Remembers every POST."""

    outcomes: list[Outcome | Callable[[], Outcome]] = field(default_factory=list)
    """A function runs while the POST is on its way: time may pass in it, or a callback arrive."""
    posts: list[OutgoingPost] = field(default_factory=list)
    messages: list[TwilioMessage] = field(default_factory=list)
    """What its lists show, newest first; what `fetch` finds."""
    media: dict[str, Sequence[InboundMedium]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    down: bool = False
    """Answers no question."""

    def post(self, post: OutgoingPost) -> Outcome:
        self.posts.append(post)
        if not self.outcomes:
            return Accepted(f"SM{len(self.posts):032x}")
        outcome = self.outcomes.pop(0)
        return outcome() if callable(outcome) else outcome

    def list_sent_to(self, to: str, since: int) -> Sequence[TwilioMessage]:
        self._answer()
        return [one for one in self.messages if one.to == to and one.date_created >= since]

    def list_received(self, since: int) -> Iterator[TwilioMessage]:
        self._answer()
        yield from (one for one in self.messages if one.direction == "inbound" and one.date_created >= since)

    def fetch(self, twilio_sid: str) -> TwilioMessage | None:
        self._answer()
        return next((one for one in self.messages if one.twilio_sid == twilio_sid), None)

    def media_of(self, twilio_sid: str) -> Sequence[InboundMedium]:
        self._answer()
        return self.media.get(twilio_sid, ())

    def delete(self, twilio_sid: str) -> None:
        self._answer()
        self.deleted.append(twilio_sid)

    def _answer(self) -> None:
        if self.down:
            raise TwilioUnavailable("down")


@dataclass(frozen=True)
class UnitApp(App):
    """The product on moto's tables. `dynamodb` is their client."""

    dynamodb: Any
    clock: Any = field(default_factory=FrozenClock)
    bus: Any = field(default_factory=RecordingBus)
    alerts: Any = field(default_factory=RecordingAlerts)
    queue: Any = field(default_factory=RecordingQueue)
    metrics: Any = field(default_factory=CountingMetrics)
    gateway: Any = field(default_factory=ScriptedTwilio)
    contact_ids: ContactIds = field(default_factory=lambda: ContactIds("key"))

    def client(self, service: str) -> Any:
        """Moto's DynamoDB; a unit test reaches no other service."""
        assert service == "dynamodb", service
        return self.dynamodb

    @property
    def deadline(self) -> Deadline:
        """Of an invocation that begins now."""
        return Deadline(self.clock.now() + 30_000)

    def approve(self, language: str = "en") -> None:
        """WhatsApp approves the catalog's present wording in one language."""
        for number, template in enumerate(self.catalog):
            if wording := template.languages.get(language):
                version = TemplateVersion(
                    template=template.name,
                    version=template.version(language),
                    language=language,
                    status=APPROVED,
                    created_at=self.clock.now(),
                    content_sid=f"HX{language.encode().hex()}{number:028x}",
                    body=wording.body,
                    quick_replies=wording.quick_replies,
                )
                self.templates.put_new(version)

    def record(self, idempotency_key: str) -> Message:
        """The outgoing message of that key, as it is stored."""
        message = self.messages.get(message_id_of(idempotency_key))
        assert message, f"nothing is stored under {idempotency_key!r}"
        return message

    def contact(self, address: str = PATIENT) -> Contact:
        """The contact's row, through aliases; an empty one if there is none."""
        contact_id = self.contact_ids.of(Address(address))
        return self.contacts.get(contact_id) or Contact(contact_id=contact_id)


def a_request(**values: Any) -> SendRequest:
    """A request to send an appointment confirmation; `text=…` makes it free-form. None leaves a field out."""
    template = {
        "template": "appointment_confirmation",
        "variables": {
            "patient_name": "Asha",
            "therapist_name": "Dr. Rao",
            "appointment_date": "2026-11-26",
            "appointment_time": "17:30",
        },
    }
    body = {"to": PATIENT, **({} if "text" in values else template), **values}
    return parse(SendRequest, {name: value for name, value in body.items() if value is not None})
