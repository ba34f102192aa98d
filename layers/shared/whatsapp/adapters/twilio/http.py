"""The official SDK's HTTP client as we need it: short timeouts, no retries of its own, no kept connections.

The SDK itself waits without end (measured on 9.13.0), and a connection kept across a frozen sandbox breaks in mid-POST.
"""

import logging
from typing import Any
from urllib.parse import urlsplit

from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from whatsapp.adapters.twilio.credentials import TwilioCredentials
from whatsapp.domain import periods

logging.getLogger("twilio.http_client").setLevel(logging.WARNING)  # its DEBUG lines hold numbers and texts


class HttpClient(TwilioHttpClient):  # type: ignore[misc]  # the SDK ships no types
    """Bounded in time. With a base URL, Twilio's hosts become path prefixes of it, as the emulator serves them."""

    def __init__(self, base_url: str = "") -> None:
        super().__init__(pool_connections=False)
        # requests takes the pair; the SDK's own check takes only one number
        self.timeout = (periods.TWILIO_CONNECT_S, periods.TWILIO_READ_S)
        self._base_url = base_url.rstrip("/")

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        """Make one request, once."""
        kwargs.pop("timeout", None)
        return super().request(method, localised(url, self._base_url), *args, **kwargs)


def localised(url: str, base_url: str) -> str:
    """`https://api.twilio.com/…` as it is, or as `{base_url}/api/…`."""
    if not base_url:
        return url
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{base_url}/{parts.netloc.split('.')[0]}{parts.path}{query}"


def client(credentials: TwilioCredentials, base_url: str = "") -> Client:
    """The SDK's client, signed in with the API key where there is one."""
    return Client(
        credentials.api_key_sid or credentials.account_sid,
        credentials.api_key_secret or credentials.auth_token,
        credentials.account_sid,
        http_client=HttpClient(base_url),
    )
