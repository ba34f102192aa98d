"""STOP and START, in the languages we write in; and what only looks like them."""

import time
from pathlib import Path
from typing import Any

import pytest
from whatsapp.domain.contact import Contact
from whatsapp.domain.receiving.opt_out import effective_opt, in_one_spelling, opt_of
from whatsapp.domain.receiving.opt_out_words import LANGUAGES, MEANINGS

from tests.fakes import NOON

SENTENCES = [
    line.split("\t")
    for line in (Path(__file__).parents[1] / "data" / "opt_out_sentences.tsv").read_text("utf-8").splitlines()
    if not line.startswith("#")
]

OUT = {"opted_out_at": NOON}
IN = {"opted_in_at": NOON, "opt_in_source": "message"}
IN_BY_API = {"opted_in_at": NOON, "opt_in_source": "web form"}


@pytest.mark.parametrize(
    "text",
    ["STOP", "stop.", " Stop! ", "“STOP”", "Stop all", "UNSUBSCRIBE", "opt-out", "Band karo", "बंद करो", "बन्द करो।",
     "रोकें", "मत भेजो", "நிறுத்து", "বন্ধ করুন", "ST\u200dOP", "*STOP*", "_stop_", "STOP 🙏", "Stop🛑", "🛑️STOP🛑️", "STOP—",
     "STOP/", "बंद करो॥", "\u2068STOP\u2069", "बंद करे", "बंद करदो", "बंद कर दीजिए", "band karein", "band kardo",
     "messages band karo", "मैसेज बंद करें", "Stop messages", "stop the messages", "STOP\n", "ＳＴＯＰ"],
)  # fmt: skip
def test_asks_for_silence(text: str) -> None:
    assert opt_of(text, None) == "out"


@pytest.mark.parametrize(
    "text", ["START", "start!", "Unstop", "Shuru karo", "शुरू करें", "शुरु करो", "*START* 🙏", "தொடங்கு", "শুরু করুন"]
)
def test_asks_for_its_end(text: str) -> None:
    assert opt_of(text, None) == "in"


@pytest.mark.parametrize(
    "text",
    ["", "CANCEL", "Yes", "No", "End", "Please stop by at five", "stop it is too late to start", "I'll start on Monday",
     "Confirm", "don't stop", "बंद है क्या?", "🙏", "👍", "*", "Stop 5", "मैसेज"],
)  # fmt: skip
def test_answers_to_appointments_are_neither(text: str) -> None:
    assert opt_of(text, None) is None


@pytest.mark.parametrize(("reading", "language", "sentence"), SENTENCES)
def test_sentence_of_the_corpus(reading: str, language: str, sentence: str) -> None:
    assert (opt_of(sentence, None) or "none") == reading


def test_corpus_holds_both_kinds_in_every_language() -> None:
    assert len({sentence for _, _, sentence in SENTENCES}) == len(SENTENCES) >= 300
    for language in ("en", "hi-Latn", "hi", "ta", "bn"):
        kinds = [reading for reading, of, _ in SENTENCES if of == language]
        assert min(kinds.count("out"), kinds.count("none")) >= 30


def test_words_stand_as_they_are_compared_and_mean_one_thing() -> None:
    phrases = [phrase for words in LANGUAGES for of_one in words.values() for phrase in of_one]
    assert [phrase for phrase in phrases if in_one_spelling(phrase) != phrase] == []
    assert [phrase for phrase in MEANINGS if phrases.count(phrase) > 1] == []


@pytest.mark.parametrize(
    "text", ["unsubscribe message ", "stop message ", "yes ", "please stop sending messages ", "a "]
)
def test_long_text_of_known_words_takes_no_time(text: str) -> None:
    begun = time.process_time()
    opt_of(text * (20_000 // len(text)), None)
    assert time.process_time() - begun < 1


def test_twilios_own_reading_outranks_ours() -> None:
    assert opt_of("Ruko mat", "STOP") == "out"
    assert opt_of("stop", "START") == "in"
    assert opt_of("help", "HELP") is None


@pytest.mark.parametrize(
    ("known", "text", "at", "opt"),
    [
        ({}, "STOP", NOON, "out"),
        ({}, "START", NOON, "in"),
        ({}, "hello", NOON, None),
        (OUT, "START", NOON - 1, None),
        (OUT, "START", NOON, "in"),
        (OUT, "STOP", NOON - 1, None),
        (OUT, "STOP", NOON, "out"),
        (IN, "START", NOON - 1, None),
        (IN, "START", NOON, "in"),
        (IN, "STOP", NOON - 15_001, None),
        (IN, "STOP", NOON - 15_000, "out"),
        (IN, "STOP", NOON, "out"),
        ({"opt_in_source": "message"}, "STOP", NOON, "out"),
        (IN_BY_API, "STOP", NOON - 60_000, "out"),
        (IN_BY_API, "START", NOON - 60_000, "in"),
        ({**IN, "opted_out_at": NOON - 60_000}, "STOP", NOON - 30_000, None),
        ({**IN, "opted_out_at": NOON + 60_000}, "STOP", NOON, None),
        ({**IN, "opted_out_at": NOON + 60_000}, "START", NOON, None),
    ],
)
def test_older_word_does_not_override_a_newer_one(known: dict[str, Any], text: str, at: int, opt: str | None) -> None:
    """A START's webhook may have been retried for 15 s, so that it is dated later than it was written."""
    assert effective_opt(text, None, Contact(contact_id="c", **known), at) == opt
