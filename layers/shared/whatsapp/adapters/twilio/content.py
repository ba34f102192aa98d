"""Twilio's Content API: our templates' copies, and WhatsApp's verdict on them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import requests
from twilio.base.exceptions import TwilioException
from twilio.rest import Client
from twilio.rest.content.v1.content import ContentList
from twilio.rest.content.v1.content.approval_create import ApprovalCreateList

from whatsapp.domain.ports import ContentRefused, ContentUnavailable
from whatsapp.domain.templates.plan import Approval, Content
from whatsapp.domain.templates.template import QuickReply
from whatsapp.domain.templates.version import RECEIVED, UNSUBMITTED

_T = TypeVar("_T")

_NOT_ABOUT_THE_TEMPLATE = frozenset({401, 403, 408, 429})
"""Refusals of our key, its rights or our pace: the same request may do tomorrow."""


class TwilioContent:
    """The `ContentGateway` port. Every method raises `ContentUnavailable`, or `ContentRefused` for a template's 4xx."""

    def __init__(self, client: Callable[[], Client]) -> None:
        self._client = client

    def contents(self) -> Sequence[Content]:
        """Every content of the account with its approval: all pages, or an error."""
        return _ask(
            lambda: [
                _content(one, one.approval_requests)
                for one in self._client().content.v1.content_and_approvals.stream(page_size=100)
            ]
        )

    def find(self, content_sid: str) -> Content | None:
        """One content with its approval, None if there is none.

        What Twilio answers for the approval of one that was never submitted is not documented: 404 is taken for that.
        """
        try:
            one = _ask(lambda: self._client().content.v1.contents(content_sid).fetch())
        except _NotThere:
            return None
        try:
            review = _ask(lambda: self._client().content.v1.contents(content_sid).approval_fetch().fetch())
        except _NotThere:
            return _content(one, None)
        return _content(one, review.whatsapp)

    def create(self, content: dict[str, Any]) -> str:
        """Make a content and return its sid."""
        request = ContentList.ContentCreateRequest(content)
        return _ask(lambda: str(self._client().content.v1.contents.create(request).sid))

    def submit(self, content_sid: str, name: str, category: str) -> Approval:
        """Submit a content to WhatsApp's review."""
        request = ApprovalCreateList.ContentApprovalRequest({"name": name, "category": category})
        made = _ask(lambda: self._client().content.v1.contents(content_sid).approval_create.create(request))
        verdict = _approval(vars(made))
        # Twilio's own examples answer a submission with `received` in one place and `unsubmitted` in another.
        return replace(verdict, status=RECEIVED) if verdict.status == UNSUBMITTED else verdict

    def delete(self, content_sid: str) -> None:
        """Delete a content at Twilio. One that is gone already is fine."""
        try:
            _ask(lambda: self._client().content.v1.contents(content_sid).delete())
        except _NotThere:
            return


class _NotThere(ContentRefused):
    """404."""


def _ask(call: Callable[[], _T]) -> _T:
    try:
        return call()
    except TwilioException as error:
        raise _failure(error) from None
    except (requests.exceptions.RequestException, ValueError, KeyError, TypeError, AttributeError) as error:
        name = type(error).__name__
        raise ContentUnavailable(f"Twilio's answer did not come or could not be read ({name})") from None


def _failure(error: TwilioException) -> ContentUnavailable:
    """Twilio's SDK has two classes of error answers that share `status` and `code`; a failed page has its response."""
    page = next((part for part in error.args if hasattr(part, "status_code")), None)
    status, code = getattr(error, "status", None) or getattr(page, "status_code", None), getattr(error, "code", None)
    if status is None or not 400 <= status < 500 or status in _NOT_ABOUT_THE_TEMPLATE:
        return ContentUnavailable(f"Twilio answered {status or 'with an error'}" + (f" (code {code})" if code else ""))
    words = getattr(error, "msg", None) or getattr(error, "detail", None) or ""
    kind = _NotThere if status == 404 else ContentRefused
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
    """Both shapes that Twilio is seen to give: flat, or under `whatsapp`."""
    request: Mapping[str, Any] = review or {}
    request = request.get("whatsapp", request)
    return Approval(
        status=request.get("status") or UNSUBMITTED,
        category=request.get("category") or None,
        reason=request.get("rejection_reason") or None,
    )
