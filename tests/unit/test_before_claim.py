"""Whether a message may go now: refused, expired, deferred, or claimed."""

from dataclasses import replace
from datetime import time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from whatsapp.domain.errors import Failure, MessagingError
from whatsapp.domain.ports import OutgoingPost
from whatsapp.domain.schedule import QuietHours
from whatsapp.domain.sending.before_claim import (
    SendPolicy,
    before_claim,
    cancel,
    claim,
    defer,
    expire,
    fence,
    is_forbidden,
    paused,
    refuse,
    slot_taken,
    unreachable,
)
from whatsapp.domain.sending.lifecycle import CANCEL, CLAIM, DEFER, DROP, EXPIRE, FENCE, STORE, Status
from whatsapp.domain.sending.message import Message
from whatsapp.domain.templates.template import Template

from tests.unit.sending_kit import (
    ALERT,
    DAY,
    EVENT,
    HOUR,
    MINUTE,
    NOTHING,
    NOW,
    PATIENT,
    REPLY,
    SECOND,
    TEMPLATE,
    contact,
    message,
    new,
    taken,
)

LEASE = NOW + 15 * SECOND
"""Just long enough for a POST."""
POLICY = SendPolicy(rate_limit_ms=HOUR)
LUNCH = SendPolicy(rate_limit_ms=HOUR, quiet_hours=QuietHours(time(12, 30), time(13, 30), ZoneInfo("Asia/Kolkata")))
"""`NOW` is 12:30 in India: quiet hours begin just now."""
AT_HALF_PAST_ONE = NOW + HOUR
SUPPRESSED = "suppressed since Twilio said: the recipient blocked the message; PUT /contacts lifts it"
FORBIDDEN = Failure(code="opted_out", detail="the contact opted out or was erased meanwhile")
OPTED_OUT = "this contact asked not to be written to; only their START lifts it"
EXEMPT = Template(**{**{f: getattr(TEMPLATE, f) for f in TEMPLATE.__slots__}, "quiet_hours_exempt": True})


def waiting(status: Status = Status.PENDING, **values: Any) -> Message:
    return message(status, **values)


def judge(stored: Message, /, lease: int = LEASE, policy: SendPolicy = POLICY, **of_contact: Any) -> Any:
    template = TEMPLATE if stored.template else None
    return before_claim(stored, contact(**of_contact), template, policy, NOW, lease)


def test_a_policy_sends_to_numbers_only_and_knows_no_quiet_hours_unless_it_says_so() -> None:
    assert SendPolicy(rate_limit_ms=HOUR) == SendPolicy(rate_limit_ms=HOUR, quiet_hours=None, send_to_ids=False)


# --- before_claim ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.PENDING, Status.DEFERRED, Status.RETRYING])
def test_nothing_stands_against_a_message(status: Status) -> None:
    assert judge(waiting(status, send_at=NOW, expires_at=NOW + 1)) is None


@pytest.mark.parametrize(
    ("of_contact", "error"),
    [
        ({"opted_out_at": NOW}, Failure(code="opted_out", detail=OPTED_OUT)),
        ({"suppressed_code": 30004}, Failure(code="blocked", detail=SUPPRESSED, twilio_code=30004)),
        ({"opted_out_at": 1, "suppressed_code": 30004}, Failure(code="opted_out", detail=OPTED_OUT)),
    ],
    ids=["opted out", "suppressed", "both"],
)
def test_a_contact_that_must_not_be_written_to(of_contact: dict[str, Any], error: Failure) -> None:
    expired: dict[str, Any] = {"expires_at": NOW, "send_at": NOW + HOUR}
    stored = waiting(**expired)
    assert judge(stored, **of_contact) == taken(stored, DROP, outbox=EVENT, error=error)
    with pytest.raises(MessagingError) as refused:
        judge(new(**expired), **of_contact)
    assert refused.value.failure == error


def test_a_template_that_requires_consent_goes_only_to_those_who_gave_it() -> None:
    asking = Template(**{**{f: getattr(TEMPLATE, f) for f in TEMPLATE.__slots__}, "requires_opt_in": True})
    stored = waiting(template="greeting", expires_at=NOW)
    held = before_claim(stored, contact(), asking, POLICY, NOW, LEASE)
    assert held is not None
    assert held.after.error is not None
    assert held == taken(stored, DROP, outbox=EVENT, error=held.after.error)
    with pytest.raises(MessagingError, match="greeting goes only to contacts who agreed to it") as refused:
        before_claim(new(template="greeting"), contact(), asking, POLICY, NOW, LEASE)
    assert refused.value.failure == held.after.error
    assert (refused.value.code, refused.value.failure.retryable) == ("no_consent", False)
    assert before_claim(waiting(template="greeting"), contact(opted_in_at=1), asking, POLICY, NOW, LEASE) is None
    assert before_claim(waiting(template="greeting"), contact(), TEMPLATE, POLICY, NOW, LEASE) is None


@pytest.mark.parametrize(("code", "error"), [(21211, "invalid_address"), (69_999, "unknown_error")])
def test_a_suppressed_contact_is_refused_by_the_code_that_suppressed_it(code: int, error: str) -> None:
    refusal = unreachable(contact(suppressed_code=code), NOW)
    assert refusal is not None
    assert (refusal.code, refusal.failure.twilio_code) == (error, code)


@pytest.mark.parametrize(
    ("code", "age", "stands"),
    [
        (63024, 7 * DAY - 1, True),
        (63024, 7 * DAY, False),
        (63024, None, True),
        (30004, 100 * DAY, True),
        (21610, 100 * DAY, True),
    ],
)
def test_a_suppression_lapses_where_its_cause_may_pass(code: int, age: int | None, stands: bool) -> None:
    """One that was stored without its time stands until someone lifts it."""
    suppressed = contact(suppressed_code=code, suppressed_at=age and NOW - age)
    assert (unreachable(suppressed, NOW) is not None) is stands
    held = judge(waiting(), suppressed_code=code, suppressed_at=age and NOW - age)
    assert (held is not None) is stands


@pytest.mark.parametrize("erased_at", [NOW - HOUR, NOW])
def test_what_was_asked_for_before_an_erasure_is_refused(erased_at: int) -> None:
    stored = waiting(expires_at=NOW)
    assert judge(stored, erased_at=erased_at) == taken(stored, DROP, outbox=EVENT, error=FORBIDDEN)
    with pytest.raises(MessagingError) as refused:
        judge(new(created_at=erased_at), erased_at=erased_at)
    assert refused.value.failure == FORBIDDEN


def test_a_contact_that_may_be_written_to() -> None:
    assert unreachable(contact(erased_at=NOW, last_inbound_at=NOW), NOW) is None


@pytest.mark.parametrize(
    ("expires_at", "is_expired"), [(None, False), (NOW + 1, False), (NOW, True), (NOW - 1, True), (0, True)]
)
def test_it_expires_at_its_last_moment(expires_at: int | None, is_expired: bool) -> None:
    stored = waiting(Status.DEFERRED, expires_at=expires_at)
    assert stored.is_past(NOW) is is_expired
    assert judge(stored) == (taken(stored, EXPIRE, outbox=EVENT) if is_expired else None)


def test_what_expired_is_not_deferred() -> None:
    stored = waiting(expires_at=NOW, send_at=NOW + 1)
    assert judge(stored, policy=LUNCH) == taken(stored, EXPIRE, outbox=EVENT)


@pytest.mark.parametrize(
    ("send_at", "policy", "until"),
    [
        (None, POLICY, None),
        (NOW - 1, POLICY, None),
        (NOW, POLICY, None),
        (NOW + 1, POLICY, NOW + 1),
        (NOW + HOUR, POLICY, NOW + HOUR),
        (None, LUNCH, AT_HALF_PAST_ONE),
        (NOW + 1, LUNCH, AT_HALF_PAST_ONE),
        (NOW + HOUR, LUNCH, NOW + HOUR),
        (NOW + DAY, LUNCH, NOW + DAY + HOUR),
    ],
)
@pytest.mark.parametrize("build", [new, waiting])
def test_it_waits_for_send_at_and_the_end_of_quiet_hours(
    build: Any, send_at: int | None, policy: SendPolicy, until: int | None
) -> None:
    stored = build(send_at=send_at, template="greeting")
    expected = until and taken(stored, DEFER, due=until, outbox=EVENT, scheduled_for=until)
    assert judge(stored, policy=policy) == expected


@pytest.mark.parametrize("values", [{"kind": REPLY}, {"kind": REPLY, "template": "greeting"}])
def test_a_reply_goes_in_quiet_hours_but_not_before_send_at(values: dict[str, Any]) -> None:
    assert judge(waiting(**values), policy=LUNCH) is None
    held = judge(waiting(**values, send_at=NOW + 1), policy=LUNCH)
    assert held.after.scheduled_for == NOW + 1


@pytest.mark.parametrize(("template", "waits"), [(EXEMPT, False), (TEMPLATE, True), (None, True)])
def test_a_template_may_be_exempt_from_quiet_hours(template: Template | None, waits: bool) -> None:
    held = before_claim(waiting(), contact(), template, LUNCH, NOW, LEASE)
    assert (held is not None) is waits


@pytest.mark.parametrize(("lease", "is_stored"), [(LEASE - 1, True), (LEASE, False), (NOW - 1, True)])
def test_a_new_message_without_time_for_a_post_is_stored_for_the_sweep(lease: int, is_stored: bool) -> None:
    message = new()
    assert judge(message, lease) == (taken(message, STORE, due=NOW + 5 * SECOND) if is_stored else None)


def test_a_stored_message_without_time_stays_as_it_is() -> None:
    assert judge(waiting(), NOW) is None


# --- the slot --------------------------------------------------------------------------------------------------------


def limited(at: str, period: str = "an hour") -> Failure:
    detail = f"one unprompted message in {period}: the next may go at {at}"
    return Failure(code="rate_limited", detail=detail, retryable=True)


IN_ONE_MINUTE, IN_AN_HOUR, JUST_NOW = (f"2026-11-24T{t}:00+05:30" for t in ("12:31", "13:30", "12:30"))
IN_TWO_HOURS = "2026-11-24T14:30:00+05:30"
HELD = {"inflight": "other#1"}


@pytest.mark.parametrize("of_contact", [{}, {"next_allowed_at": NOW}, {"next_allowed_at": NOW - 1}])
def test_the_slot_is_free(of_contact: dict[str, Any]) -> None:
    assert slot_taken(waiting(), contact(**of_contact), POLICY, NOW, 0.5) is None


@pytest.mark.parametrize(
    ("of_contact", "spread", "look_at", "opens_at", "says"),
    [
        # It opens later: look then.
        ({"next_allowed_at": NOW + 1}, 0.5, NOW + 1, NOW + 1, "2026-11-24T12:30:01+05:30"),
        ({"next_allowed_at": NOW + MINUTE}, 0.5, NOW + MINUTE, NOW + MINUTE, IN_ONE_MINUTE),
        ({**HELD, "inflight_at": NOW}, 0.5, NOW + HOUR, NOW + HOUR, IN_AN_HOUR),
        (HELD, 0.5, NOW + HOUR, NOW + HOUR, IN_AN_HOUR),
        ({**HELD, "inflight_at": NOW - HOUR + 1}, 0.5, NOW + 1, NOW + 1, "2026-11-24T12:30:01+05:30"),
        # It should be open, but a doubt still holds it: look in one to five minutes, say when it ends at the latest.
        ({**HELD, "inflight_at": NOW - HOUR}, 0.0, NOW + MINUTE, NOW + 2 * HOUR, IN_TWO_HOURS),
        ({**HELD, "inflight_at": NOW - HOUR}, 0.5, NOW + 3 * MINUTE, NOW + 2 * HOUR, IN_TWO_HOURS),
        ({**HELD, "inflight_at": NOW - 2 * HOUR}, 1.0, NOW + 5 * MINUTE, NOW + HOUR, IN_AN_HOUR),
        ({**HELD, "inflight_at": NOW - 4 * HOUR}, 0.0, NOW + MINUTE, NOW, JUST_NOW),
        (
            {**HELD, "inflight_at": NOW - HOUR, "next_allowed_at": NOW + MINUTE},
            0.0,
            NOW + MINUTE,
            NOW + MINUTE,
            IN_ONE_MINUTE,
        ),
        (
            {**HELD, "inflight_at": NOW - HOUR, "next_allowed_at": NOW - 1},
            0.0,
            NOW + MINUTE,
            NOW + 2 * HOUR,
            IN_TWO_HOURS,
        ),
    ],
)
def test_it_waits_until_the_slot_opens(
    of_contact: dict[str, Any], spread: float, look_at: int, opens_at: int, says: str
) -> None:
    stored = waiting()
    expected = taken(stored, DEFER, due=look_at, outbox=EVENT, scheduled_for=opens_at, error=limited(says))
    assert slot_taken(stored, contact(**of_contact), POLICY, NOW, spread) == expected


@pytest.mark.parametrize(
    ("of_contact", "expires_at", "look_at"),
    [
        ({**HELD, "inflight_at": NOW}, NOW + HOUR + 5 * MINUTE + 1, NOW + HOUR),
        ({**HELD, "inflight_at": NOW}, NOW + HOUR + 5 * MINUTE, NOW + 2 * MINUTE),
        ({**HELD, "inflight_at": NOW}, NOW + 3 * MINUTE, NOW + 2 * MINUTE),
        ({**HELD, "inflight_at": NOW}, NOW + MINUTE, NOW + MINUTE),
        ({**HELD, "inflight_at": NOW - HOUR + SECOND}, NOW + HOUR, NOW + SECOND),
        ({**HELD, "inflight_at": NOW - HOUR + SECOND}, NOW + 3 * MINUTE, NOW + SECOND),
        ({"next_allowed_at": NOW + HOUR}, NOW + HOUR + MINUTE, NOW + HOUR),
        ({"next_allowed_at": NOW + HOUR}, NOW + 3 * MINUTE, NOW + 3 * MINUTE),
    ],
)
def test_a_message_that_would_expire_looks_whether_a_refund_frees_the_slot(
    of_contact: dict[str, Any], expires_at: int, look_at: int
) -> None:
    held = slot_taken(waiting(expires_at=expires_at), contact(**of_contact), POLICY, NOW, 0.5)
    assert held is not None
    assert held.next_due == look_at


def test_a_reply_needs_no_slot_of_the_rate_limit() -> None:
    """Its own slot is looked at in the claim."""
    held = contact(inflight="other#1", inflight_at=NOW, next_allowed_at=NOW + HOUR)
    assert slot_taken(waiting(kind=REPLY), held, POLICY, NOW, 0.5) is None
    assert slot_taken(new(kind=REPLY), held, POLICY, NOW, 0.5, reject=True) is None


@pytest.mark.parametrize(
    ("period", "words"),
    [
        (HOUR, "an hour"),
        (2 * HOUR, "2 hours"),
        (90 * MINUTE, "90 minutes"),
        (MINUTE, "1 minutes"),
        (90 * SECOND, "90 seconds"),
        (5 * SECOND, "5 seconds"),
    ],
)
def test_the_limit_is_named_as_it_is_configured(period: int, words: str) -> None:
    held = slot_taken(waiting(), contact(next_allowed_at=NOW + MINUTE), SendPolicy(rate_limit_ms=period), NOW, 0.5)
    assert held is not None
    assert held.after.error == limited(IN_ONE_MINUTE, words)


def test_reject_refuses_a_new_message() -> None:
    with pytest.raises(MessagingError) as refused:
        slot_taken(new(), contact(next_allowed_at=NOW + MINUTE), POLICY, NOW, 0.5, reject=True)
    assert refused.value.failure == limited(IN_ONE_MINUTE)


@pytest.mark.parametrize(("build", "reject"), [(waiting, True), (new, False)])
def test_all_others_are_deferred(build: Any, reject: bool) -> None:
    held = slot_taken(build(), contact(next_allowed_at=NOW + MINUTE), POLICY, NOW, 0.5, reject=reject)
    assert held is not None
    assert held.step is DEFER


def test_a_message_is_deferred_unless_its_caller_asked_otherwise() -> None:
    held = slot_taken(new(), contact(next_allowed_at=NOW + MINUTE), POLICY, NOW, 0.5)
    assert held is not None
    assert held.step is DEFER


@pytest.mark.parametrize(
    ("asked_at", "of_contact", "forbids"),
    [
        (None, {}, False),
        (None, {"opted_out_at": 0}, True),
        (None, {"erased_at": NOW - HOUR - 1}, False),
        (None, {"erased_at": NOW - HOUR}, True),
        (NOW - DAY, {"erased_at": NOW - HOUR}, True),
        (NOW - DAY, {"erased_at": NOW - DAY}, True),
        (NOW - DAY, {"erased_at": NOW - DAY - 1}, False),
    ],
)
def test_an_erasure_forbids_what_was_asked_for_before_it(
    asked_at: int | None, of_contact: dict[str, Any], forbids: bool
) -> None:
    """What continues another message was asked for with that one."""
    assert is_forbidden(contact(**of_contact), waiting(asked_at=asked_at)) is forbids


# --- defer, refuse, cancel -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("look_at", "expires_at", "due"),
    [
        (None, None, NOW + HOUR),
        (NOW + MINUTE, None, NOW + MINUTE),
        (None, NOW + HOUR - 1, NOW + HOUR - 1),
        (None, NOW + HOUR + 1, NOW + HOUR),
        (NOW + 2 * MINUTE, NOW + MINUTE, NOW + MINUTE),
        (NOW + 2 * HOUR, None, NOW + 2 * HOUR),
        (NOW + 2 * HOUR, NOW + HOUR, NOW + HOUR),
    ],
)
def test_a_deferred_message_is_looked_at_when_it_may_go_or_expires(
    look_at: int | None, expires_at: int | None, due: int
) -> None:
    error = Failure(code="rate_limited", detail="later")
    stored = waiting(expires_at=expires_at)
    expected = taken(stored, DEFER, due=due, outbox=EVENT, scheduled_for=NOW + HOUR, error=error)
    assert defer(stored, NOW + HOUR, NOW, look_at=look_at, error=error) == expected


def test_an_earlier_error_stays_where_the_deferral_has_none() -> None:
    earlier, later = Failure(code="throttled", detail="earlier"), Failure(code="rate_limited", detail="later")
    assert defer(waiting(error=earlier), NOW + 1, NOW).after.error == earlier
    assert defer(waiting(error=earlier), NOW + 1, NOW, error=later).after.error == later


@pytest.mark.parametrize(
    ("status", "scheduled_for", "outbox", "then"),
    [
        (Status.PENDING, None, NOTHING, EVENT),
        (Status.RETRYING, NOW + HOUR, NOTHING, EVENT),
        (Status.DEFERRED, NOW + HOUR + 1, NOTHING, EVENT),
        (Status.DEFERRED, NOW + HOUR, NOTHING, NOTHING),
        (Status.DEFERRED, NOW + HOUR, EVENT, EVENT),
        (Status.DEFERRED, NOW + HOUR, ALERT, ALERT),
    ],
)
def test_a_deferral_is_published_once(
    status: Status, scheduled_for: int | None, outbox: frozenset[str], then: frozenset[str]
) -> None:
    again = waiting(status, scheduled_for=scheduled_for, outbox=outbox)
    assert defer(again, NOW + HOUR, NOW).after.outbox == then


@pytest.mark.parametrize(
    ("said", "reason", "outbox"),
    [
        ("sender_paused", "sender_paused", NOTHING),
        ("template_not_approved", "template_not_approved", NOTHING),
        ("rate_limited", "rate_limited", EVENT),
        ("rate_limited", "sender_paused", EVENT),
        (None, "sender_paused", EVENT),
        (None, None, EVENT),
    ],
)
def test_what_waits_without_a_known_time_says_so_once(
    said: str | None, reason: str | None, outbox: frozenset[str]
) -> None:
    """A time that moves is news: the caller may phone the patient. A pause that goes on is not."""
    before = said and Failure(code=said, detail="earlier")
    again = waiting(Status.DEFERRED, scheduled_for=NOW, error=before or None)
    why = reason and Failure(code=reason, detail="now")
    assert defer(again, NOW + HOUR, NOW, error=why or None).after.outbox == outbox


def test_a_pause_that_has_not_been_published_yet_still_is() -> None:
    why = Failure(code="sender_paused", detail="why")
    again = waiting(Status.DEFERRED, scheduled_for=NOW, error=why, outbox=EVENT)
    assert defer(again, NOW + HOUR, NOW, error=why).after.outbox == EVENT


@pytest.mark.parametrize(("spread", "look_at"), [(0.0, NOW + MINUTE), (0.5, NOW + 3 * MINUTE), (1.0, NOW + 5 * MINUTE)])
@pytest.mark.parametrize("build", [new, waiting])
def test_while_sending_is_paused_a_message_looks_again_in_one_to_five_minutes(
    build: Any, spread: float, look_at: int
) -> None:
    stored, why = build(), Failure(code="sender_paused", detail="why", retryable=True)
    expected = taken(stored, DEFER, due=look_at, outbox=EVENT, scheduled_for=look_at, error=why)
    assert paused(stored, why, NOW, spread) == expected


@pytest.mark.parametrize(
    ("code", "outbox"),
    [("opted_out", EVENT), ("window_closed", EVENT), ("invalid_variables", EVENT)],
)
def test_a_stored_message_is_refused_for_good(code: str, outbox: frozenset[str]) -> None:
    """Its caller may not hope: only a request that is made anew can succeed."""
    stored = waiting(Status.DEFERRED)
    refusal = MessagingError(code, "why", twilio_code=7, retryable=True)
    error = Failure(code=code, detail="why", twilio_code=7, retryable=False)
    assert refuse(stored, refusal, NOW) == taken(stored, DROP, outbox=outbox, error=error)


NOT_APPROVED = MessagingError("template_not_approved", "why", retryable=True)


@pytest.mark.parametrize(
    ("values", "waits"),
    [
        ({"expires_at": NOW + 1}, True),
        ({"expires_at": NOW + 40 * DAY, "created_at": NOW - 20 * DAY}, True),
        ({"expires_at": NOW}, False),
        ({"created_at": NOW - DAY + 1}, True),
        ({"created_at": NOW - DAY}, False),
        ({"created_at": NOW - 9 * DAY, "send_at": NOW - DAY + 1}, True),
        ({"created_at": NOW - 9 * DAY, "send_at": NOW - DAY}, False),
    ],
)
def test_a_stored_message_waits_for_its_template(values: dict[str, Any], waits: bool) -> None:
    """Meta pauses a template for hours. A new request is refused at once: its caller hears it."""
    stored = waiting(Status.DEFERRED, **values)
    refused = refuse(stored, NOT_APPROVED, NOW)
    if not waits:
        error = replace(NOT_APPROVED.failure, retryable=False)
        assert refused == taken(stored, DROP, outbox=ALERT, error=error)
    else:
        look, due = NOW + 15 * MINUTE, min(NOW + 15 * MINUTE, stored.expires_at or DAY + NOW)
        error = NOT_APPROVED.failure
        assert refused == taken(stored, DEFER, due=due, outbox=EVENT, scheduled_for=look, error=error)
        again = refuse(replace(refused.after, outbox=NOTHING), NOT_APPROVED, NOW)
        assert again.after.outbox == NOTHING, "said once"


@pytest.mark.parametrize(
    ("code", "outbox"),
    [(None, EVENT), ("rate_limited", EVENT), ("template_not_approved", ALERT), ("sender_paused", ALERT)],
)
def test_people_hear_of_a_message_that_expired_because_of_us(code: str | None, outbox: frozenset[str]) -> None:
    error = code and Failure(code=code, detail="why")
    stored = waiting(Status.DEFERRED, expires_at=NOW, error=error or None)
    assert expire(stored, NOW) == taken(stored, EXPIRE, outbox=outbox)


def test_a_new_message_is_refused_by_the_same_error_and_nothing_is_stored() -> None:
    refusal = MessagingError("template_not_approved", "why")
    with pytest.raises(MessagingError) as raised:
        refuse(new(), refusal, NOW)
    assert raised.value is refusal


def test_a_waiting_message_is_canceled() -> None:
    stored = waiting(Status.DEFERRED, scheduled_for=NOW + HOUR)
    assert cancel(stored, NOW) == taken(stored, CANCEL, outbox=EVENT)


# --- claim and fence -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempts", [0, 1, 2])
def test_a_claim_is_a_counted_attempt_until_five_seconds_after_its_lease(attempts: int) -> None:
    stored = waiting(Status.RETRYING, attempts=attempts, scheduled_for=NOW)
    assert claim(stored, "attempt-9", NOW, LEASE) == taken(
        stored, CLAIM, due=LEASE + 5 * SECOND, attempt="attempt-9", attempts=attempts + 1, claimed_at=NOW
    )


@pytest.mark.parametrize(
    ("post", "text", "content_sid"),
    [
        (OutgoingPost(to=PATIENT, body="Hello"), "Hello", None),
        (OutgoingPost(to=PATIENT, content_sid="HX1", rendered="Hello Asha"), "Hello Asha", "HX1"),
    ],
    ids=["text", "template"],
)
def test_the_fence_notes_what_goes_out(post: OutgoingPost, text: str, content_sid: str | None) -> None:
    claimed = message(Status.CLAIMED, content_sid="HX0", due_at=LEASE)
    assert fence(claimed, post, NOW) == taken(claimed, FENCE, due=LEASE, text=text, content_sid=content_sid)
