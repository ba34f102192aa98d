"""The three doors of send and the door of Twilio, over real HTTP, on the embedded stack."""

import json
import time
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from whatsapp.client import message_id_of
from whatsapp.testing import sign

from tests.product import REMINDER, VARIABLES, Product, eventually

SID = "SM" + "0f" * 16
FORM = "application/x-www-form-urlencoded; charset=utf-8"


# --- one contract, three doors -----------------------------------------------------------------------------------


def through_lambda(product: Product, request: dict[str, Any]) -> dict[str, Any]:
    return product.send(**request)


def through_http(product: Product, request: dict[str, Any]) -> dict[str, Any]:
    answer = product.api("POST", "/messages", request)
    return {**answer.json(), "http": answer.status_code}


@pytest.mark.parametrize("door", [through_lambda, through_http])
def test_sent_once_and_the_same_request_again_is_a_duplicate(product: Product, patient: str, door: Any) -> None:
    request = {"to": patient, **REMINDER, "idempotency_key": f"once-{patient}", "user_id": "user-42"}
    first, second = door(product, request), door(product, request)
    assert (first["status"], first["duplicate"]) == ("sent", False)
    assert (second["message_id"], second["duplicate"]) == (first["message_id"], True)
    assert [m["sid"] for m in product.ledger(patient)] == [first["twilio_sid"]]
    assert product.when(first["message_id"], "read")["twilio_sid"] == first["twilio_sid"]
    if "http" in first:
        assert (first["http"], second["http"]) == (200, 200)


def test_queue_sends_once_however_often_it_delivers(product: Product, patient: str) -> None:
    request = {"to": patient, **REMINDER, "idempotency_key": f"queued-{patient}"}
    for _ in range(3):
        product.enqueue(request)
    eventually(lambda: product.ledger(patient))
    message_id = product.send(**request)["message_id"]
    product.when(message_id, "read")
    assert len(product.ledger(patient)) == 1


def test_one_key_is_one_message_through_every_door(product: Product, patient: str) -> None:
    request = {"to": patient, **REMINDER, "idempotency_key": f"doors-{patient}"}
    first = product.send(**request)
    assert product.api("POST", "/messages", request).json()["message_id"] == first["message_id"]
    product.enqueue(request)
    product.when(first["message_id"], "read")
    assert len(product.ledger(patient)) == 1


def test_same_key_for_another_request_is_a_conflict(product: Product, patient: str) -> None:
    product.remind(patient, idempotency_key=f"key-{patient}")
    stranger = product.new_patient()
    other = {"to": stranger, **REMINDER, "idempotency_key": f"key-{patient}"}
    answer = product.api("POST", "/messages", other)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert product.ledger(stranger) == []


def test_without_keys_two_calls_are_two_messages(product: Product, patient: str) -> None:
    first, second = product.remind(patient), product.remind(patient)
    assert first["message_id"] != second["message_id"]
    assert (first["status"], second["status"]) == ("sent", "deferred")


# --- the hourly limit --------------------------------------------------------------------------------------------


def test_second_within_the_hour_is_deferred_and_says_until_when(product: Product, patient: str) -> None:
    product.remind(patient)
    answer = product.api("POST", "/messages", {"to": patient, **REMINDER})
    body = answer.json()
    assert (answer.status_code, body["status"], body["error"]["code"]) == (202, "deferred", "rate_limited")
    assert body["scheduled_for"].endswith("+05:30")
    assert not body["will_expire"]
    (event,) = eventually(lambda: product.events(message_id=body["message_id"], status="deferred"))
    assert event["detail"]["scheduled_for"] == body["scheduled_for"]
    assert len(product.ledger(patient)) == 1


def test_deferred_past_its_expiry_says_so(product: Product, patient: str) -> None:
    product.remind(patient)
    soon = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 1200))
    answer = product.remind(patient, expires_at=soon)
    assert (answer["status"], answer["will_expire"]) == ("deferred", True)


def test_who_rejects_rather_than_waits_gets_429_and_keeps_the_key(product: Product, patient: str) -> None:
    product.remind(patient)
    request = {"to": patient, **REMINDER, "idempotency_key": f"reject-{patient}", "on_rate_limit": "reject"}
    answer = product.api("POST", "/messages", request)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limited")
    assert answer.json()["message_id"] is None
    assert product.send(**{**request, "on_rate_limit": "defer"})["status"] == "deferred"


def test_reply_is_not_under_the_limit(product: Product, patient: str) -> None:
    product.remind(patient)
    inbound = product.write(patient, "Can I come later?")
    replies = [product.send(to=patient, text=f"Answer {n}", in_reply_to=inbound["message_sid"]) for n in range(3)]
    assert [r["status"] for r in replies] == ["sent"] * 3
    fourth = product.send(to=patient, text="Answer 4", in_reply_to=inbound["message_sid"])
    assert fourth["status"] == "deferred", "three replies are allowed; the next is proactive, and its hour is not over"


# --- cancel, contacts, conversation ------------------------------------------------------------------------------


def test_called_off_in_time(product: Product, patient: str) -> None:
    product.remind(patient)
    waiting = product.remind(patient, idempotency_key=f"off-{patient}")
    answer = product.api("DELETE", f"/messages/{waiting['message_id']}")
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert product.remind(patient, idempotency_key=f"off-{patient}")["status"] == "canceled"


def test_called_off_before_it_was_ever_seen(product: Product, patient: str) -> None:
    answer = product.api("DELETE", f"/messages/{message_id_of(f'early-{patient}')}")
    assert answer.status_code == 200
    assert product.remind(patient, idempotency_key=f"early-{patient}")["status"] == "canceled"
    assert product.ledger(patient) == []


def test_called_off_too_late(product: Product, patient: str) -> None:
    sent = product.remind(patient)
    answer = product.api("DELETE", f"/messages/{sent['message_id']}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "too_late_to_cancel")


def test_conversation_in_order_both_ways(product: Product, patient: str) -> None:
    sent = product.remind(patient, user_id="user-42")
    inbound = product.write(patient, "Thanks!")
    product.send(to=patient, text="See you", in_reply_to=inbound["message_sid"])
    found = product.api("POST", "/contacts/lookup", {"address": patient}).json()
    assert found == {"contact_id": sent["contact_id"], "known": True}
    page = product.api("GET", f"/contacts/{sent['contact_id']}/conversation").json()
    assert [(m["direction"], m.get("text", "")[:6]) for m in page["messages"]] == [
        ("outbound", "Hello "),
        ("inbound", "Thanks"),
        ("outbound", "See yo"),
    ]
    newest = product.api("GET", f"/contacts/{sent['contact_id']}/conversation?limit=1").json()
    assert [m["text"] for m in newest["messages"]] == ["See you"]
    older = product.api("GET", f"/contacts/{sent['contact_id']}/conversation?before={newest['next_before']}").json()
    assert [m["direction"] for m in older["messages"]] == ["outbound", "inbound"]


def test_contact_known_before_the_first_message(product: Product, patient: str) -> None:
    who = {"address": patient, "user_id": "user-77", "language": "hi", "agent": "mood"}
    contact_id = product.api("PUT", "/contacts", who).json()["contact_id"]
    sent = product.remind(patient)
    assert sent["contact_id"] == contact_id
    assert "नमस्ते" in product.api("GET", f"/contacts/{contact_id}/conversation").json()["messages"][0]["text"]
    (event,) = eventually(lambda: product.events(message_id=sent["message_id"], status="sent"))
    assert event["detail"]["user_id"] == "user-77"


def test_while_sending_is_held_everything_waits(product: Product, patient: str) -> None:
    held = product.api("PUT", "/hold")
    try:
        waits = product.api("POST", "/messages", {"to": patient, **REMINDER, "idempotency_key": f"held-{patient}"})
    finally:
        released = product.api("DELETE", "/hold")
    assert (held.status_code, held.json()["held"], released.json()) == (200, True, {"held": False})
    assert (waits.status_code, waits.json()["status"]) == (202, "deferred")
    assert waits.json()["error"]["code"] == "sender_paused"
    assert product.ledger(patient) == []
    assert product.remind(patient)["status"] == "sent"


# --- what cannot be ----------------------------------------------------------------------------------------------


def test_broken_json_is_400(product: Product) -> None:
    answer = product.http.post(
        f"{product.stack.api_url}/messages",
        content=b'{"to": ',
        headers={"Authorization": "signed", "Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("body", [[], "text", 7, None])
def test_json_that_is_no_object_is_400(product: Product, body: Any) -> None:
    answer = product.http.post(f"{product.stack.api_url}/messages", json=body, headers={"Authorization": "signed"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/messages/none", 404),
        ("GET", "/nowhere", 404),
        ("PATCH", "/messages", 404),
        ("GET", "/contacts/none/conversation", 404),
        ("GET", "/contacts/none/conversation?limit=many", 400),
    ],
)
def test_unknown_is_4xx(product: Product, method: str, path: str, status: int) -> None:
    assert product.api(method, path).status_code == status


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"to": "12"}, "invalid_address"),
        ({"to": "+91 98123"}, "invalid_address"),
        ({"template": "nothing_of_ours"}, "unknown_template"),
        ({"variables": {"patient_name": "Asha"}}, "invalid_variables"),
        ({"variables": {**VARIABLES, "shoe_size": "42"}}, "invalid_variables"),
        ({"language": "fr"}, "unknown_language"),
        ({"text": "and a text too"}, "invalid_request"),
        ({"expires_at": "2020-01-01T00:00:00+05:30"}, "expired"),
        ({"expires_at": "2027-01-01T00:00:00"}, "invalid_request"),
        ({"variables": {**VARIABLES, "session_time": "2020-01-01T00:00:00+05:30"}}, "too_late"),
        ({"on_rate_limit": "hope"}, "invalid_request"),
    ],
)
def test_refusals_store_nothing_and_leave_the_key_free(
    product: Product, patient: str, more: dict[str, Any], code: str
) -> None:
    request = {"to": patient, **REMINDER, "idempotency_key": f"free-{patient}"}
    answer = product.api("POST", "/messages", {**request, **more})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code), answer.text
    assert (answer.json()["status"], answer.json()["message_id"]) == ("refused", None)
    sent = product.send(**request)
    assert (sent["status"], sent["duplicate"]) == ("sent", False)


def test_text_outside_the_window_is_refused(product: Product, patient: str) -> None:
    answer = product.send(to=patient, text="Hello?")
    assert (answer["status"], answer["error"]["code"]) == ("refused", "window_closed")


# --- Twilio's door -----------------------------------------------------------------------------------------------


class Forger:
    """Posts to the webhook as Twilio does, or nearly so."""

    def __init__(self, product: Product, patient: str) -> None:
        self._product = product
        self.url = product.stack.api_url + "/twilio/inbound"
        self.form = {
            "MessageSid": SID,
            "AccountSid": product.stack.account_sid,
            "From": f"whatsapp:{patient}",
            "To": "whatsapp:+12025550123",
            "Body": "Hello",
        }

    def sign(self, form: dict[str, str], url: str = "", token: str = "") -> str:
        return sign(token or self._product.stack.auth_token, url or self.url, form)

    def post(self, body: str | bytes, signature: str | None, content_type: str = FORM) -> httpx.Response:
        headers = {"Content-Type": content_type} | ({"X-Twilio-Signature": signature} if signature else {})
        return self._product.http.post(self.url, content=body, headers=headers)


@pytest.fixture
def forger(product: Product, patient: str) -> Forger:
    return Forger(product, patient)


def test_what_is_forged_below_would_pass_if_it_were_not(forger: Forger) -> None:
    answer = forger.post(urlencode(forger.form), forger.sign(forger.form))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml")


def test_webhooks_signed_by_a_shared_key_come_in_beside_those_signed_by_the_token(
    product: Product, patient: str
) -> None:
    secrets, secret_id = product.stack.aws("secretsmanager"), product.stack.outputs["TwilioSecretArn"]
    before = secrets.get_secret_value(SecretId=secret_id)["SecretString"]
    key = "s" * 32

    def is_taken() -> bool:
        time.sleep(1)  # a sandbox reads the secret anew at most every 30 s
        return bool(product.write(patient, "Namaste")["http_status"] == 200)

    try:
        shared = {**json.loads(before), "webhook_shared_keys": [key]}
        secrets.put_secret_value(SecretId=secret_id, SecretString=json.dumps(shared))
        product.twilio("configure", {"shared_key": {"id": "webhooks_sharedkey_1", "secret": key}})
        eventually(is_taken, seconds=60)
        product.twilio("configure", {"shared_key": None})
        assert product.write(patient, "Namaste")["http_status"] == 200
    finally:
        product.twilio("configure", {"shared_key": None})
        secrets.put_secret_value(SecretId=secret_id, SecretString=before)


def test_forged_webhooks_are_403_and_leave_no_trace(product: Product, forger: Forger) -> None:
    form = {**forger.form, "MessageSid": "SM" + "ab" * 16}
    body, good = urlencode(form), forger.sign(form)
    twice = f"{body}&Body=Hello"
    other = {**form, "AccountSid": "AC" + "0" * 32}
    as_json = json.dumps(form)
    forged: dict[str, tuple[str | bytes, str | None]] = {
        "no signature": (body, None),
        "wrong signature": (body, "AAAA" + good[4:]),
        "empty signature": (body, ""),
        "another token": (body, forger.sign(form, token="b" * 32)),
        "another URL": (body, forger.sign(form, url=forger.url + "/")),
        "changed after signing": (body.replace("Hello", "Hullo"), good),
        "a key twice": (twice, forger.sign(form)),
        "a key twice, signed so": (twice, forger.sign({**form, "Body": "HelloHello"})),
        "another account": (urlencode(other), forger.sign(other)),
        "nothing": ("", forger.sign({})),
        "not UTF-8": (b"\xff\xfe=1", good),
    }
    answers = {name: forger.post(content, signature).status_code for name, (content, signature) in forged.items()}
    answers["JSON"] = forger.post(as_json, good, "application/json").status_code
    answers["JSON called a form"] = forger.post(as_json, good).status_code
    assert set(answers.values()) == {403}, answers
    stored = product.stack.aws("dynamodb").get_item(
        TableName=product.stack.outputs["MessagesTableName"],
        Key={"message_id": {"S": form["MessageSid"]}, "entry": {"S": "message"}},
    )
    assert "Item" not in stored


def test_the_same_message_twice_is_one_event(product: Product, forger: Forger) -> None:
    form = {**forger.form, "MessageSid": "SM" + "cd" * 16}
    for _ in range(3):
        assert forger.post(urlencode(form), forger.sign(form)).status_code == 200
    eventually(lambda: product.events(event_id=form["MessageSid"]))
    time.sleep(0.5)
    assert len(product.events(event_id=form["MessageSid"])) == 1


def test_a_bad_optional_field_never_refuses_a_message(product: Product, forger: Forger) -> None:
    form = forger.form | {
        "MessageSid": "SM" + "ef" * 16,
        "NumMedia": "many",
        "Latitude": "north",
        "Longitude": "",
        "ButtonPayload": "",
        "OriginalRepliedMessageSid": "?",
        "ExternalUserId": "whatsapp:",
        "Future": "field",
    }
    assert forger.post(urlencode(form), forger.sign(form)).status_code == 200
    (event,) = eventually(lambda: product.events(event_id=form["MessageSid"]))
    assert (event["detail"]["kind"], event["detail"]["text"]) == ("text", "Hello")


def test_status_of_somebody_elses_message_changes_nothing(product: Product, patient: str, forger: Forger) -> None:
    sent = product.when(product.remind(patient)["message_id"], "read")
    forger.url = f"{product.stack.api_url}/twilio/status/{sent['message_id']}/000000000000"
    form = {"MessageSid": SID, "AccountSid": product.stack.account_sid, "MessageStatus": "failed", "ErrorCode": "63024"}
    assert forger.post(urlencode(form), forger.sign(form)).status_code == 204
    assert product.record(sent["message_id"]) == sent
