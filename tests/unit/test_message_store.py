"""Each write of a message holds only under its condition; all of its changes are stored, or none."""

from dataclasses import replace
from functools import partialmethod
from typing import Any

import pytest
from whatsapp.adapters.dynamodb.client import DynamoDB
from whatsapp.adapters.dynamodb.items import kept_until, message_key
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.errors import Failure
from whatsapp.domain.ports import OutgoingPost
from whatsapp.domain.sending.before_claim import claim, defer, fence
from whatsapp.domain.sending.continuation import continuation_of
from whatsapp.domain.sending.lifecycle import (
    ACCEPT,
    CANCEL,
    CLAIM,
    DEFER,
    EXPIRE,
    FAIL,
    FENCE,
    REDRIVE,
    REFUSE,
    RESEND,
    STEPS,
    WAITING,
    Status,
    Step,
)
from whatsapp.domain.sending.message import Message, SendKind, shard_of, shards_of
from whatsapp.domain.sending.transition import EVENT, EVERYONE, Transition, take

from tests.app import PATIENT, UnitApp, message_id_of
from tests.fakes import NOON

LEASE = NOON + 30_000
NEW = "b" * 12
"""The attempt of a claim."""
STORED = [step for step in STEPS if step.name != "store"]
"""All but `store`, whose message is new."""
NOBODY = Contact(contact_id="")
"""The messages here name no user, so that what was read of the contact does not matter."""
POST = OutgoingPost(to=PATIENT, rendered="Hello Asha", content_sid="HX1")


def transition_of(before: Message, step: Step, **changes: Any) -> Transition:
    """The step, decided on a message as it was read."""
    if step is CLAIM:
        return claim(before, NEW, NOON, LEASE)
    if step is DEFER:
        return defer(before, NOON + 1_000, NOON)
    return take(before, step, NOON, **changes)


def holds(app: UnitApp, transition: Transition) -> bool:
    """Whether the store takes the step."""
    if transition.step is CLAIM:
        return app.messages.claim(transition, LEASE, NOBODY) is None
    return bool(app.messages.commit(transition))


def source_of(step: Step) -> Status:
    return min(step.sources)


def item(app: UnitApp, key: str = "m") -> dict[str, Any]:
    return app.db.get(app.settings.messages_table, message_key(message_id_of(key))) or {}


# --- what every step needs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STORED, ids=lambda step: step.name)
def test_step_is_taken_only_from_its_sources(app: UnitApp, step: Step) -> None:
    """The stored status decides, not the one that the worker read."""
    taken = set()
    for number, status in enumerate(Status):
        stored = app.store(status=status, attempt="a", due_at=NOON, contact_id=f"{number:032x}")  # a free slot for each
        read = replace(stored, status=source_of(step))
        if holds(app, transition_of(read, step)):
            taken.add(status)
            assert app.record().status is step.target
        else:
            assert app.record() == stored
    assert taken == step.sources


@pytest.mark.parametrize("read", ["a", None])
@pytest.mark.parametrize("step", STORED, ids=lambda step: step.name)
def test_step_is_taken_only_on_the_same_attempt(app: UnitApp, step: Step, read: str | None) -> None:
    stored = app.store(status=source_of(step), attempt="later", due_at=NOON)
    assert not holds(app, transition_of(replace(stored, attempt=read), step))
    assert app.record() == stored


@pytest.mark.parametrize("step", STORED, ids=lambda step: step.name)
def test_message_that_was_asked_to_stop_takes_no_stoppable_step(app: UnitApp, step: Step) -> None:
    read = app.store(status=source_of(step), attempt="a", due_at=NOON)
    app.store(status=read.status, attempt="a", due_at=NOON, stop="canceled")
    assert holds(app, transition_of(read, step)) is not step.stoppable


def test_new_message_is_stored_under_a_free_id_only(app: UnitApp) -> None:
    new = replace(app.store("other"), message_id=message_id_of("m"), status_at=None)
    stored = [app.messages.commit(take(new, CANCEL, NOON)), app.messages.commit(take(new, EXPIRE, NOON))]
    assert stored == [True, False]
    assert app.record().status is Status.CANCELED


def test_new_message_is_claimed_under_a_free_id_only(app: UnitApp) -> None:
    new = replace(app.store("other"), message_id=message_id_of("m"), status_at=None)
    assert app.messages.claim(claim(new, "a", NOON, LEASE), LEASE, NOBODY) is None
    other = app.messages.claim(claim(new, "b", NOON, LEASE), LEASE, NOBODY)
    assert other
    assert other.message == app.record()
    assert app.record().attempt == "a"


# --- what some steps need besides ----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [CLAIM, FENCE], ids=lambda step: step.name)
@pytest.mark.parametrize(("expires_at", "taken"), [(NOON - 1, False), (NOON, False), (NOON + 1, True), (None, True)])
def test_expired_message_is_neither_claimed_nor_fenced(
    app: UnitApp, step: Step, expires_at: int | None, taken: bool
) -> None:
    read = app.store(status=source_of(step), attempt="a", expires_at=expires_at)
    assert holds(app, transition_of(read, step)) is taken


def test_expired_message_is_still_settled(app: UnitApp) -> None:
    sending = app.store(status=Status.SENDING, attempt="a", expires_at=NOON - 1)
    assert holds(app, take(sending, ACCEPT, NOON, accepted_at=NOON))


@pytest.mark.parametrize(("attempts", "taken"), [(1, True), (0, False), (2, False)])
def test_claim_needs_the_count_of_attempts_that_was_read(app: UnitApp, attempts: int, taken: bool) -> None:
    read = app.store(status=Status.RETRYING, attempt="a", attempts=1)
    app.store(status=Status.RETRYING, attempt="a", attempts=attempts)
    assert holds(app, claim(read, NEW, NOON, LEASE)) is taken


@pytest.mark.parametrize(("read", "now", "taken"), [(NOON, NOON, True), (NOON, NOON + 1, False), (NOON, None, False)])
def test_deferral_needs_the_due_time_that_was_read(app: UnitApp, read: int, now: int | None, taken: bool) -> None:
    """Of two workers that find that it must wait, one publishes so."""
    message = app.store(status=Status.DEFERRED, due_at=read)
    app.store(status=Status.DEFERRED, due_at=now)
    assert holds(app, defer(message, NOON + 1_000, NOON)) is taken


def test_other_steps_do_not_need_the_due_time(app: UnitApp) -> None:
    read = app.store(status=Status.DEFERRED, due_at=NOON)
    app.store(status=Status.DEFERRED, due_at=NOON + 1)
    assert holds(app, take(read, CANCEL, NOON))


# --- what a step writes --------------------------------------------------------------------------------------------


def test_fence_writes_what_goes_out(app: UnitApp) -> None:
    claimed = app.store(status=Status.CLAIMED, attempt="a", due_at=LEASE, due_shard="urgent#0", text="Hello")
    assert holds(app, fence(claimed, POST, NOON))
    sending = app.record()
    assert (sending.status, sending.text, sending.content_sid) == (Status.SENDING, "Hello Asha", "HX1")
    assert (sending.due_at, sending.due_shard) == (LEASE, "urgent#0")


def test_step_is_stored_as_decided(app: UnitApp) -> None:
    read = app.store(status=Status.SENDING, attempt="a", attempts=3)
    error = Failure(code="account_problem", detail="why", twilio_code=20003)
    decided = take(read, REFUSE, NOON + 5, error=error, outbox=EVERYONE, proof=None)
    assert holds(app, decided)
    assert app.record() == decided.after


def test_step_writes_no_field_that_it_does_not_change(app: UnitApp) -> None:
    """A stop that was stored since the message was read stays."""
    read = app.store(status=Status.SENDING, attempt="a")
    app.store(status=Status.SENDING, attempt="a", stop="erased", continued_as="new")
    assert holds(app, take(read, ACCEPT, NOON, accepted_at=NOON))
    assert (app.record().stop, app.record().continued_as) == ("erased", "new")


def test_step_writes_status_due_time_error_and_outbox_even_if_unchanged(app: UnitApp) -> None:
    """The stored message may have moved on within the sources of the step."""
    read = app.store(status=Status.PENDING, attempt="a")
    error = Failure(code="throttled", detail="why")
    later: dict[str, Any] = {"due_at": NOON, "due_shard": "send#0", "error": error, "outbox": EVENT}
    app.store(status=Status.RETRYING, attempt="a", **later)
    assert holds(app, take(read, CANCEL, NOON))
    after = app.record()
    assert (after.due_at, after.due_shard, after.error, after.outbox) == (None, None, None, frozenset())


def test_claim_writes_the_contact_and_the_kind_that_it_was_claimed_as(app: UnitApp) -> None:
    read = app.store(kind=SendKind.REPLY, contact_id="0" * 32)
    now = replace(read, kind=SendKind.PROACTIVE, contact_id="1" * 32)
    assert holds(app, claim(now, NEW, NOON, LEASE))
    assert (app.record().kind, app.record().contact_id) == (SendKind.PROACTIVE, "1" * 32)


def test_message_is_kept_for_the_retention_days(app: UnitApp) -> None:
    app.messages.put_new(replace(app.store("other"), message_id=message_id_of("m")))
    assert item(app)["ttl"] == kept_until(NOON, 400) == NOON // 1000 + 400 * 86_400


def test_step_moves_neither_the_message_in_its_conversation_nor_its_end(app: UnitApp) -> None:
    new = replace(app.store("other"), message_id=message_id_of("m"))
    app.messages.put_new(new)
    before = item(app)
    app.messages.commit(take(new, CANCEL, NOON + 5))
    assert {name: item(app)[name] for name in ("at", "ttl", "created_at", "direction")} == {
        name: before[name] for name in ("at", "ttl", "created_at", "direction")
    }


# --- the successor -------------------------------------------------------------------------------------------------


def continued(app: UnitApp, step: Step = FAIL, **fields: Any) -> Transition:
    """A step that is stored together with the record that continues its message."""
    old = app.store(status=source_of(step), attempt="a", **fields)
    return take(old, step, NOON, successor=continuation_of(old, NOON))


@pytest.mark.parametrize("step", [FAIL, RESEND, REDRIVE, REFUSE], ids=lambda step: step.name)
def test_successor_is_stored_with_the_step(app: UnitApp, step: Step) -> None:
    decided = continued(app, step)
    assert holds(app, decided)
    assert decided.successor
    assert app.record().continued_as == decided.successor.message_id
    assert app.messages.get(decided.successor.message_id) == decided.successor


@pytest.mark.parametrize("step", [FAIL, RESEND, REDRIVE, REFUSE], ids=lambda step: step.name)
def test_stop_forbids_the_successor_and_the_step(app: UnitApp, step: Step) -> None:
    decided = continued(app, step)
    app.store(status=source_of(step), attempt="a", stop="canceled")
    assert_neither(app, decided)


@pytest.mark.parametrize("step", [FAIL, RESEND, REDRIVE], ids=lambda step: step.name)
def test_message_is_continued_once(app: UnitApp, step: Step) -> None:
    decided = continued(app, step)
    app.store(status=source_of(step), attempt="a", continued_as="another")
    assert_neither(app, decided)


def test_step_without_a_successor_does_not_mind_that_the_message_is_continued(app: UnitApp) -> None:
    read = app.store(status=Status.SENT, attempt="a", continued_as="another", stop="canceled")
    assert holds(app, take(read, FAIL, NOON))
    assert app.record().continued_as == "another"


def test_step_is_not_taken_if_its_successor_cannot_be_stored(app: UnitApp) -> None:
    decided = continued(app)
    assert decided.successor
    app.messages.put_new(replace(decided.successor, text="another"))
    before = app.record()
    assert not holds(app, decided)
    assert app.record() == before


def assert_neither(app: UnitApp, decided: Transition) -> None:
    """Neither the step nor the successor is stored."""
    before = app.record()
    assert not holds(app, decided)
    assert app.record() == before
    assert decided.successor
    assert app.messages.get(decided.successor.message_id) is None


# --- beside the steps ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed", [{"status": Status.SENT}, {"attempt": "b"}, {"due_at": NOON + 1}, {"due_at": None}, {"attempt": None}]
)
def test_marks_need_the_message_as_it_was_read(app: UnitApp, changed: dict[str, Any]) -> None:
    known: dict[str, Any] = {
        "status": Status.DEFERRED,
        "attempt": "a",
        "due_at": NOON,
        "due_shard": "send#0",
        "outbox": EVENT,
    }
    read = app.store(**known)
    stored = app.store(**{**known, **changed})
    assert app.messages.request_stop(read, "canceled") is None
    assert app.messages.postpone(read, NOON + 2) is None
    assert app.messages.clear_outbox(read, due_at=None) is None
    assert app.record() == stored


def test_stop_is_stored_with_its_reason(app: UnitApp) -> None:
    stopped = app.messages.request_stop(app.store(status=Status.CLAIMED, attempt="a", due_at=NOON), "erased")
    assert stopped == app.record()
    assert app.record().stop == "erased"


@pytest.mark.parametrize("kind", ["send", "status"])
def test_postponed_message_is_due_later_in_its_own_shard(app: UnitApp, kind: str) -> None:
    message = app.store(due_at=NOON, due_shard="send#9")
    postponed = app.messages.postpone(message, NOON + 7, kind)
    assert postponed == app.record()
    assert (app.record().due_at, app.record().due_shard) == (NOON + 7, shard_of(kind, message.contact_id))


def test_postpone_is_for_the_messages_of_the_send_sweep_unless_said_otherwise(app: UnitApp) -> None:
    message = app.store(due_at=NOON)
    app.messages.postpone(message, NOON + 7)
    assert app.record().due_shard == shard_of("send", message.contact_id)


def test_cleared_outbox_keeps_what_is_left(app: UnitApp) -> None:
    message = app.store(outbox=EVERYONE, due_at=NOON)
    app.messages.clear_outbox(message, left=EVENT, due_at=NOON + 7)
    assert (app.record().outbox, app.record().due_at) == (EVENT, NOON + 7)
    assert app.record().due_shard == shard_of("send", message.contact_id)


def test_cleared_outbox_of_a_final_message_leaves_nothing_due(app: UnitApp) -> None:
    app.messages.clear_outbox(app.store(outbox=EVENT, due_at=NOON, due_shard="send#0"), due_at=None)
    assert {"announce", "due_at", "due_shard"} & item(app).keys() == set()


def test_put_new_leaves_a_stored_message(app: UnitApp) -> None:
    stored = app.store()
    assert not app.messages.put_new(replace(stored, text="another"))
    assert app.record() == stored


# --- reading -------------------------------------------------------------------------------------------------------


def test_inbound_message_is_no_outgoing_one(app: UnitApp) -> None:
    inbound_id = app.patient_writes()
    assert app.messages.get(inbound_id) is None
    assert app.messages.of_contact(app.contact().contact_id, NOON, NOON) == []


def test_due_finds_what_is_due_the_longest_due_first(app: UnitApp) -> None:
    for key, due_at in (("late", NOON + 1), ("second", NOON), ("first", NOON - 1)):
        app.store(key, due_at=due_at, due_shard="send#0")
    app.store("elsewhere", due_at=NOON - 1, due_shard="send#1")
    app.store("status", due_at=NOON - 1, due_shard="status#0")
    found = app.messages.due("send#0", NOON)
    assert [m.message_id for m in found] == [message_id_of("first"), message_id_of("second")]


def test_due_leaves_callbacks_and_inbound_messages_to_their_own_sweeps(app: UnitApp) -> None:
    app.bus.down = True
    app.patient_writes()
    until = NOON + periods.HOUR
    assert [m for shard in shards_of("publish") for m in app.messages.due(shard, until)] == []


def test_due_reads_a_page_when_it_is_asked_for(app: UnitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DynamoDB, "pages", partialmethod(DynamoDB.pages, limit=2))
    for number in range(3):
        app.store(f"{number}", due_at=NOON + number, due_shard="send#0")
    found = app.messages.due("send#0", NOON + 2)
    with app.calls() as calls:
        assert [next(found).due_at, next(found).due_at] == [NOON, NOON + 1]
    assert calls == ["Query messages", "BatchGetItem"]
    assert [m.due_at for m in found] == [NOON + 2]


def test_of_contact_finds_both_ends_of_the_span(app: UnitApp) -> None:
    for at in range(NOON, NOON + 4):
        app.store(f"at {at}", created_at=at)
    app.store("of another", created_at=NOON + 1, contact_id="0" * 32)
    found = app.messages.of_contact(app.contact().contact_id, NOON + 1, NOON + 2)
    assert sorted(m.created_at for m in found) == [NOON + 1, NOON + 2]


def test_waiting_of_finds_what_waits_for_the_slot_under_any_address(app: UnitApp) -> None:
    since = NOON - periods.LONGEST_DEFERRAL
    for status in Status:
        app.store(status, status=status)
    app.store("a reply", status=Status.DEFERRED, kind=SendKind.REPLY)
    app.store("of another", status=Status.DEFERRED, contact_id="0" * 32)
    app.store("under the alias", status=Status.DEFERRED, contact_id="a" * 32)
    app.store("as old as can be", status=Status.DEFERRED, created_at=since)
    app.store("too old", status=Status.DEFERRED, created_at=since - 1)
    app.store("by a clock ahead", status=Status.DEFERRED, created_at=NOON + 2 * periods.CLOCK_ERROR)
    app.patient_writes()
    found = app.messages.waiting_of(replace(app.contact(), aliases=frozenset({"a" * 32})), NOON)
    expected = {*WAITING, "under the alias", "as old as can be", "by a clock ahead"}
    assert {m.message_id for m in found} == {message_id_of(key) for key in expected}


def test_reading_a_contacts_messages_fetches_no_inbound_one(app: UnitApp) -> None:
    inbound_id = app.patient_writes()
    app.store()
    asked: list[Any] = []
    event, hook = "provide-client-params.dynamodb.BatchGetItem", lambda params, **_: asked.append(params)
    with app._listening(event, hook):
        app.messages.of_contact(app.contact().contact_id, NOON, NOON)
    assert [inbound_id in str(params) for params in asked] == [False]


def test_message_is_found_by_its_sid(app: UnitApp) -> None:
    app.store("another", twilio_sid="SM2")
    message = app.store(status=Status.SENT, twilio_sid="SM1")
    assert app.messages.message_ids_for_sid("SM1") == [message.message_id]
    assert app.messages.message_ids_for_sid("SM3") == []
