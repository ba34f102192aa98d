"""What one POST proves, by real sockets: each way in which HTTP can fail, through the real gateway and SDK."""

import base64
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from whatsapp.adapters.twilio.credentials import TwilioSecret
from whatsapp.adapters.twilio.gateway import TwilioGateway
from whatsapp.adapters.twilio.http import Connections, client
from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.ports import Accepted, InDoubt, NotSent, Outcome, OutgoingPost, Rejected

from tests.fakes import FrozenClock

SID = "SM" + "a" * 32
CREATED = b'{"sid": "' + SID.encode() + b'", "status": "queued"}'
POST = OutgoingPost(to="+919800000000", body="hello", status_path="/twilio/status/m/a")

Answer = Callable[[socket.socket], None]


@contextmanager
def serving(answer: Answer) -> Iterator[tuple[str, list[bytes]]]:
    """A server that reads one request after another and answers each in this way; its address, and what it read."""
    read: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(5)
                    read.append(_request(connection))
                    answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", read
        finally:
            over.set()
            thread.join()


def _request(connection: socket.socket) -> bytes:
    """The whole request: else closing would reset the connection where an answer was meant."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


class Secrets:
    """Secrets Manager with our secret in it."""

    def __init__(self, auth_token: str) -> None:
        self.auth_token = auth_token

    def get_secret_value(self, **_: str) -> dict[str, str]:
        return {"SecretString": json.dumps({"account_sid": "AC" + "0" * 32, "auth_token": self.auth_token})}


def gateway_to(url: str, secret: TwilioSecret) -> TwilioGateway:
    return TwilioGateway(
        lambda: client(secret, Connections(FrozenClock()), url), Address("+14155550100"), "https://us.example"
    )


def post(url: str) -> Outcome:
    return gateway_to(url, TwilioSecret(Secrets("token"), "secret")).prepare(POST)()  # type: ignore[arg-type]  # all of it that is used


def says(status: int, body: bytes, *, length: int | None = None) -> Answer:
    head = f"HTTP/1.1 {status} Simulated\r\nContent-Length: {length or len(body)}\r\n\r\n"
    return lambda connection: connection.sendall(head.encode() + body)


def resets(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hangs(connection: socket.socket) -> None:
    connection.recv(1)


def hangs_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def problem(status: int, code: int) -> bytes:
    """A refusal in the form of RFC 9457."""
    about = {"type": "https://www.twilio.com/docs/api/errors", "title": "t", "status": status, "code": code}
    return json.dumps({**about, "detail": "d"}).encode()


CASES: dict[str, tuple[Answer, type[Outcome]]] = {
    "201": (says(201, CREATED), Accepted),
    "400 with a code": (says(400, b'{"code": 21211, "message": "m", "status": 400}'), Rejected),
    "429": (says(429, b'{"code": 20429, "message": "m", "status": 429}'), Rejected),
    "401 without a code": (says(401, b"{}"), Rejected),
    "500": (says(500, b'{"code": 20500, "message": "m", "status": 500}'), InDoubt),
    "502 from a proxy, in HTML": (says(502, b"<html>"), InDoubt),
    "503": (says(503, b'{"code": 20503, "message": "m", "status": 503}'), InDoubt),
    "400 as problem details": (says(400, problem(400, 21211)), Rejected),
    "401 as problem details": (says(401, problem(401, 20003)), Rejected),
    "429 as problem details": (says(429, problem(429, 20429)), Rejected),
    "503 as problem details": (says(503, problem(503, 20503)), InDoubt),
    "408 without a code": (says(408, b"{}"), InDoubt),
    "408 with a code": (says(408, b'{"code": 20408, "message": "m", "status": 408}'), Rejected),
    "425 without a code": (says(425, b"<html>"), InDoubt),
    "499 without a code": (says(499, b""), InDoubt),
    "404 without a code": (says(404, b"{}"), Rejected),
    "201 without a sid": (says(201, b"{}"), InDoubt),
    "201 with a list": (says(201, b"[]"), InDoubt),
    "201 with a string": (says(201, b'"SM"'), InDoubt),
    "201 with null": (says(201, b"null"), InDoubt),
    "201 that is no JSON": (says(201, b"<html>"), InDoubt),
    "201 cut short": (says(201, CREATED[:20], length=len(CREATED)), InDoubt),
    "reset after the request": (resets, InDoubt),
    "closed without an answer": (hangs_up, InDoubt),
    "silence": (hangs, InDoubt),
}


@pytest.mark.parametrize("case", CASES)
def test_each_end_of_a_post_is_told_for_what_it_proves(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periods, "TWILIO_READ_S", 0.4)
    answer, expected = CASES[case]
    with serving(answer) as (url, read):
        outcome = post(url)
    assert isinstance(outcome, expected), outcome
    assert len(read) == 1, "one POST is one POST"


def test_what_twilio_says_is_kept() -> None:
    with serving(CASES["201"][0]) as (url, _):
        assert post(url) == Accepted(SID)
    with serving(CASES["400 with a code"][0]) as (url, _):
        assert post(url) == Rejected(21211, 400)
    with serving(CASES["401 without a code"][0]) as (url, _):
        assert post(url) == Rejected(None, 401)
    with serving(CASES["400 as problem details"][0]) as (url, _):
        assert post(url) == Rejected(21211, 400)


def test_a_refused_connection_sent_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    assert isinstance(post(url), NotSent)


def test_a_connection_that_is_never_made_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periods, "TWILIO_CONNECT_S", 0.3)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:  # they fill the backlog: the next SYN is dropped
            one.setblocking(False)
            one.connect_ex(address)
        outcome = post(f"http://127.0.0.1:{address[1]}")
        for one in waiting:
            one.close()
    assert isinstance(outcome, NotSent), outcome


def test_a_name_that_does_not_resolve_sent_nothing() -> None:
    assert isinstance(post("http://twilio.invalid"), NotSent)


def test_a_refused_login_reads_the_secret_again_for_the_next_try() -> None:
    """The token was rotated: Twilio takes only the new one, and the secret has it."""
    secrets, seconds = Secrets("old"), iter(range(0, 600, 60))
    secret = TwilioSecret(secrets, "secret", lambda: float(next(seconds)))  # type: ignore[arg-type]  # all of it that is used
    secret.get()
    secrets.auth_token = "new"
    with serving(says(401, b'{"code": 20003, "message": "m", "status": 401}')) as (url, read):
        assert gateway_to(url, secret).prepare(POST)() == Rejected(20003, 401)
        gateway_to(url, secret).prepare(POST)()
    sent = [base64.b64decode(request.split(b"authorization: Basic ")[1].split(b"\r\n")[0]) for request in read]
    assert [login.split(b":")[1] for login in sent] == [b"old", b"new"]
