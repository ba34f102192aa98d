"""One WhatsApp message, either direction, as it is kept."""

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum

from whatsapp.domain.sending.lifecycle import IN_DOUBT, WAITING, Status

MAX_ATTEMPTS = 3
SHARDS = 4


class SendKind(StrEnum):
    """Proactive sends start contact and are under the hourly limit; replies answer one inbound message."""

    PROACTIVE = "proactive"
    REPLY = "reply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a message stands where it stands, in the words of the public error codes."""

    code: str
    detail: str
    twilio_code: int | None = None
    retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An outgoing message's record. Times are epoch milliseconds."""

    message_id: str
    contact_id: str
    to: str = field(repr=False)
    request_hash: str
    created_at: int
    status: Status
    kind: SendKind = SendKind.PROACTIVE
    template: str | None = None
    language: str | None = None
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    text: str | None = field(default=None, repr=False)
    """What the patient reads: the caller's free text, or the template rendered."""
    media_url: str | None = field(default=None, repr=False)
    user_id: str | None = None
    agent: str | None = None
    in_reply_to: str | None = None
    send_at: int | None = None
    expires_at: int | None = None
    on_unknown: str = "hold"
    template_only: bool = False
    """Never free-form: this record continues one that was refused outside the window."""
    attempt: str | None = None
    """Random id of the current attempt: every write of it requires that it still is the current one."""
    attempts: int = 0
    """Counted attempts: the third failure is the last. Throttled ones are not counted."""
    claimed_at: int | None = None
    """When the current attempt was claimed."""
    due_shard: str | None = None
    due_at: int | None = None
    """When the sweep looks at it next. A message that is not final always has one."""
    scheduled_for: int | None = None
    """For a deferred message: the earliest time it can go. The sweep may look sooner: a refund may free the slot.
    For one that is retried: the end of the pause before its next attempt, whoever nudges it."""
    throttled_since: int | None = None
    stop: str | None = None
    """`canceled` or `erased`: asked for while a worker held the message."""
    outbox: frozenset[str] = frozenset()
    """What is still to be told about the present status: `event`, `alert`, `dlq`."""
    twilio_sid: str | None = None
    accepted_at: int | None = None
    status_at: int | None = None
    content_sid: str | None = None
    continues: str | None = None
    asked_at: int | None = None
    """When the caller asked for what this record continues; None for a record that continues nothing."""
    continued_as: str | None = None
    error: Failure | None = None

    @property
    def is_waiting(self) -> bool:
        """Not at Twilio, and may still go."""
        return self.status in WAITING

    @property
    def next_try_at(self) -> int | None:
        """For a message that waits: when it can go at the earliest, as far as is known."""
        return self.scheduled_for or self.due_at

    def may_be_tried(self, now: int) -> bool:
        """Whether it waits, and for nothing but its turn."""
        pausing = self.status is Status.RETRYING and self.scheduled_for is not None and self.scheduled_for > now
        return self.is_waiting and not pausing

    @property
    def is_in_doubt(self) -> bool:
        """Perhaps at Twilio."""
        return self.status in IN_DOUBT

    @property
    def slot_holder(self) -> str:
        """What the contact's row shows while this message's current attempt holds its slot."""
        return f"{self.message_id}#{self.attempt}"


def message_id_of(idempotency_key: str) -> str:
    """The id of the message that this key stands for: the same key always names the same message. 32 hex digits."""
    return hashlib.sha256(b"message:" + idempotency_key.encode()).hexdigest()[:32]


def is_message_id(text: str) -> bool:
    """Whether it may name an outgoing message; Twilio's sids, which name the inbound ones, do not."""
    return re.fullmatch("[0-9a-f]{32}", text) is not None


def continuation_id_of(message_id: str) -> str:
    """The id of the one record that may continue a message, so that it is made once."""
    return hashlib.sha256(b"continues:" + message_id.encode()).hexdigest()[:32]


def new_attempt_id() -> str:
    """A random id for one attempt; it travels in the status callback's path."""
    return secrets.token_hex(6)


def shard_of(kind: str, contact_id: str) -> str:
    """Where the sweep finds what waits: by contact, so that one page shows all of a contact's waiting messages."""
    return f"{kind}#{int(contact_id[:8], 16) % SHARDS}"
