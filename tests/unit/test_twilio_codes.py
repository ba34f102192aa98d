"""The table of codes is whole, and its classes are consistent."""

import re

import pytest
from whatsapp.domain.sending.twilio_codes import ROWS, Action, Audience, Row, row_for

from local.twilio.errors import CODES

# Those that Twilio's error dictionary, its WhatsApp FAQ and its template status pages name for sending on WhatsApp.
NAMED = """
20003 20005 20404 20422 20429 20500 20503 11751 14107 90010
21211 21212 21408 21602 21603 21604 21606 21608 21609 21610 21611 21614 21617 21620 21623
21654 21655 21656 21657 21658 21701 21702 21703 21704 21705 21910
30001 30002 30003 30004 30005 30006 30007 30008 30017 30020 30021 30410
63001 63002 63003 63005 63006 63007 63008 63009 63010 63011 63012 63013 63014 63015 63016 63017 63018 63019 63020
63021 63022 63023 63024 63025 63026 63027 63028 63029 63030 63031 63032 63033 63034 63035 63036 63037 63038 63039
63040 63041 63042 63043 63044 63045 63046 63047 63049 63051 63062
"""
NOT_SENDING = {20001, 20004, 35114, 11200, 11205, 11750, 12100, 12200, 12300}
"""Codes of the emulator that our sends cannot meet: unreadable JSON, a wrong method, Twilio's own scheduling, and what
Twilio's Debugger shows about answers to inbound messages."""


def test_every_named_code_has_a_row() -> None:
    assert set(map(int, NAMED.split())) == set(ROWS)


def test_every_code_of_the_emulator_has_a_row() -> None:
    assert set(CODES) - set(ROWS) == NOT_SENDING


def test_a_code_stands_once() -> None:
    from whatsapp.domain.sending import twilio_codes

    assert len(twilio_codes._ROWS) == len(ROWS)


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: str(row.code))
def test_row_is_consistent(row: Row) -> None:
    assert row.meaning
    assert row.error.islower()
    if row.suppress:
        assert row.action is Action.FAIL, "only what is final proves anything about a contact"
    if row.error == "account_problem":
        assert row.alert is Audience.OPERATOR
    if row.template_status:
        assert row.alert is Audience.AUTHORS
    assert row.retryable == (row.action in (Action.RETRY, Action.WAIT))


@pytest.mark.parametrize("code", [69_999, 0, None])
def test_unknown_code_is_never_retried_and_always_told(code: int | None) -> None:
    row = row_for(code)
    assert (row.action, row.error, row.alert, row.suppress) == (
        Action.FAIL,
        "unknown_error",
        Audience.OPERATOR,
        False,
    )


TABLE = """
wait account_problem operator:
    20003 20005 90010 30002 63001 63002 63007 63008 63020 63022 63051 21212 21606 21657 21701 21702 21703 21704 21705
fail account_problem operator: 21408 21608 63062 30007 63035 63036 63039
fail invalid_address nobody suppress: 21211 21614
fail invalid_address nobody: 63031
fail opted_out nobody suppress: 21610
fail blocked nobody suppress: 30004 63014 63033
fail not_on_whatsapp nobody suppress: 30005 30006 63003 63024
fail not_on_whatsapp nobody: 30003 63015 63032
fail invalid_request developers:
    20404 20422 21602 21603 21604 21609 21617 21620 21623 21658 21910 11751
    63005 63006 63011 63013 63019 63021 63025 63026 63030 63034
fall-back window_closed nobody: 63016
fail template_not_approved authors: 21654 63029 63043 63044 63045 63047
fail template_not_approved authors missing: 21655 63027
fail template_not_approved authors rejected: 63040
wait template_not_approved authors paused: 63041
fail template_not_approved authors disabled: 63042
fail invalid_variables authors: 21656 63028
fail unknown_error nobody: 63046
wait throttled nobody: 14107 20429 21611 30001 63017
wait throttled operator: 63018 63038
fail marketing_limit authors: 63049
fail twilio_unavailable operator: 30410
retry twilio_unavailable nobody: 20500 20503 30008 30017 30020 30021 63009 63010 63012 63023 63037
"""


def test_the_whole_table() -> None:
    """Each code's action, error, who is alerted, whether the contact is suppressed, and the template's status."""
    kinds: dict[int, str] = {}
    for line in re.sub(r"\n +", " ", TABLE).strip().splitlines():
        kind, _, codes = line.partition(":")
        kinds |= dict.fromkeys(map(int, codes.split()), kind)
    assert {code: _kind(row) for code, row in ROWS.items()} == kinds


def _kind(row: Row) -> str:
    suppress = "suppress" if row.suppress else ""
    words = (row.action.replace(" ", "-"), row.error, row.alert, suppress, row.template_status or "")
    return " ".join(filter(None, words))


def test_a_row_stands_under_its_own_code() -> None:
    assert all(row.code == code for code, row in ROWS.items())


@pytest.mark.parametrize(("code", "shown"), [(69_999, 69_999), (0, 0), (None, 0)])
def test_the_row_of_an_unknown_code(code: int | None, shown: int) -> None:
    assert row_for(code) == Row(
        shown, Action.FAIL, "unknown_error", "a code that this version does not know", Audience.OPERATOR
    )
    assert not row_for(code).retryable
