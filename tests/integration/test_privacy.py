"""Canaries: names, numbers and texts go in through every door, well and badly. None may sing in a log or an alert."""

import json
from urllib.parse import quote, urlencode

import pytest
from whatsapp.testing import sign

from tests.product import REMINDER, VARIABLES, Product, eventually

NUMBER = "+919876501234"
FAILING = "+919876501235"
IN_DOUBT = "+919876501236"
NAME = "Zebulon Quartzfield"
TEXT = "my canary sings of dragonfruit"
CANARIES = ("98765012", "98765 012", "zebulon", "quartzfield", "dragonfruit", quote(NAME).lower())
ASK = {**REMINDER, "variables": {**VARIABLES, "patient_name": NAME}}


@pytest.fixture(scope="module")
def said(product: Product) -> dict[str, str]:
    """All that the functions wrote to logs (metrics are in them), to the alert topic and to the dead-letter queue."""
    send_well(product)
    send_badly(product)
    receive(product)
    failed = product.send(to=FAILING, **ASK, idempotency_key="canary-failed")
    eventually(lambda: product.alerts(failed["message_id"]))
    eventually(lambda: any("invalid_request" in letter for letter in product.dead_letters()))
    logs = product.stack.aws("logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    pages = {group: logs.get_paginator("filter_log_events").paginate(logGroupName=group) for group in groups}
    lines = {g: "\n".join(e["message"] for page in found for e in page["events"]) for g, found in pages.items()}
    letters = "\n".join(letter for letter in product.dead_letters() if "poison" not in json.loads(letter))
    return {**lines, "alerts": json.dumps(product.topic.messages(), ensure_ascii=False), "dead letters": letters}


def send_well(product: Product) -> None:
    sent = product.send(to=NUMBER, **ASK, idempotency_key="canary-sent")
    product.when(sent["message_id"], "read")
    product.send(to="98765 01234", **ASK, idempotency_key="canary-deferred")
    product.api("POST", "/messages", {"to": NUMBER, **ASK, "idempotency_key": "canary-http"})
    product.api("PUT", "/contacts", {"address": NUMBER, "user_id": "user-1"})
    product.api("POST", "/contacts/lookup", {"address": NUMBER})
    product.api("GET", f"/contacts/{sent['contact_id']}/conversation")
    exported = product.api("GET", f"/contacts/{sent['contact_id']}/export").json()
    assert sent["message_id"] in [message["message_id"] for message in exported["messages"]]
    assert [row["address"] for row in exported["contact"]] == [NUMBER]
    product.sweep()


def send_badly(product: Product) -> None:
    for more in (
        {"to": f"{NUMBER}9999999999999"},
        {"to": NAME},
        {"template": "none", "user_id": NAME},
        {"variables": {"patient_name": NAME}},
        {"variables": {**VARIABLES, "session_time": TEXT}},
        {"language": "fr"},
        {"agent": NAME},
        {"expires_at": TEXT},
        {"text": TEXT},
    ):
        request = {"to": NUMBER, **ASK, **more}
        product.send(**request)
        product.api("POST", "/messages", request)
        product.enqueue(request)
    product.enqueue(f'{{"to": "{NUMBER}", "text": "{TEXT}"')
    product.http.post(
        f"{product.stack.api_url}/messages",
        content=f'{{"to": "{NUMBER}", "text": "{TEXT}"'.encode(),
        headers={"Authorization": "signed", "Content-Type": "application/json"},
    )
    product.fault("error", FAILING, code=63012, times=3)
    for kind in ("accept_then_500", "truncate", "http_503", "http_429"):
        product.fault(kind, IN_DOUBT)
    product.send(to=IN_DOUBT, **ASK)


def receive(product: Product) -> None:
    product.twilio("patients", {"address": NUMBER, "profile_name": NAME})
    product.write(NUMBER, TEXT, params={"Latitude": "12.9", "Longitude": "77.5", "Label": TEXT})
    product.write(NUMBER, TEXT, button={"text": TEXT, "payload": f"agent:mood:{TEXT}"})
    product.write(NUMBER, "STOP")
    product.send(to=NUMBER, **ASK)
    product.write(NUMBER, "START")
    url = f"{product.stack.api_url}/twilio/inbound"
    form = {"AccountSid": product.stack.account_sid, "From": f"whatsapp:{NUMBER}", "Body": TEXT, "ProfileName": NAME}
    for signature in ("forged", sign(product.stack.auth_token, url, form)):
        headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature}
        assert product.http.post(url, content=urlencode(form), headers=headers).status_code == 403


def test_there_is_something_to_look_at(said: dict[str, str]) -> None:
    assert "received" in said["/aws/lambda/whatsapp-webhook"]
    assert "forbidden" in said["/aws/lambda/whatsapp-webhook"]
    assert "refused" in said["/aws/lambda/whatsapp-send"]
    assert "twilio_unavailable" in said["alerts"]
    assert "twilio_unavailable" in said["dead letters"]


@pytest.mark.parametrize("canary", CANARIES)
def test_nothing_personal_is_said(said: dict[str, str], canary: str) -> None:
    hits = {
        where: [line for line in text.lower().splitlines() if canary in line.replace("\\u00a0", " ")]
        for where, text in said.items()
    }
    assert {where: lines[:3] for where, lines in hits.items() if lines} == {}
