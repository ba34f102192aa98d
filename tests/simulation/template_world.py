"""A world for the template sync: the emulator's reviewer and MiniStack's DynamoDB in process, and a clock to turn.

The product's own adapters run, with Twilio's SDK and boto3 below them. Every call to the outside passes `World.gate`,
where a test lets the sync die or another one come in between.
"""

import asyncio
import json
import re
from base64 import b64encode
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client
from urllib3.exceptions import ProtocolError
from whatsapp.adapters.twilio.content import TwilioContent
from whatsapp.domain.events import Event, TemplateStatusChanged
from whatsapp.domain.ports import Deadline, PublishFailed
from whatsapp.domain.sending.message import Message
from whatsapp.domain.templates.catalog import Catalog
from whatsapp.domain.templates.template import QuickReply, Template, Wording
from whatsapp.domain.templates.variables import Variable
from whatsapp.domain.templates.version import TemplateVersion, serving_version
from whatsapp.use_cases.sync_templates import SyncResult

from local.twilio.content import ContentApi
from local.twilio.door import Door
from local.twilio.faults import Fault
from local.twilio.state import Account
from local.twilio.state import Content as AtTwilio
from local.twilio.tasks import Tasks
from tests.app import SETTINGS, UnitApp
from tests.simulation import dynamodb, tables

ACCOUNT_SID, AUTH_TOKEN = "AC" + "1" * 32, "a" * 32
START = 1_795_340_000_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


class Died(BaseException):
    """The sandbox is gone, in the middle of whatever it did. Nothing catches it."""


class TestClock:
    """Time goes on by a millisecond a look, and by leaps when told."""

    __test__ = False

    def __init__(self) -> None:
        self.at = START

    def now(self) -> int:
        self.at += 1
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += int(seconds * 1000)


class Edition(Catalog):
    """A catalog that is not in files."""

    def __init__(self, templates: Sequence[Template]) -> None:
        self._templates = {template.name: template for template in templates}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._templates))

    @cache  # noqa: B019 - as the method that it overrides
    def get(self, name: str) -> Template:
        return self._templates[name]


def template(name: str, languages: Mapping[str, str], *, category: str = "UTILITY", buttons: bool = False) -> Template:
    """A template with one variable, `who`, and a body for each language that names it."""
    replies = (QuickReply("Fine, thanks", "agent:mood:score:3"),) if buttons else ()
    who = Variable(name="who", type="name", description="", samples=dict.fromkeys(languages, "Asha"), max_length=40)
    return Template(
        name=name, purpose="", agent="mood", category=category,  # type: ignore[arg-type]  # the tests give its values
        default_language=next(iter(languages)), languages={tag: Wording(b, replies) for tag, b in languages.items()},
        variables={"who": who}, expires_after=None, quiet_hours_exempt=False, on_unknown="hold", free_form=False,
    )  # fmt: skip


@dataclass
class Listeners:
    """The bus, the alert topic and the metrics. `broken` makes the first two refuse."""

    broken: bool = False
    events: list[TemplateStatusChanged] = field(default_factory=list)
    alerts: list[tuple[TemplateVersion, str, TemplateVersion | None]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def publish(self, events: Sequence[Event]) -> None:
        if self.broken:
            raise PublishFailed("broken")
        self.events.extend(event for event in events if isinstance(event, TemplateStatusChanged))

    def about_template(self, version: TemplateVersion, change: str, serving: TemplateVersion | None) -> None:
        if self.broken:
            raise PublishFailed("broken")
        self.alerts.append((version, change, serving))

    def about(self, message: Message) -> None:
        raise AssertionError("no message is sent here")

    def unreadable(self, queue_message_id: str, error: Exception) -> None:
        raise AssertionError("no queue is worked here")

    def count(self, name: str, value: int = 1) -> None:
        self.counts[name] = value

    def count_at(self, at: int, values: object, **dimensions: str) -> None:
        raise AssertionError("a sync counts nothing of the whole stack")

    @property
    def alerted(self) -> list[str]:
        """`rejected hi`, in order."""
        return [f"{change} {version.language}" for version, change, _ in self.alerts]

    @property
    def heard(self) -> list[str]:
        """`approved hi`, in order."""
        return [f"{event.status} {event.language}" for event in self.events]


class LateRequests(Tasks):
    """What Twilio does long after its answer: it waits here until it is let through."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[Coroutine[Any, Any, None]] = []

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._waiting.append(work)

    def let_through(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            loop.run_until_complete(self._waiting.pop(0))

    def forget(self) -> None:
        for work in self._waiting:
            work.close()


class TwilioInProcess(HttpClient):  # type: ignore[misc]  # the SDK is untyped
    """The SDK's way to the emulator's Content API, without a socket. Hangs take no time."""

    def __init__(self, account: Account, gate: Callable[[str], None]) -> None:
        super().__init__(None, False, None)
        self._loop = asyncio.new_event_loop()
        self.api = ContentApi(account)
        self._late = LateRequests()
        self._app = Starlette(routes=self.api.routes(Door(account, self._late, self)))
        self._gate = gate
        self._reset = False

    def close(self) -> None:
        self._late.forget()
        self._loop.close()

    def reset_connection(self, request: Request) -> None:
        self._reset = True

    async def refuse_connections(self, seconds: float) -> None:
        raise AssertionError("no port to close here")

    def let_late_requests_arrive(self) -> None:
        self._late.let_through(self._loop)

    def request(
        self,
        method: str,
        url: str,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        auth: tuple[str, str] | None = None,
        timeout: Any = None,
        allow_redirects: bool = False,
    ) -> Response:
        path = urlsplit(url).path
        self._gate(f"{method} {path}")
        body = json.dumps(data).encode() if data is not None else b""
        query = urlencode({k: v for k, v in (params or {}).items() if v is not None}) or urlsplit(url).query
        answer = self._loop.run_until_complete(self._exchange(method, f"/content{path}", query, body, auth or ("", "")))
        self._gate(f"{method} {path} done")
        return answer

    async def _exchange(self, method: str, path: str, query: str, body: bytes, auth: tuple[str, str]) -> Response:
        basic = b64encode(":".join(auth).encode())
        self._reset = False
        asked, sent = 0, []

        async def receive() -> dict[str, Any]:
            nonlocal asked
            asked += 1
            if asked > 1:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(),
            "root_path": "", "scheme": "http", "query_string": query.encode(), "server": ("twilio", 80),
            "client": ("us", 1),
            "headers": [(b"authorization", b"Basic " + basic), (b"content-type", b"application/json")],
        }  # fmt: skip
        await self._app(scope, receive, send)
        if asked > 1:
            raise ProtocolError("no answer in time")
        if self._reset or sent[-1].get("more_body"):
            raise ProtocolError("the connection broke off")
        text = b"".join(message.get("body", b"") for message in sent).decode()
        return Response(sent[0]["status"], text)


@dataclass(frozen=True)
class SyncApp(UnitApp):
    """The product on a catalog of the test's own, over the emulator's Content API."""

    catalog: Any = None
    content: Any = None


class World:
    """Everything around the sync."""

    def __init__(self) -> None:
        self.clock = TestClock()
        self.account = Account(ACCOUNT_SID, AUTH_TOKEN, ["+14155550100"])
        self.listeners = Listeners()
        self.calls: list[str] = []
        self.strikes: list[tuple[str, str, dict[str, Any]]] = []
        self.on_call: Callable[[int, str], None] | None = None
        """Given the number and name of each call to the outside; it may raise `Died` or run another sync."""
        self._http = TwilioInProcess(self.account, self.gate)
        self._tables = dynamodb.new_tables()
        twilio = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=self._http)
        self.gateway = TwilioContent(lambda: twilio)
        self._dynamodb_client = dynamodb.Client(self._dynamodb)
        self.catalog = Edition([])
        self.store = self.app().templates

    def close(self) -> None:
        self._http.close()

    def app(self) -> SyncApp:
        """The product with the catalog as it is now."""
        return SyncApp(
            replace(SETTINGS, templates_table="templates"),
            self._dynamodb_client,
            clock=self.clock,
            bus=self.listeners,
            alerts=self.listeners,
            metrics=self.listeners,
            content=self.gateway,
            catalog=self.catalog,
        )

    def sync(self, *, dry_run: bool = False, recreate: bool = False, seconds: float = 120) -> SyncResult:
        """One whole sync."""
        deadline = Deadline(self.clock.at + int(seconds * 1000))
        return self.app().sync_templates(deadline, dry_run=dry_run, recreate=recreate)

    def gate(self, name: str) -> None:
        """One end of a call to the outside."""
        self.calls.append(name)
        if strike := next((strike for strike in self.strikes if re.fullmatch(strike[0], name)), None):
            self.strikes.remove(strike)
            self.fault(strike[1], name.split(" ")[1], **strike[2])
        if hook := self.on_call:
            self.on_call = None  # what the hook itself calls is not counted
            hook(len(self.calls), name)
            self.on_call = self.on_call or hook

    def wait(self, milliseconds: int) -> None:
        """Let time pass; what came late to Twilio has come."""
        self._http.let_late_requests_arrive()
        self.clock.at += milliseconds

    def strike(self, call: str, kind: str, **fields: Any) -> None:
        """The next call of this kind goes wrong; `call` is a pattern of its method and path."""
        self.strikes.append((call, kind, fields))

    def fault(self, kind: str, path: str = "/content/", times: int = 1, **fields: Any) -> None:
        """The next `times` requests to a path that holds `path` go wrong."""
        body = {"kind": kind, "times": times, "match": {"path": path}, **fields}
        if kind != "refuse":  # with a time it would close the port
            body["seconds"] = 0.001
        self.account.faults.active.append(Fault.from_json(body))

    def review(self, content_sid: str, status: str, reason: str = "", category: str = "") -> None:
        """WhatsApp decides."""
        self._http.api.review(content_sid, {"status": status, "reason": reason, "category": category})

    def review_all(self, status: str = "approved") -> None:
        """WhatsApp decides about all that waits."""
        for content in self.contents():
            if content.approval.status in ("received", "pending"):
                self.review(content.sid, status, "TAG_CONTENT_MISMATCH")

    def contents(self) -> list[AtTwilio]:
        """What is at Twilio."""
        return list(self.account.contents.values())

    def serving(self, name: str, language: str) -> TemplateVersion | None:
        """What a send would take."""
        return serving_version(self.catalog.get(name), language, self.store.versions(name))

    def version(self, name: str, language: str) -> TemplateVersion:
        """The record of the catalog's present wording."""
        wanted = self.catalog.get(name).version(language)
        return next(version for version in self.store.versions(name) if version.version == wanted)

    def _dynamodb(self, operation: str, request: tables.Request) -> tables.Answer:
        self.gate(operation)
        answer = self._tables.ask(operation, request)
        self.gate(f"{operation} done")
        return answer
