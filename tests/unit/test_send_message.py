"""The order of a send: what is read, written and posted when, and what happens when another worker comes between."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Deadline, InDoubt, NotSent, Rejected
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.lifecycle import WAITING, Status
from whatsapp.domain.sending.message import SendKind, handle_of
from whatsapp.domain.sending.request import SendAnswer, answer_for

from tests.app import UnitApp, a_request, message_id_of
from tests.fakes import NOON

CODE_OF_BAD_NUMBER = 21211
FREE_TEXT: dict[str, Any] = {"text": "See you soon"}


def held_by(app: UnitApp, holder: str, **values: Any) -> None:
    """Another message of the contact is in flight."""
    app.contacts.update(app.contact().contact_id, {"inflight": holder, "inflight_at": app.clock.now(), **values})


def set_contact(app: UnitApp, **values: Any) -> None:
    app.contacts.update(app.contact().contact_id, values)


def reply(app: UnitApp, key: str = "reply", inbound: int = 1, **request: Any) -> SendAnswer:
    return app.send(key, text="Yes", in_reply_to=f"SM{inbound:032x}", **request)


def error_of(act: Callable[[], object]) -> str:
    with pytest.raises(MessagingError) as caught:
        act()
    return caught.value.code


# --- the order -----------------------------------------------------------------------------------------------------


def test_contact_is_read_once_before_the_claim_and_once_after_the_fence(app: UnitApp) -> None:
    with app.calls() as calls:
        app.send()
    assert calls == [
        "BatchGetItem",  # message, contact, sender, and the template's present wordings
        "TransactWriteItems",  # the claim
        "UpdateItem messages",  # the fence
        "GetItem contacts",
        "POST",
        "TransactWriteItems",  # the acceptance
        "UpdateItem messages",  # the event is published: the outbox is cleared
    ]


@pytest.mark.parametrize(("asked", "read"), [({}, 4), ({"language": "en-IN"}, 1)])
def test_only_wordings_that_may_go_are_read(app: UnitApp, asked: dict[str, str], read: int) -> None:
    """Without a language in the request, the contact's decides, which is read at the same time."""
    keys: list[int] = []

    def hook(params: Any, **_: Any) -> None:
        keys.append(len(params["RequestItems"]["TemplatesTable"]["Keys"]))

    with app._listening("provide-client-params.dynamodb.BatchGetItem", hook):
        assert app.send(**asked).status == "sent"
    assert keys == [read]


def test_accepted_message_is_sent(app: UnitApp) -> None:
    answer = app.send()
    assert (answer.status, answer.twilio_sid, answer.duplicate) == ("sent", f"SM{1:032x}", False)
    assert [event.status for event in app.bus.events] == ["sent"]
    assert app.contact().inflight is None


def test_post_names_the_callback_path_of_its_attempt(app: UnitApp) -> None:
    app.send()
    message = app.record()
    assert [post.status_path for post in app.gateway.posts] == [
        f"/twilio/status/{message.message_id}/{message.attempt}"
    ]


def test_fence_stores_what_goes_out(app: UnitApp) -> None:
    message = app.left_at(Status.SENDING)
    (post,) = app.gateway.posts
    assert (message.content_sid, message.text) == (post.content_sid, post.rendered)
    assert message.text
    assert "Asha" in message.text


@pytest.mark.parametrize(
    ("outcome", "status", "holds_slot"),
    [
        (InDoubt("no answer"), "unknown", True),
        (Rejected(CODE_OF_BAD_NUMBER, 400), "failed", False),
        (NotSent("no connection"), "retrying", False),
    ],
)
def test_message_is_posted_once_in_each_outcome(app: UnitApp, outcome: Any, status: str, holds_slot: bool) -> None:
    app.gateway.outcomes = [outcome]
    assert app.send().status == status
    assert app.send().duplicate
    assert len(app.gateway.posts) == 1
    assert bool(app.contact().inflight) is holds_slot


def test_message_in_doubt_is_not_posted_by_a_nudge(app: UnitApp) -> None:
    message = app.left_at(Status.UNKNOWN)
    assert app.send_message.advance(message.message_id, app.deadline).status is Status.UNKNOWN
    assert len(app.gateway.posts) == 1


# --- the caller's key ----------------------------------------------------------------------------------------------


def test_same_request_again_is_a_duplicate(app: UnitApp) -> None:
    first, second = app.send(), app.send()
    assert (second.message_id, second.status, second.duplicate) == (first.message_id, "sent", True)
    assert len(app.gateway.posts) == 1


# Messages stored before ids were keyed have their handle as their id.


@pytest.mark.parametrize("status", [status for status in Status if status not in WAITING])
def test_key_of_the_time_before_keyed_ids_sends_nothing_again(app: UnitApp, status: Status) -> None:
    old = app.store(message_id=handle_of("m"), request_hash=a_request().hash(), status=status, attempt="a")
    answer = app.send()
    assert (answer.message_id, answer.status, answer.duplicate) == (old.message_id, status.public_status, True)
    assert app.gateway.posts == []
    assert app.messages.get(message_id_of("m")) is None


def test_message_that_waited_through_the_upgrade_goes_out_once_whoever_asks(app: UnitApp) -> None:
    asked = a_request(**FREE_TEXT)
    old = app.store(message_id=handle_of("m"), request_hash=asked.hash(), due_at=NOON + 1, text=asked.text)
    app.patient_writes()
    assert app.send(**FREE_TEXT).duplicate
    assert app.send_message.advance(old.message_id, app.deadline).status is Status.SENT
    assert app.send(**FREE_TEXT).message_id == old.message_id
    assert len(app.gateway.posts) == 1


def test_other_request_under_a_key_of_the_time_before_keyed_ids_is_a_conflict(app: UnitApp) -> None:
    app.store(message_id=handle_of("m"), status=Status.SENT)
    assert error_of(app.send) == "idempotency_conflict"
    assert error_of(lambda: app.send(to="+1")) == "idempotency_conflict"


def test_request_that_was_canceled_before_the_upgrade_is_not_sent(app: UnitApp) -> None:
    app.store(message_id=handle_of("m"), contact_id="", to="", request_hash="", status=Status.CANCELED)
    assert app.send().status == "canceled"


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_records_that_an_upgrade_left_of_one_key_only_one_goes_out(app: UnitApp, first: int) -> None:
    """An old version and a new one stored the same request at the same moment, and neither could see the other's."""
    app.patient_writes()
    asked, ids = a_request(**FREE_TEXT), [handle_of("m"), message_id_of("m")]
    for message_id in ids:
        app.store(message_id=message_id, request_hash=asked.hash(), text=asked.text, due_at=NOON)
    for message_id in (ids[first], ids[1 - first]):
        app.send_message.advance(message_id, app.deadline)
        app.clock.sleep(2 * 3600)
    assert len(app.gateway.posts) == 1
    statuses = [message.status for message_id in ids if (message := app.messages.get(message_id))]
    assert statuses == [Status.CANCELED, Status.SENT]


def test_nothing_that_is_stored_can_be_made_of_a_guessed_key(app: UnitApp) -> None:
    answer = app.send("appt-8831-reminder", idempotency_key="appt-8831-reminder")
    assert answer.message_id == message_id_of("appt-8831-reminder")
    assert handle_of("appt-8831-reminder") not in repr(app.backup())
    assert [event.idempotency_key for event in app.bus.events] == ["appt-8831-reminder"]


def test_other_request_under_the_same_key_is_a_conflict(app: UnitApp) -> None:
    app.send()
    assert error_of(lambda: app.send(**FREE_TEXT)) == "idempotency_conflict"


def test_same_request_of_another_worker_at_the_same_moment_is_posted_once(app: UnitApp) -> None:
    def another_worker() -> None:
        app.clock.at += 1
        app.send()

    with app.before_call("TransactWriteItems", another_worker):
        answer = app.send()
    assert (answer.status, answer.duplicate) == ("sent", True)
    assert len(app.gateway.posts) == 1


def test_other_request_of_another_worker_at_the_same_moment_is_a_conflict(app: UnitApp) -> None:
    app.patient_writes()
    with app.before_call("TransactWriteItems", lambda: app.send(**FREE_TEXT)):
        assert error_of(app.send) == "idempotency_conflict"
    assert len(app.gateway.posts) == 1


def test_request_that_was_canceled_before_it_came_is_not_sent(app: UnitApp) -> None:
    app.cancel_message(handle_of("m"))
    answer = app.send()
    assert (answer.status, answer.duplicate) == ("canceled", True)
    assert app.gateway.posts == []


def test_repeated_request_carries_a_waiting_message_on(app: UnitApp) -> None:
    app.gateway.outcomes = [NotSent("no connection")]
    app.send()
    assert app.send().status == "retrying"  # the pause is not over
    app.clock.sleep(11)
    assert app.send().status == "sent"
    assert app.record().attempts == 1  # what was never connected is no attempt


def test_repeated_request_leaves_a_deferred_message_until_it_is_due(app: UnitApp) -> None:
    later = NOON + periods.HOUR
    app.store(
        "m", status=Status.DEFERRED, due_at=later, due_shard="send#0", request_hash=a_request().hash(), **_TEMPLATE
    )
    assert app.send().status == "deferred"
    app.clock.at = later
    assert app.send().status == "sent"


def test_nudge_for_an_unknown_message_is_an_error(app: UnitApp) -> None:
    assert error_of(lambda: app.send_message.advance("0" * 32, app.deadline)) == "not_found"


def test_nudge_during_the_pause_before_a_retry_changes_nothing(app: UnitApp) -> None:
    app.gateway.outcomes = [NotSent("no connection")]
    app.send()
    paused = app.record()
    assert app.send_message.advance(paused.message_id, app.deadline) == paused
    assert len(app.gateway.posts) == 1


# --- refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contact", "request_", "code"),
    [
        ({"opted_out_at": NOON}, {}, "opted_out"),
        ({"suppressed_code": CODE_OF_BAD_NUMBER}, {}, "invalid_address"),
        ({}, FREE_TEXT, "window_closed"),
        ({}, {"language": "hi"}, "template_not_approved"),
        ({"next_allowed_at": NOON + 1}, {"on_rate_limit": "reject"}, "rate_limited"),
    ],
)
def test_refused_request_stores_nothing(
    app: UnitApp, contact: dict[str, Any], request_: dict[str, Any], code: str
) -> None:
    set_contact(app, **contact)
    assert error_of(lambda: app.send(**request_)) == code
    assert app.messages.get(message_id_of("m")) is None
    assert app.gateway.posts == app.bus.events == []


def test_stored_message_that_may_not_go_any_more_fails(app: UnitApp) -> None:
    app.gateway.outcomes = [NotSent("no connection")]
    app.send()
    set_contact(app, opted_out_at=app.clock.now())
    app.clock.sleep(11)
    assert app.send().status == "failed"
    assert [event.error.code for event in app.bus.events] == ["opted_out"]


def test_reject_is_about_new_messages_only(app: UnitApp) -> None:
    """A stored message waits, although its caller repeats the request with `reject`."""
    app.gateway.outcomes = [NotSent("no connection")]
    app.send()
    app.clock.sleep(11)
    set_contact(app, next_allowed_at=NOON + periods.HOUR)
    assert app.send(on_rate_limit="reject").status == "deferred"


# --- deferred ------------------------------------------------------------------------------------------------------


def test_second_proactive_message_waits_for_the_slot(app: UnitApp) -> None:
    app.send("first")
    answer = app.send("second")
    assert answer.status == "deferred"
    assert app.record("second").scheduled_for == NOON + periods.HOUR + periods.SLOT_EPSILON
    assert answer.error
    assert answer.error.code == "rate_limited"


def test_slot_taken_between_reading_and_claim_defers(app: UnitApp) -> None:
    with app.before_call("TransactWriteItems", lambda: app.send("other")):
        answer = app.send()
    assert answer.status == "deferred"
    assert len(app.gateway.posts) == 1
    assert not any(app.record().message_id in (post.status_path or "") for post in app.gateway.posts)


def test_slot_taken_between_reading_and_claim_rejects_where_asked(app: UnitApp) -> None:
    with app.before_call("TransactWriteItems", lambda: app.send("other")):
        assert error_of(lambda: app.send(on_rate_limit="reject")) == "rate_limited"


def test_slot_in_flight_defers_until_a_limit_after_its_claim(app: UnitApp) -> None:
    with app.before_call("TransactWriteItems", lambda: held_by(app, "other#a")):
        app.send()
    assert app.record().scheduled_for == NOON + periods.HOUR


def test_while_a_doubt_holds_the_slot_a_waiting_message_says_so_at_most_thrice(app: UnitApp) -> None:
    """When the slot opens, when its guard ends, when the doubt ends: not at every look."""
    app.left_at(Status.UNKNOWN)
    app.send("waits", expires_at=iso(NOON + periods.DAY))
    app.gateway.down = True
    message_id = message_id_of("waits")
    for _ in range(34):  # for nearly three hours
        app.clock.sleep(300)
        app.send_message.advance(message_id, app.deadline)
    told = [event for event in app.bus.events if event.message_id == message_id]
    assert {event.status for event in told} == {"deferred"}
    assert len(told) <= 3


def test_opt_out_between_reading_and_claim_refuses(app: UnitApp) -> None:
    with app.before_call("TransactWriteItems", lambda: app.patient_writes("STOP")):
        assert error_of(app.send) == "opted_out"
    assert app.gateway.posts == []


MOOD: dict[str, Any] = {
    "template": "mood_checkin",
    "variables": {"patient_name": "Asha", "therapist_name": "Dr. Rao"},
}


def test_mood_checkin_needs_a_recorded_consent_and_the_refused_key_stays_free(app: UnitApp) -> None:
    assert error_of(lambda: app.send(**MOOD)) == "no_consent"
    set_contact(app, opted_in_at=NOON)
    assert app.send(**MOOD).status == "sent"


def test_consent_that_is_taken_back_drops_what_waits_for_it(app: UnitApp) -> None:
    set_contact(app, opted_in_at=1)
    app.send(**MOOD, send_at=iso(NOON + periods.HOUR))
    set_contact(app, opted_in_at=None)
    app.clock.sleep(3600)
    dropped = app.send_message.advance(app.record().message_id, app.deadline)
    assert (dropped.status, dropped.error and dropped.error.code) == (Status.FAILED, "no_consent")
    assert app.gateway.posts == []


def test_contact_that_became_an_alias_is_sent_under_its_new_row(app: UnitApp) -> None:
    old, new = app.contact().contact_id, "a" * 32
    set_contact(app, user_id="u")
    with app.before_call("TransactWriteItems", lambda: app.contacts.tie(old, new)):
        answer = app.send()
    assert (answer.status, answer.contact_id) == ("sent", new)
    assert (app.contact().contact_id, app.contact().last_accepted_at) == (new, NOON)


def test_reply_to_what_was_written_under_the_id_stays_a_reply_after_the_tie(app: UnitApp) -> None:
    inbound, hidden = app.patient_writes(), app.contact().contact_id
    app.contacts.tie(hidden, "a" * 32)
    app.contacts.update("a" * 32, {"next_allowed_at": NOON + periods.HOUR})
    assert app.send(in_reply_to=inbound).status == "sent"
    assert (app.record().kind, app.record().contact_id) == (SendKind.REPLY, "a" * 32)


def test_claims_that_keep_being_lost_end_in_a_deferral(app: UnitApp) -> None:
    """The slot looks free at each reading, yet no claim holds: the row is an alias without a target."""
    set_contact(app, alias_of="a" * 32)
    with app.calls() as calls:
        assert app.send().status == "deferred"
    assert app.record().scheduled_for == NOON + periods.REPLY_DEFERRED
    assert (calls.count("TransactWriteItems"), "POST" in calls) == (4, False)


def test_message_waits_until_send_at(app: UnitApp) -> None:
    assert app.send(send_at="2026-11-24T13:30:00+05:30").status == "deferred"
    assert app.record().due_at == NOON + periods.HOUR


# --- numbers with two spellings ------------------------------------------------------------------------------------

BENIN = ("+22997123456", "+2290197123456")


@pytest.mark.parametrize(("one", "other"), [BENIN, BENIN[::-1]])
def test_both_spellings_have_one_slot(app: UnitApp, one: str, other: str) -> None:
    assert app.send("first", to=one).status == "sent"
    assert app.send("second", to=other).status == "deferred"
    assert app.record("first").contact_id == app.record("second").contact_id
    assert app.record("first").to == one


@pytest.mark.parametrize("to", BENIN)
def test_stop_that_was_stored_under_the_former_spelling_binds_both(app: UnitApp, to: str) -> None:
    (former,) = app.contact_ids.former(Address(to))
    app.contacts.update(former, {"opted_out_at": NOON})
    assert error_of(lambda: app.send(to=to)) == "opted_out"


@pytest.mark.parametrize("to", BENIN)
def test_slot_that_was_taken_under_the_former_spelling_is_one_with_todays(app: UnitApp, to: str) -> None:
    (former,) = app.contact_ids.former(Address(to))
    app.contacts.update(former, {"next_allowed_at": NOON + periods.HOUR})
    assert app.send(to=to).status == "deferred"


# --- turns ---------------------------------------------------------------------------------------------------------

SLOT = periods.HOUR + periods.SLOT_EPSILON


def at(after: int) -> str:
    return iso(NOON + after)


def told(app: UnitApp, key: str) -> tuple[int, bool]:
    """What `GET /messages/{message_id}` says: when it goes, from noon, and whether it will have expired."""
    answer = answer_for(app.record(key))
    return int(answer.scheduled_for.timestamp() * 1000) - NOON if answer.scheduled_for else 0, answer.will_expire


def test_two_waiting_messages_do_not_claim_the_same_hour(app: UnitApp) -> None:
    app.send("first")
    expires_at = at(2 * periods.HOUR)
    answers = [app.send(key, expires_at=expires_at) for key in ("second", "later")]
    assert [told(app, key) for key in ("second", "later")] == [(SLOT, False), (SLOT + periods.HOUR, True)]
    assert [answer.will_expire for answer in answers] == [False, True]
    assert [event.will_expire for event in app.bus.events if event.status == "deferred"] == [False, True]
    assert app.record("later").due_at == NOON + SLOT  # in case the second is canceled


def test_message_that_is_overtaken_is_told(app: UnitApp) -> None:
    app.send("first")
    app.send("patient", expires_at=at(2 * periods.HOUR + periods.MINUTE))
    app.send("urgent", expires_at=at(2 * periods.HOUR))
    assert (told(app, "urgent"), told(app, "patient")) == ((SLOT, False), (SLOT + periods.HOUR, False))
    app.send("more urgent", expires_at=at(periods.HOUR + periods.MINUTE))
    assert [told(app, key) for key in ("more urgent", "urgent", "patient")] == [
        (SLOT, False),
        (SLOT + periods.HOUR, True),
        (SLOT + periods.HOUR, False),
    ]
    assert [(e.message_id, e.will_expire) for e in app.bus.events if e.status == "deferred"] == [
        (message_id_of("patient"), False),
        (message_id_of("urgent"), False),
        (message_id_of("patient"), False),
        (message_id_of("more urgent"), False),
        (message_id_of("urgent"), True),
    ]
    app.clock.at = NOON + SLOT
    app.sweep_due(app.deadline)
    assert app.queue.nudges == [(message_id_of("more urgent"), 0)]


def test_messages_for_the_same_send_at_have_an_hour_each(app: UnitApp) -> None:
    for key in ("first", "second"):
        assert app.send(key, send_at=at(5 * periods.HOUR)).status == "deferred"
        app.clock.at += 1
    assert [told(app, key)[0] for key in ("first", "second")] == [5 * periods.HOUR, 6 * periods.HOUR]
    assert app.record("second").due_at == NOON + 5 * periods.HOUR


def test_message_for_a_send_at_counts_when_the_slot_opens(app: UnitApp) -> None:
    app.send("first")
    app.send("second", send_at=at(periods.MINUTE), expires_at=at(periods.HOUR))
    assert told(app, "second") == (SLOT, True)


def test_turn_waits_for_the_end_of_quiet_hours_unless_the_template_is_exempt(app_with: Callable[..., UnitApp]) -> None:
    app = app_with(quiet_hours="13:00-18:00")
    app.send("first")
    app.patient_writes()
    app.send("a confirmation")  # exempt
    app.send("bare text", **FREE_TEXT)
    assert (told(app, "a confirmation")[0], told(app, "bare text")[0]) == (SLOT, 5 * periods.HOUR + periods.HOUR // 2)


def test_message_of_a_template_that_is_gone_is_bound_by_quiet_hours(app_with: Callable[..., UnitApp]) -> None:
    app = app_with(quiet_hours="13:00-18:00")
    app.send("first")
    app.store("gone", status=Status.DEFERRED, template="gone", due_at=NOON + SLOT, scheduled_for=NOON + SLOT)
    app.send("second")
    assert told(app, "second")[0] == SLOT
    assert told(app, "gone")[0] == 5 * periods.HOUR + periods.HOUR // 2


def test_whom_there_is_no_time_to_tell_the_sweep_tells(app: UnitApp) -> None:
    app.send("first")
    app.send("patient", expires_at=at(4 * periods.HOUR))
    before = app.record("patient")
    short = Deadline(NOON + periods.SWEEP_NEEDS - 1)
    app.send_message(a_request(expires_at=at(2 * periods.HOUR)), "urgent", short)
    assert app.record("patient") == before


def test_only_a_deferral_reads_what_else_waits(app: UnitApp) -> None:
    app.send("first")
    app.patient_writes()
    with app.calls() as calls:
        reply(app, "answer", send_at=at(periods.HOUR))
        app.send("second", expires_at=at(periods.HOUR // 2))
    assert calls.count("Query messages") == 1


# --- replies -------------------------------------------------------------------------------------------------------


def test_reply_neither_needs_nor_takes_the_slot(app: UnitApp) -> None:
    app.send("first")
    before = app.contact().next_allowed_at
    app.patient_writes()
    assert reply(app).status == "sent"
    assert app.contact().next_allowed_at == before


def test_reply_to_an_inbound_message_without_a_place_goes_as_proactive(app_with: Callable[..., UnitApp]) -> None:
    app = app_with(replies_per_inbound=1)
    app.patient_writes()
    reply(app, "first")
    assert reply(app, "second").status == "sent"
    assert [app.record(key).kind for key in ("first", "second")] == [SendKind.REPLY, SendKind.PROACTIVE]
    assert app.contact().last_accepted_at == NOON


def test_reply_without_a_place_is_under_the_rate_limit(app_with: Callable[..., UnitApp]) -> None:
    app = app_with(replies_per_inbound=1)
    app.send("reminder")
    app.patient_writes()
    reply(app, "first")
    assert reply(app, "second").status == "deferred"


def in_flight_reply(app: UnitApp) -> None:
    """Another worker's reply holds the place of replies for a while."""
    app.patient_writes()
    set_contact(app, reply_inflight="other#a", reply_until=NOON + periods.MINUTE)


def test_reply_waits_two_seconds_for_another_one_then_is_deferred_by_15(app: UnitApp) -> None:
    in_flight_reply(app)
    assert reply(app).status == "deferred"
    assert app.clock.now() == NOON + 2_000
    assert app.record("reply").scheduled_for == NOON + 2_000 + 15_000
    assert app.gateway.posts == []


def test_reply_goes_after_its_wait_if_the_other_one_is_settled(app: UnitApp) -> None:
    in_flight_reply(app)
    settle = functools.partial(set_contact, app, reply_inflight=None, reply_until=None)
    with app.before_call("TransactWriteItems", settle, nth=2):
        assert reply(app).status == "sent"
    assert app.clock.now() == NOON + 2_000


# --- too little time -----------------------------------------------------------------------------------------------


def test_new_message_without_time_for_a_post_is_stored_and_waits(app: UnitApp) -> None:
    almost = Deadline(NOON + periods.POST_NEEDS - 1)
    answer = app.send_message(a_request(), "m", almost)
    assert (answer.status, app.gateway.posts) == ("pending", [])
    assert app.send_message.nudge(answer)
    assert app.queue.nudges == [(answer.message_id, periods.PENDING_FOR // 1000)]


def test_post_begins_with_exactly_the_time_it_needs(app: UnitApp) -> None:
    assert app.send_message(a_request(), "m", Deadline(NOON + periods.POST_NEEDS)).status == "sent"


def test_stored_message_without_time_for_a_post_is_left_as_it_is(app: UnitApp) -> None:
    stored = app.store(status=Status.PENDING, due_at=NOON, due_shard="send#0", **_TEMPLATE)
    almost = Deadline(NOON + periods.POST_NEEDS - 1)
    assert app.send_message.advance(stored.message_id, almost) == stored
    assert app.record() == stored


@pytest.mark.parametrize(
    ("operation", "nth"),
    [
        ("TransactWriteItems", 1),  # the claim takes long: nothing is left before the fence
        ("UpdateItem", 1),  # the fence takes long
        ("GetItem", 1),  # the last look takes long
    ],
)
def test_message_is_put_back_when_time_runs_out_before_the_post(app: UnitApp, operation: str, nth: int) -> None:
    with app.before_call(operation, lambda: app.clock.sleep(16), nth=nth):
        assert app.send().status == "retrying"
    message = app.record()
    assert (message.attempts, message.due_at, app.gateway.posts) == (0, app.clock.now(), [])
    assert (app.contact().inflight, app.contact_row()["next_allowed_at"]) == (None, 0)


def test_fence_is_not_written_without_time_for_the_post(app: UnitApp) -> None:
    with app.calls() as calls, app.before_call("TransactWriteItems", lambda: app.clock.sleep(16)):
        app.send()
    assert calls[1:] == ["TransactWriteItems", "TransactWriteItems"]  # the claim, and its refund


def test_slow_last_look_is_repeated_until_it_is_fresh(app: UnitApp) -> None:
    with app.calls() as calls, app.before_call("GetItem", lambda: app.clock.sleep(2.001), nth=1):
        assert app.send().status == "sent"
    assert calls.count("GetItem contacts") == 2


def test_last_look_of_two_seconds_is_fresh_enough(app: UnitApp) -> None:
    with app.calls() as calls, app.before_call("GetItem", lambda: app.clock.sleep(2), nth=1):
        assert app.send().status == "sent"
    assert calls.count("GetItem contacts") == 1


# --- between claim and POST ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"opted_out_at": NOON}, {"erased_at": NOON}])
@pytest.mark.parametrize(("operation", "nth"), [("UpdateItem", 1), ("GetItem", 1)])
def test_opt_out_or_erasure_after_the_claim_forbids_the_post(
    app: UnitApp, change: dict[str, int], operation: str, nth: int
) -> None:
    with app.before_call(operation, lambda: set_contact(app, **change), nth=nth):
        answer = app.send()
    assert (answer.status, answer.error and answer.error.code, app.gateway.posts) == ("failed", "opted_out", [])
    assert (app.contact().inflight, app.contact_row()["next_allowed_at"]) == (None, 0)
    assert [event.status for event in app.bus.events] == ["failed"]


def test_message_canceled_between_claim_and_fence_is_not_posted(app: UnitApp) -> None:
    with app.before_call("UpdateItem", lambda: app.cancel_message(message_id_of("m"))):
        assert app.send().status == "canceled"
    assert app.gateway.posts == []
    assert app.contact().inflight is None
    assert [event.status for event in app.bus.events] == ["canceled"]


def test_message_that_expires_between_claim_and_fence_is_put_back(app: UnitApp) -> None:
    expires = "2026-11-24T12:30:01+05:30"
    with app.before_call("TransactWriteItems", lambda: app.clock.sleep(1)):
        assert app.send(expires_at=expires).status == "retrying"
    assert (app.gateway.posts, app.contact().inflight) == ([], None)


def test_claim_that_was_taken_back_does_not_pass_the_fence(app: UnitApp) -> None:
    """The worker slept past its lease; the sweep took the message back, and another worker sent it."""

    def the_sweep_and_another_worker() -> None:
        app.clock.sleep(36)
        app.sweep_due(app.deadline)
        app.send_message.advance(message_id_of("m"), app.deadline)

    late = Deadline(NOON + 30_000)
    with app.before_call("UpdateItem", the_sweep_and_another_worker):
        answer = app.send_message(a_request(), "m", late)
    assert answer.status == "sent"
    assert len(app.gateway.posts) == 1


def test_late_answer_of_a_stale_worker_changes_nothing_on_a_later_attempt(app: UnitApp) -> None:
    """Twilio refuses the first worker's POST after another attempt has begun."""

    def another_attempt() -> Rejected:
        app.store(attempt="b" * 12, status=Status.SENDING, request_hash=a_request().hash())
        return Rejected(CODE_OF_BAD_NUMBER, 400)

    app.gateway.outcomes = [another_attempt]
    answer = app.send()
    assert answer.status == "sending"
    assert (app.record().attempt, app.record().status) == ("b" * 12, Status.SENDING)
    assert app.bus.events == []


# --- records that continue another ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("predecessor", "status"),
    [
        (Status.SENT, "canceled"),
        (Status.DELIVERED, "canceled"),
        (Status.READ, "canceled"),
        (Status.UNDELIVERED, "sent"),
        (Status.UNRESOLVED, "sent"),
        (Status.FAILED, "sent"),
    ],
)
def test_continuation_is_canceled_if_its_predecessor_went_after_all(
    app: UnitApp, predecessor: Status, status: str
) -> None:
    old = app.store("old", status=predecessor)
    new = app.store("new", due_at=NOON, continues=old.message_id, **_TEMPLATE)
    assert app.send_message.advance(new.message_id, app.deadline).status == status
    assert len(app.gateway.posts) == (status == "sent")


def test_refused_free_text_is_continued_by_its_template(app: UnitApp) -> None:
    app.patient_writes()
    app.gateway.outcomes = [Rejected(63016, 400)]
    variables = {"patient_name": "Asha", "therapist_name": "Dr. Rao", "session_date": "2026-11-24"}
    answer = app.send(template="follow_up", variables=variables)
    assert answer.status == "failed"
    successor = app.messages.get(answer.continued_as or "")
    assert successor
    assert app.send_message.advance(successor.message_id, app.deadline).status is Status.SENT
    assert [bool(post.content_sid) for post in app.gateway.posts] == [False, True]


# --- the nudge of a request that has to wait -----------------------------------------------------------------------


def test_queue_that_is_down_leaves_the_nudge_to_the_sweep(app: UnitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.queue, "down", True)
    answer = app.send_message(a_request(), "m", Deadline(NOON + 1))
    assert app.send_message.nudge(answer) is False


@pytest.mark.parametrize("status", [Status.DEFERRED, Status.SENT, Status.UNKNOWN])
def test_only_pending_and_retrying_messages_are_nudged(app: UnitApp, status: Status) -> None:
    app.store(status=status, due_at=NOON + 60_000, request_hash="")
    assert app.send_message.nudge(app.send())
    assert app.queue.nudges == []


_TEMPLATE: dict[str, Any] = {
    "template": "appointment_confirmation",
    "language": "en",
    "variables": a_request().variables,
}
