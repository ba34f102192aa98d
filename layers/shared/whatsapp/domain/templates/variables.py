"""What may stand in a template's variable: each value is tidied, checked and localised by its type.

A value is data. It never reaches Jinja as source, and no error here repeats it: it may be a patient's name.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, get_args
from urllib.parse import urlsplit

from whatsapp.domain.templates.localisation import rupees
from whatsapp.domain.templates.written_moment import Moment, read_moment, was_meant_as_moment

VariableType = Literal["name", "date", "time", "datetime", "amount", "link", "text"]
VARIABLE_TYPES: tuple[str, ...] = get_args(VariableType)

DEFAULT_MAX_LENGTH: Mapping[str, int] = {
    "name": 60,
    "date": 60,
    "time": 40,
    "datetime": 80,
    "amount": 20,
    "link": 200,
    "text": 120,
}
"""Characters, by type. Our own prudence: Twilio takes 1600 a value, but the whole text must be ≤ 1024."""

_FAILED_LOOKUPS = frozenset({"none", "null", "undefined", "nan"})
_UNFILLED = re.compile(r"\{\{|\}\}|\{%|%\}|\$\{")
"""What is left of a placeholder that the caller did not fill. What Twilio would make of a value `{{2}}` is unknown."""
_JOINERS = "\u200c\u200d"
"""Zero-width joiners: invisible, but spelling in Indian scripts needs them."""
_RUPEES = re.compile(r"(?:₹|Rs\.?|INR)? ?((?:\d+|\d{1,3}(?:,\d{2,3})*,\d{3})(?:\.\d{1,2})?)", re.ASCII)
"""Commas as in India (1,25,000) or in the West (125,000). A comma elsewhere is a slip, or meant as a point."""


class InvalidValueError(ValueError):
    """A value breaks its variable's rule. The text is the rule, fit to follow the variable's name."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One `{{ name }}` of a template."""

    name: str
    type: VariableType
    description: str
    samples: Mapping[str, str]
    """A value as a caller would give it, by language: what WhatsApp's reviewer and the preview see."""
    max_length: int

    def text(self, value: str, language: str) -> str:
        """`value` as the patient will read it in `language`.

        Raises:
            InvalidValueError: with the rule that it breaks.
        """
        text = _FORMATS[self.type](tidy(value), language)
        if len(text) > self.max_length:
            raise InvalidValueError(f"is longer than {self.max_length} characters")
        return text


def tidy(value: str) -> str:
    """One line, single spaces, nothing invisible.

    Twilio refuses a value with a newline, a tab or more than four spaces in a row (errors 21656, 63013) and
    an empty one (21656). White space is mended, since no meaning is lost; what is empty or a failed lookup is
    refused, and so is what still waits to be filled.
    """
    if not isinstance(value, str):
        raise InvalidValueError("is not text (numbers too are written in quotes)")
    visible = (c for c in value if unicodedata.category(c) != "Cf" or c in _JOINERS)
    text = " ".join("".join(visible).split())
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
        raise InvalidValueError("holds a control character")
    if not any(unicodedata.category(c)[0] in "LNPS" for c in text):
        raise InvalidValueError("is empty")
    if text.casefold() in _FAILED_LOOKUPS:
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


def _date(text: str, language: str) -> str:
    moment = read_moment(text) or Moment()
    return moment.day_in_words(language) or _as_written(text, "2026-11-24")


def _time(text: str, language: str) -> str:
    moment = read_moment(text) or Moment()
    return moment.clock_in_words(language) or _as_written(text, "17:30 or 5:30 pm")


def _datetime(text: str, language: str) -> str:
    """Day and time; a day or a time alone is taken too, and shown alone."""
    moment = read_moment(text) or Moment()
    shown = filter(None, (moment.day_in_words(language), moment.clock_in_words(language)))
    return ", ".join(shown) or _as_written(text, "2026-11-24T17:30:00+05:30")


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
    "date": _date,
    "time": _time,
    "datetime": _datetime,
    "amount": _amount,
    "link": _link,
    "text": _text,
}


def _as_written(text: str, example: str) -> str:
    """Words such as `tomorrow` pass; what was plainly meant as a day or time, and cannot be shown as one, does not."""
    if read_moment(text) or was_meant_as_moment(text):
        raise InvalidValueError(f"cannot be read: write {example}")
    return text
