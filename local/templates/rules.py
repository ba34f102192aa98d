"""WhatsApp's rules, and a few of our own, for the wording of a template: one function a rule.

Each takes the file as it was read, and accepts a file of the wrong form: `form.py` reports missing keys. So one run
reports all problems.

Sources: Twilio's pages on template approvals and on its Content Template Builder
(https://www.twilio.com/docs/whatsapp/tutorial/message-template-approvals-statuses); Meta's answers to refused
templates, where a rule names one.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import regex
from jinja2 import TemplateError
from jinja2.sandbox import SandboxedEnvironment
from whatsapp.domain.receiving.opt_out import opt_of
from whatsapp.domain.templates.localisation import LANGUAGES
from whatsapp.domain.templates.template import MAX_TEXT, PLACEHOLDER, placeholders
from whatsapp.domain.templates.variables import (
    DEFAULT_MAX_LENGTH,
    MOMENT_TYPES,
    VARIABLE_TYPES,
    InvalidValueError,
    Variable,
)
from whatsapp.domain.visible import is_visible

MAX_BODY = 550
"""Characters. Twilio's pages say 1024. Ours is lower, because another provider reports that Meta now refuses more than
550, with its error 2388040 (https://docs.bird.com, "WhatsApp Business Template Guidelines and Restrictions")."""
MAX_EMOJI = 10
MAX_NAME = 512
"""Characters of a template's name at WhatsApp. Ours ends with its language and its version."""
KEYWORDS = frozenset(
    {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "OPTOUT", "REVOKE"}
    | {"START", "YES", "UNSTOP", "HELP", "INFO"}
)
"""Twilio's default keywords, which act if Advanced Opt-Out is on. Our own are those of `opt_of`."""

_CHARACTER = regex.compile(r"\X")
"""What a reader takes for one: a flag, a keycap and a family are several code points each."""
_EMOJI = regex.compile(r"[[\p{Emoji}--[0-9#*]]\p{Extended_Pictographic}\u20e3\ufe0f]", regex.VERSION1)
"""By Unicode's own data (UTS #51). A digit is a part of an emoji only with a keycap or a selector behind it."""
_SHORTENED = re.compile(
    r"(?<![\w.-])(?:bit\.ly|tinyurl\.com|goo\.gl|t\.co|is\.gd|ow\.ly|buff\.ly|cutt\.ly|rb\.gy|rebrand\.ly|tiny\.cc|wa\.me)/",
    re.IGNORECASE,
)
"""Link shorteners and WhatsApp's own short links to a chat. Reviewers refuse both."""
_NOT_IN_TITLES = re.compile(r"[*_~`{}\n]")

Path = tuple[str | int, ...]
"""The keys from the top of the file."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule broken at `path`; `at` is the place inside that text."""

    path: Path
    rule: str
    remedy: str
    at: int | None = None


Rule = Callable[[Mapping[str, Any]], Iterator[Finding]]


def findings(raw: Mapping[str, Any]) -> Iterator[Finding]:
    """All broken rules of a file."""
    for rule in RULES:
        yield from rule(raw)


def find(node: object, *pattern: str, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value at `pattern`, where `*` is any key or position."""
    if not pattern:
        yield at, node
        return
    steps: dict[str | int, object] = {}
    if isinstance(node, dict):
        steps = node
    elif isinstance(node, list):
        steps = dict(enumerate(node))
    for step, below in steps.items():
        if pattern[0] in ("*", step):
            yield from find(below, *pattern[1:], at=(*at, step))


def texts(raw: Mapping[str, Any], *pattern: str) -> Iterator[tuple[Path, str]]:
    """All texts at `pattern`."""
    return ((path, found) for path, found in find(raw, *pattern) if isinstance(found, str))


def bodies(raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """The body in every language."""
    return texts(raw, "languages", "*", "body")


def languages_of(raw: Mapping[str, Any]) -> list[str]:
    """The languages it is worded in."""
    return [str(path[-1]) for path, _ in find(raw, "languages", "*")]


# The body


def only_plain_variables(raw: Mapping[str, Any]) -> Iterator[Finding]:
    for path, body in bodies(raw):
        rest = PLACEHOLDER.sub(_blank, body)
        if stray := re.search(r"[{}]", rest):
            yield Finding(
                path,
                "the body has braces that are not a plain {{ name }}",
                "Write {{ patient_name }} and nothing else between the braces: no filter, condition or dot",
                stray.start(),
            )


def same_variables_in_all_languages(raw: Mapping[str, Any]) -> Iterator[Finding]:
    declared = {str(path[-1]) for path, _ in find(raw, "variables", "*")}
    for path, body in bodies(raw):
        used = placeholders(body)
        for name in (name for name in used if name not in declared):
            yield Finding(
                path,
                f"{{{{ {name} }}}} is not among the variables",
                f"Describe {name} under variables, or correct its spelling",
                next(found.start() for found in PLACEHOLDER.finditer(body) if found[1] == name),
            )
        for name in sorted(declared - set(used)):
            yield Finding(
                path,
                f"the body does not use {name}",
                f"Use {{{{ {name} }}}} in every language, or remove it from variables",
            )


def no_variable_at_the_edge(raw: Mapping[str, Any]) -> Iterator[Finding]:
    for path, body in bodies(raw):
        found = list(PLACEHOLDER.finditer(body))
        if found and not _has_word(body[: found[0].start()]):
            yield Finding(
                path,
                "the body starts with a variable, and WhatsApp refuses that",
                "Begin with a word, such as Hello",
                found[0].start(),
            )
        if found and not _has_word(body[found[-1].end() :]):
            yield Finding(
                path,
                "the body ends with a variable, and WhatsApp refuses that (a full stop does not help)",
                "End with a few words",
                found[-1].start(),
            )


def no_adjacent_variables(raw: Mapping[str, Any]) -> Iterator[Finding]:
    for path, body in bodies(raw):
        found = list(PLACEHOLDER.finditer(body))
        for left, right in pairwise(found):
            if not _has_word(body[left.end() : right.start()]):
                yield Finding(
                    path,
                    f"{{{{ {left[1]} }}}} and {{{{ {right[1]} }}}} stand next to each other",
                    "Put at least one word between them",
                    right.start(),
                )


def enough_fixed_words(raw: Mapping[str, Any]) -> Iterator[Finding]:
    for path, body in bodies(raw):
        variables = len(PLACEHOLDER.findall(body))
        words = sum(map(_has_word, PLACEHOLDER.sub(" ", body).split()))
        if words < (needed := 2 * variables + 1):
            yield Finding(
                path,
                f"{words} fixed words are too few for {variables} variables: WhatsApp asks for {needed}",
                "Add words, or use fewer variables",
            )


def body_is_short_enough(raw: Mapping[str, Any]) -> Iterator[Finding]:
    for path, body in bodies(raw):
        if (length := len(body.strip())) > MAX_BODY:
            rule = f"the body has {length} characters; we stop at {MAX_BODY}, as WhatsApp is reported to refuse more"
            yield Finding(path, rule, "Shorten it", MAX_BODY)


def longest_values_fit(raw: Mapping[str, Any]) -> Iterator[Finding]:
    limits = {str(path[-1]): _max_length(variable) for path, variable in find(raw, "variables", "*")}
    for path, body in bodies(raw):
        longest = len(PLACEHOLDER.sub("", body)) + sum(limits.get(n, 0) for n in PLACEHOLDER.findall(body))
        if longest > MAX_TEXT:
            yield Finding(
                path,
                f"with the longest values the message has {longest} characters, WhatsApp takes {MAX_TEXT}",
                "Lower max_length of a variable, or shorten the body",
            )


def few_emoji(raw: Mapping[str, Any]) -> Iterator[Finding]:
    for path, body in bodies(raw):
        if (number := sum(map(_is_emoji, _CHARACTER.findall(body)))) > MAX_EMOJI:
            yield Finding(path, f"the body has {number} emoji, WhatsApp takes {MAX_EMOJI}", "Take some out")


def plain_spacing(raw: Mapping[str, Any]) -> Iterator[Finding]:
    for path, body in bodies(raw):
        if odd := re.search(r"\t| {5,}|\n\s*\n\s*\n", body.strip()):
            yield Finding(
                path,
                "the body has a tab, more than four spaces or more than one empty line in a row",
                "Use single spaces and single empty lines",
                odd.start(),
            )


def no_shortened_links(raw: Mapping[str, Any]) -> Iterator[Finding]:
    for path, body in bodies(raw):
        if short := _SHORTENED.search(body):
            yield Finding(
                path,
                "the body has a shortened link, which hides where it leads: WhatsApp refuses it",
                "Write the clinic's own link in full",
                short.start(),
            )


# Variables and languages


def one_script_in_each_language(raw: Mapping[str, Any]) -> Iterator[Finding]:
    """Only clearly mixed languages. Latin letters are allowed in all: SMS, WhatsApp, a doctor's Dr."""
    titles = texts(raw, "quick_replies", "*", "titles", "*")
    worded = [(path[1], path, body) for path, body in bodies(raw)] + [(path[-1], path, text) for path, text in titles]
    for language, path, text in worded:
        if language not in LANGUAGES:
            continue
        own = _script(LANGUAGES[str(language)].months[0])
        letters = [(at, _script(c)) for at, c in enumerate(PLACEHOLDER.sub(_blank, text)) if c.isalpha()]
        if strange := next((at for at, script in letters if script not in (own, "LATIN")), None):
            yield Finding(
                path,
                f"another language's letters stand in the {language} text",
                "Keep to one language in each text",
                strange,
            )
        elif letters and own not in {script for _, script in letters}:
            yield Finding(path, f"the {language} text has none of its letters", f"Write it in {language}")


def names_mean_nothing_in_jinja(raw: Mapping[str, Any]) -> Iterator[Finding]:
    for path, _ in find(raw, "variables", "*"):
        if not (name := str(path[-1])).isidentifier():
            continue  # it is of the wrong form, and Jinja2 would run it
        try:
            shown = SandboxedEnvironment().from_string(f"a {{{{ {name} }}}} b").render({name: "value"})
        except TemplateError:
            shown = ""
        if shown != "a value b":
            yield Finding(path, f"{name} means something else in Jinja2", "Give the variable another name")


def samples_are_good_values(raw: Mapping[str, Any]) -> Iterator[Finding]:
    for path, variable in find(raw, "variables", "*"):
        kind = variable.get("type") if isinstance(variable, dict) else None
        if kind not in VARIABLE_TYPES:
            continue
        sample = variable.get("sample")
        by_language = sample if isinstance(sample, dict) else dict.fromkeys(languages_of(raw), sample)
        limit = _max_length(variable)
        for language, value in by_language.items():
            if language not in LANGUAGES or not isinstance(value, str):
                continue
            try:
                Variable(str(path[-1]), kind, "", {}, limit).text(value, language)
            except InvalidValueError as broken:
                here = (*path, "sample", language) if sample is by_language else (*path, "sample")
                yield Finding(here, f"the sample {broken}", "Give a value such as a caller would send")
                if sample is not by_language:
                    break


def it_expires_with_a_day_or_time(raw: Mapping[str, Any]) -> Iterator[Finding]:
    types = {str(path[-2]): kind for path, kind in find(raw, "variables", "*", "type")}
    for path, name in texts(raw, "expires_with"):
        if name not in types:
            yield Finding(path, f"{name} is not among the variables", "Name the variable that says when it takes place")
        elif types[name] in VARIABLE_TYPES and types[name] not in MOMENT_TYPES:
            yield Finding(path, f"{name} is a {types[name]}, which has no end", f"Name a {' or '.join(MOMENT_TYPES)}")


def every_language_has_its_samples_and_titles(raw: Mapping[str, Any]) -> Iterator[Finding]:
    worded = set(languages_of(raw))
    samples = find(raw, "variables", "*", "sample")
    titles = find(raw, "quick_replies", "*", "titles")
    for path, by_language in [*samples, *titles]:
        if not isinstance(by_language, dict):
            continue
        for language in sorted(worded - by_language.keys()):
            yield Finding(path, f"{language} is missing", f"Add it, as the body is worded in {language}")
        for language in sorted(by_language.keys() - worded):
            yield Finding(
                (*path, language),
                f"there is no body in {language}",
                f"Word the body in {language} under languages, or remove this",
            )


def default_language_is_worded(raw: Mapping[str, Any]) -> Iterator[Finding]:
    for path, language in texts(raw, "default_language"):
        if (worded := languages_of(raw)) and language not in worded:
            yield Finding(path, f"the default language {language} has no body", f"Name one of {', '.join(worded)}")


def name_fits_with_its_version(raw: Mapping[str, Any]) -> Iterator[Finding]:
    room = MAX_NAME - max((len(f"_{language}_") for language in languages_of(raw)), default=0) - 12
    for path, name in texts(raw, "name"):
        if len(name) > room:
            yield Finding(path, f"the name has {len(name)} characters, there is room for {room}", "Shorten it")


# Buttons


def titles_are_plain(raw: Mapping[str, Any]) -> Iterator[Finding]:
    """Meta's error 2388060, `Button format is incorrect`."""
    for path, title in texts(raw, "quick_replies", "*", "titles", "*"):
        if _NOT_IN_TITLES.search(title) or _is_emoji(title):
            yield Finding(
                path,
                "the button has an emoji, a variable, a line break or one of * _ ~ `",
                "Use plain words",
            )
        elif not is_visible(title):
            yield Finding(path, "the button has no visible character", "Use plain words")


def titles_are_no_keywords(raw: Mapping[str, Any]) -> Iterator[Finding]:
    """A tap arrives with the button's title as body, which counts as if the patient had typed it."""
    for path, title in texts(raw, "quick_replies", "*", "titles", "*"):
        if title.strip().upper() in KEYWORDS or opt_of(title, None):
            yield Finding(
                path,
                f"a tap on {title} would be taken for the keyword that stops or starts all messages",
                "Say it in other words, such as Call it off",
            )


def one_title_one_meaning(raw: Mapping[str, Any]) -> Iterator[Finding]:
    """A backfilled tap has no payload: its title is then looked up in all languages."""
    first: dict[str, Path] = {}
    for path, title in texts(raw, "quick_replies", "*", "titles", "*"):
        seen = first.setdefault(title.strip().casefold(), path)
        if seen[1] != path[1]:
            yield Finding(
                path, f"another button already says {title} (in {seen[-1]})", "Give each button its own words"
            )


def payloads_differ(raw: Mapping[str, Any]) -> Iterator[Finding]:
    payloads = list(texts(raw, "quick_replies", "*", "payload"))
    times = Counter(payload for _, payload in payloads)
    for path, payload in payloads:
        if times[payload] > 1:
            yield Finding(path, f"{times[payload]} buttons send {payload}", "Give each its own payload")


def free_form_has_no_buttons(raw: Mapping[str, Any]) -> Iterator[Finding]:
    for path, free_form in texts(raw, "free_form"):
        if free_form == "true" and raw.get("quick_replies"):
            yield Finding(
                path,
                "free_form would send the text without its buttons",
                "Remove free_form: the template goes inside the window too",
            )


RULES: tuple[Rule, ...] = (
    only_plain_variables,
    same_variables_in_all_languages,
    no_variable_at_the_edge,
    no_adjacent_variables,
    enough_fixed_words,
    body_is_short_enough,
    longest_values_fit,
    few_emoji,
    plain_spacing,
    no_shortened_links,
    one_script_in_each_language,
    names_mean_nothing_in_jinja,
    samples_are_good_values,
    it_expires_with_a_day_or_time,
    every_language_has_its_samples_and_titles,
    default_language_is_worded,
    name_fits_with_its_version,
    titles_are_plain,
    titles_are_no_keywords,
    one_title_one_meaning,
    payloads_differ,
    free_form_has_no_buttons,
)


def _script(letter: str) -> str:
    """`LATIN`, `DEVANAGARI`, …"""
    return unicodedata.name(letter, "").partition(" ")[0]


def _is_emoji(text: str) -> bool:
    """Whether an emoji stands in it."""
    return _EMOJI.search(text) is not None


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])


def _has_word(text: str) -> bool:
    return any(c.isalnum() for c in text)


def _max_length(variable: object) -> int:
    if not isinstance(variable, dict):
        return 0
    given = variable.get("max_length")
    by_type = DEFAULT_MAX_LENGTH.get(str(variable.get("type")), 0)
    return int(given) if isinstance(given, str) and given.isdecimal() else by_type
