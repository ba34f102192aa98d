"""The two sides: what runs a schedule of each, and its deliberate defects."""

from tests.simulation.defects import DEFECTS
from tests.simulation.receiving_defects import DEFECTS as RECEIVING_DEFECTS
from tests.simulation.receiving_run import simulate_receiving
from tests.simulation.run import first_caught, simulate

SIDES = {"send": (simulate, DEFECTS), "receive": (simulate_receiving, RECEIVING_DEFECTS)}
ALL_DEFECTS = DEFECTS | RECEIVING_DEFECTS


def catch(name: str, seed: int, most: int) -> tuple[int, str] | None:
    """After how many schedules a defect is caught, and as what; None if never."""
    one = next(one for one, defects in SIDES.values() if name in defects)
    return first_caught(ALL_DEFECTS[name], seed, most, one)
