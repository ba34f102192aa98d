"""The values of a template's variables: each is tidied, checked and localised by its type.

A value is never Jinja source, and no error here repeats it, because it may be a patient's name.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Literal, get_args
from urllib.parse import urlsplit

from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.templates.localisation import day_in_words, rupees, time_in_words
from whatsapp.domain.templates.written_moment import read_moment, was_meant_as_moment
from whatsapp.domain.visible import is_visible

VariableType = Literal["name", "date", "time", "datetime", "amount", "link", "text"]
VARIABLE_TYPES: tuple[str, ...] = get_args(VariableType)
MOMENT_TYPES = ("date", "time", "datetime")
"""The types whose values name a moment, with which a message may expire."""

DEFAULT_MAX_LENGTH: Mapping[str, int] = {
    "name": 120,
    "date": 60,
    "time": 40,
    "datetime": 80,
    "amount": 20,
    "link": 200,
    "text": 120,
}
"""Characters, by type. Our own limits: Twilio takes 1600 for a value, but 1024 for the whole text."""

_FAILED_LOOKUPS = frozenset({"None", "null", "undefined", "NaN", "nan", "NULL", "none"})
"""As programs write them; `Null` and `Nan` are people's names."""
_UNFILLED = re.compile(r"\{\{|\}\}|\{%|%\}|\$\{")
"""Parts of a placeholder that the caller did not fill. How Twilio treats a value `{{2}}` is not documented."""
_JOINERS = "\u200c\u200d"
"""Zero-width joiners: invisible, but needed for spelling in Indian scripts."""
_RUPEES = re.compile(r"(?:₹|Rs\.?|INR)? ?((?:\d+|\d{1,3}(?:,\d{2,3})*,\d{3})(?:\.\d{1,2})?)", re.ASCII)
"""Commas as in India (1,25,000) or in the West (125,000). Elsewhere a comma may be meant as a decimal point."""


class InvalidValueError(ValueError):
    """A value breaks its variable's rule. The text is the rule and follows the variable's name in a sentence."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One `{{ name }}` of a template."""

    name: str
    type: VariableType
    description: str
    samples: Mapping[str, str]
    """A value as a caller would give it, by language, for WhatsApp's reviewer and the preview."""
    max_length: int

    def text(self, value: str, language: str) -> str:
        """`value` as the patient reads it in `language`.

        Raises:
            InvalidValueError: with the rule that the value breaks.
        """
        text = _FORMATS[self.type](tidy(value), language)
        if len(text) > self.max_length:
            raise InvalidValueError(f"is longer than {self.max_length} characters")
        return text

    def moment(self, value: str, reference: datetime) -> datetime | None:
        """The moment that `value` names, seen from `reference`. None if it names none, as for `tomorrow`."""
        try:
            named = read_moment(tidy(value))
            return named.comes_at(reference) if named else None
        except (InvalidValueError, OverflowError):
            return None


def tidy(value: str) -> str:
    """The value on one line, with single spaces and without invisible characters.

    Twilio refuses a newline, a tab, more than four spaces in a row (errors 21656, 63013) and an empty value (21656).
    White space can be corrected without loss. An empty value, a failed lookup or an unfilled placeholder is refused.
    """
    if not isinstance(value, str):
        raise InvalidValueError("is not text (numbers too are written in quotes)")
    visible = (c for c in value if unicodedata.category(c) != "Cf" or c in _JOINERS)
    text = " ".join("".join(visible).split())
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
        raise InvalidValueError("holds a control character")
    if not is_visible(text):
        raise InvalidValueError("is empty")
    if text in _FAILED_LOOKUPS:
        raise InvalidValueError("is a programming language's word for nothing, not a value")
    if _UNFILLED.search(text):
        raise InvalidValueError("holds a placeholder that was not filled")
    return text


def _text(text: str, _language: str) -> str:
    return text


def _name(text: str, _language: str) -> str:
    if not any(c.isalpha() for c in text):
        raise InvalidValueError("is not a name: it has no letter")
    if "://" in text:
        raise InvalidValueError("is not a name: it holds a link")
    return text


def _moment(text: str, language: str, *, day: bool = False, clock: bool = False, example: str) -> str:
    """The day and the time that the type shows. Words such as `tomorrow` are kept; an unreadable date is refused."""
    moment = read_moment(text)
    shown = [day_in_words(moment.day, moment.weekday, language)] if moment and day else []
    shown += [time_in_words(moment.clock, language)] if moment and moment.clock and clock else []
    if words := ", ".join(filter(None, shown)):
        return words
    if moment or was_meant_as_moment(text):
        raise InvalidValueError(f"cannot be read: write {example}")
    return text


def _amount(text: str, _language: str) -> str:
    if not (found := _RUPEES.fullmatch(text)):
        raise InvalidValueError("is not an amount in rupees: write 1250 or 1250.50")
    return rupees(Decimal(found[1].replace(",", "")))


def _link(text: str, _language: str) -> str:
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme != "https" or " " in text:
        raise InvalidValueError("is not a link: write https://… without spaces")
    if parts.username is not None:
        raise InvalidValueError("holds a user name before the host, which hides where the link leads")
    return text


_FORMATS: Mapping[str, Callable[[str, str], str]] = {
    "name": _name,
    "date": partial(_moment, day=True, example="2026-11-24"),
    "time": partial(_moment, clock=True, example="17:30 or 5:30 pm"),
    "datetime": partial(_moment, day=True, clock=True, example="2026-11-24T17:30:00+05:30"),
    "amount": _amount,
    "link": _link,
    "text": _text,
}
