"""A cancel, at every status of the message."""

from typing import Any

import pytest
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import handle_of

from tests.app import UnitApp, a_request, message_id_of
from tests.fakes import NOON

M = message_id_of("m")


def stored(app: UnitApp, status: Status, key: str = "m", **fields: Any) -> None:
    app.store(key, status=status, attempt="a", due_at=NOON, **fields)


def cancel_error(app: UnitApp, message_id: str = M) -> MessagingError:
    with pytest.raises(MessagingError) as caught:
        app.cancel_message(message_id)
    return caught.value


@pytest.mark.parametrize("status", [Status.PENDING, Status.DEFERRED, Status.RETRYING])
def test_waiting_message_is_canceled(app: UnitApp, status: Status) -> None:
    stored(app, status)
    assert app.cancel_message(M).status == "canceled"
    assert (app.record().status, app.record().due_at) == (Status.CANCELED, None)
    assert [event.status for event in app.bus.events] == ["canceled"]


def test_canceled_message_stays_canceled(app: UnitApp) -> None:
    stored(app, Status.CANCELED)
    assert app.cancel_message(M).status == "canceled"
    assert app.bus.events == []


def test_claimed_message_is_canceled_before_its_fence(app: UnitApp) -> None:
    app.left_at(Status.CLAIMED)
    answer = app.cancel_message(M)
    assert (answer.status, answer.scheduled_for) == ("canceled", None)
    assert (app.record().status, app.record().stop) == (Status.CLAIMED, "canceled")
    app.clock.sleep(40)
    app.sweep_due(app.deadline)
    assert app.record().status is Status.CANCELED
    assert (app.contact().inflight, app.contact_row()["next_allowed_at"]) == (None, 0)


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (Status.SENDING, "sending"),
        (Status.UNKNOWN, "unknown"),
        (Status.UNRESOLVED, "unknown"),
        (Status.SENT, "sent"),
        (Status.UNDELIVERED, "undelivered"),
        (Status.FAILED, "failed"),
        (Status.DELIVERED, "delivered"),
        (Status.READ, "read"),
        (Status.EXPIRED, "expired"),
    ],
)
def test_message_that_is_or_may_be_at_twilio_or_has_ended_cannot_be_canceled(
    app: UnitApp, status: Status, shown: str
) -> None:
    """It is marked all the same, so that nothing continues it."""
    stored(app, status)
    error = cancel_error(app)
    assert (error.code, error.failure.retryable) == ("too_late_to_cancel", False)
    assert f"the message is {shown}:" in error.detail
    assert (app.record().status, app.record().stop, app.bus.events) == (status, "canceled", [])


def test_unknown_id_is_stored_as_canceled(app: UnitApp) -> None:
    answer = app.cancel_message(handle_of("m"))
    assert (answer.message_id, answer.status, answer.contact_id) == (M, "canceled", None)
    assert app.send().status == "canceled"
    assert app.gateway.posts == []


def test_request_that_comes_just_before_the_tombstone_is_canceled_too(app: UnitApp) -> None:
    with app.before_call("PutItem", lambda: stored(app, Status.DEFERRED)):
        assert app.cancel_message(handle_of("m")).status == "canceled"
    assert (app.record().status, app.record().contact_id) == (Status.CANCELED, app.contact().contact_id)


def test_message_is_canceled_by_its_handle_too(app: UnitApp) -> None:
    stored(app, Status.DEFERRED)
    assert app.cancel_message(handle_of("m")).message_id == M
    assert app.record().status is Status.CANCELED


def test_message_of_the_time_before_keyed_ids_is_canceled_by_its_id(app: UnitApp) -> None:
    stored(app, Status.DEFERRED, message_id=handle_of("m"), request_hash=a_request().hash())
    assert app.cancel_message(handle_of("m")).message_id == handle_of("m")
    assert app.send().status == "canceled"


@pytest.mark.parametrize("message_id", ["SM" + "0" * 32, "0" * 31, "G" * 32, ""])
def test_id_of_no_outgoing_message_is_not_found(app: UnitApp, message_id: str) -> None:
    assert cancel_error(app, message_id).code == "not_found"


def test_cancel_binds_the_records_that_continue_the_message(app: UnitApp) -> None:
    stored(app, Status.FAILED, continued_as=message_id_of("new"))
    stored(app, Status.PENDING, "new", continues=M)
    answer = app.cancel_message(M)
    assert (answer.message_id, answer.status) == (message_id_of("new"), "canceled")
    assert app.record().stop == "canceled"


def test_message_that_was_claimed_meanwhile_is_stopped(app: UnitApp) -> None:
    stored(app, Status.DEFERRED)
    with app.before_call("UpdateItem", lambda: stored(app, Status.CLAIMED)):
        assert app.cancel_message(M).status == "canceled"
    assert app.record().stop == "canceled"


def test_message_that_was_sent_meanwhile_is_too_late(app: UnitApp) -> None:
    stored(app, Status.CLAIMED)
    with app.before_call("UpdateItem", lambda: stored(app, Status.SENDING)):
        assert cancel_error(app).code == "too_late_to_cancel"


def test_message_that_keeps_changing_is_too_late_for_now(app: UnitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(app, Status.CLAIMED)
    monkeypatch.setattr(app.messages, "request_stop", lambda *_: None)
    assert cancel_error(app).failure.retryable
