"""Tables restored to an earlier moment: nothing goes out twice, a STOP binds again, then sending is released."""

from dataclasses import replace
from typing import Any

import pytest
from whatsapp.domain import periods
from whatsapp.domain.ports import InDoubt, TwilioMessage, TwilioUnavailable
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message
from whatsapp.use_cases.recover_after_restore import Recovery

from commands import restore as command
from commands.target import moment
from tests.app import PATIENT, SENDER, UnitApp, a_request
from tests.fakes import NOON

SINCE = NOON + periods.MINUTE
"""What the tables are restored to."""
LATER = {"send_at": iso(NOON + 10 * periods.MINUTE)}


def later(app: UnitApp, period: int) -> None:
    app.clock.sleep(period / periods.SECOND)


def sweep(app: UnitApp) -> None:
    """The sweep, and the queue's worker for what it nudges."""
    app.sweep_due(app.deadline)
    nudges, app.queue.nudges = app.queue.nudges, []
    for message_id, _ in nudges:
        app.send_message.advance(message_id, app.deadline)


def entry(message: Message, number: int, **fields: Any) -> TwilioMessage:
    """A message as Twilio's list shows it."""
    values: dict[str, Any] = {
        "twilio_sid": message.twilio_sid or f"SM{number:032x}",
        "status": "delivered",
        "direction": "outbound-api",
        "from_": SENDER,
        "to": message.to,
        "body": message.text or "",
        "date_created": (message.accepted_at or NOON) // 1000 * 1000,
    }
    return TwilioMessage(**{**values, **fields})


def written(number: int, body: str, at: int) -> TwilioMessage:
    """What the patient wrote, as Twilio's list shows it."""
    return TwilioMessage(
        twilio_sid=f"SM{number:032x}",
        status="received",
        direction="inbound",
        from_=PATIENT,
        to=SENDER,
        body=body,
        date_created=at // 1000 * 1000,
    )


def recovered(app: UnitApp) -> Recovery:
    """Both runs: the one that begins, and the one that may release."""
    app.recover_after_restore(SINCE)
    later(app, periods.RECONCILE_DOUBT)
    done: Recovery = app.recover_after_restore(SINCE)
    return done


def sent_since(app: UnitApp, **request: Any) -> tuple[UnitApp, Message]:
    """A message waited at the moment that is restored; it was sent after that. The tables are copies now."""
    app.send(**{**LATER, **request})
    app.sweep_due(app.deadline)
    later(app, periods.MINUTE)
    backup = app.backup()
    later(app, 10 * periods.MINUTE)
    sweep(app)
    message = app.record()
    app.gateway.messages = [entry(message, 1)]
    later(app, 30 * periods.MINUTE)
    return app.restored(backup), message


def test_what_had_gone_out_is_not_sent_again(app: UnitApp) -> None:
    copy, before = sent_since(app)
    done = recovered(copy)
    assert (before.status, copy.record().status) == (Status.SENT, Status.DELIVERED)
    assert (copy.record().twilio_sid, copy.record().accepted_at) == (before.twilio_sid, before.accepted_at)
    assert done.is_released
    for _ in range(5):
        later(copy, periods.HOUR)
        sweep(copy)
    assert len(copy.gateway.posts) == 1


def test_without_the_recovery_it_would_be(app: UnitApp) -> None:
    """What the recovery is for: the restored record waits."""
    copy, _ = sent_since(app)
    copy.senders.release_restored(SINCE, copy.clock.now())
    sweep(copy)
    assert len(copy.gateway.posts) == 2


def test_what_had_not_gone_out_goes_after_the_release(app: UnitApp) -> None:
    copy, _ = sent_since(app)
    copy.gateway.messages = []
    assert recovered(copy).sent == []
    sweep(copy)
    assert copy.record().status is Status.SENT


def test_nothing_is_released_before_the_list_shows_all(app: UnitApp) -> None:
    copy, _ = sent_since(app)
    shown, copy.gateway.messages = copy.gateway.messages, []
    began = copy.clock.now()
    first = copy.recover_after_restore(SINCE)
    assert (first.is_released, first.release_at) == (False, began + periods.RECONCILE_DOUBT)
    later(copy, periods.RECONCILE_DOUBT - 1)
    assert not copy.recover_after_restore(SINCE).is_released
    assert copy.senders.get().is_held
    copy.gateway.messages = shown  # the list lagged
    later(copy, periods.SECOND)
    assert copy.recover_after_restore(SINCE).is_released
    assert copy.record().status is Status.DELIVERED


def test_a_list_that_does_not_answer_releases_nothing(app: UnitApp) -> None:
    copy, _ = sent_since(app)
    copy.recover_after_restore(SINCE)
    later(copy, periods.HOUR)
    copy.gateway.down = True
    with pytest.raises(TwilioUnavailable):
        copy.recover_after_restore(SINCE)
    assert copy.senders.get().is_held


def test_a_dry_run_says_what_it_would_do_and_changes_nothing(app: UnitApp) -> None:
    copy, before = sent_since(app)
    copy.gateway.messages.append(written(77, "STOP", SINCE))
    rows = copy.backup()
    plan = copy.recover_after_restore(SINCE, dry_run=True)
    assert (plan.sent, plan.inbound, plan.is_released) == ([before.message_id], [f"SM{77:032x}"], False)
    assert copy.backup() == rows


def test_a_second_run_finds_nothing_more(app: UnitApp) -> None:
    copy, before = sent_since(app)
    assert copy.recover_after_restore(SINCE).sent == [before.message_id]
    again = copy.recover_after_restore(SINCE)
    assert (again.sent, again.doubtful, again.unrecorded, again.statuses, again.slots) == ([], [], [], [], [])


def test_its_slot_stays_closed_for_the_hour(app: UnitApp) -> None:
    copy, before = sent_since(app)
    assert recovered(copy).is_released
    answer = copy.send("next")
    opens = (before.accepted_at or 0) + periods.HOUR
    assert (answer.status, len(copy.gateway.posts)) == ("deferred", 1)
    assert copy.record("next").scheduled_for in range(opens, opens + 10 * periods.SECOND)


def test_what_no_record_names_is_told_and_closes_the_slot(app: UnitApp) -> None:
    """It was asked for and sent after the moment that is restored."""
    app.sweep_due(app.deadline)
    later(app, periods.MINUTE)
    backup = app.backup()
    later(app, 30 * periods.MINUTE)
    app.send()
    app.gateway.messages = [entry(app.record(), 1)]
    copy = app.restored(backup)
    done = copy.recover_after_restore(SINCE)
    assert (done.unrecorded, done.sent) == ([f"SM{1:032x}"], [])
    later(copy, periods.RECONCILE_DOUBT)
    assert copy.recover_after_restore(SINCE).is_released
    assert copy.send("next").status == "deferred"


@pytest.mark.parametrize("asked_at", [NOON + 2 * periods.MINUTE, NOON + 20 * periods.MINUTE])
def test_a_copy_of_the_request_that_was_still_queued_is_the_one_that_went(app: UnitApp, asked_at: int) -> None:
    """Its record was lost, and it is asked for again while sending is held."""
    app.sweep_due(app.deadline)
    backup = app.backup()
    later(app, 5 * periods.MINUTE)
    app.send()
    app.gateway.messages = [entry(app.record(), 1)]
    later(app, 30 * periods.MINUTE)
    copy = app.restored(backup)
    copy.recover_after_restore(SINCE)
    copy.send_message(a_request(), "m", copy.deadline, asked_at)
    assert recovered(copy).is_released
    went = asked_at < (app.record().accepted_at or 0)
    assert copy.record().status is (Status.DELIVERED if went else Status.DEFERRED)


@pytest.mark.parametrize(
    ("asked_at", "status"),
    [
        (SINCE - 10 * periods.MINUTE, Status.UNRESOLVED),
        (SINCE + 5 * periods.MINUTE, Status.UNRESOLVED),
        (NOON + 40 * periods.MINUTE, Status.UNRESOLVED),
        (NOON + 40 * periods.MINUTE + 1, Status.SENT),
        (None, Status.SENT),
    ],
)
def test_a_copy_that_comes_out_of_a_queue_after_the_release_may_have_gone(
    app: UnitApp, asked_at: int | None, status: Status
) -> None:
    """A dead letter that is redriven, say. Its record was lost, and so it is not known to have gone out."""
    app.sweep_due(app.deadline)
    later(app, periods.MINUTE)
    copy = app.restored(app.backup())
    copy.clock.at = NOON + 40 * periods.MINUTE
    assert recovered(copy).is_released
    later(copy, periods.HOUR)
    copy.send_message(a_request(on_unknown="resend"), "m", copy.deadline, asked_at)
    assert copy.record().status is status
    for _ in range(4):
        later(copy, periods.HOUR)
        sweep(copy)
    assert len(copy.gateway.posts) == (status is Status.SENT)
    assert len(copy.alerts.told) == (status is Status.UNRESOLVED)


def test_such_a_copy_is_sent_again_only_if_the_list_lacks_it(app: UnitApp) -> None:
    app.sweep_due(app.deadline)
    later(app, periods.MINUTE)
    copy = app.restored(app.backup())
    assert recovered(copy).is_released
    later(copy, 2 * periods.HOUR)
    copy.send_message(a_request(), "m", copy.deadline, SINCE)
    shown = entry(copy.record(), 1, date_created=SINCE + periods.HOUR)
    copy.gateway.messages = [shown]
    assert copy.settle_doubts([copy.record().message_id], resend=True).open == [copy.record().message_id]
    copy.gateway.messages = []
    assert list(copy.settle_doubts([copy.record().message_id], resend=True).resent) == [copy.record().message_id]
    sweep(copy)
    assert len(copy.gateway.posts) == 1


def test_of_two_alike_neither_is_sent_again(app: UnitApp) -> None:
    copy, before = sent_since(app)
    twin = copy.store("twin", text=before.text, template=before.template, created_at=NOON, status=Status.DEFERRED)
    done = copy.recover_after_restore(SINCE)
    assert sorted(done.doubtful) == sorted([before.message_id, twin.message_id])
    assert {copy.record().status, copy.record("twin").status} == {Status.UNRESOLVED}
    assert {copy.record().on_unknown, copy.record("twin").on_unknown} == {"hold"}
    assert len(copy.alerts.told) + len(copy.alerts.incidents) > 0
    assert copy.recover_after_restore(SINCE).doubtful == []


def test_other_words_are_another_message(app: UnitApp) -> None:
    copy, _ = sent_since(app)
    copy.gateway.messages = [replace(copy.gateway.messages[0], body="Something else")]
    done = copy.recover_after_restore(SINCE)
    assert (done.sent, done.unrecorded) == ([], [copy.gateway.messages[0].twilio_sid])


def test_a_body_that_the_list_does_not_show_may_be_the_template(app: UnitApp) -> None:
    copy, before = sent_since(app)
    copy.gateway.messages = [replace(copy.gateway.messages[0], body="")]
    assert copy.recover_after_restore(SINCE).sent == [before.message_id]


@pytest.mark.parametrize(
    ("fields", "is_it"),
    [
        ({"date_created": NOON + 10 * periods.MINUTE - periods.LIST_FROM}, True),
        ({"date_created": NOON + 10 * periods.MINUTE - periods.LIST_FROM - 1}, False),
        ({"date_created": NOON + 11 * periods.MINUTE + periods.LIST_UNTIL}, True),
        ({"date_created": NOON + 11 * periods.MINUTE + periods.LIST_UNTIL + 1}, False),
    ],
)
def test_it_went_between_its_send_at_and_its_expiry(app: UnitApp, fields: dict[str, Any], is_it: bool) -> None:
    copy, before = sent_since(app, expires_at=iso(NOON + 11 * periods.MINUTE))
    copy.gateway.messages = [replace(copy.gateway.messages[0], **fields)]
    assert copy.recover_after_restore(SINCE, dry_run=True).sent == [before.message_id] * is_it


@pytest.mark.parametrize("status", [Status.CLAIMED, Status.SENDING, Status.UNKNOWN])
def test_what_was_on_its_way_is_settled_too(app: UnitApp, status: Status) -> None:
    app.sweep_due(app.deadline)
    later(app, periods.MINUTE)
    message = app.left_at(status)
    copy = app.restored(app.backup())
    copy.gateway.messages = [entry(message, 9, date_created=SINCE + periods.SECOND)]
    assert copy.recover_after_restore(SINCE).sent == [message.message_id]
    assert (copy.record().status, copy.record().twilio_sid) == (Status.DELIVERED, f"SM{9:032x}")
    assert copy.contact().inflight is None


def settled_and_swept(copy: UnitApp, since: int) -> UnitApp:
    """A restored copy: recovered, released, and swept for hours."""
    copy.recover_after_restore(since)
    later(copy, periods.RECONCILE_DOUBT)
    assert copy.recover_after_restore(since).is_released
    for _ in range(4):
        later(copy, periods.HOUR)
        sweep(copy)
    return copy


def test_a_doubt_whose_resend_was_lost_is_not_resent_again(app: UnitApp) -> None:
    app.left_at(Status.UNKNOWN, on_unknown="resend")
    app.clock.at = NOON + periods.DOUBT_HORIZON
    app.sweep_due(app.deadline)
    since, backup = app.clock.now(), app.backup()
    app.clock.at = NOON + periods.RESEND
    app.sweep_due(app.deadline)
    app.clock.at = NOON + 2 * periods.HOUR
    sweep(app)
    again = app.messages.get(app.record().continued_as or "")
    assert again
    assert again.status is Status.SENT
    app.gateway.messages = [entry(again, 2)]
    copy = settled_and_swept(app.restored(backup), since)
    assert len(copy.gateway.posts) == 2


def test_a_late_failure_whose_retry_was_lost_is_not_retried_again(app: UnitApp) -> None:
    """The restored record is `sent`. Its failure came after that, and what continued it went out."""
    app.send()
    app.sweep_due(app.deadline)
    first, since, backup = app.record(), app.clock.now(), app.backup()
    later(app, 2 * periods.MINUTE)
    app.callback(first, "undelivered", error_code=30008)
    later(app, 2 * periods.HOUR)
    sweep(app)
    again = app.messages.get(app.record().continued_as or "")
    assert again
    assert again.status is Status.SENT
    app.gateway.messages = [entry(again, 2), entry(first, 1, status="undelivered", error_code=30008)]
    copy = settled_and_swept(app.restored(backup), since)
    assert len(copy.gateway.posts) == 2
    assert copy.messages.get(again.message_id).status is Status.DELIVERED  # type: ignore[union-attr]  # it is stored again


# --- STOP ------------------------------------------------------------------------------------------------------------


def test_a_stop_after_the_moment_binds_again(app: UnitApp) -> None:
    copy, _ = sent_since(app)
    copy.gateway.messages = [written(77, "STOP", SINCE + periods.MINUTE)]
    done = recovered(copy)
    assert (done.is_released, copy.contact().opted_out_at) == (True, (SINCE + periods.MINUTE) // 1000 * 1000)
    sweep(copy)
    assert (copy.record().status, len(copy.gateway.posts)) == (Status.FAILED, 1)


@pytest.mark.parametrize(
    ("words", "out"),
    [(["STOP"], True), (["STOP", "START"], False), (["START", "STOP"], True), (["hello"], False)],
)
def test_if_contacts_alone_are_restored_stored_words_bind_again(app: UnitApp, words: list[str], out: bool) -> None:
    app.sweep_due(app.deadline)
    backup = app.backup("ContactsTable")
    for number, word in enumerate(words, 70):
        later(app, 2 * periods.MINUTE)
        app.patient_writes(word, number)
        app.gateway.messages.insert(0, written(number, word, app.clock.now()))
    later(app, 30 * periods.MINUTE)
    copy = app.restored(backup)
    assert (copy.contact().last_inbound_at, copy.contact().opted_out_at) == (None, None)
    assert copy.senders.get().is_held
    assert recovered(copy).is_released
    assert (copy.contact().opted_out_at is not None) is out
    assert copy.contact().last_inbound_at == app.contact().last_inbound_at


def test_words_that_the_contact_knows_change_nothing(app: UnitApp) -> None:
    """The tables were not touched: nothing is heard twice."""
    app.patient_writes("STOP", 70)
    later(app, periods.MINUTE)
    app.patient_writes("START", 71)
    app.gateway.messages = [written(71, "START", app.clock.now()), written(70, "STOP", NOON)]
    row = app.contact_row()
    assert app.recover_after_restore(NOON).opt_words == []
    assert app.contact_row() == row


def test_what_cannot_be_stored_keeps_sending_held(app: UnitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    copy, _ = sent_since(app)
    copy.gateway.messages = [written(77, "STOP", SINCE + periods.MINUTE)]
    monkeypatch.setattr(type(copy.inbox), "put", lambda *_: (_ for _ in ()).throw(ValueError("no")))
    copy.recover_after_restore(SINCE)
    later(copy, periods.HOUR)
    done = copy.recover_after_restore(SINCE)
    assert (done.missing, done.is_released) == ([f"SM{77:032x}"], False)


# --- slots -----------------------------------------------------------------------------------------------------------


def test_a_slot_that_nothing_holds_any_more_is_freed(app: UnitApp) -> None:
    """Messages alone are restored: the contact's row names an attempt that the record does not know."""
    app.send(**LATER)
    app.sweep_due(app.deadline)
    later(app, periods.MINUTE)
    backup = app.backup("MessagesTable")
    later(app, 10 * periods.MINUTE)
    app.gateway.outcomes = [InDoubt("no answer")]
    sweep(app)
    assert app.contact().inflight
    copy = app.restored(backup)
    assert recovered(copy).is_released
    assert copy.contact().inflight is None
    later(copy, 2 * periods.HOUR)
    sweep(copy)
    assert copy.record().status is Status.SENT


def test_if_contacts_alone_are_restored_the_limit_holds(app: UnitApp) -> None:
    app.sweep_due(app.deadline)
    backup = app.backup("ContactsTable")
    later(app, 5 * periods.MINUTE)
    app.send()
    app.gateway.messages = [entry(app.record(), 1)]
    copy = app.restored(backup)
    assert recovered(copy).is_released
    assert copy.send("next").status == "deferred"


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_counts_and_names_nobody(app: UnitApp) -> None:
    copy, before = sent_since(app)
    copy.gateway.messages.append(replace(copy.gateway.messages[0], twilio_sid=f"SM{5:032x}", body="other"))
    dry = command.work(copy, SINCE, dry_run=True)
    assert "    1  waited, and had gone out: settled" in dry
    assert f"SM{5:032x}" in dry
    assert dry.endswith("dry run: nothing was changed; it is done with --yes")
    opens = iso(copy.clock.now() + periods.RECONCILE_DOUBT)
    assert command.work(copy, SINCE, dry_run=False).endswith(
        f"run it again at {opens} or later, when Twilio's list shows all"
    )
    later(copy, periods.RECONCILE_DOUBT)
    done = command.work(copy, SINCE, dry_run=False)
    assert done.endswith("sending is released")
    assert before.to not in dry + done


@pytest.mark.parametrize("text", ["2026-11-24T12:31:00", "yesterday", "2026-10-01T00:00:00+05:30"])
def test_the_command_wants_a_moment_with_its_zone(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--since", text])
    assert "--since" in capsys.readouterr().err
    assert moment("2026-11-24T12:31:00+05:30") == SINCE
