"""The outbox: what each entry becomes, and that a refused delivery leaves the entry."""

import pytest
from whatsapp.domain.errors import Failure, MessagingError
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.transition import EVERYONE, status_changed

from tests.app import UnitApp

NOT_JSON = MessagingError("invalid_request", "the queue message is not JSON")


def test_every_entry_is_delivered_in_its_own_way(app: UnitApp) -> None:
    failed = app.store(status=Status.FAILED, outbox=EVERYONE, error=Failure(code="account_problem", detail="why"))
    assert app.outbox.deliver(failed) == frozenset()
    assert app.bus.events == [status_changed(failed)]
    assert app.queue.dead == app.alerts.told == [failed]


def test_only_what_the_outbox_names_is_delivered(app: UnitApp) -> None:
    sent = app.store(status=Status.SENT, outbox=frozenset({"event"}))
    assert app.outbox.deliver(sent) == frozenset()
    assert (len(app.bus.events), app.queue.dead, app.alerts.told) == (1, [], [])


@pytest.mark.parametrize(("down", "left"), [("bus", "event"), ("alerts", "alert"), ("queue", "dlq")])
def test_refused_delivery_is_left_and_counted_and_the_others_go_on(app: UnitApp, down: str, left: str) -> None:
    getattr(app, down).down = True
    failed = app.store(status=Status.FAILED, outbox=EVERYONE)
    assert app.outbox.deliver(failed) == {left}
    assert app.metrics.counts == {"NotTold": 1}
    assert len(app.bus.events) + len(app.queue.dead) + len(app.alerts.told) == 2


def test_event_has_the_same_id_each_time(app: UnitApp) -> None:
    sent = app.store(status=Status.SENT, outbox=frozenset({"event"}))
    app.outbox.deliver(sent)
    app.clock.sleep(60)
    app.outbox.deliver(sent)
    assert app.bus.events[0] == app.bus.events[1]


def test_publish_says_whether_the_bus_took_it(app: UnitApp) -> None:
    event = status_changed(app.store(status=Status.SENT))
    assert app.outbox.publish(event)
    app.bus.down = True
    assert not app.outbox.publish(event)
    assert (app.bus.events, app.metrics.counts) == ([event], {"PublishFailed": 1})


def test_unreadable_is_kept_and_alerted(app: UnitApp) -> None:
    assert app.outbox.keep_unreadable("{", "q1", NOT_JSON)
    assert (app.queue.unreadables, app.alerts.unreadables) == (["q1 invalid_request {"], ["q1 invalid_request"])


def test_unreadable_that_is_not_kept_is_not_alerted(app: UnitApp) -> None:
    """The queue message comes back; an alert each time would only be noise."""
    app.queue.down = True
    assert not app.outbox.keep_unreadable("{", "q1", NOT_JSON)
    assert (app.queue.unreadables, app.alerts.unreadables) == ([], [])
