"""Inbound messages in DynamoDB: stored once, together with what they change on the contact."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any, Literal

from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Key, Put, absent_or
from whatsapp.adapters.dynamodb.items import MESSAGE_ENTRY, kept_until, message_key
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.events import Location
from whatsapp.domain.receiving.inbound import InboundMedium, InboundMessage
from whatsapp.domain.sending.message import shard_of

_RECONCILE = {"message_id": "reconcile", "entry": "mark"}
_FIELDS = {f.name for f in fields(InboundMessage)}


class ContactMovedError(Exception):
    """The contact's row changed since it was read, or became an alias of another: read it again."""


class InboxStore:
    """Inbound messages, each with an outbox marker until it is on the bus."""

    def __init__(self, db: DynamoDB, messages_table: str, contacts_table: str, retention_days: int) -> None:
        self._db = db
        self._messages = messages_table
        self._contacts = contacts_table
        self._retention_days = retention_days

    def get(self, message_id: str) -> InboundMessage | None:
        """The inbound message with this sid of Twilio's."""
        item = self._db.get(self._messages, message_key(message_id))
        return inbound_from(item) if item and item.get("direction") == "inbound" else None

    def missing(self, message_ids: Sequence[str]) -> set[str]:
        """The ids that were never stored, as of a moment ago. An erased message counts as stored."""
        keys = [message_key(message_id) for message_id in set(message_ids)]
        stored = self._db.get_many(self._messages, keys, "message_id")
        return set(message_ids) - {item["message_id"] for item in stored}

    def put(self, inbound: InboundMessage, contact: Contact) -> InboundMessage | None:
        """Store message, outbox marker, window and opt-out in one transaction. Returns the message stored before.

        Raises:
            ContactMovedError: the contact's row is no longer as `contact` shows it.
        """
        item = {**inbound_item(inbound), "ttl": kept_until(inbound.received_at, self._retention_days)}
        put = Put(table=self._messages, item=item, condition=Attr("message_id").not_exists())
        try:
            self._db.transact(put, self._contact_change(inbound, contact))
        except ConditionFailed as failed:
            if failed.items[0] is None:
                raise ContactMovedError from None
            return inbound_from(failed.items[0])
        return None

    def record_published(self, inbound: InboundMessage, now: int) -> None:
        """Clear the outbox marker, or replace it by the media marker while media are pending."""
        self._mark(inbound, now + periods.MEDIA_FIRST_SWEEP if inbound.media_pending else None, {}, not_published())

    def record_media(self, inbound: InboundMessage, media: Sequence[InboundMedium], due_at: int | None) -> bool:
        """Store what became of the media, and when the sweep looks again. False if another worker was faster."""
        seen = _is("media", _media_items(inbound.media))
        changes = {"media": _media_items(media)}
        # Only the publisher clears the outbox marker: some event of the message may not be published yet.
        return self._mark(inbound, due_at, changes, seen & ~not_published()) or self._write(inbound, changes, seen)

    def due(self, shard: str, until: int) -> Iterator[InboundMessage]:
        """The messages of a shard that are due by that time, page by page. A hint: the index lags."""
        span = Key("due_shard").eq(shard) & Key("due_at").lte(until)
        for page in self._db.pages(self._messages, span, index="due"):
            keys = [message_key(item["message_id"]) for item in page if item["entry"] == MESSAGE_ENTRY]
            yield from (inbound_from(i) for i in self._db.get_many(self._messages, keys) if i.get("due_shard") == shard)

    def postpone(self, inbound: InboundMessage, due_at: int) -> bool:
        """Move `due_at` on before acting, so that two sweeps at once act once. False: another sweep has it."""
        return self._write(inbound, {"due_at": due_at}, Attr("due_at").eq(inbound.due_at))

    def reconciled_until(self, how: Literal["until", "deep"] = "until") -> int | None:
        """Until when (epoch ms) every inbound message is known to be stored; None before the first reconcile.

        `deep`: as a look showed that went back for hours.
        """
        item = self._db.get(self._messages, _RECONCILE) or {}
        return item.get(how)

    def record_reconciled(self, until: int, how: Literal["until", "deep"] = "until") -> None:
        """Store how far a complete reconcile looked. An earlier time never replaces a later one."""
        newer = absent_or(how, Attr(how).lt(until))
        with suppress(ConditionFailed):
            self._db.write(Change(table=self._messages, key=_RECONCILE, set={how: until}, condition=newer))

    def _mark(self, inbound: InboundMessage, due_at: int | None, values: dict[str, Any], condition: Any) -> bool:
        """Set or clear the marker of pending media."""
        shard = shard_of("media", inbound.contact_id) if due_at else None
        return self._write(inbound, {**values, "due_shard": shard, "due_at": due_at}, condition)

    def _write(self, inbound: InboundMessage, values: dict[str, Any], condition: Any) -> bool:
        key = message_key(inbound.message_id)
        try:
            self._db.write(Change(table=self._messages, key=key, set=values, condition=condition))
        except ConditionFailed:
            return False
        return True

    def _contact_change(self, inbound: InboundMessage, contact: Contact) -> Change:
        changes: dict[str, Any] = {
            "address": inbound.address,
            "suppressed_code": None,  # a patient who writes can be reached
        }
        as_read: Any = Attr("alias_of").not_exists() & _is("erased_at", contact.erased_at)
        if inbound.received_at > (contact.last_inbound_at or 0):  # a backfilled message may be older
            changes["last_inbound_at"] = inbound.received_at
            as_read &= absent_or("last_inbound_at", Attr("last_inbound_at").lt(inbound.received_at))
        if inbound.opt:  # of a STOP and a START at the same moment, the later must win
            as_read &= _is("opted_out_at", contact.opted_out_at) & _is("opted_in_at", contact.opted_in_at)
        if inbound.opt == "out":
            changes["opted_out_at"] = inbound.received_at
        elif inbound.opt == "in":
            changes |= {"opted_out_at": None, "opted_in_at": inbound.received_at, "opt_in_source": "message"}
        return Change(table=self._contacts, key={"contact_id": contact.contact_id}, set=changes, condition=as_read)


def not_published() -> Any:
    """The outbox marker is still there."""
    return Attr("due_shard").begins_with("publish#")


def _is(attribute: str, value: Any) -> Any:
    return Attr(attribute).not_exists() if value is None else Attr(attribute).eq(value)


def inbound_item(inbound: InboundMessage) -> dict[str, Any]:
    """An inbound message's item; `at` places it in the conversation."""
    item = asdict(inbound)
    if inbound.location:  # DynamoDB takes no floats
        item["location"] |= {
            "latitude": str(inbound.location.latitude),
            "longitude": str(inbound.location.longitude),
        }
    item |= {"media": _media_items(inbound.media), "more": inbound.more or None}
    return {
        **item,
        "entry": MESSAGE_ENTRY,
        "direction": "inbound",
        "status": "received",
        "at": inbound.received_at,
    }


def _media_items(media: Sequence[InboundMedium]) -> list[dict[str, Any]] | None:
    return [{name: value for name, value in asdict(medium).items() if value is not None} for medium in media] or None


def inbound_from(item: dict[str, Any]) -> InboundMessage:
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
    return InboundMessage(**values)
