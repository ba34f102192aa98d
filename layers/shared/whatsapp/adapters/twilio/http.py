"""The official SDK over connections of our own: short timeouts, no retries, one TLS context, kept shortly.

The SDK's own HTTP client never times out (measured on 9.13.0), reads all root certificates anew for each connection,
and takes twice the processor time, because it goes through requests.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

import certifi
import urllib3
from twilio.http import HttpClient as SdkHttpClient
from twilio.http.response import Response
from twilio.rest import Client
from urllib3.util.ssl_ import create_urllib3_context

from whatsapp.adapters.twilio.credentials import TwilioSecret
from whatsapp.domain import periods
from whatsapp.domain.ports import Clock

AT_ONCE = 10
"""As many connections as a batch has threads."""


class Connections:
    """A sandbox's connections to Twilio, which its threads share: one TLS context, and none that is kept long.

    A connection that is kept while the sandbox is frozen breaks in mid-POST, and leaves a message in doubt. `clock` is
    the one that DynamoDB's answers correct, because a sandbox's own may stand still meanwhile.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._opened_at = 0
        context = create_urllib3_context()
        context.load_verify_locations(os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where())
        timeout = urllib3.Timeout(connect=periods.TWILIO_CONNECT_S, read=periods.TWILIO_READ_S)
        self._pools = urllib3.PoolManager(maxsize=AT_ONCE, ssl_context=context, timeout=timeout, retries=False)

    def request(self, method: str, url: str, body: str | None, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        """Make one request, once, over a connection that is no older than `periods.CONNECTION_KEPT`.

        Raises:
            urllib3.exceptions.HTTPError: no whole answer.
        """
        now = self._clock.now()
        if not 0 <= now - self._opened_at < periods.CONNECTION_KEPT:
            self._opened_at = now
            self._pools.clear()  # requests on their way are not affected
        return self._pools.urlopen(method, url, redirect=False, body=body, headers=headers)


class HttpClient(SdkHttpClient):  # type: ignore[misc]  # the SDK ships no types
    """What the SDK's client makes its requests with. It keeps nothing of them, and logs nothing.

    With a base URL, Twilio's hosts become path prefixes of it, as the emulator serves them.

    `refused`: called when Twilio does not accept the credentials, because they may have been rotated.
    """

    def __init__(
        self, connections: Connections, base_url: str = "", refused: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__(logging.getLogger(__name__), is_async=False)
        self._connections = connections
        self._base_url = base_url.rstrip("/")
        self._refused = refused

    def request(  # the parameters are the SDK's
        self,
        method: str,
        uri: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002 - `Connections` bounds the time
        allow_redirects: bool = False,  # noqa: ARG002 - nothing follows one
    ) -> Response:
        """Make one request, once."""
        sent = {**(headers or {}), **urllib3.make_headers(basic_auth=":".join(auth or ()), accept_encoding=True)}
        is_json = sent.get("Content-Type") == "application/json"
        body = (json.dumps(data) if is_json else urlencode(data, doseq=True)) if data else None
        answer = self._connections.request(method, self._url(uri, params or {}), body, sent)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self._refused()
        return Response(answer.status, answer.data.decode(errors="replace"), answer.headers)

    def _url(self, uri: str, params: Mapping[str, Any]) -> str:
        """The URL with these parameters; with a base URL, https://api.twilio.com/… becomes {base_url}/api/…"""
        parts = urlsplit(uri)
        given = urlencode({name: value for name, value in params.items() if value is not None}, doseq=True)
        query = "&".join(filter(None, (parts.query, given)))
        host = f"{self._base_url}/{parts.netloc.split('.')[0]}" if self._base_url else f"https://{parts.netloc}"
        return f"{host}{parts.path}{query and '?'}{query}"


def client(secret: TwilioSecret, connections: Connections, base_url: str = "") -> Client:
    """A new SDK client, with the API key if there is one.

    If Twilio refuses the credentials, the secret is read again: the message waits some seconds, and is tried with what
    the secret holds then.
    """
    credentials = secret.get()
    return Client(
        credentials.api_key_sid or credentials.account_sid,
        credentials.api_key_secret or credentials.auth_token,
        credentials.account_sid,
        http_client=HttpClient(connections, base_url, refused=lambda: secret.get(refresh=True)),
    )
