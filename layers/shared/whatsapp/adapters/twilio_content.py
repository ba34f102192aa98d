"""Twilio's Content API: our templates' copies, and WhatsApp's verdict on them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client
from twilio.rest.content.v1.content import ContentList
from twilio.rest.content.v1.content.approval_create import ApprovalCreateList

from whatsapp.domain.ports import Approval, ContentUnavailable

_T = TypeVar("_T")


class TwilioContent:
    """The `ContentGateway` port."""

    def __init__(self, client: Callable[[], Client]) -> None:
        self._client = client

    def approvals(self) -> Sequence[Approval]:
        """Every content of the account with its state of approval, all pages of it.

        Raises:
            ContentUnavailable: Twilio did not answer as it should.
        """
        return _ask(
            lambda: [_approval(one) for one in self._client().content.v1.content_and_approvals.stream(page_size=100)]
        )

    def create(self, content: dict[str, Any]) -> str:
        """Make a content and return its sid.

        Raises:
            ContentUnavailable: as above.
        """
        request = ContentList.ContentCreateRequest(content)
        return _ask(lambda: str(self._client().content.v1.contents.create(request).sid))

    def submit(self, content_sid: str, name: str, category: str) -> Approval:
        """Submit a content to WhatsApp's review.

        Raises:
            ContentUnavailable: as above.
        """
        request = ApprovalCreateList.ContentApprovalRequest({"name": name, "category": category})
        made = _ask(lambda: self._client().content.v1.contents(content_sid).approval_create.create(request))
        return Approval(
            content_sid=content_sid,
            friendly_name=name,
            status=str(made.status),
            category=made.category,
            reason=made.rejection_reason or None,
        )


def _ask(call: Callable[[], _T]) -> _T:
    try:
        return call()
    except TwilioRestException as error:
        raise ContentUnavailable(f"Twilio answered {error.status} (code {error.code})") from None
    except (TwilioException, requests.exceptions.RequestException, ValueError, KeyError, TypeError) as error:
        raise ContentUnavailable(
            f"Twilio's answer did not come or could not be read ({type(error).__name__})"
        ) from None


def _approval(content: Any) -> Approval:
    """Both shapes that Twilio is seen to give: flat, or under `whatsapp`."""
    request = content.approval_requests or {}
    request = request.get("whatsapp", request)
    return Approval(
        content_sid=content.sid,
        friendly_name=content.friendly_name or "",
        status=request.get("status") or "unsubmitted",
        category=request.get("category") or None,
        reason=request.get("rejection_reason") or None,
    )
