"""Twilio's Content API: message templates and WhatsApp's approval of them, v1 and v2.

Source: https://www.twilio.com/docs/content/content-api-resources
"""

import re
from collections.abc import Callable
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.twilio.door import Door, json_body
from local.twilio.errors import TwilioError
from local.twilio.paging import Page
from local.twilio.state import Account, Approval, Content, iso8601, now
from local.twilio.template_rules import check_content, check_submission, rejection

HOST = "https://content.twilio.com"
NO_REASON = "INVALID_FORMAT. The reviewer gave no other reason"
"""WhatsApp rejects nothing without a reason, so neither does a reviewer here who gives none."""
VERDICTS = ("pending", "approved", "rejected", "paused", "disabled")


class ContentApi:
    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self, door: Door) -> list[Route]:
        contents = "/content/v1/Content"
        return [
            door.route("POST", contents, self.create),
            door.route("GET", contents, self.list_contents),
            door.route("GET", f"{contents}/{{sid}}", self.fetch),
            door.route("PUT", f"{contents}/{{sid}}", self.update),
            door.route("DELETE", f"{contents}/{{sid}}", self.delete),
            door.route("POST", f"{contents}/{{sid}}/ApprovalRequests/whatsapp", self.submit),
            door.route("GET", f"{contents}/{{sid}}/ApprovalRequests", self.fetch_approval),
            door.route("GET", "/content/v1/ContentAndApprovals", self.list_with_approvals),
            door.route("GET", "/content/v2/Content", self.list_contents),
            door.route("GET", "/content/v2/ContentAndApprovals", self.list_with_approvals),
        ]

    async def create(self, request: Request) -> Response:
        body = await json_body(request)
        check_content(body)
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

    async def update(self, request: Request) -> Response:
        """Change content that was not submitted yet; afterwards WhatsApp has it, and it is frozen."""
        content, body = self._found(request), await json_body(request)
        if content.approval.status != "unsubmitted":
            raise TwilioError(20001, "content that was submitted to WhatsApp cannot be changed")
        check_content({"language": content.language, **body})
        content.types = body["types"]
        content.language = body.get("language") or content.language
        content.friendly_name = body.get("friendly_name") or content.friendly_name
        content.variables = body.get("variables") or content.variables
        content.updated = now()
        self._publish(content)
        return JSONResponse(self._resource(content))

    async def delete(self, request: Request) -> Response:
        content = self._found(request)
        del self._account.contents[content.sid]
        self._account.events.publish("template_deleted", sid=content.sid)
        return Response(status_code=204)

    async def list_contents(self, request: Request) -> Response:
        return self._page(request, self._resource)

    async def list_with_approvals(self, request: Request) -> Response:
        return self._page(request, self._resource_with_approval)

    async def submit(self, request: Request) -> Response:
        """Take a template in for review. The answer says `received`; what follows is WhatsApp's."""
        content, body = self._found(request), await json_body(request)
        check_submission(content, body)
        reason = rejection(content)
        verdict = "approved" if self._account.settings.auto_approve else "pending"
        content.approval = Approval(
            status="rejected" if reason else verdict,
            name=body["name"],
            category=body["category"],
            content_type=next(iter(content.types)),
            rejection_reason=reason or "",
            allow_category_change=body.get("allow_category_change", True),
        )
        self._publish(content)
        return JSONResponse(vars(content.approval) | {"status": "received", "rejection_reason": ""}, 201)

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
        """WhatsApp's reviewer decides: `{"status", "reason", "category"}`. No Twilio endpoint, but a control.

        Raises:
            KeyError: no such content.
            ValueError: an unknown status, or nothing that was submitted.
        """
        content, status = self._account.contents[sid], verdict.get("status")
        if status not in VERDICTS:
            raise ValueError(f"status must be one of {', '.join(VERDICTS)}")
        if content.approval.status == "unsubmitted":
            raise ValueError("this content was not submitted")
        content.approval.status = status
        content.approval.rejection_reason = verdict.get("reason") or (NO_REASON if status == "rejected" else "")
        content.approval.category = verdict.get("category") or content.approval.category
        self._publish(content)
        return content

    def _page(self, request: Request, resource: Callable[[Content], dict[str, Any]]) -> Response:
        path, query = request.url.path.removeprefix("/content"), request.query_params
        contents = list(self._account.contents.values())
        if path.startswith("/v2/"):
            contents = _searched(contents, query)
        page = Page.of(contents, lambda content: content.sid, query)
        return JSONResponse(page.as_meta("contents", [resource(content) for content in page.items], HOST + path))

    def _found(self, request: Request) -> Content:
        content = self._account.contents.get(request.path_params["sid"])
        if content is None:
            raise TwilioError.not_found(request.url.path)
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

    def _resource_with_approval(self, content: Content) -> dict[str, Any]:
        fields = self._resource(content)
        del fields["url"], fields["links"]
        approval: dict[str, Any] = dict(vars(content.approval))
        if self._account.settings.nested_approvals:
            approval = {"whatsapp": {"type": "whatsapp", **approval}}
        return fields | {"approval_requests": approval}


def _searched(contents: list[Content], query: QueryParams) -> list[Content]:
    """The v2 search: every filter given must hold; names and words are regular expressions."""
    name, word = _pattern(query, "ContentName"), _pattern(query, "Content")

    def wanted(content: Content) -> bool:
        eligibility = query.getlist("ChannelEligibility")
        return (
            name.search(content.friendly_name) is not None
            and word.search(str(content.types)) is not None
            and content.language in (query.getlist("Language") or [content.language])
            and bool(set(content.types) & set(query.getlist("ContentType") or content.types))
            and (not eligibility or f"whatsapp:{content.approval.status}" in eligibility)
            and query.get("DateCreatedAfter", "") <= iso8601(content.created)
            and iso8601(content.created) <= query.get("DateCreatedBefore", "9999")
        )

    found = [content for content in contents if wanted(content)]
    if order := query.get("SortByContentName"):
        return sorted(found, key=lambda content: content.friendly_name, reverse=order == "desc")
    return sorted(found, key=lambda content: content.created, reverse=query.get("SortByDate") == "desc")


def _pattern(query: QueryParams, name: str) -> re.Pattern[str]:
    try:
        return re.compile(query.get(name, ""))
    except re.error:
        raise TwilioError(20001, f"{name} is no regular expression") from None


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
