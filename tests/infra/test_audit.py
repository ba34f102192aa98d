"""The audit of dependencies, against an OSV of our own."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from local.processes import free_port
from tools import audit

VULNERABILITY = {
    "id": "GHSA-0000-0000-0000",
    "modified": "2026-11-01T00:00:00Z",
    "summary": "Anybody gets in.",
    "affected": [{"package": {"ecosystem": "PyPI", "name": "jinja2"}}],
}


class Osv(BaseHTTPRequestHandler):
    """Knows of one vulnerability, in a package that `vulnerable` names."""

    vulnerable = ""

    def do_POST(self) -> None:
        """`/v1/querybatch`."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        known = {"vulns": [{"id": VULNERABILITY["id"], "modified": VULNERABILITY["modified"]}]}
        self._answer({"results": [known if self._is_vulnerable(one) else {} for one in asked]})

    def do_GET(self) -> None:
        """`/v1/vulns/ID`."""
        self._answer(VULNERABILITY)

    def _is_vulnerable(self, query: dict[str, dict[str, str]]) -> bool:
        return query["package"].get("name") == self.vulnerable or f"/{self.vulnerable}@" in str(query)

    def _answer(self, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def osv() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Osv) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("vulnerable", "status"), [("nothing we have", 0), ("jinja2", 1)])
def test_what_is_known_is_told(
    osv: str, vulnerable: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Osv, "vulnerable", vulnerable)
    assert audit.main(["--service-url", osv]) == status
    assert ("GHSA-0000-0000-0000" in capsys.readouterr().out) == bool(status)


@pytest.mark.parametrize(("variable", "status"), [("", 0), ("required", 1)])
def test_an_audit_that_could_not_ask_says_so(
    variable: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUDIT", variable)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    assert audit.main(["--service-url", f"http://127.0.0.1:{free_port()}"]) == status
    assert "audit: NOT DONE. OSV gave no answer" in capsys.readouterr().err
