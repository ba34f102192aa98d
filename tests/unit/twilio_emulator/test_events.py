"""The live stream that a page follows: what it tells, and how a watcher who comes late or comes back joins it."""

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from tests.unit.twilio_emulator.kit import AUTH_TOKEN, FROM, MESSAGES, PATIENT, TO, Door, Emulator, eventually

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


def only(watcher: Watcher, kind: str) -> Event:
    """The one event of its kind, as soon as it is there."""
    eventually(lambda: kind in watcher.kinds())
    [event] = watcher.data(kind)
    return event


@pytest.mark.parametrize(
    ("fault", "http_status", "code"),
    [({"kind": "http_503"}, 503, 20503), ({"kind": "error", "code": 63007}, 400, 63007)],
)
def test_struck_request_is_told_with_its_form_and_answer(
    emulator: Emulator, fault: dict[str, Any], http_status: int, code: int
) -> None:
    emulator.control("faults", fault)
    with Watcher(emulator) as watcher:
        answer = emulator.create_message(Body="hi", StatusCallback="https://us.example/status/m1/a1")
        event = only(watcher, "fault")
    assert event["form"] == {"To": TO, "From": FROM, "Body": "hi", "StatusCallback": "https://us.example/status/m1/a1"}
    assert (event["fault"], event["path"], event["to"]) == (fault["kind"], MESSAGES, TO)
    assert event["code"] == fault.get("code")
    assert (event["http_status"], event["answer"]) == (http_status, answer.text)
    assert json.loads(event["answer"])["code"] == code


@pytest.mark.parametrize("kind", ["refuse", "hang", "accept_then_hang"])
def test_struck_request_without_an_answer_is_told_at_once(emulator: Emulator, kind: str) -> None:
    emulator.open_window()
    emulator.control("faults", {"kind": kind, "seconds": None if kind == "refuse" else 30})
    with Watcher(emulator) as watcher:
        with pytest.raises(httpx.HTTPError):
            emulator.call("POST", MESSAGES, data={"To": TO, "From": FROM, "Body": "hi"}, timeout=0.5)
        event = only(watcher, "fault")
    assert (event["http_status"], event["answer"]) == (None, None)


def test_truncated_answer_is_told_as_far_as_the_client_saw_it(emulator: Emulator) -> None:
    emulator.open_window()
    emulator.control("faults", {"kind": "truncate"})
    with Watcher(emulator) as watcher:
        with pytest.raises(httpx.RemoteProtocolError):
            emulator.create_message(Body="hi")
        event = only(watcher, "fault")
    assert event["http_status"] == 201
    assert event["answer"].startswith("{")
    assert not event["answer"].endswith("}")


def test_refusal_is_told_with_its_form_and_answer(emulator: Emulator) -> None:
    with Watcher(emulator) as watcher:
        answer = emulator.create_message(Body="hi", MediaUrl=["ftp://a", "ftp://b"])
        event = only(watcher, "refusal")
    assert event["form"] == {"To": TO, "From": FROM, "Body": "hi", "MediaUrl": ["ftp://a", "ftp://b"]}
    assert (event["path"], event["to"], event["http_status"], event["answer"]) == (MESSAGES, TO, 400, answer.text)
    assert "fault" not in watcher.kinds()


def test_callback_is_told_with_its_signed_form_and_answer(emulator: Emulator, client: Client, door: Door) -> None:
    emulator.control("patients", {"address": PATIENT, "phone_on": False})
    door.answers = [(500, "text/plain", "boom")]
    with Watcher(emulator) as watcher:
        client.messages.create(
            to=TO, from_=FROM, content_sid=emulator.template(client), status_callback=f"{door.url}/s"
        )
        event = only(watcher, "callback")
    assert event["form"] == door.received[0].form
    assert RequestValidator(AUTH_TOKEN).validate(event["url"], event["form"], event["signature"])
    assert (event["http_status"], event["answer"]) == (500, "boom")
    [message] = emulator.control("state")["messages"]
    assert [attempt["form"] for attempt in message["callbacks"]] == [event["form"]]


def test_callback_that_nobody_answers_is_told_with_its_form(emulator: Emulator) -> None:
    emulator.control("configure", {"inbound_url": "http://127.0.0.1:9/inbound#rc=0"})
    with Watcher(emulator) as watcher:
        emulator.control("inbound", {"from": PATIENT, "body": "hi"})
        event = only(watcher, "callback")
    assert (event["form"]["Body"], event["http_status"], event["answer"]) == ("hi", None, None)


def test_struck_callback_is_told_with_its_form(emulator: Emulator, client: Client, door: Door) -> None:
    emulator.control("patients", {"address": PATIENT, "phone_on": False})
    emulator.control("faults", {"kind": "callbacks_drop"})
    with Watcher(emulator) as watcher:
        message = client.messages.create(
            to=TO, from_=FROM, content_sid=emulator.template(client), status_callback=f"{door.url}/s"
        )
        event = only(watcher, "fault")
    assert (event["fault"], event["sid"], event["url"]) == ("callbacks_drop", message.sid, f"{door.url}/s")
    assert (event["form"]["MessageSid"], event["form"]["MessageStatus"]) == (message.sid, "sent")


def test_reset_is_told(emulator: Emulator) -> None:
    with Watcher(emulator) as watcher:
        emulator.control("reset", method="POST")
        assert only(watcher, "reset")


def test_redaction_and_deletion_at_twilio_are_told(emulator: Emulator, client: Client) -> None:
    picture = {"content_type": "image/png", "base64": b64encode(b"data").decode()}
    sid = emulator.control("inbound", {"from": PATIENT, "body": "my mood", "media": [picture]})["message_sid"]
    [medium] = client.messages(sid).media.list()
    with Watcher(emulator) as watcher:
        assert client.messages(sid).update(body="")
        assert client.messages(sid).media(medium.sid).delete()
        assert client.messages(sid).delete()
        eventually(lambda: watcher.kinds().count("message") == 3)
    told = [event["message"] for event in watcher.data("message")]
    assert [each["redacted"] for each in told] == [True, True, True]
    assert [each["media"][0]["deleted"] for each in told] == [False, True, True]
    assert [each["deleted"] for each in told] == [False, False, True]
    assert {each["body"] for each in told} == {"my mood"}, "the patient's phone keeps what Twilio forgets"
    shown = emulator.http.get(f"{emulator.url}/_emulator/media/{medium.sid}")
    assert shown.content == b"data"
