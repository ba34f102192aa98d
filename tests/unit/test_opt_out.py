"""STOP and START, in the languages we write in; and what only looks like them."""

import pytest
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.receiving.opt_out import effective_opt, opt_of

from tests.fakes import NOON


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


def test_twilios_own_reading_outranks_ours() -> None:
    assert opt_of("Ruko mat", "STOP") == "out"
    assert opt_of("stop", "START") == "in"
    assert opt_of("help", "HELP") is None


RETRIES = periods.WEBHOOK_RETRIES


@pytest.mark.parametrize(
    ("text", "out_at", "in_at", "in_source", "counts"),
    [
        # (moments are relative to the message's own)
        ("STOP", None, None, None, True),
        ("START", None, None, None, True),
        ("STOP", 0, None, None, True),
        ("STOP", 1, None, None, False),
        ("STOP", None, RETRIES, "message", True),  # of STOP and START within the retries of a webhook, STOP wins
        ("STOP", None, RETRIES + 1, "message", False),
        ("STOP", None, RETRIES + 1, "web form", True),  # a consent that a caller recorded never outranks a STOP
        ("START", 0, None, None, True),
        ("START", 1, None, None, False),
        ("START", None, 0, "message", True),
        ("START", None, 1, "message", False),
        ("START", None, 1, "web form", True),
        ("hello", None, None, None, None),
    ],
)
def test_older_word_does_not_undo_a_newer_one(
    text: str, out_at: int | None, in_at: int | None, in_source: str | None, counts: bool | None
) -> None:
    contact = Contact(
        contact_id="c",
        opted_out_at=None if out_at is None else NOON + out_at,
        opted_in_at=None if in_at is None else NOON + in_at,
        opt_in_source=in_source,
    )
    expected = opt_of(text, None) if counts else None
    assert effective_opt(text, None, contact, NOON) == expected
