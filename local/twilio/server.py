"""The emulator as a server: one Starlette app on one uvicorn, in its own process or on a thread of a test."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from local.twilio.callbacks import Caller
from local.twilio.content import ContentApi
from local.twilio.controls import Controls
from local.twilio.delivery import Delivery
from local.twilio.door import Disconnect, Door, refusal
from local.twilio.errors import TwilioError
from local.twilio.inbound import Inbound
from local.twilio.messages import MessagesApi
from local.twilio.state import Account
from local.twilio.tasks import Tasks

HOST = "127.0.0.1"


def build_app(account: Account, disconnect: Disconnect) -> Starlette:
    """Join the rooms. `disconnect` resets the connection a request came on; only the server can."""
    tasks = Tasks()
    caller = Caller(account.sid, account.auth_token)
    door = Door(account, tasks, disconnect)
    delivery = Delivery(account, caller, tasks)
    contents = ContentApi(account)
    controls = Controls(account, Inbound(account, caller), contents, tasks)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await tasks.cancel_all()
        await caller.close()

    async def not_found(request: Request, _: Exception) -> Response:
        return refusal(TwilioError(20404, f"The requested resource {request.url.path} was not found"))

    return Starlette(
        routes=[*MessagesApi(account, delivery).routes(door), *contents.routes(door), *controls.routes()],
        exception_handlers={404: not_found},
        lifespan=lifespan,
    )


class EmulatorServer(uvicorn.Server):
    """uvicorn that can reset one connection, and that stops at once, whatever streams or hangs."""

    def __init__(self, account: Account, port: int = 0) -> None:
        self.account = account
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((HOST, port))
        app = build_app(account, self._reset_connection)
        super().__init__(
            uvicorn.Config(
                app,
                log_level="critical",
                access_log=False,
                http="h11",
                lifespan="on",
                timeout_graceful_shutdown=1,
            )
        )

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._socket.getsockname()[1]}"

    async def serve_until_stopped(self) -> None:
        await self.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Ask the server to end; safe from any thread and from a signal handler."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.account.events.close()
        for connection in list(self.server_state.connections):
            if connection.transport is not None and not connection.transport.is_closing():
                connection.transport.close()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever started the server: uvicorn would raise them again and end us by force."""
        yield

    def _reset_connection(self, request: Request) -> None:
        """Send TCP RST instead of an answer."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, H11Protocol) and connection.client == tuple(request.client or ()):
                raw = connection.transport.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.transport.abort()


@contextlib.contextmanager
def running(account: Account, port: int = 0) -> Iterator[str]:
    """Run the emulator on a thread and yield its URL; it has stopped when the block ends."""
    server = EmulatorServer(account, port)
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve_until_stopped()), name="twilio-emulator"
    )
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the emulator did not start")
            threading.Event().wait(0.01)
        yield server.url
    finally:
        server.stop()
        thread.join(timeout=5)
