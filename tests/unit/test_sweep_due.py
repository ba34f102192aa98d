"""The minute's sweep: what is due is postponed, then taken one step on."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest
from whatsapp.domain import periods
from whatsapp.domain.ports import Deadline
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, SendKind, shard_of
from whatsapp.domain.sending.transition import EVENT
from whatsapp.use_cases import sweep_due
from whatsapp.use_cases.commit import Commit

from tests.app import UnitApp, die
from tests.fakes import NOON


def due(app: UnitApp, key: str = "m", **fields: Any) -> Message:
    """A message that is due now."""
    message = app.store(key, **{"due_at": NOON, **fields})
    return app.store(key, **{"due_at": NOON, "due_shard": message.sweep_shard, **fields})


def sweep(app: UnitApp) -> dict[str, int]:
    swept: dict[str, int] = app.sweep_due(app.deadline)
    return swept


def nudged(app: UnitApp) -> list[str]:
    return [message_id for message_id, _ in app.queue.nudges]


# --- what becomes of each message ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.PENDING, Status.DEFERRED, Status.RETRYING])
def test_waiting_message_is_nudged(app: UnitApp, status: Status) -> None:
    message = due(app, status=status)
    assert sweep(app) == {"acted": 1, "stale": 0}
    assert app.queue.nudges == [(message.message_id, 0)]


def test_message_that_is_not_due_yet_is_left_alone(app: UnitApp) -> None:
    message = due(app, due_at=NOON + 1)
    assert sweep(app) == {"acted": 0, "stale": 0}
    assert (app.record(), nudged(app)) == (message, [])


def test_every_shard_is_swept(app: UnitApp) -> None:
    ids = [due(app, f"m{n}", contact_id=f"{n:08x}").message_id for n in range(4)]
    assert sweep(app)["acted"] == 4
    assert sorted(nudged(app)) == sorted(ids)


def test_waiting_message_past_its_time_expires(app: UnitApp) -> None:
    due(app, status=Status.DEFERRED, expires_at=NOON)
    sweep(app)
    assert (app.record().status, nudged(app)) == (Status.EXPIRED, [])
    assert [event.status for event in app.bus.events] == ["expired"]


def test_claim_of_a_dead_worker_is_taken_back_with_its_slot(app: UnitApp) -> None:
    claimed = app.left_at(Status.CLAIMED)
    assert claimed.due_at == NOON + 30_000 + periods.LEASE_MARGIN
    app.clock.at = claimed.due_at
    sweep(app)
    assert (app.record().status, app.contact().inflight, app.contact_row()["next_allowed_at"]) == ("retrying", None, 0)


def test_claim_is_not_taken_back_within_its_lease(app: UnitApp) -> None:
    claimed = app.left_at(Status.CLAIMED)
    app.clock.at = (claimed.due_at or 0) - 1
    sweep(app)
    assert app.record() == claimed


def test_message_whose_worker_died_in_the_post_is_looked_up_and_never_nudged(app: UnitApp) -> None:
    sending = app.left_at(Status.SENDING)
    app.clock.at = sending.due_at or 0
    sweep(app)
    assert (app.record().status, nudged(app)) == (Status.SENDING, [])
    assert app.record().due_at == NOON + periods.RECONCILE_DOUBT


def test_undelivered_event_is_published_before_the_message_is_judged(app: UnitApp) -> None:
    due(app, status=Status.DEFERRED, outbox=EVENT, scheduled_for=NOON)
    sweep(app)
    assert [event.status for event in app.bus.events] == ["deferred"]
    assert (app.record().outbox, len(nudged(app))) == (frozenset(), 1)


def test_bus_that_is_down_holds_no_message_back(app: UnitApp) -> None:
    app.bus.down = True
    due(app, status=Status.DEFERRED, outbox=EVENT)
    sweep(app)
    assert (app.record().outbox, len(nudged(app))) == (EVENT, 1)


def test_message_that_moved_on_while_its_event_was_published_is_not_judged(app: UnitApp) -> None:
    due(app, status=Status.PENDING, outbox=EVENT)
    with app.before_call("UpdateItem", lambda: app.store(status=Status.SENT, due_at=None), nth=2):
        sweep(app)
    assert (app.record().status, nudged(app)) == (Status.SENT, [])


def test_final_message_with_nothing_left_is_only_cleared(app: UnitApp) -> None:
    due(app, status=Status.CANCELED, outbox=EVENT)
    sweep(app)
    assert (app.record().due_at, nudged(app), len(app.bus.events)) == (None, [], 1)


# --- turns ---------------------------------------------------------------------------------------------------------


def test_of_a_contacts_messages_the_first_to_expire_is_nudged(app: UnitApp) -> None:
    due(app, "never")
    first = due(app, "soon", expires_at=NOON + 1_000)
    due(app, "later", expires_at=NOON + 2_000)
    sweep(app)
    assert nudged(app) == [first.message_id]


def test_message_has_its_turn_against_one_that_is_postponed(app: UnitApp) -> None:
    """What another sweep has just nudged is due in two minutes, and still goes first."""
    due(app, "nudged before", due_at=NOON + periods.POSTPONED, expires_at=NOON + 1_000)
    due(app, "now")
    sweep(app)
    assert nudged(app) == []


def test_message_that_is_due_later_takes_no_turn(app: UnitApp) -> None:
    due(app, "later", due_at=NOON + periods.POSTPONED + 1, expires_at=NOON + 1_000)
    now = due(app, "now")
    sweep(app)
    assert nudged(app) == [now.message_id]


def test_reply_always_has_its_turn(app: UnitApp) -> None:
    first = due(app, "proactive", expires_at=NOON + 1_000)
    reply = due(app, "reply", kind=SendKind.REPLY, in_reply_to="SM1")
    sweep(app)
    assert sorted(nudged(app)) == sorted([first.message_id, reply.message_id])


# --- a rush --------------------------------------------------------------------------------------------------------


def contacts(number: int) -> str:
    """The id of one of many contacts."""
    return f"{number:08x}"


def test_sweep_reads_on_until_everything_is_done(app: UnitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_due, "READ_AT_ONCE", 3)
    for number in range(8):
        due(app, f"m{number}", contact_id=contacts(number))
    assert sweep(app)["acted"] == 8
    assert len(set(nudged(app))) == 8


def test_what_cannot_wait_goes_before_a_rush(app: UnitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_due, "READ_AT_ONCE", 5)
    rush = [due(app, f"m{n}", contact_id=contacts(n), due_at=NOON - 1000).message_id for n in range(6)]
    never = due(app, "never", contact_id=contacts(30), due_at=NOON - 2000)
    later = due(app, "later", contact_id=contacts(31), expires_at=NOON + 50 * periods.MINUTE)
    sooner = due(app, "sooner", contact_id=contacts(32), expires_at=NOON + 5 * periods.MINUTE)
    reply = due(app, "reply", contact_id=contacts(33), kind=SendKind.REPLY, in_reply_to="SM1")
    sweep(app)
    first = [reply.message_id, sooner.message_id, later.message_id, never.message_id]
    assert nudged(app)[:4] == first
    assert sorted(nudged(app)[4:]) == sorted(rush)


def test_an_urgent_change_does_not_queue_behind_checkins(app: UnitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_due, "READ_AT_ONCE", 5)
    soon = {"priority": "low", "expires_at": NOON + 5 * periods.MINUTE}
    for n in range(12):
        due(app, f"checkin{n}", contact_id=contacts(n), due_at=NOON - 2000, **soon)
    reminder = due(app, "reminder", contact_id=contacts(30), expires_at=NOON + 5 * periods.MINUTE)
    change = due(app, "change", contact_id=contacts(31), priority="urgent")
    reply = due(app, "reply", contact_id=contacts(32), kind=SendKind.REPLY, in_reply_to="SM1")
    sweep(app)
    assert nudged(app)[:3] == [reply.message_id, change.message_id, reminder.message_id]
    assert len(nudged(app)) == 15


def test_of_a_contacts_messages_the_urgent_one_is_nudged(app: UnitApp) -> None:
    due(app, "reminder", expires_at=NOON + 1_000)
    change = due(app, "change", priority="urgent")
    sweep(app)
    assert nudged(app) == [change.message_id]


def test_due_message_that_was_stored_before_there_were_urgent_shards_is_found(app: UnitApp) -> None:
    contact_id = app.contact().contact_id
    app.store(kind=SendKind.REPLY, in_reply_to="SM1", due_at=NOON, due_shard=shard_of("send", contact_id))
    sweep(app)
    assert len(nudged(app)) == 1
    assert app.record().due_shard == shard_of("urgent", contact_id)


@pytest.mark.parametrize(
    ("per_second", "backlog", "delays"),
    [
        (80, 0, [0] * 8),
        (80, 76, [0] * 4 + [1] * 4),
        (1, 0, list(range(8))),
        (1, 55, [55, 56, 57, 58, 59]),
        (2, 115, [57, 58, 58, 59, 59]),
        (1, 60, []),
        (1, 9_999, []),
    ],
)
def test_nudges_are_spread_over_the_minute_and_the_rest_waits(
    app: UnitApp, monkeypatch: pytest.MonkeyPatch, per_second: int, backlog: int, delays: list[int]
) -> None:
    """What waits in the queue goes first; what has no place is not touched."""
    monkeypatch.setattr(sweep_due, "READ_AT_ONCE", 4)
    app = replace(app, settings=replace(app.settings, sends_per_second=per_second))
    app.queue.waiting = backlog
    for number in range(8):
        due(app, f"m{number}", contact_id=contacts(number))
    assert sweep(app)["acted"] == len(delays)
    assert [delay for _, delay in app.queue.nudges] == delays
    assert sum(app.record(f"m{n}").due_at == NOON for n in range(8)) == 8 - len(delays)


def test_queue_that_is_full_keeps_nothing_from_ending(app: UnitApp) -> None:
    """What expires, and what a dead worker held, needs no place in the queue."""
    app.queue.waiting = 1_000_000
    due(app, "waits", contact_id=contacts(1), expires_at=NOON + 1)
    due(app, "expired", contact_id=contacts(2), expires_at=NOON)
    due(app, "held", contact_id=contacts(3), status=Status.CLAIMED, attempt="a", claimed_at=NOON - periods.MINUTE)
    assert sweep(app)["acted"] == 2
    assert [app.record(key).status for key in ("waits", "expired", "held")] == ["pending", "expired", "retrying"]
    assert nudged(app) == []


def test_queue_that_does_not_answer_keeps_nothing_from_expiring(app: UnitApp) -> None:
    app.queue.down = True
    due(app, expires_at=NOON)
    with pytest.raises(ExceptionGroup):
        sweep(app)
    assert app.record().status is Status.EXPIRED


def test_nudges_that_the_queue_does_not_take_come_again(app: UnitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    due(app)
    monkeypatch.setattr(app.queue, "nudge_many", lambda _: die())
    with pytest.raises(ExceptionGroup):
        sweep(app)
    assert app.record().due_at == NOON + periods.POSTPONED


def test_many_are_acted_on_at_once(app: UnitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of ten waits until all ten are there."""
    monkeypatch.setattr(sweep_due, "BATCH", 1)
    together, everywhere = Barrier(10, timeout=10), list[int]()

    def run_all(work: Callable[[Any], int], batches: Iterable[Any]) -> list[int]:
        def meet(batch: Any) -> int:
            together.wait()
            everywhere.append(len(batch))
            return 0

        with ThreadPoolExecutor(10) as threads:
            return list(threads.map(meet, batches))

    app = replace(app, run_all=run_all)
    for number in range(10):
        due(app, f"m{number}", contact_id=contacts(number))
    sweep(app)
    assert everywhere == [1] * 10


# --- two sweeps, errors, time --------------------------------------------------------------------------------------


def test_message_is_postponed_before_it_is_acted_on(app: UnitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    message, seen = due(app), list[int | None]()
    monkeypatch.setattr(app.queue, "nudge_many", lambda _: seen.append(app.record().due_at))
    sweep(app)
    assert seen == [NOON + periods.POSTPONED]
    assert app.record().due_shard == message.due_shard


def test_two_sweeps_at_once_nudge_a_message_once(app: UnitApp) -> None:
    due(app)
    with app.before_call("UpdateItem", lambda: sweep(app)):
        assert sweep(app)["acted"] == 0
    assert len(nudged(app)) == 1


def test_message_that_was_postponed_comes_again(app: UnitApp) -> None:
    due(app)
    sweep(app)
    app.clock.at += periods.POSTPONED - 1
    assert sweep(app)["acted"] == 0
    app.clock.at += 1
    assert sweep(app)["acted"] == 1


def test_error_of_one_message_does_not_stop_the_others(app: UnitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = due(app, "broken", contact_id="0" * 8)
    fine = due(app, "fine", contact_id="1" * 8)
    drain: Callable[..., Message] = app.commit.drain
    monkeypatch.setattr(Commit, "drain", lambda _, m: die() if m.message_id == broken.message_id else drain(m))
    with pytest.raises(ExceptionGroup, match="the sweep could not do everything"):
        sweep(app)
    assert nudged(app) == [fine.message_id]
    assert app.metrics.counts["DueStale"] == 0


def test_longest_due_message_is_first_and_messages_in_doubt_are_last(
    app: UnitApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    postpone = app.messages.postpone

    def noting(message: Message, *args: Any) -> Message | None:
        order.append(message.text or "")
        return postpone(message, *args)

    monkeypatch.setattr(app.messages, "postpone", noting)
    doubt = {"status": Status.UNKNOWN, "attempt": "a", "claimed_at": NOON - periods.RECONCILE_DOUBT}
    due(app, "1", text="in doubt", due_at=NOON - 3, **doubt)
    due(app, "2", text="due for 1 ms", due_at=NOON - 1, contact_id="1" * 8, expires_at=NOON + 1)
    due(app, "3", text="due for 2 ms", due_at=NOON - 2, contact_id="2" * 8, expires_at=NOON + 1)
    sweep(app)
    assert order[:3] == ["due for 2 ms", "due for 1 ms", "in doubt"]


@pytest.mark.parametrize(
    ("left", "acted"),
    [
        (periods.SWEEP_NEEDS - 1, 0),
        (periods.SWEEP_NEEDS, 1),
        (periods.TWILIO_QUESTION - 1, 1),
        (periods.TWILIO_QUESTION, 2),
    ],
)
def test_only_what_there_is_time_for_is_started(app: UnitApp, left: int, acted: int) -> None:
    """A question to Twilio needs more time than a nudge."""
    due(app, "1")
    due(app, "2", status=Status.UNKNOWN, attempt="a", claimed_at=NOON)
    assert app.sweep_due(Deadline(NOON + left))["acted"] == acted


@pytest.mark.parametrize(("overdue", "stale"), [(periods.STALE, 0), (periods.STALE + 1, 1)])
def test_messages_that_are_long_overdue_are_counted(app: UnitApp, overdue: int, stale: int) -> None:
    due(app, due_at=NOON - overdue)
    assert sweep(app)["stale"] == app.metrics.counts["DueStale"] == stale
