"""A contact's messages in order of time, both directions, page by page."""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from whatsapp.adapters.dynamodb import DynamoDB, Item, Key
from whatsapp.adapters.items import message_from, message_key
from whatsapp.domain.errors import MessagingError

_SHOWN = (
    "message_id",
    "direction",
    "at",
    "text",
    "kind",
    "template",
    "language",
    "agent",
    "user_id",
    "twilio_sid",
    "in_reply_to",
    "button_text",
    "button_payload",
    "profile_name",
    "continues",
    "continued_as",
)


class DynamoConversationStore:
    """The `ConversationStore` port."""

    def __init__(self, db: DynamoDB, messages_table: str, media_url: Callable[[str], str]) -> None:
        self._db = db
        self._media_url = media_url
        self._messages = messages_table

    def page(self, contact_id: str, limit: int, before: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """The newest `limit` messages before a mark, oldest of them first, and the mark of the page before."""
        page = self._db.query(
            self._messages,
            Key("contact_id").eq(contact_id),
            index="conversation",
            limit=limit,
            newest_first=True,
            start=_start(before, contact_id),
        )
        keys = [message_key(item["message_id"]) for item in page.items]
        found = sorted(self._db.get_many(self._messages, keys), key=lambda item: (item["at"], item["message_id"]))
        return [self._face(item) for item in found], _mark(page.next_key)

    def _face(self, item: Item) -> dict[str, Any]:
        shown = {name: item[name] for name in _SHOWN if item.get(name) is not None}
        if item.get("error"):
            shown["error"] = item["error"]
        if item["direction"] == "outbound":
            return {**shown, "status": message_from(item).status.face}
        media = [self._medium(n, medium) for n, medium in enumerate(item.get("media") or ())]
        return {**shown, "status": "received", "media": media, "location": item.get("location")}

    def _medium(self, index: int, medium: dict[str, Any]) -> dict[str, Any]:
        shown = {name: medium.get(name) for name in ("content_type", "status", "key", "size", "reason")}
        url = self._media_url(medium["key"]) if medium.get("key") else None
        return {"index": index, **shown, "url": url}


def _mark(key: dict[str, Any] | None) -> str | None:
    if not key:
        return None
    return base64.urlsafe_b64encode(json.dumps([key["at"], key["message_id"]]).encode()).decode()


def _start(mark: str | None, contact_id: str) -> dict[str, Any] | None:
    if not mark:
        return None
    try:
        at, message_id = json.loads(base64.urlsafe_b64decode(mark.encode()))
        return {"contact_id": contact_id, "at": int(at), **message_key(str(message_id))}
    except (binascii.Error, ValueError, TypeError):
        raise MessagingError(
            "invalid_request", "before: give back `next_before` of the page after, unchanged"
        ) from None
