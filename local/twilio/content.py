"""Twilio's Content API: message templates and WhatsApp's approval of them, v1 and v2.

Source: https://www.twilio.com/docs/content/content-api-resources
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.twilio.door import Door
from local.twilio.errors import TwilioError
from local.twilio.paging import Page
from local.twilio.state import Account, Approval, Content, iso8601

HOST = "https://content.twilio.com"


class ContentApi:
    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self, door: Door) -> list[Route]:
        contents = "/content/v1/Content"
        return [
            door.route("POST", contents, self.create),
            door.route("GET", contents, self.list_contents),
            door.route("GET", f"{contents}/{{sid}}", self.fetch),
            door.route("DELETE", f"{contents}/{{sid}}", self.delete),
            door.route("POST", f"{contents}/{{sid}}/ApprovalRequests/whatsapp", self.submit),
            door.route("GET", f"{contents}/{{sid}}/ApprovalRequests", self.fetch_approval),
            door.route("GET", "/content/v1/ContentAndApprovals", self.list_with_approvals),
            door.route("GET", "/content/v2/Content", self.list_contents),
            door.route("GET", "/content/v2/ContentAndApprovals", self.list_with_approvals),
        ]

    async def create(self, request: Request) -> Response:
        body = await _json(request)
        content = Content(
            friendly_name=body.get("friendly_name") or "",
            language=body["language"],
            types=body["types"],
            variables=body.get("variables") or {},
        )
        self._account.contents[content.sid] = content
        self._publish(content)
        return JSONResponse(self._resource(content), 201)

    async def fetch(self, request: Request) -> Response:
        return JSONResponse(self._resource(self._found(request)))

    async def delete(self, request: Request) -> Response:
        content = self._found(request)
        del self._account.contents[content.sid]
        self._account.events.publish("template_deleted", sid=content.sid)
        return Response(status_code=204)

    async def list_contents(self, request: Request) -> Response:
        return self._page(request, self._resource)

    async def list_with_approvals(self, request: Request) -> Response:
        def resource(content: Content) -> dict[str, Any]:
            fields = self._resource(content)
            del fields["url"], fields["links"]
            return fields | {"approval_requests": vars(content.approval)}

        return self._page(request, resource)

    async def submit(self, request: Request) -> Response:
        content, body = self._found(request), await _json(request)
        content.approval = Approval(
            status="approved" if self._account.settings.auto_approve else "pending",
            name=body["name"],
            category=body["category"],
            content_type=next(iter(content.types)),
        )
        self._publish(content)
        return JSONResponse(vars(content.approval) | {"status": "received"}, 201)

    async def fetch_approval(self, request: Request) -> Response:
        content = self._found(request)
        return JSONResponse(
            {
                "sid": content.sid,
                "account_sid": self._account.sid,
                "whatsapp": {"type": "whatsapp", **vars(content.approval)},
                "url": f"{HOST}/v1/Content/{content.sid}/ApprovalRequests",
            }
        )

    def review(self, sid: str, verdict: dict[str, Any]) -> Content:
        """WhatsApp's reviewer decides (the emulator's control, no Twilio endpoint).

        Raises:
            KeyError: no such content.
            ValueError: no such status, or a rejection without its reason.
        """
        content, status = self._account.contents[sid], verdict.get("status")
        if status not in ("pending", "approved", "rejected", "paused", "disabled"):
            raise ValueError("status must be pending, approved, rejected, paused or disabled")
        content.approval.status = status
        content.approval.rejection_reason = verdict.get("reason") or ""
        content.approval.category = verdict.get("category") or content.approval.category
        self._publish(content)
        return content

    def _page(self, request: Request, resource: Any) -> Response:
        path = request.url.path.removeprefix("/content")
        page = Page.of(
            list(self._account.contents.values()), lambda content: content.sid, request.query_params
        )
        return JSONResponse(
            page.as_meta("contents", [resource(content) for content in page.items], HOST + path)
        )

    def _found(self, request: Request) -> Content:
        content = self._account.contents.get(request.path_params["sid"])
        if content is None:
            raise TwilioError(
                20404, f"The requested resource {request.url.path.removeprefix('/content')} was not found"
            )
        return content

    def _publish(self, content: Content) -> None:
        self._account.events.publish("template", template=template_view(content))

    def _resource(self, content: Content) -> dict[str, Any]:
        url = f"{HOST}/v1/Content/{content.sid}"
        return {
            "sid": content.sid,
            "account_sid": self._account.sid,
            "friendly_name": content.friendly_name,
            "language": content.language,
            "variables": content.variables,
            "types": content.types,
            "url": url,
            "date_created": iso8601(content.created),
            "date_updated": iso8601(content.updated),
            "links": {
                "approval_create": f"{url}/ApprovalRequests/whatsapp",
                "approval_fetch": f"{url}/ApprovalRequests",
            },
        }


def template_view(content: Content) -> dict[str, Any]:
    """One template, for watchers."""
    return {
        "sid": content.sid,
        "friendly_name": content.friendly_name,
        "language": content.language,
        "variables": content.variables,
        "types": content.types,
        "approval": dict(vars(content.approval)),
    }


async def _json(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        raise TwilioError(20001, "The request's body is not JSON") from None
    if not isinstance(body, dict):
        raise TwilioError(20001, "The request's body is not a JSON object")
    return body
