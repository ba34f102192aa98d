"""The pace of one sandbox's threads."""

import pytest
from whatsapp.use_cases.pace import Pace

from tests.fakes import NOON, FrozenClock


def starts(clock: FrozenClock, pace: Pace, number: int) -> list[int]:
    """When each of so many starts is let through, in ms after noon."""
    at = []
    for _ in range(number):
        pace.wait()
        at.append(clock.now() - NOON)
    return at


def test_a_batch_starts_at_once_and_what_follows_keeps_the_pace() -> None:
    clock = FrozenClock()
    assert starts(clock, Pace(clock, 20), 14) == [0] * 10 + [50, 100, 150, 200]


def test_in_the_long_run_there_are_no_more_than_the_pace_allows() -> None:
    clock = FrozenClock()
    last = starts(clock, Pace(clock, 20), 210)[-1]
    assert last == 10_000


@pytest.mark.parametrize(("idle_ms", "at_once"), [(100, 2), (450, 9), (500, 10), (60_000, 10)])
def test_what_was_not_used_counts_for_one_burst_at_most(idle_ms: int, at_once: int) -> None:
    clock = FrozenClock()
    pace = Pace(clock, 20)
    starts(clock, pace, 10)
    clock.at += idle_ms
    assert starts(clock, pace, 12).count(idle_ms) == at_once


def test_clock_that_is_set_back_holds_nobody_for_long() -> None:
    clock = FrozenClock()
    pace = Pace(clock, 20)
    starts(clock, pace, 10)
    clock.at -= 600_000
    assert starts(clock, pace, 1) == [-600_000 + 500]
