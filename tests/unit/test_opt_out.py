"""STOP and START, in the languages we write in; and what only looks like them."""

import pytest
from whatsapp.domain.receiving.opt_out import opt_of


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
