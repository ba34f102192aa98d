"""Which agent owns a conversation's next answer."""

from whatsapp.domain import periods
from whatsapp.domain.contact import Contact


def agent_of_payload(payload: str | None) -> str | None:
    """The agent that a quick reply's payload names: `agent:scheduling:confirm` belongs to `scheduling`."""
    if payload and payload.startswith("agent:"):
        name = payload.split(":")[1]
        return name or None
    return None


def choose_agent(
    payload: str | None, replied_to_agent: str | None, contact: Contact | None, now: int, default: str
) -> str:
    """By button payload, by the message replied to, by the latest outbound message within 72 h, by default."""
    if agent := agent_of_payload(payload) or replied_to_agent:
        return agent
    if contact and contact.last_outbound_agent and now - (contact.last_outbound_at or 0) <= periods.AGENT_REMEMBERED:
        return contact.last_outbound_agent
    return (contact.agent if contact else None) or default
