"""Our sender's state in DynamoDB: one item among the messages."""

from contextlib import suppress
from typing import Any

from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Item, absent_or
from whatsapp.domain import periods
from whatsapp.domain.sending.sender import Sender

SENDER_KEY = {"message_id": "sender", "entry": "sender"}
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
        )
