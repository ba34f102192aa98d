"""Which of a STOP and a START was written last: webhooks come late and bear no date, so Twilio's dates settle it."""

from dataclasses import replace

from whatsapp.adapters.dynamodb.contact_store import ContactMovedError, ContactStore
from whatsapp.adapters.dynamodb.inbox_store import InboxStore
from whatsapp.domain.contact import OptWord
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.ports import Clock, Gateway
from whatsapp.domain.receiving.inbound import InboundMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleOptWords:
    """Until it has settled them, STOP stands."""

    contacts: ContactStore
    inbox: InboxStore
    gateway: Gateway
    clock: Clock

    def __call__(self, contact_id: str) -> InboundMessage | None:
        """Settle a contact's words. Returns the START to publish, if one counts after all.

        Raises:
            TwilioUnavailable: Twilio did not give a date. The job stays due.
        """
        contact = self.contacts.get(contact_id)
        if contact is None or not contact.opt_words:
            return None
        words = [self._dated(word) for word in contact.opt_words]
        try:
            return self.inbox.settle(contact_id, contact, words, self.clock.now())
        except ContactMovedError:
            return None  # another word came in; its job is due

    def _dated(self, word: OptWord) -> OptWord:
        """The word with Twilio's date, if Twilio still has the message."""
        listed = None if word.is_dated else self.gateway.fetch(word.message_id)
        return replace(word, at=listed.date_created, is_dated=True) if listed else word
