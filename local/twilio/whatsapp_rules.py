"""What WhatsApp lets through: the 24-hour window, template approval, recipients.

Source: https://www.twilio.com/docs/whatsapp/key-concepts and the error dictionary's 63xxx pages.
"""

import re
from typing import Any

from local.twilio.state import SANDBOX_MEMBERSHIP, SANDBOX_SENDER, Account, Content, Message

PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
IN_SESSION_TYPES = {
    "twilio/text",
    "twilio/media",
    "twilio/quick-reply",
    "twilio/list-picker",
    "twilio/location",
}
"""May be sent without approval while the window is open."""
SESSION_ONLY_TYPES = {"twilio/list-picker", "twilio/location"}
"""Can never start a conversation, approved or not."""


def judge(account: Account, message: Message) -> int | None:
    """The code WhatsApp fails this message with, or None if it goes out."""
    patient = account.patient(message.patient)
    if not patient.on_whatsapp:
        return 63003
    if message.sender == SANDBOX_SENDER and not _joined(account, message.patient):
        return 63015
    content = account.contents.get(message.content_sid or "")
    window_open = account.window_closes(message.patient, message.sender) is not None
    if content is None:
        return None if window_open else 63016
    return _judge_content(content, window_open)


def _joined(account: Account, address: str) -> bool:
    joined = account.patient(address).joined_sandbox
    return joined is not None and account.whatsapp_now() - joined < SANDBOX_MEMBERSHIP


def _judge_content(content: Content, window_open: bool) -> int | None:
    status = content.approval.status
    if status in ("paused", "disabled"):
        return 63041 if status == "paused" else 63042
    types = set(content.types)
    approved = status == "approved" and bool(types - SESSION_ONLY_TYPES)
    if not approved and not (window_open and types & IN_SESSION_TYPES):
        return 63040 if status == "rejected" else 63016
    return None


def placeholders(value: Any) -> list[str]:
    """Names of the variables in a content type's strings, in order of appearance."""
    if isinstance(value, str):
        return PLACEHOLDER.findall(value)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [name for part in parts for name in placeholders(part)]


def fill(value: Any, variables: dict[str, str]) -> Any:
    """`value` with every placeholder replaced; one without a value stays as it is."""
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda found: variables.get(found[1], found[0]), value)
    if isinstance(value, dict):
        return {key: fill(part, variables) for key, part in value.items()}
    if isinstance(value, list):
        return [fill(part, variables) for part in value]
    return value
