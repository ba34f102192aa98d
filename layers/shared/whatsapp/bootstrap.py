"""The one place where adapters meet ports. Parts are made once per sandbox; imports are paid where used."""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from whatsapp.adapters.aws import clients
from whatsapp.adapters.aws.alerts import Place, SnsAlerts
from whatsapp.adapters.aws.event_bus import EventBridgeBus
from whatsapp.adapters.aws.queue import SendQueue
from whatsapp.adapters.dynamodb.callback_store import CallbackStore
from whatsapp.adapters.dynamodb.client import DynamoDB
from whatsapp.adapters.dynamodb.clock import DynamoClock
from whatsapp.adapters.dynamodb.contact_store import ContactStore
from whatsapp.adapters.dynamodb.inbox_store import InboxStore
from whatsapp.adapters.dynamodb.incident_store import IncidentStore
from whatsapp.adapters.dynamodb.message_store import Limits, MessageStore
from whatsapp.adapters.twilio.credentials import TwilioCredentials, TwilioSecret
from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.contact import ContactIds
from whatsapp.domain.sending.message import MessageIds
from whatsapp.observability import PowertoolsMetrics, logger
from whatsapp.settings import Settings
from whatsapp.use_cases.commit import Commit
from whatsapp.use_cases.outbox import Outbox
from whatsapp.use_cases.raise_alerts import RaiseAlerts
from whatsapp.use_cases.receive_message import ReceiveMessage
from whatsapp.use_cases.record_status import RecordStatus

if TYPE_CHECKING:
    from whatsapp.adapters.aws.media_store import S3MediaStore
    from whatsapp.adapters.dynamodb.answer_store import AnswerStore
    from whatsapp.adapters.dynamodb.conversation_store import ConversationStore
    from whatsapp.adapters.dynamodb.erasure_store import ErasureStore
    from whatsapp.adapters.dynamodb.group_store import GroupStore
    from whatsapp.adapters.dynamodb.send_reader import SendReader
    from whatsapp.adapters.dynamodb.sender_store import SenderStore
    from whatsapp.adapters.dynamodb.template_store import TemplateStore
    from whatsapp.adapters.twilio.content import TwilioContent
    from whatsapp.adapters.twilio.gateway import TwilioGateway
    from whatsapp.adapters.twilio.http import Connections
    from whatsapp.adapters.twilio.webhook import TwilioDoor
    from whatsapp.domain.ports import MediaSource
    from whatsapp.domain.templates.catalog import Catalog
    from whatsapp.use_cases.cancel_message import CancelMessage
    from whatsapp.use_cases.erase_contact import EraseContact
    from whatsapp.use_cases.export_contact import ExportContact
    from whatsapp.use_cases.manage_contacts import ManageContacts
    from whatsapp.use_cases.manage_groups import ManageGroups
    from whatsapp.use_cases.offer_choices import OfferChoices
    from whatsapp.use_cases.pace import Pace
    from whatsapp.use_cases.publish_unanswered import PublishUnanswered
    from whatsapp.use_cases.publish_waiting import PublishWaiting
    from whatsapp.use_cases.reconcile import Reconcile
    from whatsapp.use_cases.recover_after_restore import RecoverAfterRestore
    from whatsapp.use_cases.redrive_dead_letters import RedriveDeadLetters
    from whatsapp.use_cases.report_metrics import ReportMetrics
    from whatsapp.use_cases.resolve_doubt import ResolveDoubt
    from whatsapp.use_cases.send_message import SendMessage
    from whatsapp.use_cases.settle_doubts import SettleDoubts
    from whatsapp.use_cases.settle_opt_words import SettleOptWords
    from whatsapp.use_cases.store_media import StoreMedia
    from whatsapp.use_cases.sweep import RunAll
    from whatsapp.use_cases.sweep_due import SweepDue
    from whatsapp.use_cases.sync_templates import SyncTemplates
    from whatsapp.use_cases.work_queue_message import WorkQueueMessage

AT_ONCE = 10
"""As many threads as boto3 keeps connections."""

T = TypeVar("T")


@dataclass(frozen=True)
class App:
    """The product, joined together. Every part is made when it is first asked for, and then kept."""

    settings: Settings

    # --- the outside -----------------------------------------------------------------------------------------------

    def client(self, service: str) -> Any:
        """A client of an AWS service."""
        return clients.client(service, boto3_only=bool(self.settings.use_boto3))

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
        return DynamoClock(self._dynamodb_client)

    @cached_property
    def db(self) -> DynamoDB:
        return DynamoDB(self._dynamodb_client, self.clock.sleep)

    @cached_property
    def metrics(self) -> PowertoolsMetrics:
        return PowertoolsMetrics(self.settings.stack_name)

    @cached_property
    def twilio_secret(self) -> TwilioSecret:
        return TwilioSecret(self._secrets_client, self.settings.twilio_secret)

    @cached_property
    def _contact_key(self) -> str:
        secret = self._secrets_client.get_secret_value(SecretId=self.settings.contact_key_secret)
        return str(secret["SecretString"])

    @cached_property
    def contact_ids(self) -> ContactIds:
        return ContactIds(self._contact_key)

    @cached_property
    def message_ids(self) -> MessageIds:
        return MessageIds(self._contact_key)

    @cached_property
    def sender(self) -> Address:
        return Address(self.settings.sender_address)

    @cached_property
    def api_url(self) -> str:
        parameter = self.client("ssm").get_parameter(Name=self.settings.api_url_parameter)
        return str(parameter["Parameter"]["Value"])

    @cached_property
    def catalog(self) -> "Catalog":
        from whatsapp.domain.templates.catalog import load_catalog

        return load_catalog()

    @cached_property
    def messages(self) -> MessageStore:
        s = self.settings
        limits = Limits(s.rate_limit_seconds * 1000, s.replies_per_inbound, s.retention_days)
        return MessageStore(self.db, s.messages_table, s.contacts_table, limits)

    @cached_property
    def contacts(self) -> ContactStore:
        return ContactStore(self.db, self.settings.contacts_table)

    @cached_property
    def templates(self) -> "TemplateStore":
        from whatsapp.adapters.dynamodb.template_store import TemplateStore

        return TemplateStore(self.db, self.settings.templates_table)

    @cached_property
    def inbox(self) -> InboxStore:
        s = self.settings
        return InboxStore(self.db, s.messages_table, s.contacts_table, s.retention_days)

    @cached_property
    def callbacks(self) -> CallbackStore:
        return CallbackStore(self.db, self.settings.messages_table, self.settings.retention_days)

    @cached_property
    def bus(self) -> EventBridgeBus:
        return EventBridgeBus(self.client("events"), self.settings.bus_name)

    @cached_property
    def queue(self) -> SendQueue:
        return SendQueue(
            self._client_later("sqs"), self.settings.send_queue_url, self.settings.send_dead_letter_queue_url
        )

    @cached_property
    def alerts(self) -> SnsAlerts:
        s = self.settings
        place = Place(
            stack=s.stack_name, stage=s.stage, region=os.environ.get("AWS_REGION", ""), runbook_url=s.runbook_url
        )
        return SnsAlerts(self._client_later("sns"), s.alert_topic_arn, place, self.clock)

    @cached_property
    def twilio_connections(self) -> "Connections":
        from whatsapp.adapters.twilio.http import Connections

        return Connections(self.clock)

    def _twilio(self) -> Any:
        """The SDK's client with the secret as it is now, because it may have been rotated."""
        from whatsapp.adapters.twilio.http import client

        return client(self.twilio_secret, self.twilio_connections, self.settings.twilio_base_url)

    @cached_property
    def gateway(self) -> "TwilioGateway":
        from whatsapp.adapters.twilio.gateway import TwilioGateway

        self.settings.check_sender()
        return TwilioGateway(self._twilio, self.sender, self.settings.public_url or self.api_url)

    @cached_property
    def content(self) -> "TwilioContent":
        from whatsapp.adapters.twilio.content import TwilioContent

        return TwilioContent(self._twilio)

    @cached_property
    def incidents(self) -> IncidentStore:
        return IncidentStore(self.db, self.settings.messages_table)

    @cached_property
    def senders(self) -> "SenderStore":
        from whatsapp.adapters.dynamodb.sender_store import SenderStore

        return SenderStore(self.db, self.settings.messages_table, self.settings.contacts_table)

    @cached_property
    def reader(self) -> "SendReader":
        from whatsapp.adapters.dynamodb.send_reader import SendReader

        s = self.settings
        return SendReader(self.db, self.senders, s.messages_table, s.contacts_table, s.templates_table)

    @cached_property
    def groups(self) -> "GroupStore":
        from whatsapp.adapters.dynamodb.group_store import GroupStore

        return GroupStore(self.db, self.settings.messages_table, self.settings.retention_days)

    @cached_property
    def answers(self) -> "AnswerStore":
        from whatsapp.adapters.dynamodb.answer_store import AnswerStore

        return AnswerStore(self.db, self.settings.messages_table)

    @cached_property
    def raise_alerts(self) -> RaiseAlerts:
        again_after = self.settings.safety_acknowledge_minutes * periods.MINUTE
        return self._join(RaiseAlerts, safety_again_after=again_after)

    @cached_property
    def outbox(self) -> Outbox:
        return self._join(Outbox)

    @cached_property
    def media_source(self) -> "MediaSource":
        from whatsapp.adapters.twilio.media import TwilioMedia

        return TwilioMedia(self.twilio_secret.get, self.settings.twilio_base_url)

    @cached_property
    def media_store(self) -> "S3MediaStore":
        from whatsapp.adapters.aws.media_store import S3MediaStore

        return S3MediaStore(self.client("s3"), self.settings.media_bucket)

    @cached_property
    def conversations(self) -> "ConversationStore":
        from whatsapp.adapters.dynamodb.conversation_store import ConversationStore

        return ConversationStore(self.db, self.settings.messages_table, self.media_store.url)

    @cached_property
    def erasures(self) -> "ErasureStore":
        from whatsapp.adapters.dynamodb.erasure_store import ErasureStore

        s = self.settings
        return ErasureStore(self.db, s.messages_table, s.contacts_table, s.retention_days)

    @cached_property
    def pace(self) -> "Pace":
        """This sandbox's share of the pace of the send queue: at most `send_concurrency` sandboxes work it."""
        from whatsapp.use_cases.pace import Pace

        s = self.settings
        return Pace(self.clock, s.sends_per_second / s.send_concurrency)

    @cached_property
    def run_all(self) -> "RunAll":
        """In threads, which wait for AWS and Twilio at the same time."""
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(AT_ONCE).map

    # --- what we do ------------------------------------------------------------------------------------------------

    def _join(self, use_case: type[T], **others: Any) -> T:
        """A use case, made of the parts that its fields name, and of others."""
        named = {f.name: getattr(self, f.name) for f in fields(use_case) if f.name not in others}  # type: ignore[arg-type]  # each is a dataclass
        return use_case(**named, **others)

    @cached_property
    def commit(self) -> Commit:
        return self._join(
            Commit,
            rate_limit_ms=self.settings.rate_limit_seconds * 1000,
            templates=lambda: self.templates,
            senders=lambda: self.senders,
        )

    @cached_property
    def record_status(self) -> RecordStatus:
        return self._join(RecordStatus)

    @cached_property
    def receive_message(self) -> ReceiveMessage:
        return self._join(
            ReceiveMessage,
            default_agent=self.settings.default_agent,
            settle_opt_words=lambda contact_id: self.settle_opt_words(contact_id),  # noqa: PLW0108 - made when called
        )

    @cached_property
    def settle_opt_words(self) -> "SettleOptWords":
        from whatsapp.use_cases.settle_opt_words import SettleOptWords

        return self._join(SettleOptWords)

    @cached_property
    def publish_waiting(self) -> "PublishWaiting":
        from whatsapp.use_cases.publish_waiting import PublishWaiting

        return self._join(PublishWaiting)

    @cached_property
    def store_media(self) -> "StoreMedia":
        from whatsapp.use_cases.store_media import StoreMedia

        return self._join(StoreMedia, delete_at_twilio=bool(self.settings.delete_media_at_twilio))

    @cached_property
    def reconcile(self) -> "Reconcile":
        from whatsapp.use_cases.reconcile import Reconcile

        return self._join(Reconcile)

    @cached_property
    def offer_choices(self) -> "OfferChoices":
        from whatsapp.use_cases.offer_choices import OfferChoices

        return self._join(OfferChoices, content=lambda: self.content)

    @cached_property
    def send_message(self) -> "SendMessage":
        from whatsapp.domain.schedule import QuietHours
        from whatsapp.domain.sending.before_claim import SendPolicy
        from whatsapp.use_cases.send_message import SendMessage

        s = self.settings
        policy = SendPolicy(
            rate_limit_ms=s.rate_limit_seconds * 1000,
            quiet_hours=QuietHours.parse(s.quiet_hours, s.quiet_hours_zone),
            send_to_ids=bool(s.send_to_business_scoped_ids),
        )
        return self._join(SendMessage, policy=policy)

    @cached_property
    def work_queue_message(self) -> "WorkQueueMessage":
        from whatsapp.use_cases.work_queue_message import WorkQueueMessage

        return self._join(WorkQueueMessage)

    @cached_property
    def cancel_message(self) -> "CancelMessage":
        from whatsapp.use_cases.cancel_message import CancelMessage

        return self._join(CancelMessage)

    @cached_property
    def manage_groups(self) -> "ManageGroups":
        from whatsapp.use_cases.manage_groups import ManageGroups

        return self._join(ManageGroups)

    @cached_property
    def publish_unanswered(self) -> "PublishUnanswered":
        from whatsapp.use_cases.publish_unanswered import PublishUnanswered

        return self._join(PublishUnanswered)

    @cached_property
    def manage_contacts(self) -> "ManageContacts":
        from whatsapp.use_cases.manage_contacts import ManageContacts

        return self._join(ManageContacts)

    @cached_property
    def erase_contact(self) -> "EraseContact":
        from whatsapp.use_cases.erase_contact import EraseContact

        return self._join(EraseContact)

    @cached_property
    def export_contact(self) -> "ExportContact":
        from whatsapp.use_cases.export_contact import ExportContact

        return self._join(ExportContact)

    @cached_property
    def resolve_doubt(self) -> "ResolveDoubt":
        from whatsapp.use_cases.resolve_doubt import ResolveDoubt

        return self._join(ResolveDoubt)

    @cached_property
    def sweep_due(self) -> "SweepDue":
        from whatsapp.use_cases.sweep_due import SweepDue

        return self._join(SweepDue, sends_per_second=self.settings.sends_per_second)

    @cached_property
    def redrive_dead_letters(self) -> "RedriveDeadLetters":
        from whatsapp.use_cases.redrive_dead_letters import RedriveDeadLetters

        return self._join(RedriveDeadLetters)

    @cached_property
    def recover_after_restore(self) -> "RecoverAfterRestore":
        from whatsapp.use_cases.recover_after_restore import RecoverAfterRestore

        return self._join(RecoverAfterRestore, rate_limit_ms=self.settings.rate_limit_seconds * 1000)

    @cached_property
    def settle_doubts(self) -> "SettleDoubts":
        from whatsapp.use_cases.settle_doubts import SettleDoubts

        return self._join(SettleDoubts)

    @cached_property
    def report_metrics(self) -> "ReportMetrics":
        from whatsapp.adapters.aws.metrics_source import CloudWatchMetrics
        from whatsapp.use_cases.report_metrics import ReportMetrics

        source = CloudWatchMetrics(self._client_later("cloudwatch"), self.settings.stack_name)
        return self._join(ReportMetrics, source=source)

    @cached_property
    def sync_templates(self) -> "SyncTemplates":
        from whatsapp.use_cases.sync_templates import SyncTemplates

        return self._join(SyncTemplates)

    def door(self) -> "TwilioDoor":
        """Twilio's door, with the account it is for."""
        from whatsapp.adapters.twilio.webhook import TwilioDoor

        # The API's own too: callbacks of what went out before there was a domain of ours still come to it.
        public_urls = tuple(filter(None, (self.settings.public_url, self.api_url)))
        return TwilioDoor(public_urls, self.twilio_secret.get().account_sid, self._credentials, self.sender)

    def _credentials(self, refresh: bool) -> TwilioCredentials:
        return self.twilio_secret.get(refresh=refresh)


def prepare(*parts: Callable[[App], object]) -> None:
    """In Lambda's INIT, which has a whole processor, make what every request needs; the first request then has it.

    What cannot be made is left to the request that needs it: an empty secret, or a service that is down, must not keep
    the sandbox from starting. INIT has ten seconds (AWS Lambda's guide, "Lambda execution environment lifecycle").
    """
    if "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ:
        maker = threading.Thread(target=_make, args=(parts,), daemon=True)
        maker.start()
        maker.join(periods.INIT_WAITS_S)


def _make(parts: Sequence[Callable[[App], object]]) -> None:
    for part in parts:
        try:
            part(app())
        except Exception as error:  # noqa: BLE001 - the request that needs it says what is wrong
            logger.warning("not ready at start", error=type(error).__name__)


_app: list[App] = []


def app() -> App:
    """This sandbox's one App.

    Raises:
        ConfigurationError: an environment variable is missing or wrong.
    """
    if not _app:
        _app.append(App(Settings.from_environ(os.environ)))
    return _app[0]
