"""Our sender's state in DynamoDB: one item among the messages."""

from typing import Any

from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Item, absent_or
from whatsapp.domain import periods
from whatsapp.domain.sending.sender import Sender

SENDER_KEY = {"message_id": "sender", "entry": "sender"}


class SenderStore:
    """The one sender that this stack sends from."""

    def __init__(self, db: DynamoDB, messages_table: str) -> None:
        self._db = db
        self._messages = messages_table

    def get(self) -> Sender:
        """The state, read consistently: whoever sends after `hold` has returned finds it held."""
        return sender_from(self._db.get(self._messages, SENDER_KEY) or {})

    def hold(self, now: int) -> int:
        """Hold all sending; returns since when it is held."""
        try:
            return int(self._change(set={"held_at": now}, condition=Attr("held_at").not_exists())["held_at"])
        except ConditionFailed:
            return self.get().held_at or self.hold(now)

    def release(self) -> None:
        """Let what waits go."""
        self._change(set={"held_at": None})

    def unanswered(self, now: int) -> Sender:
        """Twilio did not answer a POST. Returns the state after it."""
        return sender_from(self._change(add={"unanswered": 1}, set={"asks_at": now + periods.ASK_AGAIN}))

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


def sender_from(item: Item) -> Sender:
    """The sender's state from its item."""
    return Sender(held_at=item.get("held_at"), unanswered=item.get("unanswered", 0), asks_at=item.get("asks_at"))
