"""What becomes of a message in doubt, by its age and Twilio's list."""

from collections.abc import Sequence
from typing import Any

import pytest
from whatsapp.domain.errors import Failure
from whatsapp.domain.ports import StatusUpdate, TwilioMessage
from whatsapp.domain.sending.continuation import continuation_of
from whatsapp.domain.sending.lifecycle import END_DOUBT, OVERDUE, RESEND, Status
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.on_doubt import (
    LookAgain,
    candidates_of,
    is_early,
    list_from,
    next_look,
    on_doubt,
    others_span,
    overdue,
    update_of,
    without_list,
)

from tests.unit.sending_kit import (
    ALERT,
    DAY,
    EVENT,
    HOUR,
    ID,
    MINUTE,
    NOW,
    OTHER_SID,
    PATIENT,
    SECOND,
    SID,
    message,
    taken,
)

NO_EVIDENCE = Failure(
    code="twilio_unavailable", detail="no evidence whether Twilio sent it; look it up before you send it anew"
)


def listed(sid: str = SID, **values: Any) -> TwilioMessage:
    """A message of Twilio's list, made when `message` was claimed."""
    defaults = {"status": "delivered", "direction": "outbound-api", "from_": "+1", "to": PATIENT, "body": "Hello"}
    return TwilioMessage(**{**defaults, "twilio_sid": sid, "date_created": NOW - SECOND, **values})


def doubtful(status: Status = Status.UNKNOWN, age: int = 30 * MINUTE, **values: Any) -> Message:
    return message(status, claimed_at=NOW - age, **values)


def other(status: Status = Status.UNKNOWN, **values: Any) -> Message:
    return message(status, **{"message_id": "b" * 32, "twilio_sid": None, "claimed_at": NOW - SECOND, **values})


# --- by age ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "early"),
    [
        (0, LookAgain(NOW + 25 * MINUTE)),
        (25 * MINUTE - 1, LookAgain(NOW + 1)),
        (25 * MINUTE, None),
        (25 * MINUTE + 1, None),
    ],
)
def test_a_young_doubt_is_settled_by_callbacks_only(age: int, early: LookAgain | None) -> None:
    assert is_early(doubtful(age=age), NOW) == early


@pytest.mark.parametrize("status", [Status.SENDING, Status.UNKNOWN])
@pytest.mark.parametrize("on_unknown", ["hold", "resend"])
@pytest.mark.parametrize(("age", "ends"), [(70 * MINUTE - 1, False), (70 * MINUTE, True), (2 * DAY, True)])
def test_a_doubt_without_evidence_ends_after_the_horizon(status: Status, on_unknown: str, age: int, ends: bool) -> None:
    """It is never sent again before then, and its caller is told that it is open."""
    held = doubtful(status, age, on_unknown=on_unknown)
    ended = taken(held, END_DOUBT, outbox=ALERT, error=NO_EVIDENCE)
    assert on_doubt(held, [], [], NOW) == (ended if ends else LookAgain(NOW + 10 * MINUTE))


@pytest.mark.parametrize(
    ("age", "on_unknown", "then"),
    [
        (76 * MINUTE - 1, "resend", LookAgain(NOW + 1)),
        (76 * MINUTE, "resend", RESEND),
        (76 * MINUTE + 1, "resend", RESEND),
        (76 * MINUTE - 1, "hold", LookAgain(NOW + 1)),
        (76 * MINUTE, "hold", LookAgain(None)),
        (2 * DAY, "hold", LookAgain(None)),
    ],
)
def test_an_unresolved_message_is_sent_again_only_if_its_caller_asked_for_that(
    age: int, on_unknown: str, then: Any
) -> None:
    held = doubtful(Status.UNRESOLVED, age, on_unknown=on_unknown)
    successor = continuation_of(held, NOW)
    expected = taken(held, RESEND, successor=successor) if then is RESEND else then
    assert on_doubt(held, [], [], NOW) == expected


@pytest.mark.parametrize(
    "values", [{"stop": "canceled"}, {"stop": "erased"}, {"expires_at": NOW}, {"continued_as": "x"}]
)
def test_it_is_not_sent_again_when_stopped_expired_or_continued(values: dict[str, Any]) -> None:
    held = doubtful(Status.UNRESOLVED, 80 * MINUTE, on_unknown="resend", **values)
    assert on_doubt(held, [], [], NOW) == LookAgain(None)


@pytest.mark.parametrize(
    ("status", "after", "ends"),
    [
        (Status.SENDING, -1, False),
        (Status.SENDING, 0, True),
        (Status.UNKNOWN, -1, False),
        (Status.UNKNOWN, 0, True),
        (Status.UNKNOWN, DAY, True),
        (Status.UNRESOLVED, DAY, False),
    ],
)
def test_a_doubt_ends_at_last_although_twilios_list_does_not_answer(status: Status, after: int, ends: bool) -> None:
    """But it is never sent again without a look at the list."""
    held = doubtful(status, 3 * HOUR + after, on_unknown="resend")
    expected = taken(held, END_DOUBT, outbox=ALERT, error=NO_EVIDENCE) if ends else None
    assert without_list(held, NOW) == expected


def test_without_a_claim_its_age_counts_from_its_creation() -> None:
    held = message(Status.UNKNOWN, claimed_at=None, created_at=NOW - 70 * MINUTE)
    assert on_doubt(held, [], [], NOW) == taken(held, END_DOUBT, outbox=ALERT, error=NO_EVIDENCE)
    assert is_early(message(Status.UNKNOWN, claimed_at=None, created_at=NOW), NOW) == LookAgain(NOW + 25 * MINUTE)
    assert list_from(held) == NOW - 71 * MINUTE


# --- its time passes -------------------------------------------------------------------------------------------------

OVERDUE_ERROR = Failure(code="expired", detail="`expires_at` has passed, and whether it went is not known yet")


@pytest.mark.parametrize(
    ("status", "values", "is_said"),
    [
        (Status.UNKNOWN, {"expires_at": NOW}, True),
        (Status.SENDING, {"expires_at": NOW}, True),
        (Status.UNKNOWN, {"expires_at": NOW + 1}, False),
        (Status.UNKNOWN, {"expires_at": None}, False),
        (Status.UNKNOWN, {"expires_at": NOW, "error": OVERDUE_ERROR}, False),
        (Status.UNRESOLVED, {"expires_at": NOW}, False),
    ],
)
def test_its_caller_hears_once_that_its_time_passed_in_doubt(
    status: Status, values: dict[str, Any], is_said: bool
) -> None:
    held = doubtful(status, **values)
    said = taken(held, OVERDUE, due=NOW + MINUTE, outbox=EVENT, error=OVERDUE_ERROR)
    assert overdue(held, NOW) == (said if is_said else None)


@pytest.mark.parametrize(
    ("status", "expires_at", "at"),
    [
        (Status.UNKNOWN, NOW + MINUTE, NOW + MINUTE),
        (Status.UNKNOWN, NOW + HOUR, NOW + 10 * MINUTE),
        (Status.UNKNOWN, NOW, NOW + 10 * MINUTE),
        (Status.UNKNOWN, None, NOW + 10 * MINUTE),
        (Status.UNRESOLVED, NOW + MINUTE, NOW + 10 * MINUTE),
    ],
)
def test_it_is_looked_at_when_its_time_passes(status: Status, expires_at: int | None, at: int) -> None:
    assert next_look(doubtful(status, expires_at=expires_at), NOW + 10 * MINUTE, NOW) == at


# --- what the list shows ---------------------------------------------------------------------------------------------

AGES = [
    (Status.SENDING, 30),
    (Status.UNKNOWN, 30),
    (Status.UNKNOWN, 75),
    (Status.UNRESOLVED, 72),
    (Status.UNRESOLVED, 80),
]


@pytest.mark.parametrize(("status", "minutes"), AGES)
@pytest.mark.parametrize("error_code", [None, 63024])
def test_one_candidate_is_the_message_at_any_age(status: Status, minutes: int, error_code: int | None) -> None:
    held = doubtful(status, minutes * MINUTE, on_unknown="resend")
    found = listed(status="failed", error_code=error_code, date_created=NOW - minutes * MINUTE)
    assert on_doubt(held, [found], [], NOW) == StatusUpdate(
        message_id=ID, attempt="attempt-1", twilio_sid=SID, status="failed", error_code=error_code
    )


def test_a_record_without_an_attempt_is_updated_all_the_same() -> None:
    assert update_of(message(attempt=None), listed()).attempt == ""


BEFORE_HORIZON, AFTER_HORIZON = (Status.UNKNOWN, 30 * MINUTE), (Status.UNKNOWN, 70 * MINUTE)
NOT_YET, UNRESOLVED = (Status.UNRESOLVED, 75 * MINUTE), (Status.UNRESOLVED, 80 * MINUTE)


@pytest.mark.parametrize(
    ("at", "then"),
    [
        (BEFORE_HORIZON, LookAgain(NOW + 10 * MINUTE)),
        (AFTER_HORIZON, END_DOUBT),
        (NOT_YET, LookAgain(NOW + MINUTE)),
        (UNRESOLVED, LookAgain(None)),
    ],
)
@pytest.mark.parametrize("case", ["two candidates", "contested"])
def test_what_is_not_certain_is_neither_matched_nor_sent_again(at: tuple[Status, int], then: Any, case: str) -> None:
    """A message that Twilio's list may show is never sent again, although its caller asked for that."""
    held = doubtful(*at, on_unknown="resend")
    candidate = listed(date_created=NOW - at[1])
    found = [candidate, listed(OTHER_SID, date_created=NOW - at[1])] if case == "two candidates" else [candidate]
    others = [other(claimed_at=NOW - at[1])] if case == "contested" else []
    expected = taken(held, END_DOUBT, outbox=ALERT, error=NO_EVIDENCE) if then is END_DOUBT else then
    assert on_doubt(held, found, others, NOW) == expected


@pytest.mark.parametrize(
    ("status", "values", "contests"),
    [
        (Status.CLAIMED, {}, True),
        (Status.SENDING, {}, True),
        (Status.UNKNOWN, {}, True),
        (Status.UNRESOLVED, {}, True),
        (Status.PENDING, {}, False),
        (Status.RETRYING, {}, False),
        (Status.FAILED, {}, False),
        (Status.SENT, {"twilio_sid": OTHER_SID}, False),
        (Status.UNKNOWN, {"text": "Another text"}, False),
        (Status.UNKNOWN, {"claimed_at": None}, False),
        (Status.UNKNOWN, {"claimed_at": NOW - 30 * MINUTE}, False),
    ],
)
def test_a_candidate_is_contested_by_what_may_be_at_twilio(
    status: Status, values: dict[str, Any], contests: bool
) -> None:
    held = doubtful(age=2 * SECOND)
    judged = on_doubt(held, [listed()], [other(status, **values)], NOW)
    assert judged == (LookAgain(NOW + 10 * MINUTE) if contests else update_of(held, listed()))


@pytest.mark.parametrize(
    ("after_claim", "owner", "sent_again"),
    [
        (0, None, False),
        (-MINUTE, None, False),
        (12 * MINUTE, None, False),
        (-MINUTE - 1, None, True),
        (12 * MINUTE + 1, None, True),
        (0, Status.DELIVERED, True),
    ],
)
def test_whatever_twilio_has_of_its_time_forbids_sending_it_again(
    after_claim: int, owner: Status | None, sent_again: bool
) -> None:
    """Its words may have been changed on the way. Only what another record owns is certainly not it."""
    held = doubtful(Status.UNRESOLVED, 80 * MINUTE, on_unknown="resend")
    found = listed(body="Something else", date_created=NOW - 80 * MINUTE + after_claim)
    others = [other(owner, twilio_sid=SID)] if owner else []
    expected = taken(held, RESEND, successor=continuation_of(held, NOW)) if sent_again else LookAgain(None)
    assert on_doubt(held, [found], others, NOW) == expected


def test_one_of_many_others_is_enough_to_contest() -> None:
    others = [other(Status.FAILED), other(Status.UNKNOWN), other(Status.PENDING)]
    assert on_doubt(doubtful(age=SECOND), [listed()], others, NOW) == LookAgain(NOW + 10 * MINUTE)


# --- candidates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after_claim", "is_candidate"),
    [
        (-MINUTE - 1, False),
        (-MINUTE, True),
        (0, True),
        (12 * MINUTE, True),
        (12 * MINUTE + 1, False),
    ],
)
def test_a_candidate_was_made_about_when_the_message_was_claimed(after_claim: int, is_candidate: bool) -> None:
    held = doubtful()
    found = listed(date_created=NOW - 30 * MINUTE + after_claim)
    assert candidates_of(held, [found], []) == ([found] if is_candidate else [])


@pytest.mark.parametrize(
    ("text", "content_sid", "body", "is_candidate"),
    [
        ("Hello", None, "Hello", True),
        ("Hello", None, "Good day", False),
        ("Hello", None, "", False),
        (None, None, "", True),
        (None, None, "Hello", False),
        ("Hello", "HX1", "Hello", True),
        ("Hello", "HX1", "", True),
        ("Hello", "HX1", "Good day", False),
        ("Hello\n\nAsha", None, "Hello\r\n\r\nAsha", True),
        (" Hello\n", None, "Hello", True),
        ("Hello Asha", None, "Hello\nAsha", False),
    ],
)
def test_a_candidate_says_the_same_or_is_a_template_listed_without_its_body(
    text: str | None, content_sid: str | None, body: str, is_candidate: bool
) -> None:
    held, found = doubtful(age=SECOND, text=text, content_sid=content_sid), listed(body=body)
    assert candidates_of(held, [found], []) == ([found] if is_candidate else [])


@pytest.mark.parametrize("status", [Status.SENT, Status.DELIVERED, Status.FAILED, Status.UNKNOWN])
def test_what_another_record_owns_is_no_candidate(status: Status) -> None:
    found, owned = listed(), listed(OTHER_SID)
    others: Sequence[Message] = [other(status, twilio_sid=OTHER_SID)]
    assert candidates_of(doubtful(age=SECOND), [owned, found], others) == [found]


def test_what_was_never_claimed_has_no_candidate() -> None:
    assert candidates_of(message(Status.UNKNOWN, claimed_at=None), [listed()], []) == []


def test_twilio_is_asked_from_a_minute_before_the_claim() -> None:
    assert list_from(doubtful(age=HOUR)) == NOW - HOUR - MINUTE


def test_others_were_created_up_to_35_days_before_and_12_minutes_after_the_claim() -> None:
    assert others_span(doubtful(age=HOUR)) == (NOW - HOUR - 35 * DAY, NOW - HOUR + 12 * MINUTE)
