"""The official SDK's client with short timeouts, without retries of its own, over connections that are kept shortly.

The SDK itself never times out (measured on 9.13.0), and reads all root certificates anew for each connection.
"""

import os
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import certifi
from requests import Session
from requests.adapters import HTTPAdapter
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client
from urllib3.util.ssl_ import create_urllib3_context

from whatsapp.adapters.twilio.credentials import TwilioSecret
from whatsapp.domain import periods
from whatsapp.domain.ports import Clock


class Connections(HTTPAdapter):
    """A sandbox's connections to Twilio, which its threads share: one TLS context, and none that is kept long.

    A connection that is kept while the sandbox is frozen breaks in mid-POST, and leaves a message in doubt. `clock` is
    the one that DynamoDB's answers correct, because a sandbox's own may stand still meanwhile.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._opened_at = 0
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        """Read the root certificates once, for all connections."""
        context = create_urllib3_context()
        context.load_verify_locations(os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where())
        super().init_poolmanager(connections, maxsize, block, ssl_context=context, **more)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave verifying to the context: what is named here would be read anew for each connection."""

    def send(self, *args: Any, **kwargs: Any) -> Any:
        """Send one request, over a connection that is no older than `periods.CONNECTION_KEPT`."""
        now = self._clock.now()
        if not 0 <= now - self._opened_at < periods.CONNECTION_KEPT:
            self._opened_at = now
            self.poolmanager.clear()  # requests on their way are not affected
        return super().send(*args, **kwargs)


class HttpClient(TwilioHttpClient):  # type: ignore[misc]  # the SDK ships no types
    """Bounded in time. With a base URL, Twilio's hosts become path prefixes of it, as the emulator serves them.

    `refused`: called when Twilio does not accept the credentials, because they may have been rotated.
    """

    def __init__(
        self, connections: Connections, base_url: str = "", refused: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__(pool_connections=False)
        self.session = Session()  # of its own: a session's cookies would go from one message to the next
        self.session.trust_env = False  # or requests names the certificates again
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, connections)
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


def client(secret: TwilioSecret, connections: Connections, base_url: str = "") -> Client:
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
        http_client=HttpClient(connections, base_url, refused=lambda: secret.get(refresh=True)),
    )
