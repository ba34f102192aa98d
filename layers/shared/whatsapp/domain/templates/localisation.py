"""Dates, times and amounts as a patient reads them, in each language of the catalog.

The words are CLDR's (https://cldr.unicode.org), except two parts of the day that are not in everyday use. A test
compares them with the Babel package, which is not used here because it would add 33 MB to the layer. Digits are 0–9 in
every language, as on the phone's own clock.
"""

from datetime import date, time
from decimal import Decimal

from whatsapp.domain.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class LanguageWords:
    """The words of one language for days and hours."""

    months: str
    """Twelve words, from January."""
    weekdays: str
    """Seven words, from Monday, as `date.weekday()` counts."""
    day_parts: tuple[tuple[int, str], ...]
    """(first hour, name) in order. The hours before the first one belong to the last one."""
    time_layout: str = "{day_part} {clock}"


LANGUAGES = {
    "en": LanguageWords(
        "January February March April May June July August September October November December",
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        ((0, "am"), (12, "pm")),
        "{clock} {day_part}",
    ),
    "hi": LanguageWords(
        "जनवरी फ़रवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर",
        "सोमवार मंगलवार बुधवार गुरुवार शुक्रवार शनिवार रविवार",
        ((4, "सुबह"), (12, "दोपहर"), (16, "शाम"), (20, "रात")),
    ),
    "ta": LanguageWords(
        "ஜனவரி பிப்ரவரி மார்ச் ஏப்ரல் மே ஜூன் ஜூலை ஆகஸ்ட் செப்டம்பர் அக்டோபர் நவம்பர் டிசம்பர்",
        "திங்கள் செவ்வாய் புதன் வியாழன் வெள்ளி சனி ஞாயிறு",
        (
            (3, "அதிகாலை"),
            (5, "காலை"),
            (12, "மதியம்"),
            (14, "பிற்பகல்"),
            (16, "மாலை"),
            (19, "இரவு"),  # CLDR has the literary word for dusk from 18, and night from 21
        ),
    ),
    "bn": LanguageWords(
        "জানুয়ারী ফেব্রুয়ারী মার্চ এপ্রিল মে জুন জুলাই আগস্ট সেপ্টেম্বর অক্টোবর নভেম্বর ডিসেম্বর",
        "সোমবার মঙ্গলবার বুধবার বৃহস্পতিবার শুক্রবার শনিবার রবিবার",
        # CLDR's word for night is the written রাত্রি.
        ((4, "ভোর"), (6, "সকাল"), (12, "দুপুর"), (16, "বিকাল"), (18, "সন্ধ্যা"), (20, "রাত")),
    ),
}


def day_in_words(day: date | None, weekday: int | None, language: str) -> str:
    """`Tuesday, 24 November`, or as much of it as is given, without the year. `weekday` counts from Monday, 0."""
    words = LANGUAGES[language]
    weekdays = [words.weekdays.split()[weekday]] if weekday is not None else []
    dates = [f"{day.day} {words.months.split()[day.month - 1]}"] if day else []
    return ", ".join(weekdays + dates)


def time_in_words(moment: time, language: str) -> str:
    """`5:30 pm`, `शाम 5:30`: the twelve-hour clock with the part of the day, in `language`."""
    words = LANGUAGES[language]
    begun = [name for first_hour, name in words.day_parts if moment.hour >= first_hour]
    day_part = begun[-1] if begun else words.day_parts[-1][1]
    return words.time_layout.format(clock=f"{moment.hour % 12 or 12}:{moment.minute:02}", day_part=day_part)


def rupees(amount: Decimal) -> str:
    """`₹1,25,000` or `₹850.50`: grouped by lakh and crore, with paise only if there are any."""
    whole, _, paise = f"{amount:.2f}".partition(".")
    head, tail = whole[:-3], whole[-3:]
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)]
    grouped = ",".join([*reversed(pairs), tail])
    return f"₹{grouped}" + ("" if paise == "00" else f".{paise}")
