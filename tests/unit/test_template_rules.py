"""Every rule for the wording of a template, with examples that keep it and examples that break it."""

from typing import Any

import pytest
from whatsapp.domain.templates.template import placeholders

from local.templates import rules
from local.templates.rules import RULES, Rule

Raw = dict[str, Any]


def worded(body: str, **top: Any) -> Raw:
    """A file with this English body, whose variables are those of the body."""
    names = placeholders(body)
    variables = {name: {"type": "text", "description": "It.", "sample": "so"} for name in names}
    return {"name": "made_up", "variables": variables, "languages": {"en": {"body": body}}, **top}


def typed(kind: str, sample: Any, **more: Any) -> Raw:
    """A file with one variable of that type and sample."""
    variables = {"it": {"type": kind, "description": "It.", "sample": sample, **more}}
    bodies = {language: {"body": "Here is {{ it }} for you"} for language in ("en", "hi")}
    return {"variables": variables, "languages": bodies}


def buttons(*titles: dict[str, str], **top: Any) -> Raw:
    """A file in English and Hindi with these buttons."""
    replies = [{"payload": f"agent:x:{n}", "titles": title} for n, title in enumerate(titles)]
    bodies = {"en": {"body": "Good morning"}, "hi": {"body": "नमस्ते जी"}}
    return {"quick_replies": replies, "languages": bodies, **top}


EMOJI = ("🙂", "1️⃣", "#⃣", "▶", "▶️", "☎", "Ⓜ", "🅰", "🈁", "㊗", "🇮🇳", "🙏🏾", "👨‍👩‍👧", "©️", "⏏", "↗", "✔", "〰", "❤️‍🔥")
"""Keycaps, enclosed letters, characters that show as text or as an emoji, sequences."""
HELLO = "Hello {{ name }}, this is a short note for you."

EXAMPLES: dict[Rule, tuple[list[Raw], list[Raw]]] = {
    rules.only_plain_variables: (
        [worded(HELLO), worded("Hello {{name}}, dear"), worded("No variable at all")],
        [
            worded("Hello {{ name | upper }}, dear"),
            worded("Hello {{ name.x }}, dear"),
            worded("Hello {{ name }, dear"),
            worded("Hello {{{ name }}}, dear"),
            worded("Hello {% if x %}dear{% endif %} you"),
            worded("Hello {# note #} you"),
            worded("Hello {{ 'Asha' }} you"),
            worded("Hello {{1}} you"),
            worded("Hello {name} you"),
            worded("Hello {{- name -}} you"),
        ],
    ),
    rules.same_variables_in_all_languages: (
        [worded(HELLO), worded("Hello {{ name }}, yes {{ name }} dear")],
        [
            worded(HELLO, variables={}),
            worded("Hello there", variables={"name": {"type": "name"}}),
            worded(HELLO, languages={"en": {"body": HELLO}, "hi": {"body": "नमस्ते जी"}}),
            worded(HELLO, languages={"en": {"body": HELLO}, "hi": {"body": "नमस्ते {{ nmae }} जी"}}),
        ],
    ),
    rules.no_variable_at_the_edge: (
        [worded(HELLO), worded("नमस्ते {{ name }} जी"), worded("Nothing to fill")],
        [
            worded("{{ name }}, hello to you"),
            worded("*{{ name }}* hello to you"),
            worded("Hello to you, {{ name }}"),
            worded("Hello to you, {{ name }}."),
            worded("Hello {{ name }}, it is {{ hour }}"),
            worded("Hello to you, {{ name }} 🙏 !"),
        ],
    ),
    rules.no_adjacent_variables: (
        [worded("On {{ day }} at {{ hour }} sharp"), worded("On {{ day }}\nTime: {{ hour }} sharp")],
        [
            worded("On {{ day }}{{ hour }} sharp"),
            worded("On {{ day }} {{ hour }} sharp"),
            worded("On {{ day }}, {{ hour }} sharp"),
            worded("On {{ day }}\n\n{{ hour }} sharp"),
        ],
    ),
    rules.enough_fixed_words: (
        [worded("One {{ a }} two three"), worded("One {{ a }} two three {{ b }} four five")],
        [worded("One {{ a }} two"), worded("One {{ a }} two - , {{ b }} three four"), worded("{{ a }}")],
    ),
    rules.body_is_short_enough: ([worded("x" * 550)], [worded("x" * 551)]),
    rules.longest_values_fit: (
        [worded("Note {{ a }} end"), worded("y" * 550)],
        [
            worded("y" * 500 + " ".join(f"{{{{ v{n} }}}}" for n in range(5)) + "."),
            typed("text", "x", max_length="1010"),
        ],
    ),
    rules.few_emoji: (
        [
            worded("Hello " + "🙏" * 10 + " you"),
            worded("👨‍👩‍👧🏽" * 5 + "🇮🇳1️⃣☎️🅰🙏🏾"),
            worded("1 2 3 4 5 6 7 8 9 10 11 * #"),
        ],
        [worded("Hello " + "🙏" * 11), worded("☎" * 11), worded("1️⃣" * 11), worded("🇮🇳" * 11)],
    ),
    rules.plain_spacing: (
        [worded("One\n\nTwo\nThree    four\n")],
        [worded("One\ttwo"), worded("One     two"), worded("One\n\n\nTwo"), worded("One\n \n\nTwo")],
    ),
    rules.no_shortened_links: (
        [worded("See https://clinic.example/bit.lyric for more"), worded("No link here")],
        [worded("See https://bit.ly/3xYz for more"), worded("See BIT.LY/x for more"), worded("Write to wa.me/9198")],
    ),
    rules.one_script_in_each_language: (
        [
            worded(HELLO),
            {"languages": {"hi": {"body": "नमस्ते {{ name }} जी, SMS या WhatsApp पर।"}, "xx": {"body": "あ"}}},
            {"languages": {"bn": {"body": "আপনার সেশন।"}, "ta": {"body": "உங்கள் அமர்வு 5:30"}}},
            buttons({"en": "1", "hi": "2"}),
        ],
        [
            worded("Namaste {{ name }} जी, how are you?"),
            worded("नमस्ते {{ name }} जी"),
            {"languages": {"hi": {"body": "Hello {{ name }} ji"}}},
            {"languages": {"ta": {"body": "வணக்கம் আপনার"}}},
            buttons({"hi": "Reschedule"}),
        ],
    ),
    rules.names_mean_nothing_in_jinja: (
        [
            worded(HELLO),
            worded("Hello {{ class }} and {{ range }} you"),
            worded("Hello", variables={"1/0": {}, "a b": {}, "1": {}}),  # of the wrong form, as the form says
        ],
        [
            worded("A {{ none }} b"),
            worded("A {{ self }} b"),
            worded("A {{ not }} b"),
            worded("A {{ true }} b"),
        ],
    ),
    rules.samples_are_good_values: (
        [typed("date", "2026-11-24"), typed("name", {"en": "Asha", "hi": "आशा"}), typed("amount", "850")],
        [
            typed("date", "24/11/2026"),
            typed("name", {"en": "Asha", "hi": "  "}),
            typed("amount", "cheap"),
            typed("link", "http://clinic.example"),
            typed("text", "too long", max_length="3"),
        ],
    ),
    rules.it_expires_with_a_day_or_time: (
        [
            typed("text", "so"),
            *({**typed(kind, "2026-11-24T17:30"), "expires_with": "it"} for kind in ("date", "time", "datetime")),
        ],
        [
            {**typed("name", "Asha"), "expires_with": "it"},
            {**typed("text", "so"), "expires_with": "it"},
            {**typed("datetime", "2026-11-24"), "expires_with": "then"},
            {"expires_with": "it"},
        ],
    ),
    rules.every_language_has_its_samples_and_titles: (
        [
            typed("name", "Asha"),
            typed("name", {"en": "Asha", "hi": "आशा"}),
            buttons({"en": "Confirm", "hi": "समय ठीक है"}),
        ],
        [
            typed("name", {"en": "Asha"}),
            typed("name", {"en": "Asha", "hi": "आशा", "ta": "ஆஷா"}),
            buttons({"en": "Confirm"}),
            buttons({"en": "Confirm", "hi": "समय ठीक है", "bn": "সময় ঠিক আছে"}),
        ],
    ),
    rules.default_language_is_worded: (
        [worded(HELLO, default_language="en")],
        [worded(HELLO, default_language="hi")],
    ),
    rules.name_fits_with_its_version: (
        [worded(HELLO, name="n" * 496)],  # 496 + len("_en_") + 12 = 512
        [worded(HELLO, name="n" * 497)],
    ),
    rules.titles_are_plain: (
        [
            buttons({"en": "I'll be there", "hi": "ठीक-ठाक है", "bn": "১ ভালো", "ta": "நன்று"}),
            buttons({"en": "1: #2 – ½ (₹5)"}),
        ],
        [
            *(buttons({"en": f"{emoji} Good"}) for emoji in EMOJI),
            buttons({"en": "\u200b"}),
            buttons({"en": "\u3164\u3164"}),
            buttons({"en": "*Good*"}),
            buttons({"en": "Good\nday"}),
            buttons({"en": "Hi {{ name }}"}),
        ],
    ),
    rules.titles_are_no_keywords: (
        [buttons({"en": "Call it off"}, {"en": "Yes, please"})],
        [
            buttons({"en": "Cancel"}),
            buttons({"en": "YES"}),
            buttons({"en": " stop "}),
            buttons({"en": "Stop all"}),
            buttons({"hi": "बंद करें"}),
            buttons({"hi": "शुरू करें!"}),
            buttons({"ta": "நிறுத்து"}),
            buttons({"bn": "বন্ধ করুন"}),
        ],
    ),
    rules.one_title_one_meaning: (
        [buttons({"en": "1", "hi": "1"}, {"en": "2", "hi": "2"})],
        [
            buttons({"en": "Good"}, {"en": "good"}),
            buttons({"en": "Good", "hi": "A"}, {"en": "B", "hi": "Good"}),
        ],
    ),
    rules.payloads_differ: (
        [buttons({"en": "A"}, {"en": "B"})],
        [buttons(quick_replies=[{"payload": "agent:x:y"}, {"payload": "agent:x:y"}])],
    ),
    rules.free_form_has_no_buttons: (
        [worded(HELLO, free_form="true"), buttons({"en": "A"}, free_form="false"), buttons({"en": "A"})],
        [buttons({"en": "A"}, free_form="true")],
    ),
}


def test_every_rule_has_examples() -> None:
    assert set(EXAMPLES) == set(RULES)
    assert all(good and bad for good, bad in EXAMPLES.values())


def cases(which: int) -> list[Any]:
    return [pytest.param(rule, raw, id=rule.__name__) for rule, both in EXAMPLES.items() for raw in both[which]]


@pytest.mark.parametrize(("rule", "raw"), cases(0))
def test_kept(rule: Rule, raw: Raw) -> None:
    assert list(rule(raw)) == []


@pytest.mark.parametrize(("rule", "raw"), cases(1))
def test_broken(rule: Rule, raw: Raw) -> None:
    found = list(rule(raw))
    assert found
    for finding in found:
        assert finding.rule
        assert finding.remedy
        assert list(rules.find(raw, *map(str, finding.path[:1])))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"languages": "en", "variables": [], "quick_replies": {}},
        {"languages": {"en": None, "hi": {"body": []}}, "variables": {"a": "b", "c": {"type": "odd"}}},
        {"languages": {"en": {"body": ""}}, "quick_replies": ["x", {"titles": []}, {"titles": {"en": {}}}]},
        {"languages": {"en": {"body": "{{ a }}"}}, "variables": {"a": {"type": [], "max_length": "-"}}},
        {"name": [], "free_form": {}, "default_language": None},
    ],
    ids=str,
)
def test_a_rule_bears_with_a_file_of_the_wrong_form(rule: Rule, raw: Raw) -> None:
    assert all(finding.remedy for finding in rule(raw))
