"""AWS and Twilio over TLS, as far as a measured process needs them: they count what they are asked for.

DynamoDB is the embedded one, which says what each call consumes. A call takes as long as one in a region's own network;
calls wait side by side, as on AWS. `python -m tests.performance.outside DIRECTORY` serves until its input ends.
"""

import json
import random
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import parse_qs
from urllib.request import urlopen

import certifi

from tests import ministack_tables, units
from tests.app import SETTINGS, UnitApp
from tests.simulation.dynamodb import Client

AWS_S, TWILIO_S = 0.005, 0.1
"""What one call takes."""
ACCOUNT_SID, AUTH_TOKEN = "AC" + "0" * 32, "token"
PUBLIC_URL = "https://api.example"

TABLES = replace(SETTINGS, messages_table="messages", contacts_table="contacts", templates_table="templates")
"""The product's settings, with the tables' names as they are here."""


@dataclass(frozen=True)
class Outside:
    """Where the servers are, for those who are measured."""

    url: str
    bundle: Path
    """Their root among as many certificate authorities as there really are."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead a process here."""
        bundles = dict.fromkeys(("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), str(self.bundle))
        return {"AWS_ENDPOINT_URL": self.url, "TWILIO_BASE_URL": self.url, **bundles}

    def asked(self) -> dict[str, Any]:
        """What was asked for since the last time: `calls` by name, `read_units`, `write_units`, `callback_urls`."""
        context = ssl.create_default_context(cafile=str(self.bundle))
        with urlopen(f"{self.url}/asked", context=context) as answer:  # noqa: S310 - a URL of our own
            asked: dict[str, Any] = json.load(answer)
        return asked


@contextmanager
def outside(directory: Path) -> Iterator[Outside]:
    """Serve in a process of its own, so that it shares no interpreter with whoever measures."""
    command = [sys.executable, "-m", "tests.performance.outside", str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        assert server.stdin
        port = server.stdout.readline().strip()
        try:
            yield Outside(f"https://127.0.0.1:{port}", directory / "bundle.pem")
        finally:
            server.stdin.close()


class Asked:
    """Counts, which several threads add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._calls: Counter[str] = Counter()
        self._units = {"read_units": 0.0, "write_units": 0.0}
        self._callback_urls: list[str] = []

    def call(self, name: str, callback_url: str = "", **units: float) -> None:
        """One call, with what it consumed."""
        with self._lock:
            self._calls[name] += 1
            for name, consumed in units.items():
                self._units[name] += consumed
            self._callback_urls += [callback_url] if callback_url else []

    def take(self) -> dict[str, Any]:
        """Everything so far; the counts begin anew."""
        with self._lock:
            taken = {"calls": dict(self._calls), "callback_urls": self._callback_urls, **self._units}
            self._clear()
        return taken


ASKED = Asked()
_TABLES_TURN = threading.Lock()


def _dynamodb(operation: str, request: dict[str, Any]) -> tuple[int, Any]:
    with _TABLES_TURN:
        answer, consumed = units.apply(operation, request)
    ASKED.call(operation, read_units=consumed.read, write_units=consumed.write + consumed.index)
    return answer


SECRETS = {
    SETTINGS.twilio_secret: json.dumps({"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN}),
    SETTINGS.contact_key_secret: "a key of no meaning",
}


def _other_service(operation: str, request: dict[str, Any]) -> Any:
    ASKED.call(operation)
    match operation:
        case "GetSecretValue":
            return {"Name": request["SecretId"], "SecretString": SECRETS[request["SecretId"]]}
        case "GetParameter":
            return {"Parameter": {"Name": request["Name"], "Value": PUBLIC_URL}}
        case "PutEvents":
            return {"FailedEntryCount": 0, "Entries": [{"EventId": str(n)} for n, _ in enumerate(request["Entries"])]}
        case "SendMessageBatch":
            return {
                "Successful": [{"Id": one["Id"], "MessageId": one["Id"]} for one in request["Entries"]],
                "Failed": [],
            }
        case "SendMessage":
            return {"MessageId": "1"}
        case "GetQueueAttributes":
            return {"Attributes": {str(name): "0" for name in request["AttributeNames"]}}
        case _:
            raise ValueError(f"the bench knows no {operation}")


class Handler(StreamRequestHandler):
    """AWS's JSON protocols, and Twilio's messages, over a connection that is kept.

    It reads HTTP itself: the standard library's handler would take as much of the processor as those who are measured.
    """

    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one packet

    def handle(self) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            while request := self.rfile.readline():
                come_at = time.perf_counter()
                fields = (line.decode().partition(":") for line in iter(self.rfile.readline, b"\r\n"))
                headers = {name.lower(): value.strip() for name, _, value in fields}
                body = self.rfile.read(int(headers.get("content-length", 0)))
                status, answer, takes = _served(request, headers.get("x-amz-target", ""), body)
                time.sleep(max(0.0, come_at + takes - time.perf_counter()))  # its own work is part of the time
                self._answer(status, json.dumps(answer).encode())

    def _answer(self, status: int, content: bytes) -> None:
        head = (
            f"HTTP/1.1 {status} -",
            f"Date: {formatdate(usegmt=True)}",
            "Content-Type: application/json;charset=utf-8",  # as Twilio's: without a charset, requests guesses one
            f"Content-Length: {len(content)}",
        )
        self.wfile.write("\r\n".join((*head, "", "")).encode() + content)
        self.wfile.flush()


def _served(request: bytes, target: str, body: bytes) -> tuple[int, Any, float]:
    """Status, answer, and how long that takes."""
    service, _, operation = target.rpartition(".")
    if request.startswith(b"GET"):
        return 200, ASKED.take(), 0
    if not service:
        ASKED.call("Twilio", parse_qs(body.decode()).get("StatusCallback", [""])[0])
        return 201, {"sid": f"SM{random.getrandbits(128):032x}", "status": "queued"}, TWILIO_S
    if service.startswith("DynamoDB"):
        return *_dynamodb(operation, json.loads(body)), AWS_S
    return 200, _other_service(operation, json.loads(body)), AWS_S


def _serve(directory: Path) -> None:
    key, root = directory / "key.pem", directory / "root.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=outside", "-days", "2"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(root)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    (directory / "bundle.pem").write_text(Path(certifi.where()).read_text() + root.read_text())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(root, key)
    server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


def _prepare_tables() -> None:
    ministack_tables.make_tables()
    UnitApp(TABLES, Client(ministack_tables.ask)).approve()


if __name__ == "__main__":
    _prepare_tables()
    _serve(Path(sys.argv[1]))
