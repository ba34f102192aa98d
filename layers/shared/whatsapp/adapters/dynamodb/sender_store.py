"""Our sender's state in DynamoDB: one item among the messages."""

from contextlib import suppress
from dataclasses import fields
from functools import reduce
from operator import and_
from typing import Any

from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Item, absent_or
from whatsapp.domain import periods
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.sender import Sender
from whatsapp.domain.sending.throttle import Throttle, throttle_after
from whatsapp.domain.sending.twilio_codes import Row

SENDER_KEY = {"message_id": "sender", "entry": "sender"}
_THROTTLE_FIELDS = [field.name for field in fields(Throttle)]
_NO_RECOVERY = {"recovery_of": None, "recovery_at": None}


class SenderStore:
    """The one sender that this stack sends from.

    The item says which tables it belongs to. Where it names others, the tables are a restored copy: what it shows as
    waiting may have gone out since.
    """

    def __init__(self, db: DynamoDB, messages_table: str, contacts_table: str) -> None:
        self._db = db
        self._messages = messages_table
        self._tables = f"{messages_table} {contacts_table}"

    def get(self) -> Sender:
        """The state, read consistently: whoever sends after `hold` has returned finds it held."""
        return self.sender_from(self._db.get(self._messages, SENDER_KEY) or {})

    def mark(self) -> None:
        """Say which tables these are, unless they say so already."""
        with suppress(ConditionFailed):
            self._change(set={"tables": self._tables}, condition=Attr("tables").not_exists())

    def hold(self, now: int) -> int:
        """Hold all sending; returns since when it is held."""
        try:
            return int(self._change(set={"held_at": now}, condition=Attr("held_at").not_exists())["held_at"])
        except ConditionFailed:
            return self.get().held_at or self.hold(now)

    def release(self) -> Sender:
        """Let what waits go. Restored tables stay held until they are settled."""
        return self.sender_from(self._change(set={"held_at": None, **_NO_RECOVERY}))

    def begin_recovery(self, now: int) -> int:
        """Hold all sending while these tables are settled; returns since when they are."""
        self.hold(now)
        item = self._db.get(self._messages, SENDER_KEY) or {}
        if item.get("recovery_of") == self._tables:  # a copy has the one of its original
            return int(item["recovery_at"])
        self._change(set={"recovery_of": self._tables, "recovery_at": now})
        return now

    def release_restored(self, since: int, settled_at: int) -> None:
        """Let what waits go: these tables, restored to `since`, are the ones in use from now on.

        `settled_at`: when the run began that found all of it settled. Requests of the time between may be in a queue.
        """
        item = self._db.get(self._messages, SENDER_KEY) or {}
        lost = {"lost_from": since, "lost_until": item.get("recovery_at", settled_at), "settled_at": settled_at}
        self._change(set={"held_at": None, "tables": self._tables, **lost, **_NO_RECOVERY})

    def unanswered(self, now: int) -> Sender:
        """Twilio did not answer a POST. Returns the state after it."""
        return self.sender_from(self._change(add={"unanswered": 1}, set={"asks_at": now + periods.ASK_AGAIN}))

    def answered(self) -> None:
        """Twilio answered a POST."""
        self._change(set={"unanswered": None, "asks_at": None})

    def may_ask(self, now: int) -> bool:
        """Whether this worker is to ask if Twilio answers again: one in `ASK_AGAIN` is."""
        due = absent_or("asks_at", Attr("asks_at").lte(now))
        try:
            self._change(set={"asks_at": now + periods.ASK_AGAIN}, condition=due)
        except ConditionFailed:
            return False
        return True

    def refused(self, row: Row, message: Message, now: int) -> None:
        """A message was refused, or failed, with a code that binds our sender. Of several at once one is noted."""
        known = self.get().throttle
        if new := throttle_after(known, row, message, now):
            self._replace(known, new)

    def ids_refused(self, now: int) -> None:
        """Twilio refused a business-scoped id as `To`."""
        self._change(set={"ids_refused_at": now})

    def book_probe(self, throttle: Throttle, now: int) -> Throttle | None:
        """Whether this worker's message is to try if the limit still stands: one in each pause is."""
        probed = throttle.probed(now)
        return probed if throttle.may_probe(now) and self._replace(throttle, probed) else None

    def probe_accepted(self, probed: Throttle, now: int) -> None:
        """Twilio accepted the probe."""
        self._replace(probed, probed.accepted(now))

    def _replace(self, known: Throttle | None, new: Throttle) -> bool:
        """Store the limit, unless it changed since it was read."""
        old = _throttle_item(known)
        unchanged = [Attr(name).not_exists() if value is None else Attr(name).eq(value) for name, value in old.items()]
        try:
            self._change(set=_throttle_item(new), condition=reduce(and_, unchanged))
        except ConditionFailed:
            return False
        return True

    def _change(self, **change: Any) -> Item:
        return self._db.write(Change(table=self._messages, key=SENDER_KEY, **change))

    def sender_from(self, item: Item) -> Sender:
        """The state, from its item."""
        tables = item.get("tables")
        return Sender(
            held_at=item.get("held_at"),
            is_restored=tables not in (None, self._tables),
            is_marked=tables is not None,
            lost_from=item.get("lost_from"),
            lost_until=item.get("lost_until"),
            settled_at=item.get("settled_at"),
            unanswered=item.get("unanswered", 0),
            asks_at=item.get("asks_at"),
            ids_refused_at=item.get("ids_refused_at"),
            throttle=_throttle_from(item),
        )


def _throttle_item(throttle: Throttle | None) -> dict[str, int | None]:
    return {f"throttle_{name}": getattr(throttle, name, None) for name in _THROTTLE_FIELDS}


def _throttle_from(item: Item) -> Throttle | None:
    values: dict[str, Any] = {name: item.get(f"throttle_{name}") for name in _THROTTLE_FIELDS}
    return Throttle(**values) if values["code"] else None
