"""Inbound messages in DynamoDB: stored once, together with what they change on the contact."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from whatsapp.adapters.dynamodb import Attr, Change, ConditionFailed, DynamoDB, Key, Put
from whatsapp.adapters.items import MESSAGE_ENTRY, message_key
from whatsapp.domain.contact import Contact
from whatsapp.domain.events import Location
from whatsapp.domain.inbound import Inbound, InboundMedium
from whatsapp.domain.message import shard_of
from whatsapp.domain.ports import ContactMovedError

DAY_S = 86_400
MEDIA_AGAIN_MS = 240_000
"""Media that are still at Twilio after this long are fetched again: the bus's rule may have failed."""
_FIELDS = {f.name for f in fields(Inbound)}


class DynamoInboxStore:
    """The `InboxStore` port."""

    def __init__(self, db: DynamoDB, messages_table: str, contacts_table: str, retention_days: int) -> None:
        self._db = db
        self._messages = messages_table
        self._contacts = contacts_table
        self._retention_days = retention_days

    def get(self, message_id: str) -> Inbound | None:
        """The inbound message with this sid of Twilio's."""
        item = self._db.get(self._messages, message_key(message_id))
        return inbound_from(item) if item and item.get("direction") == "inbound" else None

    def put(self, inbound: Inbound, contact: Contact) -> Inbound | None:
        """Store message, marker, window and any opt-out in one transaction. The stored one if it was there."""
        item = {**inbound_item(inbound), "ttl": inbound.received_at // 1000 + self._retention_days * DAY_S}
        put = Put(table=self._messages, item=item, condition=Attr("message_id").not_exists())
        try:
            self._db.transact(put, self._contact_change(inbound, contact))
        except ConditionFailed as failed:
            if failed.items[0] is None:
                raise ContactMovedError from None
            return inbound_from(failed.items[0])
        return None

    def published(self, inbound: Inbound, now: int) -> None:
        """Clear the outbox marker; while media are pending, one of theirs takes its place."""
        waits = inbound.media_pending
        marker = {
            "due_shard": shard_of("media", inbound.contact_id) if waits else None,
            "due_at": now + MEDIA_AGAIN_MS if waits else None,
        }
        self._db.write(Change(table=self._messages, key=message_key(inbound.message_id), set=marker))

    def note_media(self, inbound: Inbound, media: Sequence[InboundMedium]) -> None:
        """Note what became of the media; the marker goes when none is pending."""
        changes: dict[str, Any] = {"media": [_medium_item(medium) for medium in media]}
        if not any(medium.status == "pending" for medium in media):
            changes |= {"due_shard": None, "due_at": None}
        key = message_key(inbound.message_id)
        self._db.write(Change(table=self._messages, key=key, set=changes, condition=Attr("media").exists()))

    def due(self, shard: str, until: int) -> Sequence[Inbound]:
        """What has waited in a shard until that time. A hint: the index lags."""
        page = self._db.query(self._messages, Key("due_shard").eq(shard) & Key("due_at").lte(until), index="due")
        keys = [message_key(item["message_id"]) for item in page.items if item["entry"] == MESSAGE_ENTRY]
        return [
            inbound_from(item) for item in self._db.get_many(self._messages, keys) if item.get("due_shard") == shard
        ]

    def book(self, inbound: Inbound, due_at: int) -> bool:
        """Move the marker before publishing, so that two sweeps at once publish once."""
        try:
            self._db.write(
                Change(
                    table=self._messages,
                    key=message_key(inbound.message_id),
                    set={"due_at": due_at},
                    condition=Attr("due_at").eq(inbound.due_at),
                )
            )
        except ConditionFailed:
            return False
        return True

    def _contact_change(self, inbound: Inbound, contact: Contact) -> Change:
        changes: dict[str, Any] = {
            "last_inbound_at": max(inbound.received_at, contact.last_inbound_at or 0),
            "address": inbound.address,
            "suppressed_code": None,  # who writes to us can be reached
        }
        # A backfilled STOP must not undo a START that was sent after it, nor the other way round.
        if inbound.opt == "out" and inbound.received_at > (contact.opted_in_at or 0):
            changes["opted_out_at"] = inbound.received_at
        elif inbound.opt == "in" and inbound.received_at > (contact.opted_out_at or 0):
            changes |= {"opted_out_at": None, "opted_in_at": inbound.received_at, "opt_in_source": "message"}
        return Change(
            table=self._contacts,
            key={"contact_id": contact.contact_id},
            set=changes,
            condition=Attr("alias_of").not_exists(),
        )


def inbound_item(inbound: Inbound) -> dict[str, Any]:
    """An inbound message's item; `at` places it in the conversation."""
    item = asdict(inbound)
    if inbound.location:  # DynamoDB takes no floats
        item["location"] |= {
            "latitude": str(inbound.location.latitude),
            "longitude": str(inbound.location.longitude),
        }
    item |= {"media": [_medium_item(medium) for medium in inbound.media] or None, "more": inbound.more or None}
    return {
        **item,
        "entry": MESSAGE_ENTRY,
        "direction": "inbound",
        "status": "received",
        "at": inbound.received_at,
    }


def _medium_item(medium: InboundMedium) -> dict[str, Any]:
    return {name: value for name, value in asdict(medium).items() if value is not None}


def inbound_from(item: dict[str, Any]) -> Inbound:
    """An inbound message from its item."""
    values = {name: value for name, value in item.items() if name in _FIELDS}
    values.setdefault("address", "")  # erased
    values["media"] = tuple(InboundMedium(**medium) for medium in item.get("media") or ())
    if place := item.get("location"):
        values["location"] = Location(
            latitude=float(place["latitude"]),
            longitude=float(place["longitude"]),
            label=place.get("label"),
            address=place.get("address"),
        )
    return Inbound(**values)
