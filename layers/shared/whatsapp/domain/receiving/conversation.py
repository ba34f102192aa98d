"""Which agent owns a conversation's next answer."""

import re

from whatsapp.domain import periods
from whatsapp.domain.contact import Contact

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
