"""Addresses: what people write for a phone number, and one contact for one person."""

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
    ],
)
def test_an_indian_number_however_it_is_written(written: str) -> None:
    address = Address.parse(written)
    assert address.value == "+919812345678"
    assert address.whatsapp == "whatsapp:+919812345678"
    assert address.is_phone_number


def test_numbers_of_other_countries_keep_their_own() -> None:
    assert Address.parse("+1 202 555 0123").value == "+12025550123"
    assert Address.parse("+44 20 7946 0958").value == "+442079460958"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+541123456789", "+5491123456789"),
        ("+551187654321", "+5511987654321"),
        ("+5215512345678", "+525512345678"),
    ],
)
def test_two_spellings_are_one_contact(one: str, other: str) -> None:
    ids = ContactIds("key")
    assert Address.parse(one).canonical == Address.parse(other).canonical
    assert ids.of(Address.parse(one)) == ids.of(Address.parse(other))
    assert Address.parse(one).value == one, "Twilio is given what was written"


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
    ],
)
def test_refusal_says_why_and_never_repeats_the_number(written: str, says: str) -> None:
    with pytest.raises(MessagingError) as told:
        Address.parse(written)
    assert told.value.code == "invalid_address"
    assert says in told.value.detail
    assert len(written) < 5 or written not in str(told.value)


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
