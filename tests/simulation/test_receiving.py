"""The receive side of the simulation within the test run: schedules of faults, and defects that must be caught."""

import pytest

from tests.simulation.receiving_defects import DEFECTS
from tests.simulation.receiving_run import simulate_receiving, strike_every_call
from tests.simulation.run import first_caught, simulate_many

SCHEDULES = 30
SOON = 40
"""Within how many schedules a defect is caught; those that take longer, `--defects` catches."""
LATER = {"media-told-too-soon", "status-goes-back"}


def test_no_schedule_breaks_a_promise() -> None:
    tally = simulate_many(1, SCHEDULES, simulate_receiving)
    assert tally.written > 3 * SCHEDULES, "patients hardly wrote anything: this proves little"
    assert not tally.failures, (
        f"replay with: python -m tests.simulation 1 --side receive --seed SEED -v\n{tally.failures}"
    )


def test_the_same_seed_is_the_same_schedule() -> None:
    first, again = simulate_receiving(7), simulate_receiving(7)
    assert (first.calls, first.written, first.accepted) == (again.calls, again.written, again.accepted)


@pytest.mark.parametrize("name", [name for name in DEFECTS if name not in LATER])
def test_a_deliberate_defect_is_caught(name: str) -> None:
    assert first_caught(DEFECTS[name], 1, SOON, simulate_receiving), f"{name} went unnoticed in {SOON} schedules"


def test_one_fault_at_every_port_call_breaks_nothing() -> None:
    tried, wrong = strike_every_call(modes_per_call=1)
    assert tried > 80
    assert not wrong
