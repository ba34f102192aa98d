"""Contacts in DynamoDB. A second address of one person is an alias: it leads to the one row."""

from typing import Any

from whatsapp.adapters.dynamodb import Attr, Change, ConditionFailed, DynamoDB
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

    def _change(self, contact_id: str, values: dict[str, Any], condition: Any) -> None:
        self._db.write(Change(table=self._contacts, key={"contact_id": contact_id}, set=values, condition=condition))
