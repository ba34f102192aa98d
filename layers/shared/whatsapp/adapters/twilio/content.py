"""Twilio's Content API: our templates' copies and WhatsApp's verdicts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from twilio.base.exceptions import TwilioException
from twilio.rest import Client
from twilio.rest.content.v1.content import ContentList
from twilio.rest.content.v1.content.approval_create import ApprovalCreateList
from urllib3.exceptions import HTTPError

from whatsapp.adapters.twilio.credentials import NO_CREDENTIALS, why_no_credentials
from whatsapp.domain.ports import ContentRefused, ContentUnavailable, NoCredentials
from whatsapp.domain.templates.plan import Approval, Content
from whatsapp.domain.templates.template import QuickReply
from whatsapp.domain.templates.version import RECEIVED, UNSUBMITTED

_T = TypeVar("_T")

_NOT_ABOUT_THE_TEMPLATE = frozenset({401, 403, 408, 429})
"""Statuses about our key, its permissions or our rate: the same request may succeed later."""


_NO_REASON = frozenset({"", "NONE"})
"""What stands where there is no reason: `NONE` is Meta's word for that (developers.facebook.com, webhook
`message_template_status_update`, and `rejected_reason` of a template)."""


class TwilioContent:
    """The `ContentGateway` port. Every method raises `ContentUnavailable`, or `ContentRefused` after a 4xx."""

    def __init__(self, client: Callable[[], Client]) -> None:
        self._client = client

    def contents(self) -> Sequence[Content]:
        """Every content of the account with its approval: all pages or none."""
        return _ask(
            lambda: [
                _content(one, one.approval_requests)
                for one in self._client().content.v1.content_and_approvals.stream(page_size=100)
            ]
        )

    def find(self, content_sid: str) -> Content | None:
        """One content with its approval; None if it does not exist.

        A 404 for its approval counts as never submitted. Twilio does not document what it answers then.
        """
        try:
            one = _ask(lambda: self._client().content.v1.contents(content_sid).fetch())
        except _NotFound:
            return None
        try:
            review = _ask(lambda: self._client().content.v1.contents(content_sid).approval_fetch().fetch())
        except _NotFound:
            return _content(one, None)
        return _content(one, review.whatsapp)

    def create(self, content: dict[str, Any]) -> str:
        """Create a content and return its sid."""
        request = ContentList.ContentCreateRequest(content)
        return _ask(lambda: str(self._client().content.v1.contents.create(request).sid))

    def named(self, friendly_name: str) -> str | None:
        """The sid of the oldest content of this name; None if there is none. Twilio searches by regular expression."""
        found = _ask(
            lambda: self._client().content.v2.contents.list(content_name=f"^{friendly_name}$", sort_by_date="asc")
        )
        return next((str(one.sid) for one in found if one.friendly_name == friendly_name), None)

    def submit(self, content_sid: str, name: str, category: str) -> Approval:
        """Submit a content for WhatsApp's review."""
        request = ApprovalCreateList.ContentApprovalRequest({"name": name, "category": category})
        answer = _ask(lambda: self._client().content.v1.contents(content_sid).approval_create.create(request))
        verdict = _approval(vars(answer))
        # In Twilio's examples the answer to a submission is `received` in one place and `unsubmitted` in another.
        return replace(verdict, status=RECEIVED) if verdict.status == UNSUBMITTED else verdict

    def delete(self, content_sid: str) -> None:
        """Delete a content. One that no longer exists counts as deleted."""
        try:
            _ask(lambda: self._client().content.v1.contents(content_sid).delete())
        except _NotFound:
            return


class _NotFound(ContentRefused):
    """404."""


def _ask(call: Callable[[], _T]) -> _T:
    try:
        return call()
    except NO_CREDENTIALS as error:
        raise NoCredentials(why_no_credentials(error)) from None
    except TwilioException as error:
        raise _failure(error) from None
    except (HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
        name = type(error).__name__
        raise ContentUnavailable(f"Twilio's answer did not come or could not be read ({name})") from None


def _failure(error: TwilioException) -> ContentUnavailable:
    """The SDK has two classes of errors with `status` and `code`; the error of a list's page has the response."""
    page = next((part for part in error.args if hasattr(part, "status_code")), None)
    status, code = getattr(error, "status", None) or getattr(page, "status_code", None), getattr(error, "code", None)
    if status is None or not 400 <= status < 500 or status in _NOT_ABOUT_THE_TEMPLATE:
        return ContentUnavailable(f"Twilio answered {status or 'with an error'}" + (f" (code {code})" if code else ""))
    words = getattr(error, "msg", None) or getattr(error, "detail", None) or ""
    kind = _NotFound if status == 404 else ContentRefused
    return kind(f"Twilio refused with {status} (code {code}): {str(words)[:200]}")


def _content(content: Any, review: Mapping[str, Any] | None) -> Content:
    layouts: Mapping[str, Any] = content.types or {}
    layout: Mapping[str, Any] = next(iter(layouts.values()), {})
    return Content(
        content_sid=content.sid,
        friendly_name=content.friendly_name or "",
        language=content.language or "",
        body=layout.get("body") or "",
        quick_replies=tuple(
            QuickReply(title=action.get("title") or "", payload=action.get("id") or "")
            for action in layout.get("actions") or ()
        ),
        approval=_approval(review),
    )


def _approval(review: Mapping[str, Any] | None) -> Approval:
    """From both shapes that Twilio is known to answer with: flat, or under `whatsapp`."""
    request: Mapping[str, Any] = review or {}
    request = request.get("whatsapp", request)
    reason = request.get("rejection_reason") or ""
    return Approval(
        status=request.get("status") or UNSUBMITTED,
        category=request.get("category") or None,
        reason=None if reason.strip().upper() in _NO_REASON else reason,
    )
