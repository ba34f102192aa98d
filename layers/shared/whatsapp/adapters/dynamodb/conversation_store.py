"""A contact's messages in order of time, both directions, page by page."""

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from whatsapp.adapters.dynamodb.client import Attr, DynamoDB, Item
from whatsapp.adapters.dynamodb.items import MESSAGE_ENTRY, message_from, message_key
from whatsapp.domain.errors import MessagingError

Place = tuple[int, str]
"""A message's place in a conversation: its time (epoch ms), then its id."""

_SHOWN = (
    "message_id",
    "direction",
    "at",
    "text",
    "media_url",
    "kind",
    "template",
    "language",
    "agent",
    "user_id",
    "twilio_sid",
    "in_reply_to",
    "button_text",
    "button_payload",
    "choice",
    "choices",
    "reaction",
    "forwarded",
    "frequently_forwarded",
    "referral",
    "profile_name",
    "more",
    "continues",
    "continued_as",
)


class ConversationStore:
    """A contact's messages in order of time."""

    def __init__(self, db: DynamoDB, messages_table: str, media_url: Callable[[str], str]) -> None:
        self._db = db
        self._media_url = media_url
        self._messages = messages_table

    def page(
        self, contact_ids: Sequence[str], limit: int, before: str | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """The newest `limit` messages before a cursor, oldest first, and the cursor of the page before.

        `contact_ids`: the contact's own and its aliases'.
        """
        shown, next_before = self._places(contact_ids, limit, before)
        found = self._db.get_many(self._messages, [message_key(message_id) for _, message_id in shown])
        views = [self._view(item) for item in sorted(found, key=lambda item: (item["at"], item["message_id"]))]
        return views, next_before

    def kept(self, contact_ids: Sequence[str], limit: int, before: str | None) -> tuple[list[Item], str | None]:
        """As `page`, with all attributes of each message, a link to each file, and the message's status callbacks."""
        shown, next_before = self._places(contact_ids, limit, before)
        return [message for _, message_id in shown for message in self._whole(message_id)], next_before

    def _whole(self, message_id: str) -> Iterator[Item]:
        """The message, unless it is gone since the index was read."""
        entries = list(self._db.query_all(self._messages, Attr("message_id").eq(message_id)))
        for item in entries:
            if item["entry"] == MESSAGE_ENTRY:
                callbacks = [entry for entry in entries if entry is not item]
                media = [{**one, "url": self._link(one)} for one in item.get("media", ())]
                yield {**item, **({"media": media} if media else {}), "callbacks": callbacks}

    def _link(self, medium: dict[str, Any]) -> str | None:
        return self._media_url(medium["key"]) if medium.get("key") else None

    def _places(self, contact_ids: Sequence[str], limit: int, before: str | None) -> tuple[list[Place], str | None]:
        cursor = _place_of(before) if before else None
        places = sorted(place for contact_id in contact_ids for place in self._newest(contact_id, limit + 1, cursor))
        shown = places[-limit:]
        return shown, _cursor_of(shown[0]) if len(places) > limit else None

    def _newest(self, contact_id: str, enough: int, cursor: Place | None) -> list[Place]:
        """At least that many places before the cursor, newest first. Messages of the same millisecond come together."""
        own = Attr("contact_id").eq(contact_id)
        span = own & Attr("at").lte(cursor[0]) if cursor else own
        places: list[Place] = []
        for item in self._db.query_all(self._messages, span, index="conversation", newest_first=True):
            if len(places) >= enough and item["at"] < places[-1][0]:
                break
            place = (item["at"], item["message_id"])
            if cursor is None or place < cursor:
                places.append(place)
        return places

    def _view(self, item: Item) -> dict[str, Any]:
        shown = {name: item[name] for name in _SHOWN if item.get(name) is not None}
        if item.get("error"):
            shown["error"] = item["error"]
        if item["direction"] == "outbound":
            return {**shown, "status": message_from(item).status.public_status}
        if "flow" in item:
            shown["flow"] = json.loads(item["flow"])
        media = [self._medium(n, medium) for n, medium in enumerate(item.get("media") or ())]
        return {**shown, "status": "received", "media": media, "location": item.get("location")}

    def _medium(self, index: int, medium: dict[str, Any]) -> dict[str, Any]:
        shown = {name: medium.get(name) for name in ("content_type", "status", "key", "size", "reason")}
        shown["content_type"] = medium.get("stored_type") or shown["content_type"]
        return {"index": index, **shown, "url": self._link(medium)}


def _cursor_of(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _place_of(cursor: str) -> Place:
    try:
        at, message_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        at = message_id = None
    if type(at) is not int or not 0 <= at < 1 << 53 or not isinstance(message_id, str):
        raise MessagingError("invalid_request", "before: give back `next_before` of the page after, unchanged")
    return at, message_id
