"""Reads a phone number, as a caller wrote it, as `+E164`.

`Address.parse` loads this when it is first needed: to import `phonenumbers` takes 40 ms, and the webhook needs it not.
"""

import re

import phonenumbers

from whatsapp.domain import renumberings
from whatsapp.domain.errors import MessagingError

_HOME_REGION = "IN"
_HOME_CODE, _HOME_DIGITS = "+91", 10
"""With the area code, all of India's numbers have ten digits; phonenumbers also lets local ones pass as possible."""
_HOME_MOBILE = re.compile(r"[6-9][0-9]{9}")

_PHONE_CHARACTERS = re.compile(r"\+?[0-9 \t(.][0-9 \t().\-]{4,24}(?<!\))")
"""Digits and what people group them with. Anything else means something: an extension, a second number, a letter for a
digit. So do a minus before the number and digits in parentheses after it."""
_GROUPING = re.compile(r"[ \t().\-]")
_DECIMAL = re.compile(r"[^.]+\.([0-9]{1,2}|0+)")
"""Of a number cell, a spreadsheet makes `919812345678.0`. Read with that 0, it may be another person's number."""


def read(text: str) -> str:
    """Read a number that is in plain characters (`bare_address`). National numbers are read as Indian.

    Returns:
        `+E164`: a number that its country gives out, or one in the spelling before a renumbering.

    Raises:
        MessagingError: `invalid_address`, which says what is wrong without repeating the number.
    """
    if not _PHONE_CHARACTERS.fullmatch(text):
        raise _refusal("not a phone number: give it as +919812345678 or as 98123 45678")
    if _DECIMAL.fullmatch(text):
        raise _refusal("a decimal number, as a spreadsheet writes it, not a phone number: give its digits as text")
    try:
        number = phonenumbers.parse(_GROUPING.sub("", text), _HOME_REGION)
    except phonenumbers.NumberParseException as error:
        raise _refusal(f"not a phone number ({_REASONS.get(error.error_type, 'unreadable')})", text) from None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if e164.startswith(_HOME_CODE) and len(e164) != len(_HOME_CODE) + _HOME_DIGITS:
        raise _refusal(f"an Indian phone number has {_HOME_DIGITS} digits after +91; check it", text)
    if not (phonenumbers.is_valid_number(number) or _is_valid(renumberings.canonical(e164))):
        raise _refusal(f"the phone number is {_why_invalid(number)}; check it, with its country code", text)
    return e164


def _is_valid(e164: str) -> bool:
    return phonenumbers.is_valid_number(phonenumbers.parse(e164))


def _why_invalid(number: phonenumbers.PhoneNumber) -> str:
    match phonenumbers.is_possible_number_with_reason(number):
        case phonenumbers.ValidationResult.IS_POSSIBLE | phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
            return "none that its country gives out"
        case phonenumbers.ValidationResult.TOO_SHORT:
            return "too short"
    return "not of a length its country uses"


def _refusal(what: str, text: str = "") -> MessagingError:
    """With what may have been meant, if a country code is missing, or `+` before one."""
    digits = _GROUPING.sub("", text).removeprefix("+")
    if text.startswith(("+", "00")):
        if _HOME_MOBILE.fullmatch(national := digits.lstrip("0")) and _is_valid(_HOME_CODE + national):
            what += f". With {_HOME_CODE} before them, the same digits are a valid Indian mobile number"
    elif len(digits) > _HOME_DIGITS and digits[0] != "0" and _is_valid_abroad(digits):
        what += ". With + before them, the same digits are a valid number of another country"
    return MessagingError("invalid_address", what)


def _is_valid_abroad(digits: str) -> bool:
    try:
        return _is_valid(f"+{digits}")
    except phonenumbers.NumberParseException:
        return False


_REASONS = {
    phonenumbers.NumberParseException.INVALID_COUNTRY_CODE: "unknown country code",
    phonenumbers.NumberParseException.NOT_A_NUMBER: "no digits where they should be",
    phonenumbers.NumberParseException.TOO_SHORT_AFTER_IDD: "too short",
    phonenumbers.NumberParseException.TOO_SHORT_NSN: "too short",
    phonenumbers.NumberParseException.TOO_LONG: "too long",
}
