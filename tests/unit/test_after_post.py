"""What the outcome of a POST makes of a message."""

from typing import Any

import pytest
from whatsapp.domain.errors import Failure
from whatsapp.domain.ports import Accepted, InDoubt, NotSent, Rejected
from whatsapp.domain.sending.after_post import accepted, after_post, forbidden, put_back, when_overtaken
from whatsapp.domain.sending.continuation import continuation_of
from whatsapp.domain.sending.lifecycle import (
    ACCEPT,
    CLAIM,
    DOUBT,
    FENCE,
    GIVE_UP,
    REFUSE,
    RETRY,
    STOP,
    TAKE_BACK,
    Status,
    Step,
)
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.transition import take
from whatsapp.domain.sending.twilio_codes import ROWS, Action, Audience, Binds, Row

from tests.unit.sending_kit import (
    ALERT,
    DEAD_LETTER,
    EVENT,
    HOUR,
    MINUTE,
    NOTHING,
    NOW,
    SECOND,
    SID,
    message,
    taken,
)

NO_CONNECTION = Failure(code="twilio_unavailable", detail="no connection", retryable=True)
OWN_LIMIT = ROWS[14107]
TWILIO_ERROR, TOO_MANY, ACCOUNT, PAUSED, WINDOW = ROWS[20500], ROWS[20429], ROWS[20003], ROWS[63041], ROWS[63016]


def failure(row: Row, **values: Any) -> Failure:
    """What a caller is told of a code."""
    is_retryable = row.action in (Action.RETRY, Action.WAIT)
    told: dict[str, Any] = {
        "code": row.error,
        "detail": row.meaning,
        "twilio_code": row.code,
        "retryable": is_retryable,
    }
    return Failure(**{**told, **values})


# --- accepted, in doubt ----------------------------------------------------------------------------------------------


def test_accepted_is_sent_from_now_on() -> None:
    sending = message(error=NO_CONNECTION)
    expected = taken(sending, ACCEPT, due=sending.due_at, outbox=EVENT, twilio_sid=SID, accepted_at=NOW, error=None)
    assert after_post(sending, Accepted(SID), NOW, 0.5) == expected


def test_an_acceptance_is_dated_by_its_evidence() -> None:
    at, due_at = NOW - MINUTE, message().due_at
    expected = taken(message(), ACCEPT, due=due_at, outbox=EVENT, twilio_sid=SID, accepted_at=at, error=None)
    assert accepted(message(), SID, at, NOW) == expected


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_doubt_is_held_whatever_the_attempt_and_publishes_nothing(attempts: int) -> None:
    sending = message(attempts=attempts, due_at=NOW + HOUR)
    held = Failure(code="twilio_unavailable", detail="timed out: held until there is evidence")
    assert after_post(sending, InDoubt("timed out"), NOW, 0.5) == taken(sending, DOUBT, due=NOW + HOUR, error=held)


# --- certainly not sent ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempts", "spread", "pause"),
    [
        (1, 0.0, 5 * SECOND),
        (1, 0.5, 7_500),
        (1, 1.0, 10 * SECOND),
        (2, 0.0, 15 * SECOND),
        (2, 0.5, 22_500),
        (2, 1.0, 30 * SECOND),
    ],
)
def test_a_retry_waits_three_times_as_long_each_time(attempts: int, spread: float, pause: int) -> None:
    sending, error = message(attempts=attempts, waiting_since=NOW - HOUR), failure(TWILIO_ERROR)
    at = NOW + pause
    expected = taken(sending, RETRY, due=at, scheduled_for=at, error=error, waiting_since=None, proof=TWILIO_ERROR)
    assert after_post(sending, Rejected(20500, 500), NOW, spread) == expected


@pytest.mark.parametrize("attempts", [3, 4])
def test_the_third_failure_is_the_last(attempts: int) -> None:
    sending = message(attempts=attempts)
    final = failure(TWILIO_ERROR, detail=f"{TWILIO_ERROR.meaning}; 3 attempts failed", retryable=False)
    expected = taken(sending, GIVE_UP, outbox=DEAD_LETTER, error=final, proof=TWILIO_ERROR)
    assert after_post(sending, Rejected(20500, 500), NOW, 0.5) == expected


# --- what will pass --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lasts", "spread", "pause"),
    [
        (None, 0.0, 3 * SECOND),
        (None, 0.5, 4_500),
        (None, 1.0, 6 * SECOND),
        (6 * SECOND, 0.0, 3 * SECOND),
        (8 * SECOND, 0.0, 4 * SECOND),
        (8 * SECOND, 1.0, 8 * SECOND),
        (8 * SECOND, 0.5, 6 * SECOND),
        (MINUTE, 0.0, 30 * SECOND),
        (MINUTE, 1.0, MINUTE),
        (5 * MINUTE - 1, 1.0, 5 * MINUTE - 1),
        (5 * MINUTE, 1.0, 5 * MINUTE),
        (2 * HOUR, 0.0, 150 * SECOND),
        (2 * HOUR, 1.0, 5 * MINUTE),
        (4 * HOUR - 1, 1.0, 5 * MINUTE),
    ],
)
@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize(
    ("outcome", "error", "proof"),
    [
        (NotSent("no connection"), NO_CONNECTION, None),
        (Rejected(20429, 429), failure(TOO_MANY), TOO_MANY),
        (Rejected(20003, 401), failure(ACCOUNT), ACCOUNT),
        (Rejected(63041, 400), failure(PAUSED), PAUSED),
    ],
    ids=["no connection", "429", "401", "template paused"],
)
def test_what_will_pass_does_not_count_and_waits_as_long_as_it_has_lasted(
    outcome: Any, error: Failure, proof: Row | None, lasts: int | None, spread: float, pause: int, attempts: int
) -> None:
    since = NOW - (lasts or 0)
    sending = message(attempts=attempts, waiting_since=None if lasts is None else since)
    alerts = proof is not None and proof.alert is not Audience.NOBODY and lasts is not None
    assert after_post(sending, outcome, NOW, spread) == taken(
        sending,
        RETRY,
        due=NOW + pause,
        scheduled_for=NOW + pause,
        error=error,
        attempts=attempts - 1,
        waiting_since=since,
        proof=proof,
        outbox=frozenset({"alert"}) if alerts else NOTHING,
    )


@pytest.mark.parametrize("lasts", [4 * HOUR, 4 * HOUR + 1])
def test_a_message_that_has_waited_for_four_hours_fails(lasts: int) -> None:
    sending = message(waiting_since=NOW - lasts)
    error = failure(OWN_LIMIT, retryable=False)
    expected = taken(sending, GIVE_UP, outbox=DEAD_LETTER, error=error, proof=OWN_LIMIT)
    assert after_post(sending, Rejected(14107, 429), NOW, 0.5) == expected


@pytest.mark.parametrize("lasts", [4 * HOUR, 20 * HOUR])
@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.binds is not Binds.NOTHING], ids=str)
def test_a_limit_of_our_senders_is_waited_out(row: Row, lasts: int) -> None:
    transition = after_post(message(waiting_since=NOW - lasts), Rejected(row.code, 429), NOW, 1)
    assert (transition.step, transition.next_due) == (RETRY, NOW + 5 * MINUTE)


@pytest.mark.parametrize(
    ("code", "waiting_since", "outbox"),
    [
        (30023, None, NOTHING),
        (30023, NOW - MINUTE, frozenset({"alert"})),
        (63018, None, frozenset({"alert"})),
        (63038, None, frozenset({"alert"})),
        (20429, None, NOTHING),
        (63018, NOW - MINUTE, frozenset({"alert"})),
        (20003, None, NOTHING),
        (20003, NOW - MINUTE, frozenset({"alert"})),
        (20429, NOW - MINUTE, NOTHING),
    ],
)
def test_a_refusal_of_the_account_alerts_from_the_second_on_and_a_limit_of_our_senders_at_once(
    code: int, waiting_since: int | None, outbox: frozenset[str]
) -> None:
    transition = after_post(message(waiting_since=waiting_since), Rejected(code, 429), NOW, 0.5)
    assert (transition.step, transition.after.outbox) == (RETRY, outbox)


# --- every code ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempts", [1, 2, 3])
@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: str(row.code))
def test_each_code_does_what_its_row_says(row: Row, attempts: int) -> None:
    transition = after_post(message(attempts=attempts), Rejected(row.code, 400), NOW, 0.5)
    alerts = row.alert is not Audience.NOBODY
    of_action = {
        Action.RETRY: (RETRY, NOTHING) if attempts < 3 else (GIVE_UP, DEAD_LETTER),
        Action.WAIT: (RETRY, frozenset({"alert"}) if alerts and row.binds is not Binds.NOTHING else NOTHING),
        Action.FAIL: (REFUSE, DEAD_LETTER if row.can_be_redriven else ALERT if alerts else EVENT),
        Action.FALL_BACK: (REFUSE, EVENT),
    }
    assert (transition.step, transition.after.outbox) == of_action[row.action]
    assert transition.proof == row, "the shell suppresses the contact and stops the template by it"
    assert transition.successor is None
    error = transition.after.error
    assert error is not None
    assert (error.code, error.twilio_code) == (row.error, row.code)
    assert error.retryable == (row.retryable and not (row.action is Action.RETRY and attempts == 3))


@pytest.mark.parametrize(
    ("code", "status", "row", "step"),
    [
        (None, 401, 20003, RETRY),
        (None, 403, 20003, RETRY),
        (None, 429, 20429, RETRY),
        (20404, 429, 20404, REFUSE),
        (21610, 401, 21610, REFUSE),
    ],
)
def test_the_http_status_counts_where_twilio_gave_no_code(code: int | None, status: int, row: int, step: Step) -> None:
    transition = after_post(message(), Rejected(code, status), NOW, 0.5)
    assert (transition.step, transition.proof) == (step, ROWS[row])
    assert transition.after.error == failure(ROWS[row], twilio_code=code)


@pytest.mark.parametrize(("code", "shown"), [(None, 0), (0, 0), (69_999, 69_999)])
def test_an_unknown_code_fails_and_alerts(code: int | None, shown: int) -> None:
    sending = message()
    row = Row(shown, Action.FAIL, "unknown_error", "a code that this version does not know", Audience.OPERATOR)
    error = failure(row, twilio_code=code)
    expected = taken(sending, REFUSE, outbox=DEAD_LETTER, error=error, proof=row)
    assert after_post(sending, Rejected(code, 400), NOW, 0.5) == expected


@pytest.mark.parametrize(
    ("code", "status"), [(69_999, 401), (69_999, 403), (69_999, 429), (63_199, 400), (20_998, 400)]
)
def test_an_unknown_code_of_the_account_is_no_attempt_and_waits(code: int, status: int) -> None:
    transition = after_post(message(waiting_since=NOW - MINUTE), Rejected(code, status), NOW, 0.5)
    assert (transition.step, transition.after.attempts) == (RETRY, 0)
    assert transition.after.outbox == frozenset({"alert"})
    assert transition.after.error is not None
    assert transition.after.error.twilio_code == code


def test_an_action_or_an_outcome_without_a_decision_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    new: Any = "a new action"
    monkeypatch.setitem(ROWS, 1, Row(1, new, "unknown_error", "a new code"))
    with pytest.raises(AssertionError, match="a new action"):
        after_post(message(), Rejected(1, 400), NOW, 0.5)
    with pytest.raises(AssertionError, match="a new action"):
        after_post(message(), new, NOW, 0.5)


# --- outside the window ----------------------------------------------------------------------------------------------


def test_text_outside_the_window_goes_on_once_as_its_template() -> None:
    sending = message(template="greeting")
    successor = continuation_of(sending, NOW, template_only=True)
    assert successor is not None
    expected = taken(sending, REFUSE, outbox=EVENT, error=failure(WINDOW), successor=successor, proof=WINDOW)
    assert after_post(sending, Rejected(63016, 400), NOW, 0.5) == expected


@pytest.mark.parametrize(
    ("values", "outbox"),
    [
        ({"template": None}, EVENT),
        ({"template": "greeting", "content_sid": "HX1"}, ALERT),
        ({"template": "greeting", "stop": "canceled"}, EVENT),
        ({"template": "greeting", "expires_at": NOW}, EVENT),
    ],
    ids=["no template", "it was the template", "stopped", "expired"],
)
def test_it_fails_where_no_template_may_follow(values: dict[str, Any], outbox: frozenset[str]) -> None:
    sending = message(**values)
    expected = taken(sending, REFUSE, outbox=outbox, error=failure(WINDOW), proof=WINDOW)
    assert after_post(sending, Rejected(63016, 400), NOW, 0.5) == expected


# --- the worker itself -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.CLAIMED, Status.SENDING])
def test_what_was_put_back_is_no_attempt_and_goes_at_once(status: Status) -> None:
    held = message(status, attempts=3)
    error = Failure(code="twilio_unavailable", detail="no time", retryable=True)
    assert put_back(held, "no time", NOW) == taken(held, RETRY, due=NOW, scheduled_for=NOW, error=error, attempts=2)


def test_the_last_look_may_forbid_the_post() -> None:
    detail = "the contact opted out or was erased just before the message went"
    assert forbidden(message(), NOW) == taken(
        message(), REFUSE, outbox=EVENT, error=Failure(code="opted_out", detail=detail)
    )


IS_STOPPED = "stopped"
IS_PUT_BACK = "put back"


@pytest.mark.parametrize(
    ("lost", "status", "stop", "then"),
    [
        (FENCE, Status.CLAIMED, None, IS_PUT_BACK),
        (FENCE, Status.CLAIMED, "canceled", IS_STOPPED),
        (FENCE, Status.SENDING, None, None),
        (FENCE, Status.SENDING, "canceled", None),
        (FENCE, Status.RETRYING, None, None),
        (FENCE, Status.CANCELED, "canceled", None),
        (RETRY, Status.SENDING, "canceled", IS_STOPPED),
        (RETRY, Status.CLAIMED, "erased", IS_STOPPED),
        (RETRY, Status.SENDING, None, None),
        (RETRY, Status.UNKNOWN, "canceled", None),
        (RETRY, Status.SENT, "canceled", None),
        (REFUSE, Status.SENDING, "erased", IS_STOPPED),
        (GIVE_UP, Status.SENDING, "canceled", IS_STOPPED),
        (TAKE_BACK, Status.CLAIMED, "canceled", IS_STOPPED),
        (TAKE_BACK, Status.CLAIMED, None, None),
        (ACCEPT, Status.SENDING, "canceled", None),
        (DOUBT, Status.SENDING, "canceled", None),
    ],
)
def test_a_worker_whose_step_did_not_hold(lost: Step, status: Status, stop: str | None, then: str | None) -> None:
    """It stops what it was asked to stop, and puts back what expired before the fence; all else is another's."""
    before, current = message(Status.CLAIMED), message(status, stop=stop, attempts=2)
    error = Failure(code="twilio_unavailable", detail="its time passed before it could go", retryable=True)
    expected = {
        IS_STOPPED: taken(current, STOP, outbox=EVENT),
        IS_PUT_BACK: taken(current, RETRY, due=NOW, scheduled_for=NOW, error=error, attempts=1),
        None: None,
    }[then]
    assert when_overtaken(take(before, lost, NOW), current, NOW) == expected


@pytest.mark.parametrize("lost", [CLAIM, FENCE, RETRY, REFUSE, GIVE_UP, TAKE_BACK])
@pytest.mark.parametrize("stop", [None, "canceled"])
def test_a_stale_worker_never_touches_a_later_attempt(lost: Step, stop: str | None) -> None:
    current: Message = message(Status.CLAIMED, attempt="attempt-2", stop=stop)
    assert when_overtaken(take(message(Status.CLAIMED), lost, NOW), current, NOW) is None
