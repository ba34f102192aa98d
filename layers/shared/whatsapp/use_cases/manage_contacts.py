"""The contact routes: look up, put, and read the conversation."""

from typing import Any, cast

from whatsapp.adapters.dynamodb.contact_store import NOT_SUPPRESSED, ContactStore
from whatsapp.adapters.dynamodb.conversation_store import ConversationStore
from whatsapp.domain.address import Address
from whatsapp.domain.answers import ContactAcknowledged, ContactKnown, ContactStored, Conversation, ShownMessage
from whatsapp.domain.contact import Contact, ContactIds
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.schedule import iso
from whatsapp.use_cases.raise_alerts import RaiseAlerts

PAGE = 50
LARGEST_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ManageContacts:
    """Serves the contact routes."""

    contacts: ContactStore
    conversations: ConversationStore
    contact_ids: ContactIds
    raise_alerts: RaiseAlerts

    def lookup(self, address: str) -> ContactKnown:
        """The contact_id of an address. The other routes take it, because access logs keep URLs."""
        parsed = Address.parse(address)
        contact_id = self.contact_ids.of(parsed)
        contact = self.contacts.find(contact_id, self.contact_ids.former(parsed))
        return {"contact_id": contact.contact_id if contact else contact_id, "known": contact is not None}

    def put(self, address: str, values: dict[str, Any]) -> ContactStored:
        """Store the caller's data about a contact. It also lifts a suppression: the caller vouches for the address."""
        parsed = Address.parse(address)
        contact_id = self.contact_ids.of(parsed)
        contact = self.contacts.find(contact_id, self.contact_ids.former(parsed)) or Contact(contact_id=contact_id)
        # A business-scoped id may be an alias of a number's row: then the number stays the address.
        stored_address = parsed.value if parsed.is_phone_number else contact.address or parsed.value
        self.contacts.update(contact.contact_id, {**values, "address": stored_address, **NOT_SUPPRESSED})
        return {"contact_id": contact.contact_id}

    def acknowledge(self, contact_id: str) -> ContactAcknowledged:
        """Somebody looks after a patient whose words may mean danger to life.

        Raises:
            MessagingError: `not_found`.
        """
        contact = self.contacts.require(contact_id)
        closed = [self.raise_alerts.acknowledge(one) for one in contact.ids]
        return {"contact_id": contact.contact_id, "was_open": any(closed)}

    def conversation(self, contact_id: str, limit: int | None, before: str | None) -> Conversation:
        """The newest messages in order of time, both directions, and the cursor of the page before.

        Raises:
            MessagingError: `not_found`; `invalid_request` for a limit or `before` that makes no sense.
        """
        size = PAGE if limit is None else limit
        if not 1 <= size <= LARGEST_PAGE:
            raise MessagingError("invalid_request", f"limit: a number from 1 to {LARGEST_PAGE}")
        contact = self.contacts.require(contact_id)
        messages, next_before = self.conversations.page(contact.ids, size, before)
        return {
            "contact_id": contact.contact_id,
            "user_id": contact.user_id,
            "opted_out": contact.opted_out_at is not None,
            "messages": [cast("ShownMessage", {**message, "at": iso(message["at"])}) for message in messages],
            "next_before": next_before,
        }
