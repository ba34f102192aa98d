"""Contacts in DynamoDB. A second address of one person is an alias: it leads to the one row."""

import functools
import operator
from typing import Any

from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Item, Put
from whatsapp.adapters.dynamodb.items import contact_from
from whatsapp.domain.contact import Contact

_BINDING = ("next_allowed_at", "last_accepted_at", "last_inbound_at", "opted_out_at", "erased_at")
"""Of two rows of one person, the later of each binds."""
_KNOWN = ("user_id", "language", "agent", "opted_in_at", "opt_in_source", "last_outbound_at", "last_outbound_agent")
"""What one row knows and the other does not, is known."""


class ContactStore:
    """Contacts. A second address of one person leads to the one row."""

    def __init__(self, db: DynamoDB, contacts_table: str) -> None:
        self._db = db
        self._contacts = contacts_table

    def get(self, contact_id: str) -> Contact | None:
        """The contact's row, read consistently; for a second address, the row that it is an alias of."""
        item = self._db.get(self._contacts, {"contact_id": contact_id})
        if item and item.get("alias_of"):
            item = self._db.get(self._contacts, {"contact_id": item["alias_of"]})
        return contact_from(item) if item else None

    def suppress(self, contact_id: str, code: int, now: int) -> None:
        """Note that Twilio proved this address unreachable, unless the patient has written since."""
        written_since = Attr("last_inbound_at").gte(now)
        try:
            self._change(contact_id, {"suppressed_code": code}, ~written_since)
        except ConditionFailed:
            return

    def update(self, contact_id: str, values: dict[str, Any]) -> None:
        """Set what the caller knows of a contact; None removes it."""
        self._change(contact_id, values, Attr("alias_of").not_exists())

    def tie(self, second_id: str, contact_id: str) -> None:
        """Make a second address an alias of the contact: its row, if it has one of its own, joins the contact's.

        While a message is in flight on either row, nothing happens: its settlement must find the row as it left it.
        The next inbound message ties them.
        """
        second = self._db.get(self._contacts, {"contact_id": second_id})
        if second_id == contact_id or (second and (second.get("alias_of") or second.get("inflight"))):
            return
        first = self._db.get(self._contacts, {"contact_id": contact_id})
        if first and (first.get("alias_of") or first.get("inflight")):
            return
        # The alias keeps nothing of what stood there: the person's data has one place, where erasing finds it.
        alias = Put(
            table=self._contacts,
            item={"contact_id": second_id, "alias_of": contact_id},
            condition=_unchanged(second),
        )
        try:
            self._db.transact(alias, self._take_over(contact_id, first, second_id, second))
        except ConditionFailed:
            return  # another worker was faster; the next inbound message tries again

    def _take_over(self, contact_id: str, first: Item | None, second_id: str, second: Item | None) -> Change:
        old, more = first or {}, second or {}
        taken = {name: max(old.get(name, 0), more[name]) for name in _BINDING if name in more}
        taken |= {name: more[name] for name in _KNOWN if name in more and name not in old}
        return Change(
            table=self._contacts,
            key={"contact_id": contact_id},
            set=taken,
            add={"aliases": {second_id}},
            condition=_unchanged(first),
        )

    def _change(self, contact_id: str, values: dict[str, Any], condition: Any) -> None:
        self._db.write(Change(table=self._contacts, key={"contact_id": contact_id}, set=values, condition=condition))


def _unchanged(item: Item | None) -> Any:
    """The row is as it was read, as far as two rows are joined by it."""
    names = (*_BINDING, "inflight", "alias_of")
    conditions = [Attr(n).eq(item[n]) if item and n in item else Attr(n).not_exists() for n in names]
    return functools.reduce(operator.and_, conditions)
