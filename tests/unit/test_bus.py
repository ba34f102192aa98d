"""Events for a server of one's own: signed, again until they are taken; and as lines."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local.bus import Forwarder, check_target, line_of, take
from local.stacks import UsageError

EVENT = {
    "source": "whatsapp",
    "detail-type": "message.status_changed",
    "detail": {"event_id": "e", "status": "failed", "address": "+919812345678", "message_id": "m", "template": "t",
               "error": {"code": "not_on_whatsapp", "twilio_code": 63024}},
}  # fmt: skip


class Consumer(BaseHTTPRequestHandler):
    """Answers with the statuses it was given, and keeps what it got."""

    statuses: list[int]
    got: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.headers["X-Signature"], body))
        self.send_response(self.statuses.pop(0))
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def consumer() -> Iterator[tuple[str, type[Consumer]]]:
    kept = type("Kept", (Consumer,), {"statuses": [], "got": []})
    with HTTPServer(("127.0.0.1", 0), kept) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/events", kept
        server.shutdown()
        thread.join()


def test_an_event_comes_signed_and_again_until_it_is_taken(consumer: tuple[str, type[Consumer]]) -> None:
    target, kept = consumer
    kept.statuses += [500, 204]
    forwarder = Forwarder("http://127.0.0.1:9", "bus", target, "s3cret")
    with mock_aws():
        sqs = boto3.client("sqs", region_name="ap-south-1")
        url = sqs.create_queue(QueueName="forward", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(EVENT))
        for _ in range(3):
            take(sqs, url, forwarder.post)
    assert [json.loads(body) for _, body in kept.got] == [EVENT, EVENT]
    signed, body = kept.got[0]
    at, _, digest = signed.removeprefix("t=").partition(",v1=")
    assert digest == hmac.new(b"s3cret", at.encode() + b"." + body, hashlib.sha256).hexdigest()


def test_a_server_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert not Forwarder("http://127.0.0.1:9", "bus", "http://127.0.0.1:9/", "s3cret").post(EVENT)
    assert "http://127.0.0.1:9/ does not answer (ConnectError)" in capsys.readouterr().out


@pytest.mark.parametrize("target", ["9000", "127.0.0.1:9000", "http://", "ftp://host/"])
def test_what_is_no_server_is_refused(target: str) -> None:
    with pytest.raises(UsageError, match="is no URL of a server: say such as FORWARD=http"):
        check_target(target)


def test_a_line_says_what_happened_and_names_nobody() -> None:
    line = line_of(EVENT)
    assert line[8:] == f"  message.status_changed   {'failed t 63024 not_on_whatsapp':<34} m"
    assert "9812345678" not in line
