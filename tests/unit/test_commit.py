"""A step is stored with its outbox, then the outbox is drained; a lost step changes nothing."""

from typing import Any

import pytest
from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.ports import OutgoingPost, Rejected
from whatsapp.domain.sending import lifecycle
from whatsapp.domain.sending.after_post import accepted
from whatsapp.domain.sending.before_claim import cancel, fence
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, SendKind, shard_of
from whatsapp.domain.sending.transition import EVENT, EVERYONE, Transition, take
from whatsapp.use_cases.commit import MANY_REPLIES

from tests.app import PATIENT, UnitApp
from tests.fakes import NOON


def give_up(message: Message) -> Transition:
    return take(message, lifecycle.GIVE_UP, NOON, outbox=EVERYONE)


# --- the outbox is stored with the step ----------------------------------------------------------------------------


def test_entry_is_stored_with_the_step_and_cleared_when_delivered(app: UnitApp) -> None:
    waiting = app.store(due_at=NOON)
    with app.before_call("UpdateItem", lambda: stored.append(app.record()), nth=2):
        stored: list[Message] = []
        app.commit(cancel(waiting, NOON))
    assert [(m.status, m.outbox, m.due_at) for m in stored] == [(Status.CANCELED, EVENT, NOON + periods.MINUTE)]
    assert (app.record().outbox, app.record().due_at, app.record().due_shard) == (frozenset(), None, None)


def test_bus_that_is_down_leaves_the_entry_to_the_sweep(app: UnitApp) -> None:
    app.bus.down = True
    canceled = app.commit(cancel(app.store(due_at=NOON), NOON))
    assert app.record() == canceled
    assert (canceled.outbox, canceled.due_at) == (EVENT, NOON + periods.OUTBOX_RETRY)
    assert canceled.due_shard == shard_of("send", canceled.contact_id)


def test_sweep_delivers_what_the_bus_refused(app: UnitApp) -> None:
    app.bus.down = True
    app.commit(cancel(app.store(due_at=NOON), NOON))
    app.bus.down = False
    app.clock.sleep(60)
    app.sweep_due(app.deadline)
    assert [event.status for event in app.bus.events] == ["canceled"]
    assert (app.record().outbox, app.record().due_at) == (frozenset(), None)


def test_giving_up_is_published_alerted_and_kept_as_a_dead_letter(app: UnitApp) -> None:
    app.commit(give_up(app.store(status=Status.SENDING, attempt="a")))
    assert [event.status for event in app.bus.events] == ["failed"]
    assert len(app.alerts.told) == len(app.queue.dead) == 1


@pytest.mark.parametrize(("down", "left"), [("bus", "event"), ("alerts", "alert"), ("queue", "dlq")])
def test_partial_delivery_leaves_only_what_was_refused(app: UnitApp, down: str, left: str) -> None:
    getattr(app, down).down = True
    app.commit(give_up(app.store(status=Status.SENDING, attempt="a")))
    assert (app.record().outbox, app.record().due_at) == (frozenset({left}), NOON + periods.OUTBOX_RETRY)
    getattr(app, down).down = False
    app.clock.sleep(60)
    app.sweep_due(app.deadline)
    app.raise_alerts.sweep(app.deadline)
    assert (app.record().outbox, app.record().due_at) == (frozenset(), None)
    assert len(app.bus.events) == len(app.alerts.told + app.alerts.incidents) == len(app.queue.dead) == 1


def test_worker_that_dies_before_it_clears_the_entry_delivers_twice_with_one_event_id(app: UnitApp) -> None:
    app.commit.drain(app.store(status=Status.SENT, outbox=EVENT, due_at=NOON))
    app.commit.drain(app.store(status=Status.SENT, outbox=EVENT, due_at=NOON))
    assert len({event.event_id for event in app.bus.events}) == 1


def test_drain_returns_the_message_as_another_worker_left_it(app: UnitApp) -> None:
    sent = app.store(status=Status.SENT, outbox=EVENT, due_at=NOON)
    with app.before_call("UpdateItem", lambda: app.store(status=Status.READ)):
        assert app.commit.drain(sent).status is Status.READ


@pytest.mark.parametrize(
    ("fields", "next_due", "due_at", "kind"),
    [
        ({"status": Status.RETRYING, "due_at": NOON}, NOON + 9_000, NOON + 9_000, "send"),
        ({"status": Status.DEFERRED, "due_at": NOON + 9_000}, None, NOON + 9_000, "send"),
        ({"status": Status.SENT, "accepted_at": NOON, "due_at": NOON + 7}, None, NOON + 7, "send"),
        (
            {"status": Status.UNRESOLVED, "on_unknown": "resend", "claimed_at": NOON, "due_at": NOON},
            None,
            NOON + periods.RESEND,
            "send",
        ),
        ({"status": Status.UNRESOLVED, "claimed_at": NOON, "due_at": NOON}, None, None, None),
        ({"status": Status.FAILED, "due_at": NOON}, None, None, None),
        ({"status": Status.DELIVERED, "due_at": NOON}, None, None, None),
    ],
)
def test_next_look_once_the_outbox_is_empty(
    app: UnitApp, fields: dict[str, Any], next_due: int | None, due_at: int | None, kind: str | None
) -> None:
    due_shard = shard_of("send", app.contact_ids.of(Address(PATIENT)))
    app.commit.drain(app.store(outbox=EVENT, due_shard=due_shard, **fields), next_due)
    stored = app.record()
    shard = shard_of(kind, stored.contact_id) if kind else None
    assert (stored.outbox, stored.due_at, stored.due_shard) == (frozenset(), due_at, shard)


# --- a step that is overtaken --------------------------------------------------------------------------------------


def test_overtaken_step_returns_the_stored_message(app: UnitApp) -> None:
    read = app.store(due_at=NOON)
    app.store(status=Status.SENT, attempt="other")
    assert app.commit(cancel(read, NOON)) == app.record()
    assert app.bus.events == []
    assert app.metrics.counts == {}


def test_message_asked_to_stop_is_canceled_in_place_of_its_step_and_the_slot_refunded(app: UnitApp) -> None:
    claimed = app.left_at(Status.CLAIMED)
    app.messages.request_stop(claimed, "canceled")
    assert app.commit(take(claimed, lifecycle.RETRY, NOON, due_at=NOON)).status is Status.CANCELED
    assert (app.contact_row()["next_allowed_at"], app.contact().inflight) == (0, None)


def test_late_write_of_a_stale_worker_changes_nothing(app: UnitApp) -> None:
    old = app.store(status=Status.SENDING, attempt="a" * 12)
    now = app.store(status=Status.SENDING, attempt="b" * 12)
    late = (accepted(old, "SM1", NOON, NOON), give_up(old), take(old, lifecycle.RETRY, NOON), cancel(old, NOON))
    assert [app.commit(transition) for transition in late] == [now] * 4
    assert app.record() == now


def test_fence_after_the_message_expired_puts_it_back(app: UnitApp) -> None:
    claimed = app.store(status=Status.CLAIMED, attempt="a", attempts=1, expires_at=NOON)
    after = app.commit(fence(claimed, OutgoingPost(to=PATIENT), NOON))
    assert (after.status, after.attempts) == (Status.RETRYING, 0)


# --- proof, counts and the audit of the rate limit -----------------------------------------------------------------


def test_code_that_proves_the_address_unreachable_suppresses_the_contact(app: UnitApp) -> None:
    app.gateway.outcomes = [Rejected(63024, 400)]
    app.send()
    assert app.contact().suppressed_code == 63024


def test_code_that_proves_the_template_unusable_stops_it(app: UnitApp) -> None:
    app.gateway.outcomes = [Rejected(63041, 400)]
    app.send()
    assert [v.status for v in app.templates.versions("appointment_confirmation")] == ["paused"]


@pytest.mark.parametrize(
    ("step", "source", "counted"),
    [
        (lifecycle.ACCEPT, Status.UNKNOWN, {"MessagesSent", "ProactiveSent"}),
        (lifecycle.DOUBT, Status.SENDING, {"MessagesInDoubt"}),
        (lifecycle.FAIL, Status.SENT, {"MessagesFailed"}),
        (lifecycle.UNDELIVER, Status.SENT, {"MessagesFailed"}),
        (lifecycle.FAIL, Status.SENDING, {"MessagesFailed", "MessagesSent", "ProactiveSent"}),
        (lifecycle.DELIVER, Status.SENT, {"MessagesArrived"}),
        (lifecycle.DELIVER, Status.FAILED, {"MessagesArrived"}),
        (lifecycle.READ, Status.SENT, {"MessagesArrived", "MessagesRead"}),
        (lifecycle.READ, Status.DELIVERED, {"MessagesRead"}),
        (lifecycle.CANCEL, Status.PENDING, set()),
        (lifecycle.REDRIVE, Status.FAILED, set()),
    ],
)
def test_each_step_is_counted_once(app: UnitApp, step: lifecycle.Step, source: Status, counted: set[str]) -> None:
    app.commit(take(app.store(status=source, attempt="a"), step, NOON))
    app.metrics.counts.pop("TimeToDelivery", None)
    assert app.metrics.counts == dict.fromkeys(counted, 1)


def test_what_became_of_a_message_counts_at_its_acceptance(app: UnitApp) -> None:
    app.send(language="en")
    for status, minutes in (("delivered", 3), ("read", 60)):
        app.clock.at = NOON + minutes * 60_000
        app.callback(app.record(), status)
    layout = {"template": "appointment_confirmation", "language": "en"}
    assert app.metrics.at == [
        (NOON, {"ProactiveSent": 1}, layout),
        (NOON, {"MessagesSent": 1}, {}),
        (NOON, {"MessagesArrived": 1, "TimeToDelivery": 180_000, "TemplatesArrived": 1}, {}),
        (NOON, {"MessagesRead": 1}, {}),
    ]


def test_a_reply_is_no_proactive_message(app: UnitApp) -> None:
    app.send(template=None, variables=None, text="at five, then", in_reply_to=app.patient_writes())
    assert app.metrics.counts == {"MessagesReceived": 1, "MessagesSent": 1}


@pytest.mark.parametrize(("seconds", "violations"), [(3599, 1), (3600, 0), (-3599, 1)])
def test_two_acceptances_within_the_rate_limit_are_counted(app: UnitApp, seconds: int, violations: int) -> None:
    app.contacts.update(app.contact().contact_id, {"last_accepted_at": NOON - seconds * 1000})
    unknown = app.store(status=Status.UNKNOWN, attempt="a")
    app.commit(accepted(unknown, "SM1", NOON, NOON), app.contact())
    assert app.metrics.counts.get("RateLimitViolations", 0) == violations


@pytest.mark.parametrize(("tied_until", "violations"), [(NOON - 60_000, 1), (NOON - 59_999, 0)])
def test_an_acceptance_under_an_address_that_was_tied_after_the_claim_is_no_violation(
    app: UnitApp, tied_until: int, violations: int
) -> None:
    before = {"aliases": {"a" * 32}, "last_accepted_at": NOON - 600_000, "tied_until": tied_until}
    app.contacts.update(app.contact().contact_id, before)
    unknown = app.store(status=Status.UNKNOWN, attempt="a", claimed_at=NOON - 60_000)
    app.commit(accepted(unknown, "SM1", NOON, NOON), app.contact())
    assert app.metrics.counts.get("RateLimitViolations", 0) == violations


@pytest.mark.parametrize(("replies", "alarms"), [(MANY_REPLIES, 1), (MANY_REPLIES - 1, 0)])
def test_many_replies_to_one_contact_within_an_hour_are_counted(app: UnitApp, replies: int, alarms: int) -> None:
    reply: dict[str, Any] = {"kind": SendKind.REPLY, "in_reply_to": "SM1"}
    app.store("older than an hour", created_at=NOON - periods.HOUR - 1, status=Status.SENT, **reply)
    app.store("proactive", status=Status.SENT)
    app.store("not accepted", status=Status.FAILED, **reply)
    for number in range(replies - 1):
        app.store(f"reply {number}", status=Status.SENT, **reply)
    unknown = app.store("last", status=Status.UNKNOWN, attempt="a", **reply)
    app.commit(accepted(unknown, "SM1", NOON, NOON), app.contact())
    assert app.metrics.counts.get("RepliesPerContactHigh", 0) == alarms
    assert app.metrics.counts.get("RateLimitViolations", 0) == 0
