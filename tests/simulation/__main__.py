"""`python -m tests.simulation N [--seed S]`: random schedules against the product, judged by Twilio's ledger."""

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.simulation.referee import KINDS, judge
from tests.simulation.schedules import populate, random_world

os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
CHUNK = 25


@dataclass
class Tally:
    """What some schedules came to."""

    schedules: int = 0
    calls: int = 0
    posts: int = 0
    accepted: int = 0
    failures: list[tuple[int, list[str]]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Sum up."""
        self.schedules += other.schedules
        self.calls += other.calls
        self.posts += other.posts
        self.accepted += other.accepted
        self.failures += other.failures
        self.kinds += other.kinds


def simulate(seed: int, tally: Tally) -> None:
    """Run and judge one schedule."""
    with random_world(seed).installed() as world:
        populate(world)
        world.run()
        violations = judge(world)
    tally.schedules += 1
    tally.calls += len(world.faults.calls)
    tally.posts += len(world.twilio.posts)
    tally.accepted += len(world.twilio.ledger)
    if violations:
        tally.failures.append((seed, [str(v) for v in violations]))
        tally.kinds.update({v.kind for v in violations})


def simulate_many(seeds: range) -> Tally:
    """Run and judge some schedules."""
    tally = Tally()
    for seed in seeds:
        simulate(seed, tally)
    return tally


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("schedules", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    began, tally = time.monotonic(), Tally()
    tally = simulate_many(range(args.seed, args.seed + args.schedules))
    seconds = time.monotonic() - began
    for seed, violations in tally.failures[:20]:
        print(f"seed {seed}: " + "; ".join(violations[:4]))
    print(tally.kinds, len(tally.failures), f"{tally.schedules/seconds:.1f}/s calls {tally.calls} posts {tally.posts}")
