"""Which agent owns a conversation's next answer, and which message of ours an inbound one answers."""

import re

from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.sending.message import Message, SendKind, layout_of

_OF_AN_AGENT = re.compile(r"agent:(?![0-9]+(?::|\Z))([a-z0-9_]{1,64})(?::|\Z)")
"""A request's agent has the same form; digits alone may be a number."""


def agent_of_payload(payload: str | None) -> str | None:
    """The agent that a quick reply's payload names: `agent:scheduling:confirm` belongs to `scheduling`.

    A text that cannot be an agent's name is ignored: a payload comes from outside, and the name goes into logs.
    """
    found = _OF_AN_AGENT.match(payload or "")
    return found[1] if found else None


def choose_agent(
    payload: str | None, replied_to_agent: str | None, contact: Contact | None, now: int, default: str
) -> str:
    """By button payload, by the message replied to, by the latest outbound message within 72 h, by default."""
    if agent := agent_of_payload(payload) or replied_to_agent:
        return agent
    if contact and contact.last_outbound_agent and now - (contact.last_outbound_at or 0) <= periods.AGENT_REMEMBERED:
        return contact.last_outbound_agent
    return (contact.agent if contact else None) or default


def answers(contact: Contact, replied_to: Message | None, received_at: int) -> tuple[int, dict[str, str]] | None:
    """The proactive message that an inbound one answers, for the reply rate: its acceptance (epoch ms), its layout.

    It is the one that the patient replied to, else the last one; accepted within 24 hours before, and not answered yet:
    `contact`, as it was before, has written nothing since. So each message is answered once, by the first that comes.
    """

    def is_first_answer(accepted_at: int | None) -> bool:
        since = max(contact.last_inbound_at or 0, received_at - periods.WINDOW)
        return accepted_at is not None and since < accepted_at <= received_at

    if replied_to and replied_to.kind is SendKind.PROACTIVE and is_first_answer(replied_to.accepted_at):
        return replied_to.accepted_at or 0, replied_to.layout
    if is_first_answer(contact.last_accepted_at):
        return contact.last_accepted_at or 0, layout_of(contact.last_template, contact.last_template_language)
    return None
