"""Dates, times and amounts as a patient reads them, in each language of the catalog.

The words are CLDR's (https://cldr.unicode.org), as the Babel package holds them; a test compares all of them with Babel.
They stand here as a table because Babel adds 33 MB to the layer for what is one screen of words. Digits stay 0–9 in
every language, as on the phone's own clock and in a bank's messages.
"""

from dataclasses import dataclass
from datetime import date, time, timedelta, timezone
from decimal import Decimal

IST = timezone(timedelta(hours=5, minutes=30), "IST")
"""India has one zone and no summer time, so no time-zone database is needed."""


@dataclass(frozen=True, slots=True)
class LanguageWords:
    """One language's calendar: names in order, and the layout of a date and a time."""

    months: tuple[str, ...]
    weekdays: tuple[str, ...]
    """Monday first, as `date.weekday()` counts."""
    date_layout: str
    day_parts: tuple[tuple[int, str], ...]
    """(first hour, name) in order; the hours before the first belong to the last."""
    time_layout: str

    def day_part(self, hour: int) -> str:
        """The name of the part of the day that holds `hour` (0–23)."""
        return next(
            (name for start, name in reversed(self.day_parts) if hour >= start), self.day_parts[-1][1]
        )


LANGUAGES = {
    "en": LanguageWords(
        months=(
            *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
            *("October", "November", "December"),
        ),
        weekdays=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        date_layout="{weekday}, {day} {month}",
        day_parts=((0, "am"), (12, "pm")),
        time_layout="{clock} {day_part}",
    ),
    "hi": LanguageWords(
        months=(
            *("जनवरी", "फ़रवरी", "मार्च", "अप्रैल", "मई", "जून", "जुलाई", "अगस्त", "सितंबर"),
            *("अक्टूबर", "नवंबर", "दिसंबर"),
        ),
        weekdays=("सोमवार", "मंगलवार", "बुधवार", "गुरुवार", "शुक्रवार", "शनिवार", "रविवार"),
        date_layout="{weekday}, {day} {month}",
        day_parts=((4, "सुबह"), (12, "दोपहर"), (16, "शाम"), (20, "रात")),
        time_layout="{day_part} {clock}",
    ),
    "ta": LanguageWords(
        months=(
            *("ஜனவரி", "பிப்ரவரி", "மார்ச்", "ஏப்ரல்", "மே", "ஜூன்", "ஜூலை", "ஆகஸ்ட்", "செப்டம்பர்"),
            *("அக்டோபர்", "நவம்பர்", "டிசம்பர்"),
        ),
        weekdays=("திங்கள்", "செவ்வாய்", "புதன்", "வியாழன்", "வெள்ளி", "சனி", "ஞாயிறு"),
        date_layout="{weekday}, {day} {month}",
        day_parts=(
            *((3, "அதிகாலை"), (5, "காலை"), (12, "மதியம்"), (14, "பிற்பகல்"), (16, "மாலை")),
            *((18, "அந்தி மாலை"), (21, "இரவு")),
        ),
        time_layout="{day_part} {clock}",
    ),
    "bn": LanguageWords(
        months=(
            *("জানুয়ারী", "ফেব্রুয়ারী", "মার্চ", "এপ্রিল", "মে", "জুন", "জুলাই", "আগস্ট", "সেপ্টেম্বর"),
            *("অক্টোবর", "নভেম্বর", "ডিসেম্বর"),
        ),
        weekdays=("সোমবার", "মঙ্গলবার", "বুধবার", "বৃহস্পতিবার", "শুক্রবার", "শনিবার", "রবিবার"),
        date_layout="{weekday}, {day} {month}",
        day_parts=((4, "ভোর"), (6, "সকাল"), (12, "দুপুর"), (16, "বিকাল"), (18, "সন্ধ্যা"), (20, "রাত্রি")),
        time_layout="{day_part} {clock}",
    ),
}


def date_in_words(day: date, language: str) -> str:
    """`Tuesday, 24 November`: the weekday guards against a slip, the year would only be noise."""
    words = LANGUAGES[language]
    return words.date_layout.format(
        weekday=words.weekdays[day.weekday()], day=day.day, month=words.months[day.month - 1]
    )


def time_in_words(moment: time, language: str) -> str:
    """`5:30 pm`, `शाम 5:30`: the twelve-hour clock with the day's part, in `language`."""
    words = LANGUAGES[language]
    clock = f"{moment.hour % 12 or 12}:{moment.minute:02}"
    return words.time_layout.format(clock=clock, day_part=words.day_part(moment.hour))


def rupees(amount: Decimal) -> str:
    """`₹1,25,000` or `₹850.50`: grouped by lakh and crore; paise only where there are any."""
    whole, _, paise = f"{amount:.2f}".partition(".")
    head, tail = whole[:-3], whole[-3:]
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)]
    grouped = ",".join([*reversed(pairs), tail])
    return f"₹{grouped}" + ("" if paise == "00" else f".{paise}")
