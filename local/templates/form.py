"""The form of a catalog file. The JSON Schema for editors and the checks of keys and values come from it.

The product reads the files with `whatsapp.domain.templates.catalog`, which relies on these checks.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    StringConstraints,
    Tag,
)
from whatsapp.domain.templates.template import Category
from whatsapp.domain.templates.variables import VariableType

SCHEMA_FILE = Path(__file__).parents[2] / "events" / "schemas" / "catalog_template.schema.json"

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Language = Literal["en", "hi", "ta", "bn"]
"""Those of `whatsapp.domain.templates.localisation`, which has each language's words for days and hours."""
Payload = Annotated[str, StringConstraints(pattern=r"^agent(:[a-z0-9_]+){2,}$", max_length=128)]
Title = Annotated[str, StringConstraints(pattern=r"^\S(.*\S)?$", max_length=20)]
Duration = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*[mhd]$")]

# The catalog is read with every value as text, so that `5:30` and `no` are not converted.
Flag = Annotated[bool, Strict(), BeforeValidator(lambda text: {"true": True, "false": False}.get(text, text))]
Length = Annotated[
    int,
    Strict(),
    Field(ge=1, le=255),
    BeforeValidator(lambda text: int(text) if str(text).isdecimal() else text),
]

SAMPLE_FORMS = ("one sample for all languages", "samples by language")
Sample = Annotated[
    Annotated[Text, Tag(SAMPLE_FORMS[0])] | Annotated[dict[Language, Text], Tag(SAMPLE_FORMS[1])],
    Discriminator(lambda sample: SAMPLE_FORMS[isinstance(sample, dict)]),
]


def _no_default(schema: dict[str, Any]) -> None:
    """For a key whose absence means something that no value does."""
    del schema["default"]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class VariableForm(_Form):
    """What stands for one `{{ name }}`."""

    type: VariableType
    """How a value is checked and localised: name, date, time, datetime, amount, link or text."""
    description: Text
    """What the value is, for those who write the callers."""
    sample: Sample
    """An example for WhatsApp's reviewer: one for all languages, or one for each."""
    max_length: Length = Field(0, json_schema_extra=_no_default)
    """The most characters it may have as the patient reads it (1 to 255); each type has its own default."""


class QuickReplyForm(_Form):
    """One button."""

    payload: Payload
    """What comes back when it is tapped: agent:, the agent, what it means, as agent:scheduling:confirm."""
    titles: dict[Language, Title]
    """What the button says, in each language: 1 to 20 characters."""


class WordingForm(_Form):
    """The message in one language."""

    body: Text
    """The message; each variable as {{ its_name }}, once or more."""


class TemplateForm(_Form):
    """A message template of the catalog."""

    name: Word
    """The file's name without .yaml: lower-case letters, digits and _."""
    purpose: Text
    """What the message is for, in a sentence."""
    agent: Word
    """The agent that owns the answers, in lower case: scheduling, reminders, follow_up, mood…"""
    category: Category
    """WhatsApp's category: UTILITY for what a patient asked for or booked, MARKETING for all else."""
    default_language: Language
    """The language of patients whose own is not known or not worded here."""
    expires_after: Duration = Field("", json_schema_extra=_no_default)
    """How long the message is worth sending, as 45m, 4h or 2d; left out, there is no such end."""
    expires_with: Word = Field("", json_schema_extra=_no_default)
    """The variable (date, time or datetime) with whose moment the message expires at the latest, as session_time."""
    quiet_hours_exempt: Flag = False
    """true or false: may it go in quiet hours too?"""
    on_unknown: Literal["hold", "resend"] = "hold"
    """When it can never be known whether it went: hold (it may be lost) or resend (it may come twice)."""
    free_form: Flag = False
    """true or false: may the bare text go, without the template, while the 24-hour window is open?"""
    requires_opt_in: Flag = False
    """true or false: may it go only to patients whose consent is recorded (opted_in_at)?"""
    priority: Literal["urgent", "normal", "low"] = "normal"
    """Which goes first where several wait: urgent (a changed appointment), normal, or low (a check-in)."""
    variables: dict[Word, VariableForm] = Field(default_factory=dict, max_length=100)
    """All variables, by name (lower-case letters, digits and _); every language uses all of them."""
    quick_replies: list[QuickReplyForm] = Field(default_factory=list, max_length=10)
    """The buttons, at most 10; WhatsApp shows up to three at once and hides more behind a list."""
    languages: dict[Language, WordingForm] = Field(min_length=1)
    """The message in each language, by its code: en, hi, ta, bn."""


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a catalog file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **TemplateForm.model_json_schema()}


def json_schema_text() -> str:
    """`SCHEMA_FILE` as it should be."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def advice(path: tuple[str | int, ...]) -> str:
    """The form's description of the key at `path`, or of the nearest key above it."""
    while path and "description" not in schema_at(path):
        path = path[:-1]
    return str(schema_at(path)["description"])


def schema_at(path: tuple[str | int, ...]) -> dict[str, Any]:
    """The schema of the key at `path`, as far as the path is known."""
    schema = json_schema()
    node: dict[str, Any] = schema
    for step in path:
        by_key = node.get("additionalProperties") or next(iter(node.get("patternProperties", {}).values()), None)
        below = node.get("properties", {}).get(step) or by_key or node.get("items")
        if not below:
            break
        node = schema["$defs"][below["$ref"].rpartition("/")[2]] if "$ref" in below else below
    return node
