"""The contact's slot: when a claim takes it, and what each step leaves on the contact's row. Exact values."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from whatsapp.adapters.dynamodb.items import message_key
from whatsapp.adapters.dynamodb.message_store import ClaimLost
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.ports import InDoubt
from whatsapp.domain.sending import lifecycle
from whatsapp.domain.sending.before_claim import claim, fence
from whatsapp.domain.sending.lifecycle import STEPS, Slot, Status, Step
from whatsapp.domain.sending.message import Message, SendKind
from whatsapp.domain.sending.transition import take

from tests.app import UnitApp
from tests.fakes import NOON
from tests.unit.test_message_store import POST

LEASE = NOON + 30_000
LIMIT = periods.HOUR
INBOUND = f"SM{1:032x}"
HELD = {"next_allowed_at": NOON + LIMIT + periods.SLOT_GUARD, "prev_next": NOON - 5, "inflight_at": NOON}
"""What a claim at noon leaves on the row of a contact whose slot had opened five milliseconds before."""
SLOT = ("next_allowed_at", "prev_next", "inflight", "inflight_at", "last_accepted_at", "last_outbound_at")
LANE = ("reply_inflight", "reply_until")


def set_contact(app: UnitApp, **values: Any) -> None:
    app.contacts.update(app.contact().contact_id, values)


def row(app: UnitApp, *names: str) -> dict[str, Any]:
    """Those attributes of the contact's row that are there."""
    return {name: value for name, value in app.contact_row().items() if name in names}


def places(app: UnitApp) -> set[str]:
    """The messages that answered the inbound one."""
    item = app.db.get(app.settings.messages_table, message_key(INBOUND)) or {}
    return set(item.get("replied_by", ()))


def a_reply(app: UnitApp, key: str = "m", **fields: Any) -> Message:
    return app.store(key, kind=SendKind.REPLY, in_reply_to=INBOUND, **fields)


def try_claim(app: UnitApp, message: Message, now: int = NOON) -> ClaimLost | None:
    return app.messages.claim(claim(message, "a", now, LEASE), LEASE, app.contact())


def claimed(app: UnitApp, message: Message, *, then: Status = Status.CLAIMED) -> Message:
    """The message with its slot, at that status."""
    assert try_claim(app, message) is None
    if then is not Status.CLAIMED:
        assert app.messages.commit(fence(app.record(), POST, NOON))
    if then is Status.UNKNOWN:
        assert app.messages.commit(take(app.record(), lifecycle.DOUBT, NOON))
    stored = app.record()
    assert stored.status is then
    return stored


# --- the claim of a proactive message ------------------------------------------------------------------------------


def test_claim_takes_the_slot_for_the_limit_and_a_guard(app: UnitApp) -> None:
    set_contact(app, next_allowed_at=NOON - 5)
    message = claimed(app, app.store(agent="mood"))
    assert row(app, *SLOT) == {**HELD, "inflight": f"{message.message_id}#a"}


def test_claim_of_a_first_message_remembers_that_the_slot_was_always_open(app: UnitApp) -> None:
    claimed(app, app.store())
    assert app.contact_row()["prev_next"] == 0


def test_claim_uses_the_deployments_rate_limit(app_with: Callable[..., UnitApp]) -> None:
    app = app_with(rate_limit_seconds=60)
    claimed(app, app.store())
    assert app.contact().next_allowed_at == NOON + periods.MINUTE + periods.SLOT_GUARD


@pytest.mark.parametrize(
    ("user_id", "noted"), [("user-42", "user-42"), (None, "known before")], ids=["named", "not named"]
)
def test_claim_notes_who_speaks(app: UnitApp, user_id: str | None, noted: str) -> None:
    set_contact(app, user_id="known before", last_outbound_agent="scheduling")
    claimed(app, app.store(agent="mood", user_id=user_id))
    assert row(app, "user_id", "last_outbound_agent") == {"user_id": noted, "last_outbound_agent": "mood"}


def test_claims_for_several_users_of_a_phone_are_all_remembered(app: UnitApp) -> None:
    set_contact(app, user_id="rohan", user_written_at=NOON - 5)
    claimed(app, app.store(user_id="meera"))
    noted = [{"user_id": "meera", "at": NOON}, {"user_id": "rohan", "at": NOON - 5}]
    assert row(app, "user_id", "written_to") == {"user_id": "meera", "written_to": noted}


def test_claim_for_the_only_user_notes_its_time_alone(app: UnitApp) -> None:
    set_contact(app, user_id="rohan", user_written_at=NOON - 5)
    claimed(app, app.store(user_id="rohan"))
    assert row(app, "user_written_at", "written_to") == {"user_written_at": NOON}


def test_user_of_a_message_in_doubt_is_remembered(app: UnitApp) -> None:
    """It may have arrived; no acceptance is known that would say when."""
    app.gateway.outcomes = [InDoubt("no answer")]
    app.send(user_id="rohan")
    app.patient_writes()
    assert try_claim(app, a_reply(app, "r", user_id="meera")) is None
    assert list(app.contact().written_to) == ["meera", "rohan"]


def test_of_two_claims_at_once_neither_forgets_the_others_user(app: UnitApp) -> None:
    """The proactive slot and the reply lane are taken by two workers that read the same row."""
    app.patient_writes()
    read = app.contact()
    proactive, reply = app.store(user_id="rohan"), a_reply(app, "r", user_id="meera")
    assert app.messages.claim(claim(proactive, "a", NOON, LEASE), LEASE, read) is None
    lost = app.messages.claim(claim(reply, "a", NOON, LEASE), LEASE, read)
    assert lost
    assert lost.contact
    assert not lost.reply_in_flight
    assert try_claim(app, reply) is None
    assert list(app.contact().written_to) == ["meera", "rohan"]


@pytest.mark.parametrize(
    ("contact", "taken"),
    [
        ({}, True),
        ({"next_allowed_at": NOON}, True),
        ({"next_allowed_at": NOON + 1}, False),
        ({"tied_until": NOON}, True),
        ({"tied_until": NOON + 1}, False),
        ({"inflight": "other#a"}, False),
        ({"inflight": "other#a", "next_allowed_at": NOON - 1}, False),
        ({"opted_out_at": NOON - 1}, False),
        ({"erased_at": NOON - 1}, True),
        ({"erased_at": NOON}, False),
        ({"alias_of": "0" * 32}, False),
        ({"reply_inflight": "other#a", "reply_until": LEASE}, True),
    ],
    ids=str,
)
def test_what_a_proactive_claim_needs_of_the_contact(app: UnitApp, contact: dict[str, Any], taken: bool) -> None:
    message = app.store()
    set_contact(app, **contact)
    before = app.contact_row()
    lost = try_claim(app, message)
    assert (lost is None) is taken
    if lost:
        assert (app.record(), app.contact_row()) == (message, before)
        assert (lost.message, lost.inbound_refused, lost.reply_in_flight) == (None, False, False)
        assert lost.contact
        assert lost.contact.contact_id == message.contact_id
        assert {name: getattr(lost.contact, name) for name in contact} == contact


def test_claim_lost_to_another_worker_shows_the_message_as_it_left_it(app: UnitApp) -> None:
    read = app.store()
    mine = claimed(app, read)
    lost = app.messages.claim(claim(read, "b", NOON, LEASE), LEASE, app.contact())
    assert lost == ClaimLost(message=mine)


def test_claim_of_a_message_that_is_gone_is_lost_and_takes_no_slot(app: UnitApp, tables: Any) -> None:
    """Its time to live has passed since it was read."""
    read = app.store()
    set_contact(app, next_allowed_at=NOON - 5)
    key = {name: {"S": value} for name, value in message_key(read.message_id).items()}
    tables.delete_item(TableName=app.settings.messages_table, Key=key)
    assert try_claim(app, read) == ClaimLost()
    assert row(app, *SLOT) == {"next_allowed_at": NOON - 5}


# --- the claim of a reply ------------------------------------------------------------------------------------------


def test_claim_of_a_reply_holds_the_lane_until_its_lease_and_takes_a_place(app: UnitApp) -> None:
    app.patient_writes()
    set_contact(app, next_allowed_at=NOON + 7, inflight="other#a", inflight_at=NOON)
    message = claimed(app, a_reply(app, agent="mood", user_id="user-42"))
    assert row(app, *LANE) == {"reply_inflight": f"{message.message_id}#a", "reply_until": LEASE}
    assert row(app, *SLOT) == {"next_allowed_at": NOON + 7, "inflight": "other#a", "inflight_at": NOON}
    assert row(app, "user_id", "last_outbound_agent") == {"user_id": "user-42", "last_outbound_agent": "mood"}
    assert places(app) == {message.message_id}


@pytest.mark.parametrize(
    ("contact", "taken"),
    [
        ({}, True),
        ({"next_allowed_at": NOON + periods.HOUR, "inflight": "other#a"}, True),
        ({"reply_inflight": "other#a", "reply_until": NOON - 1}, True),
        ({"reply_inflight": "other#a", "reply_until": NOON}, False),
        ({"opted_out_at": NOON - 1}, False),
        ({"erased_at": NOON - 1}, True),
        ({"erased_at": NOON}, False),
        ({"alias_of": "0" * 32}, False),
    ],
    ids=str,
)
def test_what_a_reply_needs_of_the_contact(app: UnitApp, contact: dict[str, Any], taken: bool) -> None:
    app.patient_writes()
    message = a_reply(app)
    set_contact(app, **contact)
    lost = try_claim(app, message)
    assert (lost is None) is taken
    if lost:
        assert (app.record(), places(app)) == (message, set())
        assert lost.reply_in_flight is ("reply_inflight" in contact)
        assert lost.contact
        assert not lost.inbound_refused


@pytest.mark.parametrize(("age", "taken"), [(periods.WINDOW - 1, True), (periods.WINDOW, False)])
def test_reply_needs_an_inbound_message_of_the_last_24_hours(app: UnitApp, age: int, taken: bool) -> None:
    app.patient_writes()
    lost = try_claim(app, a_reply(app), now=NOON + age)
    assert lost == (None if taken else ClaimLost(inbound_refused=True))


def test_reply_to_what_was_stored_under_an_alias_stays_a_reply(app: UnitApp) -> None:
    app.patient_writes()
    alias, contact_id = app.contact().contact_id, "0" * 32
    reply = a_reply(app, contact_id=contact_id)
    assert (
        app.messages.claim(
            claim(reply, "a", NOON, LEASE), LEASE, Contact(contact_id=contact_id, aliases=frozenset({alias}))
        )
        is None
    )
    assert places(app) == {reply.message_id}


def test_reply_needs_an_inbound_message_of_the_same_contact(app: UnitApp) -> None:
    app.patient_writes()
    assert try_claim(app, a_reply(app, contact_id="0" * 32)) == ClaimLost(inbound_refused=True)


def test_reply_to_nothing_is_refused(app: UnitApp) -> None:
    assert try_claim(app, a_reply(app)) == ClaimLost(inbound_refused=True)


@pytest.mark.parametrize(("limit", "taken"), [(3, True), (2, False)])
def test_inbound_message_has_so_many_places(app_with: Callable[..., UnitApp], limit: int, taken: bool) -> None:
    app = app_with(replies_per_inbound=limit)
    app.patient_writes()
    for key in ("first", "second"):
        app.send(key, text="Yes", in_reply_to=INBOUND)
    assert (try_claim(app, a_reply(app)) is None) is taken
    assert len(places(app)) == (3 if taken else 2)


def test_reply_that_has_its_place_already_keeps_it(app_with: Callable[..., UnitApp]) -> None:
    app = app_with(replies_per_inbound=1)
    app.patient_writes()
    message = claimed(app, a_reply(app))
    set_contact(app, reply_inflight=None, reply_until=None)
    assert try_claim(app, app.store(**fields_of(message, status=Status.RETRYING))) is None
    assert places(app) == {message.message_id}


# --- what each step does to the slot -------------------------------------------------------------------------------


ENDS = [
    (step, source)
    for step in STEPS
    for source in sorted(step.sources & lifecycle.IN_FLIGHT)
    if step.slot is not Slot.UNTOUCHED
]


@pytest.mark.parametrize(("step", "source"), ENDS, ids=lambda value: getattr(value, "name", value))
def test_slot_after_each_step_of_a_proactive_message(app: UnitApp, step: Step, source: Status) -> None:
    set_contact(app, next_allowed_at=NOON - 5, last_accepted_at=NOON - 9, last_outbound_at=NOON - 9)
    message = claimed(app, app.store(), then=source)
    at = NOON + 2_000
    assert app.messages.commit(take(message, step, at, accepted_at=at))
    before = {"last_accepted_at": NOON - 9, "last_outbound_at": NOON - 9}
    assert (
        row(app, *SLOT)
        == {
            Slot.REFUNDED: {**before, "next_allowed_at": NOON - 5},
            Slot.RELEASED: {**before, "next_allowed_at": NOON + LIMIT + periods.SLOT_GUARD},
            Slot.OPENS_LATER: {
                "next_allowed_at": at + LIMIT + periods.SLOT_EPSILON,
                "last_accepted_at": at,
                "last_outbound_at": at,
            },
        }[step.slot]
    )


@pytest.mark.parametrize(("step", "source"), ENDS, ids=lambda value: getattr(value, "name", value))
def test_lane_and_place_after_each_step_of_a_reply(app: UnitApp, step: Step, source: Status) -> None:
    app.patient_writes()
    set_contact(app, next_allowed_at=NOON + 7, inflight="other#a", last_accepted_at=NOON - 9)
    message = claimed(app, a_reply(app), then=source)
    at = NOON + 2_000
    assert app.messages.commit(take(message, step, at, accepted_at=at))
    spoken = {"last_outbound_at": at} if step.slot is Slot.OPENS_LATER else {}
    assert row(app, *LANE) == {}
    assert row(app, *SLOT) == {
        "next_allowed_at": NOON + 7,
        "inflight": "other#a",
        "last_accepted_at": NOON - 9,
        **spoken,
    }
    assert places(app) == (set() if step.slot is Slot.REFUNDED else {message.message_id})


@pytest.mark.parametrize(
    ("step", "source"),
    [(lifecycle.FENCE, Status.CLAIMED), (lifecycle.DOUBT, Status.SENDING)],
    ids=lambda value: getattr(value, "name", value),
)
def test_slot_stays_held_while_the_message_is_in_flight(app: UnitApp, step: Step, source: Status) -> None:
    message = claimed(app, app.store(), then=source)
    before = app.contact_row()
    assert app.messages.commit(take(message, step, NOON + 2_000))
    assert app.contact_row() == before


@pytest.mark.parametrize("step", [s for s in STEPS if s.slot is not Slot.TAKEN], ids=lambda step: step.name)
def test_message_that_is_not_in_flight_leaves_the_slot_alone(app: UnitApp, step: Step) -> None:
    """Late evidence of an unresolved message must not move the slot, which may be another's."""
    for source in sorted(step.sources - lifecycle.IN_FLIGHT):
        message = app.store(status=source, attempt="a", due_at=NOON)
        set_contact(app, inflight=message.slot_holder, inflight_at=NOON, next_allowed_at=NOON + 7, prev_next=3)
        before = app.contact_row()
        assert app.messages.commit(take(message, step, NOON, accepted_at=NOON))
        assert app.contact_row() == before


# --- the slot has moved on -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("step", "source"), ENDS, ids=lambda value: getattr(value, "name", value))
def test_step_is_taken_without_the_slot_if_another_message_holds_it(app: UnitApp, step: Step, source: Status) -> None:
    message = claimed(app, app.store(), then=source)
    set_contact(app, inflight="other#a", inflight_at=NOON + 1, next_allowed_at=NOON + 7, prev_next=3)
    before = app.contact_row()
    assert app.messages.commit(take(message, step, NOON + 2_000, accepted_at=NOON))
    assert app.record().status is step.target
    assert app.contact_row() == before


def test_reply_whose_lane_has_moved_on_still_leaves_its_place(app: UnitApp) -> None:
    app.patient_writes()
    message = claimed(app, a_reply(app))
    set_contact(app, reply_inflight="other#a", reply_until=NOON + 7)
    assert app.messages.commit(take(message, lifecycle.RETRY, NOON))
    assert row(app, *LANE) == {"reply_inflight": "other#a", "reply_until": NOON + 7}
    assert places(app) == set()


@pytest.mark.parametrize("slot_moved_too", [False, True])
def test_step_that_is_overtaken_does_not_touch_the_slot(app: UnitApp, slot_moved_too: bool) -> None:
    message = claimed(app, app.store(), then=Status.SENDING)
    app.store(**fields_of(message, attempt="b"))
    if slot_moved_too:
        set_contact(app, inflight="other#a")
    before = app.contact_row()
    assert not app.messages.commit(take(message, lifecycle.RETRY, NOON))
    assert app.contact_row() == before


def test_successor_is_stored_although_the_slot_has_moved_on(app: UnitApp) -> None:
    message = claimed(app, app.store(), then=Status.SENDING)
    set_contact(app, inflight="other#a")
    successor = replace(message, message_id="f" * 32, status=Status.PENDING)
    assert app.messages.commit(take(message, lifecycle.REFUSE, NOON, successor=successor))
    assert app.messages.get("f" * 32) == successor


# --- through a whole send ------------------------------------------------------------------------------------------


def test_two_proactive_messages_are_never_in_flight_at_once(app: UnitApp) -> None:
    app.gateway.outcomes = [InDoubt("no answer")]
    app.send("first")
    app.clock.at += 2 * LIMIT
    assert app.send("second").status == "deferred"
    assert len(app.gateway.posts) == 1


@pytest.mark.parametrize(("after", "status"), [(-1, "deferred"), (0, "sent")])
def test_next_proactive_message_goes_a_limit_after_the_acceptance(app: UnitApp, after: int, status: str) -> None:
    app.send("first")
    app.clock.at += LIMIT + periods.SLOT_EPSILON + after
    assert app.send("second").status == status


def fields_of(message: Message, **changes: Any) -> dict[str, Any]:
    """A message's fields, to store it with other ones."""
    return {name: getattr(replace(message, **changes), name) for name in message.__dataclass_fields__}
