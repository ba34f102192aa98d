"""The phone page's server: static files, the state, the stream and the actions, on 127.0.0.1 only.

with serving(stack.describe(), port=0) as phone:
    print(phone.url)
"""

import asyncio
import contextlib
import json
import logging
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from botocore.exceptions import BotoCoreError, ClientError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from whatsapp.domain.sending.twilio_codes import ROWS
from whatsapp.domain.templates.catalog import DIRECTORY

from local.aws import client
from local.guard import HOST, Names
from local.http import ONE_EACH
from local.phone.actions import Actions, Refused
from local.phone.health import Health
from local.phone.hub import Hub
from local.phone.plumbing import LogWatcher, QueueWatcher, take_pulse
from local.phone.records import Records
from local.phone.watchers import BusWatcher, TwilioWatcher
from local.phone.wording import watch
from local.phone.world import World
from local.processes import ServerError

STATIC = Path(__file__).parent / "static"
SCHEDULES_EVERY_S = 3.0
_log = logging.getLogger(__name__)


class Phone:
    """One page server for one running stack, described as in stack.json."""

    def __init__(
        self,
        stack: dict[str, Any],
        port: int = 0,
        *,
        schedules: bool = True,
        catalog: Path = DIRECTORY,
        kept: dict[str, Any] | None = None,
    ) -> None:
        self.stack = stack
        self._kept = kept or {}
        self._catalog = catalog
        self._schedules = schedules
        self._socket = _listen(port)
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}/"
        self.server: uvicorn.Server | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.hub: Hub
        self.world: World

    def aws(self, service: str) -> Any:
        """A client of the stack's embedded AWS."""
        return client(service, self.stack["aws_endpoint"])

    async def serve(self) -> None:
        """Serve until `stop`."""
        self.loop = asyncio.get_running_loop()
        self.hub = Hub()
        self.world = World(self.hub)
        self.world.take_up(self._kept)
        config = uvicorn.Config(
            self._app(), log_level="critical", access_log=False, lifespan="on", timeout_graceful_shutdown=1
        )
        self.server = _Server(config, self.hub)
        await self.server.serve(sockets=[self._socket])

    def tell_end(self, reason: str) -> None:
        """Let every open page say why the stack has ended; safe from any thread."""
        if self.loop:
            self.loop.call_soon_threadsafe(self.world.put, "status", "ended", {"reason": reason})

    def stop(self) -> None:
        """Ask the server to end; safe from any thread."""
        if self.server:
            self.server.should_exit = True

    def _app(self) -> Starlette:
        controls = f"{self.stack['twilio_url']}/_emulator/"
        twilio = httpx.AsyncClient(base_url=controls, trust_env=False, timeout=30, limits=ONE_EACH)
        actions = Actions(self.world, self.aws, self.stack, twilio, self._catalog)
        self._catalog_view = actions.catalog_view

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            tasks = [
                asyncio.ensure_future(_forever(name, follow)) for name, follow in await self._parts(actions, twilio)
            ]
            yield
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await twilio.aclose()

        return Starlette(
            routes=[
                Route("/", self._page),
                Route("/api/state", self._state),
                Route("/api/stream", self._stream),
                *actions.routes(),
                Mount("/static", StaticFiles(directory=STATIC)),
            ],
            middleware=[Middleware(Guard, port=self._socket.getsockname()[1])],
            lifespan=lifespan,
        )

    async def _parts(
        self, actions: Actions, twilio: httpx.AsyncClient
    ) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        """Everything that runs beside the server: watchers, the health count, the schedules."""
        outputs = self.stack["outputs"]
        tables = outputs["MessagesTableName"], outputs["ContactsTableName"]
        records = Records(self.world, self.aws("dynamodb"), *tables)
        bus = await asyncio.to_thread(BusWatcher, self.world, records, self.aws, outputs)
        health = Health(self.world, await asyncio.to_thread(self._rate_limit))
        parts: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("twilio", TwilioWatcher(self.world, records, twilio).follow),
            ("records", records.follow),
            ("bus", bus.follow),
            ("queues", QueueWatcher(self.world, self.aws("sqs"), outputs).follow),
            ("logs", LogWatcher(self.world, records, self.aws("logs"), outputs).follow),
            ("health", lambda: _every(2, lambda: _now(health.count))),
            ("wording", lambda: watch(self.world, self._catalog)),
            ("pulse", lambda: _every(1, lambda: take_pulse(self.world, self.stack))),
        ]
        if self._schedules:
            parts += [
                (task, lambda task=task: _every(SCHEDULES_EVERY_S, lambda: actions.run_task(task)))  # type: ignore[misc]
                for task in ("sweep", "publish")
            ]
        return parts

    def _rate_limit(self) -> int:
        name = self.stack["outputs"]["SendFunctionName"]
        variables = self.aws("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        limit = int(variables["RATE_LIMIT_SECONDS"])
        self.world.put("status", "stack", {
            "rate_limit_s": limit, "default_agent": variables["DEFAULT_AGENT"], "from": self.stack["from_address"],
            "aws_endpoint": self.stack["aws_endpoint"], "region": self.stack["region"],
            "api_url": self.stack["api_url"], "outputs": self.stack["outputs"],
        })  # fmt: skip
        return limit

    async def _page(self, _: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        html = (STATIC / "index.html").read_text("utf-8").replace("NONCE", nonce)
        policy = (
            f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; "
            "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return HTMLResponse(html, headers={"Content-Security-Policy": policy})

    async def _state(self, _: Request) -> Response:
        meanings = {str(code): row.meaning for code, row in ROWS.items()}
        return _Json({**self.world.snapshot(), "catalog": self._catalog_view(), "codes": meanings})

    async def _stream(self, request: Request) -> Response:
        last_id = request.headers.get("Last-Event-ID") or request.query_params.get("last_id", "")
        return StreamingResponse(self.hub.stream(last_id), media_type="text/event-stream")


class _Json(JSONResponse):
    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


class Guard:
    """Answers only pages of its own origin: another site's page, or a name rebound to 127.0.0.1, gets 403."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._names = Names(port)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let an ordinary request pass, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        origin, changes = request.headers.get("origin"), request.method not in {"GET", "HEAD"}
        if not self._names.are_meant(request.headers):
            await Response("wrong Host or Origin", 403)(scope, receive, send)
        elif changes and (not origin or "application/json" not in request.headers.get("content-type", "")):
            await Response("send JSON, from the page itself", 403)(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send))


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Any) -> None:
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message["headers"]}
            extra = {b"cache-control": b"no-store", b"x-content-type-options": b"nosniff",
                     b"referrer-policy": b"no-referrer", b"cross-origin-resource-policy": b"same-origin"}  # fmt: skip
            message["headers"] = [*message["headers"], *((n, v) for n, v in extra.items() if n not in names)]
        await send(message)

    return send_with_headers


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to us, and ends its streams before it waits for them."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.close()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _forever(name: str, follow: Callable[[], Awaitable[None]]) -> None:
    """Run a part; if it fails, say so and begin again after a second: the page must not go blind."""
    while True:
        try:
            await follow()
        except (BotoCoreError, ClientError, httpx.HTTPError, Refused):
            await asyncio.sleep(1)  # the stack is starting, stopping or busy
        except Exception:  # noqa: BLE001 - a bug in one part must not stop the others, and must be seen
            _log.exception("the phone page's part %s failed", name)
            await asyncio.sleep(1)


async def _every(seconds: float, act: Callable[[], Awaitable[Any]]) -> None:
    while True:
        await act()
        await asyncio.sleep(seconds)


async def _now(act: Callable[[], None]) -> None:
    act()


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    return listener


@contextlib.contextmanager
def serving(
    stack: dict[str, Any],
    port: int = 0,
    *,
    schedules: bool = True,
    catalog: Path = DIRECTORY,
    kept: dict[str, Any] | None = None,
) -> Iterator[Phone]:
    """Serve the page from a thread for as long as the block lasts.

    Args:
        stack: what stack.json says.
        port: 0 takes a free one.
        schedules: run the functions' sweeps every few seconds, so that nobody waits a minute for them.
        catalog: where the templates' files lie that "Sync the catalog" brings along.
        kept: what `World.kept` said at the end of an earlier run.

    Raises:
        ServerError: it did not start, or the port is not to be had.
    """
    try:
        phone = Phone(stack, port, schedules=schedules, catalog=catalog, kept=kept)
    except OSError as error:
        raise ServerError(f"the phone page cannot have port {port}: {error.strerror}") from error
    thread = threading.Thread(target=asyncio.run, args=(phone.serve(),), name="phone-page")
    thread.start()
    try:
        while not (phone.server and phone.server.started):
            if not thread.is_alive():
                raise ServerError("the phone page did not start")
            threading.Event().wait(0.01)
        yield phone
    finally:
        phone.stop()
        thread.join(timeout=10)
