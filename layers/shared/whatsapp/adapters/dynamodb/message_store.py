"""Outgoing messages in DynamoDB: every write is one step of the lifecycle, held by its condition.

Where the contact's slot takes part (`slots`), both rows change in one transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Key, Put, absent_or
from whatsapp.adapters.dynamodb.items import contact_from, kept_until, message_from, message_item, message_key
from whatsapp.adapters.dynamodb.slots import Slots
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.sending import lifecycle
from whatsapp.domain.sending.lifecycle import ACCEPTED, Status, Step
from whatsapp.domain.sending.message import Failure, Message, new_attempt_id, shard_of

_DECIDED = frozenset({"status", "status_at", "due_at", "due_shard", "error", "announce", "contact_id", "lane"})


@dataclass(frozen=True, slots=True)
class Limits:
    """The policy numbers that the conditions hold."""

    rate_limit_ms: int
    replies_per_inbound: int
    retention_days: int


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


class MessageStore:
    """Outgoing messages and the contact's slot."""

    def __init__(self, db: DynamoDB, messages_table: str, contacts_table: str, limits: Limits) -> None:
        self._db = db
        self._messages = messages_table
        self._retention_days = limits.retention_days
        self._slots = Slots(messages_table, contacts_table, limits.rate_limit_ms, limits.replies_per_inbound)

    # --- reading ---------------------------------------------------------------------------------------------------

    def get(self, message_id: str) -> Message | None:
        """The outgoing message of this id."""
        item = self._db.get(self._messages, message_key(message_id))
        return message_from(item) if item and item.get("direction") == "outbound" else None

    def due(self, shard: str, until: int, limit: int = 100) -> Sequence[Message]:
        """What waits in a shard until that time, the longest due first. A hint: the index lags, conditions decide."""
        page = self._db.query(
            self._messages, Key("due_shard").eq(shard) & Key("due_at").lte(until), index="due", limit=limit
        )
        keys = [message_key(item["message_id"]) for item in page.items if item["entry"] == "message"]
        found = [
            message_from(item) for item in self._db.get_many(self._messages, keys) if item["direction"] == "outbound"
        ]
        return sorted((m for m in found if m.due_at is not None and m.due_shard == shard), key=lambda m: m.due_at or 0)

    def of_contact(self, contact_id: str, since: int, until: int) -> Sequence[Message]:
        """The contact's outgoing messages created in that span, both ends included."""
        span = Key("contact_id").eq(contact_id) & Key("at").between(since, until)
        keys = [
            message_key(item["message_id"]) for item in self._db.query_all(self._messages, span, index="conversation")
        ]
        return [
            message_from(item) for item in self._db.get_many(self._messages, keys) if item["direction"] == "outbound"
        ]

    def message_ids_for_sid(self, twilio_sid: str) -> Sequence[str]:
        """The ids of the messages that own this sid: one at most, if Twilio's sids are what they should be."""
        return [
            item["message_id"]
            for item in self._db.query_all(self._messages, Key("twilio_sid").eq(twilio_sid), index="sid")
        ]

    # --- before Twilio ---------------------------------------------------------------------------------------------

    def put_new(self, message: Message) -> Message | None:
        """Store a message nobody stored yet. Returns the stored one if somebody did."""
        try:
            self._db.write(self._put(message))
        except ConditionFailed as failed:
            return message_from(failed.items[0]) if failed.items[0] else None
        return None

    def claim(self, message: Message, *, is_new: bool, now: int, lease: int) -> Claimed | ClaimLost:
        """Take the message, and with it the contact's slot or one of the inbound message's replies."""
        claimed = replace(
            message,
            status=Status.CLAIMED,
            attempt=new_attempt_id(),
            attempts=message.attempts + 1,
            claimed_at=now,
            status_at=now,
            due_at=lease + 5_000,
            due_shard=shard_of("send", message.contact_id),
            scheduled_for=None,
            outbox=frozenset(),
        )
        own = (
            self._put(claimed)
            if is_new
            else self._change(message, claimed, lifecycle.CLAIM, self._may_claim(message, now))
        )
        try:
            self._db.transact(own, *self._slots.take(claimed, now, lease))
        except ConditionFailed as failed:
            return self._why_lost(failed)
        return Claimed(claimed)

    def fence(self, message: Message, *, now: int, text: str | None, content_sid: str | None) -> Message | None:
        """The last write before the POST. None if the claim was taken back, canceled or is past its time."""
        sending = replace(message, status=Status.SENDING, status_at=now, text=text, content_sid=content_sid)
        condition = Attr("stop").not_exists() & absent_or("expires_at", Attr("expires_at").gt(now))
        return self._write(message, sending, lifecycle.FENCE, condition)

    # --- after Twilio ----------------------------------------------------------------------------------------------

    def accept(self, message: Message, *, twilio_sid: str, at: int, now: int) -> Message | None:
        """Twilio has it, since `at` at the latest. The slot opens a limit after that."""
        sent = replace(
            message,
            status=Status.SENT,
            status_at=now,
            twilio_sid=twilio_sid,
            accepted_at=at,
            error=None,
            due_at=now + periods.OUTBOX_RETRY,
            due_shard=shard_of("send", message.contact_id),
            outbox=frozenset({"event"}),
        )
        change = self._change(message, sent, lifecycle.ACCEPT)
        if message.status is Status.UNRESOLVED:
            return sent if self._try(change) else None
        return sent if self._try(change, self._slots.accepted(message, at)) else None

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
    ) -> Message | None:
        """Nothing was sent: give the slot (or the reply's place) back and take the step.

        Whoever asked it to stop meanwhile goes first: then only `STOP` may be taken.
        """
        after = replace(
            message,
            status=step.target,
            status_at=now,
            due_at=due_at,
            scheduled_for=scheduled_for,
            error=error,
            outbox=outbox,
            attempts=message.attempts if attempts is None else attempts,
            throttled_since=throttled_since,
            due_shard=shard_of("send", message.contact_id) if due_at else None,
            continued_as=successor.message_id if successor else message.continued_as,
        )
        change = self._change(message, after, step, None if step is lifecycle.STOP else Attr("stop").not_exists())
        slot, places = self._slots.refund(message)
        return after if self._try(change, slot, *places, *self._successors(successor)) else None

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
    ) -> Message | None:
        """Take a step on the message alone; `release_slot` also ends the contact's in-flight mark, without a refund.

        `successor`: the record that continues this one, made in the same write, unless this one was told to stop.
        """
        after = replace(
            message,
            status=step.target,
            status_at=now,
            due_at=due_at,
            error=error or (None if step.target in ACCEPTED else message.error),
            outbox=outbox,
            scheduled_for=scheduled_for,
            twilio_sid=twilio_sid or message.twilio_sid,
            due_shard=shard_of("send", message.contact_id) if due_at else None,
            continued_as=successor.message_id if successor else message.continued_as,
        )
        condition = Attr("stop").not_exists() & Attr("continued_as").not_exists() if successor else None
        if step is lifecycle.DEFER:  # of two workers that find that it must wait, one says so
            condition = _same("due_at", message.due_at)
        change = self._change(message, after, step, condition)
        slot = self._slots.release(message) if release_slot else None
        return after if self._try(change, slot, *self._successors(successor)) else None

    # --- beside the steps ------------------------------------------------------------------------------------------

    def request_stop(self, message: Message, reason: str) -> Message | None:
        """Ask whoever holds the message to stop. None if its status changed since it was read."""
        return self._mark(message, {"stop": reason})

    def book(self, message: Message, due_at: int, shard: str = "send") -> Message | None:
        """Move what is due before acting on it, so that two sweeps at once act on it once."""
        return self._mark(message, {"due_at": due_at, "due_shard": shard_of(shard, message.contact_id)})

    def announced(
        self, message: Message, *, due_at: int | None, shard: str = "send", untold: frozenset[str] = frozenset()
    ) -> Message | None:
        """What was to be told is told, but for what is `untold`."""
        due_shard = shard_of(shard, message.contact_id) if due_at else None
        return self._mark(message, {"announce": untold, "due_at": due_at, "due_shard": due_shard})

    # --- building blocks -------------------------------------------------------------------------------------------

    def _put(self, message: Message) -> Put:
        ttl = kept_until(message.created_at, self._retention_days)
        return Put(table=self._messages, item=message_item(message, ttl), condition=Attr("message_id").not_exists())

    def _successors(self, successor: Message | None) -> list[Put]:
        return [self._put(successor)] if successor else []

    def _change(self, before: Message, after: Message, step: Step, condition: Any = None) -> Change:
        held = Attr("status").is_in(sorted(step.sources)) & _same("attempt", before.attempt)
        return Change(
            table=self._messages,
            key=message_key(before.message_id),
            condition=held & condition if condition else held,
            set=_differences(before, after),
        )

    def _write(self, before: Message, after: Message, step: Step, condition: Any = None) -> Message | None:
        return after if self._try(self._change(before, after, step, condition)) else None

    def _mark(self, message: Message, values: dict[str, Any]) -> Message | None:
        """Change something beside the status, if nothing changed since the message was read."""
        unchanged = (
            Attr("status").eq(message.status) & _same("attempt", message.attempt) & _same("due_at", message.due_at)
        )
        try:
            item = self._db.write(
                Change(table=self._messages, key=message_key(message.message_id), condition=unchanged, set=values)
            )
        except ConditionFailed:
            return None
        return message_from(item)

    def _try(self, change: Change, slot: Change | None = None, *beside: Change | Put) -> bool:
        """Make all of these changes or none; without the slot's, if only the slot has moved on to another message."""
        try:
            if slot is None and not beside:
                self._db.write(change)
            else:
                self._db.transact(change, *beside, *((slot,) if slot else ()))
        except ConditionFailed as failed:
            only_the_slot = slot is not None and not any(failed.failed[:-1])
            return only_the_slot and self._try(change, None, *beside)
        return True

    def _may_claim(self, message: Message, now: int) -> Any:
        return (
            Attr("stop").not_exists()
            & Attr("attempts").eq(message.attempts)
            & absent_or("expires_at", Attr("expires_at").gt(now))
        )

    def _why_lost(self, failed: ConditionFailed) -> ClaimLost:
        own, contact, *inbound = failed.items
        if failed.failed[0]:
            return ClaimLost(message=message_from(own) if own else None)
        if inbound and failed.failed[2]:
            return ClaimLost(inbound_refused=True)
        busy = bool(contact and contact.get("reply_inflight")) and bool(inbound)
        return ClaimLost(contact=contact_from(contact) if contact else None, reply_lane_busy=busy)


def _same(attribute: str, value: Any) -> Any:
    return Attr(attribute).not_exists() if value is None else Attr(attribute).eq(value)


def _differences(before: Message, after: Message) -> dict[str, Any]:
    """The attributes that a step changes, and those that every step decides anew: the row may have moved on, within
    the step's sources, since it was read. The contact's one row and the lane are among them because a claim may find
    out that an address is an alias, or that a reply comes too late to be one.
    """
    old, new = message_item(before, 0), message_item(after, 0)
    return {name: value for name, value in new.items() if value != old[name] or name in _DECIDED}
