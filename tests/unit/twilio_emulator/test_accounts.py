"""The account: its type, its state and its balance, for its own credentials only."""

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tests.unit.twilio_emulator import shapes
from tests.unit.twilio_emulator.kit import ACCOUNT_SID, API_KEY, API_SECRET, Emulator


def test_account_says_what_it_is(emulator: Emulator, client: Client) -> None:
    account = client.api.v2010.accounts(ACCOUNT_SID).fetch()
    assert (account.type, account.status, account.owner_account_sid) == ("Full", "active", ACCOUNT_SID)
    shapes.check(emulator.call("GET", f"/api/2010-04-01/Accounts/{ACCOUNT_SID}.json").json(), shapes.ACCOUNT)
    emulator.control("configure", {"account_type": "Trial", "account_status": "suspended", "balance": "-1.50"})
    account = client.api.v2010.accounts(ACCOUNT_SID).fetch()
    assert (account.type, account.status) == ("Trial", "suspended")
    balance = client.api.v2010.accounts(ACCOUNT_SID).balance.fetch()
    assert (balance.balance, balance.currency) == ("-1.50", "USD")


def test_standard_key_does_not_see_the_account(emulator: Emulator) -> None:
    with pytest.raises(TwilioRestException) as failure:
        emulator.client(API_KEY, API_SECRET, ACCOUNT_SID).api.v2010.accounts(ACCOUNT_SID).fetch()
    assert (failure.value.status, failure.value.code) == (401, 20003)
