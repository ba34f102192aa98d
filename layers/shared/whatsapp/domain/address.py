"""Who a message goes to or comes from: a phone number, or WhatsApp's own id where it hides the number."""

import re
from dataclasses import dataclass

import phonenumbers

from whatsapp.domain.errors import MessagingError

_CHANNEL = "whatsapp:"
_BUSINESS_SCOPED_ID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9._-]{1,128}")
_PHONE_CHARACTERS = re.compile(r"\+?[\d\s().\-]{5,25}")
_HOME_REGION = "IN"
_HOME_CODE, _HOME_DIGITS = "+91", 10
"""With the area code, all of India's numbers have ten digits; phonenumbers also lets local ones pass as possible."""


@dataclass(frozen=True, slots=True)
class Address:
    """One way to reach a contact: `+E164`, or a business-scoped id such as `IN.134…`."""

    value: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read what a caller or Twilio wrote, with or without `whatsapp:`. National numbers are read as Indian.

        Raises:
            MessagingError: `invalid_address`, which says what is wrong without repeating the number.
        """
        bare = text.strip().removeprefix(_CHANNEL).strip()
        if _BUSINESS_SCOPED_ID.fullmatch(bare):
            return cls(bare)
        if not _PHONE_CHARACTERS.fullmatch(bare):
            raise MessagingError("invalid_address", "not a phone number: give it as +919812345678 or as 98123 45678")
        return cls(_phone_number(bare))

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
        """One spelling for numbers that WhatsApp knows in two, so that one person is one contact."""
        for two_spellings, one in _SPELLINGS:
            if two_spellings.fullmatch(self.value):
                return two_spellings.sub(one, self.value)
        return self.value

    @property
    def masked(self) -> str:
        """For alerts: enough to recognise, not enough to call."""
        return f"{self.value[:3]}••••{self.value[-4:]}"

    def __repr__(self) -> str:
        """Masked, because tracebacks and log lines show it."""
        return f"Address({self.masked})"


# WhatsApp ids of these countries drop or add a mobile digit that the dialled number has or lacks
# (faq.whatsapp.com, "how to add an international phone number"): Argentina's 9, Brazil's ninth digit, Mexico's 1.
_SPELLINGS = (
    (re.compile(r"\+54(?!9)(\d{10})"), r"+549\1"),
    (re.compile(r"\+55(\d{2})([6-9]\d{7})"), r"+55\g<1>9\2"),
    (re.compile(r"\+521(\d{10})"), r"+52\1"),
)


def _phone_number(bare: str) -> str:
    try:
        number = phonenumbers.parse(bare, _HOME_REGION)
    except phonenumbers.NumberParseException as error:
        raise MessagingError(
            "invalid_address", f"not a phone number ({_REASONS.get(error.error_type, 'unreadable')})"
        ) from None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if e164.startswith(_HOME_CODE) and len(e164) != len(_HOME_CODE) + _HOME_DIGITS:
        raise MessagingError("invalid_address", f"an Indian phone number has {_HOME_DIGITS} digits after +91; check it")
    if not phonenumbers.is_possible_number(number) and not any(two.fullmatch(e164) for two, _ in _SPELLINGS):
        reason = phonenumbers.is_possible_number_with_reason(number)
        how = "too short" if reason == phonenumbers.ValidationResult.TOO_SHORT else "not of a length its country uses"
        raise MessagingError("invalid_address", f"the phone number is {how}; check it, with its country code")
    return e164


_REASONS = {
    phonenumbers.NumberParseException.INVALID_COUNTRY_CODE: "unknown country code",
    phonenumbers.NumberParseException.NOT_A_NUMBER: "no digits where they should be",
    phonenumbers.NumberParseException.TOO_SHORT_AFTER_IDD: "too short",
    phonenumbers.NumberParseException.TOO_SHORT_NSN: "too short",
    phonenumbers.NumberParseException.TOO_LONG: "too long",
}
