"""Each type of variable: what is taken, how it reads in each language, and what is refused."""

from datetime import date, time, timedelta

import pytest
from babel.dates import format_date, format_time, get_day_names, get_month_names
from whatsapp.domain.templates.localisation import LANGUAGES, day_in_words, time_in_words
from whatsapp.domain.templates.variables import (
    DEFAULT_MAX_LENGTH,
    VARIABLE_TYPES,
    InvalidValueError,
    Variable,
    VariableType,
)

CLDR = {"en": "en_IN", "hi": "hi_IN", "ta": "ta_IN", "bn": "bn_IN"}


def variable(kind: VariableType, max_length: int = 255) -> Variable:
    return Variable("it", kind, "", {}, max_length)


@pytest.mark.parametrize(
    ("kind", "value", "language", "text"),
    [
        ("name", "Asha", "en", "Asha"),
        ("name", "  Asha \t\n Devi ", "en", "Asha Devi"),
        ("name", "डॉ. राव", "hi", "डॉ. राव"),
        ("name", "क\u094d\u200dष", "hi", "क\u094d\u200dष"),  # the joiner is part of the spelling
        ("name", "\u202eAsha\u200b", "en", "Asha"),
        ("name", "Nan Devi {aunt}", "en", "Nan Devi {aunt}"),
        ("text", "a\u2028b\x0bc", "en", "a b c"),
        ("text", "1     2", "en", "1 2"),
        ("date", "2026-11-24", "en", "Tuesday, 24 November"),
        ("date", "2026-11-24", "hi", "मंगलवार, 24 नवंबर"),
        ("date", "2026-11-24", "ta", "செவ்வாய், 24 நவம்பர்"),
        ("date", "2026-11-24", "bn", "মঙ্গলবার, 24 নভেম্বর"),
        ("date", "24 November 2026", "hi", "मंगलवार, 24 नवंबर"),
        ("date", "24 Nov 2026", "en", "Tuesday, 24 November"),
        ("date", "2026-11-24T20:00:00Z", "en", "Wednesday, 25 November"),  # after midnight in India
        ("date", "24 November 2026, 5:30 pm", "hi", "मंगलवार, 24 नवंबर"),
        ("date", "24 Nov", "hi", "24 नवंबर"),  # without the year nobody knows the weekday
        ("date", "29 February", "en", "29 February"),
        ("date", "Tue, 24 Nov", "hi", "मंगलवार, 24 नवंबर"),
        ("date", "Nov 24, 2026", "hi", "मंगलवार, 24 नवंबर"),
        ("date", "November 24th, 2026", "en", "Tuesday, 24 November"),
        ("date", "24-Nov-2026", "en", "Tuesday, 24 November"),
        ("date", "Tuesday, 24 Sept. 2030", "en", "Tuesday, 24 September"),
        ("date", "Monday", "hi", "सोमवार"),
        ("date", "tomorrow", "en", "tomorrow"),
        ("date", "tomorrow", "hi", "tomorrow"),
        ("date", "some day in May", "en", "some day in May"),
        ("time", "17:30", "en", "5:30 pm"),
        ("time", "5:30 pm", "en", "5:30 pm"),
        ("time", "5:30 PM", "hi", "शाम 5:30"),
        ("time", "5 p.m.", "ta", "மாலை 5:00"),
        ("time", "12:05 am", "en", "12:05 am"),
        ("time", "12:05 am", "bn", "রাত 12:05"),
        ("time", "12:00", "en", "12:00 pm"),
        ("time", "00:00", "en", "12:00 am"),
        ("time", "2026-11-24T12:00:00+00:00", "en", "5:30 pm"),
        ("time", "12:00Z", "en", "5:30 pm"),
        ("time", "17:30 hrs", "hi", "शाम 5:30"),
        ("time", "5.30 p.m. IST", "hi", "शाम 5:30"),
        ("time", "17:30 IST", "en", "5:30 pm"),
        ("time", "24 November 2026, 5:30 pm", "hi", "शाम 5:30"),
        ("time", "5:30 in the evening", "en", "5:30 in the evening"),
        ("time", "5-6 pm", "en", "5-6 pm"),
        ("time", "between 5:30 and 6 pm", "en", "between 5:30 and 6 pm"),
        ("datetime", "2026-11-24T17:30:00+05:30", "en", "Tuesday, 24 November, 5:30 pm"),
        ("datetime", "2026-11-24T12:00:00Z", "hi", "मंगलवार, 24 नवंबर, शाम 5:30"),
        ("datetime", "2026-11-24 17:30", "en", "Tuesday, 24 November, 5:30 pm"),
        ("datetime", "2026-11-24 5:30 pm", "en", "Tuesday, 24 November, 5:30 pm"),
        ("datetime", "24 November 2026, 5:30 pm", "hi", "मंगलवार, 24 नवंबर, शाम 5:30"),
        ("datetime", "5:30 pm on 24 November 2026", "hi", "मंगलवार, 24 नवंबर, शाम 5:30"),
        ("datetime", "Tuesday 24 Nov 2026 at 17:30", "hi", "मंगलवार, 24 नवंबर, शाम 5:30"),
        ("datetime", "24 Nov 2026 - 17:30:00 IST", "en", "Tuesday, 24 November, 5:30 pm"),
        ("datetime", "Monday, 5:30 pm", "ta", "திங்கள், மாலை 5:30"),
        ("datetime", "2026-11-24", "en", "Tuesday, 24 November"),  # never "12:00 am"
        ("datetime", "5:30 pm", "en", "5:30 pm"),
        ("datetime", "tomorrow, 5:30 pm", "en", "tomorrow, 5:30 pm"),
        ("amount", "850", "en", "₹850"),
        ("amount", "1250.5", "hi", "₹1,250.50"),
        ("amount", "₹1,25,000", "en", "₹1,25,000"),
        ("amount", "125,000", "en", "₹1,25,000"),
        ("amount", "Rs. 12345678.00", "en", "₹1,23,45,678"),
        ("link", "https://clinic.example/a?b=c", "en", "https://clinic.example/a?b=c"),
    ],
)
def test_a_value_as_the_patient_reads_it(kind: VariableType, value: str, language: str, text: str) -> None:
    assert variable(kind).text(value, language) == text


@pytest.mark.parametrize("name", ["Null", "Nan", "Nan Khin", "Null Kumar", "A" * 100])
def test_a_name_of_a_person(name: str) -> None:
    assert Variable("it", "name", "", {}, DEFAULT_MAX_LENGTH["name"]).text(name, "en") == name


@pytest.mark.parametrize(
    ("kind", "value", "rule"),
    [
        ("text", "", "is empty"),
        ("text", " \n\t", "is empty"),
        ("text", "\u200b\u200d", "is empty"),
        ("text", "\u3164", "is empty"),
        ("text", "\u2800\uffa0", "is empty"),
        ("text", "a\x00b", "control character"),
        ("text", "a\ud800b", "control character"),
        ("text", "undefined", "word for nothing"),
        ("name", "None", "word for nothing"),
        ("name", "NULL", "word for nothing"),
        ("text", "nan", "word for nothing"),
        ("name", "{{patient_name}}", "placeholder"),
        ("name", "Asha {{1}}", "placeholder"),
        ("name", "Asha }}", "placeholder"),
        ("text", "${name}", "placeholder"),
        ("text", "{% if x %}", "placeholder"),
        ("link", "https://clinic.example/{{2}}", "placeholder"),
        ("name", "+91 98123 45678", "has no letter"),
        ("name", "Asha https://evil.example", "holds a link"),
        ("date", "2026-02-30", "cannot be read"),
        ("date", "30 February 2026", "cannot be read"),
        ("date", "03/04/2026", "cannot be read"),
        ("date", "17:30", "cannot be read"),
        ("date", "5:30 pm", "cannot be read"),
        ("date", "Monday, 24 November 2026", "cannot be read"),  # it is a Tuesday
        ("date", "24 25 November 2026", "cannot be read"),
        ("date", "24 November 26", "cannot be read"),
        ("date", "on 24/11", "cannot be read"),
        ("time", "25:30", "cannot be read"),
        ("time", "12:00 UTC", "cannot be read"),
        ("time", "noon, that is 7 am GMT", "cannot be read"),
        ("time", "5:30 pm +00:00", "cannot be read"),
        ("time", "5:30 pm -05:00", "cannot be read"),
        ("time", "Monday", "cannot be read"),
        ("time", "13:30 pm", "cannot be read"),
        ("time", "5:75 pm", "cannot be read"),
        ("time", "2026-11-24", "cannot be read"),
        ("time", "17", "cannot be read"),
        ("datetime", "2026-11-24T25:00", "cannot be read"),
        ("datetime", "03/04/2026 5:30 pm", "cannot be read"),
        ("datetime", "3.4.2026 at 5:30 pm", "cannot be read"),
        ("datetime", "31 February 2026, 5:30 pm", "cannot be read"),
        ("datetime", "24 November 2026, 12:00 UTC", "cannot be read"),
        ("datetime", "24 November 2026, 13:30 pm", "cannot be read"),
        ("datetime", "tomorrow, 24 November, 5:30 pm", "cannot be read"),
        ("datetime", "9999-12-31T23:59:00-12:00", "cannot be read"),
        ("datetime", "0001-01-01T00:00:00+14:00", "cannot be read"),
        ("date", "9999-12-31T23:59:00-12:00", "cannot be read"),
        ("amount", "-5", "not an amount"),
        ("amount", "12.345", "not an amount"),
        ("amount", "$20", "not an amount"),
        ("amount", "1,50", "not an amount"),
        ("amount", "1,2", "not an amount"),
        ("amount", "1,25,00", "not an amount"),
        ("amount", ",500", "not an amount"),
        ("amount", "१२", "not an amount"),
        ("link", "http://clinic.example", "not a link"),
        ("link", "https://", "not a link"),
        ("link", "https://[clinic", "not a link"),
        ("link", "https://a b", "not a link"),
        ("link", "javascript:alert(1)", "not a link"),
        ("link", "https://clinic.example@evil.example/", "user name"),
    ],
)
def test_a_value_that_is_refused(kind: VariableType, value: str, rule: str) -> None:
    with pytest.raises(InvalidValueError, match=rule):
        variable(kind).text(value, "en")


@pytest.mark.parametrize("kind", VARIABLE_TYPES)
def test_a_refusal_never_repeats_the_value(kind: VariableType) -> None:
    """It is logged and answered; the value may be a name or a number."""
    with pytest.raises(InvalidValueError) as refused:
        variable(kind).text("9812345678://" + "Asha" * 80, "en")
    assert "Asha" not in str(refused.value)
    assert "98123" not in str(refused.value)


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="is not text"):
        variable("amount").text(1250, "en")  # type: ignore[arg-type]  # what JSON may well bring


@pytest.mark.parametrize("kind", DEFAULT_MAX_LENGTH)
def test_the_limit_counts_what_the_patient_reads(kind: VariableType) -> None:
    values: dict[str, str] = {
        "date": "2026-11-24",
        "time": "17:30",
        "datetime": "2026-11-24T17:30",
        "amount": "12500",
        "link": "https://clinic.example",
    }
    value = values.get(kind, "Ash")
    length = len(variable(kind).text(value, "en"))
    assert variable(kind, length).text(value, "en")
    with pytest.raises(InvalidValueError, match=f"longer than {length - 1} characters"):
        variable(kind, length - 1).text(value, "en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_date_and_time_fits_its_default_limit(language: str) -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    longest_date = max(len(variable("date").text(day.isoformat(), language)) for day in days)
    longest_time = max(len(time_in_words(time(hour, 59), language)) for hour in range(24))
    assert longest_date <= DEFAULT_MAX_LENGTH["date"]
    assert longest_time <= DEFAULT_MAX_LENGTH["time"]
    assert longest_date + len(", ") + longest_time <= DEFAULT_MAX_LENGTH["datetime"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_are_those_of_cldr(language: str) -> None:
    locale = CLDR[language]
    months, weekdays = get_month_names("wide", locale=locale), get_day_names("wide", locale=locale)
    assert LANGUAGES[language].months.split() == [months[n] for n in range(1, 13)]
    assert LANGUAGES[language].weekdays.split() == [weekdays[n] for n in range(7)]
    day = date(2026, 11, 24)
    shown = day_in_words(day, day.weekday(), language)
    assert shown == format_date(day, "EEEE, d MMMM", locale=locale)


EVERYDAY_WORDS = {
    "ta": {18: "மாலை", 19: "இரவு", 20: "இரவு"},  # CLDR: அந்தி மாலை, the literary dusk
    "bn": dict.fromkeys([*range(4), *range(20, 24)], "রাত"),  # CLDR: রাত্রি, as it is written, not said
}
"""Where we leave CLDR, by language and hour."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_parts_of_the_day_are_those_of_cldr_but_for_two(language: str) -> None:
    """At half past each hour: CLDR has words of its own for noon and midnight, which we leave out."""
    layout = "h:mm a" if language == "en" else "B h:mm"
    for hour in range(24):
        at = time(hour, 30)
        ours, cldrs = time_in_words(at, language), format_time(at, layout, locale=CLDR[language])
        if everyday := EVERYDAY_WORDS.get(language, {}).get(hour):
            assert ours == f"{everyday} {hour % 12 or 12}:30" != cldrs
        else:
            assert ours == cldrs
