"""An outgoing message's record: its ids, and what its status means."""

from typing import Any

import pytest
from whatsapp.domain import periods
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import (
    MessageIds,
    SendKind,
    continuation_id_of,
    handle_of,
    is_message_id,
    new_attempt_id,
    shard_of,
    shards_of,
)

from tests.unit.sending_kit import HOUR, ID, NOW, SUCCESSOR_ID, message, new

WAITING = {Status.PENDING, Status.DEFERRED, Status.RETRYING}


@pytest.mark.parametrize("status", Status)
def test_what_a_status_means(status: Status) -> None:
    stored = message(status)
    assert stored.is_waiting is (status in WAITING)
    assert stored.holds_slot is (status in {Status.CLAIMED, Status.SENDING, Status.UNKNOWN})
    assert stored.is_in_doubt is (status in {Status.SENDING, Status.UNKNOWN, Status.UNRESOLVED})
    assert stored.may_be_tried(NOW) is (status in WAITING)


@pytest.mark.parametrize(
    ("status", "scheduled_for", "may_be"),
    [
        (Status.RETRYING, None, True),
        (Status.RETRYING, NOW - 1, True),
        (Status.RETRYING, NOW, True),
        (Status.RETRYING, NOW + 1, False),
        (Status.DEFERRED, NOW + 1, True),
        (Status.SENT, NOW, False),
    ],
)
def test_only_a_pause_between_attempts_is_waited_for(status: Status, scheduled_for: int | None, may_be: bool) -> None:
    assert message(status, scheduled_for=scheduled_for).may_be_tried(NOW) is may_be


@pytest.mark.parametrize(
    ("scheduled_for", "due_at", "at"), [(NOW, NOW + HOUR, NOW), (None, NOW + HOUR, NOW + HOUR), (None, None, None)]
)
def test_the_next_try(scheduled_for: int | None, due_at: int | None, at: int | None) -> None:
    assert message(Status.DEFERRED, scheduled_for=scheduled_for, due_at=due_at).next_try_at == at


def test_a_message_is_new_until_it_is_stored() -> None:
    assert new().is_new
    assert not message(Status.PENDING).is_new


def test_an_attempt_holds_the_slot() -> None:
    assert message(attempt="attempt-7").slot_holder == f"{ID}#attempt-7"


def test_ids_are_derived_so_that_only_one_record_can_be_made() -> None:
    assert handle_of("appt-1") == "d6956a58a107a9539e374a9a7c062671"
    assert continuation_id_of(ID) == SUCCESSOR_ID
    assert is_message_id(handle_of("appt-1"))


def test_id_of_a_new_message_needs_the_secret() -> None:
    ids = MessageIds("secret")
    assert ids.of("appt-1") == ids.keyed(handle_of("appt-1")) == MessageIds("secret").of("appt-1")
    assert is_message_id(ids.of("appt-1"))
    different = {ids.of("appt-1"), ids.of("appt-2"), MessageIds("other").of("appt-1"), handle_of("appt-1")}
    assert len(different) == 4
    assert is_message_id(SUCCESSOR_ID)


@pytest.mark.parametrize("text", ["", "a" * 31, "a" * 33, "A" * 32, "g" * 32, "SM" + "1" * 32, "a" * 32 + "\n"])
def test_what_is_no_message_id(text: str) -> None:
    assert not is_message_id(text)


def test_an_attempts_id_is_random() -> None:
    ids = {new_attempt_id() for _ in range(100)}
    assert len(ids) == 100
    assert {len(one) for one in ids} == {12}


@pytest.mark.parametrize(
    ("contact_id", "shard"), [("00000000f", "send#0"), ("00000005f", "send#1"), ("ffffffff0", "send#3")]
)
def test_a_shard_is_of_a_contact(contact_id: str, shard: str) -> None:
    assert shard_of("send", contact_id) == shard


REPLY = SendKind.REPLY


@pytest.mark.parametrize(
    ("status", "fields", "shard"),
    [
        (Status.PENDING, {}, "send#3"),
        (Status.DEFERRED, {"expires_at": NOW + periods.URGENT + 1}, "send#3"),
        (Status.DEFERRED, {"expires_at": NOW + periods.URGENT}, "urgent#3"),
        (Status.DEFERRED, {"expires_at": NOW - 1}, "urgent#3"),
        (Status.RETRYING, {"kind": REPLY}, "urgent#3"),
        (Status.DEFERRED, {"priority": "urgent"}, "urgent#3"),
        (Status.SENT, {"priority": "urgent"}, "send#3"),
        (Status.DEFERRED, {"priority": "low", "expires_at": NOW + periods.URGENT}, "send#3"),
        (Status.RETRYING, {"priority": "low", "kind": REPLY}, "urgent#3"),
        # What holds its contact's slot keeps the contact's other messages waiting.
        *((status, {}, "urgent#3") for status in (Status.CLAIMED, Status.SENDING, Status.UNKNOWN)),
        # Something is left in the outbox.
        *((status, {"kind": REPLY, "expires_at": NOW}, "send#3") for status in (Status.UNRESOLVED, Status.FAILED)),
    ],
)
def test_what_cannot_wait_has_shards_of_its_own(status: Status, fields: dict[str, Any], shard: str) -> None:
    assert message(status, due_at=NOW, **fields).sweep_shard == shard


@pytest.mark.parametrize(("given", "shards"), [("", 4), ("16", 16), ("2", 4), ("many", 4)])
def test_what_waits_is_spread_over_as_many_shards_as_the_deployment_says(
    given: str, shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUE_SHARDS", given)
    assert shards_of("send") == [f"send#{number}" for number in range(shards)]
    assert shard_of("send", "ffffffff") == f"send#{0xFFFFFFFF % shards}"
