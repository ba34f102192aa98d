"""Whether a message as a whole asks for silence, or for its end."""

import re
import unicodedata

_BETWEEN_WORDS = re.compile(r"[\s.!?,;:।…\"'“”‘’()\[\]-]+")
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufe0e\ufe0f\ufeff]")  # joiners, marks of direction, emoji selectors


def _words(text: str) -> str:
    """A message's words alone: one spelling of each letter, no case, no punctuation, one blank between them."""
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold()
    return _BETWEEN_WORDS.sub(" ", plain).strip()


# Not CANCEL, YES, NO or END: they answer appointments. Twilio's own keywords for all of these can be switched off or
# edited in Advanced Opt-Out (docs/operations.md).
_OUT = frozenset(
    map(
        _words,
        (
            *("stop", "stop all", "stopall", "unsubscribe", "quit", "opt out", "optout"),
            *("band karo", "band kare", "band karen", "bandh karo", "band kar do", "roko", "mat bhejo"),
            *("message band karo", "message mat bhejo"),
            *("बंद", "बंद करो", "बंद करें", "बंद कर दो", "बन्द", "बन्द करो", "बन्द करें", "रोको", "रोकें", "स्टॉप"),
            *("मत भेजो", "संदेश मत भेजो", "मैसेज मत भेजो", "मैसेज बंद करो"),
            *("நிறுத்து", "நிறுத்தவும்"),
            *("বন্ধ", "বন্ধ করুন", "বন্ধ করো"),
        ),
    )
)
_IN = frozenset(
    map(
        _words,
        (
            *("start", "unstop", "subscribe", "opt in", "optin"),
            *("shuru", "shuru karo", "chalu karo"),
            *("शुरू", "शुरू करो", "शुरू करें", "चालू करो", "स्टार्ट"),
            *("தொடங்கு", "தொடங்கவும்"),
            *("শুরু", "শুরু করুন", "শুরু করো"),
        ),
    )
)


def opt_of(text: str, opt_out_type: str | None) -> str | None:
    """`out`, `in`, or None. Twilio's `OptOutType` (Advanced Opt-Out) outranks our own reading of the text."""
    told = {"STOP": "out", "START": "in"}.get((opt_out_type or "").upper())
    if told:
        return told
    words = _words(text)
    return "out" if words in _OUT else "in" if words in _IN else None
