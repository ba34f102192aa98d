"""Contacts in DynamoDB. A second address of a person is an alias: its row names the contact's row."""

import functools
import operator
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Item, Put, absent_or
from whatsapp.adapters.dynamodb.items import contact_from, written_to_items
from whatsapp.domain.contact import Contact
from whatsapp.domain.errors import MessagingError

_BINDING = ("last_accepted_at", "last_inbound_at", "opted_out_at", "erased_at")
"""When two rows are merged, keep the later of these timestamps."""
_IN_FLIGHT = ("inflight", "inflight_at", "prev_next", "next_allowed_at", "reply_inflight", "reply_until")
"""What an alias keeps while a message of its own is in flight: settling that message writes these."""
_KNOWN = ("user_id", "language", "agent", "opted_in_at", "opt_in_source", "last_outbound_at", "last_outbound_agent")
"""When two rows are merged, the contact's own value of these is kept, else the alias's."""
_ERASED = (*_KNOWN, "user_written_at", "written_to", "last_inbound_at")
"""What an erasure removed from a row."""

_MET = ("last_inbound_at", "last_outbound_at", "last_accepted_at", "opted_in_at")
"""When the person was last met, as far as a row says."""

NOT_SUPPRESSED = {"suppressed_code": None, "suppressed_at": None}


_TIES = 5


class ContactMovedError(Exception):
    """The contact's row changed since it was read, or became an alias of another: read it again."""


class ContactStore:
    """Contacts, by contact_id or by an alias."""

    def __init__(self, db: DynamoDB, contacts_table: str) -> None:
        self._db = db
        self._contacts = contacts_table

    def get(self, contact_id: str) -> Contact | None:
        """The contact's row, read consistently; for an alias, the row that it names."""
        item = self._db.get(self._contacts, {"contact_id": contact_id})
        while item and item.get("alias_of"):  # a former spelling's row may be between: it had aliases of its own
            item = self._db.get(self._contacts, {"contact_id": item["alias_of"]})
        return contact_from(item) if item else None

    def find(self, contact_id: str, former_ids: Iterable[str]) -> Contact | None:
        """As `get`, for an address whose older spellings had contact_ids of their own: those are tied to it first."""
        for former_id in former_ids:
            former = self._db.get(self._contacts, {"contact_id": former_id})
            if former and "alias_of" not in former:
                self.tie(former_id, contact_id)
        return self.get(contact_id)

    def rows(self, contact_ids: Sequence[str]) -> list[Item]:
        """These rows with all their attributes, an alias's own row too."""
        return self._db.get_many(self._contacts, [{"contact_id": contact_id} for contact_id in contact_ids])

    def require(self, contact_id: str) -> Contact:
        """As `get`, for a contact that a caller names.

        Raises:
            MessagingError: `not_found`.
        """
        if contact := self.get(contact_id):
            return contact
        raise MessagingError("not_found", "no such contact: POST /contacts/lookup gives the contact_id of an address")

    def suppress(self, contact_id: str, code: int, now: int) -> None:
        """Record that Twilio proved this address unreachable, unless the patient has written since."""
        written_since = Attr("last_inbound_at").gte(now)
        contact = self.get(contact_id)  # the address may have been tied to a number since the message was claimed
        try:
            values = {"suppressed_code": code, "suppressed_at": now}
            self._change(contact.contact_id if contact else contact_id, values, ~written_since)
        except ConditionFailed:
            return

    def lift_suppression(self, contact_id: str, arrived: int) -> None:
        """A message arrived that was claimed at `arrived`: what an older one proved holds no longer."""
        contact = self.get(contact_id)
        if contact and contact.suppressed_code and (contact.suppressed_at or 0) <= arrived:
            as_read: Any = Attr("suppressed_code").eq(contact.suppressed_code)
            if contact.suppressed_at is not None:
                as_read &= Attr("suppressed_at").eq(contact.suppressed_at)
            try:
                self._change(contact.contact_id, NOT_SUPPRESSED, as_read)
            except ConditionFailed:
                return  # suppressed anew, or lifted

    def update(self, contact_id: str, values: dict[str, Any]) -> None:
        """Set attributes of a contact; None removes one."""
        self._change(contact_id, values, Attr("alias_of").not_exists())

    def block_until(self, contact_id: str, at: int) -> None:
        """Claim no proactive message before then, whatever settles meanwhile."""
        with suppress(ConditionFailed):  # it is blocked for longer
            self._change(contact_id, {"tied_until": at}, absent_or("tied_until", Attr("tied_until").lt(at)))

    def free_slot(self, contact_id: str, holder: str) -> None:
        """Take the slot from a message that is not in flight. It opens when the claim said."""
        freed = {"inflight": None, "inflight_at": None, "prev_next": None}
        with suppress(ConditionFailed):
            self._change(contact_id, freed, Attr("inflight").eq(holder))

    def tie(self, second_id: str, contact_id: str) -> None:
        """Make a second address an alias of the contact. If it has a row of its own, that is merged into the contact's.

        It does not wait for messages in flight: an opt-out under the one address must bind the other at once. What is
        in flight settles on the row that it took, and that row's limit holds for the contact as `tied_until`.

        Raises:
            ContactMovedError: the rows kept changing.
        """
        if second_id == contact_id:
            return
        for _ in range(_TIES):
            first, second = (self._db.get(self._contacts, {"contact_id": one}) for one in (contact_id, second_id))
            if "alias_of" in (first or {}) or "alias_of" in (second or {}):
                return
            try:
                self._db.transact(
                    self._alias(second_id, contact_id, second), self._merge(contact_id, first, second_id, second)
                )
            except ConditionFailed:
                continue
            return
        raise ContactMovedError

    def _alias(self, second_id: str, contact_id: str, second: Item | None) -> Put:
        """The alias's row. It keeps no data of its own, so that erasing finds all of it on the contact's row."""
        held = second if second and {"inflight", "reply_inflight"} & second.keys() else {}
        kept = {name: held[name] for name in _IN_FLIGHT if name in held}
        item = {"contact_id": second_id, "alias_of": contact_id, **kept}
        return Put(table=self._contacts, item=item, condition=_unchanged(second))

    def _merge(self, contact_id: str, first: Item | None, second_id: str, second: Item | None) -> Change:
        old, more = first or {}, second or {}
        if "erased_at" in old and max(more.get(name, 0) for name in _MET) <= old["erased_at"]:
            more = {name: more[name] for name in more if name not in _ERASED}  # nothing comes back
        merged = {name: max(old.get(name, 0), more[name]) for name in _BINDING if name in more}
        merged |= {name: more[name] for name in _KNOWN if name in more and name not in old}
        if more.get("last_accepted_at", 0) > old.get("last_accepted_at", 0):
            merged |= {name: more.get(name) for name in ("last_template", "last_template_language")}
        if limits := [more[name] for name in ("next_allowed_at", "tied_until") if name in more]:
            # Settling what is in flight sets `next_allowed_at`, and may not know of the other row's limit.
            merged["tied_until"] = max(old.get("tied_until", 0), *limits)
        if more.get("reply_until", 0) > old.get("reply_until", 0):
            merged |= {name: more[name] for name in ("reply_inflight", "reply_until")}
        own, others = (contact_from({"contact_id": contact_id, **item}).known_users for item in (old, more))
        if others:
            users = {user: max(own.get(user, 0), others.get(user, 0)) for user in own | others}
            merged["written_to"] = written_to_items(users)
        if words := [*old.get("opt_words", ()), *more.get("opt_words", ())]:
            merged["opt_words"] = sorted(words, key=lambda word: int(word["at"]))
        return Change(
            table=self._contacts,
            key={"contact_id": contact_id},
            set=merged,
            add={"aliases": {second_id, *more.get("aliases", ())}},
            condition=_unchanged(first),
        )

    def _change(self, contact_id: str, values: dict[str, Any], condition: Any) -> None:
        self._db.write(Change(table=self._contacts, key={"contact_id": contact_id}, set=values, condition=condition))


def _unchanged(item: Item | None) -> Any:
    """The condition that nothing has changed that a merge depends on."""
    names = (*_BINDING, *_IN_FLIGHT, "tied_until", "opt_words", "alias_of")
    conditions = [Attr(n).eq(item[n]) if item and n in item else Attr(n).not_exists() for n in names]
    return functools.reduce(operator.and_, conditions)
