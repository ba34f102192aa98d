"""What an emulator holds, taken up by another one: `make run` after `make run`."""

from base64 import b64encode
from collections.abc import Iterator

import httpx
import pytest
from twilio.rest import Client

from local.twilio.server import running
from local.twilio.state import Account
from tests.unit.twilio_emulator.kit import ACCOUNT_SID, AUTH_TOKEN, PATIENT, SENDER, Door, Emulator, eventually

PNG = b"\x89PNG\r\n\x1a\n" + b"\xff" * 64


@pytest.fixture
def later() -> Iterator[Emulator]:
    """Another process's emulator, as new."""
    account = Account(ACCOUNT_SID, AUTH_TOKEN, [SENDER])
    with running(account) as server, httpx.Client(timeout=20, trust_env=False) as http:
        yield Emulator(server.url, account, http)


def hand_over(emulator: Emulator, later: Emulator) -> None:
    later.control("kept", emulator.control("kept"), "PUT")


def test_all_that_it_holds_is_the_same_later(emulator: Emulator, client: Client, later: Emulator) -> None:
    emulator.template(client)
    picture = {"content_type": "image/png", "base64": b64encode(PNG).decode()}
    sid = emulator.control("inbound", {"from": PATIENT, "profile_name": "Asha", "media": [picture]})["message_sid"]
    emulator.create_message(Body="Thank you")
    eventually(lambda: emulator.ledger()[-1]["status"] == "read")
    emulator.control("patients", {"address": PATIENT, "read_receipts": False, "joined_sandbox": True})
    emulator.control("faults", {"kind": "list_lag", "seconds": 3})
    emulator.control("clock", {"advance_seconds": 3600})
    emulator.control("configure", {"balance": "7.00", "secondary_token": "b" * 32})
    hand_over(emulator, later)
    before, after = emulator.control("state"), later.control("state")
    for state in (before, after):
        for moving in ("boot", "last_event_id", "whatsapp_now"):
            del state[moving]
        for fault in state["faults"]:
            del fault["id"]
    assert after == before
    medium = after["messages"][0]["media"][0]["sid"]
    assert after["messages"][0]["sid"] == sid
    assert later.http.get(f"{later.url}/_emulator/media/{medium}").content == PNG
    assert later.control("kept")["clock_offset"] == "PT1H"
    assert later.call("GET", f"/api/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{sid}.json").status_code == 200


def test_what_waits_for_a_phone_reaches_it_later(emulator: Emulator, door: Door, later: Emulator) -> None:
    emulator.open_window()
    emulator.create_message(Body="first", StatusCallback=f"{door.url}/status")
    eventually(lambda: door.heard("sent", "delivered", "read"))
    emulator.control("patients", {"address": PATIENT, "phone_on": False})
    emulator.create_message(Body="second", StatusCallback=f"{door.url}/status")
    eventually(lambda: door.heard("sent", "delivered", "read", "sent"))
    hand_over(emulator, later)
    later.control("patients", {"address": PATIENT, "phone_on": True})
    eventually(lambda: door.heard("sent", "delivered", "read", "sent", "delivered", "read"))
    assert [entry["status"] for entry in later.ledger()] == ["read", "read"]
    assert [entry["status"] for entry in emulator.ledger()] == ["read", "sent"]


def test_what_does_not_fit_changes_nothing(emulator: Emulator, later: Emulator) -> None:
    later.open_window()
    kept = emulator.control("kept")
    del kept["windows"]
    answer = later.http.put(f"{later.url}/_emulator/kept", json=kept)
    assert answer.status_code == 400
    assert later.control("state")["windows"][0]["address"] == PATIENT
