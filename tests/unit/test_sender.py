"""All sending is held by hand, or pauses because Twilio does not answer. What waits is sent once it ends."""

from collections.abc import Callable
from typing import Any

import pytest
from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.events import MessageStatusChanged
from whatsapp.domain.ports import InDoubt, NotSent, Outcome, Rejected
from whatsapp.domain.receiving.inbound import InboundForm
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.sender import Sender

from tests.app import PATIENT, SENDER, UnitApp, message_id_of
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
    app.gateway.outcomes = [SILENT, SILENT, Rejected(63003, 400), SILENT, SILENT]
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


# --- a limit binds our sender ----------------------------------------------------------------------------------------

DAILY, META, FAST = Rejected(63038, 429), Rejected(63018, 429), Rejected(20429, 429)


def reaches_its_limit(app: UnitApp, outcome: Outcome = DAILY) -> None:
    """One message is refused."""
    app.gateway.outcomes = [outcome]
    assert app.send("refused", to="+919812399999").status == "retrying"


@pytest.mark.parametrize("outcome", [DAILY, META, FAST])
def test_what_a_limit_binds_waits_without_a_post(app: UnitApp, outcome: Rejected) -> None:
    reaches_its_limit(app, outcome)
    answer = app.send("next")
    assert (answer.status, answer.error and answer.error.code) == ("deferred", "sender_paused")
    assert answer.error
    assert answer.error.twilio_code == outcome.code
    assert len(app.gateway.posts) == 1


@pytest.mark.parametrize(("outcome", "status"), [(META, "sent"), (DAILY, "deferred"), (FAST, "deferred")])
@pytest.mark.parametrize("request_", [{}, {"text": "Yes", "in_reply_to": f"SM{1:032x}"}])
def test_metas_limit_binds_nothing_inside_the_window(
    app: UnitApp, outcome: Outcome, status: str, request_: dict[str, Any]
) -> None:
    app.patient_writes()
    reaches_its_limit(app, outcome)
    assert app.send(**request_).status == status


def test_one_message_in_each_pause_is_the_probe(app: UnitApp) -> None:
    reaches_its_limit(app)
    app.clock.sleep(3)
    app.gateway.outcomes = [DAILY]
    assert [app.send(f"m{n}", to=f"+9198123001{n:02d}").status for n in range(4)] == ["retrying", *["deferred"] * 3]
    app.clock.sleep(12)
    assert [app.send(f"n{n}", to=f"+9198123002{n:02d}").status for n in range(4)] == ["sent"] * 4
    assert not app.senders.get().is_throttled(app.clock.now())


def test_workers_that_would_probe_at_the_same_moment_probe_once(app: UnitApp) -> None:
    reaches_its_limit(app)
    app.clock.sleep(3)
    throttle, now = app.senders.get().throttle, app.clock.now()
    assert throttle
    assert [bool(app.senders.book_probe(throttle, now)) for _ in range(3)] == [True, False, False]


def test_metas_limit_is_over_once_the_probe_has_not_failed_for_a_minute(app: UnitApp) -> None:
    reaches_its_limit(app, META)
    app.clock.sleep(3)
    assert app.send("probe", to="+919812300001").status == "sent"
    assert app.send("early", to="+919812300002").status == "deferred"
    app.clock.sleep(60)
    assert app.send("late", to="+919812300003").status == "sent"


def test_a_probe_that_fails_by_callback_keeps_the_limit(app: UnitApp) -> None:
    reaches_its_limit(app, META)
    app.clock.sleep(3)
    app.send("probe", to="+919812300001")
    app.callback(app.record("probe"), "failed", error_code=63018)
    app.clock.sleep(11)
    assert app.send("early", to="+919812300002").status == "deferred"
    app.clock.sleep(1)
    assert app.send("next", to="+919812300003").status == "sent", "it is the next probe"


def test_a_failure_by_callback_starts_a_pause_and_its_successor_waits_too(app: UnitApp) -> None:
    app.send("first", to="+919812300001")
    app.callback(app.record("first"), "failed", error_code=63018)
    assert app.send("next", to="+919812300002").status == "deferred"
    successor = app.messages.get(app.record("first").continued_as or "")
    assert successor
    assert app.send_message.advance(successor.message_id, app.deadline).status is Status.DEFERRED
    assert len(app.gateway.posts) == 1


def test_what_waits_for_a_limit_expires_by_itself_and_says_why(app: UnitApp) -> None:
    reaches_its_limit(app)
    app.send(expires_at=iso(NOON + periods.MINUTE))
    app.clock.sleep(periods.DAY / periods.SECOND)
    app.sweep_due(app.deadline)
    error = app.record().error
    assert app.record().status is Status.EXPIRED
    assert error
    assert (error.code, error.twilio_code) == ("sender_paused", 63038)


def test_the_one_that_tries_does_not_fail_for_having_waited(app: UnitApp) -> None:
    app.gateway.outcomes = [DAILY] * 200
    message_id = app.send().message_id or ""
    for _ in range(20):  # the confirmation expires after twelve hours
        app.clock.sleep(30 * periods.MINUTE / periods.SECOND)
        assert app.send_message.advance(message_id, app.deadline).is_waiting
    app.gateway.outcomes = []
    app.clock.sleep(15 * periods.MINUTE / periods.SECOND)
    assert app.send_message.advance(message_id, app.deadline).status is Status.SENT


def test_each_sweep_counts_whether_a_limit_binds_our_sender(app: UnitApp) -> None:
    app.sweep_due(app.deadline)
    assert app.metrics.counts["SenderThrottled"] == 0
    reaches_its_limit(app)
    app.sweep_due(app.deadline)
    assert app.metrics.counts["SenderThrottled"] == 1


def test_a_send_that_meets_no_limit_reads_and_writes_nothing_more_for_it(app: UnitApp) -> None:
    app.send("cold", to="+919812300000")
    with app.calls() as fresh:
        app.send("before", to="+919812300001")
    before = list(fresh)
    reaches_its_limit(app)
    app.clock.sleep(3)
    app.send("probe", to="+919812300002")
    with app.calls() as over:
        app.send("after", to="+919812300003")
    assert over == before


def test_waiting_reminders_make_a_handful_of_posts_in_an_hour(app: UnitApp) -> None:
    """Of 2 000, `test_throttle.py` plays each look on the decisions alone."""
    app.gateway.outcomes = [DAILY] * 1_000
    keys = [f"m{n}" for n in range(8)]
    for n, key in enumerate(keys):
        app.send(key, to=f"+9198123001{n:02d}")
    for _ in range(60):
        app.clock.sleep(periods.MINUTE / periods.SECOND)
        for message in map(app.record, keys):
            if (message.due_at or 0) <= app.clock.now():
                app.send_message.advance(message.message_id, app.deadline)
    assert 5 <= len(app.gateway.posts) <= 8


# --- WhatsApp ids as `To` ------------------------------------------------------------------------------------------

HIDDEN = "IN.13491208655302741918"
REFUSED = Rejected(21211, 400)


def hidden_writes(app: UnitApp, **form: Any) -> str:
    """A patient whose number WhatsApp hides writes."""
    sid = f"SM{7:032x}"
    form = {"twilio_sid": sid, "from_": Address(HIDDEN), "to": SENDER, "text": "hello", **form}
    app.receive_message(InboundForm(**form))
    return sid


def test_a_patient_whose_number_is_hidden_is_answered(app: UnitApp) -> None:
    answer = app.send(to=HIDDEN, template=None, variables={}, text="Yes", in_reply_to=hidden_writes(app))
    assert (answer.status, [post.to for post in app.gateway.posts]) == ("sent", [HIDDEN])


def test_where_twilio_takes_no_ids_the_caller_hears_so_and_no_more_are_posted(app: UnitApp) -> None:
    hidden_writes(app)
    app.gateway.outcomes = [REFUSED]
    first = app.send(to=HIDDEN)
    assert (first.status, first.error and (first.error.code, first.error.twilio_code)) == (
        "failed",
        ("number_hidden", 21211),
    )
    assert [event.status for event in app.bus.events if isinstance(event, MessageStatusChanged)] == ["failed"]
    assert (app.contact(HIDDEN).suppressed_code, app.contact(HIDDEN).inflight) == (None, None)
    with pytest.raises(MessagingError, match="number_hidden"):
        app.send("another", to=HIDDEN)
    assert len(app.gateway.posts) == 1


def test_after_a_day_a_message_to_an_id_tries_again(app: UnitApp) -> None:
    hidden_writes(app)
    app.gateway.outcomes = [REFUSED]
    app.send(to=HIDDEN)
    app.clock.sleep(periods.IDS_REFUSED / periods.SECOND - 1)
    with pytest.raises(MessagingError, match="number_hidden"):
        app.send("too soon", to=HIDDEN)
    app.clock.sleep(1)
    assert app.send("again", to=HIDDEN).status == "sent"


def test_a_message_that_waits_for_its_time_is_refused_then_without_a_post(app: UnitApp) -> None:
    hidden_writes(app)
    app.send("later", to=HIDDEN, send_at=iso(NOON + periods.HOUR))
    app.senders.ids_refused(NOON)
    app.clock.sleep(3_600)
    later = app.send_message.advance(message_id_of("later"), app.deadline)
    assert (later.status, later.error and later.error.code) == (Status.FAILED, "number_hidden")
    assert app.gateway.posts == []


def test_a_message_to_an_id_goes_to_the_number_that_was_shown_meanwhile(app: UnitApp) -> None:
    hidden_writes(app)
    app.send("later", to=HIDDEN, send_at=iso(NOON + periods.HOUR))
    app.senders.ids_refused(NOON)
    hidden_writes(app, twilio_sid=f"SM{8:032x}", from_=Address(PATIENT), external_user_id=Address(HIDDEN))
    app.clock.sleep(3_600)
    later = app.send_message.advance(message_id_of("later"), app.deadline)
    assert (later.status, later.to, app.gateway.posts[0].to) == (Status.SENT, PATIENT, PATIENT)
    assert later.contact_id == app.contact(PATIENT).contact_id


def test_a_number_that_is_shown_while_the_id_is_refused_gets_the_message(app: UnitApp) -> None:
    asked = hidden_writes(app)

    def shown() -> Rejected:
        hidden_writes(app, twilio_sid=f"SM{8:032x}", from_=Address(PATIENT), external_user_id=Address(HIDDEN))
        return REFUSED

    app.gateway.outcomes = [shown]
    answer = app.send(to=HIDDEN, template=None, variables={}, text="Yes", in_reply_to=asked)
    assert answer.status == "retrying"
    app.clock.sleep(31)  # the tie took the reply's lane along, until its lease ends
    sent = app.send_message.advance(message_id_of("m"), app.deadline)
    assert (sent.status, [post.to for post in app.gateway.posts]) == (Status.SENT, [HIDDEN, PATIENT])


def test_an_id_that_never_wrote_says_nothing_of_the_others(app: UnitApp) -> None:
    """It may be the caller's mistake: it is suppressed as a wrong number is."""
    app.gateway.outcomes = [REFUSED]
    answer = app.send(to=HIDDEN)
    assert answer.error
    assert (answer.error.code, app.senders.get().ids_refused_at) == ("invalid_address", None)
    assert app.contact(HIDDEN).suppressed_code == 21211


def test_a_refused_number_says_nothing_of_ids(app: UnitApp) -> None:
    app.patient_writes()
    app.gateway.outcomes = [REFUSED]
    app.send()
    assert app.senders.get().ids_refused_at is None


def test_a_deployment_may_forbid_ids(app_with: Callable[..., UnitApp]) -> None:
    app = app_with(send_to_business_scoped_ids=0)
    hidden_writes(app)
    with pytest.raises(MessagingError, match="number_hidden"):
        app.send(to=HIDDEN)
    assert app.gateway.posts == []
