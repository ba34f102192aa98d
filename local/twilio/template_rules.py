"""What the Content API refuses, and what WhatsApp's reviewer rejects whoever asks.

Sources: https://www.twilio.com/docs/content/content-api-resources,
https://www.twilio.com/docs/content/using-variables-with-content-api
"""

import re
from typing import Any

from local.twilio.errors import TwilioError
from local.twilio.state import Content
from local.twilio.whatsapp_rules import PLACEHOLDER, SESSION_ONLY_TYPES, placeholders

REQUIRED_FIELDS: dict[str, tuple[str, ...]] = {
    "twilio/text": ("body",),
    "twilio/media": ("media",),
    "twilio/location": ("latitude", "longitude"),
    "twilio/list-picker": ("body", "button", "items"),
    "twilio/call-to-action": ("body", "actions"),
    "twilio/quick-reply": ("body", "actions"),
    "twilio/card": (),
    "twilio/catalog": ("body",),
    "twilio/carousel": ("body", "cards"),
    "twilio/flows": ("body", "button_text", "pages", "type"),
    "twilio/schedule": ("id", "title", "timeSlots"),
    "whatsapp/card": ("body",),
    "whatsapp/authentication": ("actions",),
    "whatsapp/flows": ("body", "button_text", "flow_id"),
}
LISTS = {"actions", "cards", "items", "media", "pages", "timeSlots"}
"""Fields that are lists wherever they stand: `media` of URLs, the others of objects."""
CATEGORIES = ("UTILITY", "MARKETING", "AUTHENTICATION")
NAME = re.compile(r"[a-z0-9_]{1,512}")
VARIABLE_LIMIT = 100
VARIABLE_NAME_LIMIT = 16
TITLE_LIMIT = 20
BODY_LIMIT = 1024
BUTTON_LIMIT = 10


def check_content(body: dict[str, Any]) -> None:
    """Check a create or update request as the Content API does.

    Raises:
        TwilioError: 20001, naming what is missing or wrong.
    """
    types, variables = body.get("types"), body.get("variables") or {}
    if not isinstance(body.get("language"), str) or not body["language"]:
        raise TwilioError(20001, "language is required")
    if not isinstance(types, dict) or not types:
        raise TwilioError(20001, "types is required")
    for kind, layout in types.items():
        if kind not in REQUIRED_FIELDS:
            raise TwilioError(20001, f"{kind} is not a content type")
        _check_layout(kind, layout)
    if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
        raise TwilioError(20001, "variables must map names to strings")
    if len(variables) > VARIABLE_LIMIT or any(len(name) > VARIABLE_NAME_LIMIT for name in variables):
        raise TwilioError(20001, f"at most {VARIABLE_LIMIT} variables, names of {VARIABLE_NAME_LIMIT}")


def _check_layout(kind: str, layout: object) -> None:
    if not isinstance(layout, dict):
        raise TwilioError(20001, f"{kind} must be an object")
    if missing := [name for name in REQUIRED_FIELDS[kind] if name not in layout]:
        raise TwilioError(20001, f"{kind} needs {', '.join(missing)}")
    if not isinstance(layout.get("body") or "", str):
        raise TwilioError(20001, f"{kind}: body must be a string")
    for name in LISTS & layout.keys():
        part = str if name == "media" else dict
        if not isinstance(layout[name], list) or not all(isinstance(each, part) for each in layout[name]):
            raise TwilioError(20001, f"{kind}: {name} must be a list of {'strings' if part is str else 'objects'}")


def check_submission(content: Content, body: dict[str, Any]) -> None:
    """Check a request for WhatsApp's approval.

    Raises:
        TwilioError: 20001 for a wrong name or category, or content already submitted or never to be.
    """
    if not NAME.fullmatch(str(body.get("name") or "")):
        raise TwilioError(20001, "name may hold lowercase letters, digits and underscores only")
    if body.get("category") not in CATEGORIES:
        raise TwilioError(20001, f"category must be one of {', '.join(CATEGORIES)}")
    if content.approval.status != "unsubmitted":
        raise TwilioError(20001, "this content was submitted before")
    if not set(content.types) - SESSION_ONLY_TYPES:
        raise TwilioError(20001, "this content type cannot be submitted")


def rejection(content: Content) -> str | None:
    """Why the reviewer rejects this content whatever its words, or None."""
    layout = next(layout for kind, layout in content.types.items() if kind not in SESSION_ONLY_TYPES)
    body = str(layout.get("body", ""))
    used = list(dict.fromkeys(placeholders(layout)))
    reasons = (
        (
            set(used) != {str(number + 1) for number in range(len(used))},
            "variables must be {{1}}, {{2}}, …, no gaps",
        ),
        (bool(set(used) - set(content.variables)), "a variable has no sample"),
        (re.search(r"\}\}\s*\{\{", body) is not None, "two variables stand side by side"),
        (_edge(body), "the body starts or ends with a variable"),
        (
            len(PLACEHOLDER.sub("", body).split()) < 2 * len(used) + 1 and bool(used),
            "too few words for its variables",
        ),
        (len(body) > BODY_LIMIT, f"the body is over {BODY_LIMIT} characters"),
        (_bad_buttons(layout), f"over {BUTTON_LIMIT} buttons, or a title over {TITLE_LIMIT} characters"),
    )
    return next((f"INVALID_FORMAT. {reason}" for broken, reason in reasons if broken), None)


def _edge(body: str) -> bool:
    """Punctuation behind the last variable does not help."""
    stripped = re.sub(r"[^\w{}]", "", body)
    return stripped.startswith("{{") or stripped.endswith("}}")


def _bad_buttons(layout: dict[str, Any]) -> bool:
    actions = layout.get("actions") or []
    return len(actions) > BUTTON_LIMIT or any(len(str(action.get("title", ""))) > TITLE_LIMIT for action in actions)
