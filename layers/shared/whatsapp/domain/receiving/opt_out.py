"""Detects STOP and START messages by the meaning of all their words (`opt_out_words.py`)."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import groupby
from typing import Literal

from whatsapp.domain import periods
from whatsapp.domain.contact import Contact, OptWord
from whatsapp.domain.receiving.opt_out_words import MEANINGS

_SELECTORS = re.compile("[\ufe00-\ufe0f]")
"""Variation selectors after an emoji. Their category is that of Indian vowel signs, so they are removed by name."""

_DRAWN_OUT = re.compile(r"(.)\1{2,}")
"""A letter drawn out, as in `pleaseee`."""


def in_one_spelling(text: str) -> str:
    """The message in one spelling: normalised, without case, only letters, marks and digits."""
    plain = _SELECTORS.sub("", unicodedata.normalize("NFKC", text)).casefold()
    plain = _DRAWN_OUT.sub(r"\1", plain)
    return " ".join("".join(map(_letter, plain)).split())


def _letter(character: str) -> str:
    """The character; a blank for a separator; nothing for an invisible one (joiners, directions)."""
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    return " " if category[0] in "PSZC" else character


_LONGEST = max(phrase.count(" ") for phrase in MEANINGS) + 1
_ALL = "[mr]"
_STOPPING = f"[sS]g?{_ALL}|[sS]g|[sS]hm?|{_ALL}g?[sS]|g{_ALL}?[sS]"  # stop sending messages, message bhejna band karo
_REFUSING = "um?|mu|[nd]m|m[ndx]|vm|mv"  # unsubscribe, do not send messages, message mat karo, no more messages
_OUT = f"(?:t?st?|n|[wy]?t?(?:{_STOPPING})t?|w?(?:{_REFUSING})){{1,4}}|b|w?(?:m[bB]|[bB]m)"
_IN = "(?:t?it?|w?(?:jm?|ig|[iI](?:g?m|h)|mg?[iI]|gm[iI])){1,4}"
"""Sentences of meanings (`opt_out_words.py`), up to four of them. Compiled when a message needs them."""


def _meaning(text: str) -> str:
    """One letter for each phrase that means something, the longest phrase first. Empty if any word is unknown."""
    words = in_one_spelling(text).split()
    letters: list[str] = []
    start = 0
    while start < len(words):
        candidates = (" ".join(words[start : start + length]) for length in range(_LONGEST, 0, -1))
        phrase = next((phrase for phrase in candidates if phrase in MEANINGS), None)
        if phrase is None:
            return ""
        letters.append(MEANINGS[phrase])
        start += phrase.count(" ") + 1
    return "".join(letter for letter, _ in groupby(filter(None, letters)))  # `stop stop` says no more than `stop`


def opt_of(text: str, opt_out_type: str | None) -> Literal["out", "in"] | None:
    """`out`, `in`, or None. Twilio's `OptOutType` (Advanced Opt-Out) overrides our own reading of the text.

    Every word has to be known: one that is not may say something else, as in `don't stop` or `stop the tablets`.
    CANCEL, YES, NO and END are neither: they answer appointments. Twilio's own keywords for all of these can be
    switched off or edited in Advanced Opt-Out (docs/operations.md).
    """
    by_twilio = (opt_out_type or "").upper()
    meaning = _meaning(text) if by_twilio not in ("STOP", "START") else ""
    if by_twilio == "STOP" or re.fullmatch(_OUT, meaning):
        return "out"
    if by_twilio == "START" or re.fullmatch(_IN, meaning):
        return "in"
    return None


def recent_words(contact: Contact, new: OptWord) -> tuple[OptWord, ...]:
    """The contact's STOPs and STARTs that may have been written in another order than they came."""
    words = (*contact.opt_words, new)
    newest = max(word.at for word in words)
    return tuple(word for word in words if newest - word.at < periods.WORDS_UNORDERED)


def are_settled(words: Sequence[OptWord]) -> bool:
    """Whether it is known which one is the last, or does not matter."""
    return len({word.opt for word in words}) < 2 or all(word.is_dated for word in words)


def last_of(words: Sequence[OptWord]) -> OptWord:
    """The word that counts. Twilio's dates are whole seconds: within one, the word that came later.

    A START that Twilio has no more, and so no date for, counts as early as it may have been written.
    """
    return max(reversed(words), key=_written_at)


def _written_at(word: OptWord) -> int:
    return word.at if word.is_dated or word.opt == "out" else word.at - periods.WEBHOOK_RETRIES


def effective_opt(word: OptWord, contact: Contact) -> Literal["out", "in"] | None:
    """The change that the word makes now: none if the contact has sent a later one, since a message may come late.

    While a STOP and a START are not settled, STOP stands. Only a START sent by the patient overrides a STOP;
    `opted_in_at` set through the API does not.
    """
    out_at = contact.opted_out_at or 0
    words = recent_words(contact, word)
    if word in words and not are_settled(words):
        holds = word.at >= out_at if word.opt == "out" else not out_at
        return word.opt if holds else None
    in_at = contact.opted_in_at or 0 if contact.opt_in_source == "message" else 0
    return None if word.at < max(out_at, in_at) else word.opt
