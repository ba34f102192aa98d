"""The product as unit tests join it: its own `App` and stores over moto's tables, with an outside that remembers."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from whatsapp.adapters.dynamodb.client import Item, Put
from whatsapp.adapters.dynamodb.items import message_item
from whatsapp.bootstrap import App
from whatsapp.domain.address import Address
from whatsapp.domain.contact import Contact, ContactIds
from whatsapp.domain.ports import (
    Accepted,
    Deadline,
    InDoubt,
    Outcome,
    OutgoingPost,
    StatusUpdate,
    TwilioMessage,
    TwilioUnavailable,
)
from whatsapp.domain.receiving.inbound import InboundForm, InboundMedium
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, MessageIds
from whatsapp.domain.sending.request import SendAnswer, SendRequest, parse
from whatsapp.domain.templates.version import APPROVED, TemplateVersion
from whatsapp.settings import Settings

from tests.fakes import CountingMetrics, FrozenClock, RecordingAlerts, RecordingBus, RecordingQueue

MESSAGE_IDS = MessageIds("key")
message_id_of = MESSAGE_IDS.of
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
    stack_name="whatsapp",
    sender_address=SENDER,
    public_url="https://api.example",
)


class WorkerDied(Exception):
    """The Lambda sandbox ended here: nothing after this line ran."""


def die() -> NoReturn:
    """End the worker at this point."""
    raise WorkerDied


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
    on_post: Callable[[], object] = lambda: None

    def prepare(self, post: OutgoingPost) -> Callable[[], Outcome]:
        return lambda: self._post(post)

    def _post(self, post: OutgoingPost) -> Outcome:
        self.on_post()
        self.posts.append(post)
        if not self.outcomes:
            return Accepted(f"SM{len(self.posts):032x}")
        outcome = self.outcomes.pop(0)
        return outcome() if callable(outcome) else outcome

    def is_answering(self) -> bool:
        return not self.down

    def list_sent_to(self, to: str, since: int) -> Sequence[TwilioMessage]:
        self._answer()
        return [one for one in self.messages if one.to == to and one.date_created >= since]

    def list_sent(self, since: int) -> Iterator[TwilioMessage]:
        self._answer()
        yield from (o for o in self.messages if o.direction != "inbound" and o.date_created >= since)

    def list_received(self, since: int, until: int | None = None) -> Iterator[TwilioMessage]:
        self._answer()
        inbound = (one for one in self.messages if one.direction == "inbound")
        yield from (one for one in inbound if since <= one.date_created <= (until or one.date_created))

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
    run_all: Any = map
    contact_ids: ContactIds = field(default_factory=lambda: ContactIds("key"))
    message_ids: MessageIds = MESSAGE_IDS

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

    def send(self, key: str = "m", **request: Any) -> SendAnswer:
        """A caller's request under this idempotency key."""
        return self.send_message(a_request(**request), key, self.deadline)

    def left_at(self, status: Status, key: str = "m", **request: Any) -> Message:
        """A message whose worker died before the fence (`claimed`) or in the POST (`sending`), or got no answer."""
        if status is Status.CLAIMED:
            with suppress(WorkerDied), self.before_call("UpdateItem", die):
                self.send(key, **request)
        else:
            self.gateway.outcomes = [die if status is Status.SENDING else InDoubt("no answer")]
            with suppress(WorkerDied):
                self.send(key, **request)
        message = self.record(key)
        assert message.status is status
        return message

    def store(self, key: str = "m", **fields: Any) -> Message:
        """A message of the patient's with these fields, stored as it is: no condition, no slot."""
        now = self.clock.now()
        values = {
            "message_id": message_id_of(key),
            "contact_id": self.contact_ids.of(Address(PATIENT)),
            "to": PATIENT,
            "request_hash": "hash",
            "created_at": now,
            "status_at": now,
            "status": Status.PENDING,
        }
        message = Message(**{**values, **fields})
        self.db.write(Put(table=self.settings.messages_table, item=message_item(message, 0)))
        return message

    def patient_writes(self, text: str = "hello", number: int = 1) -> str:
        """An inbound message; returns its id."""
        inbound_id = f"SM{number:032x}"
        self.receive_message(InboundForm(twilio_sid=inbound_id, from_=Address(PATIENT), to=SENDER, text=text))
        return inbound_id

    def callback(self, message: Message, status: str, **fields: Any) -> None:
        """Twilio reports a status of the message's present attempt."""
        values = {"twilio_sid": message.twilio_sid or f"SM{9:032x}", "attempt": message.attempt or "", **fields}
        self.record_status(StatusUpdate(message_id=message.message_id, status=status, **values))

    def backup(self, *tables: str) -> dict[str, list[Any]]:
        """The rows of these tables as they are now; of messages and contacts without any."""
        names = tables or (self.settings.messages_table, self.settings.contacts_table)
        return {name: self.dynamodb.scan(TableName=name)["Items"] for name in names}

    def restored(self, backup: dict[str, list[Any]]) -> "UnitApp":
        """The product on copies of the tables, with the rows of the backup, under other names."""
        for table, rows in backup.items():
            described = self.dynamodb.describe_table(TableName=table)["Table"]
            indexes = [
                {part: index[part] for part in ("IndexName", "KeySchema", "Projection")}
                for index in described.get("GlobalSecondaryIndexes", [])
            ]
            with suppress(self.dynamodb.exceptions.ResourceNotFoundException):
                self.dynamodb.delete_table(TableName=f"{table}Copy")
            self.dynamodb.create_table(
                TableName=f"{table}Copy",
                BillingMode="PAY_PER_REQUEST",
                **{part: described[part] for part in ("AttributeDefinitions", "KeySchema")},
                **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
            )
            for row in rows:
                self.dynamodb.put_item(TableName=f"{table}Copy", Item=row)
        fields = {"MessagesTable": "messages_table", "ContactsTable": "contacts_table"}
        names: dict[str, Any] = {fields[table]: f"{table}Copy" for table in backup}
        return replace(self, settings=replace(self.settings, **names))

    @contextmanager
    def before_call(self, operation: str, act: Callable[[], object], *, nth: int = 1) -> Iterator[None]:
        """Just before the nth call of a DynamoDB operation another worker acts, or this one dies."""
        seen = 0

        def hook(**_: Any) -> None:
            nonlocal seen
            seen += 1
            if seen == nth:
                act()

        with self._listening(f"provide-client-params.dynamodb.{operation}", hook):
            yield
        assert seen >= nth, f"{operation} was called {seen} times"

    @contextmanager
    def calls(self) -> Iterator[list[str]]:
        """What is called meanwhile, in order: DynamoDB's operations, with the table of each read, and POSTs."""
        made: list[str] = []

        def hook(params: Any, model: Any, **_: Any) -> None:
            table = params.get("TableName", "").removesuffix("Table").lower()
            made.append(f"{model.name} {table}".strip())

        self.gateway.on_post = lambda: made.append("POST")
        with self._listening("provide-client-params.dynamodb", hook):
            yield made

    @contextmanager
    def _listening(self, event: str, hook: Callable[..., None]) -> Iterator[None]:
        self.dynamodb.meta.events.register(event, hook)
        try:
            yield
        finally:
            self.dynamodb.meta.events.unregister(event, hook)

    def record(self, idempotency_key: str = "m") -> Message:
        """The outgoing message of that key, as it is stored."""
        message = self.messages.get(message_id_of(idempotency_key))
        assert message, f"nothing is stored under {idempotency_key!r}"
        return message

    def contact(self, address: str = PATIENT) -> Contact:
        """The contact's row, through aliases; an empty one if there is none."""
        contact_id = self.contact_ids.of(Address(address))
        return self.contacts.get(contact_id) or Contact(contact_id=contact_id)

    def contact_row(self, address: str = PATIENT) -> Item:
        """The contact's attributes as they are stored, without `write_id`."""
        key = {"contact_id": self.contact_ids.of(Address(address))}
        row = self.db.get(self.settings.contacts_table, key) or {}
        return {name: value for name, value in row.items() if name != "write_id"}


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
