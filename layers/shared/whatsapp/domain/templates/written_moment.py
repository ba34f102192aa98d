"""Reads days and times as callers write them, in ISO 8601 or English, in Indian time.

Ambiguous ones are not read: 3/4/2026 has two meanings, and a time with the name of another zone is not Indian time.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta, timezone

from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass

IST = timezone(timedelta(hours=5, minutes=30), "IST")
"""India has one zone and no summer time, so no time-zone database is needed."""

_CLOCK = re.compile(
    r"""(?<![\d:.])
        (?: (\d{1,2}) (?:[:.](\d{2}))? [ ]? ([ap])\.?m\b\.?             # 5 pm, 5:30 p.m.
          | (\d{1,2}) : (\d{2}) (?::\d{2})? (?![\d:]) (?:[ ]?hrs?\b\.?)? )  # 17:30, 17:30:00, 17:30 hrs
        (?:[ ]IST\b)?""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBERS = re.compile(r"(?P<year>\d{4})|(?P<day>\d{1,2})(?:st|nd|rd|th)?", re.ASCII)
_SEPARATED_DIGITS = re.compile(r"\d[/.-]\d", re.ASCII)
_ZONE = re.compile(
    r"\b(?:UTC|GMT|BST|SGT|GST|Z|CES?T|[ECMP][SD]T|AE[SD]T)\b|\+\d|\s-\d{2}:?\d{2}\b", re.ASCII | re.IGNORECASE
)
_LEAP_YEAR = 2000
"""Stands for the year of a date without one, because 29 February must be possible."""


def _abbreviations(names: str) -> Iterator[tuple[str, int]]:
    """`nov`, `nove`, …, `november`, each with the number of its name."""
    for number, name in enumerate(names.lower().split()):
        yield from ((name[:length], number) for length in range(3, len(name) + 1))


_MONTHS = dict(_abbreviations("January February March April May June July August September October November December"))
_WEEKDAYS = dict(_abbreviations("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"))


@dataclass(frozen=True, slots=True)
class Moment:
    """The day, the day of the week and the time of day that a text names."""

    day: date | None = None
    """Its year is never shown."""
    weekday: int | None = None
    """As `date.weekday()` counts. For a day without a year, only if the text names it."""
    clock: time | None = None
    has_year: bool = True
    """Whether the text names the year of `day`."""

    def comes_at(self, reference: datetime) -> datetime | None:
        """When it comes: at its time, or with the end of its day if it names none. None if there is no such day.

        A day without its year is the one nearest to `reference`. A time or a weekday without its day is the next one,
        or one that has just passed.

        Raises:
            OverflowError: in the year 10 000.
        """
        days = self._days(reference.astimezone(IST).date())
        moments = [self._on(day) for day in days]
        if self.day:
            return min(moments, key=lambda at: abs(at - reference), default=None)
        return next((at for at in moments if at >= reference - timedelta(milliseconds=periods.JUST_PASSED)), None)

    def _days(self, today: date) -> list[date]:
        """The days that it may mean, around today, in order."""
        if self.day and self.has_year:
            return [self.day]
        if self.day:
            return [day for year in (-1, 0, 1) if (day := _in_year(self.day, today.year + year))]
        around = (today + timedelta(days=n) for n in range(-1, 9))
        return [day for day in around if self.weekday in (None, day.weekday())]

    def _on(self, day: date) -> datetime:
        if self.clock:
            return datetime.combine(day, self.clock, IST)
        return datetime.combine(day, time(), IST) + timedelta(days=1)


def _in_year(day: date, year: int) -> date | None:
    try:
        return day.replace(year=year)
    except ValueError:  # 29 February
        return None


def read_moment(text: str) -> Moment | None:
    """The moment that `text` names; None if any part of it cannot be read, or does not exist."""
    for read in (_iso, _english):
        try:
            return read(text)
        except (ValueError, LookupError, OverflowError):  # OverflowError: year 10 000 in Indian time
            continue
    return None


def was_meant_as_moment(text: str) -> bool:
    """Whether a text that cannot be read was clearly meant as a day or time, so that it must be refused."""
    if not any(c.isalpha() for c in text):
        return True
    words = set(re.findall("[a-z]+", text.lower()))
    if (words & _MONTHS.keys() or _ZONE.search(text)) and any(c.isdecimal() for c in text):
        return True
    return any(map(_is_invalid_time, _CLOCK.finditer(text))) or bool(_SEPARATED_DIGITS.search(_CLOCK.sub(" ", text)))


def _iso(text: str) -> Moment:
    """A day, a time, or both. With an offset, it is converted to Indian time; without one, it is Indian time."""
    if ":" not in text:
        day = date.fromisoformat(text)
        return Moment(day, day.weekday())
    try:
        at, has_day = datetime.combine(date(2000, 1, 2), time.fromisoformat(text)), False
    except ValueError:
        at, has_day = datetime.fromisoformat(text), True
    if at.tzinfo:
        at = at.astimezone(IST)
    return Moment(at.date(), at.weekday(), at.time()) if has_day else Moment(clock=at.time())


def _english(text: str) -> Moment:
    """`24 November 2026, 5:30 pm`, `Tue, Nov 24th`, `17:30 hrs on 2026-11-24`."""
    clock = _CLOCK.search(text)
    rest = f"{text[: clock.start()]} {text[clock.end() :]}" if clock else text
    words = [word for word in re.split("[ ,]+", rest.lower()) if word not in ("", "at", "on", "-")]
    named = _day(words) if words else Moment()
    return replace(named, clock=_time(clock) if clock else None)


def _time(clock: re.Match[str]) -> time:
    if not clock[3]:
        return time(int(clock[4]), int(clock[5]))
    if not 1 <= (hour := int(clock[1])) <= 12:
        raise ValueError("not an hour of the twelve-hour clock")
    return time(hour % 12 + (12 if clock[3] in "pP" else 0), int(clock[2] or 0))


def _is_invalid_time(clock: re.Match[str]) -> bool:
    try:
        _time(clock)
    except ValueError:
        return True
    return False


def _day(words: list[str]) -> Moment:
    if _ISO_DAY.fullmatch(words[0]) and len(words) == 1:
        return _iso(words[0])
    found: dict[str, int] = {}
    for kind, number in map(_meaning, _split_at_hyphens(words)):
        if found.setdefault(kind, number) != number:
            raise ValueError(f"two of {kind}")
    if found.keys() == {"weekday"}:
        return Moment(weekday=found["weekday"])
    day = date(found.get("year", _LEAP_YEAR), found["month"], found["day"])
    weekday = day.weekday() if "year" in found else found.get("weekday")
    if found.get("weekday", weekday) != weekday:
        raise ValueError("the weekday does not fit the date")
    return Moment(day, weekday, has_year="year" in found)


def _split_at_hyphens(words: Iterable[str]) -> Iterator[str]:
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
