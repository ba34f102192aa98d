"""The simulation within the test run: two hundred schedules, faults at every call, and defects that must be caught."""

import subprocess
import sys

import pytest

from tests.simulation.__main__ import main
from tests.simulation.defects import DEFECTS
from tests.simulation.matrix import SCENARIOS, pairs, play_all, singles
from tests.simulation.run import first_caught, simulate, simulate_many
from tests.simulation.sides import ALL_DEFECTS

SCHEDULES = 200
PARTS = 4
SOON = {
    "no-fence": 60,
    "lock-expires": 20,
    "resend-on-timeout": 40,
    "first-wording-is-noted": 60,
    "cancel-leaks-the-slot": 60,
    "late-nudge-sends-again": 60,
    "queue-has-its-own-keys": 20,
    "erasure-of-the-row-alone": 40,
    "refused-token-fails": 60,
    "paused-template-fails": 60,
}
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


def test_the_table_of_defects_names_each() -> None:
    command = [sys.executable, "-m", "tests.simulation", "1", "--defects"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = told.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == list(ALL_DEFECTS), told.stderr
    assert lines[-1].startswith(f"defects: {len(ALL_DEFECTS)}, ")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_fault_at_any_port_call_breaks_nothing(scenario: str) -> None:
    every = [case for case in singles() if case[0] == scenario]
    assert len(every) > 50
    assert not play_all(every)


def test_two_faults_break_nothing() -> None:
    some = pairs(share=0.001)
    assert len(some) > 30
    assert not play_all(some)


@pytest.mark.parametrize("schedules", ["0", "-1", "many"])
def test_no_schedule_at_all_is_an_error(schedules: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--", schedules])
    assert f"N={schedules} is no number of schedules: say 1 or more" in capsys.readouterr().err
