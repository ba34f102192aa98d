"""Addresses: what people write for a phone number, and one contact for one person."""

import random
import subprocess
import sys

import phonenumbers
import pytest
from whatsapp.domain.address import Address
from whatsapp.domain.contact import ContactIds
from whatsapp.domain.errors import MessagingError


@pytest.mark.parametrize(
    "written",
    [
        "+919812345678",
        "98123 45678",
        "098123 45678",
        "(98123) 45678",
        "+91 98123-45678",
        "00919812345678",
        " whatsapp:+919812345678 ",
        "919812345678",
        "98123.45678",
        "\u202a+91 98123 45678\u202c",
        "\u2068+919812345678\u2069",
        "\ufeff+91\u200b98123\u200d45678",
        "+91\u00a098123\u202f45678",
        "+91 98123\u201145678",
        "+91 98123\u201345678",
        "+91 98123\u221245678",
        "9\ufe0f\u20e38\ufe0f\u20e3123 45678",
        "\uff0b\uff19\uff11 98123\u300045678",
        "९८१२३ ४५६७८",
        "whatsapp:\u200e+919812345678",
        "\u200ewhatsapp:+919812345678",
        "+91\t98123 45678\n",
    ],
)
def test_an_indian_number_however_it_is_written(written: str) -> None:
    address = Address.parse(written)
    assert address.value == "+919812345678"
    assert address.whatsapp == "whatsapp:+919812345678"
    assert address.is_phone_number


def test_numbers_of_other_countries_keep_their_own() -> None:
    assert Address.parse("+1 202 555 0123").value == "+12025550123"
    assert Address.parse("+44 (0)20 7946 0958").value == "+442079460958"
    assert Address.parse("+33.6.12.34.56.00").value == "+33612345600"
    assert Address.parse("+6581234567").value == "+6581234567", "Singapore's, though an Indian mobile has these digits"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+541123456789", "+5491123456789"),
        ("+551187654321", "+5511987654321"),
        ("+5215512345678", "+525512345678"),
        ("+22997123456", "+229 01 97 12 34 56"),
        ("+225 08 12 34 56", "+225 07 08 12 34 56"),
    ],
)
def test_two_spellings_are_one_contact(one: str, other: str) -> None:
    ids = ContactIds("key")
    assert Address.parse(one).canonical == Address.parse(other).canonical
    assert ids.of(Address.parse(one)) == ids.of(Address.parse(other))
    assert Address.parse(one).value == one.replace(" ", ""), "Twilio is given what was written"


@pytest.mark.parametrize("number", ["+551133334444", "+12025550123", "+919812345678", "+5491123456789"])
def test_numbers_with_one_spelling_stay_as_they_are(number: str) -> None:
    assert Address.parse(number).canonical == number


def test_business_scoped_id() -> None:
    address = Address.parse("whatsapp:IN.134abcDEF")
    assert (address.value, address.is_phone_number) == ("IN.134abcDEF", False)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("", "not a phone number"),
        ("Asha", "not a phone number"),
        ("98123", "10 digits"),
        ("+91 98123 4567", "10 digits"),
        ("+9198123456789", "10 digits"),
        ("+999123456789", "unknown country code"),
        ("+1 202 555", "too short"),
        ("+44 20 7946 0958 0958", "not of a length"),
        ("98123456781234567890123456789", "not a phone number"),
        ("+91981234567x", "not a phone number"),
        ("IN.", "not a phone number"),
        ("+971501234567.0", "decimal number"),
        ("971501234567.00", "decimal number"),
        ("919812345678.0", "decimal number"),
        ("+4917012345670.000", "decimal number"),
        ("9.19812E+11", "not a phone number"),
        ("-919812345678", "not a phone number"),
        ("+9198123\n45678", "not a phone number"),
        ("+9198123\u202845678", "not a phone number"),
        ("98123 45678 / 98123 45679", "not a phone number"),
        ("98123 45678, 98123 45679", "not a phone number"),
        ("+43 660 1234567 (2)", "not a phone number"),
        ("+43 660 1234567 x2", "not a phone number"),
        ("+43 660 1234567;ext=2", "not a phone number"),
        ("+43 660 1234567#2", "not a phone number"),
        ("+43 660 12345\u00b2", "not a phone number"),
        ("9\u20dd812345678", "not a phone number"),
        ("+9715012345670", "none that its country gives out"),
        ("+15551234567890", "not of a length"),
        ("+22911123456", "none that its country gives out"),
        ("+910000000000", "10 digits"),
        ("+9743123456", "With +91 before them"),
        ("+9876543210", "With +91 before them, the same digits are a valid Indian mobile number"),
        ("+98 76543 210", "With +91 before them, the same digits are a valid Indian mobile number"),
        ("+09812345678", "With +91 before them, the same digits are a valid Indian mobile number"),
        ("00 9876543210", "With +91 before them, the same digits are a valid Indian mobile number"),
        ("+9912345678", "With +91 before them, the same digits are a valid Indian mobile number"),
        ("971501234567", "With + before them, the same digits are a valid number of another country"),
    ],
)
def test_refusal_says_why_and_never_repeats_the_number(written: str, says: str) -> None:
    with pytest.raises(MessagingError) as told:
        Address.parse(written)
    assert told.value.code == "invalid_address"
    assert says in told.value.detail
    assert len(written) < 5 or written not in str(told.value)


def test_no_indian_mobile_with_a_bare_plus_goes_to_a_number_that_nobody_has() -> None:
    dice = random.Random(11)
    accepted = []
    for _ in range(1000):
        digits = dice.choice("6789") + "".join(dice.choices("0123456789", k=9))
        if is_valid(f"+{digits}"):
            accepted.append(Address.parse(f"+{digits}").value)
        else:
            with pytest.raises(MessagingError, match="the same digits are a valid Indian mobile number"):
                Address.parse(f"+{digits}")
    assert accepted, "some are valid numbers of other countries"


def is_valid(e164: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(e164))
    except phonenumbers.NumberParseException:
        return False


def test_the_webhook_loads_no_number_metadata() -> None:
    code = (
        "import sys; from whatsapp.domain.contact import ContactIds; from whatsapp.domain.address import Address;"
        "ContactIds('key').of(Address('+22997123456')); print('phonenumbers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_no_trace_shows_the_number() -> None:
    address = Address.parse("+919812345678")
    assert repr(address) == "Address(+91••••5678)"
    assert f"{address}" == "Address(+91••••5678)"


def test_contact_id_is_a_pseudonym_under_one_key() -> None:
    address = Address.parse("+919812345678")
    assert ContactIds("key").of(address) == ContactIds("key").of(Address.parse("98123 45678"))
    assert ContactIds("key").of(address) != ContactIds("another key").of(address)
    assert len(ContactIds("key").of(address)) == 32
    assert "9812345678" not in ContactIds("key").of(address)
