"""The minute's task of the webhook function: messages not yet published, callbacks not yet applied."""

from functools import partial
from typing import Any

import pytest
from whatsapp.adapters.dynamodb.client import Change
from whatsapp.adapters.dynamodb.items import message_key
from whatsapp.domain import periods
from whatsapp.domain.ports import Deadline, StatusUpdate
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message

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
    assert side.publish_waiting(side.deadline)["published"] == 0  # postponed for a minute
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
    postponed = [side.inbox.postpone(seen_by_both, side.clock.now() + periods.OUTBOX_RETRY) for _ in range(2)]
    assert postponed == [True, False]


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


def callback_waits(side: Receiving, key: str, **fields: Any) -> Message:
    """A status callback was stored, and its worker died before it was applied."""
    message = side.outgoing(key)
    values = {"attempt": message.attempt or "", "twilio_sid": message.twilio_sid or "", "status": "delivered"}
    side.callbacks.put(StatusUpdate(message_id=message.message_id, **{**values, **fields}), side.clock.now())
    return message


def test_sweep_finishes_half_processed_callbacks_after_a_minute(side: Receiving) -> None:
    message = callback_waits(side, "asked")
    callback_waits(side, "other", twilio_sid=sid(9))  # of another message: it stays stored, and is done with
    side.clock.at += periods.OUTBOX_RETRY - 1
    assert side.publish_waiting(side.deadline) == {"published": 0, "finished": 0}
    side.clock.at += 1
    assert side.publish_waiting(side.deadline) == {"published": 0, "finished": 2}
    assert side.publish_waiting(side.deadline) == {"published": 0, "finished": 0}
    stored = side.messages.get(message.message_id)
    assert stored is not None
    assert stored.status is Status.DELIVERED


def test_sweep_starts_nothing_with_too_little_time_left(side: Receiving) -> None:
    side.bus.down = True
    side.receive_message(side.form(1))
    callback_waits(side, "asked")
    side.bus.down = False
    side.clock.sleep(periods.OUTBOX_RETRY / 1000)
    short = Deadline(side.clock.now() + periods.SWEEP_NEEDS - 1)
    assert side.publish_waiting(short) == {"published": 0, "finished": 0}
    enough = Deadline(side.clock.now() + periods.SWEEP_NEEDS)
    assert side.publish_waiting(enough) == {"published": 1, "finished": 1}
