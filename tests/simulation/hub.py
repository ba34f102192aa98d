"""Virtual time. Workers run one at a time and hand over at every port call; the clock jumps to whatever is due next.

A worker is a greenlet: the product's own code, unchanged, runs in it. Which worker goes on when is decided by the
latencies alone, and those come from the schedule's seed: the same seed is the same run, to the last step.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from greenlet import getcurrent, greenlet

MINUTE = 60_000
HOUR = 60 * MINUTE


class Crash(BaseException):
    """The worker's process ended here. No `except Exception` of the product sees it, as none would see a real one."""


@dataclass(eq=False, slots=True)
class Worker:
    """One invocation of a function. Times are virtual epoch milliseconds."""

    name: str
    number: int
    sandbox: Any
    dies_at: int
    """When Lambda ends it, whatever it is doing."""
    calls_left: int | None = None
    """After how many port calls it crashes; None if it does not."""
    stall: int = 0
    """How long its next port call takes on top: for whatever the schedule wants to happen meanwhile."""
    thread: greenlet = field(init=False)


class Hub:
    """The clock, what is to happen, and who runs."""

    def __init__(self, start: int) -> None:
        self.now = start
        self.current: Worker | None = None
        self._due: list[tuple[int, int, Callable[[], object]]] = []
        self._count = 0
        self._home = getcurrent()

    def at(self, when: int, action: Callable[[], object]) -> None:
        """Have something happen at a time, or now if that has passed."""
        self._count += 1
        heapq.heappush(self._due, (max(when, self.now), self._count, action))

    def start(self, worker: Worker, work: Callable[[], None]) -> None:
        """Run a worker until it first hands over."""
        worker.thread = greenlet(work, self._home)
        self._resume(worker)

    def pause(self, milliseconds: int) -> None:
        """Let time pass for the running worker, and others run meanwhile.

        Raises:
            Crash: its invocation's time is up.
        """
        worker = self.current
        assert worker is not None, "only workers wait"
        wake = min(self.now + milliseconds, worker.dies_at)
        if self._due and self._due[0][0] <= wake:
            self.at(wake, lambda: self._resume(worker))
            self._home.switch()
        else:
            self.now = wake
        if self.now >= worker.dies_at:
            raise Crash(f"{worker.name} ran out of time")

    @property
    def next_at(self) -> int | None:
        """When the next thing happens."""
        return self._due[0][0] if self._due else None

    def step(self) -> None:
        """Jump to the next thing and do it."""
        self.now, _, action = heapq.heappop(self._due)
        action()

    def _resume(self, worker: Worker) -> None:
        self.current = worker
        worker.thread.switch()
        self.current = None
