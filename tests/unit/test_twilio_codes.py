"""The table of codes is whole, and its classes are consistent."""

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
    if row.action is Action.PAGE:
        assert row.alert is Audience.OPERATOR
    if row.template_status:
        assert row.alert is Audience.AUTHORS
    assert row.retryable == (row.action in (Action.RETRY, Action.SLOW_DOWN, Action.PAGE))


@pytest.mark.parametrize("code", [69_999, 0, None])
def test_unknown_code_is_never_retried_and_always_told(code: int | None) -> None:
    row = row_for(code)
    assert (row.action, row.error, row.alert, row.suppress) == (
        Action.FAIL,
        "unknown_error",
        Audience.OPERATOR,
        False,
    )
