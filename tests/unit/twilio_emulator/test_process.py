"""The emulator in a process of its own: it announces itself, and goes at once when told to."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.unit.twilio_emulator.kit import ACCOUNT_SID, API_KEY, API_SECRET, AUTH_TOKEN, PATIENT, SENDER, eventually


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_process_announces_itself_and_stops_at_once(tmp_path: Path, stop: signal.Signals) -> None:
    announce = tmp_path / "twilio.json"
    options = ["--account-sid", ACCOUNT_SID, "--auth-token", AUTH_TOKEN, "--from", SENDER]
    options += ["--api-key", f"{API_KEY}:{API_SECRET}"]
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "local.twilio", "--port", "0", *options, "--announce", str(announce)],
        stdout=subprocess.DEVNULL,
    )
    try:
        eventually(announce.exists, seconds=60)
        started = time.monotonic()
        announced = json.loads(announce.read_text())
        assert announced["account_sid"] == ACCOUNT_SID
        with (
            httpx.Client(trust_env=False) as http,
            http.stream("GET", f"{announced['url']}/_emulator/events") as stream,
        ):
            assert stream.status_code == 200
            contents = f"{announced['url']}/content/v1/Content"
            assert [
                http.get(contents, auth=(user, password)).status_code
                for user, password in ((ACCOUNT_SID, AUTH_TOKEN), (API_KEY, API_SECRET), (API_KEY, "other"))
            ] == [200, 200, 401]
            # A message whose patient never reads keeps a task running; nothing of it may hold the process up.
            http.post(f"{announced['url']}/_emulator/patients", json={"address": PATIENT, "phone_on": False})
            start = time.monotonic()
            process.send_signal(stop)
            assert process.wait(timeout=20) == 0
            # 0.2 s on an idle machine; on a busy one it may take as long as the start did.
            assert time.monotonic() - start < max(1, started - begun)
    finally:
        process.kill()
        process.wait()
    with pytest.raises(httpx.ConnectError):
        httpx.get(announced["url"], trust_env=False)
    assert [path.name for path in tmp_path.iterdir()] == ["twilio.json"]


def test_two_emulators_stand_side_by_side(tmp_path: Path) -> None:
    from local.twilio.server import running
    from local.twilio.state import Account

    accounts = [Account(ACCOUNT_SID, AUTH_TOKEN, [SENDER]) for _ in range(2)]
    with running(accounts[0]) as first, running(accounts[1]) as second:
        httpx.post(f"{first.url}/_emulator/inbound", json={"from": PATIENT, "body": "hi"}, trust_env=False)
        ledgers = [
            httpx.get(f"{server.url}/_emulator/ledger", trust_env=False).json()["messages"]
            for server in (first, second)
        ]
    assert [len(ledger) for ledger in ledgers] == [1, 0]
