"""Twilio's door: verifies the signature, then reads the form. Anything else than Twilio's form is `Forbidden`.

A webhook is signed by the account's auth token, or by a shared key where those are switched on.
Sources: www.twilio.com/docs/usage/security#validating-requests, www.twilio.com/docs/usage/webhooks/webhook-shared-keys.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from twilio.request_validator import (
    HMAC_SHA1,
    HMAC_SHA256,
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    get_signature_algorithm,
)

from whatsapp.adapters.twilio.form import Forbidden, names_account, read_form, read_inbound, read_status
from whatsapp.domain.address import Address
from whatsapp.domain.ports import StatusUpdate
from whatsapp.domain.receiving.inbound import InboundForm

if TYPE_CHECKING:
    from whatsapp.adapters.twilio.credentials import TwilioCredentials

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
        credentials: gives the auth tokens and shared keys that may have signed. Called with True after a failure, to
            read them again at a bounded rate.
        sender: ours. Messages to another number of the account are refused.
    """

    def __init__(
        self,
        public_urls: Sequence[str],
        account_sid: str,
        credentials: "Callable[[bool], TwilioCredentials]",
        sender: Address,
    ) -> None:
        self._public_urls = [url.rstrip("/") for url in public_urls]
        self._account_sid = account_sid
        self._credentials = credentials
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
        signature = headers.get(SIGNATURE_HEADER.lower())
        if not isinstance(signature, str) or not signature:
            raise Forbidden("no signature", ours=True)
        settings = headers.get(SIGNATURE_SETTINGS_HEADER.lower())
        algorithm = get_signature_algorithm(settings if isinstance(settings, str) else None).upper()
        if not self._is_signed(path, form, signature, algorithm):
            by = "" if algorithm == HMAC_SHA1 else " of a shared key: see webhook_shared_keys in the secret"
            raise Forbidden("the signature does not match" + by, ours=True)
        return form

    def _is_signed(self, path: str, form: dict[str, str], signature: str, algorithm: str) -> bool:
        urls = [url + path for url in self._public_urls]
        known = _keys(self._credentials(False), algorithm)
        if _fits(known, urls, form, signature, algorithm):
            return True
        fresh = _keys(self._credentials(True), algorithm)  # the key may have been rotated since we read it
        return fresh != known and _fits(fresh, urls, form, signature, algorithm)


def _keys(credentials: "TwilioCredentials", algorithm: str) -> tuple[str, ...]:
    """What may have signed by this algorithm. A shared key never signs by the token's algorithm, nor a token by its."""
    keys = {HMAC_SHA1: credentials.webhook_tokens, HMAC_SHA256: credentials.webhook_shared_keys}
    return keys.get(algorithm, ())


def _fits(keys: Sequence[str], urls: Sequence[str], form: dict[str, str], signature: str, algorithm: str) -> bool:
    try:
        return any(RequestValidator(key).validate(url, form, signature, algorithm) for key, url in product(keys, urls))
    except (TypeError, ValueError, AttributeError):  # the SDK raises on odd input, such as lone surrogates
        return False
