"""What a message costs in DynamoDB's write units, table and index. Who makes it dearer has to say so here."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests import ministack_tables
from tests.app import SETTINGS, UnitApp
from tests.simulation.dynamodb import Client
from tests.units import Consumed, apply


class Meter:
    """DynamoDB, and what was written to it."""

    def __init__(self) -> None:
        self._written: list[Consumed] = []

    def ask(self, operation: str, request: dict[str, Any]) -> Any:
        answer, consumed = apply(operation, request)
        self._written.append(consumed)
        return answer

    def cost(self, act: Callable[[], object]) -> tuple[float, float]:
        """What an act writes, in units of tables and of indexes."""
        self._written.clear()
        act()
        return sum(one.write for one in self._written), sum(one.index for one in self._written)


@pytest.fixture
def meter() -> Meter:
    ministack_tables.make_tables()
    return Meter()


@pytest.fixture
def app(meter: Meter) -> UnitApp:
    tables = {name: name.removesuffix("_table") for name in ("messages_table", "contacts_table", "templates_table")}
    settings: Any = replace(SETTINGS, **tables)  # type: ignore[arg-type]  # mypy does not know which fields
    app = UnitApp(settings, Client(meter.ask))
    app.approve()
    return app


def test_send_and_its_callbacks(app: UnitApp, meter: Meter) -> None:
    assert meter.cost(app.send) == (10, 3)
    assert meter.cost(lambda: app.callback(app.record(), "sent")) == (1, 0)
    assert meter.cost(lambda: app.callback(app.record(), "delivered")) == (4, 3)
    assert meter.cost(lambda: app.callback(app.record(), "read")) == (4, 4)


def test_callback_that_comes_again(app: UnitApp, meter: Meter) -> None:
    app.send()
    app.callback(app.record(), "sent")
    assert meter.cost(lambda: app.callback(app.record(), "sent")) == (1, 0)


def test_message_that_is_not_delivered_at_once(app: UnitApp, meter: Meter) -> None:
    """The sweep moves it to where its status is asked for."""
    app.send()
    app.clock.sleep(60)
    app.senders.mark()  # as the first sweep did, once for all
    assert meter.cost(lambda: app.sweep_due(app.deadline)) == (1, 2)


def test_inbound_message(app: UnitApp, meter: Meter) -> None:
    assert meter.cost(app.patient_writes) == (5, 3)
