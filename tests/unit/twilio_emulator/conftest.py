from collections.abc import Iterator

import httpx
import pytest
from twilio.rest import Client

from local.twilio.server import running
from local.twilio.state import Account
from local.twilio.whatsapp_rules import SANDBOX_SENDER
from tests.unit.twilio_emulator.kit import (
    ACCOUNT_SID,
    API_KEY,
    API_SECRET,
    AUTH_TOKEN,
    SENDER,
    Door,
    Emulator,
    open_door,
)

FAST = {"queued": 1, "sent": 5, "delivered": 25, "read": 25}


@pytest.fixture(scope="session")
def running_emulator() -> Iterator[Emulator]:
    account = Account(ACCOUNT_SID, AUTH_TOKEN, [SENDER, SANDBOX_SENDER], api_keys={API_KEY: API_SECRET})
    no_keep_alive = httpx.Limits(max_keepalive_connections=0)
    http = httpx.Client(timeout=20, trust_env=False, limits=no_keep_alive)
    with running(account) as server, http:
        yield Emulator(server.url, account, http)


@pytest.fixture
def emulator(running_emulator: Emulator) -> Emulator:
    """The session's emulator, as new, with statuses that follow each other within milliseconds."""
    running_emulator.control("reset", {"all": True})
    running_emulator.control("configure", {"status_delays_ms": FAST})
    return running_emulator


@pytest.fixture
def client(emulator: Emulator) -> Client:
    return emulator.client()


@pytest.fixture
def door() -> Iterator[Door]:
    with open_door() as door:
        yield door
