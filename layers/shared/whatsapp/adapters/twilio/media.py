"""Fetches a patient's file from Twilio: bounded, with one redirect, to a public address, without our credentials.

Twilio keeps media behind Basic auth and redirects to a signed URL on another host
(www.twilio.com/docs/messaging/api/media-resource).
"""

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3

from whatsapp.adapters.twilio.credentials import TwilioCredentials
from whatsapp.domain.ports import MediumHostUnknownError, MediumRefusedError, MediumUnavailableError

MAX_BYTES = 16 * 1024 * 1024
"""WhatsApp's own limit."""
CONNECT_S, READ_S, TOTAL_S = 3.0, 5.0, 15.0
"""To connect; for each read; and for all of the content once its host has answered, plus one last read."""
CHUNK = 64 * 1024
TIMEOUT = urllib3.Timeout(connect=CONNECT_S, read=READ_S)
TWILIO = "api.twilio.com"
REDIRECTS = frozenset({301, 302, 303, 307, 308})

_PATH = r"/2010-04-01/Accounts/{account}/Messages/(SM|MM)[0-9a-fA-F]{{32}}/Media/ME[0-9a-fA-F]{{32}}"
_S3 = "s3-external-1.amazonaws.com"
_CONTENT_HOSTS = re.compile(rf"([a-z0-9-]+\.)*twiliocdn\.com|{re.escape(_S3)}|([a-z0-9-]+\.)?media\.twilio\.com")
"""`mms.twiliocdn.com`, and S3 for what came before Basic auth was enforced
(help.twilio.com/articles/223183748, "Protect Media Access with HTTP Basic Authentication")."""
_OLD_BUCKET = "media.twiliocdn.com"
"""S3 knows Twilio's old bucket by its own host, too, and Twilio redirected there over plain HTTP."""
_TUNNELS = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"))
"""NAT64 and 6to4: IPv6 addresses that lead to any IPv4 address, including private ones."""


class TwilioMedia:
    """The `MediaSource` port.

    Args:
        credentials: gives the current ones.
        base_url: the emulator's, whose content is on loopback too; empty for Twilio itself.
        resolve: gives the addresses of a host; a test replaces DNS by it.
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

    def fetch(self, url: str) -> bytes:
        """Fetch one medium.

        Raises:
            MediumRefusedError: not a medium of our account, too large, or redirected to a forbidden address.
            MediumHostUnknownError: redirected to a host that is not known to keep Twilio's content.
            MediumUnavailableError: not there yet, empty, or no answer from Twilio.
        """
        own = self._own(url)
        with self._open(own, "GET", self._basic()) as answer:  # the only request with credentials
            if answer.status not in REDIRECTS:
                return _content(answer)
            content_url = _by_path(_split(answer.headers.get("Location", ""), own.geturl()))
        self._check_host(content_url)
        with self._open(content_url, "GET", {}) as answer:
            return _content(answer)

    def delete(self, url: str) -> None:
        """Delete a medium at Twilio. One that is not there counts as deleted.

        Raises:
            MediumRefusedError: not a medium of our account.
            MediumUnavailableError: Twilio did not delete it this time.
        """
        with self._open(self._own(url), "DELETE", self._basic()) as answer:
            if answer.status not in (204, 404):
                raise MediumUnavailableError(f"Twilio answered {answer.status}")

    def _own(self, url: str) -> SplitResult:
        """The URL, if it is exactly a medium of our own account at Twilio's API."""
        parts = _split(url)
        path = _PATH.format(account=re.escape(self._credentials().account_sid))
        is_plain = parts.scheme == "https" and parts.netloc == TWILIO and not parts.query and not parts.fragment
        if not is_plain or not re.fullmatch(path, parts.path):
            raise MediumRefusedError("not a medium of our account at Twilio")
        return urlsplit(f"{self._base_url}/api{parts.path}") if self._base_url else parts

    def _check_host(self, parts: SplitResult) -> None:
        if self._is_emulators(parts):  # its second host
            return
        if not _CONTENT_HOSTS.fullmatch(parts.hostname or ""):
            # Not final: Twilio may have moved its content to a host that is added later.
            host = re.sub(r"[^a-z0-9.:-]", "?", parts.hostname or "nowhere")[:253]  # it stands in an alert
            raise MediumHostUnknownError(f"redirected to {host}, not known to keep Twilio's content")
        if parts.scheme != "https" or parts.port not in (None, 443) or "@" in parts.netloc:
            raise MediumRefusedError("redirected to where no content of Twilio's can be")

    @contextmanager
    def _open(self, parts: SplitResult, method: str, headers: dict[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """One request, without redirects, to the address that was checked: DNS cannot give another one in between."""
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {"Host": parts.netloc, "Accept-Encoding": "identity", **headers}
        try:
            with self._pool(parts) as pool:
                answer = pool.urlopen(
                    method, path, headers=headers, redirect=False, retries=False, preload_content=False, timeout=TIMEOUT
                )
                try:
                    yield answer
                finally:
                    answer.close()
        except urllib3.exceptions.HTTPError as error:
            raise MediumUnavailableError(f"Twilio did not hand it out ({type(error).__name__})") from None

    def _pool(self, parts: SplitResult) -> urllib3.HTTPConnectionPool:
        host = parts.hostname or ""
        if self._is_emulators(parts):
            return urllib3.HTTPConnectionPool(host, parts.port)
        try:
            addresses = self._resolve(host, 443)
        except OSError:
            raise MediumUnavailableError("no such host") from None
        if not addresses or not all(map(_is_public, addresses)):
            raise MediumRefusedError("a host whose address is not public")
        return urllib3.HTTPSConnectionPool(addresses[0], 443, server_hostname=host, assert_hostname=host)

    def _is_emulators(self, parts: SplitResult) -> bool:
        return bool(self._base_url) and parts.scheme == "http" and parts.hostname == "127.0.0.1"

    def _basic(self) -> dict[str, str]:
        known = self._credentials()
        user, password = known.api_key_sid or known.account_sid, known.api_key_secret or known.auth_token
        return dict(urllib3.make_headers(basic_auth=f"{user}:{password}"))


def _split(url: str, base: str = "") -> SplitResult:
    try:
        parts = urlsplit(urljoin(base, url))
        _ = parts.port  # raises ValueError if it is no port
    except ValueError:
        raise MediumRefusedError("not a proper address") from None
    return parts


def _by_path(parts: SplitResult) -> SplitResult:
    """The old bucket's URL with the bucket in the path: S3's certificate fits no host with a bucket that has dots
    (docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html)."""
    if parts.netloc.lower() != f"{_OLD_BUCKET}.{_S3}":
        return parts
    return parts._replace(scheme="https", netloc=_S3, path=f"/{_OLD_BUCKET}{parts.path}")


def _content(answer: urllib3.BaseHTTPResponse) -> bytes:
    """The body as it was sent: unpacked, it could have any size."""
    if answer.status != 200:
        raise MediumUnavailableError(f"Twilio's host answered {answer.status}")
    ends = time.monotonic() + TOTAL_S
    content = bytearray()
    while chunk := answer.read1(CHUNK, decode_content=False):  # does not wait for a full chunk
        content += chunk
        if len(content) > MAX_BYTES:
            raise MediumRefusedError("larger than 16 MB")
        if time.monotonic() > ends:
            raise MediumUnavailableError("too slow")
    if not content:
        raise MediumUnavailableError("Twilio's host answered without content")
    return bytes(content)


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return address.is_global and not address.is_multicast and not any(address in tunnel for tunnel in _TUNNELS)


def _addresses(host: str, port: int) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
