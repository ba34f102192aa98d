"""Status callbacks: their signature, their form, and the connection overrides in the URL's fragment."""

import socket
import time

import pytest
from twilio.request_validator import RequestValidator, get_signature_algorithm
from twilio.rest import Client
from whatsapp.testing import sign

from local.twilio.callbacks import Overrides
from tests.unit.twilio_emulator.kit import (
    AUTH_TOKEN,
    FROM,
    PATIENT,
    TO,
    Door,
    Emulator,
    eventually,
)


def test_signature_has_the_known_answer() -> None:
    """Known answer of the algorithm, as Twilio's helper libraries test it."""
    params = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675310",
        "Digits": "1234",
        "From": "+14158675310",
        "To": "+18005551212",
    }
    assert sign("12345", "https://example.com/myapp.php?foo=1&bar=2", params) == "L/OH5YylLD5NRKLltdqwSvS0BnU="


@pytest.mark.parametrize("path", ["/status", "/status?order=b&order=a", "/status/", "/st%20atus"])
def test_signature_passes_twilios_validator(emulator: Emulator, client: Client, door: Door, path: str) -> None:
    url = door.url + path
    client.messages.create(
        to=TO, from_=FROM, content_sid=emulator.template(client), status_callback=f"{url}#rc=2&rp=5xx"
    )
    eventually(lambda: len(door.received) == 3)
    for request in door.received:
        signature = request.headers["X-Twilio-Signature"]
        assert RequestValidator(AUTH_TOKEN).validate(url, request.form, signature)
        assert not RequestValidator("b" * 32).validate(url, request.form, signature)
        assert not RequestValidator(AUTH_TOKEN).validate(url, request.form | {"MessageStatus": "x"}, signature)


def test_signature_of_a_shared_key_passes_twilios_validator(emulator: Emulator, client: Client, door: Door) -> None:
    emulator.control("configure", {"shared_key": {"id": "webhooks_sharedkey_1", "secret": "s" * 32}})
    try:
        client.messages.create(
            to=TO, from_=FROM, content_sid=emulator.template(client), status_callback=door.url + "/status"
        )
        eventually(lambda: len(door.received) == 3)
    finally:
        emulator.control("configure", {"shared_key": None})
    for request in door.received:
        settings = request.headers["X-Twilio-Webhooks-Signature-Settings"]
        assert settings == "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
        signed = (door.url + "/status", request.form, request.headers["X-Twilio-Signature"])
        assert RequestValidator("s" * 32).validate(*signed, get_signature_algorithm(settings))
        assert not RequestValidator(AUTH_TOKEN).validate(*signed)


def test_callback_looks_like_a_captured_one(emulator: Emulator, client: Client, door: Door) -> None:
    message = client.messages.create(to=TO, from_=FROM, content_sid=emulator.template(client), status_callback=door.url)
    eventually(lambda: len(door.received) == 3)
    sent, delivered, read = (door.callback(status).form for status in ("sent", "delivered", "read"))
    common = {
        "MessageSid": message.sid,
        "SmsSid": message.sid,
        "AccountSid": message.account_sid,
        "From": FROM,
        "To": TO,
        "ApiVersion": "2010-04-01",
        "ChannelPrefix": "whatsapp",
        "ChannelToAddress": f"{PATIENT[:-4]}XXXX",
        "StructuredMessage": "false",
    }
    installed = {"ChannelInstallSid": emulator.account.senders[FROM.removeprefix("whatsapp:")].sid}
    assert sent == common | installed | {"MessageStatus": "sent", "SmsStatus": "sent"}
    assert delivered == common | installed | {
        "MessageStatus": "delivered",
        "SmsStatus": "delivered",
        "EventType": "DELIVERED",
    }
    assert read == common | {"MessageStatus": "read", "SmsStatus": "read", "EventType": "READ"}
    headers = door.received[0].headers
    assert headers["User-Agent"] == "TwilioProxy/1.1"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert headers["X-Home-Region"] == "us1"
    tokens = {request.headers["I-Twilio-Idempotency-Token"] for request in door.received}
    assert len(tokens) == 3


def test_state_remembers_every_attempt_and_its_answer(emulator: Emulator, client: Client, door: Door) -> None:
    door.answers = [(500, "text/plain", "boom")]
    client.messages.create(to=TO, from_=FROM, content_sid=emulator.template(client), status_callback=door.url)
    eventually(lambda: len(emulator.control("state")["messages"][0]["callbacks"]) == 3)
    callbacks = emulator.control("state")["messages"][0]["callbacks"]
    assert sorted(each["status"] for each in callbacks) == ["delivered", "read", "sent"]
    assert sorted(each["http_status"] for each in callbacks) == [204, 204, 500]


def test_error_answer_is_not_retried_by_default(emulator: Emulator, client: Client, door: Door) -> None:
    door.answers = [(503, "text/plain", "")] * 3
    client.messages.create(to=TO, from_=FROM, content_sid=emulator.template(client), status_callback=door.url)
    eventually(lambda: len(door.received) == 3)
    assert door.heard("sent", "delivered", "read")


def test_override_retries_an_error_answer_with_the_same_token(emulator: Emulator, client: Client, door: Door) -> None:
    emulator.control("patients", {"address": PATIENT, "blocked": True})
    door.answers = [(500, "text/plain", ""), (502, "text/plain", "")]
    client.messages.create(
        to=TO, from_=FROM, content_sid=emulator.template(client), status_callback=f"{door.url}/s#rc=3&rp=5xx"
    )
    eventually(lambda: len(door.received) == 3)
    assert door.heard("sent", "sent", "sent")
    assert len({request.headers["I-Twilio-Idempotency-Token"] for request in door.received}) == 1


def test_refused_connection_is_tried_twice_by_default(emulator: Emulator, client: Client) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        emulator.control("patients", {"address": PATIENT, "blocked": True})
        client.messages.create(to=TO, from_=FROM, content_sid=emulator.template(client), status_callback=url)
        callbacks = eventually(lambda: emulator.control("state")["messages"][0]["callbacks"])
    assert [each["error"] for each in callbacks] == ["ct", "ct"]


def test_slow_answer_is_given_up_after_the_read_timeout(emulator: Emulator, client: Client, door: Door) -> None:
    emulator.control("patients", {"address": PATIENT, "blocked": True})
    door.delay = 1.0
    client.messages.create(
        to=TO, from_=FROM, content_sid=emulator.template(client), status_callback=f"{door.url}#rt=150"
    )
    callbacks = eventually(lambda: emulator.control("state")["messages"][0]["callbacks"])
    assert [each["error"] for each in callbacks] == ["rt"]
    assert callbacks[0]["ms"] < 900


def test_total_time_ends_the_retries(emulator: Emulator, client: Client, door: Door) -> None:
    emulator.control("patients", {"address": PATIENT, "blocked": True})
    door.delay = 0.3
    door.answers = [(500, "text/plain", "")] * 6
    start = time.monotonic()
    client.messages.create(
        to=TO, from_=FROM, content_sid=emulator.template(client), status_callback=f"{door.url}#rc=5&rp=all&tt=500"
    )
    callbacks = eventually(lambda: emulator.control("state")["messages"][0]["callbacks"])
    assert len(callbacks) == 2
    assert time.monotonic() - start < 1.5


@pytest.mark.parametrize(
    ("fragment", "overrides"),
    [
        ("", Overrides()),
        ("rc=3&rp=ct,rt,5xx&ct=2000&rt=4000", Overrides(2000, 4000, 15000, 3, frozenset({"ct", "rt", "5xx"}))),
        ("rc=9&ct=1&rt=99999&tt=99999", Overrides(100, 15000, 15000, 5)),
        ("rc=many&e=singapore", Overrides()),
    ],
)
def test_overrides_stay_in_their_ranges(fragment: str, overrides: Overrides) -> None:
    assert Overrides.of(fragment) == overrides


def test_sender_webhook_gets_callbacks_of_messages_without_one(emulator: Emulator, client: Client, door: Door) -> None:
    sender = emulator.account.senders[FROM.removeprefix("whatsapp:")]
    body = {"webhook": {"status_callback_url": f"{door.url}/default"}}
    emulator.call("POST", f"/messaging/v2/Channels/Senders/{sender.sid}", json=body)
    client.messages.create(to=TO, from_=FROM, content_sid=emulator.template(client))
    eventually(lambda: door.heard("sent", "delivered", "read"))
    assert {request.path for request in door.received} == {"/default"}
