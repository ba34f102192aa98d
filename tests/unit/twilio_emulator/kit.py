"""What these tests share: Twilio's own SDK pointed at the emulator, a door for webhooks, and patience."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import httpx
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client
from twilio.rest.content.v1.content import ContentList
from twilio.rest.content.v1.content.approval_create import ApprovalCreateList

from local.twilio.state import Account

ACCOUNT_SID = "AC" + "1" * 32
AUTH_TOKEN = "a" * 32
SENDER = "+14155550100"
PATIENT = "+919812345678"
API_KEY, API_SECRET = "SK" + "2" * 32, "key-secret"
FROM, TO = f"whatsapp:{SENDER}", f"whatsapp:{PATIENT}"
MESSAGES = f"/api/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"

T = TypeVar("T")


class RewritingHttpClient(TwilioHttpClient):  # type: ignore[misc]  # the SDK is untyped
    """Sends what the SDK means for `api.twilio.com` to the emulator's `/api`, and so on."""

    def __init__(self, base: str) -> None:
        super().__init__(timeout=5)
        self._base = base

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        rewritten = f"{self._base}/{(parts.hostname or '').split('.')[0]}{parts.path}{query}"
        return super().request(method, rewritten, *args, **kwargs)


@dataclass
class Emulator:
    """One running emulator as a test sees it."""

    url: str
    account: Account
    http: httpx.Client

    def client(self, sid: str = ACCOUNT_SID, secret: str = AUTH_TOKEN, account_sid: str | None = None) -> Client:
        return Client(sid, secret, account_sid, http_client=RewritingHttpClient(self.url))

    def control(self, path: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
        """Call a control and return its JSON; GET without a body, POST with one."""
        verb = method or ("GET" if body is None else "POST")
        answer = self.http.request(verb, f"{self.url}/_emulator/{path}", json=body)
        assert answer.status_code < 400, answer.text
        return answer.json()

    def ledger(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.control("ledger")["messages"]
        return messages

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A plain request with the account's credentials to `/api/…`, `/content/…` or `/messaging/…`."""
        return self.http.request(method, self.url + path, **{"auth": (ACCOUNT_SID, AUTH_TOKEN), **options})

    def create_message(self, **form: Any) -> httpx.Response:
        """Create a message by a bare form; To and From are filled in, None leaves a field out."""
        fields = {"To": TO, "From": FROM, **form}
        return self.call("POST", MESSAGES, data={name: value for name, value in fields.items() if value is not None})

    def open_window(self, address: str = PATIENT) -> None:
        self.control("window", {"address": address, "open": True})

    def content(self, client: Client, **fields: Any) -> str:
        """Create content, a one-line reminder unless `fields` say otherwise; its sid."""
        content = client.content.v1.contents.create(
            ContentList.ContentCreateRequest(
                {
                    "friendly_name": "session_reminder",
                    "language": "en",
                    "variables": {"1": "Asha"},
                    "types": {"twilio/text": {"body": "Dear {{1}}, your session is tomorrow."}},
                    **fields,
                }
            )
        )
        return str(content.sid)

    def submit(self, client: Client, sid: str, category: str = "UTILITY") -> None:
        client.content.v1.contents(sid).approval_create.create(
            ApprovalCreateList.ContentApprovalRequest({"name": "session_reminder", "category": category})
        )

    def template(self, client: Client, category: str = "UTILITY", **fields: Any) -> str:
        """Create content, submit it, and have it approved; its sid."""
        sid = self.content(client, **fields)
        self.submit(client, sid, category)
        self.control(f"templates/{sid}/review", {"status": "approved"})
        return sid


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    form: dict[str, str]
    at: float


@dataclass
class Door:
    """The product's stand-in: takes webhooks, remembers them, answers what the test says."""

    url: str
    received: list[Received] = field(default_factory=list)
    media: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)
    """(status, content type, body) by path, for GET."""
    answers: list[tuple[int, str, str]] = field(default_factory=list)
    """(status, content type, body) for the next requests; afterwards 204."""
    delay: float = 0.0

    def heard(self, *statuses: str) -> bool:
        """Whether exactly these statuses came, in whatever order: Twilio promises none."""
        return sorted(self.statuses()) == sorted(statuses)

    def callback(self, status: str) -> "Received":
        return next(request for request in self.received if request.form.get("MessageStatus") == status)

    def statuses(self) -> list[str]:
        return [request.form["MessageStatus"] for request in self.received if "MessageStatus" in request.form]


@contextlib.contextmanager
def open_door() -> Iterator[Door]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content_type, data = door.media[self.path]
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = dict(parse_qsl(body, keep_blank_values=True))
            door.received.append(Received(self.path, dict(self.headers), form, time.monotonic()))
            status, content_type, text = door.answers.pop(0) if door.answers else (204, "text/xml", "")
            time.sleep(door.delay)
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Type", content_type)
                    self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Silence: the tests look at `received`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    door = Door(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield door
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def eventually(look: Callable[[], T], seconds: float = 5.0) -> T:
    """Look until there is something to see; the last look's falsy value fails the test."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.01)
    return seen
