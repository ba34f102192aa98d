"""Answers that callers expect by some time: an item beside the message, due in the shards `answer#…`."""

from collections.abc import Iterator
from dataclasses import replace

from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Item
from whatsapp.adapters.dynamodb.due import due_items
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.sending.message import Message, shard_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedAnswer:
    """The message that is to be answered, and when it is looked at (epoch ms)."""

    message_id: str
    due_at: int


class AnswerStore:
    """Expected answers until they are settled. The first write of a message stores its own."""

    def __init__(self, db: DynamoDB, messages_table: str) -> None:
        self._db = db
        self._messages = messages_table

    def due(self, shard: str, until: int) -> Iterator[ExpectedAnswer]:
        """Those that are due. A hint: `postpone` decides."""
        for item in due_items(self._db, self._messages, shard, until):
            yield ExpectedAnswer(message_id=item["message_id"], due_at=item["due_at"])

    def postpone(self, expected: ExpectedAnswer, due_at: int) -> ExpectedAnswer | None:
        """Move it before acting on it, so that two sweeps at once act on it once. None: another one has it."""
        return replace(expected, due_at=due_at) if self._write(expected, due_at=due_at) else None

    def settle(self, expected: ExpectedAnswer) -> None:
        """It is answered, or its caller has heard that it is not."""
        self._write(expected, due_at=None, due_shard=None)

    def _write(self, expected: ExpectedAnswer, **values: int | None) -> bool:
        unchanged = Attr("due_at").eq(expected.due_at)
        change = Change(table=self._messages, key=_key(expected.message_id), set=values, condition=unchanged)
        try:
            self._db.write(change)
        except ConditionFailed:
            return False
        return True


def expected_answer_item(message: Message, ttl: int) -> Item:
    """The item of a message with `answer_by`."""
    shard = shard_of("answer", message.contact_id)
    return {**_key(message.message_id), "due_shard": shard, "due_at": message.answer_by, "ttl": ttl}


def _key(message_id: str) -> dict[str, str]:
    return {"message_id": message_id, "entry": "answer"}
