"""The one place where adapters meet ports. Parts are made once per sandbox; imports are paid where used."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from whatsapp.adapters.aws.alerts import SnsAlerts
from whatsapp.adapters.aws.event_bus import EventBridgeBus
from whatsapp.adapters.aws.queue import SendQueue
from whatsapp.adapters.dynamodb.callback_store import CallbackStore
from whatsapp.adapters.dynamodb.client import DynamoDB
from whatsapp.adapters.dynamodb.clock import DynamoClock
from whatsapp.adapters.dynamodb.contact_store import ContactStore
from whatsapp.adapters.dynamodb.inbox_store import InboxStore
from whatsapp.adapters.dynamodb.message_store import Limits, MessageStore
from whatsapp.adapters.dynamodb.template_store import TemplateStore
from whatsapp.adapters.twilio.credentials import TwilioSecret
from whatsapp.domain.address import Address
from whatsapp.domain.contact import ContactIds
from whatsapp.domain.templates.catalog import Catalog, load_catalog
from whatsapp.observability import PowertoolsMetrics
from whatsapp.settings import Settings
from whatsapp.use_cases.commit import Commit
from whatsapp.use_cases.outbox import Outbox
from whatsapp.use_cases.publish_waiting import PublishWaiting
from whatsapp.use_cases.receive_message import ReceiveMessage
from whatsapp.use_cases.record_status import RecordStatus

if TYPE_CHECKING:
    from whatsapp.adapters.aws.media_store import S3MediaStore
    from whatsapp.adapters.twilio.gateway import TwilioGateway
    from whatsapp.adapters.twilio.media import TwilioMedia
    from whatsapp.adapters.twilio.webhook import TwilioDoor
    from whatsapp.use_cases.cancel_message import CancelMessage
    from whatsapp.use_cases.erase_contact import EraseContact
    from whatsapp.use_cases.manage_contacts import ManageContacts
    from whatsapp.use_cases.reconcile import Reconcile
    from whatsapp.use_cases.send_message import SendMessage
    from whatsapp.use_cases.store_media import StoreMedia
    from whatsapp.use_cases.sweep_due import SweepDue
    from whatsapp.use_cases.sync_templates import SyncTemplates
    from whatsapp.use_cases.work_queue_message import WorkQueueMessage

# Else a link to a medium names S3's global host, which redirects for a bucket's first day: the signature breaks there.
_S3 = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
_PATIENCE = Config(connect_timeout=3, read_timeout=8, retries={"mode": "standard", "total_max_attempts": 3})
"""botocore's own 60 s outlast the function: one call that hangs would take nine other messages along."""


@dataclass(frozen=True)
class App:
    """The product, joined together. Every part is made when it is first asked for, and then kept."""

    settings: Settings

    # --- the outside -----------------------------------------------------------------------------------------------

    def client(self, service: str) -> Any:
        """A client of an AWS service."""
        return boto3.client(service, config=_PATIENCE.merge(_S3) if service == "s3" else _PATIENCE)  # type: ignore[call-overload]  # the stubs know each service by its literal name

    def _client_later(self, service: str) -> Callable[[], Any]:
        return lru_cache(maxsize=1)(lambda: self.client(service))

    @cached_property
    def _dynamodb_client(self) -> Any:
        return self.client("dynamodb")

    @cached_property
    def _secrets_client(self) -> Any:
        return self.client("secretsmanager")

    @cached_property
    def clock(self) -> DynamoClock:
        """Held to DynamoDB's own."""
        return DynamoClock(self._dynamodb_client)

    @cached_property
    def db(self) -> DynamoDB:
        """DynamoDB."""
        return DynamoDB(self._dynamodb_client, self.clock.sleep)

    @cached_property
    def metrics(self) -> PowertoolsMetrics:
        """Counts."""
        return PowertoolsMetrics()

    @cached_property
    def twilio_secret(self) -> TwilioSecret:
        """Twilio's credentials."""
        return TwilioSecret(self._secrets_client, self.settings.twilio_secret)

    @cached_property
    def contact_ids(self) -> ContactIds:
        """The maker of pseudonyms."""
        secret = self._secrets_client.get_secret_value(SecretId=self.settings.contact_key_secret)
        return ContactIds(secret["SecretString"])

    @cached_property
    def sender(self) -> Address:
        return Address.parse(self.settings.sender_address)

    @cached_property
    def api_url(self) -> str:
        """The API's own base URL."""
        parameter = self.client("ssm").get_parameter(Name=self.settings.api_url_parameter)
        return str(parameter["Parameter"]["Value"])

    @cached_property
    def catalog(self) -> Catalog:
        """The templates."""
        return load_catalog()

    @cached_property
    def messages(self) -> MessageStore:
        """Outgoing messages."""
        s = self.settings
        limits = Limits(s.rate_limit_seconds * 1000, s.replies_per_inbound, s.retention_days)
        return MessageStore(self.db, s.messages_table, s.contacts_table, limits)

    @cached_property
    def contacts(self) -> ContactStore:
        """Contacts."""
        return ContactStore(self.db, self.settings.contacts_table)

    @cached_property
    def templates(self) -> TemplateStore:
        """The templates' copies at Twilio."""
        return TemplateStore(self.db, self.settings.templates_table)

    @cached_property
    def inbox(self) -> InboxStore:
        """Inbound messages."""
        s = self.settings
        return InboxStore(self.db, s.messages_table, s.contacts_table, s.retention_days)

    @cached_property
    def callbacks(self) -> CallbackStore:
        """Status callbacks."""
        return CallbackStore(self.db, self.settings.messages_table, self.settings.retention_days)

    @cached_property
    def bus(self) -> EventBridgeBus:
        """The orchestrator's bus."""
        return EventBridgeBus(self.client("events"), self.settings.bus_name)

    @cached_property
    def queue(self) -> SendQueue:
        """The send queue. Its client is made at its first use: the webhook seldom needs it."""
        return SendQueue(
            self._client_later("sqs"), self.settings.send_queue_url, self.settings.send_dead_letter_queue_url
        )

    @cached_property
    def alerts(self) -> SnsAlerts:
        """Whoever is paged."""
        return SnsAlerts(self._client_later("sns"), self.settings.alert_topic_arn)

    @cached_property
    def gateway(self) -> "TwilioGateway":
        """Twilio's Messages API."""
        from whatsapp.adapters.twilio.gateway import TwilioGateway
        from whatsapp.adapters.twilio.http import client

        base_url = self.settings.twilio_base_url
        return TwilioGateway(
            lambda: client(self.twilio_secret.get(), base_url),
            self.sender,
            self.settings.public_url or self.api_url,
        )

    @cached_property
    def outbox(self) -> Outbox:
        """Everything that is told to others."""
        return Outbox(bus=self.bus, alerts=self.alerts, queue=self.queue, metrics=self.metrics)

    # --- what we do ------------------------------------------------------------------------------------------------

    @cached_property
    def commit(self) -> Commit:
        return Commit(
            messages=self.messages,
            contacts=self.contacts,
            templates=self.templates,
            outbox=self.outbox,
            clock=self.clock,
            metrics=self.metrics,
            rate_limit_ms=self.settings.rate_limit_seconds * 1000,
        )

    @cached_property
    def record_status(self) -> RecordStatus:
        """Status callbacks."""
        return RecordStatus(
            messages=self.messages,
            contacts=self.contacts,
            callbacks=self.callbacks,
            clock=self.clock,
            metrics=self.metrics,
            commit=self.commit,
        )

    @cached_property
    def receive_message(self) -> ReceiveMessage:
        """Inbound messages."""
        return ReceiveMessage(
            inbox=self.inbox,
            messages=self.messages,
            contacts=self.contacts,
            contact_ids=self.contact_ids,
            outbox=self.outbox,
            clock=self.clock,
            metrics=self.metrics,
            default_agent=self.settings.default_agent,
        )

    @cached_property
    def store_media(self) -> "StoreMedia":
        """Patients' media, from Twilio into our bucket."""
        from whatsapp.use_cases.store_media import StoreMedia

        return StoreMedia(
            inbox=self.inbox,
            source=self.media_source,
            store=self.media_store,
            outbox=self.outbox,
            clock=self.clock,
            metrics=self.metrics,
            delete_at_twilio=bool(self.settings.delete_media_at_twilio),
        )

    @cached_property
    def reconcile(self) -> "Reconcile":
        """What never reached us."""
        from whatsapp.use_cases.reconcile import Reconcile

        return Reconcile(
            inbox=self.inbox,
            messages=self.messages,
            contacts=self.contacts,
            gateway=self.gateway,
            catalog=self.catalog,
            contact_ids=self.contact_ids,
            sender=self.sender,
            clock=self.clock,
            metrics=self.metrics,
            receive_message=self.receive_message,
            record_status=self.record_status,
        )

    @cached_property
    def publish_waiting(self) -> PublishWaiting:
        """The webhook's sweep."""
        return PublishWaiting(
            inbox=self.inbox,
            callbacks=self.callbacks,
            receive_message=self.receive_message,
            record_status=self.record_status,
            clock=self.clock,
        )

    @cached_property
    def send_message(self) -> "SendMessage":
        """The outgoing story."""
        from whatsapp.domain.schedule import QuietHours
        from whatsapp.domain.sending.before_claim import SendPolicy
        from whatsapp.use_cases.send_message import SendMessage

        s = self.settings
        policy = SendPolicy(
            rate_limit_ms=s.rate_limit_seconds * 1000,
            quiet_hours=QuietHours.parse(s.quiet_hours, s.quiet_hours_zone),
            send_to_ids=bool(s.send_to_business_scoped_ids),
        )
        return SendMessage(
            messages=self.messages,
            contacts=self.contacts,
            templates=self.templates,
            gateway=self.gateway,
            queue=self.queue,
            catalog=self.catalog,
            contact_ids=self.contact_ids,
            clock=self.clock,
            commit=self.commit,
            policy=policy,
        )

    @cached_property
    def work_queue_message(self) -> "WorkQueueMessage":
        from whatsapp.use_cases.work_queue_message import WorkQueueMessage

        return WorkQueueMessage(
            send_message=self.send_message,
            messages=self.messages,
            queue=self.queue,
            outbox=self.outbox,
            clock=self.clock,
        )

    @cached_property
    def cancel_message(self) -> "CancelMessage":
        """Calling a message off."""
        from whatsapp.use_cases.cancel_message import CancelMessage

        return CancelMessage(messages=self.messages, clock=self.clock, commit=self.commit)

    @cached_property
    def manage_contacts(self) -> "ManageContacts":
        """The contact routes."""
        from whatsapp.adapters.dynamodb.conversation_store import ConversationStore
        from whatsapp.use_cases.manage_contacts import ManageContacts

        conversations = ConversationStore(self.db, self.settings.messages_table, self.media_store.url)
        return ManageContacts(contacts=self.contacts, conversations=conversations, contact_ids=self.contact_ids)

    @cached_property
    def erase_contact(self) -> "EraseContact":
        """Forgetting a person."""
        from whatsapp.adapters.dynamodb.erasure_store import ErasureStore
        from whatsapp.use_cases.erase_contact import EraseContact

        s = self.settings
        return EraseContact(
            contacts=self.contacts,
            messages=self.messages,
            erasures=ErasureStore(self.db, s.messages_table, s.contacts_table, s.retention_days),
            gateway=self.gateway,
            media=self.media_store,
            clock=self.clock,
            commit=self.commit,
        )

    @cached_property
    def media_source(self) -> "TwilioMedia":
        from whatsapp.adapters.twilio.media import TwilioMedia

        return TwilioMedia(self.twilio_secret.get, self.settings.twilio_base_url)

    @cached_property
    def media_store(self) -> "S3MediaStore":
        """Our bucket."""
        from whatsapp.adapters.aws.media_store import S3MediaStore

        return S3MediaStore(self.client("s3"), self.settings.media_bucket)

    @cached_property
    def sweep_due(self) -> "SweepDue":
        """The send function's sweep."""
        from whatsapp.use_cases.resolve_doubt import ResolveDoubt
        from whatsapp.use_cases.sweep_due import SweepDue

        resolve = ResolveDoubt(
            messages=self.messages,
            gateway=self.gateway,
            clock=self.clock,
            commit=self.commit,
            record_status=self.record_status,
        )
        return SweepDue(
            messages=self.messages,
            queue=self.queue,
            clock=self.clock,
            metrics=self.metrics,
            commit=self.commit,
            resolve_doubt=resolve,
        )

    @cached_property
    def sync_templates(self) -> "SyncTemplates":
        """The catalog's way to Twilio."""
        from whatsapp.adapters.twilio.content import TwilioContent
        from whatsapp.adapters.twilio.http import client
        from whatsapp.use_cases.sync_templates import SyncTemplates

        content = TwilioContent(lambda: client(self.twilio_secret.get(), self.settings.twilio_base_url))
        return SyncTemplates(
            catalog=self.catalog,
            templates=self.templates,
            content=content,
            bus=self.bus,
            alerts=self.alerts,
            clock=self.clock,
            metrics=self.metrics,
        )

    def door(self) -> "TwilioDoor":
        """Twilio's door, with the account it is for."""
        from whatsapp.adapters.twilio.webhook import TwilioDoor

        # The API's own too: callbacks of what went out before there was a domain of ours still come to it.
        public_urls = tuple(filter(None, (self.settings.public_url, self.api_url)))
        return TwilioDoor(public_urls, self.twilio_secret.get().account_sid, self._webhook_tokens, self.sender)

    def _webhook_tokens(self, refresh: bool) -> tuple[str, ...]:
        return self.twilio_secret.get(refresh=refresh).webhook_tokens


_app: list[App] = []


def app() -> App:
    """This sandbox's one App.

    Raises:
        ConfigurationError: an environment variable is missing or wrong.
    """
    if not _app:
        _app.append(App(Settings.from_environ(os.environ)))
    return _app[0]
