from collections.abc import Iterator

import pytest
from twilio.rest import Client

from local.twilio.server import running
from local.twilio.state import Account
from tests.unit.twilio_emulator.kit import ACCOUNT_SID, AUTH_TOKEN, SENDER, Door, Emulator, open_door

FAST = {"queued": 1, "sent": 5, "delivered": 10, "read": 10}


@pytest.fixture(scope="session")
def running_emulator() -> Iterator[Emulator]:
    account = Account(ACCOUNT_SID, AUTH_TOKEN, [SENDER], api_keys={"SK" + "2" * 32: "key-secret"})
    with running(account) as server:
        yield Emulator(server.url, account)


@pytest.fixture
def emulator(running_emulator: Emulator) -> Emulator:
    """The session's emulator, as new, with statuses that follow each other within milliseconds."""
    running_emulator.control("reset", {})
    running_emulator.control("configure", {"status_delays_ms": FAST})
    return running_emulator


@pytest.fixture
def client(emulator: Emulator) -> Client:
    return emulator.client()


@pytest.fixture
def door() -> Iterator[Door]:
    with open_door() as door:
        yield door
