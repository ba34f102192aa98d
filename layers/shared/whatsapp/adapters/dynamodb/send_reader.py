"""What a send reads before its claim, in one call."""

from collections.abc import Sequence

from whatsapp.adapters.dynamodb.client import DynamoDB
from whatsapp.adapters.dynamodb.group_store import group_from, group_key
from whatsapp.adapters.dynamodb.items import contact_from, message_from, message_key
from whatsapp.adapters.dynamodb.sender_store import SENDER_KEY, SenderStore
from whatsapp.adapters.dynamodb.template_store import version_from
from whatsapp.domain.contact import Contact
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.sending.group import Group
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.sender import Sender
from whatsapp.domain.templates.template import Template
from whatsapp.domain.templates.version import TemplateVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was read, in one call."""

    message: Message | None
    contact: Contact
    """Empty if there is no row; an alias's own row, if it is one."""
    sender: Sender
    versions: tuple[TemplateVersion, ...]
    """Of the template's present wordings in the languages that were asked for, those that are stored."""
    group: Group | None = None
    """The message's group, if it has one that is stored."""


class SendReader:
    """Reads across the three tables."""

    def __init__(
        self, db: DynamoDB, senders: SenderStore, messages_table: str, contacts_table: str, templates_table: str
    ) -> None:
        self._db = db
        self._senders = senders
        self._messages = messages_table
        self._contacts = contacts_table
        self._templates = templates_table

    def read(
        self,
        contact_id: str,
        template: Template | None,
        *,
        language: str | None,
        group: str | None,
        message_ids: Sequence[str] = (),
    ) -> Seen:
        """Read the contact and the sender consistently, and the template's wordings, whose approval is old news anyway.

        Args:
            contact_id: of the contact, or of an alias.
            template: what will be sent, if it is one.
            language: the one that it will be worded in, if that does not depend on the contact.
            group: the message's, if it has one.
            message_ids: of the message, if it is not known whether there is one.
        """
        wanted: dict[str, tuple[str, dict[str, str]]] = {
            "contact": (self._contacts, {"contact_id": contact_id}),
            "sender": (self._messages, SENDER_KEY),
        }
        wanted |= {message_id: (self._messages, message_key(message_id)) for message_id in message_ids}
        if group:
            wanted["group"] = (self._messages, group_key(group))
        if template:
            versions = map(template.version, [language] if language in template.languages else template.languages)
            wanted |= {v: (self._templates, {"template": template.name, "version": v}) for v in versions}
        found = self._db.get_each(wanted, late=self._templates)
        contact, group_item = found.pop("contact", None), found.pop("group", None)
        messages = filter(None, [found.pop(message_id, None) for message_id in message_ids])
        return Seen(
            message=next((message_from(item) for item in messages if item.get("direction") == "outbound"), None),
            contact=contact_from(contact) if contact else Contact(contact_id=contact_id),
            sender=self._senders.sender_from(found.pop("sender", {})),
            versions=tuple(map(version_from, found.values())),
            group=group_from(group, group_item) if group and group_item else None,
        )
