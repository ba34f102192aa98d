"""Contacts in DynamoDB. A second address of a person is an alias: its row names the contact's row."""

import functools
import operator
from typing import Any

from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Item, Put
from whatsapp.adapters.dynamodb.items import contact_from
from whatsapp.domain.contact import Contact
from whatsapp.domain.errors import MessagingError

_BINDING = ("next_allowed_at", "last_accepted_at", "last_inbound_at", "opted_out_at", "erased_at")
"""When two rows are merged, keep the later of these timestamps."""
_KNOWN = ("user_id", "language", "agent", "opted_in_at", "opt_in_source", "last_outbound_at", "last_outbound_agent")
"""When two rows are merged, the contact's own value of these is kept, else the alias's."""

NOT_SUPPRESSED = {"suppressed_code": None, "suppressed_at": None}


class ContactStore:
    """Contacts, by contact_id or by an alias."""

    def __init__(self, db: DynamoDB, contacts_table: str) -> None:
        self._db = db
        self._contacts = contacts_table

    def get(self, contact_id: str) -> Contact | None:
        """The contact's row, read consistently; for an alias, the row that it names."""
        item = self._db.get(self._contacts, {"contact_id": contact_id})
        if item and item.get("alias_of"):
            item = self._db.get(self._contacts, {"contact_id": item["alias_of"]})
        return contact_from(item) if item else None

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
        try:
            self._change(contact_id, {"suppressed_code": code, "suppressed_at": now}, ~written_since)
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

    def tie(self, second_id: str, contact_id: str) -> None:
        """Make a second address an alias of the contact. If it has a row of its own, that is merged into the contact's.

        Does nothing while a message is in flight on either row, because settling it needs that row unchanged. The next
        inbound message tries again.
        """
        second = self._db.get(self._contacts, {"contact_id": second_id})
        if second_id == contact_id or (second and (second.get("alias_of") or second.get("inflight"))):
            return
        first = self._db.get(self._contacts, {"contact_id": contact_id})
        if first and (first.get("alias_of") or first.get("inflight")):
            return
        # The alias's row keeps no data of its own, so that erasing finds all of it on the contact's row.
        alias = Put(
            table=self._contacts,
            item={"contact_id": second_id, "alias_of": contact_id},
            condition=_unchanged(second),
        )
        try:
            self._db.transact(alias, self._merge(contact_id, first, second_id, second))
        except ConditionFailed:
            return  # another worker was faster; the next inbound message tries again

    def _merge(self, contact_id: str, first: Item | None, second_id: str, second: Item | None) -> Change:
        old, more = first or {}, second or {}
        merged = {name: max(old.get(name, 0), more[name]) for name in _BINDING if name in more}
        merged |= {name: more[name] for name in _KNOWN if name in more and name not in old}
        return Change(
            table=self._contacts,
            key={"contact_id": contact_id},
            set=merged,
            add={"aliases": {second_id}},
            condition=_unchanged(first),
        )

    def _change(self, contact_id: str, values: dict[str, Any], condition: Any) -> None:
        self._db.write(Change(table=self._contacts, key={"contact_id": contact_id}, set=values, condition=condition))


def _unchanged(item: Item | None) -> Any:
    """The condition that nothing has changed that a merge depends on."""
    names = (*_BINDING, "inflight", "alias_of")
    conditions = [Attr(n).eq(item[n]) if item and n in item else Attr(n).not_exists() for n in names]
    return functools.reduce(operator.and_, conditions)
