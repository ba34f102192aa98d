"""Runs schedules and sums up what the referee says."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import repeat
from multiprocessing import get_context

from tests.simulation.case import DUPLICATE, LOST, RATE, STUCK, SURPRISE, WRONG, Violation
from tests.simulation.defects import Defect
from tests.simulation.lambdas import Lambdas
from tests.simulation.referee import judge
from tests.simulation.schedules import populate, random_world

SHOWN = 20
CHUNK = 25


@dataclass
class Tally:
    """What some schedules came to."""

    schedules: int = 0
    calls: int = 0
    posts: int = 0
    accepted: int = 0
    written: int = 0
    """Messages that patients wrote."""
    failures: list[tuple[int, list[str]]] = field(default_factory=list)
    """Seeds, and what was wrong."""
    kinds: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    """In how many schedules each kind of fault was met."""

    def add(self, other: "Tally") -> None:
        """Sum up."""
        self.schedules += other.schedules
        self.calls += other.calls
        self.posts += other.posts
        self.accepted += other.accepted
        self.written += other.written
        self.failures += other.failures
        self.kinds += other.kinds
        self.met += other.met

    def counts(self) -> str:
        """Every kind of violation with its number."""
        k = self.kinds
        return (
            f"{k[WRONG]} wrong, {k[DUPLICATE]} duplicates, {k[RATE]} rate violations, {k[LOST]} lost, {k[STUCK]} stuck"
        )


def simulate(seed: int, defect: Defect | None = None, *, verbose: bool = False) -> Tally:
    """Run and judge one schedule."""
    with defect.present() if defect else nullcontext(), random_world(seed).installed() as world:
        world.verbose = verbose
        populate(world)
        world.run()
        violations = judge(world)
    return tally_of(seed, world, violations)


def tally_of(seed: int, world: Lambdas, violations: Sequence[Violation], written: int = 0) -> Tally:
    """One schedule's. `written`: messages that patients wrote."""
    return Tally(
        schedules=1,
        calls=len(world.faults.calls),
        posts=len(world.twilio.posts),
        accepted=len(world.twilio.ledger),
        written=written,
        failures=[(seed, [str(v) for v in violations])] if violations else [],
        kinds=Counter(v.kind for v in violations),
        met=Counter(world.faults.met),
    )


def simulate_many(first: int, count: int, one: Callable[[int], Tally] = simulate) -> Tally:
    """Run and judge some schedules, one after the other."""
    tally = Tally()
    for seed in range(first, first + count):
        tally.add(one(seed))
    return tally


def simulate_in_processes(first: int, count: int, processes: int, one: Callable[[int], Tally] = simulate) -> Tally:
    """The same, side by side."""
    tally = Tally()
    starts = range(first, first + count, CHUNK)
    sizes = [min(CHUNK, first + count - start) for start in starts]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for part in pool.map(simulate_many, starts, sizes, repeat(one)):
            tally.add(part)
    return tally


def first_caught(
    defect: Defect, first: int, most: int, one: Callable[[int, Defect], Tally] = simulate
) -> tuple[int, str] | None:
    """After how many schedules a defect is caught, and as what; None if never.

    An exception does not count: it is a defect that does not fit the code any more.
    """
    for seed in range(first, first + most):
        for _, violations in one(seed, defect).failures:
            if broken := next((violation for violation in violations if SURPRISE not in violation), None):
                return seed - first + 1, broken
    return None
