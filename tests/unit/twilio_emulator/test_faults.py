"""Every kind of fault, as an HTTP client sees it over real sockets. The ledger says what Twilio accepted."""

import contextlib
import threading
import time
from typing import Any

import httpx
import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tests.unit.twilio_emulator.kit import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    FROM,
    MESSAGES,
    PATIENT,
    TO,
    Door,
    Emulator,
    eventually,
)


@pytest.fixture
def ready(emulator: Emulator) -> Emulator:
    """An emulator that takes free-form text for the patient."""
    emulator.open_window()
    return emulator


def fault(emulator: Emulator, kind: str, **body: Any) -> None:
    emulator.control("faults", {"kind": kind, **body})


def post(emulator: Emulator, timeout: float = 5) -> requests.Response:
    """Create a message with the HTTP client that the SDK uses, so that its exceptions show."""
    form = {"To": TO, "From": FROM, "Body": "hi"}
    return requests.post(emulator.url + MESSAGES, form, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=timeout)


def accepted(emulator: Emulator) -> int:
    return len(emulator.ledger())


@pytest.mark.parametrize(
    ("kind", "status", "code"), [("http_429", 429, 20429), ("http_500", 500, 20500), ("http_503", 503, 20503)]
)
def test_error_answer_accepts_nothing(ready: Emulator, kind: str, status: int, code: int) -> None:
    fault(ready, kind)
    answer = post(ready)
    assert (answer.status_code, answer.json()["code"], accepted(ready)) == (status, code, 0)
    assert post(ready).status_code == 201


def test_refused_request_is_reset_without_an_answer(ready: Emulator) -> None:
    fault(ready, "refuse")
    with pytest.raises(requests.exceptions.ConnectionError, match="reset by peer"):
        post(ready)
    assert accepted(ready) == 0
    assert post(ready).status_code == 201


def test_refused_port_is_certainly_not_reached(ready: Emulator) -> None:
    fault(ready, "refuse", seconds=0.3)
    with pytest.raises(requests.exceptions.ConnectionError, match="Connection refused"):
        post(ready)
    with pytest.raises(httpx.ConnectError):
        ready.control("state")

    def listening() -> bool:
        with contextlib.suppress(httpx.ConnectError):
            return bool(ready.control("state"))
        return False

    eventually(listening)
    assert accepted(ready) == 0
    assert post(ready).status_code == 201
    assert ready.control("faults")["faults"] == []


def test_accepted_then_500(ready: Emulator) -> None:
    fault(ready, "accept_then_500")
    answer = post(ready)
    assert (answer.status_code, answer.json()["code"], accepted(ready)) == (500, 20500, 1)


def test_accepted_then_hanging(ready: Emulator) -> None:
    fault(ready, "accept_then_hang", seconds=5)
    with pytest.raises(requests.exceptions.ReadTimeout):
        post(ready, timeout=0.3)
    assert accepted(ready) == 1


def test_hanging_without_acceptance(ready: Emulator) -> None:
    fault(ready, "hang", seconds=5)
    with pytest.raises(requests.exceptions.ReadTimeout):
        post(ready, timeout=0.3)
    assert accepted(ready) == 0


def test_hanging_ends_in_a_reset(ready: Emulator) -> None:
    fault(ready, "hang", seconds=0.1)
    with pytest.raises(requests.exceptions.ConnectionError, match="reset by peer"):
        post(ready)


def test_accepted_late(ready: Emulator, door: Door) -> None:
    fault(ready, "accept_late", seconds=0.3)
    assert post(ready).status_code == 500
    assert accepted(ready) == 0
    eventually(lambda: accepted(ready) == 1)
    eventually(lambda: ready.ledger()[0]["status"] == "read")


def test_json_is_accepted_late_although_the_client_has_gone(emulator: Emulator) -> None:
    fault(emulator, "accept_late", seconds=0.2, match={"path": "/content/v1/Content"})
    body = {"friendly_name": "late", "language": "en", "types": {"twilio/text": {"body": "hi"}}}
    assert emulator.call("POST", "/content/v1/Content", json=body).status_code == 500
    assert emulator.control("state")["templates"] == []
    [template] = eventually(lambda: emulator.control("state")["templates"])
    assert template["friendly_name"] == "late"


def test_truncated_answer_follows_an_acceptance(ready: Emulator) -> None:
    fault(ready, "truncate")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        post(ready)
    assert accepted(ready) == 1


def test_truncated_answer_has_its_status_line(ready: Emulator) -> None:
    fault(ready, "truncate")
    form = {"To": TO, "From": FROM, "Body": "hi"}
    with requests.post(ready.url + MESSAGES, form, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5, stream=True) as answer:
        assert answer.status_code == 201


@pytest.mark.parametrize("kind", ["accept_then_500", "accept_then_hang", "truncate"])
def test_bad_request_never_looks_accepted(ready: Emulator, kind: str) -> None:
    fault(ready, kind)
    answer = ready.create_message()
    assert (answer.status_code, answer.json()["code"], accepted(ready)) == (400, 21602, 0)


def test_any_code_in_the_answer(ready: Emulator, client: Client) -> None:
    fault(ready, "error", code=63007)
    with pytest.raises(TwilioRestException) as refused:
        client.messages.create(to=TO, from_=FROM, body="hi")
    assert (refused.value.status, refused.value.code, accepted(ready)) == (400, 63007, 0)


def test_any_code_by_callback(ready: Emulator, client: Client, door: Door) -> None:
    fault(ready, "status_failed", code=63012)
    client.messages.create(to=TO, from_=FROM, body="hi", status_callback=door.url)
    eventually(lambda: door.heard("failed"))
    assert door.received[0].form["ErrorCode"] == "63012"


def test_dropped_callback(ready: Emulator, client: Client, door: Door) -> None:
    fault(ready, "callbacks_drop")
    client.messages.create(to=TO, from_=FROM, body="hi", status_callback=door.url)
    eventually(lambda: ready.ledger()[0]["status"] == "read")
    eventually(lambda: door.heard("delivered", "read"))


def test_doubled_callback(ready: Emulator, client: Client, door: Door) -> None:
    fault(ready, "callbacks_double")
    client.messages.create(to=TO, from_=FROM, body="hi", status_callback=door.url)
    eventually(lambda: door.heard("sent", "sent", "delivered", "read"))


def test_reordered_callbacks(ready: Emulator, client: Client, door: Door) -> None:
    fault(ready, "callbacks_reorder")
    client.messages.create(to=TO, from_=FROM, body="hi", status_callback=door.url)
    eventually(lambda: len(door.statuses()) == 3)
    assert door.statuses().index("delivered") < door.statuses().index("sent")


def test_delayed_callback_is_overtaken(ready: Emulator, client: Client, door: Door) -> None:
    fault(ready, "callbacks_delay", seconds=0.4)
    client.messages.create(to=TO, from_=FROM, body="hi", status_callback=door.url)
    eventually(lambda: len(door.statuses()) == 3)
    assert door.statuses()[-1] == "sent"


def test_inbound_webhook_is_struck_by_its_path_only(emulator: Emulator, client: Client, door: Door) -> None:
    emulator.control("configure", {"inbound_url": f"{door.url}/twilio/inbound"})
    fault(emulator, "callbacks_drop")
    assert emulator.control("inbound", {"from": PATIENT, "body": "hi"})["http_status"] == 204
    emulator.control("faults", method="DELETE")
    fault(emulator, "callbacks_drop", match={"path": "/inbound"})
    assert emulator.control("inbound", {"from": PATIENT, "body": "again"})["http_status"] is None
    fault(emulator, "callbacks_double", match={"path": "/inbound"})
    emulator.control("inbound", {"from": PATIENT, "body": "twice"})
    assert [request.form["Body"] for request in door.received] == ["hi", "twice", "twice"]


def test_list_lags_until_cleared(ready: Emulator, client: Client) -> None:
    fault(ready, "list_lag", seconds=60)
    sid = client.messages.create(to=TO, from_=FROM, body="hi").sid
    assert client.messages.list(to=TO) == client.messages.list() == []
    assert client.messages(sid).fetch().sid == sid
    ready.control("faults", method="DELETE")
    assert [message.sid for message in client.messages.list()] == [sid]


def test_fault_strikes_as_often_as_it_says_whoever_comes(ready: Emulator) -> None:
    fault(ready, "http_503", times=3)
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(post(ready).status_code)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] * 5 + [503] * 3
    assert accepted(ready) == 5


@pytest.mark.parametrize("to", [PATIENT, TO])
def test_fault_strikes_one_patient(ready: Emulator, to: str) -> None:
    fault(ready, "http_500", match={"to": to})
    other = ready.create_message(To="whatsapp:+919900000001", Body="hi")
    assert (other.status_code, ready.create_message(Body="hi").status_code) == (201, 500)


def test_fault_without_a_path_spares_everything_but_creation(ready: Emulator, client: Client) -> None:
    fault(ready, "http_500")
    assert client.messages.list() == []
    assert client.content.v1.contents.list() == []
    assert post(ready).status_code == 500


def test_fault_strikes_what_its_path_names(ready: Emulator, client: Client) -> None:
    fault(ready, "http_503", match={"path": "/ApprovalRequests"})
    sid = ready.content(client)
    with pytest.raises(TwilioRestException) as failure:
        client.content.v1.contents(sid).approval_fetch().fetch()
    assert failure.value.status == 503


def test_faults_follow_each_other_in_order(ready: Emulator) -> None:
    fault(ready, "http_500")
    fault(ready, "http_429")
    assert [post(ready).status_code for _ in range(3)] == [500, 429, 201]


def test_faults_are_listed_and_cleared(ready: Emulator) -> None:
    fault(ready, "http_500", times=None)
    [listed] = ready.control("faults")["faults"]
    assert (listed["kind"], listed["times"]) == ("http_500", None)
    assert [post(ready).status_code for _ in range(2)] == [500, 500]
    assert ready.control("faults", method="DELETE") == {"faults": []}
    assert post(ready).status_code == 201


@pytest.mark.parametrize("body", [{"kind": "meteor"}, {"kind": "error"}, {"kind": "status_failed"}, {}])
def test_impossible_fault_is_refused(ready: Emulator, body: dict[str, str]) -> None:
    assert ready.http.post(f"{ready.url}/_emulator/faults", json=body).status_code == 400


def test_hanging_requests_do_not_delay_others(ready: Emulator) -> None:
    fault(ready, "hang", seconds=1)

    def hang() -> None:
        with pytest.raises(requests.RequestException):
            post(ready)

    hanging = threading.Thread(target=hang)
    hanging.start()
    eventually(lambda: ready.control("faults")["faults"] == [])
    start = time.monotonic()
    assert post(ready).status_code == 201
    assert time.monotonic() - start < 0.8
    hanging.join()
