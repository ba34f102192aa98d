"""Contacts in DynamoDB. A second address of one person is an alias: it leads to the one row."""

import functools
import operator
from typing import Any

from whatsapp.adapters.dynamodb import Attr, Change, ConditionFailed, DynamoDB, Item
from whatsapp.adapters.items import contact_from
from whatsapp.domain.contact import Contact


class DynamoContactStore:
    """The `ContactStore` port."""

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

        The contact takes over what binds it: the later `next_allowed_at`, and either opt-out. While a message of the
        second row is in flight, nothing happens; the next inbound message ties them.
        """
        if second_id == contact_id:
            return
        second = self._db.get(self._contacts, {"contact_id": second_id})
        if second and (second.get("alias_of") or second.get("inflight")):
            return
        alias = Change(
            table=self._contacts,
            key={"contact_id": second_id},
            set={"alias_of": contact_id},
            condition=_unchanged(second, ("next_allowed_at", "opted_out_at", "inflight", "alias_of")),
        )
        try:
            if second is None:
                self._db.write(alias)
            else:
                first = self._db.get(self._contacts, {"contact_id": contact_id})
                self._db.transact(alias, self._take_over(contact_id, first, second))
        except ConditionFailed:
            return  # somebody was faster; the next inbound message looks again

    def _take_over(self, contact_id: str, first: Item | None, second: Item) -> Change:
        old = first or {}
        taken = {
            name: max(old.get(name, 0), second.get(name, 0)) or None
            for name in ("next_allowed_at", "last_accepted_at", "last_inbound_at", "opted_out_at")
        }
        taken["user_id"] = old.get("user_id") or second.get("user_id")
        condition = _unchanged(first, ("next_allowed_at", "opted_out_at", "inflight", "alias_of"))
        return Change(table=self._contacts, key={"contact_id": contact_id}, set=taken, condition=condition)

    def _change(self, contact_id: str, values: dict[str, Any], condition: Any) -> None:
        self._db.write(Change(table=self._contacts, key={"contact_id": contact_id}, set=values, condition=condition))


def _unchanged(item: Item | None, names: tuple[str, ...]) -> Any:
    """The row is as it was read, as far as these attributes go."""
    conditions = [Attr(n).eq(item[n]) if item and n in item else Attr(n).not_exists() for n in names]
    return functools.reduce(operator.and_, conditions)
