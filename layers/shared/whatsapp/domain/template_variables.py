"""What may stand in a template's variable: each value is tidied, checked and localised by its type.

A value is data. It never reaches Jinja as source, and no error here repeats it: it may be a patient's name.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Literal, get_args
from urllib.parse import urlsplit

from whatsapp.domain.localisation import IST, LANGUAGES, date_in_words, rupees, time_in_words

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

_FAILED_LOOKUPS = frozenset({"None", "null", "undefined", "NaN"})
_JOINERS = "\u200c\u200d"
"""Zero-width joiners: invisible, but spelling in Indian scripts needs them."""


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
    refused.
    """
    if not isinstance(value, str):
        raise InvalidValueError("is not text (numbers too are written in quotes)")
    visible = (c for c in value if unicodedata.category(c) != "Cf" or c in _JOINERS)
    text = " ".join("".join(visible).split())
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
        raise InvalidValueError("holds a control character")
    if not any(unicodedata.category(c)[0] in "LNPS" for c in text):
        raise InvalidValueError("is empty")
    if text in _FAILED_LOOKUPS:
        raise InvalidValueError("is a programming language's word for nothing, not a value")
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
    day = _read_date(text) or _day_of(_read_datetime(text))
    return date_in_words(day, language) if day else _as_written(text, "2026-11-24")


def _time(text: str, language: str) -> str:
    moment = _read_time(text) or _time_of(_read_datetime(text))
    return time_in_words(moment, language) if moment else _as_written(text, "17:30 or 5:30 pm")


def _datetime(text: str, language: str) -> str:
    """Day and time; a day or a time alone is taken too, and shown alone."""
    if day := _read_date(text):
        return date_in_words(day, language)
    if moment := _read_time(text):
        return time_in_words(moment, language)
    if at := _read_datetime(text):
        return f"{date_in_words(at.date(), language)}, {time_in_words(at.time(), language)}"
    return _as_written(text, "2026-11-24T17:30:00+05:30")


def _amount(text: str, _language: str) -> str:
    if not (found := re.fullmatch(r"(?:₹|Rs\.?|INR)? ?(\d[\d,]*(?:\.\d{1,2})?)", text, re.ASCII)):
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

_CLOCK = re.compile(r"(\d{1,2})(?:[:.](\d{2}))? ?([ap])\.?m\.?", re.ASCII | re.IGNORECASE)
_ENGLISH_DATE = re.compile(r"(\d{1,2}) ([A-Za-z]{3,9}),? (\d{4})", re.ASCII)


def _read_date(text: str) -> date | None:
    """`2026-11-24`, `24 November 2026` or `24 Nov 2026`. Not 3/4/2026, which has two meanings."""
    if written := _ENGLISH_DATE.fullmatch(text):
        names = LANGUAGES["en"].months.lower().split()
        word = written[2].lower()
        month = next((n for n, name in enumerate(names, 1) if word in (name, name[:3])), 0)
        text = f"{written[3]}-{month:02}-{int(written[1]):02}"
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _read_time(text: str) -> time | None:
    """`17:30` or `5:30 pm`; with an offset it is converted to IST."""
    try:
        if clock := _CLOCK.fullmatch(text):
            hour, afternoon = int(clock[1]), clock[3].lower() == "p"
            return time(hour % 12 + 12 * afternoon, int(clock[2] or 0)) if 1 <= hour <= 12 else None
        moment = time.fromisoformat(text) if ":" in text else None
    except ValueError:
        return None
    if moment and moment.tzinfo:
        return datetime.combine(date(2000, 1, 2), moment).astimezone(IST).time()
    return moment


def _read_datetime(text: str) -> datetime | None:
    """An ISO 8601 day and time, in IST; without an offset it is IST already."""
    try:
        at = datetime.fromisoformat(text) if ":" in text else None
    except ValueError:
        return None
    return at.astimezone(IST) if at and at.tzinfo else at


def _day_of(at: datetime | None) -> date | None:
    return at.date() if at else None


def _time_of(at: datetime | None) -> time | None:
    return at.time() if at else None


def _as_written(text: str, example: str) -> str:
    """Words such as `tomorrow` pass; what was plainly meant as a date or time, and is none, does not."""
    meant_for_us = _CLOCK.fullmatch(text) or _ENGLISH_DATE.fullmatch(text) or re.match(r"\d{4}-\d", text)
    if meant_for_us or not any(c.isalpha() for c in text):
        raise InvalidValueError(f"cannot be read: write {example}")
    return text
