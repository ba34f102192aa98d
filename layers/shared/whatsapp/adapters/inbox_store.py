"""Inbound messages in DynamoDB: stored once, together with what they change on the contact."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from whatsapp.adapters.dynamodb import Attr, Change, ConditionFailed, DynamoDB, Key, Put
from whatsapp.adapters.items import MESSAGE_ENTRY, message_key
from whatsapp.domain.contact import Contact
from whatsapp.domain.events import Location
from whatsapp.domain.inbound import Inbound, InboundMedium

DAY_S = 86_400
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
                raise
            return inbound_from(failed.items[0])
        return None

    def published(self, inbound: Inbound) -> None:
        """Clear the outbox marker."""
        self._db.write(
            Change(
                table=self._messages,
                key=message_key(inbound.message_id),
                set={"due_at": None, "due_shard": None},
            )
        )

    def unpublished(self, shard: str, until: int) -> Sequence[Inbound]:
        """What has waited for the bus until that time. A hint: the index lags."""
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
        if inbound.opt == "out":
            changes["opted_out_at"] = inbound.received_at
        elif inbound.opt == "in":
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
    item |= {"media": item["media"] or None, "more": inbound.more or None}
    return {
        **item,
        "entry": MESSAGE_ENTRY,
        "direction": "inbound",
        "status": "received",
        "at": inbound.received_at,
    }


def inbound_from(item: dict[str, Any]) -> Inbound:
    """An inbound message from its item."""
    values = {name: value for name, value in item.items() if name in _FIELDS}
    values["media"] = tuple(
        InboundMedium(url=m["url"], content_type=m["content_type"]) for m in item.get("media") or ()
    )
    if place := item.get("location"):
        values["location"] = Location(
            latitude=float(place["latitude"]),
            longitude=float(place["longitude"]),
            label=place.get("label"),
            address=place.get("address"),
        )
    return Inbound(**values)
