"""The controls that a test or the phone page turns, and the live stream that a page follows."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from twilio.rest import Client

from tests.unit.twilio_emulator.kit import FROM, PATIENT, SENDER, TO, Door, Emulator, eventually

Event = dict[str, Any]


class Watcher:
    """Reads the stream on a thread of its own, as a page would."""

    def __init__(self, emulator: Emulator, last_event_id: str | None = None) -> None:
        self.events: list[Event] = []
        self._emulator = emulator
        self._leaving = False
        self._headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        url = f"{self._emulator.url}/_emulator/events"
        with self._emulator.http.stream("GET", url, headers=self._headers) as response:
            event: Event = {}
            for line in response.iter_lines():
                name, _, value = line.partition(": ")
                if name:
                    event[name] = value
                elif event:
                    self.events.append(event)
                    if self._leaving:
                        return
                    event = {}

    def __enter__(self) -> "Watcher":
        self._thread.start()
        eventually(lambda: self.events)
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving = True
        self._emulator.control("faults", method="DELETE")  # one event more, at which the reader leaves
        self._thread.join()

    def kinds(self) -> list[str]:
        return [event["event"] for event in self.events]

    def data(self, kind: str) -> Iterator[Event]:
        return (json.loads(event["data"]) for event in self.events if event["event"] == kind)


def test_stream_tells_a_message_from_acceptance_to_reading(emulator: Emulator, client: Client, door: Door) -> None:
    template = emulator.template(client)
    with Watcher(emulator) as watcher:
        client.messages.create(to=TO, from_=FROM, content_sid=template, status_callback=door.url)
        eventually(lambda: watcher.kinds().count("callback") == 3)
    statuses = [event["message"]["status"] for event in watcher.data("message")]
    assert statuses == ["queued", "sent", "delivered", "read"]
    assert {event["http_status"] for event in watcher.data("callback")} == {204}


def test_stream_continues_after_the_event_last_seen(emulator: Emulator) -> None:
    with Watcher(emulator) as first:
        emulator.control("clock", {"advance_seconds": 1})
        emulator.control("patients", {"address": PATIENT, "blocked": True})
        eventually(lambda: "patient" in first.kinds())
    seen = next(event["id"] for event in first.events if event["event"] == "clock")
    with Watcher(emulator, seen) as second:
        eventually(lambda: "patient" in second.kinds())
    assert "clock" not in second.kinds()


def test_stream_of_another_boot_starts_anew(emulator: Emulator) -> None:
    emulator.control("clock", {"advance_seconds": 1})
    with Watcher(emulator, "0badb007-1") as watcher:
        emulator.control("patients", {"address": PATIENT})
        eventually(lambda: "patient" in watcher.kinds())
    assert watcher.kinds()[0] == "hello"
    assert "clock" not in watcher.kinds()
    assert json.loads(watcher.events[0]["data"])["boot"] == emulator.control("state")["boot"]


def test_state_and_stream_join_without_a_gap(emulator: Emulator) -> None:
    last = emulator.control("state")["last_event_id"]
    emulator.control("patients", {"address": PATIENT, "phone_on": False})
    with Watcher(emulator, last) as watcher:
        eventually(lambda: "patient" in watcher.kinds())


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
    ],
)
def test_impossible_control_says_so(emulator: Emulator, path: str, body: dict[str, Any], status: int) -> None:
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


def test_reader_of_the_stream_needs_no_credentials_but_twilios_api_does(emulator: Emulator) -> None:
    assert httpx.get(f"{emulator.url}/_emulator/ledger", trust_env=False).status_code == 200
    assert httpx.get(f"{emulator.url}/content/v1/Content", trust_env=False).status_code == 401
