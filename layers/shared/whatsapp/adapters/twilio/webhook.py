"""Twilio's door: verifies the signature, then reads the form. Anything else than Twilio's form is `Forbidden`.

Source of the signature's algorithm: www.twilio.com/docs/usage/security#validating-requests.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

from twilio.request_validator import RequestValidator

from whatsapp.adapters.twilio.form import Forbidden, names_account, read_form, read_inbound, read_status
from whatsapp.domain.address import Address
from whatsapp.domain.ports import StatusUpdate
from whatsapp.domain.receiving.inbound import InboundForm

__all__ = ["Forbidden", "TwilioDoor"]

_MESSAGE_ID = re.compile(r"[0-9a-f]{32}")
_ATTEMPT = re.compile(r"[0-9a-f]{12}")
CALLBACK_OVERRIDES = "#rc=3&rp=ct,rt,5xx&ct=2000&rt=4000"
"""Added to each URL that Twilio calls: up to three retries on connection failure, timeout and 5xx. Its default is one,
on connection failure only. Source: www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides."""


class TwilioDoor:
    """Accepts Twilio's requests only.

    Args:
        public_urls: bases of the URLs that Twilio may sign. Never taken from a request's headers.
        account_sid: ours.
        tokens: gives the auth tokens that may have signed: the current one, and the previous one during a rotation.
            Called with True after a failure, to read them again at a bounded rate.
        sender: ours. Messages to another number of the account are refused.
    """

    def __init__(
        self,
        public_urls: Sequence[str],
        account_sid: str,
        tokens: Callable[[bool], tuple[str, ...]],
        sender: Address,
    ) -> None:
        self._public_urls = [url.rstrip("/") for url in public_urls]
        self._account_sid = account_sid
        self._tokens = tokens
        self._sender = sender

    def inbound(self, request: Mapping[str, Any]) -> InboundForm:
        """An inbound message's webhook.

        Raises:
            Forbidden: not signed by Twilio, or not a message to our sender.
        """
        form = read_inbound(self._verified(request, "/twilio/inbound"))
        if Address(form.to).canonical != self._sender.canonical:
            raise Forbidden("To is not our sender", ours=True)
        return form

    def status(self, request: Mapping[str, Any], message_id: str, attempt: str) -> StatusUpdate:
        """A status callback.

        Raises:
            Forbidden: not signed by Twilio, or not a status.
        """
        if not _MESSAGE_ID.fullmatch(message_id) or not _ATTEMPT.fullmatch(attempt):
            raise Forbidden("no path of ours")
        return read_status(self._verified(request, f"/twilio/status/{message_id}/{attempt}"), message_id, attempt)

    def _verified(self, request: Mapping[str, Any], path: str) -> dict[str, str]:
        """The form, if Twilio signed it for this path and our account."""
        # First, because it costs nothing: a stranger's request must not make us compute, count or fetch anything.
        if not names_account(request, self._account_sid):
            raise Forbidden("another account's")
        form = read_form(request)
        if form.get("AccountSid") != self._account_sid:
            raise Forbidden("another account's")
        headers = {str(name).lower(): value for name, value in (request.get("headers") or {}).items()}
        signature = headers.get("x-twilio-signature")
        if not isinstance(signature, str) or not signature:
            raise Forbidden("no signature", ours=True)
        if not self._is_signed(path, form, signature):
            raise Forbidden("the signature does not match", ours=True)
        return form

    def _is_signed(self, path: str, form: dict[str, str], signature: str) -> bool:
        urls = [url + path for url in self._public_urls]
        known = self._tokens(False)
        if _fits(known, urls, form, signature):
            return True
        fresh = self._tokens(True)  # the token may have been rotated since we read it
        return fresh != known and _fits(fresh, urls, form, signature)


def _fits(tokens: Sequence[str], urls: Sequence[str], form: dict[str, str], signature: str) -> bool:
    try:
        return any(RequestValidator(token).validate(url, form, signature) for token, url in product(tokens, urls))
    except (TypeError, ValueError, AttributeError):  # the SDK raises on odd input, such as lone surrogates
        return False
