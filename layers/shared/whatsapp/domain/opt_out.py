"""Whether a message as a whole asks for silence, or for its end."""

import re
import unicodedata

# Not CANCEL, YES, NO or END: they answer appointments. Twilio's own keywords for all of these can be switched off or
# edited in Advanced Opt-Out (docs/operations.md).
_OUT = frozenset(
    {
        "stop",
        "stopall",
        "stop all",
        "unsubscribe",
        "opt out",
        "optout",
        "band karo",
        "band kare",
        "bandh karo",
        "band kar do",
        "roko",
        "mat bhejo",
        "message mat bhejo",
        "बंद",
        "बंद करो",
        "बंद करें",
        "बंद कर दो",
        "बन्द",
        "बन्द करो",
        "रोको",
        "रोकें",
        "मत भेजो",
        "स्टॉप",
        "संदेश मत भेजो",
        "நிறுத்து",
        "நிறுத்தவும்",
        "বন্ধ",
        "বন্ধ করুন",
        "বন্ধ করো",
    }
)
_IN = frozenset(
    {
        "start",
        "unstop",
        "subscribe",
        "opt in",
        "optin",
        "shuru",
        "shuru karo",
        "chalu karo",
        "शुरू",
        "शुरू करो",
        "शुरू करें",
        "चालू करो",
        "स्टार्ट",
        "தொடங்கு",
        "தொடங்கவும்",
        "শুরু",
        "শুরু করুন",
        "শুরু করো",
    }
)
_NOT_WORDS = re.compile(r"[\s.!?,;:।…\"'“”‘’()\[\]-]+")


def opt_of(text: str, opt_out_type: str | None) -> str | None:
    """`out`, `in`, or None. Twilio's `OptOutType` (Advanced Opt-Out) outranks our own reading of the text."""
    told = {"STOP": "out", "START": "in"}.get((opt_out_type or "").upper())
    if told:
        return told
    words = _NOT_WORDS.sub(" ", unicodedata.normalize("NFC", text).casefold()).strip()
    return "out" if words in _OUT else "in" if words in _IN else None
