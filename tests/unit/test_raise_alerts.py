"""People hear of a cause at once, and then once an hour with all that followed: never once a message."""

from contextlib import suppress

import pytest
from whatsapp.domain import periods
from whatsapp.domain.errors import Failure, MessagingError
from whatsapp.domain.ports import PublishFailed, Rejected
from whatsapp.domain.sending.lifecycle import Status

from tests.app import UnitApp, WorkerDied, die, message_id_of

DOUBT = Failure(code="twilio_unavailable", detail="no evidence")
NOT_JSON = MessagingError("invalid_request", "the queue message is not JSON")


def struck(app: UnitApp, *keys: str, error: Failure = DOUBT, status: Status = Status.UNRESOLVED) -> set[str]:
    """Alert about these messages; returns their ids."""
    for key in keys:
        app.raise_alerts.about(app.store(key, status=status, error=error))
    return {message_id_of(key) for key in keys}


def sweep_after(app: UnitApp, milliseconds: int) -> int:
    app.clock.at += milliseconds
    return app.raise_alerts.sweep(app.deadline)


def test_the_first_is_told_at_once_and_the_others_together_in_an_hour(app: UnitApp) -> None:
    struck(app, "first")
    followed = struck(app, *map(str, range(30)))
    assert [m.message_id for m in app.alerts.told] == [message_id_of("first")]
    assert sweep_after(app, periods.ALERT_WINDOW - 1) == 0
    assert sweep_after(app, 1) == 1
    (incident,) = app.alerts.incidents
    assert (incident.state, incident.failure, incident.ids) == ("unknown", DOUBT, followed)


def test_a_lasting_cause_is_told_each_hour_and_silence_ends_it(app: UnitApp) -> None:
    struck(app, "first")
    for hour in range(3):
        struck(app, f"hour {hour}")
        assert sweep_after(app, periods.ALERT_WINDOW) == 1
    assert sweep_after(app, periods.ALERT_WINDOW) == 0
    struck(app, "much later")
    assert len(app.alerts.told) == 2


def test_a_message_that_is_noted_again_is_counted_once(app: UnitApp) -> None:
    struck(app, "first", "second", "second", "second")
    sweep_after(app, periods.ALERT_WINDOW)
    assert [incident.ids for incident in app.alerts.incidents] == [{message_id_of("second")}]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Failure(code="throttled", detail="no evidence"), Status.UNRESOLVED),
        (Failure(code="twilio_unavailable", detail="no evidence", twilio_code=20500), Status.UNRESOLVED),
        (DOUBT, Status.FAILED),
    ],
    ids=["code", "Twilio's code", "state"],
)
def test_another_cause_is_told_at_once(app: UnitApp, error: Failure, status: Status) -> None:
    struck(app, "first")
    struck(app, "other", error=error, status=status)
    assert len(app.alerts.told) == 2


@pytest.mark.parametrize(
    ("refusal", "status", "dead_letters"),
    [(Rejected(69_999, 400), Status.FAILED, 5), (Rejected(69_999, 403), Status.RETRYING, 0)],
)
def test_batch_that_an_unknown_code_refuses_is_not_lost_and_is_told_once(
    app: UnitApp, refusal: Rejected, status: Status, dead_letters: int
) -> None:
    app.gateway.outcomes = [refusal] * 10
    patients = [f"+91981234560{number}" for number in range(5)]
    for patient in patients:
        app.send(patient, to=patient)
    app.clock.at += periods.HOUR // 2
    for patient in patients:  # those that wait are refused again
        app.send_message.advance(message_id_of(patient), app.deadline)
    assert {app.record(patient).status for patient in patients} == {status}
    assert len(app.queue.dead) == dead_letters
    assert len(app.alerts.told) == 1


def test_unreadable_queue_messages_are_told_together_too(app: UnitApp) -> None:
    for number in range(4):
        app.raise_alerts.unreadable(f"q{number}", NOT_JSON)
    sweep_after(app, periods.ALERT_WINDOW)
    assert app.alerts.unreadables == ["q0 invalid_request"]
    assert [incident.ids for incident in app.alerts.incidents] == [{"q1", "q2", "q3"}]


def test_what_the_topic_refused_is_told_a_minute_later(app: UnitApp) -> None:
    app.alerts.down = True
    with pytest.raises(PublishFailed):
        struck(app, "first")
    assert sweep_after(app, periods.OUTBOX_RETRY) == 0  # the topic is still down, which is no error of the sweep's
    app.alerts.down = False
    assert sweep_after(app, periods.POSTPONED) == 1
    assert [incident.ids for incident in app.alerts.incidents] == [{message_id_of("first")}]


def test_worker_that_dies_before_the_alert_leaves_it_to_the_sweep(app: UnitApp) -> None:
    message = app.store(status=Status.UNRESOLVED, error=DOUBT)
    with suppress(WorkerDied), app.before_call("UpdateItem", die, nth=3):
        app.raise_alerts.about(message)
    assert sweep_after(app, periods.OUTBOX_RETRY) == 1


def test_two_sweeps_at_once_tell_once(app: UnitApp) -> None:
    struck(app, "first", "second")
    app.clock.at += periods.ALERT_WINDOW
    other: list[int] = []
    with app.before_call("UpdateItem", lambda: other.append(app.raise_alerts.sweep(app.deadline))):
        app.raise_alerts.sweep(app.deadline)
    assert (other, len(app.alerts.incidents)) == ([1], 1)


def test_what_comes_while_the_incident_is_closed_is_not_lost(app: UnitApp) -> None:
    struck(app, "first")
    app.clock.at += periods.ALERT_WINDOW
    with app.before_call("UpdateItem", lambda: struck(app, "second"), nth=2):
        app.raise_alerts.sweep(app.deadline)
    sweep_after(app, periods.ALERT_WINDOW)
    assert [incident.ids for incident in app.alerts.incidents] == [{message_id_of("second")}]


def test_more_ids_than_an_alert_holds_are_said_to_be_more(app: UnitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whatsapp.adapters.dynamodb.incident_store.MOST_IDS", 3)
    struck(app, "first", *map(str, range(9)))
    sweep_after(app, periods.ALERT_WINDOW)
    (incident,) = app.alerts.incidents
    assert (len(incident.ids), incident.is_longer) == (3, True)
    assert sweep_after(app, periods.ALERT_WINDOW) == 0
