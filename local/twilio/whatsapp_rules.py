"""What WhatsApp lets through: the 24-hour window, template approval, recipients, limits, media.

Sources: https://www.twilio.com/docs/whatsapp/key-concepts, docs/content/content-types-overview,
docs/whatsapp/guidance-whatsapp-media-messages and the error dictionary's 63xxx pages.
"""

import re
from datetime import timedelta
from typing import Any

from local.twilio.state import SCOPED_ID, Account, Content, Message

PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
SANDBOX_SENDER = "+14155238886"
SANDBOX_MEMBERSHIP = timedelta(days=3)
DAY = timedelta(hours=24)
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
FORBIDDEN_VALUE = re.compile(r"[\n\r\t]| {5}")
"""What a template variable's value may not hold."""

IMAGE_LIMIT = 5 * 1024 * 1024
MEDIA_LIMIT = 16 * 1024 * 1024
DOCUMENTS = "application/vnd.openxmlformats-officedocument."
PICTURES = {"image/jpeg", "image/png"}
"""Shown with a text; WebP is a sticker."""
MEDIA_TYPES = {
    *PICTURES,
    "image/webp",
    "audio/ogg",
    "audio/amr",
    "audio/3gpp",
    "audio/aac",
    "audio/mpeg",
    "video/mp4",
    "application/pdf",
    "application/msword",
    f"{DOCUMENTS}wordprocessingml.document",
    f"{DOCUMENTS}presentationml.presentation",
    f"{DOCUMENTS}spreadsheetml.sheet",
    "text/vcard",
}


def judge(account: Account, message: Message) -> int | None:
    """The code that WhatsApp fails this message with, or None if it goes out."""
    return _judge_recipient(account, message) or _judge_content(account, message) or _judge_limits(account, message)


def _judge_recipient(account: Account, message: Message) -> int | None:
    patient = account.patient(message.patient)
    if account.settings.advanced_opt_out and patient.opted_out:
        return 21610
    if SCOPED_ID.fullmatch(message.patient) and not _known_scoped_id(account, message.patient):
        return 63003
    if not patient.on_whatsapp:
        return 63024
    joined = patient.joined_sandbox
    if message.sender == SANDBOX_SENDER and (joined is None or account.whatsapp_now() - joined > SANDBOX_MEMBERSHIP):
        return 63015
    return None


def _known_scoped_id(account: Account, scoped_id: str) -> bool:
    return any(patient.external_user_id == scoped_id for patient in account.patients.values())


def _judge_content(account: Account, message: Message) -> int | None:
    window_open = account.window_closes(message.patient, message.sender) is not None
    content = account.contents.get(message.content_sid or "")
    if content is None:
        return None if window_open else 63016
    code = _judge_approval(content, window_open)
    if code is None and set(placeholders(content.types)) - set(message.variables):
        return 63028
    if code is None and content.approval.status != "approved" and _too_much_for_a_session(message.rendered):
        return 63021
    if code is None and any(FORBIDDEN_VALUE.search(value) for value in message.variables.values()):
        return 63013
    return code


def _judge_approval(content: Content, window_open: bool) -> int | None:
    status, types = content.approval.status, set(content.types)
    if status in ("paused", "disabled"):
        return 63041 if status == "paused" else 63042
    if status == "approved" and types - SESSION_ONLY_TYPES:
        return None
    if window_open and types & IN_SESSION_TYPES:
        return None
    return 63040 if status == "rejected" else 63016


def _too_much_for_a_session(layout: dict[str, Any]) -> bool:
    """Whether buttons or a list are beyond what goes without approval: three buttons, ten items, the lengths."""
    buttons, items = layout.get("actions") or [], layout.get("items") or []
    lengths = [
        (layout.get("body"), 1024),
        (layout.get("button"), 20),
        *((button.get("title"), 20) for button in buttons),
        *((item.get(name), most) for item in items for name, most in (("item", 24), ("id", 200), ("description", 72))),
    ]
    is_rich = bool(buttons or items)
    return is_rich and (len(buttons) > 3 or len(items) > 10 or any(len(text or "") > most for text, most in lengths))


def _judge_limits(account: Account, message: Message) -> int | None:
    """Meta's rolling 24-hour limits: how many patients we write to first, and how much marketing each gets."""
    conversations, marketing = account.settings.new_conversations_per_day, account.settings.marketing_per_day
    if not message.starts_conversation or (conversations is None and marketing is None):
        return None
    today = [each for each in account.accepted_within(DAY) if each.starts_conversation and not each.error_code]
    if conversations is not None and len({each.patient for each in today}) > conversations:
        return 63018
    if marketing is not None and _is_marketing(account, message):
        same = [each for each in today if each.patient == message.patient and _is_marketing(account, each)]
        return 63049 if len(same) > marketing else None
    return None


def _is_marketing(account: Account, message: Message) -> bool:
    content = account.contents.get(message.content_sid or "")
    return content is not None and content.approval.category == "MARKETING"


def judge_medium(content_type: str, size: int) -> int | None:
    """The code for an outbound medium that WhatsApp does not take: 63021 by type, 63034 by size in bytes."""
    if content_type not in MEDIA_TYPES:
        return 63021
    return 63034 if size > (IMAGE_LIMIT if content_type.startswith("image/") else MEDIA_LIMIT) else None


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
