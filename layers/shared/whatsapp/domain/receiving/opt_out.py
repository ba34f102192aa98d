"""Detects STOP and START messages: by what all of their words mean together (`opt_out_words.py`)."""

import re
import unicodedata
from itertools import groupby

from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
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


def opt_of(text: str, opt_out_type: str | None) -> str | None:
    """`out`, `in`, or None. Twilio's `OptOutType` (Advanced Opt-Out) overrides our own reading of the text.

    Every word has to be known: one that is not may say something else, as in `don't stop` or `stop the tablets`.
    CANCEL, YES, NO and END are neither: they answer appointments. Twilio's own keywords for all of these can be
    switched off or edited in Advanced Opt-Out (docs/operations.md).
    """
    if by_twilio := {"STOP": "out", "START": "in"}.get((opt_out_type or "").upper()):
        return by_twilio
    meaning = _meaning(text)
    return "out" if re.fullmatch(_OUT, meaning) else "in" if re.fullmatch(_IN, meaning) else None


def effective_opt(text: str, opt_out_type: str | None, contact: Contact, at: int) -> str | None:
    """The message's STOP or START, unless the contact has sent a later one: a backfilled message comes out of order.

    A webhook's message is dated when it arrives, up to 15 s after it was written; within that time STOP wins. Only a
    START sent by the patient overrides a STOP; `opted_in_at` set through the API does not.
    """
    opt = opt_of(text, opt_out_type)
    out_at = contact.opted_out_at or 0
    in_at = contact.opted_in_at or 0 if contact.opt_in_source == "message" else 0
    is_late = at < max(out_at, in_at) if opt == "in" else at < max(out_at, in_at - periods.WEBHOOK_RETRIES)
    return None if is_late else opt
