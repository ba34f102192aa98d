"""When each of a contact's waiting messages can go."""

from collections.abc import Sequence
from datetime import time
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whatsapp.domain.errors import Failure
from whatsapp.domain.schedule import QuietHours
from whatsapp.domain.sending.before_claim import defer
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.transition import Transition
from whatsapp.domain.sending.turns import by_turn, in_turn

from tests.unit.sending_kit import EVENT, HOUR, MINUTE, NOW, SECOND, contact, message, new

QUIET = QuietHours(time(14, 0), time(18, 0), ZoneInfo("Asia/Kolkata"))
"""`NOW` is 12:30 in India: from an hour and a half until five and a half hours after it."""
LIMITED = Failure(code="rate_limited", detail="later")
OPENS = NOW + 30 * MINUTE


def waits(name: str, **values: Any) -> Message:
    """Another message of the contact, deferred until the slot opens."""
    return message(**{"status": Status.DEFERRED, "message_id": name, "scheduled_for": OPENS, "due_at": OPENS, **values})


def held(own: Message, at: int = OPENS) -> Transition:
    return defer(own, at, NOW, error=LIMITED)


def turns_of(
    own: Message, *others: Message, quiet: QuietHours | None = None, exempt: Sequence[str] = (), **of_contact: Any
) -> dict[str, int]:
    """What is told of each: its time after `NOW`."""
    taken = in_turn(
        held(own),
        others,
        contact(**(of_contact or {"next_allowed_at": OPENS})),
        HOUR,
        lambda m: None if m.message_id in exempt else quiet,
        NOW,
    )
    return {t.before.message_id: (t.after.scheduled_for or 0) - NOW for t in taken}


def test_a_message_alone_goes_when_the_slot_opens() -> None:
    own = new(expires_at=NOW + HOUR)
    assert in_turn(held(own), [], contact(next_allowed_at=OPENS), HOUR, lambda _: None, NOW) == [held(own)]


def test_a_message_goes_after_those_that_expire_first_and_is_still_looked_at_when_the_slot_opens() -> None:
    """Those before it may be canceled."""
    own = new(expires_at=NOW + 3 * HOUR)
    before = [waits("1", expires_at=NOW + HOUR), waits("2", expires_at=NOW + 2 * HOUR, scheduled_for=OPENS + HOUR)]
    (only,) = in_turn(held(own), before, contact(next_allowed_at=OPENS), HOUR, lambda _: None, NOW)
    assert (only.after.scheduled_for, only.next_due, only.after.error) == (OPENS + 2 * HOUR, OPENS, LIMITED)


@pytest.mark.parametrize(
    ("own", "others", "told"),
    [
        # The one that expires first goes first; then the one that was asked for first.
        (new(), [waits("1")], {"own": 90}),
        (new(expires_at=NOW + 5 * HOUR), [waits("1")], {"own": 30, "1": 90}),
        (new(expires_at=NOW + 5 * HOUR), [waits("1", expires_at=NOW + 4 * HOUR)], {"own": 90}),
        (new(expires_at=NOW + 4 * HOUR), [waits("1", expires_at=NOW + 5 * HOUR)], {"own": 30, "1": 90}),
        # But before that it goes by priority.
        (new(priority="urgent"), [waits("1", expires_at=NOW + HOUR)], {"own": 30, "1": 90}),
        (new(expires_at=NOW + 4 * HOUR), [waits("1", priority="urgent")], {"own": 90}),
        (new(priority="low", expires_at=NOW + 4 * HOUR), [waits("1")], {"own": 90}),
        (new(), [waits("1", priority="low", expires_at=NOW + 4 * HOUR)], {"own": 30, "1": 90}),
        (new(priority="urgent", send_at=OPENS + HOUR), [waits("1", priority="low")], {"own": 90}),
        # Whoever stays where it was is not told anew.
        (new(), [waits("1"), waits("2", scheduled_for=OPENS + HOUR)], {"own": 150}),
        (new(), [waits("1"), waits("2", scheduled_for=OPENS + HOUR - MINUTE)], {"own": 150}),
        (new(), [waits("1"), waits("2", scheduled_for=OPENS + HOUR - MINUTE - 1)], {"own": 150, "2": 90}),
        (new(), [waits("1", scheduled_for=OPENS + 3 * HOUR)], {"own": 90}),
        # But by however little it moves, if it will expire now.
        (new(), [waits("1", scheduled_for=OPENS - SECOND, expires_at=OPENS)], {"own": 30, "1": 30}),
        (new(), [waits("1", scheduled_for=OPENS - SECOND, expires_at=OPENS + 1)], {"own": 90}),
        # What expires before its turn takes nobody's.
        (new(), [waits("1", expires_at=OPENS)], {"own": 30}),
        (new(), [waits("1", expires_at=OPENS + 1), waits("2", expires_at=OPENS + HOUR)], {"own": 90, "2": 90}),
        # What may not go yet leaves the turn to others.
        (
            new(),
            [waits("1", send_at=OPENS + HOUR, scheduled_for=OPENS + HOUR)],
            {
                "own": 30,
            },
        ),
        (new(), [waits("1", send_at=OPENS + 1, scheduled_for=OPENS + 1)], {"own": 30, "1": 90}),
        (new(send_at=OPENS + HOUR), [waits("1")], {"own": 90}),
        (new(send_at=OPENS + 2 * HOUR), [waits("1")], {"own": 150}),
        (new(send_at=OPENS + HOUR), [waits("1"), waits("2", scheduled_for=OPENS + HOUR)], {"own": 150}),
        # Those that are not deferred have their turn, and are told nothing.
        (new(), [waits("1", status=Status.PENDING, scheduled_for=None)], {"own": 90}),
        (new(expires_at=NOW + HOUR), [waits("1", status=Status.PENDING, scheduled_for=None)], {"own": 30}),
        (new(), [waits("1", status=Status.RETRYING, scheduled_for=NOW)], {"own": 90}),
        (new(), [waits("1", status=Status.RETRYING, scheduled_for=OPENS + HOUR)], {"own": 30}),
        (new(expires_at=NOW + HOUR), [waits("1", status=Status.RETRYING, scheduled_for=NOW)], {"own": 30}),
        # Its own earlier record is not another message.
        (waits("own"), [waits("own"), waits("1", created_at=NOW)], {"own": 30, "1": 90}),
    ],
)
def test_one_in_each_hour(own: Message, others: list[Message], told: dict[str, int]) -> None:
    """In minutes from now; the slot opens in 30. Only what has changed is told."""
    own = message(**{**_values(own), "message_id": "own"})
    assert turns_of(own, *others) == {name: minutes * MINUTE for name, minutes in told.items()}


def _values(of: Message) -> dict[str, Any]:
    return {name: getattr(of, name) for name in of.__slots__}


@pytest.mark.parametrize(
    ("of_contact", "opens"),
    [
        ({"last_inbound_at": 1}, 0),
        ({"next_allowed_at": NOW - HOUR}, 0),
        ({"next_allowed_at": OPENS}, 30 * MINUTE),
        ({"inflight": "x#1", "inflight_at": NOW - 20 * MINUTE}, 40 * MINUTE),
        ({"inflight": "x#1", "inflight_at": NOW - 2 * HOUR}, HOUR),  # its doubt ends after three
    ],
)
def test_the_first_goes_when_the_slot_opens(of_contact: dict[str, Any], opens: int) -> None:
    assert turns_of(new(message_id="own"), waits("1"), **of_contact)["own"] == opens + HOUR


def test_a_turn_in_quiet_hours_waits_for_their_end() -> None:
    first = waits("1")
    assert turns_of(new(message_id="own"), first, quiet=QUIET) == {"own": 5 * HOUR + 30 * MINUTE}
    assert turns_of(new(message_id="own"), first, quiet=QUIET, exempt=["own"]) == {"own": 90 * MINUTE}
    asleep = waits("2", scheduled_for=NOW + 5 * HOUR + 30 * MINUTE)
    assert turns_of(new(message_id="own"), first, asleep, quiet=QUIET, exempt=["own"]) == {"own": 90 * MINUTE}


def test_whom_it_overtakes_is_told_and_keeps_its_next_look() -> None:
    other = waits("1", due_at=OPENS + 1, error=LIMITED, expires_at=OPENS + HOUR)
    _, moved = in_turn(
        held(new(expires_at=OPENS + 1)), [other], contact(next_allowed_at=OPENS), HOUR, lambda _: None, NOW
    )
    assert moved == defer(other, OPENS + HOUR, NOW, look_at=OPENS + 1)
    assert (moved.before, moved.after.outbox, moved.after.error) == (other, EVENT, LIMITED)


times = st.integers(0, 6 * 60).map(lambda minutes: NOW + minutes * MINUTE)
perhaps = st.none() | times


@given(
    st.lists(st.tuples(perhaps, perhaps, st.booleans()), min_size=1, max_size=6),
    st.booleans(),
    times,
)
def test_no_two_messages_have_the_same_hour(
    drawn: list[tuple[int | None, int | None, bool]], quiet: bool, opens: int
) -> None:
    waiting = [
        waits(str(n), expires_at=expires, send_at=send, scheduled_for=0 if n else None)
        for n, (expires, send, _) in enumerate(drawn)
    ]
    exempt = [str(n) for n, (_, _, is_exempt) in enumerate(drawn) if is_exempt]
    turns = turns_of(*waiting, quiet=QUIET if quiet else None, exempt=exempt, next_allowed_at=opens)
    assert turns.keys() == {m.message_id for m in waiting}
    for one in waiting:
        at = NOW + turns[one.message_id]
        assert at >= max(opens, one.send_at or 0)
        assert not quiet or one.message_id in exempt or QUIET.ends_after(at) == at
    going = [m for m in waiting if m.expires_at is None or m.expires_at > NOW + turns[m.message_id]]
    hours = sorted(turns[m.message_id] for m in going)
    assert all(later - earlier >= HOUR for earlier, later in pairwise(hours))


def test_the_order_of_turns_by_priority() -> None:
    urgent, normal, low = (
        waits("1", priority="urgent"),
        waits("2", expires_at=NOW + HOUR),
        waits("3", priority="low", expires_at=NOW),
    )
    assert sorted([low, normal, urgent], key=by_turn) == [urgent, normal, low]


def test_the_order_of_turns() -> None:
    first, second, third, fourth, fifth = (
        waits("9", expires_at=NOW, created_at=3),
        waits("8", expires_at=NOW + 1, created_at=1),
        waits("7", expires_at=NOW + 1, created_at=2),
        waits("5", created_at=1),
        waits("6", created_at=1),
    )
    assert sorted([fifth, third, first, fourth, second], key=by_turn) == [first, second, third, fourth, fifth]
