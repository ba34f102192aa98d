"""Runs one schedule of the receive side, which `run` does many times; and strikes every port call of a small one."""

import random
from collections.abc import Mapping
from contextlib import nullcontext

from tests.simulation.defects import Defect
from tests.simulation.faults import CALM, Mode
from tests.simulation.hub import MINUTE
from tests.simulation.matrix import MODES
from tests.simulation.receiving import ReceivingWorld, Written
from tests.simulation.receiving_schedules import judge_receiving, populate_receiving, random_receiving_world
from tests.simulation.run import Tally, tally_of
from tests.simulation.world import START


def simulate_receiving(seed: int, defect: Defect | None = None, *, verbose: bool = False) -> Tally:
    """Run and judge one schedule."""
    with defect.present() if defect else nullcontext(), random_receiving_world(seed).installed() as world:
        world.verbose = verbose
        populate_receiving(world)
        world.run()
        violations = judge_receiving(world)
    return tally_of(seed, world, violations, written=len(world.received.written))


def strike_every_call(modes_per_call: int) -> tuple[int, list[str]]:
    """One fault at every port call of a small day, in so many of the ways; how many were tried, and what was wrong."""
    rng = random.Random(7)
    tried, wrong = 0, []
    for call in range(len(_small_day({})[0].faults.calls)):
        for mode in rng.sample(MODES, modes_per_call):
            world, violations = _small_day({call: mode})
            wrong += [f"{mode} {world.faults.calls[call]} (call {call}): {violation}" for violation in violations]
            tried += 1
    return tried, wrong


def _small_day(script: Mapping[int, Mode]) -> tuple[ReceivingWorld, list[str]]:
    """A picture, a STOP, a message whose webhook never comes, and a person who is erased."""
    with ReceivingWorld(1, CALM, script=script).installed() as world:
        picture = Written(sid=f"MM{1:032x}", address="+919800000000", at=START, media=1)
        stop = Written(sid=f"SM{2:032x}", address="+919800000000", at=START + 3 * MINUTE, text="STOP")
        lost = Written(sid=f"SM{3:032x}", address="+919800000001", at=START + MINUTE, text="hello")
        world.write(picture)
        world.hub.at(stop.at, lambda: world.write(stop))
        world.hub.at(lost.at, lambda: world.received.written.append(lost))
        world.hub.at(START + 12 * MINUTE, lambda: world.erase(lost.address))
        world.reconcile_until(START + 20 * MINUTE)
        world.run()
        return world, [str(violation) for violation in judge_receiving(world)]
