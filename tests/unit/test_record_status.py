"""What a status callback may change, and what it brings to light."""

from typing import Any

import pytest
from whatsapp.adapters.dynamodb.items import message_key
from whatsapp.domain import periods
from whatsapp.domain.ports import StatusUpdate
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message
from whatsapp.use_cases.record_status import NO_MESSAGE

from tests.app import UnitApp, message_id_of
from tests.fakes import NOON

MINUTE = periods.MINUTE
OURS, STRANGERS = f"SM{1:032x}", f"SM{77:032x}"


def sent(app: UnitApp, key: str = "m", **fields: Any) -> Message:
    """A message that Twilio accepted."""
    known = {"status": Status.SENT, "attempt": "a" * 12, "twilio_sid": OURS, "claimed_at": NOON, "accepted_at": NOON}
    return app.store(key, **{**known, **fields})


def set_contact(app: UnitApp, **values: Any) -> None:
    app.contacts.update(app.contact().contact_id, values)


# --- forward only --------------------------------------------------------------------------------------------------


def test_callbacks_move_the_message_forward_and_publish_each_status(app: UnitApp) -> None:
    message = sent(app)
    for status in ("sent", "delivered", "read"):
        app.callback(message, status)
    assert app.record().status is Status.READ
    assert [event.status for event in app.bus.events] == ["delivered", "read"]


def test_callback_out_of_order_changes_nothing(app: UnitApp) -> None:
    message = sent(app)
    app.callback(message, "read")
    read = app.record()
    app.callback(message, "delivered")
    assert app.record() == read


@pytest.mark.parametrize("status", ["queued", "sending", "sent", "a word of tomorrow"])
def test_status_that_says_nothing_new_is_stored_and_changes_nothing(app: UnitApp, status: str) -> None:
    message = sent(app)
    app.callback(message, status)
    assert app.record() == message
    assert stored(app, message, status)


def test_callback_is_stored_and_applied_once(app: UnitApp) -> None:
    message = sent(app)
    app.callback(message, "delivered")
    app.callback(message, "delivered")
    assert (app.metrics.counts["MessagesArrived"], app.metrics.counts["DuplicatesAbsorbed"]) == (1, 1)
    assert len(app.bus.events) == 1


def test_callback_whose_worker_died_is_finished_when_it_comes_again(app: UnitApp) -> None:
    message = sent(app)
    app.callbacks.put(update(message, "delivered"), NOON)
    app.callback(message, "delivered")
    assert app.record().status is Status.DELIVERED


def test_callback_whose_worker_died_is_finished_by_the_sweep(app: UnitApp) -> None:
    message = sent(app)
    app.callbacks.put(update(message, "delivered"), NOON)
    app.clock.at += periods.OUTBOX_RETRY
    app.publish_waiting(app.deadline)
    assert app.record().status is Status.DELIVERED
    assert "due_at" not in stored(app, message, "delivered")


def test_callback_of_no_message_is_taken_and_not_stored(app: UnitApp) -> None:
    """The doctor's, which asks whether what Twilio signs is taken."""
    asked = StatusUpdate(message_id=NO_MESSAGE, attempt="0" * 12, twilio_sid=OURS, status="queued", error_code=None)
    assert app.record_status(asked) is None
    assert app.backup(app.settings.messages_table) == {app.settings.messages_table: []}
    assert app.metrics.counts == {}


# --- which message -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["delivered", "failed"])
def test_another_message_with_our_callback_address_changes_nothing(app: UnitApp, status: str) -> None:
    """An operator sent it again at Twilio, by hand, with all its parameters."""
    app.callback(sent(app), status, twilio_sid=STRANGERS)
    assert (app.record().twilio_sid, app.record().status) == (OURS, Status.SENT)
    assert app.metrics.counts["UnmatchedCallbacks"] == 1


@pytest.mark.parametrize("status", ["delivered", "failed", "sent"])
@pytest.mark.parametrize("fields", [{}, {"status": Status.SENDING, "twilio_sid": None}])
def test_callback_of_an_older_attempt_changes_nothing(app: UnitApp, status: str, fields: dict[str, Any]) -> None:
    message = sent(app, **fields)
    app.callback(message, status, attempt="older")
    assert app.record() == message
    assert app.metrics.counts == {"UnmatchedCallbacks": 1}
    assert stored(app, message, status, attempt="older")  # for people to look at


def test_callback_of_an_unknown_message_is_counted(app: UnitApp) -> None:
    app.record_status(StatusUpdate(message_id="1" * 32, attempt="a", twilio_sid=OURS, status="sent"))
    assert app.metrics.counts == {"UnmatchedCallbacks": 1}


def test_a_strangers_callback_does_not_stand_in_for_ours(app: UnitApp) -> None:
    message = sent(app)
    app.callback(message, "delivered", twilio_sid=STRANGERS)
    app.callback(message, "delivered")
    assert app.record().status is Status.DELIVERED


# --- doubt ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("doubt", [Status.SENDING, Status.UNKNOWN])
@pytest.mark.parametrize("status", ["queued", "sent"])
def test_callback_settles_a_doubt(app: UnitApp, doubt: Status, status: str) -> None:
    message = app.left_at(doubt)
    app.callback(message, status)
    assert (app.record().status, app.record().twilio_sid) == (Status.SENT, f"SM{9:032x}")
    assert app.contact().inflight is None
    assert app.contact_row()["next_allowed_at"] == NOON + periods.HOUR + periods.SLOT_EPSILON


def test_delivered_settles_a_doubt_in_two_steps(app: UnitApp) -> None:
    app.callback(app.left_at(Status.UNKNOWN), "delivered")
    assert app.record().status is Status.DELIVERED
    assert [event.status for event in app.bus.events] == ["sent", "delivered"]
    counted = ("MessagesInDoubt", "MessagesSent", "MessagesArrived")
    assert [app.metrics.counts[name] for name in counted] == [1, 1, 1]


def test_callback_that_overtakes_the_answer_to_the_post_settles_it_once(app: UnitApp) -> None:
    with app.before_call("TransactWriteItems", lambda: app.callback(app.record(), "sent"), nth=2):
        answer = app.send()
    assert answer.status == "sent"
    assert app.metrics.counts == {"MessagesSent": 1, "ProactiveSent": 1}


@pytest.mark.parametrize(("minutes_after", "violations"), [(59, 1), (60, 0)])
def test_a_violation_of_the_limit_that_only_a_callback_shows_is_counted(
    app: UnitApp, minutes_after: int, violations: int
) -> None:
    set_contact(app, last_accepted_at=NOON - minutes_after * MINUTE)
    in_doubt = sent(app, status=Status.SENDING, twilio_sid=None, accepted_at=None, claimed_at=NOON - 1_000)
    app.callback(in_doubt, "delivered")
    assert app.metrics.counts["MessagesSent"] == 1
    assert app.metrics.counts.get("RateLimitViolations", 0) == violations


# --- a predecessor that went after all -----------------------------------------------------------------------------


def continued(app: UnitApp, successor: Status) -> Message:
    """An unresolved message with a successor at that status."""
    app.store("new", status=successor, attempt="b" * 12, due_at=NOON, continues=message_id_of("old"))
    new = message_id_of("new")
    return sent(app, "old", status=Status.UNRESOLVED, twilio_sid=None, accepted_at=None, continued_as=new)


@pytest.mark.parametrize("status", [Status.PENDING, Status.DEFERRED, Status.RETRYING])
def test_late_evidence_cancels_the_waiting_successor(app: UnitApp, status: Status) -> None:
    app.callback(continued(app, status), "sent")
    assert (app.record("old").status, app.record("new").status) == (Status.SENT, Status.CANCELED)
    assert [event.status for event in app.bus.events] == ["sent", "canceled"]


def test_late_evidence_stops_the_claimed_successor(app: UnitApp) -> None:
    app.callback(continued(app, Status.CLAIMED), "sent")
    assert (app.record("new").status, app.record("new").stop) == (Status.CLAIMED, "canceled")


@pytest.mark.parametrize("status", [Status.SENDING, Status.SENT, Status.FAILED])
def test_late_evidence_does_not_touch_a_successor_on_its_way(app: UnitApp, status: Status) -> None:
    old = continued(app, status)
    new = app.record("new")
    app.callback(old, "sent")
    assert app.record("new") == new


def test_failure_of_the_predecessor_does_not_withdraw_its_successor(app: UnitApp) -> None:
    app.callback(continued(app, Status.PENDING), "failed", error_code=63024)
    assert (app.record("old").status, app.record("new").status) == (Status.FAILED, Status.PENDING)


# --- late failures -------------------------------------------------------------------------------------------------


def test_late_failure_that_may_pass_is_continued_in_the_same_write(app: UnitApp) -> None:
    app.send()
    message = app.record()
    app.callback(message, "failed", error_code=63010)
    failed = app.record()
    successor = app.messages.get(failed.continued_as or "")
    assert successor
    assert (failed.status, successor.status, successor.continues) == (Status.FAILED, "pending", message.message_id)
    assert [event.status for event in app.bus.events] == ["sent", "failed"]


def test_late_failure_of_a_canceled_message_is_not_continued(app: UnitApp) -> None:
    message = sent(app)
    app.messages.request_stop(message, "canceled")
    app.callback(message, "failed", error_code=63010)
    assert (app.record().status, app.record().continued_as) == (Status.FAILED, None)


def test_cancel_that_comes_between_lets_the_failure_be_stored_without_a_successor(app: UnitApp) -> None:
    message = sent(app)
    with app.before_call("TransactWriteItems", lambda: app.messages.request_stop(message, "canceled")):
        app.callback(message, "failed", error_code=63010)
    assert (app.record().status, app.record().continued_as) == (Status.FAILED, None)


def test_the_patients_own_word_outweighs_an_older_failure(app: UnitApp) -> None:
    set_contact(app, last_inbound_at=NOON - MINUTE)
    app.callback(sent(app, claimed_at=NOON - 60 * MINUTE), "undelivered", error_code=63024)
    assert app.contact().suppressed_code is None


@pytest.mark.parametrize("arrival", ["delivered", "read"])
def test_a_failure_is_disproved_by_a_later_arrival(app: UnitApp, arrival: str) -> None:
    """63024 comes now and then before the message is delivered after all."""
    message = sent(app)
    app.callback(message, "undelivered", error_code=63024)
    assert app.contact().suppressed_code == 63024
    app.callback(message, arrival)
    assert app.contact().suppressed_code is None


def test_a_failure_reported_after_the_patient_had_read_it_proves_nothing(app: UnitApp) -> None:
    app.callback(sent(app, status=Status.READ, claimed_at=NOON - MINUTE), "undelivered", error_code=63024)
    assert app.contact().suppressed_code is None
    assert app.metrics.counts.get("MessagesFailed", 0) == 0


def update(message: Message, status: str, attempt: str | None = None) -> StatusUpdate:
    return StatusUpdate(
        message_id=message.message_id,
        attempt=attempt or message.attempt or "",
        twilio_sid=message.twilio_sid or f"SM{9:032x}",
        status=status,
    )


def stored(app: UnitApp, message: Message, status: str, attempt: str | None = None) -> dict[str, Any]:
    """The callback's own item."""
    one = update(message, status, attempt)
    key = {**message_key(message.message_id), "entry": f"status#{one.attempt}#{one.twilio_sid}#{status}"}
    return app.db.get(app.settings.messages_table, key) or {}
