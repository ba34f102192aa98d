"""What a reply offers to tap, as a content of Twilio's Content API: up to three titles as buttons, else a list.

WhatsApp takes both without approval inside the window, and a list only there. Limits: www.twilio.com/docs/content/
`twilio-quick-reply` and `twiliolist-picker` (a body of 1 024 characters; three buttons without approval, ten items; an
item's title 24, its description 72). Twilio's pages disagree on a button's title (20 or 25) and id (128 or 200): the
lower ones hold. A list's button takes 20 characters (developers.facebook.com, "Interactive list messages").

All words are variables, so that the contents at Twilio hold nobody's words and one content serves every message of its
shape. No variable takes a line break, a tab or more than four spaces (www.twilio.com/docs/api/errors/63013, 21656), so
these belong to the shape.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from whatsapp.domain.dataclass import dataclass

MAX_CHOICES, MAX_BUTTONS, MAX_TEXT = 10, 3, 1024
TITLE, BUTTON_TITLE, ID, DESCRIPTION, LABEL = 24, 20, 128, 72, 20
"""The most characters of each."""
MAX_VARIABLES = 100
"""Of one content (www.twilio.com/docs/content/using-variables-with-content-api)."""
DEFAULT_LABEL = "Choose"
APART = re.compile(r"([\n\r\t]+| {5,})")
"""What no variable takes."""


@dataclass(frozen=True, slots=True)
class ChoicesLayout:
    """The content that a message with choices needs, and what fills it.

    Args:
        content: the JSON body of Twilio's `POST /v1/Content`. Its friendly name contains a hash of all the rest.
        variables: Twilio's `ContentVariables`.
    """

    content: dict[str, Any]
    variables: Mapping[str, str]

    @property
    def name(self) -> str:
        """The content's name at Twilio: the same for each message of this shape."""
        return str(self.content["friendly_name"])


def are_buttons(choices: Sequence[Mapping[str, str]]) -> bool:
    """Whether they are shown as buttons: up to three, without descriptions."""
    return len(choices) <= MAX_BUTTONS and not any(choice.get("description") for choice in choices)


def layout(text: str, choices: Sequence[Mapping[str, str]], label: str | None) -> ChoicesLayout:
    """The layout of a text with these choices. `label`: of a list's button."""
    variables: dict[str, str] = {}

    def variable(value: str) -> str:
        variables[str(len(variables) + 1)] = value
        return f"{{{{{len(variables)}}}}}"

    body = "".join(part if APART.fullmatch(part) else variable(part) for part in APART.split(text) if part)
    if are_buttons(choices):
        actions = [{"type": "QUICK_REPLY", **_filled(choice, variable, title="title")} for choice in choices]
        kind, types = "buttons", {"twilio/quick-reply": {"body": body, "actions": actions}}
    else:
        button = variable(label or DEFAULT_LABEL)
        items = [_filled(choice, variable, title="item") for choice in choices]
        kind, types = "list", {"twilio/list-picker": {"body": body, "button": button, "items": items}}
    shape = {"language": "en", "types": types, "variables": dict.fromkeys(variables, "sample")}
    digest = hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:12]
    return ChoicesLayout({"friendly_name": f"choices_{kind}_{len(choices)}_{digest}", **shape}, variables)


def _filled(choice: Mapping[str, str], variable: Callable[[str], str], *, title: str) -> dict[str, str]:
    """A choice with a variable for each of its values. `title`: what the content type calls that."""
    names = {"title": title, "id": "id", "description": "description"}
    return {at_twilio: variable(choice[name]) for name, at_twilio in names.items() if choice.get(name)}


def chosen(choices: Sequence[Mapping[str, str]], title: str, choice_id: str | None = None) -> Mapping[str, str] | None:
    """The one of our choices that was tapped: by its id, or by its title where Twilio shows only that."""
    wanted = title.strip().casefold()
    by_id = (choice for choice in choices if choice["id"] == choice_id)
    by_title = (choice for choice in choices if choice_id is None and choice["title"].casefold() == wanted)
    return next(by_id, None) or next(by_title, None)
