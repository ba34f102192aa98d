"""All sending is held by hand, or pauses because Twilio does not answer. What waits is sent once it ends."""

from typing import Any

import pytest
from whatsapp.domain import periods
from whatsapp.domain.ports import InDoubt, NotSent, Outcome, Rejected
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.sender import Sender

from tests.app import UnitApp
from tests.fakes import NOON

SILENT = InDoubt("503")


def goes_silent(app: UnitApp, outcome: Outcome = SILENT) -> None:
    """Three POSTs in a row without an answer."""
    app.gateway.outcomes = [outcome] * 3
    for number in range(3):
        app.send(f"silent-{number}", to=f"+9198123000{number:02d}")
    assert app.senders.get().is_down


# --- held ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", [{}, {"text": "Yes", "in_reply_to": f"SM{1:032x}"}])
def test_while_sending_is_held_a_message_is_stored_and_waits(app: UnitApp, request_: dict[str, Any]) -> None:
    app.patient_writes()
    app.senders.hold(NOON)
    answer = app.send(**request_)
    assert (answer.status, answer.error and answer.error.code, app.gateway.posts) == ("deferred", "sender_paused", [])
    app.senders.release()
    app.clock.sleep(5 * periods.MINUTE / periods.SECOND)
    assert app.send_message.advance(answer.message_id or "", app.deadline).status is Status.SENT


def test_a_stored_message_waits_too_and_says_so_once(app: UnitApp) -> None:
    app.senders.hold(NOON)
    message_id = app.send().message_id or ""
    for _ in range(5):
        app.clock.sleep(5 * periods.MINUTE / periods.SECOND)
        app.send_message.advance(message_id, app.deadline)
    assert [event.status for event in app.bus.events] == ["deferred"]
    assert app.gateway.posts == []


def test_what_expires_while_it_waits_says_why(app: UnitApp) -> None:
    app.senders.hold(NOON)
    app.send(expires_at=iso(NOON + periods.MINUTE))
    app.clock.sleep(periods.DAY / periods.SECOND)
    app.sweep_due(app.deadline)
    assert (app.record().status, getattr(app.record().error, "code", None)) == (Status.EXPIRED, "sender_paused")


def test_the_first_hold_counts(app: UnitApp) -> None:
    assert app.senders.hold(NOON) == NOON
    assert app.senders.hold(NOON + 1) == NOON
    app.senders.release()
    assert app.senders.get() == Sender()
    assert app.senders.hold(NOON + 2) == NOON + 2


def test_each_sweep_counts_whether_sending_is_held(app: UnitApp) -> None:
    app.sweep_due(app.deadline)
    assert app.metrics.counts["SendingHeld"] == 0
    app.senders.hold(NOON)
    app.sweep_due(app.deadline)
    assert app.metrics.counts["SendingHeld"] == 1


# --- restored tables -------------------------------------------------------------------------------------------------


def test_a_copy_of_the_tables_sends_nothing_and_expires_nothing(app: UnitApp) -> None:
    waits = app.send(send_at=iso(NOON + periods.MINUTE), expires_at=iso(NOON + periods.HOUR)).message_id
    app.sweep_due(app.deadline)
    copy = app.restored(app.backup())
    copy.clock.at = NOON + 2 * periods.HOUR
    assert copy.sweep_due(copy.deadline) == {"acted": 0, "stale": 0}
    assert copy.messages.get(waits or "").status is Status.DEFERRED  # type: ignore[union-attr]  # it is stored
    answer = copy.send("next", to="+919812300099")
    assert (answer.status, answer.error and answer.error.code, copy.gateway.posts) == ("deferred", "sender_paused", [])
    assert copy.metrics.counts["SendingHeld"] == 1


def test_releasing_a_hold_does_not_release_a_copy(app: UnitApp) -> None:
    app.sweep_due(app.deadline)
    copy = app.restored(app.backup())
    copy.senders.hold(NOON)
    assert copy.senders.release().is_held
    copy.senders.release_restored(NOON, NOON)
    assert not copy.senders.get().is_held
    assert copy.send(to="+919812300099").status == "sent"


# --- Twilio does not answer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [SILENT, NotSent("no connection")])
def test_after_three_posts_without_an_answer_nothing_is_posted(app: UnitApp, outcome: Outcome) -> None:
    goes_silent(app, outcome)
    answer = app.send("next")
    assert (answer.status, answer.error and answer.error.code) == ("deferred", "twilio_unavailable")
    assert len(app.gateway.posts) == 3
    assert app.metrics.counts["TwilioDown"] == 2, "the third POST, and the message that waits"


def test_an_answer_between_begins_the_count_anew(app: UnitApp) -> None:
    app.gateway.outcomes = [SILENT, SILENT, Rejected(20429, 429), SILENT, SILENT]
    for number in range(5):
        app.send(f"m{number}", to=f"+9198123000{number:02d}")
    assert app.senders.get().unanswered == 2
    assert app.send("next").status == "sent"
    assert app.senders.get() == Sender()


def test_one_worker_a_minute_asks_whether_twilio_answers_again(app: UnitApp) -> None:
    goes_silent(app)
    app.gateway.down = True
    app.clock.sleep(periods.ASK_AGAIN / periods.SECOND)
    assert app.send("asks").status == "deferred"
    app.gateway.down = False
    assert app.send("too early", to="+919812300090").status == "deferred"
    app.clock.sleep(periods.ASK_AGAIN / periods.SECOND)
    assert app.send("goes", to="+919812300091").status == "sent"
    assert app.send("goes too", to="+919812300092").status == "sent"
    assert app.senders.get() == Sender()


def test_a_post_that_is_not_answered_either_keeps_it_down(app: UnitApp) -> None:
    """Questions may be answered before POSTs are."""
    goes_silent(app)
    app.clock.sleep(periods.ASK_AGAIN / periods.SECOND)
    app.gateway.outcomes = [SILENT]
    assert app.send("asks", to="+919812300090").status == "unknown"
    assert app.send("next", to="+919812300091").status == "deferred"


def test_a_held_sender_asks_nobody(app: UnitApp) -> None:
    goes_silent(app)
    app.senders.hold(NOON)
    app.clock.sleep(periods.ASK_AGAIN / periods.SECOND)
    answer = app.send("next", to="+919812300090")
    assert answer.error
    assert answer.error.code == "sender_paused"
    assert app.senders.may_ask(app.clock.now())


def test_workers_that_look_at_the_same_moment_ask_once(app: UnitApp) -> None:
    goes_silent(app)
    app.clock.sleep(periods.ASK_AGAIN / periods.SECOND)
    assert [app.senders.may_ask(app.clock.now()) for _ in range(3)] == [True, False, False]
