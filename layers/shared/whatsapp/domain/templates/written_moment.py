"""Days and times as callers write them, ISO 8601 or English, read for what they name in Indian time.

What is not plain is not read: 3/4/2026 has two meanings, and a clock with the name of a zone is no Indian time.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time

from whatsapp.domain.templates.localisation import IST, LANGUAGES, date_in_words, time_in_words, weekday_in_words

_CLOCK = re.compile(
    r"""(?<![\d:.])
        (?: (\d{1,2}) (?:[:.](\d{2}))? [ ]? ([ap])\.?m\b\.?             # 5 pm, 5:30 p.m.
          | (\d{1,2}) : (\d{2}) (?::\d{2})? (?![\d:]) (?:[ ]?hrs?\b\.?)? )  # 17:30, 17:30:00, 17:30 hrs
        (?:[ ]IST\b)?""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBERS = re.compile(r"(?P<year>\d{4})|(?P<day>\d{1,2})(?:st|nd|rd|th)?", re.ASCII)
_DIGITS_APART = re.compile(r"\d[/.-]\d", re.ASCII)
_ZONE = re.compile(
    r"\b(?:UTC|GMT|BST|SGT|GST|Z|CES?T|[ECMP][SD]T|AE[SD]T)\b|\+\d|\s-\d{2}:?\d{2}\b", re.ASCII | re.IGNORECASE
)
_YEAR_OF_ALL_DAYS = 2000
"""A leap year: it has every day that a date without a year may name."""


def _beginnings(names: str) -> Iterator[tuple[str, int]]:
    """`nov`, `nove`, …, `november`, each with the number of its name."""
    for number, name in enumerate(names.lower().split()):
        yield from ((name[:length], number) for length in range(3, len(name) + 1))


_MONTHS = dict(_beginnings(LANGUAGES["en"].months))
_WEEKDAYS = dict(_beginnings(LANGUAGES["en"].weekdays))


@dataclass(frozen=True, slots=True)
class Moment:
    """What a text names: a day, a day of the week, a time of day, or several of them."""

    day: date | None = None
    """Only its day and month are ever shown."""
    weekday: int | None = None
    """As `date.weekday()` counts. A day without a year has one only if the text says so."""
    clock: time | None = None

    def day_in_words(self, language: str) -> str | None:
        """`Tuesday, 24 November`, or as much of it as was named; None if nothing was."""
        weekday = None if self.weekday is None else weekday_in_words(self.weekday, language)
        day = None if self.day is None else date_in_words(self.day, language)
        return ", ".join(filter(None, (weekday, day))) or None

    def clock_in_words(self, language: str) -> str | None:
        """`5:30 pm`; None if no time was named."""
        return None if self.clock is None else time_in_words(self.clock, language)


def read_moment(text: str) -> Moment | None:
    """All that `text` names; None if anything in it cannot be read, or is no such day or time."""
    for read in (_iso, _english):
        try:
            return read(text)
        except (ValueError, LookupError, OverflowError):  # OverflowError: in our zone it is year 10 000
            continue
    return None


def was_meant_as_moment(text: str) -> bool:
    """Whether a text that cannot be read was plainly meant to be, so that it must not pass as mere words."""
    if not any(c.isalpha() for c in text):
        return True
    words = set(re.findall("[a-z]+", text.lower()))
    if (words & _MONTHS.keys() or _ZONE.search(text)) and any(c.isdecimal() for c in text):
        return True
    return any(map(_is_no_time, _CLOCK.finditer(text))) or bool(_DIGITS_APART.search(_CLOCK.sub(" ", text)))


def _iso(text: str) -> Moment:
    """A day, a time, or both. With an offset it is converted; without one it is Indian time already."""
    if ":" not in text:
        day = date.fromisoformat(text)
        return Moment(day, day.weekday())
    try:
        at = datetime.combine(date(2000, 1, 2), time.fromisoformat(text))
    except ValueError:
        at = _in_ist(datetime.fromisoformat(text))
        return Moment(at.date(), at.weekday(), at.time())
    return Moment(clock=_in_ist(at).time())


def _in_ist(at: datetime) -> datetime:
    return at.astimezone(IST) if at.tzinfo else at


def _english(text: str) -> Moment:
    """`24 November 2026, 5:30 pm`, `Tue, Nov 24th`, `17:30 hrs on 2026-11-24`."""
    clock = _CLOCK.search(text)
    rest = f"{text[: clock.start()]} {text[clock.end() :]}" if clock else text
    words = [word for word in re.split("[ ,]+", rest.lower()) if word not in ("", "at", "on", "-")]
    named = _day(words) if words else Moment()
    return Moment(named.day, named.weekday, _time(clock) if clock else None)


def _time(clock: re.Match[str]) -> time:
    if not clock[3]:
        return time(int(clock[4]), int(clock[5]))
    if not 1 <= (hour := int(clock[1])) <= 12:
        raise ValueError("the twelve-hour clock has no such hour")
    return time(hour % 12 + (12 if clock[3] in "pP" else 0), int(clock[2] or 0))


def _is_no_time(clock: re.Match[str]) -> bool:
    try:
        _time(clock)
    except ValueError:
        return True
    return False


def _day(words: list[str]) -> Moment:
    if _ISO_DAY.fullmatch(words[0]) and len(words) == 1:
        return _iso(words[0])
    found: dict[str, int] = {}
    for kind, number in map(_meaning, _apart(words)):
        if found.setdefault(kind, number) != number:
            raise ValueError(f"two of {kind}")
    if found.keys() == {"weekday"}:
        return Moment(weekday=found["weekday"])
    day = date(found.get("year", _YEAR_OF_ALL_DAYS), found["month"], found["day"])
    weekday = day.weekday() if "year" in found else found.get("weekday")
    if found.get("weekday", weekday) != weekday:
        raise ValueError("that day is another day of the week")
    return Moment(day, weekday)


def _apart(words: Iterable[str]) -> Iterator[str]:
    """`24-nov-2026` as three words."""
    for word in words:
        yield from word.rstrip(".").split("-")


def _meaning(word: str) -> tuple[str, int]:
    if word in _MONTHS:
        return "month", _MONTHS[word] + 1
    if word in _WEEKDAYS:
        return "weekday", _WEEKDAYS[word]
    if not (number := _NUMBERS.fullmatch(word)):
        raise ValueError("not a word of a date")
    kind = "year" if number["year"] else "day"
    return kind, int(number[kind])
