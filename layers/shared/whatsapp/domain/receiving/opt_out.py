"""Detects STOP and START messages."""

import re
import unicodedata

from whatsapp.domain import periods
from whatsapp.domain.contact import Contact

_SELECTORS = re.compile("[\ufe00-\ufe0f]")
"""What stands behind an emoji and says how to draw it: to Unicode a mark, as the vowel signs of our languages are."""


def _words(text: str) -> str:
    """A message's words alone: one spelling of each letter, no case, nothing but letters, marks and digits."""
    plain = _SELECTORS.sub("", unicodedata.normalize("NFKC", text)).casefold()
    return " ".join("".join(map(_letter, plain)).split())


def _letter(character: str) -> str:
    """The character; a blank for one that parts words; nothing for one that nobody sees (joiners, directions)."""
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    return " " if category[0] in "PSZC" else character


def _all(*phrases: str) -> frozenset[str]:
    return frozenset(map(_words, phrases))


_MESSAGES = ("message", "messages", "msg", "मैसेज", "मेसेज", "संदेश")
_END_HINDI = (
    *("band karo", "band kare", "band karen", "band karein", "band kar do", "band kardo", "band kijiye", "bandh karo"),
    *("band kar dijiye", "band kariye", "mat bhejo", "mat bheje", "mat bhejiye"),
    *("बंद करो", "बंद करे", "बंद करें", "बंद कर दो", "बंद करदो", "बंद कर दें", "बंद कीजिए", "बंद कर दीजिए", "बंद करिए"),
    *("बन्द करो", "बन्द करें", "मत भेजो", "मत भेजें", "मत भेजिए"),
)
# Not CANCEL, YES, NO or END: they answer appointments. Twilio's own keywords for all of these can be switched off or
# edited in Advanced Opt-Out (docs/operations.md).
_OUT = _all(
    *("stop", "stop all", "stopall", "stop it", "stop please", "please stop"),
    *("unsubscribe", "quit", "opt out", "optout"),
    *("stop message", "stop messages", "stop the messages", "stop messaging", "stop messaging me"),
    *("roko", "बंद", "बन्द", "रोको", "रोकें", "स्टॉप"),
    *_END_HINDI,
    *(f"{messages} {end}" for messages in _MESSAGES for end in _END_HINDI),
    *("நிறுத்து", "நிறுத்தவும்"),
    *("বন্ধ", "বন্ধ করুন", "বন্ধ করো"),
)
_IN = _all(
    *("start", "unstop", "subscribe", "opt in", "optin"),
    *("shuru", "shuru karo", "shuru kare", "shuru karen", "shuru karein", "chalu karo"),
    *("शुरू", "शुरू करो", "शुरू करें", "शुरु", "शुरु करो", "शुरु करें", "चालू करो", "स्टार्ट"),
    *("தொடங்கு", "தொடங்கவும்"),
    *("শুরু", "শুরু করুন", "শুরু করো"),
)


def opt_of(text: str, opt_out_type: str | None) -> str | None:
    """`out`, `in`, or None. Twilio's `OptOutType` (Advanced Opt-Out) overrides our own reading of the text."""
    if by_twilio := {"STOP": "out", "START": "in"}.get((opt_out_type or "").upper()):
        return by_twilio
    words = _words(text)
    return "out" if words in _OUT else "in" if words in _IN else None


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
