"""One contact for a number before and after its country renumbered, and a table that number metadata bears out."""

import functools
import random
import re

import phonenumbers
import pytest
from whatsapp.domain.renumberings import RENUMBERINGS, Change, canonical, older_spellings

PAIRS = [
    ("+22997123456", "+2290197123456"),
    ("+22521345678", "+2252721345678"),
    ("+22541123456", "+2250141123456"),
    ("+22506123456", "+2250506123456"),
    ("+22508123456", "+2250708123456"),
    ("+5712345678", "+576012345678"),
    ("+2416123456", "+24166123456"),
    ("+24107123456", "+24177123456"),
    ("+24101723456", "+24111723456"),
    ("+5215512345678", "+525512345678"),
    ("+38649123456", "+38349123456"),
    ("+841201234567", "+84701234567"),
    ("+841691234567", "+84391234567"),
    ("+551187654321", "+5511987654321"),
    ("+23775123456", "+237675123456"),
    ("+23722123456", "+237222123456"),
    ("+23733123456", "+237243123456"),
    ("+2307123456", "+23057123456"),
    ("+59399123456", "+593999123456"),
    ("+20161234567", "+201061234567"),
    ("+541123456789", "+5491123456789"),
]
ONE_SPELLING = [
    "+919812345678",
    "+12025550123",
    "+551133334444",
    "+201512345678",
    "+37744123456",
    "+38643123456",
    "+22980123456",
    "+2304211234",
    "+573001234567",
    "+9743123456",
    "IN.22997123456",
]
STILL_LISTED = {
    "Argentina": "a landline without the 9 is a number too; no landline and mobile share their digits",
    "Brazil": "8 digits from 7 on were Nextel's trunked radio, which ended in 2018",
    "Gabon": "libphonenumber lets the old plan pass; no number of today has its form",
}


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_both_spellings_are_one_and_todays_is_a_valid_number(old: str, new: str) -> None:
    assert canonical(old) == canonical(new) == new
    assert old in older_spellings(new)
    assert older_spellings(old) == older_spellings(new)
    assert is_valid(new)


@pytest.mark.parametrize("value", ONE_SPELLING)
def test_others_stay_as_they_are(value: str) -> None:
    assert canonical(value) == value


def test_every_country_has_an_example() -> None:
    assert all(any(old.startswith(plan.codes) for old, _ in PAIRS) for plan in RENUMBERINGS)


CHANGES = [
    pytest.param(plan.country, change, id=f"{plan.country}-{change.old}-{change.new}")
    for plan in RENUMBERINGS
    for change in plan.changes
]


@pytest.mark.parametrize(("country", "change"), CHANGES)
def test_an_old_spelling_is_nobodys_number_today(country: str, change: Change) -> None:
    assert country in STILL_LISTED or not any(is_valid(old) for old in old_numbers(change))


@pytest.mark.parametrize(("country", "change"), CHANGES)
def test_an_old_spelling_is_no_indian_mobile_with_a_bare_plus(country: str, change: Change) -> None:
    assert not any(re.fullmatch(r"\+[6-9]\d{9}", old) for old in old_numbers(change))


@pytest.mark.parametrize(("country", "change"), CHANGES)
def test_a_change_leads_to_todays_numbers_and_back(country: str, change: Change) -> None:
    olds = old_numbers(change)
    assert any(is_valid(canonical(old)) for old in olds) or country == "Argentina"  # few of its area codes are in use
    for old in olds:
        new = canonical(old)
        assert new == change.renumbered(old)
        assert canonical(new) == new
        assert old in older_spellings(new)
        assert all(canonical(other) == new for other in older_spellings(new))


@functools.cache
def old_numbers(change: Change) -> list[str]:
    """Random numbers from before the change, 30 of them."""
    dice = random.Random(change.new)
    found: list[str] = []
    while len(found) < 30:
        stays = re.sub(r"\\d", lambda _: dice.choice("0123456789"), change.stays)
        rest = "".join(dice.choices("0123456789", k=dice.randint(6, 10)))
        number = f"+{stays}{change.old}{rest}"
        if change.renumbered(number):
            found.append(number)
    return found


def is_valid(e164: str) -> bool:
    number = phonenumbers.parse(e164)
    return phonenumbers.is_valid_number(number) and phonenumbers.format_number(number, 0) == e164
