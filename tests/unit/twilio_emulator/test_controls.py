"""The controls that a test or the phone page turns."""

import json
from typing import Any

import httpx
import pytest
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from tests.unit.twilio_emulator.kit import ACCOUNT_SID, FROM, MESSAGES, PATIENT, SENDER, TO, Door, Emulator


def test_ledger_entry_has_what_the_contract_says(emulator: Emulator, client: Client) -> None:
    template = emulator.template(client)
    sent = client.messages.create(
        to=TO, from_=FROM, content_sid=template, content_variables='{"1": "x"}', status_callback="http://127.0.0.1:9"
    )
    [entry] = emulator.ledger()
    created = sent.date_created.timestamp() * 1000
    assert created <= entry.pop("accepted_at") < created + 1000
    assert entry.pop("status") in ("queued", "sent", "delivered", "read")
    assert entry == {
        "sid": sent.sid,
        "direction": "outbound-api",
        "to": TO,
        "from": FROM,
        "body": "",
        "content_sid": template,
        "content_variables": '{"1": "x"}',
        "status_callback": "http://127.0.0.1:9",
    }


def test_ledger_is_in_order_of_acceptance(emulator: Emulator, client: Client) -> None:
    emulator.open_window()
    for number in range(5):
        client.messages.create(to=TO, from_=FROM, body=str(number))
    entries = emulator.ledger()
    assert [entry["body"] for entry in entries] == list("01234")
    assert [entry["accepted_at"] for entry in entries] == sorted(entry["accepted_at"] for entry in entries)


def test_patient_keeps_the_switches_not_named(emulator: Emulator) -> None:
    emulator.control("patients", {"address": f"whatsapp:{PATIENT}", "blocked": True, "profile_name": "Asha"})
    patient = emulator.control("patients", {"address": PATIENT, "on_whatsapp": False})
    assert patient == {
        "address": PATIENT,
        "profile_name": "Asha",
        "external_user_id": None,
        "on_whatsapp": False,
        "blocked": True,
        "phone_on": True,
        "read_receipts": True,
        "opted_out": False,
        "joined_sandbox": None,
    }
    assert emulator.control("state")["patients"] == [patient]


def test_reset_forgets_what_happened_but_not_the_set_up(emulator: Emulator, client: Client, door: Door) -> None:
    emulator.open_window()
    template = emulator.template(client)
    emulator.control("configure", {"inbound_url": f"{door.url}/x", "status_delays_ms": {"sent": 300}})
    emulator.control("faults", {"kind": "http_500", "times": 9, "match": {"to": "+1"}})
    client.messages.create(to=TO, from_=FROM, body="hi", status_callback=door.url)
    emulator.control("reset", method="POST")
    state = emulator.control("state")
    for name in ("messages", "patients", "windows", "faults", "media_requests", "warnings"):
        assert state[name] == [], name
    assert state["settings"]["status_delays_ms"]["sent"] != 300
    assert [each["sid"] for each in state["templates"]] == [template]
    assert emulator.control("inbound", {"from": PATIENT, "body": "hi"})["http_status"] == 204
    assert door.statuses() == []


def test_reset_of_all_forgets_the_set_up_too(emulator: Emulator, client: Client, door: Door) -> None:
    emulator.template(client)
    emulator.control("configure", {"inbound_url": f"{door.url}/x"})
    emulator.control("reset", {"all": True})
    state = emulator.control("state")
    assert (state["templates"], state["senders"][0]["webhook"]) == ([], {})
    assert emulator.control("inbound", {"from": PATIENT, "body": "hi"})["error"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("configure", {"gravity": 9.81}, 400),
        ("patients", {"address": PATIENT, "mood": "good"}, 400),
        ("patients", {}, 400),
        ("window", {"address": PATIENT}, 400),
        ("templates/HX0/review", {"status": "approved"}, 404),
        ("clock", {"advance_seconds": "soon"}, 400),
        ("clock", {"advance_seconds": 1e15}, 400),
        ("clock", [], 400),
        ("configure", [], 400),
        ("faults", [], 400),
        ("faults", {"kind": "http_500", "match": "x"}, 400),
        ("inbound", 5, 400),
        ("inbound", {"from": PATIENT, "button": "Yes"}, 400),
        ("patients", None, 400),
        ("reset", [], 400),
    ],
)
def test_impossible_control_says_so(emulator: Emulator, path: str, body: Any, status: int) -> None:
    answer = emulator.http.post(f"{emulator.url}/_emulator/{path}", json=body)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_control_that_is_no_json_says_so(emulator: Emulator) -> None:
    answer = emulator.http.post(f"{emulator.url}/_emulator/window", content=b"{")
    assert answer.status_code == 400


def test_unsubmitted_template_cannot_be_reviewed(emulator: Emulator, client: Client) -> None:
    sid = emulator.content(client)
    answer = emulator.http.post(f"{emulator.url}/_emulator/templates/{sid}/review", json={"status": "approved"})
    assert answer.status_code == 400


def test_inbound_url_is_set_for_every_sender(emulator: Emulator, door: Door) -> None:
    emulator.control("configure", {"inbound_url": f"{door.url}/inbound"})
    webhooks = [sender["webhook"]["callback_url"] for sender in emulator.control("state")["senders"]]
    assert webhooks == [f"{door.url}/inbound"] * 2
    assert emulator.control("state")["senders"][0]["address"] == SENDER


def test_other_host_names_are_refused(emulator: Emulator) -> None:
    answer = emulator.http.get(f"{emulator.url}/_emulator/ledger", headers={"Host": "evil.example"})
    assert answer.status_code == 400


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_another_sites_page_is_refused(emulator: Emulator, origin: str) -> None:
    headers = {"Origin": origin, "Content-Type": "text/plain"}
    body = json.dumps({"from": PATIENT, "body": "hi"})
    answer = emulator.http.post(f"{emulator.url}/_emulator/inbound", content=body, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["error"]
    assert emulator.ledger() == []


def test_a_page_of_the_emulators_own_origin_is_served(emulator: Emulator) -> None:
    answer = emulator.http.get(f"{emulator.url}/_emulator/ledger", headers={"Origin": emulator.url})
    assert answer.status_code == 200


def test_reader_of_the_stream_needs_no_credentials_but_twilios_api_does(emulator: Emulator) -> None:
    assert httpx.get(f"{emulator.url}/_emulator/ledger", trust_env=False).status_code == 200
    assert httpx.get(f"{emulator.url}/content/v1/Content", trust_env=False).status_code == 401


def test_a_token_is_rotated(emulator: Emulator, door: Door) -> None:
    """The API takes the secondary token beside the primary one; webhooks are signed by the primary."""
    old, new = emulator.account.auth_token, "n" * 32

    def statuses() -> list[int]:
        return [emulator.call("GET", MESSAGES, auth=(ACCOUNT_SID, token)).status_code for token in (old, new)]

    def signed_by_new() -> bool:
        emulator.control("inbound", {"from": PATIENT, "body": "hello"})
        received = door.received[-1]
        signature = received.headers["X-Twilio-Signature"]
        return bool(RequestValidator(new).validate(door.url + received.path, received.form, signature))

    try:
        emulator.control("configure", {"inbound_url": f"{door.url}/in"})
        assert (statuses(), signed_by_new()) == ([200, 401], False)
        emulator.control("configure", {"secondary_token": new})
        assert (statuses(), signed_by_new()) == ([200, 200], False)
        emulator.control("configure", {"auth_token": new, "secondary_token": None})
        assert (statuses(), signed_by_new()) == ([401, 200], True)
    finally:
        emulator.control("configure", {"auth_token": old, "secondary_token": None})
