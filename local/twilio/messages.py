"""Twilio's Messages API: create, fetch, list, update, delete.

Source: https://www.twilio.com/docs/messaging/api/message-resource
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.twilio.create_request import CreateRequest
from local.twilio.delivery import Delivery
from local.twilio.door import Door
from local.twilio.errors import TwilioError
from local.twilio.paging import Page
from local.twilio.state import API_VERSION, Account, Message, new_sid, now, rfc2822

CANCELABLE = ("accepted", "scheduled", "queued")


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
        self._throttle()
        create = CreateRequest.read(self._account, await request.form())
        message = Message(
            sid=new_sid("MM" if create.media_urls else "SM"),
            direction="outbound-api",
            to=create.to,
            from_=create.sender,
            body=create.body,
            status=create.initial_status,
            content_sid=create.content.sid if create.content else None,
            content_variables=create.content_variables,
            messaging_service_sid=create.messaging_service_sid,
            sender_named=create.sender_named,
            status_callback=create.status_callback,
            media_urls=create.media_urls,
            send_at=create.send_at,
            rendered=create.rendered(),
            variables=create.variables,
        )
        self._account.accept(message)
        self._delivery.start(message)
        return JSONResponse(self._resource(message), 201)

    async def fetch(self, request: Request) -> Response:
        return JSONResponse(self._resource(self._found(request)))

    async def list_messages(self, request: Request) -> Response:
        query = request.query_params
        lag = self._account.faults.for_list(query.get("To"))
        newest = now() - timedelta(seconds=(lag.seconds or 0) if lag else 0)

        def listed(message: Message) -> bool:
            return not message.deleted and message.created <= newest and _selected(message, query)

        newest_first = list(reversed(self._account.messages.values()))
        page = Page.of(newest_first, lambda message: message.sid, query, listed)
        uri = f"/{API_VERSION}/Accounts/{self._account.sid}/Messages.json"
        return JSONResponse(page.as_2010("messages", [self._resource(each) for each in page.items], uri))

    async def update(self, request: Request) -> Response:
        """Redact (`Body=""`) or cancel (`Status=canceled`)."""
        message, form = self._found(request), await request.form()
        if form.get("Status") == "canceled":
            if message.status not in CANCELABLE:
                raise TwilioError(20001, "The message can no longer be canceled")
            self._delivery.set_status(message, "canceled")
        if form.get("Body") == "":
            message.body, message.updated = "", now()
            self._account.tell(message)
        return JSONResponse(self._resource(message))

    async def delete(self, request: Request) -> Response:
        message = self._found(request)
        message.deleted = True
        self._account.tell(message)
        return Response(status_code=204)

    def _throttle(self) -> None:
        """Refuse what is over the limits that `configure` sets.

        Raises:
            TwilioError: 20429 or 63038.
        """
        settings = self._account.settings
        for limit, span, code in (
            (settings.messages_per_second, timedelta(seconds=1), 20429),
            (settings.messages_per_day, timedelta(days=1), 63038),
        ):
            if limit is not None and len(self._account.accepted_within(span)) >= limit:
                raise TwilioError(code)

    def _found(self, request: Request) -> Message:
        message = self._account.messages.get(request.path_params["sid"])
        if message is None or message.deleted:
            raise TwilioError.not_found(request.url.path)
        return message

    def _resource(self, message: Message) -> dict[str, Any]:
        uri = f"/{API_VERSION}/Accounts/{self._account.sid}/Messages/{message.sid}"
        undecided = not message.sender_named and message.status in ("accepted", "scheduled")
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
            "from": None if undecided else message.from_,
            "messaging_service_sid": message.messaging_service_sid,
            "num_media": str(len(message.media_urls or message.media_kept)),
            "num_segments": "1",
            "price": None,
            "price_unit": None,
            "sid": message.sid,
            "status": message.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": message.to,
            "uri": f"{uri}.json",
        }


def _selected(message: Message, query: QueryParams) -> bool:
    """Whether a message passes the list's filters; one that was not sent yet passes no filter by DateSent."""
    if query.get("To", message.to) != message.to or query.get("From", message.from_) != message.from_:
        return False
    return all(_sent(message, name, text) for name, text in query.items() if name.startswith("DateSent"))


def _sent(message: Message, name: str, text: str) -> bool:
    """`DateSent=` names a day in UTC; `DateSent<=` and `DateSent>=` a day or a moment."""
    try:
        asked = datetime.fromisoformat(text)
    except ValueError:
        raise TwilioError(20001, f"{text} is no date") from None
    if message.sent is None:
        return False
    if name == "DateSent":
        return message.sent.date() == asked.date()
    if len(text) == len("2026-11-23"):
        return message.sent.date() <= asked.date() if name == "DateSent<" else message.sent.date() >= asked.date()
    asked = asked if asked.tzinfo else asked.replace(tzinfo=UTC)
    return message.sent <= asked if name == "DateSent<" else message.sent >= asked
