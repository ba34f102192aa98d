"""One emulated Twilio account and the WhatsApp around it: what it holds, nothing about HTTP."""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from secrets import token_hex
from typing import Any, Literal

from pydantic import ConfigDict

from local.twilio.events import EventLog
from local.twilio.faults import Faults

API_VERSION = "2010-04-01"
CHANNEL = "whatsapp:"
WINDOW = timedelta(hours=24)
E164 = re.compile(r"\+[1-9]\d{7,14}")
"""ITU-T E.164: at most 15 digits, no leading zero; fewer than 8 reach nobody."""
SCOPED_ID = re.compile(r"[A-Z]{2}\.\w+")
"""A business-scoped user id: the address of somebody whose number WhatsApp hides."""

Direction = Literal["inbound", "outbound-api", "outbound-reply"]


def new_sid(prefix: str) -> str:
    return prefix + token_hex(16)


def epoch_ms() -> int:
    return time.time_ns() // 1_000_000


def now() -> datetime:
    return datetime.now(UTC)


def bare(address: str) -> str:
    """`whatsapp:+9198…` -> `+9198…`; a business-scoped id loses its channel in the same way."""
    return address.removeprefix(CHANNEL)


def rfc2822(moment: datetime | None) -> str | None:
    """The Messages API's dates: `Thu, 24 Aug 2023 05:01:45 +0000`."""
    return format_datetime(moment) if moment else None


def iso8601(moment: datetime) -> str:
    """The Content API's dates: `2015-07-30T19:00:00Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class SharedKey:
    """A key that signs webhooks in place of the auth token."""

    id: str
    secret: str


@dataclass
class Medium:
    content_type: str
    data: bytes
    sid: str = field(default_factory=lambda: new_sid("ME"))
    created: datetime = field(default_factory=now)
    deleted: bool = False
    """At Twilio; the patient's phone keeps it."""
    __pydantic_config__ = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


@dataclass
class CallbackAttempt:
    """One HTTP request from the emulator to the product, for the page and the tests to look at."""

    url: str
    status: str
    form: dict[str, str]
    signature: str
    http_status: int | None
    answer: str | None
    error: str | None
    """`ct` no connection, `rt` no answer in time, `broken` an answer that broke off; None if it answered."""
    ms: int
    at: int = field(default_factory=epoch_ms)


@dataclass
class Message:
    sid: str
    direction: Direction
    to: str
    from_: str
    body: str
    status: str
    content_sid: str | None = None
    content_variables: str | None = None
    messaging_service_sid: str | None = None
    sender_named: bool = True
    """By the request; otherwise the Messaging Service chooses once the message leaves its queue."""
    status_callback: str | None = None
    media: list[Medium] = field(default_factory=list)
    media_urls: list[str] = field(default_factory=list)
    """What an outbound message names; the emulator fetches them into `media` before it delivers."""
    send_at: datetime | None = None
    rendered: dict[str, Any] = field(default_factory=dict)
    """What the phone shows: `{"type", "body", "actions", …}`. Twilio's own answers never carry it."""
    variables: dict[str, str] = field(default_factory=dict)
    """The template's variables as filled in: the samples stored with it, overridden by what was sent."""
    error_code: int | None = None
    error_message: str | None = None
    created: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)
    sent: datetime | None = None
    accepted_at: int = field(default_factory=epoch_ms)
    accepted_body: str = ""
    whatsapp_at: datetime = field(default_factory=now)
    """Acceptance on WhatsApp's clock, which rolling limits count by."""
    starts_conversation: bool = False
    """Ours, and no window was open when it was accepted."""
    params: dict[str, str] = field(default_factory=dict)
    """An inbound message's webhook form, as it was signed."""
    callbacks: list[CallbackAttempt] = field(default_factory=list)
    deleted: bool = False
    """At Twilio; the ledger and the patient's phone keep it."""

    @property
    def media_kept(self) -> list[Medium]:
        """The media that Twilio still has."""
        return [medium for medium in self.media if not medium.deleted]

    @property
    def patient(self) -> str:
        return bare(self.from_ if self.direction == "inbound" else self.to)

    @property
    def sender(self) -> str:
        """Our own number in this conversation."""
        return bare(self.to if self.direction == "inbound" else self.from_)


@dataclass
class Approval:
    """WhatsApp's review of one template: unsubmitted, pending, approved, rejected, paused or disabled."""

    status: str = "unsubmitted"
    name: str = ""
    category: str = ""
    content_type: str = ""
    rejection_reason: str = ""
    allow_category_change: bool = True


@dataclass
class Content:
    friendly_name: str
    language: str
    types: dict[str, dict[str, Any]]
    variables: dict[str, str]
    sid: str = field(default_factory=lambda: new_sid("HX"))
    created: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)
    approval: Approval = field(default_factory=Approval)


@dataclass
class Patient:
    """One WhatsApp user, with the switches a test or the phone page turns."""

    address: str
    profile_name: str = ""
    external_user_id: str | None = None
    on_whatsapp: bool = True
    blocked: bool = False
    phone_on: bool = True
    read_receipts: bool = True
    opted_out: bool = False
    joined_sandbox: datetime | None = None


@dataclass
class Sender:
    """A WhatsApp sender of this account; `webhook` and `profile` are what the Senders API sets."""

    address: str
    sid: str = field(default_factory=lambda: new_sid("XE"))
    webhook: dict[str, str | None] = field(default_factory=dict)
    profile: dict[str, Any] = field(default_factory=dict)
    status: str = "ONLINE"
    offline_reasons: list[dict[str, str]] | None = None


@dataclass
class Settings:
    """What `POST /_emulator/configure` changes. A limit of None is not enforced."""

    status_delays_ms: dict[str, int] = field(
        default_factory=lambda: {"queued": 20, "sent": 50, "delivered": 100, "read": 200}
    )
    """Milliseconds after the status before."""
    auto_approve: bool = False
    """Submitted templates that break no rule are approved at once."""
    read_receipts: bool = True
    nested_approvals: bool = False
    """ContentAndApprovals answers `approval_requests.whatsapp`, as seen live, not the flat shape."""
    advanced_opt_out: bool = False
    """Twilio itself handles STOP, START and HELP, as in a Messaging Service with Advanced Opt-Out."""
    messages_to_scoped_ids: bool = False
    """`To` may be a business-scoped user id. Whether Twilio takes it is unsettled."""
    messages_per_second: int | None = None
    messages_per_day: int | None = None
    new_conversations_per_day: int | None = None
    marketing_per_day: int | None = None
    account_type: str = "Full"
    """Or `Trial`; only what the account says of itself: a trial's limits are not enforced."""
    account_status: str = "active"
    balance: str = "100.00"
    sender_verification: str = "automatic"
    """`code`: a number that is registered waits for the code that Meta sends to it, as numbers not of Twilio's do."""
    messaging_services: dict[str, list[str]] = field(default_factory=dict)
    """Senders by Messaging Service sid (`MG…`)."""

    def delay(self, status: str) -> float:
        """Seconds. A failure comes when the good news would have come."""
        instead = {"failed": "sent", "undelivered": "delivered"}
        return self.status_delays_ms[instead.get(status, status)] / 1000


class Account:
    """Everything the emulator knows. Only the event loop's thread touches it, so there are no locks."""

    def __init__(
        self,
        sid: str,
        auth_token: str,
        senders: Iterable[str],
        *,
        api_keys: dict[str, str] | None = None,
        inbound_url: str | None = None,
    ) -> None:
        self.sid = sid
        self.auth_token = auth_token
        """The primary token, which signs webhooks."""
        self.secondary_token: str | None = None
        """A second one that the API takes, while the token is being rotated."""
        self.shared_key: SharedKey | None = None
        """Signs webhooks instead, once it is switched on."""
        self.api_keys = api_keys or {}
        self.events = EventLog()
        self.created = now()
        self._addresses = [bare(sender) for sender in senders]
        self._inbound_url = inbound_url
        self.set_up()
        self.reset()

    def set_up(self) -> None:
        """The account as started: its senders with their webhook, no templates."""
        self.contents: dict[str, Content] = {}
        self.senders = {address: Sender(address) for address in self._addresses}
        if self._inbound_url:
            self.set_inbound_url(self._inbound_url)

    def reset(self) -> None:
        """Forget all that happened. The account's set-up, webhooks and templates, stays."""
        self.settings = Settings()
        self.messages: dict[str, Message] = {}
        self.patients: dict[str, Patient] = {}
        self.faults = Faults()
        self.media_requests: list[dict[str, Any]] = []
        """What reached the host that media redirect to, and whether it was shown credentials."""
        self.warnings: list[dict[str, Any]] = []
        """What Twilio's Debugger would show: webhooks that failed or answered what Twilio cannot read."""
        self.window_closings: dict[tuple[str, str], datetime] = {}
        self.clock_offset = timedelta()
        self.events.publish("reset")

    def set_inbound_url(self, url: str) -> None:
        for sender in self.senders.values():
            sender.webhook |= {"callback_url": url, "callback_method": "POST"}

    # WhatsApp's clock: windows, caps and sandbox membership obey it. Dates that Twilio writes are real ones,
    # because the product compares them with its own clock.

    def whatsapp_now(self) -> datetime:
        return now() + self.clock_offset

    def advance_clock(self, by: timedelta) -> None:
        self.clock_offset += by
        self.events.publish("clock", whatsapp_now=iso8601(self.whatsapp_now()))

    def open_window(self, patient: str, sender: str) -> None:
        self.window_closings[patient, sender] = self.whatsapp_now() + WINDOW

    def close_window(self, patient: str, sender: str) -> None:
        self.window_closings.pop((patient, sender), None)

    def window_closes(self, patient: str, sender: str) -> datetime | None:
        """When the window between these two closes, or None if it is closed now."""
        closes = self.window_closings.get((patient, sender))
        return closes if closes and closes > self.whatsapp_now() else None

    def open_windows(self) -> list[dict[str, str]]:
        return [
            {"address": patient, "sender": sender, "closes_at": iso8601(closes)}
            for (patient, sender) in self.window_closings
            if (closes := self.window_closes(patient, sender))
        ]

    def patient(self, address: str) -> Patient:
        """The patient at this address; one never seen before is an ordinary WhatsApp user."""
        address = bare(address)
        return self.patients.setdefault(address, Patient(address))

    def accept(self, message: Message) -> None:
        """Enter a message in the ledger. From here on Twilio has it, whatever its answer says."""
        message.accepted_body = message.body
        message.whatsapp_at = self.whatsapp_now()
        outbound, open_until = message.direction != "inbound", self.window_closes(message.patient, message.sender)
        message.starts_conversation = outbound and open_until is None
        self.patient(message.patient)
        self.messages[message.sid] = message
        self.tell(message)

    def tell(self, message: Message) -> None:
        """Show the watchers a message as it is now."""
        self.events.publish("message", message=message_view(message))

    def accepted_within(self, span: timedelta) -> list[Message]:
        """Outbound messages accepted in the last `span` of WhatsApp's clock."""
        since = self.whatsapp_now() - span
        return [
            message
            for message in self.messages.values()
            if message.direction != "inbound" and message.whatsapp_at > since
        ]

    def warn(self, code: int, message: Message, url: str) -> None:
        """Note what Twilio's Debugger would show about a webhook."""
        self.warnings.append({"code": code, "sid": message.sid, "url": url, "at": epoch_ms()})
        self.events.publish("warning", **self.warnings[-1])


def ledger_entry(message: Message) -> dict[str, Any]:
    """What Twilio accepted; later redaction does not change it, only `status` moves on."""
    return {
        "sid": message.sid,
        "direction": message.direction,
        "to": message.to,
        "from": message.from_,
        "body": message.accepted_body,
        "content_sid": message.content_sid,
        "content_variables": message.content_variables,
        "accepted_at": message.accepted_at,
        "status": message.status,
        "status_callback": message.status_callback,
    }


def message_view(message: Message) -> dict[str, Any]:
    """One message, for watchers: the ledger's entry, what the phone shows, and every callback tried."""
    return ledger_entry(message) | {
        "patient": message.patient,
        "sender": message.sender,
        "rendered": message.rendered,
        "error_code": message.error_code,
        "error_message": message.error_message,
        "media": [
            {
                "sid": medium.sid,
                "content_type": medium.content_type,
                "size": len(medium.data),
                "deleted": medium.deleted,
            }
            for medium in message.media
        ],
        "media_urls": message.media_urls,
        "params": message.params,
        "redacted": message.body != message.accepted_body,
        "deleted": message.deleted,
        "callbacks": [vars(attempt) for attempt in message.callbacks],
    }
