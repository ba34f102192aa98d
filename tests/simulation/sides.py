"""What a run plays: what runs one schedule of each side, and its deliberate defects."""

from contextlib import nullcontext

from tests.simulation.defects import DEFECTS, Defect
from tests.simulation.receiving_defects import DEFECTS as RECEIVING_DEFECTS
from tests.simulation.receiving_run import simulate_receiving
from tests.simulation.restoring import RestoringWorld
from tests.simulation.run import Tally, first_caught, simulate, tally_of


def simulate_restoring(seed: int, defect: Defect | None = None, *, verbose: bool = False) -> Tally:
    """Run and judge one schedule with a restore."""
    one = RestoringWorld(seed)
    one.world.verbose = verbose
    with defect.present() if defect else nullcontext():
        one.play()
    return tally_of(seed, one.world, list(one.violations()))


SIDES = {
    "send": (simulate, DEFECTS),
    "receive": (simulate_receiving, RECEIVING_DEFECTS),
    "restore": (simulate_restoring, dict[str, Defect]()),
}
ALL_DEFECTS = DEFECTS | RECEIVING_DEFECTS


def catch(name: str, seed: int, most: int) -> tuple[int, str] | None:
    """After how many schedules a defect is caught, and as what; None if never."""
    one = next(one for one, defects in SIDES.values() if name in defects)
    return first_caught(ALL_DEFECTS[name], seed, most, one)
