"""A group's messages: shown together, canceled together, and dropped when another one got far enough."""

from typing import Any

import pytest
from whatsapp.adapters.dynamodb.erasure_store import ErasureJob
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import InDoubt, Rejected
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.lifecycle import Status

from tests.app import UnitApp, WorkerDied, a_request, die, message_id_of
from tests.fakes import NOON

MINUTE, HOUR = 60_000, 3_600_000
GROUP = "appointment-4711"
TEXT = "See you soon"


@pytest.fixture(autouse=True)
def approved(app: UnitApp) -> None:
    app.approve()


def at(milliseconds: int) -> str:
    return iso(NOON + milliseconds)


def plan(app: UnitApp, key: str, **request: Any) -> str:
    return app.send(key, **{"group": GROUP, "send_at": at(2 * HOUR), "expires_at": at(9 * HOUR), **request}).status


def go_on(app: UnitApp, milliseconds: int) -> None:
    """Time passes, a sweep nudges what is due, and a worker serves the nudges."""
    app.clock.sleep(milliseconds / 1000)
    app.sweep_due(app.deadline)
    nudged, app.queue.nudges[:] = list(app.queue.nudges), []
    for message_id, _ in nudged:
        app.send_message.advance(message_id, app.deadline)


# --- show ------------------------------------------------------------------------------------------------------------


def test_messages_are_shown_in_order(app: UnitApp) -> None:
    app.send("first", group=GROUP)
    app.clock.sleep(1)
    plan(app, "second")
    shown = app.manage_groups.show(GROUP)
    assert shown["group"] == GROUP
    assert [(m["message_id"], m["status"]) for m in shown["messages"]] == [
        (message_id_of("first"), "sent"),
        (message_id_of("second"), "deferred"),
    ]


def test_unknown_group_is_not_found(app: UnitApp) -> None:
    with pytest.raises(MessagingError) as caught:
        app.manage_groups.show("nothing")
    assert caught.value.code == "not_found"


def test_messages_without_a_group_belong_to_none(app: UnitApp) -> None:
    app.send("first")
    assert app.record("first").group is None


# --- cancel ----------------------------------------------------------------------------------------------------------


def test_all_that_waits_is_canceled_and_what_went_is_told(app: UnitApp) -> None:
    app.send("sent", group=GROUP)
    plan(app, "waits")
    plan(app, "waits too")
    assert app.manage_groups.cancel(GROUP) == {
        "canceled": sorted([message_id_of("waits"), message_id_of("waits too")]),
        "too_late": [message_id_of("sent")],
    }
    assert {app.record(key).status for key in ("waits", "waits too")} == {Status.CANCELED}
    assert app.manage_groups.cancel(GROUP)["too_late"] == [message_id_of("sent")]


def test_doubt_is_too_late_and_a_failure_is_neither(app: UnitApp) -> None:
    app.gateway.outcomes = [InDoubt("no answer"), Rejected(63003, 400)]
    app.send("doubt", group=GROUP)
    app.send("failed", to="+919812345679", group=GROUP)
    assert app.record("failed").status is Status.FAILED
    assert app.manage_groups.cancel(GROUP) == {"canceled": [], "too_late": [message_id_of("doubt")]}


def test_a_copy_that_was_asked_for_before_is_canceled_when_it_comes(app: UnitApp) -> None:
    asked_at = app.clock.now()
    app.manage_groups.cancel(GROUP)
    app.clock.sleep(600)
    answer = app.send_message(a_request(group=GROUP), "queued", app.deadline, asked_at)
    assert (answer.status, app.gateway.posts) == ("canceled", [])
    assert [event.status for event in app.bus.events] == ["canceled"]
    assert app.manage_groups.show(GROUP)["messages"][0]["status"] == "canceled"


def test_what_is_asked_for_afterwards_goes(app: UnitApp) -> None:
    plan(app, "old time")
    app.manage_groups.cancel(GROUP)
    assert app.send("new time", group=GROUP).status == "sent"
    app.clock.sleep(3_600)
    app.manage_groups.cancel(GROUP)
    queued = app.send_message(a_request(group=GROUP), "queued", app.deadline, app.clock.now())
    assert queued.status == "sent"


def test_a_sandbox_whose_clock_is_behind_sends_what_is_asked_for_afterwards(app: UnitApp) -> None:
    app.manage_groups.cancel(GROUP)
    app.clock.at -= 4_000
    assert app.send(group=GROUP).status == "sent"


def test_a_cancel_between_reading_and_claim_is_heard(app: UnitApp) -> None:
    with app.before_call("TransactWriteItems", lambda: app.manage_groups.cancel(GROUP)):
        answer = app.send(group=GROUP)
    assert (answer.status, app.gateway.posts, app.record().status) == ("canceled", [], Status.CANCELED)
    assert app.contact().inflight is None


def test_a_reply_of_a_canceled_group_is_not_sent(app: UnitApp) -> None:
    inbound = app.patient_writes()
    with app.before_call("TransactWriteItems", lambda: app.manage_groups.cancel(GROUP)):
        answer = app.send(group=GROUP, text=TEXT, in_reply_to=inbound)
    assert (answer.status, app.gateway.posts) == ("canceled", [])


def test_a_claimed_message_does_not_pass_its_fence(app: UnitApp) -> None:
    app.left_at(Status.CLAIMED, group=GROUP)
    assert app.manage_groups.cancel(GROUP)["canceled"] == [message_id_of("m")]
    go_on(app, 2 * MINUTE)
    assert (app.record().status, app.gateway.posts) == (Status.CANCELED, [])


def test_a_message_stored_while_the_group_is_canceled_never_goes(app: UnitApp) -> None:
    with app.before_call("TransactWriteItems", lambda: app.manage_groups.cancel(GROUP)):
        assert plan(app, "deferred") == "deferred"
    go_on(app, 3 * HOUR)
    assert (app.record("deferred").status, app.gateway.posts) == (Status.CANCELED, [])


def test_what_continues_a_message_is_in_its_group(app: UnitApp) -> None:
    """Free text that WhatsApp refused is continued by the template; a cancel binds that record too."""
    app.patient_writes()
    app.gateway.outcomes = [Rejected(63016, 400)]
    variables = {"patient_name": "Asha", "therapist_name": "Dr. Rao", "session_date": "2026-11-24"}
    successor = app.send(group=GROUP, template="follow_up", variables=variables).continued_as
    assert app.manage_groups.cancel(GROUP) == {"canceled": [successor], "too_late": []}
    assert {m["message_id"] for m in app.manage_groups.show(GROUP)["messages"]} == {message_id_of("m"), successor}


# --- unless ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unless", "happens", "goes"),
    [
        ("answered", None, True),
        ("answered", "reply", False),
        ("answered", "read", True),
        ("delivered", None, True),
        ("delivered", "delivered", False),
        ("delivered", "read", False),
        ("read", "delivered", True),
        ("read", "read", False),
    ],
)
def test_a_nudge_goes_unless(app: UnitApp, unless: str, happens: str | None, goes: bool) -> None:
    app.send("confirmation", group=GROUP)
    plan(app, "nudge", unless=unless)
    app.clock.sleep(60)
    if happens == "reply":
        app.patient_writes()
    elif happens:
        app.callback(app.record("confirmation"), happens)
    app.bus.events.clear()
    go_on(app, 2 * HOUR)
    nudge = app.record("nudge")
    if goes:
        assert (nudge.status, len(app.gateway.posts)) == (Status.SENT, 2)
    else:
        assert (nudge.status, len(app.gateway.posts)) == (Status.CANCELED, 1)
        assert nudge.error
        assert nudge.error.code == "not_needed"
        assert [(event.status, event.error.code, event.group) for event in app.bus.events] == [
            ("canceled", "not_needed", GROUP)
        ]


def test_a_message_is_no_reason_against_itself(app: UnitApp) -> None:
    assert app.send(group=GROUP, unless="delivered").status == "sent"


def test_a_message_written_before_the_group_answers_nothing(app: UnitApp) -> None:
    app.patient_writes()
    app.clock.sleep(60)
    app.send("confirmation", group=GROUP)
    plan(app, "nudge", unless="answered")
    go_on(app, 2 * HOUR)
    assert app.record("nudge").status is Status.SENT


def test_a_group_is_kept_as_long_as_its_latest_message(app: UnitApp) -> None:
    """An older message is claimed after a newer one was stored: the group must not be deleted sooner for that."""
    day = 86_400
    plan(app, "older", send_at=iso(NOON + 20 * day * 1_000), expires_at=iso(NOON + 21 * day * 1_000))
    app.clock.sleep(10 * day)
    plan(app, "newer", send_at=iso(NOON + 30 * day * 1_000), expires_at=iso(NOON + 31 * day * 1_000))
    app.clock.sleep(10 * day)
    app.send_message.advance(message_id_of("older"), app.deadline)
    assert app.record("older").status is Status.SENT
    group = app.db.get(app.settings.messages_table, {"message_id": f"group#{GROUP}", "entry": "group"})
    newer = app.db.get(app.settings.messages_table, {"message_id": message_id_of("newer"), "entry": "message"})
    assert group
    assert newer
    assert group["ttl"] >= newer["ttl"]


# --- nothing is lost -------------------------------------------------------------------------------------------------


def test_a_worker_that_dies_in_the_first_write_leaves_no_half(app: UnitApp) -> None:
    with pytest.raises(WorkerDied), app.before_call("TransactWriteItems", die):
        app.send(group=GROUP)
    assert app.groups.get(GROUP) is None
    assert app.messages.get(message_id_of("m")) is None


def test_of_who_was_erased_not_even_a_canceled_message_is_stored(app: UnitApp) -> None:
    app.send("other")
    asked_at = app.clock.now()
    app.manage_groups.cancel(GROUP)
    app.clock.sleep(10)
    app.erasures.begin(ErasureJob(contact_id=app.contact().contact_id, erased_at=app.clock.now(), due_at=None))
    app.clock.sleep(3_600)
    late = a_request(group=GROUP, send_at=at(3 * HOUR))
    with pytest.raises(MessagingError) as refused:
        app.send_message(late, "late", app.deadline, asked_at)
    assert refused.value.code == "opted_out"
    assert app.messages.get(message_id_of("late")) is None
