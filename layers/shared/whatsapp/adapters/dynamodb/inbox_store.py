"""Inbound messages in DynamoDB: stored once, together with what they change on the contact."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any, Literal

from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Put, absent_or, same
from whatsapp.adapters.dynamodb.contact_store import NOT_SUPPRESSED, ContactMovedError
from whatsapp.adapters.dynamodb.due import due_items
from whatsapp.adapters.dynamodb.items import MESSAGE_ENTRY, kept_until, message_key
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact, OptWord
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.events import Choice, Location, Reaction, Referral, Safety
from whatsapp.domain.receiving.inbound import InboundMedium, InboundMessage
from whatsapp.domain.receiving.opt_out import are_settled, last_of, recent_words
from whatsapp.domain.sending.message import shard_of

_RECONCILE = {"message_id": "reconcile", "entry": "mark"}
_FIELDS = {f.name for f in fields(InboundMessage)}


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsJob:
    """A contact whose STOP and START have to be settled by Twilio's dates, and when that is due (epoch ms)."""

    contact_id: str
    due_at: int


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

        A STOP and a START whose order is not known leave a job beside them: Twilio's dates have to settle it.

        Raises:
            ContactMovedError: the contact's row is no longer as `contact` shows it.
        """
        item = {**inbound_item(inbound), "ttl": kept_until(inbound.received_at, self._retention_days)}
        put = Put(table=self._messages, item=item, condition=Attr("message_id").not_exists())
        changes: list[Change | Put] = [put, self._contact_change(inbound, contact)]
        if not are_settled(_words_after(inbound, contact)):
            changes.append(self._words_job(contact.contact_id, inbound.received_at, due_at=inbound.due_at))
        try:
            self._db.transact(*changes)
        except ConditionFailed as failed:
            if failed.items[0] is None:
                raise ContactMovedError from None
            return inbound_from(failed.items[0])
        return None

    def hear_again(self, inbound: InboundMessage, contact: Contact) -> None:
        """What a stored message changes on its contact, whose row is older than the message.

        Raises:
            ContactMovedError: the contact's row is no longer as `contact` shows it.
        """
        changes: list[Change | Put] = [self._contact_change(inbound, contact)]
        if not are_settled(_words_after(inbound, contact)):
            changes.append(self._words_job(contact.contact_id, inbound.received_at, due_at=inbound.received_at))
        try:
            self._db.transact(*changes)
        except ConditionFailed:
            raise ContactMovedError from None

    def record_published(self, inbound: InboundMessage, now: int) -> None:
        """Clear the outbox marker, or replace it by the media marker while media are pending.

        It stays if a START has come to count since `inbound` was read: the sweep publishes that.
        """
        as_read = not_published() & same("opt", inbound.opt) & same("opt_again", inbound.opt_again)
        self._mark(inbound, now + periods.MEDIA_FIRST_SWEEP if inbound.media_pending else None, {}, as_read)

    def record_media(self, inbound: InboundMessage, media: Sequence[InboundMedium], due_at: int | None) -> bool:
        """Store what became of the media, and when the sweep looks again. False if another worker was faster."""
        seen = same("media", _media_items(inbound.media))
        changes = {"media": _media_items(media)}
        # Only the publisher clears the outbox marker: some event of the message may not be published yet.
        return self._mark(inbound, due_at, changes, seen & ~not_published()) or self._write(inbound, changes, seen)

    def due(self, shard: str, until: int) -> Iterator[InboundMessage]:
        """The messages of a shard that are due by that time, page by page. A hint: the index lags."""
        yield from map(inbound_from, due_items(self._db, self._messages, shard, until, MESSAGE_ENTRY))

    def postpone(self, inbound: InboundMessage, due_at: int) -> bool:
        """Move `due_at` on before acting, so that two sweeps at once act once. False: another sweep has it."""
        return self._write(inbound, {"due_at": due_at}, Attr("due_at").eq(inbound.due_at))

    def unsettled(self, shard: str, until: int) -> Iterator[WordsJob]:
        """The contacts of a shard whose STOP and START are to be settled by that time. A hint: the index lags."""
        for item in due_items(self._db, self._messages, shard, until):
            yield WordsJob(contact_id=item["job_for"], due_at=item["due_at"])

    def postpone_settling(self, job: WordsJob, due_at: int) -> bool:
        """Move the job's `due_at` on before acting. False: another sweep has it."""
        key, as_read = _words_key(job.contact_id), Attr("due_at").eq(job.due_at)
        with suppress(ConditionFailed):
            self._db.write(Change(table=self._messages, key=key, set={"due_at": due_at}, condition=as_read))
            return True
        return False

    def settle(self, job_for: str, contact: Contact, words: Sequence[OptWord], now: int) -> InboundMessage | None:
        """Store the order of a contact's words, and end the job. Returns the START to publish, if one counts after all.

        Args:
            job_for: the contact_id that the job names; the contact's own, or an alias of it.
            contact: the row as it was read.
            words: its words with Twilio's dates.
            now: epoch milliseconds.

        Raises:
            ContactMovedError: the row changed since.
        """
        last = last_of(words)
        stops, starts = ({word.at for word in contact.opt_words if word.opt == opt} for opt in ("out", "in"))
        winner = None
        values: dict[str, Any] = {"opt_words": _word_items(words)}
        if contact.opted_out_at in stops and not contact.was_erased_since(last.at):
            if last.opt == "out":
                values["opted_out_at"] = last.at
            elif winner := self.get(last.message_id):
                values |= {"opted_out_at": None, "opted_in_at": last.at, "opt_in_source": "message"}
        elif last.opt == "in" and contact.opted_in_at in starts:  # or a STOP between date and webhook would not count
            values["opted_in_at"] = last.at
        as_read = (
            Attr("alias_of").not_exists()
            & same("erased_at", contact.erased_at)
            & same("opted_out_at", contact.opted_out_at)
            & same("opt_words", _word_items(contact.opt_words))
        )
        key = {"contact_id": contact.contact_id}
        changes = [
            Change(table=self._contacts, key=key, set=values, condition=as_read),
            Change(table=self._messages, key=_words_key(job_for), set={"due_shard": None, "due_at": None}),
        ]
        if winner:
            changes += self._heard(winner, words, now)
        try:
            self._db.transact(*changes)
        except ConditionFailed:
            raise ContactMovedError from None
        start = self.get(winner.message_id) if winner else None
        return start if start and not start.is_published else None

    def _heard(self, start: InboundMessage, words: Sequence[OptWord], now: int) -> list[Change]:
        """What consumers have to hear of a START that counts after all.

        A STOP that is not published yet is not published as one. If one was, the START is published after it: under an
        id of its own where it was published before.
        """
        found = [self.get(word.message_id) for word in words if word.opt == "out"]
        stops = [stop for stop in found if stop and stop.opt == "out"]
        changes = [
            Change(table=self._messages, key=message_key(stop.message_id), set={"opt": None}, condition=not_published())
            for stop in stops
            if not stop.is_published
        ]
        if start.opt is None or len(changes) < len(stops):
            marker = {"due_shard": shard_of("publish", start.contact_id), "due_at": now + periods.OUTBOX_RETRY}
            again = {"opt": "in", "opt_again": start.opt == "in" or None, **marker}
            changes.append(Change(table=self._messages, key=message_key(start.message_id), set=again))
        return changes

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

    def _words_job(self, contact_id: str, at: int, due_at: int | None) -> Put:
        item = {
            **_words_key(contact_id),
            "job_for": contact_id,
            "due_shard": shard_of("words", contact_id),
            "due_at": due_at,
            "ttl": kept_until(at, self._retention_days),
        }
        return Put(table=self._messages, item=item)

    def _contact_change(self, inbound: InboundMessage, contact: Contact) -> Change:
        changes: dict[str, Any] = {
            "address": inbound.address,
            **NOT_SUPPRESSED,  # a patient who writes can be reached
        }
        as_read: Any = Attr("alias_of").not_exists() & same("erased_at", contact.erased_at)
        if inbound.received_at > (contact.last_inbound_at or 0):  # a backfilled message may be older
            changes["last_inbound_at"] = inbound.received_at
            as_read &= absent_or("last_inbound_at", Attr("last_inbound_at").lt(inbound.received_at))
        if inbound.opt_word:  # whether it counts was decided by these
            as_read &= same("opted_out_at", contact.opted_out_at) & same("opted_in_at", contact.opted_in_at)
            as_read &= same("opt_words", _word_items(contact.opt_words))
            changes["opt_words"] = _word_items(_words_after(inbound, contact))
        if inbound.opt == "out":
            changes["opted_out_at"] = inbound.received_at
        elif inbound.opt == "in":
            changes |= {"opted_out_at": None, "opted_in_at": inbound.received_at, "opt_in_source": "message"}
        return Change(table=self._contacts, key={"contact_id": contact.contact_id}, set=changes, condition=as_read)


def _words_after(inbound: InboundMessage, contact: Contact) -> tuple[OptWord, ...]:
    word = inbound.as_opt_word
    return recent_words(contact, word) if word else ()


def _word_items(words: Sequence[OptWord]) -> list[dict[str, Any]] | None:
    return [asdict(word) for word in words] or None


def not_published() -> Any:
    """The outbox marker is still there."""
    return Attr("due_shard").begins_with("publish#")


def _words_key(contact_id: str) -> dict[str, str]:
    return {"message_id": f"words-{contact_id}", "entry": "job"}


def inbound_item(inbound: InboundMessage) -> dict[str, Any]:
    """An inbound message's item; `at` places it in the conversation."""
    item = asdict(inbound)
    if inbound.location:  # DynamoDB takes no floats
        item["location"] |= {
            "latitude": str(inbound.location.latitude),
            "longitude": str(inbound.location.longitude),
        }
    if inbound.flow is not None:  # as text: no floats, and no limit of depth
        item["flow"] = json.dumps(inbound.flow, ensure_ascii=False)
    item |= {"media": _media_items(inbound.media), "more": inbound.more or None}
    item["user_ids"] = list(inbound.user_ids) or None
    item |= {name: item[name] or None for name in ("forwarded", "frequently_forwarded")}
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
    values["user_ids"] = tuple(item.get("user_ids", ()))
    values["media"] = tuple(InboundMedium(**medium) for medium in item.get("media") or ())
    if place := item.get("location"):
        values["location"] = Location(
            latitude=float(place["latitude"]),
            longitude=float(place["longitude"]),
            label=place.get("label"),
            address=place.get("address"),
        )
    if "flow" in values:
        values["flow"] = json.loads(values["flow"])
    kinds = {"choice": Choice, "reaction": Reaction, "referral": Referral, "safety": Safety}
    values |= {name: kind(**item[name]) for name, kind in kinds.items() if name in item}
    return InboundMessage(**values)
