"""Media over real sockets: where it may be fetched from, how much of it, and who sees our credentials."""

import gzip
import io
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import urllib3
from whatsapp.adapters.twilio import media as twilio_media
from whatsapp.adapters.twilio.credentials import TwilioCredentials
from whatsapp.adapters.twilio.media import MAX_BYTES, TwilioMedia
from whatsapp.domain.ports import MediumHostUnknownError, MediumRefusedError, MediumUnavailableError

ACCOUNT = "AC" + "0" * 32
PATH = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/MM{'1' * 32}/Media/ME{'2' * 32}"
URL = f"https://api.twilio.com{PATH}"
CREDENTIALS = TwilioCredentials(ACCOUNT, "secret-token")
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + b"\0" * 100
Answer = Callable[[BaseHTTPRequestHandler], None]


class Host:
    """A web server on loopback that answers as the test says, and remembers who showed it what."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.seen: list[dict[str, str]] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.seen.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
                host.answer(self)

            do_DELETE = do_GET  # noqa: N815 - http.server's own spelling

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up is wanted here
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> "Host":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def says(status: int, body: bytes = b"", **headers: str) -> Answer:
    """An answer in full."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def redirects(to: str, status: int = 307) -> Answer:
    """A redirect to any target."""
    return says(status, Location=to)


@pytest.fixture
def fetched() -> Iterator[Callable[..., Any]]:
    """Fetch through two hosts of ours in place of Twilio's, as with the emulator."""
    hosts: list[Host] = []

    def fetch(content: Answer, first: Answer | None = None) -> Any:
        second = Host(content).__enter__()
        twilio = Host(first or redirects(f"{second.url}/media/ticket")).__enter__()
        hosts.extend((twilio, second))
        fetch.hosts = (twilio, second)  # type: ignore[attr-defined]  # for the tests that look at them
        return TwilioMedia(lambda: CREDENTIALS, twilio.url).fetch(URL)

    yield fetch
    for host in hosts:
        host.__exit__()


# --- the way of a medium --------------------------------------------------------


def test_content_comes_from_the_second_host_which_never_sees_credentials(fetched: Any) -> None:
    assert fetched(says(200, JPEG)) == JPEG
    (first,), (second,) = (host.seen for host in fetched.hosts)
    assert first["authorization"].startswith("Basic ")
    assert first["path"] == f"/api{PATH}"
    assert "authorization" not in second
    assert "cookie" not in second


def test_content_may_come_from_twilio_itself(fetched: Any) -> None:
    assert fetched(says(500), first=says(200, JPEG)) == JPEG


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_every_kind_of_redirect(fetched: Any, status: int) -> None:
    with Host(says(200, JPEG)) as content:
        assert fetched(says(500), first=redirects(f"{content.url}/x", status)) == JPEG


def test_api_key_is_used_where_there_is_one() -> None:
    keyed = TwilioCredentials(ACCOUNT, "token", None, "SK1", "key-secret")
    with Host(says(204)) as twilio:
        TwilioMedia(lambda: keyed, twilio.url).delete(URL)
    assert twilio.seen[0]["authorization"] == urllib3.make_headers(basic_auth="SK1:key-secret")["authorization"]


@pytest.mark.parametrize("status", [204, 404])
def test_deletes_and_what_is_gone_is_deleted(status: int) -> None:
    with Host(says(status)) as twilio:
        TwilioMedia(lambda: CREDENTIALS, twilio.url).delete(URL)
    assert twilio.seen[0]["path"] == f"/api{PATH}"


def test_delete_that_failed_is_an_error() -> None:
    with Host(says(500)) as twilio, pytest.raises(MediumUnavailableError):
        TwilioMedia(lambda: CREDENTIALS, twilio.url).delete(URL)


@pytest.mark.parametrize("status", [202, 206, 400, 401, 403, 404, 429, 500, 503])
def test_no_other_status_is_a_medium(fetched: Any, status: int) -> None:
    with pytest.raises(MediumUnavailableError):
        fetched(says(status, JPEG))
    with pytest.raises(MediumUnavailableError):
        fetched(says(200, JPEG), first=says(status, JPEG))


# --- whose medium --------------------------------------------------------

OTHERS = (
    "",
    "media",
    "file:///etc/passwd",
    PATH,
    f"http://api.twilio.com{PATH}",
    f"https://api.twilio.com:443{PATH}",
    f"https://api.twilio.com:8443{PATH}",
    f"https://api.twilio.com:no{PATH}",
    f"https://api.twilio.com.evil.example{PATH}",
    f"https://evil.example/api.twilio.com{PATH}",
    f"https://user:pass@api.twilio.com{PATH}",
    f"https://api.twilio.com@evil.example{PATH}",
    f"https://api.twilio.com\\@evil.example{PATH}",
    f"https://api.twilio.com%2eevil.example{PATH}",
    f"https://[::1]{PATH}",
    f"https://[::1{PATH}",
    f"https://169.254.169.254{PATH}",
    f"{URL}?x=1",
    f"{URL}#x",
    f"{URL}/",
    f"{URL}/../../../../Accounts.json",
    f"{URL}%2f..",
    f"{URL}.json",
    URL.replace(ACCOUNT, "AC" + "9" * 32),
    URL.replace(ACCOUNT, f"{ACCOUNT}/../{'AC' + '9' * 32}"),
    URL.replace("/Media/", "/../Media/"),
    URL.replace("Messages", "Recordings"),
    URL.replace("ME2", "MExyz"),
    URL.replace("ME2", "ME٢"),
)


@pytest.mark.parametrize("url", OTHERS)
def test_nothing_is_fetched_but_a_medium_of_our_account(url: str) -> None:
    with Host(says(200, JPEG)) as twilio, pytest.raises(MediumRefusedError):
        TwilioMedia(lambda: CREDENTIALS, twilio.url).fetch(url)
    assert twilio.seen == []


# --- where a redirect may lead --------------------------------------------------------

NO_CONTENT_HOSTS = (
    "http://mms.twiliocdn.com/x",
    "ftp://mms.twiliocdn.com/x",
    "file:///etc/passwd",
    "gopher://mms.twiliocdn.com/x",
    "https://mms.twiliocdn.com:8443/x",
    "https://mms.twiliocdn.com:99999/x",
    "https://user:pass@mms.twiliocdn.com/x",
    "https://mms.twiliocdn.com@evil.example/x",
    "https://mms.twiliocdn.com\\@evil.example/x",
    "https://evil.example/mms.twiliocdn.com",
    "https://mms.twiliocdn.com.evil.example/x",
    "https://eviltwiliocdn.com/x",
    "https://mms.twiliocdn.com./x",
    "https://bucket.s3.amazonaws.com/x",
    "https://s3-external-1.amazonaws.com.evil.example/x",
    "https://evil.s3-external-1.amazonaws.com/x",
    "https://media.twiliocdn.com.s3-external-1.amazonaws.com:8443/x",
    "https://user@media.twiliocdn.com.s3-external-1.amazonaws.com/x",
    "https://media.twiliocdn.com.s3-external-1.amazonaws.com.evil.example/x",
    "https://127.0.0.1/x",
    "https://10.0.0.1/x",
    "https://169.254.169.254/latest/meta-data/",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://0177.0.0.1/x",
    "https://127.1/x",
    "https://[::1]/x",
    "https://[::ffff:169.254.169.254]/x",
    "https://[fe80::1%25eth0]/x",
    "https://[::1/x",
    "https://localhost/x",
    "https://ⓜⓜⓢ.twiliocdn.com/x",
    "//evil.example/x",
    "",
)
ENDS_AT = ("mms.twiliocdn.com", "media.twiliocdn.com", "s3-external-1.amazonaws.com")
NO_PUBLIC_ADDRESSES = (
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1", "224.0.0.1"),
    *(
        "255.255.255.255",
        "192.0.2.7",
        "198.18.0.1",
        "240.0.0.1",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
    ),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:db8::1"),
)


class Wire:
    """Stands where a connection would be made: nothing leaves this machine, and what would have is noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, location: str) -> None:
        self.connected: list[str] = []
        self.paths: list[str] = []
        wire = self

        def urlopen(pool: Any, method: str, url: str, *, headers: dict[str, str], **how: Any) -> Any:
            wire.connected.append(f"{pool.host} as {headers['Host']}")
            wire.paths.append(url)
            assert how["redirect"] is False
            is_first = len(wire.connected) == 1
            status, found = (307, {"Location": location}) if is_first else (200, {})
            assert is_first == ("authorization" in headers)
            return urllib3.HTTPResponse(io.BytesIO(b"" if is_first else JPEG), found, status, preload_content=False)

        monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", urlopen)


@pytest.mark.parametrize("location", NO_CONTENT_HOSTS)
def test_redirect_leads_nowhere_else(monkeypatch: pytest.MonkeyPatch, location: str) -> None:
    wire = Wire(monkeypatch, location)
    with pytest.raises((MediumRefusedError, MediumUnavailableError)):
        TwilioMedia(lambda: CREDENTIALS, resolve=lambda *_: ["3.3.3.3"]).fetch(URL)
    assert wire.connected == ["3.3.3.3 as api.twilio.com"]


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("https://media.new-store.example/x?X-Signature=1", "media.new-store.example"),
        ("http://media.new-store.example/x", "media.new-store.example"),
        ("https://name:pass@new_store\n.example/x", "new?store.example"),
        ("", "api.twilio.com"),
        ("mailto:someone@example.org", "nowhere"),
    ],
)
def test_host_that_we_do_not_know_is_named_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, location: str, named: str
) -> None:
    """Twilio may have moved its content: that must not cost every file for good, at once. Only the host is named."""
    Wire(monkeypatch, location)
    with pytest.raises(MediumHostUnknownError, match=rf"^redirected to {re.escape(named)}, not known"):
        TwilioMedia(lambda: CREDENTIALS, resolve=lambda *_: ["3.3.3.3"]).fetch(URL)


@pytest.mark.parametrize("host", ENDS_AT)
def test_redirect_leads_to_twilios_own_stores(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    wire = Wire(monkeypatch, f"https://{host.upper()}/a/b?X-Signature=1")
    assert TwilioMedia(lambda: CREDENTIALS, resolve=lambda *_: ["3.3.3.3"]).fetch(URL) == JPEG
    assert len(wire.connected) == 2


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_old_bucket_is_fetched_by_a_host_that_has_a_certificate(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """As Twilio redirected before Basic auth: a host with the bucket's name, whose dots no certificate covers."""
    wire = Wire(monkeypatch, f"{scheme}://media.twiliocdn.com.s3-external-1.amazonaws.com/{ACCOUNT}/934939f4?x=1")
    assert TwilioMedia(lambda: CREDENTIALS, resolve=lambda *_: ["3.3.3.3"]).fetch(URL) == JPEG
    assert wire.connected[1] == "3.3.3.3 as s3-external-1.amazonaws.com"
    assert wire.paths[1] == f"/media.twiliocdn.com/{ACCOUNT}/934939f4?x=1"


@pytest.mark.parametrize("address", NO_PUBLIC_ADDRESSES)
def test_no_name_leads_to_a_private_address(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Neither alone nor beside a public one, nor at the second look only: DNS may be the attacker's."""
    location = "https://mms.twiliocdn.com/x"
    for answers in ([[address]], [["3.3.3.3", address]], [["3.3.3.3"], [address]]):
        left = list(answers)
        wire = Wire(monkeypatch, location)
        with pytest.raises(MediumRefusedError):
            TwilioMedia(lambda: CREDENTIALS, resolve=lambda *_: left.pop(0)).fetch(URL)  # noqa: B023 - used at once
        assert not any(address in where for where in wire.connected)


def test_name_is_looked_up_once_and_its_address_is_what_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: a second look-up would lead elsewhere, so there is none."""
    looked_up: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        looked_up.append(host)
        return ["3.3.3.3"] if looked_up.count(host) == 1 else ["127.0.0.1"]

    wire = Wire(monkeypatch, "https://mms.twiliocdn.com/x")
    TwilioMedia(lambda: CREDENTIALS, resolve=resolve).fetch(URL)
    assert looked_up == ["api.twilio.com", "mms.twiliocdn.com"]
    assert wire.connected == ["3.3.3.3 as api.twilio.com", "3.3.3.3 as mms.twiliocdn.com"]


def test_second_redirect_is_not_followed(fetched: Any) -> None:
    with Host(says(200, JPEG)) as third:
        with pytest.raises(MediumUnavailableError):
            fetched(redirects(f"{third.url}/x"))
        assert third.seen == []


def test_name_that_is_unknown_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object) -> list[str]:
        raise socket.gaierror

    with pytest.raises(MediumUnavailableError):
        TwilioMedia(lambda: CREDENTIALS, resolve=resolve).fetch(URL)


def test_certificate_must_be_of_the_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A self-signed certificate for the right name: the server at the address cannot prove to be Twilio."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    asked = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=api.twilio.com"]
    names = ["-addext", "subjectAltName=DNS:api.twilio.com", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *asked, *names], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with Host(says(200, JPEG), tls) as impostor:
        monkeypatch.setattr(twilio_media, "_is_public", lambda _: True)
        real = urllib3.HTTPSConnectionPool
        pool = lambda host, port, **how: real(host, impostor.port, **how)  # noqa: E731 - the port alone is another
        monkeypatch.setattr(urllib3, "HTTPSConnectionPool", pool)
        with pytest.raises(MediumUnavailableError, match="SSLError"):
            TwilioMedia(lambda: CREDENTIALS, resolve=lambda *_: ["127.0.0.1"]).fetch(URL)
    assert impostor.seen == []


# --- how much --------------------------------------------------------


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65_536)


def endless_chunks(handler: BaseHTTPRequestHandler) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")


def promises(length: int, body: bytes) -> Answer:
    return says(200, body, Content_Length=str(length))


def test_sixteen_megabytes_are_taken_and_a_byte_more_is_not(fetched: Any) -> None:
    assert len(fetched(says(200, b"x" * MAX_BYTES))) == MAX_BYTES
    with pytest.raises(MediumRefusedError, match="larger"):
        fetched(says(200, b"x" * (MAX_BYTES + 1)))


@pytest.mark.parametrize("answer", [says(200), says(200, Transfer_Encoding="identity"), promises(0, b"late")])
def test_empty_answer_is_no_file(fetched: Any, answer: Answer) -> None:
    with pytest.raises(MediumUnavailableError, match="without content"):
        fetched(answer)
    with pytest.raises(MediumUnavailableError, match="without content"):
        fetched(says(500), first=answer)


@pytest.mark.parametrize("answer", [endless, endless_chunks])
def test_content_without_end_is_cut_off(fetched: Any, answer: Answer) -> None:
    with pytest.raises(MediumRefusedError, match="larger"):
        fetched(answer)


def test_promised_length_is_no_licence(fetched: Any) -> None:
    assert len(fetched(promises(10, b"x" * 1_000))) == 10
    with pytest.raises(MediumUnavailableError):
        fetched(promises(1_000, b"x" * 10))
    with pytest.raises(MediumRefusedError):
        fetched(promises(10**15, b"x" * (MAX_BYTES + 1)))


def test_slow_drip_is_ended(fetched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps every read alive: the whole has a limit, too."""
    monkeypatch.setattr(twilio_media, "TOTAL_S", 0.3)

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(200):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    began = time.monotonic()
    with pytest.raises(MediumUnavailableError, match="slow"):
        fetched(drip)
    assert time.monotonic() - began < 5


def test_silence_is_ended(fetched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_media, "TIMEOUT", urllib3.Timeout(connect=0.2, read=0.2))
    with pytest.raises(MediumUnavailableError):
        fetched(lambda handler: time.sleep(1))


def test_packed_content_is_never_unpacked(fetched: Any) -> None:
    """A gzip bomb: a gigabyte in a megabyte. It stays what it is: bytes."""
    bomb = gzip.compress(b"\0" * (64 * 1024 * 1024))
    assert fetched(says(200, bomb, Content_Encoding="gzip", Content_Type="image/jpeg")) == bomb
