"""Who a message goes to or comes from: a phone number, or WhatsApp's own id where it hides the number."""

import re
from collections.abc import Iterator

from whatsapp.domain import renumberings
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import MessagingError

_CHANNEL = "whatsapp:"
_BUSINESS_SCOPED_ID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9._-]{1,128}")


@dataclass(frozen=True, slots=True)
class Address:
    """One way to reach a contact: `+E164`, or a business-scoped id such as `IN.134…`."""

    value: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read what a caller wrote, with or without `whatsapp:`. National numbers are read as Indian.

        Raises:
            MessagingError: `invalid_address`, which says what is wrong without repeating the number.
        """
        bare = bare_address(text)
        if _BUSINESS_SCOPED_ID.fullmatch(bare):
            return cls(bare)
        from whatsapp.domain import phone_number

        return cls(phone_number.read(bare))

    @property
    def is_phone_number(self) -> bool:
        """False for a business-scoped id or a handle."""
        return self.value.startswith("+")

    @property
    def whatsapp(self) -> str:
        """The address as Twilio writes it: `whatsapp:+919812345678`."""
        return _CHANNEL + self.value

    @property
    def canonical(self) -> str:
        """One spelling for numbers that are written in two, so that one person is one contact."""
        return renumberings.canonical(self.value)

    @property
    def older_spellings(self) -> tuple[str, ...]:
        """The other spellings of the same number."""
        return renumberings.older_spellings(self.value)

    @property
    def masked(self) -> str:
        """For alerts: enough to recognise, not enough to call."""
        return f"{self.value[:3]}••••{self.value[-4:]}"

    def __repr__(self) -> str:
        """Masked, because tracebacks and log lines show it."""
        return f"Address({self.masked})"


# Marks of direction, of no width and of variation come along when a number is copied from a contact, a chat or a page.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u20e3\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]"
)
_SPACES = re.compile(r"[^\S\n\r\v\f\x1c-\x1f\x85\u2028\u2029]")
"""All but line breaks: those part two numbers."""
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
_FULLWIDTH = "\uff0b\uff08\uff09\uff0e"
_PLAIN = str.maketrans(_DASHES + _FULLWIDTH, "-" * len(_DASHES) + "+().")


def bare_address(text: str) -> str:
    """An address without `whatsapp:`, in plain characters: invisible ones go, typographic ones and digits are ASCII."""
    if not text.isascii():
        text = _SPACES.sub(" ", _INVISIBLE.sub("", text)).translate(_PLAIN)
        text = re.sub(r"\d", lambda digit: str(int(digit[0])), text)
    return text.strip().removeprefix(_CHANNEL).strip()


_LIKE_A_NUMBER = re.compile(r"\+?\d[\d ().-]{6,24}")


def addresses_in(text: str) -> Iterator[Address]:
    """Every valid phone number in a text."""
    for found in _LIKE_A_NUMBER.findall(bare_address(text)):
        try:
            yield Address.parse(found)
        except MessagingError:
            continue
