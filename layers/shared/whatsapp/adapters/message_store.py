"""Outgoing messages in DynamoDB: every write is one step of the lifecycle, held by its condition.

Two rows take part: the message's own, and the contact's, whose slot carries the hourly limit
(`next_allowed_at`, `inflight`). A reply leaves that slot alone: it has `reply_inflight`, and a place in the inbound
message's `replied_by`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from whatsapp.adapters.dynamodb import Attr, Change, ConditionFailed, DynamoDB, Key, Old, Put, absent_or
from whatsapp.adapters.items import contact_from, message_from, message_item, message_key
from whatsapp.domain import lifecycle
from whatsapp.domain.contact import WINDOW_MS
from whatsapp.domain.lifecycle import Status, Step
from whatsapp.domain.message import Failure, Lane, Message, new_attempt_id, shard_of
from whatsapp.domain.ports import Claimed, ClaimLost

GUARD_MS = 900_000
"""Added to the limit while a send is in flight: more than a worker's lease and Twilio's latest acceptance together."""
EPSILON_MS = 4_000
"""Added to the limit after acceptance: clocks differ by up to two seconds."""
DAY_S = 86_400
TELL_MS = 60_000
"""If what a step is to tell is still untold after this long, the sweep tells it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The policy numbers that the conditions hold."""

    rate_limit_ms: int
    replies_per_inbound: int
    retention_days: int


class DynamoMessageStore:
    """The `MessageStore` port."""

    def __init__(self, db: DynamoDB, messages_table: str, contacts_table: str, limits: Limits) -> None:
        self._db = db
        self._messages = messages_table
        self._contacts = contacts_table
        self._limits = limits

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

    def owners(self, twilio_sid: str) -> Sequence[str]:
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
            t0=now,
            status_at=now,
            due_at=lease + 5_000,
            due_shard=shard_of("send", message.contact_id),
            scheduled_for=None,
            announce=frozenset(),
        )
        own = (
            self._put(claimed)
            if is_new
            else self._change(message, claimed, lifecycle.CLAIM, self._may_claim(message, now))
        )
        others = self._reply_slot(claimed, now, lease) if message.lane is Lane.REPLY else [self._slot(claimed, now)]
        try:
            self._db.transact(own, *others)
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
            due_at=now + TELL_MS,
            due_shard=shard_of("send", message.contact_id),
            announce=frozenset({"event"}),
        )
        change = self._change(message, sent, lifecycle.ACCEPT)
        if message.status is Status.UNKNOWN_FINAL:
            return sent if self._try(change) else None
        spoken = {"last_outbound_at": at, "last_outbound_agent": message.agent}
        if message.user_id:
            spoken["user_id"] = message.user_id
        if message.lane is Lane.REPLY:
            slot = self._release_reply(message, spoken)
        else:
            opens = at + self._limits.rate_limit_ms + EPSILON_MS
            slot = self._release(message, {"next_allowed_at": opens, "last_accepted_at": at, **spoken})
        return sent if self._try(change, slot) else None

    def refund(
        self,
        message: Message,
        step: Step,
        *,
        now: int,
        due_at: int | None,
        error: Failure | None = None,
        attempts: int | None = None,
        throttled_since: int | None = None,
        announce: frozenset[str] = frozenset(),
    ) -> Message | None:
        """Nothing was sent: give the slot (or the reply's place) back and take the step."""
        after = replace(
            message,
            status=step.target,
            status_at=now,
            due_at=due_at,
            error=error,
            announce=announce,
            attempts=message.attempts if attempts is None else attempts,
            throttled_since=throttled_since,
            due_shard=shard_of("send", message.contact_id) if due_at else None,
        )
        change = self._change(message, after, step)
        if message.lane is Lane.REPLY:
            place = Change(
                table=self._messages,
                key=message_key(message.in_reply_to or ""),
                delete={"replied_by": {message.message_id}},
            )
            return after if self._try(change, self._release_reply(message), keep=(place,)) else None
        slot = self._release(message, {"next_allowed_at": Old("prev_next", 0)})
        return after if self._try(change, slot) else None

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
        announce: frozenset[str] = frozenset(),
    ) -> Message | None:
        """Take a step on the message alone; `release_slot` also ends the contact's in-flight mark, without a refund."""
        after = replace(
            message,
            status=step.target,
            status_at=now,
            due_at=due_at,
            error=error or message.error,
            announce=announce,
            scheduled_for=scheduled_for,
            twilio_sid=twilio_sid or message.twilio_sid,
            due_shard=shard_of("send", message.contact_id) if due_at else None,
        )
        change = self._change(message, after, step)
        if not release_slot:
            return after if self._try(change) else None
        slot = self._release_reply(message) if message.lane is Lane.REPLY else self._release(message, {})
        return after if self._try(change, slot) else None

    # --- beside the steps ------------------------------------------------------------------------------------------

    def request_stop(self, message: Message, reason: str) -> Message | None:
        """Ask whoever holds the message to stop. None if its status changed since it was read."""
        return self._mark(message, {"stop": reason})

    def book(self, message: Message, due_at: int, shard: str = "send") -> Message | None:
        """Move what is due before acting on it, so that two sweeps at once act on it once."""
        return self._mark(message, {"due_at": due_at, "due_shard": shard_of(shard, message.contact_id)})

    def announced(self, message: Message, *, due_at: int | None, shard: str = "send") -> Message | None:
        """All that was to be told is told."""
        due_shard = shard_of(shard, message.contact_id) if due_at else None
        return self._mark(message, {"announce": None, "due_at": due_at, "due_shard": due_shard})

    def link_continuation(self, message: Message, continuation_id: str) -> None:
        """Name the record that continues this one."""
        try:
            self._db.write(
                Change(
                    table=self._messages,
                    key=message_key(message.message_id),
                    set={"continued_as": continuation_id},
                    condition=Attr("continued_as").not_exists() & Attr("message_id").exists(),
                )
            )
        except ConditionFailed:
            return  # Named before, by the same name: a continuation's id is derived from the message's.

    # --- building blocks -------------------------------------------------------------------------------------------

    def _put(self, message: Message) -> Put:
        ttl = message.created_at // 1000 + self._limits.retention_days * DAY_S
        return Put(table=self._messages, item=message_item(message, ttl), condition=Attr("message_id").not_exists())

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

    def _try(self, change: Change, slot: Change | None = None, keep: tuple[Change, ...] = ()) -> bool:
        """Make the change together with the slot's; on its own if only the slot has moved on to another message."""
        try:
            if slot is None and not keep:
                self._db.write(change)
            else:
                self._db.transact(change, *((slot,) if slot else ()), *keep)
        except ConditionFailed as failed:
            if slot is None or failed.failed[0]:
                return False
            return self._try(change, None, keep)
        return True

    def _may_claim(self, message: Message, now: int) -> Any:
        return (
            Attr("stop").not_exists()
            & Attr("attempts").eq(message.attempts)
            & absent_or("expires_at", Attr("expires_at").gt(now))
        )

    def _writable(self, message: Message) -> Any:
        return (
            Attr("alias_of").not_exists()
            & Attr("opted_out_at").not_exists()
            & absent_or("erased_at", Attr("erased_at").lt(message.created_at))
        )

    def _slot(self, claimed: Message, now: int) -> Change:
        free = Attr("inflight").not_exists() & absent_or("next_allowed_at", Attr("next_allowed_at").lte(now))
        return Change(
            table=self._contacts,
            key={"contact_id": claimed.contact_id},
            condition=self._writable(claimed) & free,
            set={
                "prev_next": Old("next_allowed_at", 0),
                "next_allowed_at": now + self._limits.rate_limit_ms + GUARD_MS,
                "inflight": claimed.holder,
                "inflight_at": now,
            },
        )

    def _reply_slot(self, claimed: Message, now: int, lease: int) -> list[Change]:
        mine = {claimed.message_id}
        lane_free = absent_or("reply_inflight", Attr("reply_until").lt(now))
        room = absent_or(
            "replied_by",
            Attr("replied_by").contains(claimed.message_id)
            | Attr("replied_by").size().lt(self._limits.replies_per_inbound),
        )
        lane = Change(
            table=self._contacts,
            key={"contact_id": claimed.contact_id},
            condition=self._writable(claimed) & lane_free,
            set={"reply_inflight": claimed.holder, "reply_until": lease},
        )
        inbound = Change(
            table=self._messages,
            key=message_key(claimed.in_reply_to or ""),
            condition=Attr("received_at").gt(now - WINDOW_MS) & Attr("contact_id").eq(claimed.contact_id) & room,
            add={"replied_by": mine},
        )
        return [lane, inbound]

    def _release(self, message: Message, values: dict[str, Any]) -> Change:
        return Change(
            table=self._contacts,
            key={"contact_id": message.contact_id},
            condition=Attr("inflight").eq(message.holder),
            set={"inflight": None, "inflight_at": None, "prev_next": None, **values},
        )

    def _release_reply(self, message: Message, values: dict[str, Any] | None = None) -> Change:
        return Change(
            table=self._contacts,
            key={"contact_id": message.contact_id},
            condition=Attr("reply_inflight").eq(message.holder),
            set={"reply_inflight": None, "reply_until": None, **(values or {})},
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
    """The attributes that a step changes."""
    old, new = message_item(before, 0), message_item(after, 0)
    return {name: value for name, value in new.items() if value != old[name]} | {"status": after.status.value}
