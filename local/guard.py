"""Stands before our servers on 127.0.0.1, where any web page that is open in a browser can send requests."""

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

HOST = "127.0.0.1"


class Names:
    """Under which names a server of ours is asked by those it is meant for."""

    def __init__(self, port: int) -> None:
        self._hosts = {f"{HOST}:{port}", f"localhost:{port}"}
        self._origins = {f"http://{host}" for host in self._hosts}

    def are_meant(self, headers: Headers) -> bool:
        """False for a page of another origin, and for a name of another's that leads to 127.0.0.1."""
        origin = headers.get("origin")
        return headers.get("host") in self._hosts and (not origin or origin in self._origins)


class NoForeignPages:
    """An ASGI app that no web page but its own can call: others get 403, by whatever request.

    A page sends an `Origin` with all that may change something by the web's own rules; but the embedded AWS takes
    `GET /?Action=…` too, as an image's address. Such a request is told by its `Sec-Fetch-Site`.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._names = Names(port)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let pass what is no foreign page's."""
        if scope["type"] in ("http", "websocket"):
            headers = Headers(scope=scope)
            site = headers.get("sec-fetch-site", "none")
            if not self._names.are_meant(headers) or site not in ("none", "same-origin"):
                if scope["type"] == "websocket":
                    await send({"type": "websocket.close"})
                else:
                    await Response("wrong Host or Origin", 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)
