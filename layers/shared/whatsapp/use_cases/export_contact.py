"""Exports what is kept of one person: their contact, every message with its status callbacks, and dead letters."""

import json
from typing import Any

from whatsapp.adapters.dynamodb.contact_store import ContactStore
from whatsapp.adapters.dynamodb.conversation_store import ConversationStore
from whatsapp.domain import periods
from whatsapp.domain.contact import ContactIds, is_contact_id
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Clock, Deadline, PublishFailed, Queue
from whatsapp.domain.schedule import iso
from whatsapp.use_cases.erase_contact import names_any

ENOUGH = 2_500_000
"""Bytes of JSON after which an answer ends. Lambda's answers have 6 MB at most, as JSON within JSON, with each quote
escaped (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""
_PAGE = 100
_OTHER_TIMES = frozenset({"at", "t0", "scheduled_for", "throttled_since", "tied_until", "reply_until", "prev_next"})
"""Attributes with a time whose names do not end in `_at`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportContact:
    """Reads everything, and changes nothing."""

    contacts: ContactStore
    conversations: ConversationStore
    queue: Queue
    contact_ids: ContactIds
    clock: Clock

    def __call__(self, contact_id: str, before: str | None, deadline: Deadline) -> dict[str, Any]:
        """Everything in one answer, messages in order of time; attributes are those of the tables.

        The newest messages, where all are more than one answer or this invocation can hold: `next_before` is then the
        `before` of the next one.

        Raises:
            MessagingError: `not_found`; `invalid_request` for a `before` that makes no sense; `internal_error` if the
                dead-letter queue does not answer.
        """
        if not is_contact_id(contact_id):
            raise MessagingError("not_found", "no contact_id: POST /contacts/lookup gives that of an address")
        contact = self.contacts.get(contact_id)
        ids = contact.ids if contact else (contact_id,)
        messages, next_before = self._messages(ids, before, deadline)
        rows = self.contacts.rows(ids)
        letters = self._dead_letters(ids)
        if not rows and not messages and not letters:
            raise MessagingError("not_found", "nothing is kept of this contact")
        return {
            "contact_id": ids[0],
            "exported_at": iso(self.clock.now()),
            "contact": [_shown(row) for row in rows],
            "messages": messages,
            "next_before": next_before,
            "dead_letters": letters,
        }

    def _messages(
        self, contact_ids: tuple[str, ...], before: str | None, deadline: Deadline
    ) -> tuple[list[Any], str | None]:
        messages: list[Any] = []
        size = 0
        while True:
            found, before = self.conversations.kept(contact_ids, _PAGE, before)
            page = [_shown(message) for message in found]
            size += len(json.dumps(page))
            messages = page + messages
            if before is None or size > ENOUGH or deadline.at - self.clock.now() < periods.EXPORT_NEEDS:
                return messages, before

    def _dead_letters(self, contact_ids: tuple[str, ...]) -> list[str]:
        """The dead letters that name the person, as an erasure finds them."""
        try:
            letters = (letter.body for letter in self.queue.dead_letters())
            return [body for body in letters if names_any(body, contact_ids, self.contact_ids)]
        except PublishFailed:
            raise MessagingError(
                "internal_error", "the dead letters could not be read: ask again", retryable=True
            ) from None


def _shown(value: Any, name: str = "") -> Any:
    """A stored value as JSON: times in ISO 8601, sets in order."""
    if isinstance(value, dict):
        kept = {key: _shown(inner, key) for key, inner in value.items() if key not in ("write_id", "ttl")}
        return kept | ({"kept_until": iso(value["ttl"] * 1000)} if "ttl" in value else {})
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_shown(inner) for inner in value]
    is_time = isinstance(value, int) and (name.endswith("_at") or name in _OTHER_TIMES)
    return iso(value) if is_time else value
