"""Fetch a patient's file from Twilio: credentials on Twilio's host only, one redirect, to a public address, bounded.

Twilio keeps media behind Basic auth and redirects to a signed URL on another host
(www.twilio.com/docs/messaging/api/media-resource).
"""

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

import puremagic
import urllib3

from whatsapp.adapters.twilio_credentials import TwilioCredentials
from whatsapp.domain.ports import FetchedMedium, MediumRefusedError, MediumUnavailableError

MAX_BYTES = 16 * 1024 * 1024
"""WhatsApp's own limit."""
TOTAL_S = 20.0
CHUNK = 64 * 1024
TIMEOUT = urllib3.Timeout(connect=3.0, read=10.0)
TWILIO = "https://api.twilio.com"

_PATH = r"/2010-04-01/Accounts/{account}/Messages/(SM|MM)[0-9a-fA-F]{{32}}/Media/ME[0-9a-fA-F]{{32}}"
_CONTENT_HOSTS = re.compile(
    r"([a-z0-9-]+\.)*twiliocdn\.com|s3-external-1\.amazonaws\.com|([a-z0-9-]+\.)?media\.twilio\.com"
)
_ALLOWED = re.compile(
    r"image/(jpeg|png|webp|gif)|audio/[a-z0-9.+-]+|video/(mp4|3gpp)"
    r"|application/(pdf|msword|vnd\.(ms-excel|ms-powerpoint|openxmlformats-officedocument)[a-z.]*)"
)
UNKNOWN_TYPE = "application/octet-stream"


class TwilioMedia:
    """The `MediaSource` port.

    Args:
        credentials: gives the present ones.
        base_url: the emulator's, whose second host then is on loopback; empty for Twilio itself.
        resolve: the addresses of a host; a test's stand-in for DNS.
    """

    def __init__(
        self,
        credentials: Callable[[], TwilioCredentials],
        base_url: str = "",
        resolve: Callable[[str, int], list[str]] | None = None,
    ) -> None:
        self._credentials = credentials
        self._base_url = base_url.rstrip("/")
        self._resolve = resolve or _addresses

    def fetch(self, url: str) -> FetchedMedium:
        """Fetch one medium.

        Raises:
            MediumRefusedError: not a medium of our account, too large, or a redirect to where none may lead.
            MediumUnavailableError: not there yet, or Twilio did not answer.
        """
        try:
            content = self._download(self._redirect(url))
        except urllib3.exceptions.HTTPError as error:
            raise MediumUnavailableError(f"Twilio did not hand it out ({type(error).__name__})") from None
        return FetchedMedium(content, sniff(content))

    def delete(self, url: str) -> None:
        """Delete a medium at Twilio. What is no longer there is deleted."""
        with self._open(self._own(url), "DELETE", self._basic()) as answer:
            if answer.status not in (204, 404):
                raise MediumUnavailableError(f"Twilio answered {answer.status}")

    def _own(self, url: str) -> str:
        """The URL, if it is a medium of our own account at Twilio's API and nothing else."""
        path = re.compile(_PATH.format(account=re.escape(self._credentials().account_sid)))
        parts = urlsplit(url)
        if (
            f"{parts.scheme}://{parts.netloc}" != TWILIO
            or parts.query
            or parts.fragment
            or not path.fullmatch(parts.path)
        ):
            raise MediumRefusedError("not a medium of our account at Twilio")
        return f"{self._base_url}/api{parts.path}" if self._base_url else url

    def _redirect(self, url: str) -> str:
        """Where Twilio keeps the content. The only request that bears credentials."""
        own = self._own(url)
        with self._open(own, "GET", self._basic()) as answer:
            if answer.status not in (301, 302, 303, 307, 308):
                raise MediumUnavailableError(f"Twilio answered {answer.status}, no redirect")
            return urljoin(own, answer.headers.get("Location", ""))

    def _download(self, url: str) -> bytes:
        self._check_host(url)
        ends = time.monotonic() + TOTAL_S
        with self._open(url, "GET", {}) as answer:
            if answer.status != 200:
                raise MediumUnavailableError(f"the content's host answered {answer.status}")
            content = bytearray()
            while chunk := answer.read(CHUNK, decode_content=False):
                content += chunk
                if len(content) > MAX_BYTES:
                    raise MediumRefusedError("larger than 16 MB")
                if time.monotonic() > ends:
                    raise MediumUnavailableError("too slow")
        return bytes(content)

    def _check_host(self, url: str) -> None:
        parts = urlsplit(url)
        if self._base_url and parts.hostname == "127.0.0.1":  # the emulator's second host
            return
        try:
            port = parts.port
        except ValueError:
            raise MediumRefusedError("redirected to no proper address") from None
        plain = parts.scheme == "https" and port in (None, 443) and parts.username is None
        if not plain or not _CONTENT_HOSTS.fullmatch((parts.hostname or "").lower()):
            raise MediumRefusedError("redirected to a host that is not known to keep Twilio's content")

    @contextmanager
    def _open(self, url: str, method: str, headers: dict[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """One request, never redirected, to an address that was checked: a name cannot change its mind in between."""
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {"Host": parts.netloc, "Accept-Encoding": "identity", **headers}
        with self._pool(parts.scheme, host, parts.port) as pool:
            answer = pool.urlopen(
                method, path, headers=headers, redirect=False, retries=False, preload_content=False, timeout=TIMEOUT
            )
            try:
                yield answer
            finally:
                answer.close()

    def _pool(self, scheme: str, host: str, port: int | None) -> urllib3.HTTPConnectionPool:
        if self._base_url and host == "127.0.0.1":
            return urllib3.HTTPConnectionPool(host, port)
        if scheme != "https":
            raise MediumRefusedError("not https")
        try:
            addresses = self._resolve(host, 443)
        except OSError:
            raise MediumUnavailableError("no such host") from None
        if not addresses or not all(ipaddress.ip_address(address).is_global for address in addresses):
            raise MediumRefusedError("a host whose address is not public")
        return urllib3.HTTPSConnectionPool(addresses[0], 443, server_hostname=host, assert_hostname=host)

    def _basic(self) -> dict[str, str]:
        known = self._credentials()
        user, password = known.api_key_sid or known.account_sid, known.api_key_secret or known.auth_token
        return dict(urllib3.make_headers(basic_auth=f"{user}:{password}"))


def sniff(content: bytes) -> str:
    """What the content is by its own bytes; what WhatsApp does not carry is just bytes."""
    start = content.lstrip(b"\xef\xbb\xbf \r\n")[:11].upper()
    for beginning, content_type in ((b"BEGIN:VCARD", "text/vcard"), (b"OGGS", "audio/ogg"), (b"#!AMR", "audio/amr")):
        if start.startswith(beginning):
            return content_type
    try:
        guesses = [guess.mime_type for guess in puremagic.magic_string(content)]
    except (puremagic.PureError, ValueError):
        return UNKNOWN_TYPE
    return next((guess for guess in guesses if _ALLOWED.fullmatch(guess)), UNKNOWN_TYPE)


def _addresses(host: str, port: int) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
