"""Domain values as items and back. Attribute names are the field names; an absent attribute is the field's default."""

from dataclasses import asdict, fields
from typing import Any

from whatsapp.domain.contact import Contact, OptWord
from whatsapp.domain.errors import Failure
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, SendKind

MESSAGE_ENTRY = "message"
"""The sort key of a message itself; its status callbacks are `status#…` beside it."""

_STORED_AS = {"claimed_at": "t0", "kind": "lane", "outbox": "announce", "waiting_since": "throttled_since"}
"""The attributes of a message whose name is not the field's: older records have them."""
_MESSAGE_FIELDS = [f.name for f in fields(Message)]
_CONTACT_FIELDS = {f.name for f in fields(Contact)}


def kept_until(at: int, retention_days: int) -> int:
    """The `ttl` of what happened at `at` (epoch ms): epoch seconds, as DynamoDB wants them. Never a condition."""
    return at // 1000 + retention_days * 86_400


def message_key(message_id: str) -> dict[str, str]:
    """The key of a message's own item."""
    return {"message_id": message_id, "entry": MESSAGE_ENTRY}


def message_item(message: Message, ttl: int) -> dict[str, Any]:
    """An outgoing message's item; `at` places it in the conversation."""
    item = {_STORED_AS.get(name, name): getattr(message, name) for name in _MESSAGE_FIELDS}
    if message.error:
        item["error"] = {name: value for name, value in asdict(message.error).items() if value is not None}
    item["variables"] = message.variables or None
    item["choices"] = message.choices or None
    item["contact_id"] = message.contact_id or None  # a tombstone has none, and an index key cannot be empty
    return {**item, "entry": MESSAGE_ENTRY, "direction": "outbound", "at": message.created_at, "ttl": ttl}


def message_from(item: dict[str, Any]) -> Message:
    """An outgoing message from its item."""
    values = {name: item[stored] for name in _MESSAGE_FIELDS if (stored := _STORED_AS.get(name, name)) in item}
    values.setdefault("contact_id", "")
    values.setdefault("to", "")  # erased
    values["status"] = Status(item["status"])
    values["kind"] = SendKind(item.get("lane", SendKind.PROACTIVE))
    values["outbox"] = frozenset(item.get("announce", ()))
    values["error"] = Failure(**item["error"]) if item.get("error") else None
    return Message(**values)


def contact_from(item: dict[str, Any]) -> Contact:
    """A contact from its item."""
    values = {name: value for name, value in item.items() if name in _CONTACT_FIELDS}
    words = tuple(OptWord(**word) for word in item.get("opt_words", ()))
    written_to = {written["user_id"]: written["at"] for written in item.get("written_to", ())}
    sets = {"aliases": frozenset(item.get("aliases", ())), "opt_words": words, "written_to": written_to}
    return Contact(**{**values, **sets})


def written_to_items(written_to: dict[str, int]) -> list[dict[str, Any]] | None:
    """A contact's `written_to` as it is stored."""
    return [{"user_id": user_id, "at": at} for user_id, at in written_to.items()] or None
