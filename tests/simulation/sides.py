"""What a run plays: what runs one schedule of each side, and its deliberate defects."""

from collections import Counter
from contextlib import nullcontext

from tests.simulation.case import KINDS, WRONG
from tests.simulation.defects import DEFECTS, Defect
from tests.simulation.receiving_defects import DEFECTS as RECEIVING_DEFECTS
from tests.simulation.receiving_run import simulate_receiving
from tests.simulation.restoring import RestoringWorld
from tests.simulation.run import Tally, first_caught, simulate


def simulate_restoring(seed: int, defect: Defect | None = None, *, verbose: bool = False) -> Tally:
    """Run and judge one schedule with a restore."""
    one = RestoringWorld(seed)
    one.world.verbose = verbose
    with defect.present() if defect else nullcontext():
        one.play()
        violations = [*one.violations(), *one.world.unexpected]
    kinds = [violation.split(":")[0] for violation in violations]
    return Tally(
        schedules=1,
        calls=len(one.world.faults.calls),
        posts=len(one.world.twilio.posts),
        accepted=len(one.world.twilio.ledger),
        failures=[(seed, violations)] if violations else [],
        kinds=Counter(kind if kind in KINDS else WRONG for kind in kinds),
        met=Counter({*one.world.faults.met, f"restore of {' and '.join(one.restored)}"}),
    )


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
