"""Outgoing messages in DynamoDB: every write is one step of the lifecycle, and its condition holds it.

Where the contact's slot takes part (`slots`), both rows change in one transaction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from whatsapp.adapters.dynamodb.answer_store import expected_answer_item
from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Put, absent_or, same
from whatsapp.adapters.dynamodb.group_store import membership
from whatsapp.adapters.dynamodb.items import contact_from, kept_until, message_from, message_item, message_key
from whatsapp.adapters.dynamodb.slots import Slots
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.sending.lifecycle import CLAIM, DEFER, FENCE, Slot
from whatsapp.domain.sending.message import Message, MessageIds, SendKind, is_message_id, shard_of
from whatsapp.domain.sending.transition import Transition

_ALWAYS_WRITTEN = frozenset({"status", "status_at", "due_at", "due_shard", "error", "announce", "contact_id", "lane"})
"""Written by every step, even if unchanged: the row may have moved on, within the step's sources, since it was read."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The policy numbers that the conditions hold."""

    rate_limit_ms: int
    replies_per_inbound: int
    retention_days: int


@dataclass(frozen=True, slots=True)
class ClaimLost:
    """Why a claim did not hold: another worker has the message, or what stood against it."""

    message: Message | None = None
    contact: Contact | None = None
    inbound_refused: bool = False
    """The inbound message is over 24 h old or has had all its replies."""
    group_canceled: bool = False
    """Its group was canceled since it was asked for."""
    reply_in_flight: bool = False


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

    def find(self, message_id: str, ids: MessageIds) -> Message | None:
        """The outgoing message of this id, or of this handle, which callers make of an idempotency key."""
        return self.get(message_id) or self.get(ids.keyed(message_id))

    def get_many(self, message_ids: Sequence[str]) -> list[Message]:
        """The outgoing messages of these ids, in no order."""
        items = self._db.get_many(self._messages, [message_key(message_id) for message_id in message_ids])
        return [message_from(item) for item in items if item["direction"] == "outbound"]

    def due(self, shard: str, until: int) -> Iterator[Message]:
        """What is due in a shard until then, the longest due first, each page read when it is asked for.

        A hint: the index lags, conditions decide.
        """
        span = Attr("due_shard").eq(shard) & Attr("due_at").lte(until)
        for page in self._db.pages(self._messages, span, index="due"):
            found = self.get_many([item["message_id"] for item in page if item["entry"] == "message"])
            yield from sorted((m for m in found if m.due_at and m.due_shard == shard), key=lambda m: m.due_at or 0)

    def of_contact(self, contact_id: str, since: int, until: int) -> Sequence[Message]:
        """The contact's outgoing messages created in that span, both ends included."""
        span = Attr("contact_id").eq(contact_id) & Attr("at").between(since, until)
        ids = [item["message_id"] for item in self._db.query_all(self._messages, span, index="conversation")]
        return self.get_many([message_id for message_id in ids if is_message_id(message_id)])

    def waiting_of(self, contact: Contact, now: int) -> list[Message]:
        """What waits for the contact's slot. A hint: the index lags, conditions decide."""
        since, until = now - periods.LONGEST_DEFERRAL, now + periods.MINUTE  # other workers' clocks may be ahead
        found = [m for contact_id in contact.ids for m in self.of_contact(contact_id, since, until)]
        return [m for m in found if m.is_waiting and m.kind is SendKind.PROACTIVE]

    def message_ids_for_sid(self, twilio_sid: str) -> Sequence[str]:
        """The ids of the messages with this sid: one at most, if Twilio's sids are unique."""
        found = self._db.query_all(self._messages, Attr("twilio_sid").eq(twilio_sid), index="sid")
        return [item["message_id"] for item in found]

    # --- steps -----------------------------------------------------------------------------------------------------

    def claim(self, transition: Transition, lease: int, contact: Contact) -> ClaimLost | None:
        """Take the message, and with it the contact's slot or one of the inbound message's replies.

        None: this worker has it, until `lease` (epoch ms). `contact`: the row as it was read.
        """
        claimed = transition.after
        slot = self._slots.take(claimed, claimed.claimed_at or 0, lease, contact)
        try:
            self._db.transact(self._own(transition), *slot, *self._beside(transition, not_canceled=True))
        except ConditionFailed as failed:
            return _why_lost(failed, claimed)
        return None

    def commit(self, transition: Transition) -> bool:
        """Take a step; all of its changes or none. False if the message has moved on.

        If only the slot has moved on to another message, the step is taken without it.
        """
        slot, places = self._slot_changes(transition)
        others: list[Change | Put] = [*places, *self._beside(transition)]
        if transition.successor:
            others += [self._put(transition.successor), *self._membership(transition.successor)]
        return self._write(self._own(transition), slot, *others)

    def put_new(self, message: Message) -> bool:
        """Store a message under an id that no other has. False if one has it."""
        return self._write(self._put(message), None)

    # --- beside the steps ------------------------------------------------------------------------------------------

    def request_stop(self, message: Message, reason: str) -> Message | None:
        """Ask the worker that holds the message to stop. None if the message changed since it was read."""
        return self._mark(message, {"stop": reason})

    def postpone(self, message: Message, due_at: int, shard: str = "send") -> Message | None:
        """Move what is due before acting on it, so that two sweeps at once act on it once. None: another one has it."""
        return self._mark(message, {"due_at": due_at, "due_shard": _shard(message, due_at, shard)})

    def clear_outbox(
        self, message: Message, *, left: frozenset[str] = frozenset(), due_at: int | None, shard: str = "send"
    ) -> Message | None:
        """Store what is left in the outbox, and when the message is due next. None if it changed since it was read."""
        values: dict[str, Any] = {"announce": left}
        if due_at != message.due_at:  # an entry of the index that stays costs nothing
            values |= {"due_at": due_at, "due_shard": _shard(message, due_at, shard) if due_at else None}
        return self._mark(message, values)

    # --- building blocks -------------------------------------------------------------------------------------------

    def _own(self, transition: Transition) -> Change | Put:
        """The message's own write."""
        before, after = transition.before, transition.after
        if before.is_new:
            return self._put(after)
        old, new = message_item(before, 0), message_item(after, 0)
        return Change(
            table=self._messages,
            key=message_key(before.message_id),
            condition=_condition(transition),
            set={name: value for name, value in new.items() if value != old[name] or name in _ALWAYS_WRITTEN},
        )

    def _put(self, message: Message) -> Put:
        ttl = kept_until(message.created_at, self._retention_days)
        return Put(table=self._messages, item=message_item(message, ttl), condition=Attr("message_id").not_exists())

    def _beside(self, transition: Transition, *, not_canceled: bool = False) -> list[Change | Put]:
        """What is written with a message's first write and its claims: its place in its group, and with the first the
        time by which an answer is expected.
        """
        message, is_new = transition.after, transition.before.is_new
        changes: list[Change | Put] = []
        if is_new or not_canceled:
            changes += self._membership(message, not_canceled=not_canceled)
        if is_new and message.answer_by is not None:
            ttl = kept_until(message.answer_by, self._retention_days)
            changes.append(Put(table=self._messages, item=expected_answer_item(message, ttl)))
        return changes

    def _membership(self, message: Message, *, not_canceled: bool = False) -> list[Change]:
        # From this write on: an older message is often claimed after a newer one was stored.
        ttl = kept_until(message.status_at or message.created_at, self._retention_days)
        return membership(message, self._messages, ttl, not_canceled=not_canceled)

    def _slot_changes(self, transition: Transition) -> tuple[Change | None, list[Change]]:
        """What the step does to the contact's row, and to the inbound message that a reply answers."""
        message = transition.before
        if message.holds_slot:
            match transition.step.slot:
                case Slot.REFUNDED:
                    return self._slots.refund(message)
                case Slot.OPENS_LATER:
                    return self._slots.accepted(message, transition.after.accepted_at or 0), []
                case Slot.RELEASED:
                    return self._slots.release(message), []
        return None, []

    def _write(self, own: Change | Put, slot: Change | None, *others: Change | Put) -> bool:
        try:
            if slot is None and not others:
                self._db.write(own)
            else:
                self._db.transact(own, *others, *((slot,) if slot else ()))
        except ConditionFailed as failed:
            only_the_slot = slot is not None and not any(failed.failed[:-1])
            return only_the_slot and self._write(own, None, *others)
        return True

    def _mark(self, message: Message, values: dict[str, Any]) -> Message | None:
        """Change something beside the status, if nothing changed since the message was read."""
        unchanged = (
            Attr("status").eq(message.status) & same("attempt", message.attempt) & same("due_at", message.due_at)
        )
        try:
            item = self._db.write(
                Change(table=self._messages, key=message_key(message.message_id), condition=unchanged, set=values)
            )
        except ConditionFailed:
            return None
        return message_from(item)


def _condition(transition: Transition) -> Any:
    """What must still hold of the stored message for the step to be taken."""
    before, step = transition.before, transition.step
    condition = Attr("status").is_in(sorted(step.sources)) & same("attempt", before.attempt)
    if step.stoppable or transition.successor:
        condition &= Attr("stop").not_exists()
    if transition.successor and not step.stoppable:
        condition &= Attr("continued_as").not_exists()
    if step in (CLAIM, FENCE):
        condition &= absent_or("expires_at", Attr("expires_at").gt(transition.after.status_at))
    if step is CLAIM:
        condition &= Attr("attempts").eq(before.attempts)
    if step is DEFER:  # of two workers that find that it must wait, one says so
        condition &= same("due_at", before.due_at)
    return condition


def _why_lost(failed: ConditionFailed, claimed: Message) -> ClaimLost:
    """The conditions, in order: the message's, the contact's, the inbound message's for a reply, the group's if any."""
    own, contact, *_ = failed.items
    is_reply = claimed.kind is SendKind.REPLY
    if failed.failed[0]:
        return ClaimLost(message=message_from(own) if own else None)
    if claimed.group and failed.failed[3 if is_reply else 2]:
        return ClaimLost(group_canceled=True)
    if is_reply and failed.failed[2]:
        return ClaimLost(inbound_refused=True)
    in_flight = bool(contact and contact.get("reply_inflight")) and is_reply
    return ClaimLost(contact=contact_from(contact) if contact else None, reply_in_flight=in_flight)


def _shard(message: Message, due_at: int, kind: str) -> str:
    """The shard of a message that will be due then. `kind`: `send`, or `status` where only Twilio is asked."""
    return replace(message, due_at=due_at).sweep_shard if kind == "send" else shard_of(kind, message.contact_id)
