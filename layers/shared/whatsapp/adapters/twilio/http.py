"""The official SDK's client with short timeouts, without retries of its own and without kept connections.

The SDK itself never times out (measured on 9.13.0), and a kept connection breaks in mid-POST after a frozen sandbox.
"""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from whatsapp.adapters.twilio.credentials import TwilioSecret
from whatsapp.domain import periods

logging.getLogger("twilio.http_client").setLevel(logging.WARNING)  # its DEBUG lines contain numbers and texts


class HttpClient(TwilioHttpClient):  # type: ignore[misc]  # the SDK ships no types
    """Bounded in time. With a base URL, Twilio's hosts become path prefixes of it, as the emulator serves them.

    `refused`: called when Twilio does not accept the credentials, because they may have been rotated.
    """

    def __init__(self, base_url: str = "", refused: Callable[[], object] = lambda: None) -> None:
        super().__init__(pool_connections=False)
        # requests takes the pair; the SDK's own check takes only one number
        self.timeout = (periods.TWILIO_CONNECT_S, periods.TWILIO_READ_S)
        self._base_url = base_url.rstrip("/")
        self._refused = refused

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        """Make one request, once."""
        kwargs.pop("timeout", None)
        if self._base_url:  # https://api.twilio.com/… becomes {base_url}/api/…
            parts = urlsplit(url)
            query = f"?{parts.query}" if parts.query else ""
            url = f"{self._base_url}/{parts.netloc.split('.')[0]}{parts.path}{query}"
        response = super().request(method, url, *args, **kwargs)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            self._refused()
        return response


def client(secret: TwilioSecret, base_url: str = "") -> Client:
    """A new SDK client, with the API key if there is one.

    Never shared between threads: the SDK keeps the last response on its HTTP client and returns it from there, so one
    message could get the answer to another. If Twilio refuses the credentials, the secret is read again: the message
    waits some seconds, and is tried with what the secret holds then.
    """
    credentials = secret.get()
    return Client(
        credentials.api_key_sid or credentials.account_sid,
        credentials.api_key_secret or credentials.auth_token,
        credentials.account_sid,
        http_client=HttpClient(base_url, refused=lambda: secret.get(refresh=True)),
    )
