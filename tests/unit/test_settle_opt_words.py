"""A STOP and a START close together: STOP stands until Twilio's dates say which was written last."""

from typing import Any

import pytest
from whatsapp.adapters.dynamodb.contact_store import ContactMovedError
from whatsapp.domain import periods

from tests.unit.receive_kit import ASHA, IDS, MINUTE, Receiving, listed, sid

JOB = f"words-{IDS.of(ASHA)}"
STOP, START = 1, 2


def wrote(side: Receiving, number: int, text: str, *, ago: int = 0) -> None:
    """What Twilio has: the message, dated `ago` seconds before now."""
    side.gateway.received.append(listed(sid(number), text, at=side.clock.now() // 1_000 * 1_000 - ago * 1_000))


def comes(side: Receiving, number: int, text: str) -> None:
    side.receive_message(side.form(number, text))


def is_out(side: Receiving) -> bool:
    return side.contact().opted_out_at is not None


def told(side: Receiving) -> list[str]:
    """The opt-in and opt-out events, in the order in which the bus took them."""
    kinds = {"contact.opted_out": "out", "contact.opted_in": "in"}
    return [f"{kinds[e.detail_type]} {e.event_id[-12:]}" for e in side.bus.events if e.detail_type in kinds]


def job(side: Receiving) -> Any:
    return side.db.get("MessagesTable", {"message_id": JOB, "entry": "job"}) or {}


def test_start_after_a_stop_counts_at_once_by_twilios_dates(side: Receiving) -> None:
    wrote(side, STOP, "STOP", ago=20)
    wrote(side, START, "START", ago=3)
    comes(side, STOP, "STOP")
    comes(side, START, "START")
    contact = side.contact()
    assert (contact.opted_out_at, contact.opted_in_at) == (None, side.clock.now() // 1_000 * 1_000 - 3_000)
    assert [kind[:3] for kind in told(side)] == ["out", "in "]
    assert [event.event_id for event in side.published()] == [sid(STOP), sid(START)]
    assert "due_at" not in job(side)


def test_start_whose_webhook_comes_late_does_not_lift_the_stop_after_it(side: Receiving) -> None:
    wrote(side, START, "START", ago=20)
    wrote(side, STOP, "STOP", ago=3)
    comes(side, STOP, "STOP")
    side.clock.sleep(15)
    comes(side, START, "START")
    assert is_out(side)
    assert [kind[:3] for kind in told(side)] == ["out"]
    assert len(side.published()) == 2


def test_stop_whose_webhook_comes_late_does_not_silence_who_started_after_it(side: Receiving) -> None:
    wrote(side, STOP, "STOP", ago=20)
    wrote(side, START, "START", ago=3)
    comes(side, START, "START")
    comes(side, STOP, "STOP")
    assert not is_out(side)
    assert [kind[:3] for kind in told(side)] == ["in "], "nothing was said that is not so"


def test_stop_that_is_backfilled_counts_after_a_start_whose_webhook_came_late(side: Receiving) -> None:
    wrote(side, STOP, "STOP", ago=20)
    comes(side, STOP, "STOP")
    wrote(side, START, "START")
    comes(side, START, "START")
    wrote(side, 3, "START")
    side.clock.sleep(4)
    wrote(side, 4, "STOP", ago=2)
    comes(side, 3, "START")
    assert not is_out(side)
    side.receive_message(side.form(4, "STOP"), received_at=side.gateway.received[-1].date_created, source="backfill")
    assert is_out(side)


@pytest.mark.parametrize("first", ["STOP", "START"])
def test_words_of_one_moment_leave_the_stop_standing_until_they_are_dated(side: Receiving, first: str) -> None:
    second = "START" if first == "STOP" else "STOP"
    wrote(side, 1, first, ago=9)
    wrote(side, 2, second, ago=5)
    side.gateway.refuses = {"everything"}
    comes(side, 1, first)
    comes(side, 2, second)
    assert is_out(side)
    assert job(side)["due_at"] > side.clock.now()
    side.clock.sleep(90)
    side.reconcile(side.deadline)
    assert is_out(side), "Twilio does not answer yet"
    side.gateway.refuses = set()
    side.clock.sleep(150)
    side.reconcile(side.deadline)
    assert is_out(side) == (second == "STOP")
    assert told(side)[-1].startswith("out" if second == "STOP" else "in")
    assert "due_at" not in job(side)


def test_consumer_that_heard_the_late_stop_hears_of_the_start_again(side: Receiving) -> None:
    wrote(side, STOP, "STOP", ago=20)
    wrote(side, START, "START", ago=3)
    side.gateway.refuses = {"everything"}
    comes(side, START, "START")
    comes(side, STOP, "STOP")
    side.gateway.refuses = set()
    side.clock.sleep(90)
    side.reconcile(side.deadline)
    assert not is_out(side)
    ids = [event.event_id for kind in ("contact.opted_in", "contact.opted_out") for event in side.published(kind)]
    assert ids == [f"{sid(START)}#opted_in", f"{sid(START)}#opted_in#again", f"{sid(STOP)}#opted_out"]
    assert side.bus.events[-1].event_id == f"{sid(START)}#opted_in#again"


def test_start_that_counts_is_published_although_the_bus_was_down(side: Receiving) -> None:
    wrote(side, STOP, "STOP", ago=20)
    wrote(side, START, "START", ago=3)
    comes(side, STOP, "STOP")
    side.bus.down = True
    comes(side, START, "START")
    assert (is_out(side), len(told(side))) == (False, 1)
    side.bus.down = False
    side.clock.sleep(61)
    side.publish_waiting(side.deadline)
    assert [kind[:3] for kind in told(side)] == ["out", "in "]


@pytest.mark.parametrize(("minutes", "asks"), [(14.9, True), (15, False)])
def test_words_a_quarter_of_an_hour_apart_need_no_dates(side: Receiving, minutes: float, asks: bool) -> None:
    comes(side, STOP, "STOP")
    side.clock.sleep(minutes * 60)
    comes(side, START, "START")
    assert not is_out(side)
    assert bool(side.gateway.questions) == asks


def test_one_word_alone_asks_nothing(side: Receiving) -> None:
    for number in range(3):
        comes(side, number, "STOP")
    assert (side.gateway.questions, job(side)) == (0, {})


def test_whoever_changes_their_mind_often_is_taken_by_the_last_word(side: Receiving) -> None:
    for number, text in enumerate(["STOP", "START", "STOP", "START", "STOP", "START"]):
        wrote(side, number, text)
        side.clock.sleep(2)
    for number in (0, 2, 1, 5, 4, 3):
        comes(side, number, "STOP" if number % 2 == 0 else "START")
    assert not is_out(side)
    assert side.gateway.questions == 6, "each message is asked about once"


def test_word_that_comes_while_the_others_are_settled_is_settled_too(
    side: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote(side, STOP, "STOP", ago=20)
    wrote(side, START, "START", ago=10)
    wrote(side, 3, "STOP", ago=5)
    comes(side, STOP, "STOP")
    fetch = side.gateway.fetch

    def meanwhile(what: str) -> Any:
        monkeypatch.setattr(side.gateway, "fetch", fetch)
        comes(side, 3, "STOP")
        return fetch(what)

    monkeypatch.setattr(side.gateway, "fetch", meanwhile)
    comes(side, START, "START")
    assert is_out(side)


def test_start_that_comes_to_count_while_it_is_published_is_published_as_one(
    side: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its webhook came twice: one worker publishes what it read, the other settles it meanwhile, and dies."""
    wrote(side, STOP, "STOP", ago=20)
    wrote(side, START, "START", ago=3)
    comes(side, STOP, "STOP")
    side.gateway.refuses = {"everything"}
    record_published = side.inbox.record_published

    def meanwhile(*of: Any) -> None:
        monkeypatch.setattr(side.inbox, "record_published", record_published)
        side.gateway.refuses = set()
        side.settle_opt_words(IDS.of(ASHA))
        record_published(*of)

    monkeypatch.setattr(side.inbox, "record_published", meanwhile)
    comes(side, START, "START")
    assert not is_out(side)
    side.clock.sleep(120)
    side.publish_waiting(side.deadline)
    assert [kind[:3] for kind in told(side)] == ["out", "in "]


def test_row_that_moves_under_the_settling_is_left_to_the_job(side: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(*_: object) -> None:
        raise ContactMovedError

    with monkeypatch.context() as patched:
        patched.setattr(side.inbox, "settle", moved)
        comes(side, STOP, "STOP")
        comes(side, START, "START")
    assert is_out(side)
    side.clock.at += 2 * MINUTE
    side.reconcile(side.deadline)
    assert is_out(side), "of one moment: STOP stands, since Twilio has neither"
    assert "due_at" not in job(side)


def test_erased_person_is_not_brought_back_by_an_old_start(side: Receiving) -> None:
    wrote(side, STOP, "STOP", ago=20)
    wrote(side, START, "START", ago=3)
    side.gateway.refuses = {"everything"}
    comes(side, STOP, "STOP")
    comes(side, START, "START")
    side.clock.sleep(5)
    side.erase_contact(IDS.of(ASHA), side.deadline)
    side.gateway.refuses = set()
    side.clock.sleep(120)
    side.reconcile(side.deadline)
    assert (is_out(side), side.contact().opted_in_at) == (True, None)


def test_job_due_is_worked_once_by_two_sweeps(side: Receiving) -> None:
    side.gateway.refuses = {"everything"}
    comes(side, STOP, "STOP")
    comes(side, START, "START")
    side.clock.at += periods.OUTBOX_RETRY
    due = [one for n in range(4) for one in side.inbox.unsettled(f"words#{n}", side.clock.now())]
    assert [one.contact_id for one in due] == [IDS.of(ASHA)]
    later = side.clock.now() + MINUTE
    assert [side.inbox.postpone_settling(due[0], later) for _ in range(2)] == [True, False]
