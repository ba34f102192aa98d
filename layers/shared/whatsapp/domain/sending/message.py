"""An outgoing message's record."""

import hashlib
import hmac
import os
import re
import secrets
from dataclasses import field
from enum import StrEnum
from typing import Literal

from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import Failure
from whatsapp.domain.sending.lifecycle import IN_DOUBT, IN_FLIGHT, WAITING, Status

MAX_ATTEMPTS = 3
FREE_FORM = "none"
"""The template and language of free-form text, in metrics."""
_FEWEST_SHARDS = 4


class SendKind(StrEnum):
    """Proactive messages start contact and are under the rate limit; a reply answers one inbound message."""

    PROACTIVE = "proactive"
    REPLY = "reply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One outgoing message as it is stored. Times are epoch milliseconds."""

    message_id: str
    contact_id: str
    to: str = field(repr=False)
    request_hash: str
    created_at: int
    status: Status
    idempotency_key: str | None = field(default=None, repr=False)
    """The caller's own, which its events bear."""
    kind: SendKind = SendKind.PROACTIVE
    template: str | None = None
    language: str | None = None
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    text: str | None = field(default=None, repr=False)
    """What the patient reads: the caller's free text, or the template rendered."""
    media_url: str | None = field(default=None, repr=False)
    choices: list[dict[str, str]] = field(default_factory=list, repr=False)
    """What the patient may tap: each with `id`, `title` and perhaps `description`."""
    choices_label: str | None = field(default=None, repr=False)
    user_id: str | None = None
    agent: str | None = None
    in_reply_to: str | None = None
    group: str | None = None
    after_cancel: int | None = None
    """The cancel of its group that it was asked for after. A later one binds it."""
    unless: Literal["answered", "delivered", "read"] | None = None
    """It is not needed if another message of its group got that far."""
    answer_by: int | None = None
    """If nobody answered by then, its caller hears of it."""
    priority: Literal["urgent", "low"] | None = None
    """Its template's; None is normal."""
    send_at: int | None = None
    expires_at: int | None = None
    on_unknown: str = "hold"
    template_only: bool = False
    """Never free-form: this record continues one that Twilio refused as free text outside the window."""
    attempt: str | None = None
    """Random id of the current attempt. Every write requires that it is still the current one."""
    attempts: int = 0
    """Counted attempts, those that Twilio answered. After the third failure the message fails."""
    claimed_at: int | None = None
    """When the current attempt was claimed."""
    due_shard: str | None = None
    due_at: int | None = None
    """When the sweep looks at it next. Every message that is not final has one."""
    scheduled_for: int | None = None
    """Deferred: the earliest time it can go; the sweep may look sooner, since a refund may free the slot.
    Retrying: the end of the pause before its next attempt; an earlier nudge changes nothing."""
    waiting_since: int | None = None
    """When it was first refused for a temporary reason. Such attempts do not count."""
    stop: str | None = None
    """`canceled` or `erased`: requested while a worker held the message."""
    outbox: frozenset[str] = frozenset()
    """What is still to be delivered about the present status: `event`, `alert`, `dlq`."""
    twilio_sid: str | None = None
    accepted_at: int | None = None
    status_at: int | None = None
    content_sid: str | None = None
    continues: str | None = None
    asked_at: int | None = None
    """When the caller asked for it, where that was before `created_at`: it came by the queue, or continues a record."""
    continued_as: str | None = None
    error: Failure | None = None

    @property
    def requested_at(self) -> int:
        """When the caller asked for it. An erasure since then forbids it."""
        return self.asked_at or self.created_at

    @property
    def is_new(self) -> bool:
        """Not stored yet: every write sets `status_at`."""
        return self.status_at is None

    @property
    def is_waiting(self) -> bool:
        """Not at Twilio, and may still go."""
        return self.status in WAITING

    def is_past(self, at: int) -> bool:
        """Whether it has expired by then."""
        return self.expires_at is not None and self.expires_at <= at

    @property
    def rank(self) -> int:
        """Its priority as a number: of two messages the lower one goes first."""
        return 1 if self.priority is None else 0 if self.priority == "urgent" else 2

    @property
    def next_try_at(self) -> int | None:
        """The earliest time a waiting message can go, as far as is known."""
        return self.scheduled_for or self.due_at

    def may_be_tried(self, now: int) -> bool:
        """Whether it waits, and not for the end of a pause between attempts."""
        pausing = self.status is Status.RETRYING and self.scheduled_for is not None and self.scheduled_for > now
        return self.is_waiting and not pausing

    @property
    def holds_slot(self) -> bool:
        """Its current attempt is in flight: the contact's slot is held by it."""
        return self.status in IN_FLIGHT

    @property
    def is_in_doubt(self) -> bool:
        """Perhaps at Twilio."""
        return self.status in IN_DOUBT

    @property
    def layout(self) -> dict[str, str]:
        """What it looks like, for the numbers by template and language."""
        return layout_of(self.template, self.language)

    @property
    def sweep_shard(self) -> str:
        """The shard in which the sweep of sends looks for it, as long as it has a `due_at`.

        Urgent messages have shards of their own, so that a hundred thousand reminders do not hold them back: replies,
        those of urgent templates, messages that expire soon after they are due unless their priority is low, and
        messages that hold their contact's slot.
        """
        expires_soon = self.expires_at is not None and self.expires_at - (self.due_at or 0) <= periods.URGENT
        goes_first = self.kind is SendKind.REPLY or self.priority == "urgent" or (expires_soon and self.rank <= 1)
        is_urgent = self.holds_slot or (self.is_waiting and goes_first)
        return shard_of("urgent" if is_urgent else "send", self.contact_id)

    @property
    def slot_holder(self) -> str:
        """The value of the contact's `inflight` while this attempt holds its slot."""
        return f"{self.message_id}#{self.attempt}"


def layout_of(template: str | None, language: str | None) -> dict[str, str]:
    """A message's template and language as the dimensions of a metric, which cannot be empty."""
    return {"template": template or FREE_FORM, "language": language or FREE_FORM}


class MessageIds:
    """Makes the ids of new messages: the same idempotency key gives the same id, which nobody can guess from the key.

    It shares the secret of `ContactIds`; no address begins with `message:`.
    """

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def of(self, idempotency_key: str) -> str:
        """The id of a new message of this idempotency key: 32 hex digits."""
        return self.keyed(handle_of(idempotency_key))

    def keyed(self, handle: str) -> str:
        """The id of the message whose handle this is."""
        return hmac.new(self._key, b"message:" + handle.encode(), hashlib.sha256).hexdigest()[:32]


def handle_of(idempotency_key: str) -> str:
    """A message's handle, which callers can make of the key alone. Messages that were stored before ids were keyed have
    it as their id (docs/decisions/0014-keyed-message-ids.md).
    """
    return hashlib.sha256(b"message:" + idempotency_key.encode()).hexdigest()[:32]


def is_message_id(text: str) -> bool:
    """Whether it has the form of an outgoing message's id. Inbound messages have Twilio's sid."""
    return re.fullmatch("[0-9a-f]{32}", text) is not None


def continuation_id_of(message_id: str) -> str:
    """The id of the one record that may continue a message. It is derived, so that only one can be made."""
    return hashlib.sha256(b"continues:" + message_id.encode()).hexdigest()[:32]


def new_attempt_id() -> str:
    """A random id for one attempt; it travels in the status callback's path."""
    return secrets.token_hex(6)


def shard_of(kind: str, contact_id: str) -> str:
    """The shard that the sweep finds it in. By contact, so that one page shows all of a contact's waiting messages."""
    return f"{kind}#{int(contact_id[:8], 16) % _shard_count()}"


def shards_of(kind: str) -> list[str]:
    """All shards of a kind, for a sweep."""
    return [f"{kind}#{number}" for number in range(_shard_count())]


def _shard_count() -> int:
    """Over how many partitions of the `due` index what waits is spread.

    It may grow while messages wait, never shrink: what waits in a shard that nobody sweeps is never found. `Settings`
    refuses what is no number.
    """
    given = os.environ.get("DUE_SHARDS", "")
    return max(_FEWEST_SHARDS, int(given)) if given.isdecimal() else _FEWEST_SHARDS
