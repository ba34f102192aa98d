"""The product in one Lambda sandbox: its own parts, joined by its own `bootstrap`, with the world for its outside."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from whatsapp.adapters.dynamodb.clock import DynamoClock
from whatsapp.adapters.dynamodb.template_store import TemplateStore
from whatsapp.adapters.twilio.credentials import TwilioSecret
from whatsapp.bootstrap import App
from whatsapp.domain.contact import ContactIds
from whatsapp.domain.sending.message import MessageIds
from whatsapp.domain.templates.catalog import load_catalog
from whatsapp.domain.templates.version import TemplateVersion
from whatsapp.settings import Settings

from tests.simulation import aws
from tests.simulation.script import MESSAGE_IDS
from tests.simulation.twilio import SENDER, Contents, Gateway

if TYPE_CHECKING:
    from tests.simulation.lambdas import Lambdas


@dataclass(frozen=True)
class SimulatedApp(App):
    """The product in one sandbox, with the world for its outside."""

    world: "Lambdas"
    hearing: dict[str, Callable[..., None]] = field(default_factory=dict)
    """What listens to botocore's events in this sandbox."""
    run_all: Any = map
    """One after the other: the simulation's workers are greenlets, not threads."""

    def client(self, service: str) -> Any:
        """The world's AWS."""
        world = self.world
        clients = {"sqs": world.sqs, "events": world.bus, "sns": world.sns, "secretsmanager": world.secrets}
        return world.dynamodb if service == "dynamodb" else clients[service]

    @cached_property
    def clock(self) -> DynamoClock:
        """The real one, which listens to DynamoDB's `Date` through this sandbox's own ears."""
        events = SimpleNamespace(register=self.hearing.__setitem__)
        return DynamoClock(SimpleNamespace(meta=SimpleNamespace(events=events)))  # type: ignore[arg-type]  # all that it asks of a client

    @cached_property
    def contact_ids(self) -> ContactIds:
        """Pseudonyms."""
        return ContactIds("simulated")

    @cached_property
    def message_ids(self) -> MessageIds:
        """The ids of messages."""
        return MESSAGE_IDS

    @cached_property
    def metrics(self) -> Any:
        """Counted by the world."""
        return SimpleNamespace(
            count=lambda name, value=1: self.world.counted.update({name: value}),
            count_at=lambda _at, values, **_: self.world.counted.update(values),
        )

    @cached_property
    def twilio_secret(self) -> TwilioSecret:
        """The real one, in virtual time."""
        return TwilioSecret(self._secrets_client, self.settings.twilio_secret, lambda: self.world.hub.now / 1000)

    @cached_property
    def gateway(self) -> Any:
        """The world's Twilio."""
        return Gateway(self.world.twilio, self.twilio_secret)

    @property
    def content(self) -> Any:
        """The contents of the world's Twilio."""
        return Contents(self.world.twilio)

    @property
    def media_store(self) -> Any:
        """The world's bucket."""
        return self.world.bucket


@dataclass(eq=False)
class Sandbox:
    """One Lambda sandbox: it keeps its parts and its wrong clock from one invocation to the next."""

    app: SimulatedApp
    skew: int
    busy: bool = False


def settings(quiet_hours: str, replies_per_inbound: int, *, send_to_ids: bool = True) -> Settings:
    """A deployment."""
    return Settings(
        messages_table="messages",
        contacts_table="contacts",
        templates_table="templates",
        media_bucket="media",
        bus_name="bus",
        alert_topic_arn="topic",
        send_queue_url=aws.SEND_QUEUE,
        send_dead_letter_queue_url=aws.DEAD_LETTERS,
        twilio_secret="unused",
        contact_key_secret="unused",
        api_url_parameter="unused",
        stack_name="unused",
        sender_address=SENDER,
        quiet_hours=quiet_hours,
        replies_per_inbound=replies_per_inbound,
        send_to_business_scoped_ids=int(send_to_ids),
    )


class Bucket:
    """The `MediaStore` port of a world without media."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def delete_all(self, contact_id: str) -> None:
        """Nothing of theirs is in it."""
        self._call("delete_objects", lambda: None, slow=500, lost=no_bucket, refused=no_bucket)

    def url(self, key: str) -> str:
        """A link to nothing."""
        return f"https://bucket.simulated/{key}"


def no_bucket() -> Any:
    raise ClientError({"Error": {"Code": "SlowDown", "Message": "simulated"}}, "simulated")


def approve_templates(store: TemplateStore, content_sid: Callable[[], str], now: int) -> None:
    """WhatsApp has approved the catalog, in English."""
    for template in load_catalog():
        version = TemplateVersion(
            template=template.name,
            version=template.version("en"),
            language="en",
            status="approved",
            created_at=now,
            content_sid=content_sid(),
            body=template.languages["en"].body,
            quick_replies=template.languages["en"].quick_replies,
        )
        store.put_new(version)
