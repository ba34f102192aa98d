"""The SDK's HTTP client, as the worker threads of one batch use it."""

import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twilio.rest import Client
from urllib3.exceptions import ProtocolError, SSLError
from whatsapp.adapters.twilio.credentials import TwilioCredentials
from whatsapp.adapters.twilio.http import Connections, client
from whatsapp.domain import periods

from tests.fakes import FrozenClock

SID = "SM" + "a" * 32


class Secret:
    """The secret, as it is read."""

    def get(self) -> TwilioCredentials:
        return TwilioCredentials("AC" + "1" * 32, "a" * 32)


SECRET: Any = Secret()


class Server(ThreadingHTTPServer):
    """Twilio: keeps connections, and sets a cookie. It notes each connection and the cookies that come back."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.connections: set[Any] = set()
        self.cookies: list[str] = []
        self.requests = 0
        self.hangs_up = False

    @property
    def url(self) -> str:
        scheme = "https" if isinstance(self.socket, ssl.SSLSocket) else "http"
        return f"{scheme}://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Accepts every message."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests += 1
        self.server.connections.add(self.client_address)
        self.server.cookies += self.headers.get_all("Cookie", [])
        if self.server.hangs_up:
            self.close_connection = True
            return
        body = f'{{"sid": "{SID}"}}'.encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "twilio=1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Silence."""


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def twilio() -> Iterator[Server]:
    """Twilio without TLS."""
    with serving(Server()) as server:
        yield server


def certificate(directory: Path, host: str) -> tuple[Path, Path]:
    """A root certificate for this host's address, which signs itself; and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Twilio")])
    today = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    root, private = directory / "root.pem", directory / "key.pem"
    root.write_bytes(built.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return root, private


@contextmanager
def serving_tls(directory: Path, host: str = "127.0.0.1") -> Iterator[tuple[Server, Path]]:
    """Twilio with TLS, and its root."""
    root, key = certificate(directory, host)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(root, key)
    server = Server()
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with serving(server):
        yield server, root


def post(connections: Connections, server: Server) -> str:
    """One message; its sid."""
    made: Client = client(SECRET, connections, server.url)
    sid: str = made.messages.create(to="whatsapp:+919812345678", from_="whatsapp:+14155550100", body="hello").sid
    return sid


@pytest.mark.parametrize(
    ("pause", "opened"),
    [(0, 1), (periods.CONNECTION_KEPT - 1, 1), (periods.CONNECTION_KEPT, 2), (8 * periods.HOUR, 2), (-1, 2)],
)
def test_connection_is_used_again_for_a_few_seconds_only(twilio: Server, pause: int, opened: int) -> None:
    """The clock may be set back: then nobody knows how old a connection is."""
    clock = FrozenClock()
    connections = Connections(clock)
    post(connections, twilio)
    clock.at += pause
    post(connections, twilio)
    assert len(twilio.connections) == opened


def test_connection_does_not_grow_old_by_being_used(twilio: Server) -> None:
    """Of ten kept connections a trickle of messages uses one: the nine others grow old."""
    clock = FrozenClock()
    connections = Connections(clock)
    for _ in range(3):
        post(connections, twilio)
        clock.at += periods.CONNECTION_KEPT // 2
    assert len(twilio.connections) == 2


def test_connection_that_breaks_in_a_post_is_not_tried_again(twilio: Server) -> None:
    """A kept one no more than a fresh one: the message may have been sent."""
    connections = Connections(FrozenClock())
    post(connections, twilio)
    twilio.hangs_up = True
    with pytest.raises(ProtocolError):
        post(connections, twilio)
    assert (twilio.requests, len(twilio.connections)) == (2, 1)


def test_cookies_of_one_message_do_not_go_with_the_next(twilio: Server) -> None:
    connections = Connections(FrozenClock())
    post(connections, twilio)
    post(connections, twilio)
    assert twilio.cookies == []


def test_root_certificates_are_read_once_for_all_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    load = ssl.SSLContext.load_verify_locations

    def noting(self: ssl.SSLContext, *args: Any, **kwargs: Any) -> None:
        read.append(args or kwargs)
        load(self, *args, **kwargs)

    with serving_tls(tmp_path) as (server, root):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(root))
        monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", noting)
        connections = Connections(FrozenClock())
        with ThreadPoolExecutor(10) as threads:
            assert set(threads.map(lambda _: post(connections, server), range(20))) == {SID}
    assert len(read) == 1
    assert len(server.connections) <= 10


def test_unknown_authority_is_refused(tmp_path: Path) -> None:
    with serving_tls(tmp_path) as (server, _), pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        post(Connections(FrozenClock()), server)
    assert server.requests == 0


def test_certificate_of_another_host_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_tls(tmp_path, "127.0.0.2") as (server, root):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(root))
        with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            post(Connections(FrozenClock()), server)
    assert server.requests == 0
