"""What a message costs in DynamoDB's write units, table and index. Who makes it dearer has to say so here."""

from tests.app import UnitApp
from tests.units import Units, counted


def cost(units: Units) -> tuple[int, int]:
    return units.table, units.index


def test_send_and_its_callbacks(app: UnitApp) -> None:
    with counted(app.dynamodb) as send:
        app.send()
    with counted(app.dynamodb) as idle:
        app.callback(app.record(), "sent")
    with counted(app.dynamodb) as delivered:
        app.callback(app.record(), "delivered")
    with counted(app.dynamodb) as read:
        app.callback(app.record(), "read")
    assert [cost(one) for one in (send, idle, delivered, read)] == [(10, 3), (1, 0), (4, 3), (4, 4)]


def test_callback_that_comes_again(app: UnitApp) -> None:
    app.send()
    app.callback(app.record(), "sent")
    with counted(app.dynamodb) as again:
        app.callback(app.record(), "sent")
    assert cost(again) == (1, 0)


def test_message_that_is_not_delivered_at_once(app: UnitApp) -> None:
    """The sweep moves it to where its status is asked for."""
    app.send()
    app.clock.sleep(60)
    app.senders.mark()  # as the first sweep did, once for all
    with counted(app.dynamodb) as sweep:
        app.sweep_due(app.deadline)
    assert cost(sweep) == (1, 2)


def test_inbound_message(app: UnitApp) -> None:
    with counted(app.dynamodb) as received:
        app.patient_writes()
    assert cost(received) == (5, 3)
