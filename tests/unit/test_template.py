"""A template rendered for the patient, and as it is taken to Twilio."""

import random
import re
from dataclasses import replace
from datetime import date, timedelta

import pytest
from jinja2.exceptions import SecurityError, UndefinedError
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.templates.catalog import load_catalog
from whatsapp.domain.templates.template import (
    MAX_TEXT,
    PLACEHOLDER,
    QuickReply,
    Template,
    Wording,
    numbered,
    placeholders,
)
from whatsapp.domain.templates.variables import VARIABLE_TYPES, Variable

REMINDER = load_catalog().get("session_reminder")
VARIABLES = {"patient_name": "Asha", "session_time": "5:30 pm", "therapist_name": "Dr. Rao"}


def template(body: str, *names: str, replies: tuple[QuickReply, ...] = ()) -> Template:
    """A template of free texts, in English only."""
    variables = {name: Variable(name, "text", "", {"en": f"sample {name}"}, 255) for name in names}
    return replace(
        REMINDER,
        name="made_up",
        languages={"en": Wording(body, replies)},
        variables=variables,
        free_form=True,
    )


def test_a_reminder_in_english() -> None:
    rendered = REMINDER.render("en", VARIABLES)
    assert rendered.text.startswith("Hello Asha, a gentle reminder of your session with Dr. Rao.\n\nTime: 5:30 pm\n")
    assert rendered.content_variables == {"1": "Asha", "2": "Dr. Rao", "3": "5:30 pm"}


def test_a_reminder_in_hindi_tells_the_time_in_hindi() -> None:
    rendered = REMINDER.render("hi", VARIABLES)
    assert "समय: शाम 5:30" in rendered.text
    assert rendered.content_variables["3"] == "शाम 5:30"


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(MessagingError) as refused:
        REMINDER.render("en", {"patient_name": "\n", "session_time": "25:00", "time": "x", "mood": "y"})
    assert refused.value.code == "invalid_variables"
    assert not refused.value.failure.retryable
    for part in (
        "patient_name is empty",
        "session_time cannot be read",
        "therapist_name is missing",
        "time is not known",
        "mood is not known",
    ):
        assert part in refused.value.detail


def test_no_refusal_repeats_what_the_caller_sent() -> None:
    secret = "Kamala Devi https://x"
    with pytest.raises(MessagingError) as refused:
        REMINDER.render("en", {"patient_name": secret, "session_time": "2026-99 " + secret, secret: secret})
    assert "Kamala" not in str(refused.value)
    assert "(not a field's name) is not known" in refused.value.detail


def test_values_are_data_never_source() -> None:
    hostile = "{# no #} { self } __class__ %s \\g<1> $1 <b> &amp;"
    made = template("Hello {{ a }} and {{ b }} too", "a", "b")
    rendered = made.render("en", {"a": hostile, "b": "B"})
    assert rendered.text == f"Hello {hostile} and B too"
    assert rendered.content_variables == {"1": hostile, "2": "B"}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("Hi {{ a.__class__.__mro__ }} end", SecurityError),
        ("Hi {% set x = [] %}{{ x.append(a) }} end", SecurityError),
        ("Hi {{ a.nothing }} end", UndefinedError),
    ],
)
def test_the_sandbox_would_hold_a_body_that_slipped_through_the_checks(body: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        template(body, "a").render("en", {"a": "x"})


def test_an_older_wording_that_uses_a_variable_no_longer_known() -> None:
    older = replace(template("Hello {{ a }} there", "a"), variables={})
    with pytest.raises(MessagingError, match="still uses a") as refused:
        older.render("en", {})
    assert refused.value.code == "template_not_approved"
    assert refused.value.failure.retryable


def test_a_text_too_long_for_whatsapp_is_refused() -> None:
    names = [f"v{n}" for n in range(5)]
    made = template(" and ".join(["Hi", *(f"{{{{ {name} }}}}" for name in names), "end"]), *names)
    assert made.render("en", dict.fromkeys(names, "x" * 100)).text
    with pytest.raises(MessagingError, match=f"longer than {MAX_TEXT}"):
        made.render("en", dict.fromkeys(names, "x" * 250))


def test_variables_are_numbered_as_they_first_appear() -> None:
    body = "See {{ b }}, then {{a}}, then {{ b }} again"
    assert placeholders(body) == ("b", "a")
    assert numbered(body) == "See {{1}}, then {{2}}, then {{1}} again"
    assert template(body, "a", "b").render("en", {"a": "A", "b": "B"}).content_variables == {
        "1": "B",
        "2": "A",
    }


@pytest.mark.parametrize("value", ["{{ therapist_name }}", "{{1}}", "{{ 7 * 7 }}", "{% for x in y %}", "${name}"])
def test_a_placeholder_that_the_caller_did_not_fill_is_refused(value: str) -> None:
    with pytest.raises(MessagingError, match="patient_name holds a placeholder") as refused:
        REMINDER.render("en", {**VARIABLES, "patient_name": value})
    assert refused.value.code == "invalid_variables"


PIECES = (
    *("Asha", "ஆஷா", "आशा", "🙂", " ", "  ", "\n", "\t", ".", "'", '"', "\\", "$1", "\\g<1>", "%s", "&", "<i>"),
    *("{#", "#}", " { ", " } ", "__class__", "\u200d", "\u200b", "\u202e"),
)
PLACEHOLDERS = ("{{ patient_name }}", "{{1}}", "{{", "}}", "{% raw %}", "%}", "${x}", "{\u200b{ patient_name }\u200b}")


@pytest.mark.parametrize("seed", range(10))
def test_random_renderings_leak_nothing(seed: int) -> None:
    """5 000 in all. The text expected is put together by hand from the body's pieces and the values as shown."""
    rng = random.Random(seed)
    templates = list(load_catalog())
    for _ in range(500):
        render_at_random(rng, rng.choice(templates))


def random_value(rng: random.Random, kind: str, name: str) -> str:
    """A value that the type takes; one of a name or text tells whose it is."""
    day = date(2026, 1, 1) + timedelta(days=rng.randrange(3000))
    clock = f"{rng.randrange(24):02}:{rng.randrange(60):02}"
    match kind:
        case "date":
            return rng.choice([day.isoformat(), f"{day:%d %B %Y}", f"{day:%b %d}", "tomorrow"])
        case "time":
            return rng.choice([clock, f"{clock} IST", f"{rng.randint(1, 12)} pm"])
        case "datetime":
            return rng.choice([f"{day}T{clock}Z", f"{day:%A, %d %B %Y}, {clock}", clock])
        case "amount":
            return rng.choice([str(rng.randrange(10**7)), f"₹{rng.randrange(10**6):,}.50"])
        case "link":
            return f"https://clinic.example/{rng.randrange(10**6)}?a=%7B1%7D"
    return f"<{name}:{''.join(rng.choices(PIECES, k=rng.randint(0, 6)))}>"


def render_at_random(rng: random.Random, some: Template) -> None:
    kinds = {name: rng.choice(VARIABLE_TYPES) for name in some.variables}
    values = {name: random_value(rng, kind, name) for name, kind in kinds.items()}
    variables = {
        name: Variable(name, kind, "", dict.fromkeys(some.languages, values[name]), 200)  # type: ignore[arg-type]  # drawn from its types
        for name, kind in kinds.items()
    }
    made, language = replace(some, variables=variables), rng.choice(list(some.languages))
    rendered = made.render(language, values)

    pieces = PLACEHOLDER.split(made.wording(language).body)
    shown = {name: variables[name].text(value, language) for name, value in values.items()}
    assert rendered.text == "".join(shown[piece] if n % 2 else piece for n, piece in enumerate(pieces))
    assert not re.search(r"\{\{|\}\}|\{%|\$\{", rendered.text)
    for name in variables:
        assert rendered.text.count(f"<{name}:") == pieces[1::2].count(name) * (kinds[name] in ("name", "text"))

    body = next(iter(made.content(language)["types"].values()))["body"]
    at_twilio = re.sub(r"\{\{(\d+)\}\}", lambda found: rendered.content_variables[found[1]], body)
    assert at_twilio == rendered.text

    unfilled = rng.choice(list(variables))
    with pytest.raises(MessagingError, match=unfilled):
        made.render(language, {**values, unfilled: values[unfilled] + rng.choice(PLACEHOLDERS)})


def test_the_content_that_twilio_takes() -> None:
    content = REMINDER.content("en")
    fingerprint = REMINDER.version("en").removeprefix("en#")
    assert re.fullmatch(r"[0-9a-f]{12}", fingerprint)
    assert content == {
        "friendly_name": f"session_reminder_en_{fingerprint}",
        "language": "en",
        "variables": {"1": "Asha", "2": "Dr. Rao", "3": "Tuesday, 24 November, 5:30 pm"},
        "types": {
            "twilio/quick-reply": {
                "body": numbered(REMINDER.languages["en"].body),
                "actions": [
                    {"type": "QUICK_REPLY", "title": "I'll be there", "id": "agent:scheduling:confirm"},
                    {"type": "QUICK_REPLY", "title": "Reschedule", "id": "agent:scheduling:reschedule"},
                ],
            }
        },
    }


def test_without_buttons_it_is_a_text() -> None:
    assert template("Hi {{ a }} there", "a").content("en")["types"] == {"twilio/text": {"body": "Hi {{1}} there"}}


def test_the_version_changes_with_all_that_a_reviewer_sees() -> None:
    first = template("Hi {{ a }} there", "a", replies=(QuickReply("Yes please", "agent:x:yes"),))
    variable = first.variables["a"]
    changed = [
        template("Hi {{ a }} there!", "a", replies=first.languages["en"].quick_replies),
        template("Hi {{ a }} there", "a", replies=(QuickReply("Please", "agent:x:yes"),)),
        template("Hi {{ a }} there", "a", replies=(QuickReply("Yes please", "agent:x:no"),)),
        replace(first, category="MARKETING"),
        replace(first, variables={"a": replace(variable, samples={"en": "other"})}),
    ]
    assert len({made.version("en") for made in [first, *changed]}) == 1 + len(changed)


def test_the_version_does_not_change_with_what_only_we_see() -> None:
    first = template("Hi {{ a }} there", "a")
    variable = replace(first.variables["a"], description="said better", max_length=20)
    same = replace(first, purpose="said better", agent="mood", expires_after=None, variables={"a": variable})
    assert same.version("en") == first.version("en")


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        (("hi",), "hi"),
        (("hi-IN",), "hi"),
        (("HI_in",), "hi"),
        ((None, "ta"), "ta"),
        (("fr", "bn"), "bn"),
        (("fr", None), "en"),
        ((), "en"),
    ],
)
def test_the_language_is_the_first_one_wanted_that_there_is(wanted: tuple[str | None, ...], language: str) -> None:
    assert REMINDER.language_for(*wanted) == language


def test_a_language_that_there_is_not() -> None:
    with pytest.raises(MessagingError, match="worded in bn, en, hi, ta only") as refused:
        REMINDER.wording("fr")
    assert refused.value.code == "unknown_language"


@pytest.mark.parametrize(
    ("title", "payload"),
    [
        ("I'll be there", "agent:scheduling:confirm"),
        (" i'll BE there ", "agent:scheduling:confirm"),
        ("समय बदलें", "agent:scheduling:reschedule"),
        ("hello", None),
    ],
)
def test_a_tap_is_told_by_its_title_in_any_language(title: str, payload: str | None) -> None:
    reply = REMINDER.quick_reply(title)
    assert (reply.payload if reply else None) == payload
