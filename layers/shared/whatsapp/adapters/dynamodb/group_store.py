"""Groups in the table of messages: one item a group, which names its messages and says when it was last canceled."""

from typing import Any

from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Item, absent_or
from whatsapp.adapters.dynamodb.items import kept_until
from whatsapp.domain.sending.group import Group
from whatsapp.domain.sending.message import Message


class GroupStore:
    """A group's item is written with each first write and each claim of its messages."""

    def __init__(self, db: DynamoDB, messages_table: str, retention_days: int) -> None:
        self._db = db
        self._messages = messages_table
        self._retention_days = retention_days

    def get(self, name: str) -> Group | None:
        """The group; None if nothing was ever sent or canceled under this name."""
        item = self._db.get(self._messages, group_key(name))
        return group_from(name, item) if item else None

    def cancel(self, name: str, until: int) -> Group:
        """Note that what was asked for until then is not to be sent. From now on no claim of it holds."""
        change = Change(
            table=self._messages,
            key=group_key(name),
            set={"canceled_at": until, "ttl": kept_until(until, self._retention_days)},
            condition=absent_or("canceled_at", Attr("canceled_at").lt(until)),
        )
        try:
            return group_from(name, self._db.write(change))
        except ConditionFailed as failed:  # another cancel ends later
            return group_from(name, failed.items[0] or {})


def group_key(name: str) -> dict[str, str]:
    """The key of a group's item."""
    return {"message_id": f"group#{name}", "entry": "group"}


def group_from(name: str, item: Item) -> Group:
    """A group from its item."""
    ids = frozenset(item.get("message_ids", ()))
    return Group(name=name, message_ids=ids, canceled_at=item.get("canceled_at"))


def membership(message: Message, table: str, ttl: int, *, not_canceled: bool = False) -> list[Change]:
    """Name the message in its group's item, if it has a group.

    `not_canceled`: only if the group was not canceled since the message was asked for.
    """
    if message.group is None:
        return []
    not_since: Any = absent_or("canceled_at", Attr("canceled_at").lte(message.after_cancel or 0))
    return [
        Change(
            table=table,
            key=group_key(message.group),
            condition=not_since if not_canceled else None,
            set={"ttl": ttl},
            add={"message_ids": {message.message_id}},
        )
    ]
