"""STOP and START, in the languages we write in; and what only looks like them."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact, OptWord
from whatsapp.domain.receiving.opt_out import (
    effective_opt,
    in_one_spelling,
    last_of,
    opt_of,
    recent_words,
)
from whatsapp.domain.receiving.opt_out_words import LANGUAGES, MEANINGS

from tests.fakes import NOON

SENTENCES = [
    line.split("\t")
    for line in (Path(__file__).parents[1] / "data" / "opt_out_sentences.tsv").read_text("utf-8").splitlines()
    if not line.startswith("#")
]


def word(opt: str, at: int, *, is_dated: bool = False) -> OptWord:
    return OptWord(message_id=f"{opt}{at}", opt=opt, at=at, is_dated=is_dated)  # type: ignore[arg-type]  # out or in


OUT: dict[str, Any] = {"opted_out_at": NOON}
IN = {"opted_in_at": NOON, "opt_in_source": "message"}
IN_BY_API = {"opted_in_at": NOON, "opt_in_source": "web form"}
OUT_WORD, IN_WORD = word("out", NOON), word("in", NOON)
NEAR, FAR = periods.WORDS_UNORDERED - 1, periods.WORDS_UNORDERED


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
    ("known", "said", "at", "opt"),
    [
        ({}, "out", NOON, "out"),
        ({}, "in", NOON, "in"),
        # A date that is known, and no other word near: the later one counts.
        (OUT, "in", NOON - 1, None),
        (OUT, "in", NOON, "in"),
        (OUT, "out", NOON - 1, None),
        (OUT, "out", NOON, "out"),
        (IN, "in", NOON - 1, None),
        (IN, "in", NOON, "in"),
        (IN, "out", NOON - 1, None),
        (IN, "out", NOON, "out"),
        ({"opt_in_source": "message"}, "out", NOON, "out"),
        (IN_BY_API, "out", NOON - 60_000, "out"),
        (IN_BY_API, "in", NOON - 60_000, "in"),
        ({**IN, "opted_out_at": NOON - 60_000}, "out", NOON - 30_000, None),
        ({**IN, "opted_out_at": NOON + 60_000}, "out", NOON, None),
        ({**IN, "opted_out_at": NOON + 60_000}, "in", NOON, None),
        # Opposite words near each other: STOP stands.
        ({**OUT, "opt_words": (OUT_WORD,)}, "in", NOON, None),
        ({**OUT, "opt_words": (OUT_WORD,)}, "in", NOON + NEAR, None),
        ({**OUT, "opt_words": (OUT_WORD,)}, "in", NOON + FAR, "in"),
        ({**IN, "opt_words": (IN_WORD,)}, "out", NOON, "out"),
        ({**IN, "opt_words": (IN_WORD,)}, "out", NOON - NEAR, "out"),
        ({**IN, "opt_words": (IN_WORD,)}, "out", NOON - FAR, None),
        ({**OUT, "opt_words": (IN_WORD, OUT_WORD)}, "out", NOON - 1, None),
        ({**OUT, "opt_words": (IN_WORD, OUT_WORD)}, "out", NOON, "out"),
        ({**OUT, "opt_words": (IN_WORD, OUT_WORD)}, "out", NOON + 1, "out"),
        # Where nothing is stopped, one more START needs no proof.
        ({**IN, "opt_words": (word("out", NOON - 9, is_dated=True), IN_WORD)}, "in", NOON + 1, "in"),
    ],
)
def test_which_word_counts(known: dict[str, Any], said: str, at: int, opt: str | None) -> None:
    assert effective_opt(word(said, at), Contact(contact_id="c", **known)) == opt


def test_words_that_twilio_dates_need_no_proof() -> None:
    stopped = Contact(contact_id="c", **OUT, opt_words=(word("out", NOON, is_dated=True),))
    assert effective_opt(word("in", NOON + 1_000, is_dated=True), stopped) == "in"
    assert effective_opt(word("in", NOON - 1_000, is_dated=True), stopped) is None


def test_only_words_near_the_newest_are_kept() -> None:
    contact = Contact(contact_id="c", opt_words=(OUT_WORD,))
    assert recent_words(contact, word("in", NOON + NEAR)) == (OUT_WORD, word("in", NOON + NEAR))
    contact = Contact(contact_id="c", opt_words=(OUT_WORD, word("in", NOON + NEAR)))
    assert recent_words(contact, word("out", NOON + FAR)) == (word("in", NOON + NEAR), word("out", NOON + FAR))


@pytest.mark.parametrize(("first", "second", "last"), [("out", "in", "in"), ("in", "out", "out")])
def test_within_twilios_second_the_word_that_came_later_counts(first: str, second: str, last: str) -> None:
    one, other = word(first, NOON, is_dated=True), word(second, NOON, is_dated=True)
    assert last_of((one, other)).opt == last
    assert last_of((replace(one, at=NOON + 1_000), other)).opt == first


@pytest.mark.parametrize(("seconds", "last"), [(14, "out"), (15, "in"), (16, "in")])
def test_start_that_twilio_has_no_more_lifts_only_a_stop_that_is_certainly_older(seconds: int, last: str) -> None:
    assert last_of((OUT_WORD, word("in", NOON + seconds * 1_000))).opt == last
