"""Runs one schedule of the receive side; `run` runs many, as it does the send side's."""

from collections import Counter
from contextlib import nullcontext

from tests.simulation.defects import Defect
from tests.simulation.receiving_schedules import judge_receiving, populate_receiving, random_receiving_world
from tests.simulation.run import Tally


def simulate_receiving(seed: int, defect: Defect | None = None, *, verbose: bool = False) -> Tally:
    """Run and judge one schedule."""
    with defect.present() if defect else nullcontext(), random_receiving_world(seed).installed() as world:
        world.verbose = verbose
        populate_receiving(world)
        world.run()
        violations = judge_receiving(world)
    return Tally(
        schedules=1,
        calls=len(world.faults.calls),
        posts=len(world.twilio.posts),
        accepted=len(world.twilio.ledger),
        written=len(world.received.written),
        failures=[(seed, [str(v) for v in violations])] if violations else [],
        kinds=Counter(v.kind for v in violations),
    )
