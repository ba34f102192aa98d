"""The door of Twilio's hosts: faults, then credentials, then the endpoint; errors leave in Twilio's shape."""

import asyncio
import contextlib
import hmac
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from local.twilio.connections import Connections
from local.twilio.errors import TwilioError
from local.twilio.faults import Fault
from local.twilio.state import Account
from local.twilio.tasks import Tasks

Endpoint = Callable[[Request], Awaitable[Response]]

HANG_SECONDS = 60.0
LATE_SECONDS = 1.0


class Door:
    def __init__(self, account: Account, tasks: Tasks, connections: Connections) -> None:
        self._account = account
        self._tasks = tasks
        self._connections = connections

    def route(self, method: str, path: str, endpoint: Endpoint, *, creates_message: bool = False) -> Route:
        """A Starlette route whose endpoint is reached through the door."""

        async def guarded(request: Request) -> Response:
            return await self._answer(request, endpoint, creates_message)

        return Route(path, guarded, methods=[method])

    async def _answer(self, request: Request, endpoint: Endpoint, creates_message: bool) -> Response:
        await request.body()  # a fault may let the client go, and the endpoint read what it sent afterwards
        path, form = request.url.path, await _form(request)
        to = form.get("To", request.query_params.get("To"))
        to = to if isinstance(to, str) else None
        fault = self._account.faults.for_request(to, path, creates_message=creates_message)
        told = {"path": path, "to": to, "form": form}

        async def honest() -> Response:
            try:
                self._authenticate(request)
                return await endpoint(request)
            except TwilioError as error:
                return refusal(error)

        if fault is None:
            answer = await honest()
            if answer.status_code >= 400:
                self._account.events.publish("refusal", **told, **_as_seen(answer))
            return answer
        struck = await self._misbehave(fault, honest)
        self._account.events.publish("fault", fault=fault.kind, code=fault.code, **told, **_as_seen(struck))
        if struck is not None:
            return struck
        if fault.kind != "refuse":
            await _silence(fault, request)
        self._connections.reset_connection(request)
        return Response()  # the connection is gone: nobody reads this

    async def _misbehave(self, fault: Fault, honest: Callable[[], Awaitable[Response]]) -> Response | None:
        """The answer that `fault` makes, None if there is to be none. What Twilio would refuse anyway is refused:
        no fault makes a bad request look accepted."""
        match fault.kind:
            case "http_429":
                return refusal(TwilioError(20429))
            case "http_500":
                return refusal(TwilioError(20500))
            case "http_503":
                return refusal(TwilioError(20503))
            case "error":
                return refusal(TwilioError(fault.code or 20500))
            case "accept_then_500":
                return _unless_refused(await honest(), refusal(TwilioError(20500)))
            case "accept_then_hang":
                return _unless_refused(await honest(), None)
            case "accept_late":
                self._tasks.spawn(_later(fault.seconds or LATE_SECONDS, honest))
                return refusal(TwilioError(20500))
            case "truncate":
                answer = await honest()
                return _unless_refused(answer, CutShort(answer))
        return None

    def _authenticate(self, request: Request) -> None:
        """HTTP Basic with the account's sid and either token, or with an API key.

        Raises:
            TwilioError: 20003 for wrong credentials, 20404 for a path under another account.
        """
        scheme, user, password = credentials(request)
        tokens = [self._account.auth_token, self._account.secondary_token]
        accepted = tokens if user == self._account.sid else [self._account.api_keys.get(user)]
        if scheme.lower() != "basic" or not any(
            one and hmac.compare_digest(one.encode(), password.encode()) for one in accepted
        ):
            raise TwilioError(20003)
        if request.path_params.get("account_sid", self._account.sid) != self._account.sid:
            raise TwilioError(20404)


class CutShort(Response):
    """Promises the whole body of `answer` and sends half of it; the server then closes the connection."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.body[: len(answer.body) // 2], answer.status_code)
        self.raw_headers = answer.raw_headers

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})


async def _silence(fault: Fault, request: Request) -> None:
    """Say nothing until the time is up or the client has gone."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(fault.seconds or HANG_SECONDS):
            while (await request.receive())["type"] != "http.disconnect":
                pass


async def _form(request: Request) -> dict[str, Any]:
    """The fields of a form, a list where a name is repeated; nothing if the body is no form."""
    if not request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    form = await request.form()
    return {name: value if len(form.getlist(name)) == 1 else form.getlist(name) for name, value in form.items()}


def _as_seen(answer: Response | None) -> dict[str, Any]:
    """What the client sees of an answer, for watchers."""
    if answer is None:
        return {"http_status": None, "answer": None}
    return {"http_status": answer.status_code, "answer": bytes(answer.body).decode()}


async def _later(seconds: float, honest: Callable[[], Awaitable[Response]]) -> None:
    await asyncio.sleep(seconds)
    await honest()


def credentials(request: Request) -> tuple[str, str, str]:
    """The scheme, user and password of a request.

    Raises:
        TwilioError: 20003 if they cannot be read.
    """
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        user, _, password = b64decode(encoded).decode().partition(":")
    except ValueError:
        raise TwilioError(20003) from None
    return scheme, user, password


async def json_body(request: Request) -> dict[str, Any]:
    """The body of a request to one of Twilio's JSON APIs.

    Raises:
        TwilioError: 20001 if it is no JSON object.
    """
    try:
        body = await request.json()
    except ValueError:
        raise TwilioError(20001, "The request's body is not JSON") from None
    if not isinstance(body, dict):
        raise TwilioError(20001, "The request's body is not a JSON object")
    return body


def _unless_refused(answer: Response, otherwise: Response | None) -> Response | None:
    return answer if answer.status_code >= 400 else otherwise


def refusal(error: TwilioError) -> JSONResponse:
    return JSONResponse(error.body(), error.status)
