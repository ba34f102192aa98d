"""Media of messages: kept behind credentials, and handed out by another host that must not see them.

Source: https://www.twilio.com/docs/messaging/api/media-resource
"""

from secrets import token_urlsafe
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from local.twilio.door import Door
from local.twilio.errors import TwilioError
from local.twilio.paging import Page
from local.twilio.state import API_VERSION, Account, Medium, Message, epoch_ms, rfc2822


class MediaApi:
    """`media_host` is the base URL of the second host: another port is another origin to HTTP clients."""

    def __init__(self, account: Account, media_host: str) -> None:
        self._account = account
        self._media_host = media_host
        self._tickets: dict[str, Medium] = {}
        """Media by the unguessable part of the URL that a redirect hands out."""

    def routes(self, door: Door) -> list[Route]:
        media = f"/api/{API_VERSION}/Accounts/{{account_sid}}/Messages/{{message_sid}}/Media"
        return [
            door.route("GET", f"{media}.json", self.list_media),
            door.route("GET", f"{media}/{{sid}}.json", self.fetch),
            door.route("DELETE", f"{media}/{{sid}}.json", self.delete),
            door.route("GET", f"{media}/{{sid}}", self.redirect),
            door.route("DELETE", f"{media}/{{sid}}", self.delete),
            Route("/media/{ticket}", self.hand_out, methods=["GET"]),
        ]

    async def list_media(self, request: Request) -> Response:
        message = self._message(request)
        page = Page.of(
            message.media, lambda medium: medium.sid, request.query_params, lambda medium: not medium.deleted
        )
        uri = f"{self._uri(message)}.json"
        return JSONResponse(page.as_2010("media_list", [self._resource(message, medium) for medium in page.items], uri))

    async def fetch(self, request: Request) -> Response:
        message, medium = self._found(request)
        return JSONResponse(self._resource(message, medium))

    async def delete(self, request: Request) -> Response:
        message, medium = self._found(request)
        medium.deleted = True
        self._account.tell(message)
        return Response(status_code=204)

    async def redirect(self, request: Request) -> Response:
        _, medium = self._found(request)
        ticket = token_urlsafe(16)
        self._tickets[ticket] = medium
        return RedirectResponse(f"{self._media_host}/media/{ticket}", 307)

    async def hand_out(self, request: Request) -> Response:
        """The other host's answer. Whoever shows it credentials has leaked them, and the state says so."""
        medium = self._tickets.get(request.path_params["ticket"])
        leaked = "Authorization" in request.headers
        sid = medium.sid if medium else None
        self._account.media_requests.append({"sid": sid, "credentials_leaked": leaked, "at": epoch_ms()})
        self._account.events.publish("media_request", **self._account.media_requests[-1])
        if medium is None:
            return Response("Not found", 404)
        return Response(medium.data, media_type=medium.content_type)

    def _message(self, request: Request) -> Message:
        message = self._account.messages.get(request.path_params["message_sid"])
        if message is None:
            raise TwilioError.not_found(request.url.path)
        return message

    def _found(self, request: Request) -> tuple[Message, Medium]:
        message, sid = self._message(request), request.path_params["sid"]
        medium = next((medium for medium in message.media_kept if medium.sid == sid), None)
        if medium is None:
            raise TwilioError.not_found(request.url.path)
        return message, medium

    def _uri(self, message: Message) -> str:
        return f"/{API_VERSION}/Accounts/{self._account.sid}/Messages/{message.sid}/Media"

    def _resource(self, message: Message, medium: Medium) -> dict[str, Any]:
        return {
            "account_sid": self._account.sid,
            "content_type": medium.content_type,
            "date_created": rfc2822(medium.created),
            "date_updated": rfc2822(medium.created),
            "parent_sid": message.sid,
            "sid": medium.sid,
            "uri": f"{self._uri(message)}/{medium.sid}.json",
        }
