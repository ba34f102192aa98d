"""The minute's task of the webhook function: messages not yet published, callbacks not yet applied."""

from functools import partial
from typing import Any

import pytest
from whatsapp.adapters.dynamodb.client import Change
from whatsapp.adapters.dynamodb.items import message_key
from whatsapp.domain import periods
from whatsapp.domain.ports import Deadline, StatusUpdate

from tests.unit.receive_kit import MESSAGES, Receiving, sid


def test_record_from_before_the_sender_was_kept_has_none(side: Receiving) -> None:
    side.bus.down = True
    side.receive_message(side.form(1))
    side.db.write(Change(table=MESSAGES, key=message_key(sid(1)), set={"to": None}))
    side.bus.down = False
    side.clock.sleep(periods.OUTBOX_RETRY / 1000)
    side.publish_waiting(side.deadline)
    assert [event.to for event in side.published()] == [None]


def test_sweep_publishes_what_the_bus_did_not_take_in_any_number(
    side: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side.db, "query", partial(side.db.query, limit=3))
    side.bus.down = True
    for number in range(8):
        side.receive_message(side.form(number))
    side.clock.sleep(periods.OUTBOX_RETRY / 1000)
    assert side.publish_waiting(side.deadline)["published"] == 0
    side.bus.down = False
    assert side.publish_waiting(side.deadline)["published"] == 0  # booked: they wait for their minute
    side.clock.sleep(periods.OUTBOX_RETRY / 1000)
    assert side.publish_waiting(side.deadline)["published"] == 8
    assert {event.event_id for event in side.published()} == {sid(number) for number in range(8)}
    assert side.publish_waiting(side.deadline)["published"] == 0


def test_two_sweeps_at_once_publish_once(side: Receiving) -> None:
    side.bus.down = True
    side.receive_message(side.form(1))
    side.bus.down = False
    side.clock.sleep(periods.OUTBOX_RETRY / 1000)
    shard = str(side.item(sid(1))["due_shard"])
    seen_by_both = next(side.inbox.due(shard, side.clock.now()))
    booked = [side.inbox.postpone(seen_by_both, side.clock.now() + periods.OUTBOX_RETRY) for _ in range(2)]
    assert booked == [True, False]


def test_sweep_is_not_stopped_by_one_that_goes_wrong(side: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    side.bus.down = True
    for number in range(3):
        side.receive_message(side.form(number))
    side.bus.down = False
    side.clock.sleep(periods.OUTBOX_RETRY / 1000)
    real = side.inbox.record_published

    def published(inbound: Any, now: int) -> None:
        if inbound.message_id == sid(1):
            raise RuntimeError("a bug")
        real(inbound, now)

    monkeypatch.setattr(side.inbox, "record_published", published)
    with pytest.raises(ExceptionGroup):
        side.publish_waiting(side.deadline)
    assert [number for number in range(3) if "due_at" in side.item(sid(number))] == [1]


def test_callback_that_was_stored_and_not_applied_is_finished_once(side: Receiving) -> None:
    """The webhook died between the two."""
    ours = side.outgoing("ours")
    update = StatusUpdate(message_id=ours.message_id, attempt="a" * 12, twilio_sid=ours.twilio_sid or "", status="read")
    assert side.callbacks.put(update, side.clock.now())
    assert side.publish_waiting(side.deadline) == {"published": 0, "finished": 0}  # the webhook may still be at work
    side.clock.sleep(periods.OUTBOX_RETRY / 1000)
    assert side.publish_waiting(side.deadline) == {"published": 0, "finished": 1}
    assert side.item(ours.message_id)["status"] == "read"
    assert side.publish_waiting(side.deadline) == {"published": 0, "finished": 0}


def test_nothing_is_started_without_time_for_it(side: Receiving) -> None:
    side.bus.down = True
    side.receive_message(side.form(1))
    side.bus.down = False
    side.clock.sleep(periods.OUTBOX_RETRY / 1000)
    short = Deadline(side.clock.now() + periods.SWEEP_NEEDS - 1)
    assert side.publish_waiting(short) == {"published": 0, "finished": 0}
    assert side.publish_waiting(side.deadline) == {"published": 1, "finished": 0}
