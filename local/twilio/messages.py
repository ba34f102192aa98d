"""Twilio's Messages API: create, fetch, list, update, delete.

Source: https://www.twilio.com/docs/messaging/api/message-resource
"""

import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.twilio.delivery import Delivery
from local.twilio.door import Door
from local.twilio.errors import TwilioError
from local.twilio.paging import Page
from local.twilio.state import API_VERSION, CHANNEL, E164, Account, Content, Message, bare, new_sid, rfc2822
from local.twilio.whatsapp_rules import fill

BODY_LIMIT = 1600
MEDIA_LIMIT = 10
CONTENT_SID = re.compile(r"HX[0-9a-fA-F]{32}")


class MessagesApi:
    def __init__(self, account: Account, delivery: Delivery) -> None:
        self._account = account
        self._delivery = delivery

    def routes(self, door: Door) -> list[Route]:
        messages = f"/api/{API_VERSION}/Accounts/{{account_sid}}/Messages"
        return [
            door.route("POST", f"{messages}.json", self.create, creates_message=True),
            door.route("GET", f"{messages}.json", self.list_messages),
            door.route("GET", f"{messages}/{{sid}}.json", self.fetch),
            door.route("POST", f"{messages}/{{sid}}.json", self.update),
            door.route("DELETE", f"{messages}/{{sid}}.json", self.delete),
        ]

    async def create(self, request: Request) -> Response:
        message = self._accept(await request.form())
        return JSONResponse(self._resource(message), 201)

    async def fetch(self, request: Request) -> Response:
        return JSONResponse(self._resource(self._found(request)))

    async def list_messages(self, request: Request) -> Response:
        query = request.query_params
        chosen = [message for message in reversed(self._listed()) if _selected(message, dict(query))]
        page = Page.of(chosen, lambda message: message.sid, query)
        uri = f"/{API_VERSION}/Accounts/{self._account.sid}/Messages.json"
        return JSONResponse(
            page.as_2010("messages", [self._resource(message) for message in page.items], uri)
        )

    async def update(self, request: Request) -> Response:
        """Redact (`Body=""`) or cancel (`Status=canceled`)."""
        message, form = self._found(request), await request.form()
        if form.get("Status") == "canceled":
            if message.status not in ("accepted", "scheduled", "queued"):
                raise TwilioError(20001, "The message can no longer be canceled")
            self._delivery.set_status(message, "canceled")
        if form.get("Body") == "":
            message.body, message.updated = "", datetime.now(UTC)
        return JSONResponse(self._resource(message))

    async def delete(self, request: Request) -> Response:
        self._found(request).deleted = True
        return Response(status_code=204)

    def _found(self, request: Request) -> Message:
        message = self._account.message(request.path_params["sid"])
        if message is None:
            raise TwilioError(
                20404, f"The requested resource {request.url.path.removeprefix('/api')} was not found"
            )
        return message

    def _listed(self) -> list[Message]:
        return [message for message in self._account.messages.values() if not message.deleted]

    def _accept(self, form: FormData) -> Message:
        """Check a create request and enter it in the ledger.

        Raises:
            TwilioError: the request is refused, and nothing was accepted.
        """
        to, sender = self._addresses(form)
        content = self._content(form)
        variables = _variables(form, content)
        body = "" if content else _body(form)
        message = Message(
            sid=new_sid("SM"),
            direction="outbound-api",
            to=to,
            from_=sender,
            body=body,
            status="queued",
            content_sid=content.sid if content else None,
            content_variables=_text(form, "ContentVariables") or None,
            status_callback=_status_callback(form),
            rendered=_rendered(content, variables, body),
        )
        self._account.accept(message)
        self._delivery.start(message)
        return message

    def _addresses(self, form: FormData) -> tuple[str, str]:
        to, sender = _text(form, "To"), _text(form, "From")
        if not to:
            raise TwilioError(21604)
        if not sender:
            raise TwilioError(21603)
        if to.startswith(CHANNEL) != sender.startswith(CHANNEL):
            raise TwilioError(21910)
        if not E164.fullmatch(bare(to)):
            raise TwilioError(21211, f"The 'To' number {to} is not a valid phone number.")
        if bare(sender) not in self._account.senders:
            raise TwilioError(63007)
        return to, sender

    def _content(self, form: FormData) -> Content | None:
        sid = _text(form, "ContentSid")
        if not sid:
            if _text(form, "ContentVariables"):
                raise TwilioError(21654)
            return None
        content = self._account.contents.get(sid)
        if not CONTENT_SID.fullmatch(sid) or content is None:
            raise TwilioError(21655)
        return content

    def _resource(self, message: Message) -> dict[str, Any]:
        uri = f"/{API_VERSION}/Accounts/{self._account.sid}/Messages/{message.sid}"
        return {
            "account_sid": self._account.sid,
            "api_version": API_VERSION,
            "body": message.body,
            "date_created": rfc2822(message.created),
            "date_sent": rfc2822(message.sent),
            "date_updated": rfc2822(message.updated),
            "direction": message.direction,
            "error_code": message.error_code,
            "error_message": message.error_message,
            "from": message.from_,
            "messaging_service_sid": message.messaging_service_sid,
            "num_media": str(len(message.media) + len(message.media_urls)),
            "num_segments": "1",
            "price": None,
            "price_unit": None,
            "sid": message.sid,
            "status": message.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": message.to,
            "uri": f"{uri}.json",
        }


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _body(form: FormData) -> str:
    body = _text(form, "Body")
    if not body:
        raise TwilioError(21602)
    if len(body) > BODY_LIMIT:
        raise TwilioError(21617)
    return body


def _variables(form: FormData, content: Content | None) -> dict[str, str]:
    """The template's variables: the samples stored with it, overridden by what was sent."""
    text = _text(form, "ContentVariables") or "{}"
    try:
        given = json.loads(text)
    except ValueError:
        raise TwilioError(21656) from None
    if not isinstance(given, dict) or not all(isinstance(value, str) and value for value in given.values()):
        raise TwilioError(21656)
    return (content.variables if content else {}) | given


def _status_callback(form: FormData) -> str | None:
    url = _text(form, "StatusCallback")
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "_" in parts.hostname:
        raise TwilioError(21609, f"The 'StatusCallback' URL {url} is not a valid URL.")
    return url


def _rendered(content: Content | None, variables: dict[str, str], body: str) -> dict[str, Any]:
    if content is None:
        return {"type": "twilio/text", "body": body}
    kind, layout = next(iter(content.types.items()))
    return {"type": kind, **fill(layout, variables)}


def _selected(message: Message, query: dict[str, str]) -> bool:
    return query.get("To", message.to) == message.to and query.get("From", message.from_) == message.from_
