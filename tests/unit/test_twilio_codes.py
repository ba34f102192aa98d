"""The table of codes is whole, and its classes are consistent."""

import re

import pytest
from whatsapp.domain.sending.twilio_codes import ROWS, Action, Audience, Row, row_for

from local.twilio.errors import CODES

# Those that Twilio's error dictionary, its WhatsApp FAQ and its template status pages name for sending on WhatsApp.
NAMED = """
20001 20003 20004 20005 20006 20008 20010 20011 20012 20151 20403 20404 20409 20410 20412 20413 20422 20423 20426
20429 20500 20503 20504 11751 14107 70051 70052 77701 90010 572006
21205 21210 21211 21212 21214 21217 21219 21264 21265 21266 21267 21268 21408 21420 21470 21471 21472
21601 21602 21603 21604 21605 21606 21607 21608 21609 21610 21611 21612 21613 21614 21616 21617 21618 21619 21620
21621 21622 21623 21624 21626 21627 21631 21635 21652 21653 21654 21655 21656 21657 21658 21659 21660 21661 21662
21663 21664 21665 21666 21667 21668 21701 21702 21703 21704 21705 21900 21901 21902 21910
30001 30002 30003 30004 30005 30006 30007 30008 30009 30010 30011 30012 30013 30014 30015 30016 30017 30018 30019
30020 30021 30022 30023 30024 30025 30026 30027 30028 30029 30030 30031 30032 30033 30034 30035 30036 30037 30038
30039 30040 30041 30042 30043 30044 30045 30046 30400 30404 30409 30410 30450 30453 30454
63001 63002 63003 63005 63006 63007 63008 63009 63010 63011 63012 63013 63014 63015 63016 63017 63018 63019 63020
63021 63022 63023 63024 63025 63026 63027 63028 63029 63030 63031 63032 63033 63034 63035 63036 63037 63038 63039
63040 63041 63042 63043 63044 63045 63046 63047 63049 63050 63051 63052 63053 63054 63055 63056 63057 63058 63059
63062 63109 63111 63112 63117 63119 63120
"""
SET_UP = """
20002 20007 20101 20104 21708 21709 21711 21712 21713 21715 21717 21730 30103 30104 30110 30134 30140
30436 30441 30451 30452 30475 30479 63100 63101 63104 63110 63113 63118 70001 70053
"""
"""Some of the dictionary's codes about setting up: no row of their own, but a family."""
NOT_SENDING = {35114, 63100, 11200, 11205, 11750, 12100, 12200, 12300}
"""Codes of the emulator that our sends cannot meet: Twilio's own scheduling, the registration of
senders, and what Twilio's Debugger shows about
answers to inbound messages."""


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
    20003 20005 20006 20008 20010 20011 20012 20151 20403 20426 21210 21212 21264 21267 21470 21471 21472 21601
    21606 21613 21616 21621 21622 21631 21657 21659 21660 21661 21662 21663 21668 21701 21702 21703 21704 21705
    30002 30028 30037 63001 63002 63007 63008 63020 63022 63051 63056 63058 63059 63109 63111 63112 63120 70051
    70052 77701 90010
fail account_problem operator:
    21219 21408 21607 21608 30007 30009 30011 30018 30024 30025 30026 30032 30033 30034 30035 30038 30040 30041
    30042 30043 30044 30450 63035 63036 63039 63062 572006
fail invalid_address nobody suppress: 21211 21265 21268 21614 21635
fail invalid_address nobody: 21217 21266 30014 63031
fail opted_out nobody suppress: 21610
fail blocked nobody suppress: 30004 63014 63033
fail not_on_whatsapp nobody suppress: 30005 30006 63003 63024
fail not_on_whatsapp nobody: 21214 30003 63015 63032
fail invalid_request developers:
    11751 20001 20004 20404 20410 20412 20413 20422 20423 21205 21420 21602 21603 21604 21605 21609 21617 21618
    21619 21620 21623 21624 21626 21627 21652 21653 21658 21664 21665 21666 21667 21900 21901 21902 21910 30010
    30012 30013 30015 30016 30019 30029 30030 30031 30039 30045 30400 30404 30409 63005 63006 63011 63013 63019
    63021 63025 63026 63030 63034
fall-back window_closed nobody: 63016
fail template_not_approved authors: 21654 63029 63043 63044 63045 63047 63054 63055
fail template_not_approved authors missing: 21655 63027
fail template_not_approved authors rejected: 63040
wait template_not_approved authors paused: 63041
fail template_not_approved authors disabled: 63042
fail invalid_variables authors: 21656 63028
fail unknown_error nobody: 63046 63052
wait throttled nobody: 14107 20429 21611 30001 30022 63017 63057 63119
wait throttled operator: 30023 30027 30454 63018 63038
fail marketing_limit authors: 63049 63050
fail twilio_unavailable operator: 30046 30410 30453
retry twilio_unavailable nobody:
    20409 20500 20503 20504 30008 30017 30020 30021 30036 63009 63010 63012 63023 63037 63117
fail not_on_whatsapp operator: 21612
wait template_not_approved nobody: 63053
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


@pytest.mark.parametrize("code", [int(code) for code in SET_UP.split()])
def test_a_code_about_setting_up_is_waited_out(code: int) -> None:
    row = row_for(code, 400)
    assert (row.code, row.action, row.error, row.alert) == (code, Action.WAIT, "account_problem", Audience.OPERATOR)
    assert "does not know, about" in row.meaning


@pytest.mark.parametrize(
    ("status", "action", "error"),
    [
        (400, Action.FAIL, "unknown_error"),
        (404, Action.FAIL, "unknown_error"),
        (401, Action.WAIT, "account_problem"),
        (403, Action.WAIT, "account_problem"),
        (429, Action.WAIT, "throttled"),
    ],
)
def test_the_http_status_tells_whether_an_unknown_code_is_the_accounts(status: int, action: Action, error: str) -> None:
    row = row_for(69_999, status)
    assert (row.code, row.action, row.error, row.alert) == (69_999, action, error, Audience.OPERATOR)
    assert not row.suppress


def test_a_known_code_means_the_same_with_every_status() -> None:
    assert all(row_for(code, status) == ROWS[code] for code in ROWS for status in (None, 400, 401, 403, 429))


@pytest.mark.parametrize("code", [21408, 63035, 69_999])
def test_what_an_operator_can_mend_is_redriven(code: int) -> None:
    assert row_for(code).can_be_redriven


@pytest.mark.parametrize("code", [20003, 21211, 21612, 30410, 30046, 63016, 63046, 20404])
def test_what_waits_or_is_final_or_was_perhaps_sent_is_not_redriven(code: int) -> None:
    assert not row_for(code).can_be_redriven


def test_a_row_has_its_page_as_source() -> None:
    assert ROWS[21635].source == "https://www.twilio.com/docs/api/errors/21635"


@pytest.mark.parametrize(("code", "shown"), [(69_999, 69_999), (0, 0), (None, 0)])
def test_the_row_of_an_unknown_code(code: int | None, shown: int) -> None:
    assert row_for(code) == Row(
        shown, Action.FAIL, "unknown_error", "a code that this version does not know", Audience.OPERATOR
    )
    assert not row_for(code).retryable
