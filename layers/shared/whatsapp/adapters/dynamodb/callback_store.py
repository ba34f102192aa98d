"""Status callbacks in DynamoDB: each is an entry beside its message; what changes it is marked until processed."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Put
from whatsapp.adapters.dynamodb.due import due_items
from whatsapp.adapters.dynamodb.items import kept_until
from whatsapp.domain import periods
from whatsapp.domain.ports import StatusUpdate
from whatsapp.domain.sending.message import shard_of


class CallbackStore:
    """Status callbacks, each stored once."""

    def __init__(self, db: DynamoDB, messages_table: str, retention_days: int) -> None:
        self._db = db
        self._messages = messages_table
        self._retention_days = retention_days

    def put(self, update: StatusUpdate, now: int, *, is_done: bool = False) -> bool:
        """Store a callback once. True if it is new, or an earlier delivery of it did not finish.

        `is_done`: it changes nothing, so no sweep has to finish it.
        """
        marker = {"due_shard": shard_of("publish", update.message_id), "due_at": now + periods.OUTBOX_RETRY}
        item = {
            **_key(update),
            "update": {name: value for name, value in asdict(update).items() if value is not None},
            "noted_at": now,
            "ttl": kept_until(now, self._retention_days),
            **({} if is_done else marker),
        }
        try:
            self._db.write(Put(table=self._messages, item=item, condition=Attr("message_id").not_exists()))
        except ConditionFailed as failed:
            return bool(failed.items[0] and failed.items[0].get("due_at"))
        return True

    def done(self, update: StatusUpdate) -> None:
        """Clear the marker."""
        self._db.write(Change(table=self._messages, key=_key(update), set={"due_at": None, "due_shard": None}))

    def unfinished(self, shard: str, until: int) -> Iterator[StatusUpdate]:
        """Callbacks that should have been processed by that time, page by page."""
        yield from map(_update_from, due_items(self._db, self._messages, shard, until, "status#"))


def _key(update: StatusUpdate) -> dict[str, str]:
    return {"message_id": update.message_id, "entry": f"status#{update.attempt}#{update.twilio_sid}#{update.status}"}


def _update_from(item: dict[str, Any]) -> StatusUpdate:
    return StatusUpdate(**item["update"])
