"""A message in doubt, as the sweep resolves it: callbacks first, then Twilio's list, then an end."""

from typing import Any

import pytest
from whatsapp.domain import periods
from whatsapp.domain.ports import TwilioMessage
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message

from tests.app import PATIENT, SENDER, UnitApp
from tests.fakes import NOON


def listed(message: Message, number: int = 1, **fields: Any) -> TwilioMessage:
    """The message as Twilio's list shows it."""
    values: dict[str, Any] = {
        "twilio_sid": f"SM{number:032x}",
        "status": "sent",
        "direction": "outbound-api",
        "from_": SENDER,
        "to": PATIENT,
        "body": message.text or "",
        "date_created": NOON,
    }
    return TwilioMessage(**{**values, **fields})


def sweep_after(app: UnitApp, period: int) -> Message:
    """The sweep, this long after noon: the message was claimed then."""
    app.clock.at = NOON + period
    app.sweep_due(app.deadline)
    message: Message = app.record()
    return message


@pytest.mark.parametrize("status", [Status.SENDING, Status.UNKNOWN])
def test_young_doubt_waits_for_callbacks(app: UnitApp, status: Status) -> None:
    """Twilio may still accept it, and its list may lag."""
    app.gateway.messages = [listed(app.left_at(status))]
    message = sweep_after(app, periods.RECONCILE_DOUBT - 1)
    assert (message.status, message.due_at) == (status, NOON + periods.RECONCILE_DOUBT)


@pytest.mark.parametrize("status", [Status.SENDING, Status.UNKNOWN])
def test_caller_hears_when_its_time_passes_and_then_how_it_ended(app: UnitApp, status: Status) -> None:
    app.left_at(status, expires_at=iso(NOON + periods.HOUR))
    expired = app.record().expires_at or 0
    heard: list[int] = []
    for minutes in range(1, 75):
        sweep_after(app, minutes * periods.MINUTE)
        heard += [app.clock.now()] * (len(app.bus.events) - len(heard))
    assert heard[0] - expired in range(2 * periods.MINUTE)
    assert [(e.status, e.error.code) for e in app.bus.events] == [
        ("unknown", "expired"),
        ("unknown", "twilio_unavailable"),
    ]
    assert len({e.event_id for e in app.bus.events}) == 2
    assert app.record().status is Status.UNRESOLVED


@pytest.mark.parametrize("status", [Status.SENDING, Status.UNKNOWN])
def test_one_candidate_settles_it(app: UnitApp, status: Status) -> None:
    app.gateway.messages = [listed(app.left_at(status))]
    message = sweep_after(app, periods.RECONCILE_DOUBT)
    assert (message.status, message.twilio_sid) == (Status.SENT, f"SM{1:032x}")
    assert app.contact().inflight is None
    assert app.contact().last_accepted_at == NOON + periods.LATEST_ACCEPTANCE
    assert [event.status for event in app.bus.events] == ["sent"]


def test_status_in_the_list_is_taken_too(app: UnitApp) -> None:
    app.gateway.messages = [listed(app.left_at(Status.UNKNOWN), status="delivered")]
    assert sweep_after(app, periods.RECONCILE_DOUBT).status is Status.DELIVERED


def test_failure_in_the_list_goes_through_the_table_of_codes(app: UnitApp) -> None:
    app.gateway.messages = [listed(app.left_at(Status.UNKNOWN), status="undelivered", error_code=63024)]
    message = sweep_after(app, periods.RECONCILE_DOUBT)
    assert (message.status, message.error and message.error.code) == (Status.UNDELIVERED, "not_on_whatsapp")
    assert app.contact().suppressed_code == 63024


@pytest.mark.parametrize("candidates", [0, 2])
def test_no_candidate_or_two_prove_nothing(app: UnitApp, candidates: int) -> None:
    message = app.left_at(Status.UNKNOWN)
    app.gateway.messages = [listed(message, number) for number in range(candidates)]
    after = sweep_after(app, periods.RECONCILE_DOUBT)
    assert (after.status, after.due_at) == (Status.UNKNOWN, app.clock.now() + periods.RECONCILE_AGAIN)
    assert app.contact().inflight == message.slot_holder


@pytest.mark.parametrize(
    ("others_sid", "listed_at", "reads"),
    [
        (None, None, []),
        (None, NOON + periods.LIST_UNTIL + 1, []),
        (1, NOON, ["Query messages"]),
        (None, NOON, ["Query messages", "Query messages", "BatchGetItem"]),
    ],
)
def test_history_is_read_only_if_something_listed_may_be_the_message(
    app: UnitApp, others_sid: int | None, listed_at: int | None, reads: list[str]
) -> None:
    """It may have thousands of messages. Whose a listed one is says the index of sids."""
    message = app.left_at(Status.UNKNOWN)
    app.store("other", status=Status.SENT, twilio_sid=others_sid and f"SM{others_sid:032x}")
    app.gateway.messages = [listed(message, date_created=listed_at)] if listed_at else []
    app.clock.at = NOON + periods.RECONCILE_DOUBT
    with app.calls() as calls:
        app.resolve_doubt(message)
    reading = calls[: calls.index("UpdateItem messages")] if "UpdateItem messages" in calls else calls
    assert [call for call in reading if call.startswith(("Query", "Batch"))][: len(reads) or 1] == reads


def test_candidate_that_is_another_records_is_none(app: UnitApp) -> None:
    message = app.left_at(Status.UNKNOWN)
    app.store("other", status=Status.SENT, twilio_sid=f"SM{1:032x}", text=message.text)
    app.gateway.messages = [listed(message)]
    assert sweep_after(app, periods.RECONCILE_DOUBT).status is Status.UNKNOWN


def test_candidate_that_another_record_in_doubt_may_be_is_contested(app: UnitApp) -> None:
    message = app.left_at(Status.UNKNOWN)
    app.store("other", status=Status.UNKNOWN, attempt="b", claimed_at=NOON, text=message.text)
    app.gateway.messages = [listed(message)]
    assert sweep_after(app, periods.RECONCILE_DOUBT).status is Status.UNKNOWN


def test_doubt_without_evidence_ends_unresolved(app: UnitApp) -> None:
    app.left_at(Status.UNKNOWN)
    sweep_after(app, periods.RECONCILE_DOUBT)
    opens = app.contact().next_allowed_at
    message = sweep_after(app, periods.DOUBT_HORIZON)
    assert (message.status, message.due_at, message.twilio_sid) == (Status.UNRESOLVED, None, None)
    assert (app.contact().inflight, app.contact().next_allowed_at) == (None, opens)
    assert [event.status for event in app.bus.events] == ["unknown"]
    assert len(app.alerts.told) == 1


def test_list_that_does_not_answer_is_asked_again(app: UnitApp) -> None:
    """Nor is it an error of the sweep, which would ring for what TwilioDownAlarm says already."""
    app.left_at(Status.UNKNOWN)
    app.gateway.down = True
    sweep_after(app, periods.DOUBT_HORIZON)
    assert (app.record().status, app.record().due_at) == (Status.UNKNOWN, app.clock.now() + periods.POSTPONED)


def test_doubt_ends_even_if_the_list_never_answers(app: UnitApp) -> None:
    """Or the slot would stay held, and every later message of the contact would expire."""
    app.left_at(Status.UNKNOWN)
    app.gateway.down = True
    sweep_after(app, periods.DOUBT_ENDS - 1)
    app.clock.sleep(periods.POSTPONED / 1000)
    app.sweep_due(app.deadline)
    assert (app.record().status, app.record().outbox) == (Status.UNRESOLVED, frozenset())
    assert app.contact().inflight is None
    assert app.contact().next_allowed_at, "something may have been sent: the limit counts"
    assert len(app.alerts.told) == 1


def unresolved(app: UnitApp, **request: Any) -> Message:
    app.left_at(Status.UNKNOWN, **request)
    return sweep_after(app, periods.DOUBT_HORIZON)


def test_unresolved_message_is_resent_where_its_caller_asked_for_it(app: UnitApp) -> None:
    old = unresolved(app, on_unknown="resend")
    assert old.due_at == NOON + periods.RESEND
    old = sweep_after(app, periods.RESEND)
    new = app.messages.get(old.continued_as or "")
    assert new
    assert (old.status, old.due_at) == (Status.UNRESOLVED, None)
    assert (new.status, new.continues, new.due_at) == (Status.PENDING, old.message_id, app.clock.now())
    assert len(app.gateway.posts) == 1  # the new record is claimed like any other


def test_unresolved_message_with_a_candidate_is_not_resent(app: UnitApp) -> None:
    """Two candidates do not settle it, but one of them may have reached the patient."""
    old = unresolved(app, on_unknown="resend")
    app.gateway.messages = [listed(old, 1), listed(old, 2)]
    message = sweep_after(app, periods.RESEND)
    assert (message.status, message.continued_as, message.due_at) == (Status.UNRESOLVED, None, None)


def test_late_candidate_settles_an_unresolved_message_in_place_of_a_resend(app: UnitApp) -> None:
    old = unresolved(app, on_unknown="resend")
    app.gateway.messages = [listed(old)]
    message = sweep_after(app, periods.RESEND)
    assert (message.status, message.continued_as) == (Status.SENT, None)


def test_unresolved_message_that_was_canceled_is_not_resent(app: UnitApp) -> None:
    old = unresolved(app, on_unknown="resend")
    app.messages.request_stop(old, "canceled")
    message = sweep_after(app, periods.RESEND)
    assert (message.continued_as, message.due_at) == (None, None)


def test_cancel_between_the_look_and_the_resend_wins(app: UnitApp) -> None:
    unresolved(app, on_unknown="resend")
    with app.before_call("TransactWriteItems", lambda: app.messages.request_stop(app.record(), "canceled")):
        message = sweep_after(app, periods.RESEND)
    assert message.continued_as is None


def test_callback_between_the_look_and_the_end_wins(app: UnitApp) -> None:
    message = app.left_at(Status.UNKNOWN)
    with app.before_call("TransactWriteItems", lambda: app.callback(message, "sent")):
        after = sweep_after(app, periods.DOUBT_HORIZON)
    assert after.status is Status.SENT
    assert app.alerts.told == []


def test_an_end_that_nobody_could_hear_is_told_when_the_bus_is_back(app: UnitApp) -> None:
    app.left_at(Status.UNKNOWN)
    app.bus.down = app.alerts.down = True
    for minutes in range(70, 90):
        sweep_after(app, minutes * periods.MINUTE)
    app.bus.down = app.alerts.down = False
    sweep_after(app, 95 * periods.MINUTE)
    app.raise_alerts.sweep(app.deadline)
    assert [event.status for event in app.bus.events] == ["unknown"]
    assert len(app.alerts.told) + len(app.alerts.incidents) == 1


def test_what_continued_it_under_a_record_that_was_lost_forbids_a_resend(app: UnitApp) -> None:
    old = unresolved(app, on_unknown="resend")
    app.gateway.messages = [listed(old, date_created=NOON + periods.HOUR)]
    assert sweep_after(app, periods.RESEND).continued_as is None
