"""The simulation within the test run: two hundred schedules, faults at every call, and defects that must be caught."""

import pytest

from tests.simulation.defects import DEFECTS
from tests.simulation.matrix import run_matrix
from tests.simulation.run import first_caught, simulate, simulate_many

SCHEDULES = 200
PARTS = 4
SOON = {"no-fence": 60, "lock-expires": 20, "resend-on-timeout": 40, "cancel-leaks-the-slot": 60}
"""Defects that are caught early, and within how many schedules."""


@pytest.mark.parametrize("part", range(PARTS))
def test_no_schedule_breaks_a_promise(part: int) -> None:
    count = SCHEDULES // PARTS
    tally = simulate_many(1 + part * count, count)
    assert tally.schedules == count
    assert tally.accepted > count, "the schedules hardly sent anything: this proves little"
    assert not tally.failures, f"replay with: python -m tests.simulation 1 --seed SEED -v\n{tally.failures}"


def test_the_same_seed_is_the_same_schedule() -> None:
    first, again = simulate(62), simulate(62)
    assert (first.calls, first.posts, first.accepted) == (again.calls, again.posts, again.accepted)


@pytest.mark.parametrize("name", SOON)
def test_a_deliberate_defect_is_caught(name: str) -> None:
    assert first_caught(DEFECTS[name], 1, SOON[name]), f"{name} went unnoticed in {SOON[name]} schedules"


def test_one_fault_at_every_port_call_breaks_nothing() -> None:
    matrix = run_matrix(modes_per_call=2, pairs=0.002)
    assert matrix.singles > 150
    assert matrix.pairs > 20
    assert not matrix.failures
