"""The emulator as a server: one Starlette app on one uvicorn, in its own process or on a thread of a test."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from local.twilio.accounts import AccountsApi
from local.twilio.callbacks import Caller
from local.twilio.connections import Connections
from local.twilio.content import ContentApi
from local.twilio.controls import Controls
from local.twilio.delivery import Delivery
from local.twilio.door import Door, refusal
from local.twilio.errors import TwilioError
from local.twilio.inbound import Inbound
from local.twilio.media import MediaApi
from local.twilio.messages import MessagesApi
from local.twilio.senders import SendersApi
from local.twilio.state import Account
from local.twilio.tasks import Tasks
from local.twilio.webhooks import Webhooks

HOST = "127.0.0.1"


def build_app(account: Account, connections: Connections, media_host: str) -> Starlette:
    """Join the rooms. `media_host` is the base URL that media redirect to: another origin than Twilio's."""
    tasks = Tasks()
    caller = Caller(lambda: account.shared_key or account.auth_token)
    webhooks = Webhooks(account, caller)
    delivery = Delivery(account, webhooks, caller, tasks)
    inbound = Inbound(account, webhooks, delivery)
    contents = ContentApi(account)
    door = Door(account, tasks, connections)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await tasks.cancel_all()
        await caller.close()

    async def not_found(request: Request, _: Exception) -> Response:
        return refusal(TwilioError.not_found(request.url.path))

    async def wrong_method(_: Request, __: Exception) -> Response:
        return refusal(TwilioError(20004))

    return Starlette(
        routes=[
            *MessagesApi(account, delivery).routes(door),
            *MediaApi(account, media_host).routes(door),
            *contents.routes(door),
            *SendersApi(account, caller).routes(door),
            *AccountsApi(account).routes(door),
            *Controls(account, inbound, contents, delivery, tasks, connections).routes(),
        ],
        exception_handlers={404: not_found, 405: wrong_method},
        # A page on the web must not reach the controls by a name that leads to 127.0.0.1.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])],
        lifespan=lifespan,
    )


class EmulatorServer(uvicorn.Server):
    """uvicorn that can reset and refuse connections, and that stops at once, whatever streams or hangs.

    It listens twice: on `url` as Twilio and its controls, on `media_host` as the host that media redirect to.
    """

    def __init__(self, account: Account, port: int = 0) -> None:
        self.account = account
        self._twilio, self._media = _listen(port), _listen(0)
        self._port = self._twilio.getsockname()[1]
        self.url = f"http://{HOST}:{self._port}"
        self.media_host = f"http://{HOST}:{self._media.getsockname()[1]}"
        app = build_app(account, self, self.media_host)
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                log_level="critical",
                access_log=False,
                lifespan="on",
                timeout_graceful_shutdown=0,
            )
        )

    async def serve_until_stopped(self) -> None:
        await self.serve(sockets=[self._twilio, self._media])

    def stop(self) -> None:
        """Ask the server to end; safe from any thread and from a signal handler."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.account.events.close()
        for connection in self._connections():
            connection.transport.close()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever started the server: uvicorn would raise them again and end us by force."""
        yield

    def reset_connection(self, request: Request) -> None:
        for connection in self._connections():
            if connection.client == tuple(request.client or ()):
                raw = connection.transport.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.transport.abort()

    def stop_listening(self) -> None:
        self.servers[0].close()
        for connection in self._connections():
            connection.shutdown()  # after its answer, so that nobody goes on with a connection kept from before

    async def listen_again(self) -> None:
        if not self.should_exit:
            self._twilio = _listen(self._port)
            self.servers[0] = await asyncio.get_running_loop().create_server(self._protocol, sock=self._twilio)

    def _protocol(self) -> asyncio.Protocol:
        return H11Protocol(self.config, self.server_state, self.lifespan.state, asyncio.get_running_loop())

    def _connections(self) -> list[H11Protocol]:
        return [each for each in self.server_state.connections if isinstance(each, H11Protocol)]


def _listen(port: int) -> socket.socket:
    # With the protocol left open asyncio would not set TCP_NODELAY, and every answer would take 40 ms more.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    return listener


@contextlib.contextmanager
def running(account: Account, port: int = 0) -> Iterator[EmulatorServer]:
    """Run the emulator on a thread; it has stopped when the block ends.

    Raises:
        RuntimeError: it did not start.
    """
    server = EmulatorServer(account, port)
    thread = threading.Thread(target=asyncio.run, args=(server.serve_until_stopped(),), name="twilio-emulator")
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the emulator did not start")
            threading.Event().wait(0.01)
        yield server
    finally:
        server.stop()
        thread.join(timeout=5)
