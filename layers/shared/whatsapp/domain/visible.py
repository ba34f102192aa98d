"""Whether a text shows anything at all. One of invisible characters only is as empty as an empty one."""

import re
import unicodedata

_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt; a test compares), and Braille's blank. Some are
letters by their category, such as the Hangul fillers."""


def is_visible(text: str) -> bool:
    """Whether it has a letter, a digit, a punctuation mark or a symbol that can be seen."""
    return any(unicodedata.category(c)[0] in "LNPS" for c in _UNSEEN.sub("", text))
