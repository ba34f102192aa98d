"""A test for every Twilio code in the emulator's table: its cause brings it about, where the table says."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from local.twilio.errors import CODES, FAULT_ONLY, TwilioCode
from tests.unit.twilio_emulator import shapes
from tests.unit.twilio_emulator.kit import FROM, MESSAGES, PATIENT, TO, Door, Emulator, eventually

SERVICE = "MG" + "3" * 32
UNKNOWN_CONTENT = "HX" + "0" * 32

refusals: dict[int, Callable[[Emulator, Client], httpx.Response]] = {}
failures: dict[int, Callable[[Emulator, Client, Door], dict[str, Any]]] = {}
"""What brings a failure about: it prepares, and returns the fields of the message to create."""


def refusal(code: int) -> Callable[[Callable[[Emulator, Client], httpx.Response]], None]:
    def register(cause: Callable[[Emulator, Client], httpx.Response]) -> None:
        refusals[code] = cause

    return register


def failure(code: int) -> Callable[[Callable[[Emulator, Client, Door], dict[str, Any]]], None]:
    def register(cause: Callable[[Emulator, Client, Door], dict[str, Any]]) -> None:
        failures[code] = cause

    return register


# What Twilio refuses in its answer

refusal(20001)(lambda emulator, _: emulator.call("POST", "/content/v1/Content", content=b"{no json"))
refusal(20003)(lambda emulator, _: emulator.call("GET", MESSAGES, auth=("AC" + "1" * 32, "wrong")))
refusal(20004)(lambda emulator, _: emulator.call("DELETE", MESSAGES))
refusal(20404)(lambda emulator, _: emulator.call("GET", MESSAGES.replace(".json", "/SM1.json")))
refusal(21211)(lambda emulator, _: emulator.create_message(To="whatsapp:+0123", Body="hi"))
refusal(21602)(lambda emulator, _: emulator.create_message())
refusal(21603)(lambda emulator, _: emulator.create_message(From=None, Body="hi"))
refusal(21604)(lambda emulator, _: emulator.create_message(To=None, Body="hi"))
refusal(21609)(lambda emulator, _: emulator.create_message(Body="hi", StatusCallback="https://my_host.example/x"))
refusal(21617)(lambda emulator, _: emulator.create_message(Body="x" * 1601))
refusal(21620)(lambda emulator, _: emulator.create_message(MediaUrl="ftp://host.example/x.png"))
refusal(21623)(lambda emulator, _: emulator.create_message(MediaUrl=["https://host.example/x.png"] * 11))
refusal(21654)(lambda emulator, _: emulator.create_message(Body="hi", ContentVariables="{}"))
refusal(21655)(lambda emulator, _: emulator.create_message(ContentSid=UNKNOWN_CONTENT))
refusal(21701)(lambda emulator, _: emulator.create_message(From=None, MessagingServiceSid=SERVICE, Body="hi"))
refusal(21910)(lambda emulator, _: emulator.create_message(To=PATIENT, Body="hi"))
refusal(63007)(lambda emulator, _: emulator.create_message(From="whatsapp:+14155550199", Body="hi"))
refusal(63100)(lambda emulator, _: emulator.call("POST", "/messaging/v2/Channels/Senders", json={}))
refusal(63031)(lambda emulator, _: emulator.create_message(To=FROM, Body="hi"))


@refusal(20429)
def _(emulator: Emulator, client: Client) -> httpx.Response:
    emulator.control("configure", {"messages_per_second": 1})
    emulator.open_window()
    assert emulator.create_message(Body="first").status_code == 201
    return emulator.create_message(Body="second")


@refusal(63038)
def _(emulator: Emulator, client: Client) -> httpx.Response:
    emulator.control("configure", {"messages_per_day": 1})
    emulator.open_window()
    assert emulator.create_message(Body="first").status_code == 201
    return emulator.create_message(Body="second")


@refusal(20500)
def _(emulator: Emulator, client: Client) -> httpx.Response:
    emulator.control("faults", {"kind": "http_500"})
    return emulator.create_message(Body="hi")


@refusal(20503)
def _(emulator: Emulator, client: Client) -> httpx.Response:
    emulator.control("faults", {"kind": "http_503"})
    return emulator.create_message(Body="hi")


@refusal(21610)
def _(emulator: Emulator, client: Client) -> httpx.Response:
    emulator.control("patients", {"address": PATIENT, "opted_out": True})
    return emulator.create_message(Body="hi")


@refusal(21656)
def _(emulator: Emulator, client: Client) -> httpx.Response:
    return emulator.create_message(ContentSid=emulator.template(client), ContentVariables='{"1": ""}')


@refusal(21658)
def _(emulator: Emulator, client: Client) -> httpx.Response:
    variables = json.dumps({"1": "x" * 1601})
    return emulator.create_message(ContentSid=emulator.template(client), ContentVariables=variables)


@refusal(21703)
def _(emulator: Emulator, client: Client) -> httpx.Response:
    emulator.control("configure", {"messaging_services": {SERVICE: []}})
    return emulator.create_message(From=None, MessagingServiceSid=SERVICE, Body="hi")


@refusal(35114)
def _(emulator: Emulator, client: Client) -> httpx.Response:
    emulator.control("configure", {"messaging_services": {SERVICE: ["+14155550100"]}})
    soon = (datetime.now(UTC) + timedelta(minutes=14)).isoformat()
    return emulator.create_message(From=None, MessagingServiceSid=SERVICE, Body="hi", ScheduleType="fixed", SendAt=soon)


# What fails later, by callback

failure(63016)(lambda emulator, client, door: {"Body": "hi"})


@failure(63003)
def _(emulator: Emulator, client: Client, door: Door) -> dict[str, Any]:
    emulator.control("configure", {"messages_to_scoped_ids": True})
    return {"To": "whatsapp:IN.13491208655302741918", "ContentSid": emulator.template(client)}


@failure(63013)
def _(emulator: Emulator, client: Client, door: Door) -> dict[str, Any]:
    return {"ContentSid": emulator.template(client), "ContentVariables": json.dumps({"1": "Asha\nRao"})}


@failure(63015)
def _(emulator: Emulator, client: Client, door: Door) -> dict[str, Any]:
    return {"From": "whatsapp:+14155238886", "ContentSid": emulator.template(client)}


@failure(63018)
def _(emulator: Emulator, client: Client, door: Door) -> dict[str, Any]:
    emulator.control("configure", {"new_conversations_per_day": 1})
    template = emulator.template(client)
    assert emulator.create_message(To="whatsapp:+919900000001", ContentSid=template).status_code == 201
    return {"ContentSid": template}


@failure(63019)
def _(emulator: Emulator, client: Client, door: Door) -> dict[str, Any]:
    emulator.open_window()
    door.media["/gone.png"] = (404, "text/plain", b"")
    return {"MediaUrl": f"{door.url}/gone.png"}


@failure(63021)
def _(emulator: Emulator, client: Client, door: Door) -> dict[str, Any]:
    emulator.open_window()
    door.media["/page.html"] = (200, "text/html", b"<p>")
    return {"MediaUrl": f"{door.url}/page.html"}


@failure(63034)
def _(emulator: Emulator, client: Client, door: Door) -> dict[str, Any]:
    emulator.open_window()
    door.media["/large.png"] = (200, "image/png", b"\0" * (5 * 1024 * 1024 + 1))
    return {"MediaUrl": f"{door.url}/large.png"}


@failure(63024)
def _(emulator: Emulator, client: Client, door: Door) -> dict[str, Any]:
    emulator.control("patients", {"address": PATIENT, "on_whatsapp": False})
    return {"ContentSid": emulator.template(client)}


@failure(63028)
def _(emulator: Emulator, client: Client, door: Door) -> dict[str, Any]:
    emulator.open_window()
    content = emulator.content(client, variables={})
    return {"ContentSid": content}


@failure(63040)
def _(emulator: Emulator, client: Client, door: Door) -> dict[str, Any]:
    return {"ContentSid": reviewed(emulator, client, "rejected")}


@failure(63041)
def _(emulator: Emulator, client: Client, door: Door) -> dict[str, Any]:
    return {"ContentSid": reviewed(emulator, client, "paused")}


@failure(63042)
def _(emulator: Emulator, client: Client, door: Door) -> dict[str, Any]:
    return {"ContentSid": reviewed(emulator, client, "disabled")}


@failure(63049)
def _(emulator: Emulator, client: Client, door: Door) -> dict[str, Any]:
    emulator.control("configure", {"marketing_per_day": 1})
    template = emulator.template(client, category="MARKETING")
    sid = client.messages.create(to=TO, from_=FROM, content_sid=template).sid
    eventually(lambda: client.messages(sid).fetch().status == "read")
    return {"ContentSid": template}


def reviewed(emulator: Emulator, client: Client, status: str) -> str:
    template = emulator.template(client)
    emulator.control(f"templates/{template}/review", {"status": status, "reason": "INVALID_FORMAT"})
    return template


# What Twilio's Debugger shows about the answer to an inbound message; None: nobody answers

answers: dict[int, tuple[int, str, str] | None] = {
    11200: (500, "text/plain", ""),
    11205: None,
    11750: (200, "text/xml", f"<Response>{' ' * 65_536}</Response>"),
    12100: (200, "text/xml", "<Response>"),
    12200: (200, "text/xml", "<Answer/>"),
    12300: (200, "application/json", "{}"),
}


def test_every_code_of_the_table_has_its_cause_here() -> None:
    ruled = {code for code, row in CODES.items() if row.cause != FAULT_ONLY}
    assert {*refusals, *failures, *answers} == ruled
    assert {code for code, row in CODES.items() if row.outcome == "debugger"} == set(answers)
    assert all(CODES[code].refuses for code in refusals)
    assert not any(CODES[code].refuses for code in failures)


@pytest.mark.parametrize("code", refusals)
def test_refusal_arrives_in_the_answer_and_nothing_is_accepted(emulator: Emulator, client: Client, code: int) -> None:
    answer = refusals[code](emulator, client)
    assert (answer.status_code, answer.json()["code"]) == (CODES[code].outcome, code)
    shapes.check(answer.json(), shapes.ERROR)
    assert answer.json()["status"] == answer.status_code
    assert len(emulator.ledger()) == (1 if code in (20429, 63038) else 0)


@pytest.mark.parametrize("code", failures)
def test_failure_arrives_by_callback_after_acceptance(
    emulator: Emulator, client: Client, door: Door, code: int
) -> None:
    fields = failures[code](emulator, client, door)
    answer = emulator.create_message(**fields, StatusCallback=f"{door.url}/status")
    assert answer.status_code == 201, answer.text
    assert answer.json()["error_code"] is None
    final = str(CODES[code].outcome)
    expected = [final] if final == "failed" else ["sent", final]
    eventually(lambda: door.heard(*expected))
    form = door.callback(final).form
    assert (form["ErrorCode"], form["ErrorMessage"]) == (str(code), "")
    message = client.messages(answer.json()["sid"]).fetch()
    assert (message.status, message.error_code) == (final, code)


@pytest.mark.parametrize("code", answers)
def test_debugger_shows_what_was_wrong_with_an_answer(emulator: Emulator, door: Door, code: int) -> None:
    answer = answers[code]
    emulator.control("configure", {"inbound_url": door.url if answer else "http://127.0.0.1:9#rc=0"})
    door.answers = [answer] if answer else []
    sid = emulator.control("inbound", {"from": PATIENT, "body": "hi"})["message_sid"]
    assert [(warning["code"], warning["sid"]) for warning in emulator.control("state")["warnings"]] == [(code, sid)]


FAULT_ONLY_ROWS = [row for row in CODES.values() if row.cause == FAULT_ONLY]


@pytest.mark.parametrize("row", FAULT_ONLY_ROWS, ids=lambda row: str(row.code))
def test_code_without_a_rule_comes_by_fault(emulator: Emulator, client: Client, door: Door, row: TwilioCode) -> None:
    emulator.control("faults", {"kind": "error" if row.refuses else "status_failed", "code": row.code})
    template = emulator.template(client)
    if row.refuses:
        with pytest.raises(TwilioRestException) as refused:
            client.messages.create(to=TO, from_=FROM, content_sid=template)
        assert (refused.value.status, refused.value.code) == (row.outcome, row.code)
        assert emulator.ledger() == []
    else:
        client.messages.create(to=TO, from_=FROM, content_sid=template, status_callback=door.url)
        eventually(lambda: row.outcome in door.statuses())
        assert door.callback(str(row.outcome)).form["ErrorCode"] == str(row.code)


def test_code_that_no_table_knows_can_be_named_too(emulator: Emulator, client: Client) -> None:
    emulator.control("faults", {"kind": "error", "code": 99999})
    with pytest.raises(TwilioRestException) as refused:
        client.messages.create(to=TO, from_=FROM, body="hi")
    assert (refused.value.status, refused.value.code) == (400, 99999)
