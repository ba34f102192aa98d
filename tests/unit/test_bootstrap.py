"""What a sandbox makes in Lambda's INIT."""

import threading
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from whatsapp import bootstrap
from whatsapp.domain import periods
from whatsapp.domain.errors import MessagingError
from whatsapp.settings import ConfigurationError

from tests.app import UnitApp


@pytest.fixture
def init(app: UnitApp, monkeypatch: pytest.MonkeyPatch) -> UnitApp:
    """A sandbox that starts in Lambda."""
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    monkeypatch.setattr(bootstrap, "app", lambda: app)
    return app


def failing(error: Exception) -> Any:
    def part(_: object) -> None:
        raise error

    return part


def test_every_part_is_made_in_order(init: UnitApp) -> None:
    made: list[object] = []
    bootstrap.prepare(made.append, lambda app: made.append(app.record_status))
    assert made == [init, init.record_status]


@pytest.mark.parametrize(
    "error",
    [
        MessagingError("account_problem", "the secret is empty"),
        EndpointConnectionError(endpoint_url="https://secretsmanager"),
        RuntimeError("a bug"),
    ],
)
def test_part_that_cannot_be_made_keeps_nothing_from_starting(init: UnitApp, error: Exception) -> None:
    made: list[object] = []
    bootstrap.prepare(failing(error), made.append)
    assert made == [init]


def test_configuration_that_is_wrong_is_told_by_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    monkeypatch.setattr(bootstrap, "app", failing(ConfigurationError("SENDER_ADDRESS is not set")))
    bootstrap.prepare(lambda app: app.receive_message)


def test_service_that_hangs_does_not_hold_the_start_for_long(init: UnitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """INIT has ten seconds, and each request has its own timeouts."""
    monkeypatch.setattr(periods, "INIT_WAITS_S", 0.05)
    hangs, made = threading.Event(), list[object]()
    bootstrap.prepare(lambda _: hangs.wait(10), made.append)
    assert made == []
    hangs.set()


def test_outside_of_lambda_nothing_is_made(app: UnitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_LAMBDA_INITIALIZATION_TYPE", raising=False)
    monkeypatch.setattr(bootstrap, "app", lambda: app)
    made: list[object] = []
    bootstrap.prepare(made.append)
    assert made == []
