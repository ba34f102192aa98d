"""Holds the threads of one sandbox to a pace."""

import threading

from whatsapp.domain import periods
from whatsapp.domain.ports import Clock

BURST = 10
"""One batch of the send queue starts at once; Twilio queues it for as long as it takes."""


class Pace:
    """Lets `per_second` starts through, after a burst of `BURST`."""

    def __init__(self, clock: Clock, per_second: float) -> None:
        self._clock = clock
        self._interval = periods.SECOND / per_second
        self._next = 0.0
        self._waiting = threading.Lock()

    def wait(self) -> None:
        """Return when it is this thread's turn."""
        with self._waiting:
            now = self._clock.now()
            # Unused starts are kept for one burst, and a clock that was set back delays the next by no more than one.
            earliest, latest = now - (BURST - 1) * self._interval, now + BURST * self._interval
            at = min(max(self._next, earliest), latest)
            self._next = at + self._interval
        self._clock.sleep(max(0.0, at - now) / periods.SECOND)
