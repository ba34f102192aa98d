"""The loop that every sweep shares."""

from collections.abc import Callable
from typing import Any

import pytest
from whatsapp.domain.ports import Deadline
from whatsapp.use_cases.sweep import Sweep

from tests.fakes import NOON, FrozenClock


class TwilioDown(Exception):
    """An outage."""


def a_sweep(milliseconds: int = 1_000, clock: FrozenClock | None = None) -> Sweep:
    return Sweep(clock=clock or FrozenClock(), deadline=Deadline(NOON + milliseconds), outages=(TwilioDown,))


def noting(done: list[Any], note: Any = None) -> Callable[[int], bool]:
    """Notes the item, or `note`."""

    def act(item: int) -> bool:
        done.append(note or item)
        return True

    return act


def failing(error: Exception, on: int, done: list[int]) -> Callable[[int], bool]:
    def act(item: int) -> bool:
        if item == on:
            raise error
        done.append(item)
        return True

    return act


def test_every_item_is_acted_on_in_order_and_counted() -> None:
    done: list[int] = []
    assert a_sweep().each([1, 2, 3], lambda item: noting(done)(item) and item != 2, needs=0) == 2
    assert done == [1, 2, 3]


def test_item_that_another_sweep_has_is_left_alone() -> None:
    done: list[int] = []
    assert a_sweep().each([1, 2, 3], noting(done), claim=lambda i: i != 2, needs=0) == 2
    assert done == [1, 3]


@pytest.mark.parametrize(("claimed", "acted_on"), [(True, [1]), (7, [7]), (None, []), (False, [])])
def test_action_takes_the_item_as_its_claim_returned_it(claimed: int | bool | None, acted_on: list[int]) -> None:
    done: list[int] = []
    a_sweep().each([1], noting(done), claim=lambda _: claimed, needs=0)
    assert done == acted_on


def test_item_is_claimed_before_it_is_acted_on() -> None:
    order: list[str] = []
    a_sweep().each([1], noting(order, "act"), claim=noting(order, "claim"), needs=0)
    assert order == ["claim", "act"]


@pytest.mark.parametrize(("needs", "done"), [(1_000, [1]), (1_001, [])])
def test_nothing_is_started_with_too_little_time_left(needs: int, done: list[int]) -> None:
    acted: list[int] = []
    a_sweep(1_000).each([1], noting(acted), needs=needs)
    assert acted == done


def test_time_is_looked_at_before_each_item() -> None:
    clock, done = FrozenClock(), list[int]()

    def slow(item: int) -> bool:
        done.append(item)
        clock.sleep(0.4)
        return True

    a_sweep(1_000, clock).each([1, 2, 3], slow, needs=500)
    assert done == [1, 2]


def test_item_without_time_is_not_claimed() -> None:
    claimed: list[int] = []
    a_sweep(10).each([1], lambda _: True, claim=noting(claimed), needs=11)
    assert claimed == []


def test_error_of_one_item_does_not_stop_the_others_and_is_raised_at_the_end() -> None:
    sweep, done, error = a_sweep(), list[int](), ValueError("one")
    assert sweep.each([1, 2, 3], failing(error, 2, done), needs=0) == 2
    assert done == [1, 3]
    with pytest.raises(ExceptionGroup) as caught:
        sweep.raise_errors("not all of it")
    assert caught.value.exceptions == (error,)


def test_error_while_claiming_is_kept_too() -> None:
    sweep, done = a_sweep(), list[int]()
    sweep.each([1, 2], noting(done), claim=failing(ValueError("one"), 1, []), needs=0)
    assert (done, len(sweep.errors)) == ([2], 1)


def test_outage_is_counted_and_not_raised() -> None:
    sweep, done, error = a_sweep(), list[int](), TwilioDown()
    sweep.each([1, 2], failing(error, 1, done), needs=0)
    sweep.raise_errors("nothing")
    assert (done, sweep.unanswered) == ([2], [error])
