"""What shows nothing is empty, by Unicode's own data."""

import sys

import pytest
import regex
from whatsapp.domain.visible import _UNSEEN, is_visible

IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}")


@pytest.mark.parametrize("text", ["a", "आ", "5", ".", "🙂", "1️⃣", "₹", " x ", "क\u094d\u200dष", "\u200ba"])
def test_visible(text: str) -> None:
    assert is_visible(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "\n\t", "\u00a0", "\u200b", "\u200d\u200c", "\u2060\ufeff", "\u3164", "\uffa0", "\u115f\u1160", "\u2800",
     "\ufe0f", "\U000e0041", "\u202e", "\u00ad", "\x00", "\ud800", "\u0301"],
)  # fmt: skip
def test_invisible(text: str) -> None:
    assert not is_visible(text)


def test_what_is_not_seen_is_what_unicode_ignores_and_brailles_blank() -> None:
    unseen = {chr(n) for n in range(sys.maxunicode + 1) if _UNSEEN.match(chr(n))}
    assert unseen == {chr(n) for n in range(sys.maxunicode + 1) if IGNORABLE.match(chr(n))} | {"\u2800"}
