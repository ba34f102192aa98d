"""What goes wrong, and when: at random by a seed, or exactly where the crash matrix says."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Mode(StrEnum):
    """What befalls one port call."""

    BEFORE = "before"
    """The worker crashes before the call has any effect."""
    AFTER = "after"
    """It has its effect; the worker crashes before it learns of it."""
    LOST = "lost"
    """It has its effect, and the reply is lost: an SDK tries again, or gives up, as its kind does."""
    KILL = "kill"
    """It has its effect; the worker hangs and is killed when its time is up."""
    REFUSED = "refused"
    """It has no effect, and says so: conflict, throttle, error."""
    STALL = "stall"
    """It takes seconds on its way."""


@dataclass(frozen=True, slots=True)
class Outage:
    """What does not work for a while, and how."""

    what: str
    """`twilio` (all of its API), `list` (of messages), `limit` (of our sender), `region` (ours may not be sent to),
    `dynamodb`, `queue worker`, `webhook`, `bus`.
    """
    begins: int
    ends: int
    how: str = "refused"
    """Of `twilio`: `refused`, `503`, `hanging`. Of `limit`: the code. Of `dynamodb`: `slow`, `crawling`,
    `errors`. Of the `queue worker`: `crashing`, `crashing at once`.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How often what goes wrong, from 0 to 1. `budget` ends the faults of ports, so that a schedule comes to rest."""

    call: float = 0.03
    budget: int = 12
    post: float = 0.35
    accepted_late: float = 0.1
    """Of the POSTs that go wrong: how many time out, and are accepted minutes later."""
    late_failure: float = 0.12
    callback_lost: float = 0.15
    callback_late: float = 0.2
    callback_doubled: float = 0.15
    list_lag: float = 0.3
    index_lag: float = 0.03
    redelivered: float = 0.08
    redelivered_late: float = 0.1
    """Of the queue messages that come again: how many come hours later."""
    backlog: float = 0.1
    """Of the queue messages: how many wait for minutes, since the queue is not worked fast enough."""
    skewed: float = 0.25


CALM = Rates(
    call=0,
    post=0,
    accepted_late=0,
    late_failure=0,
    callback_lost=0,
    callback_late=0,
    callback_doubled=0,
    list_lag=0,
    index_lag=0,
    redelivered=0,
    redelivered_late=0,
    backlog=0,
    skewed=0,
)


@dataclass
class Faults:
    """Decides at each port call. `script`: the calls, counted from 0, that fail, and how; then nothing else does."""

    rng: random.Random
    rates: Rates = field(default_factory=Rates)
    script: Mapping[int, Mode] | None = None
    outages: Sequence[Outage] = ()
    calls: list[str] = field(default_factory=list)
    """Every port call so far, by name."""
    met: set[str] = field(default_factory=set)
    """The kinds of faults that this schedule met."""

    def __post_init__(self) -> None:
        self._left = self.rates.budget

    def draw(self, call: str) -> Mode | None:
        """What befalls this call."""
        self.calls.append(call)
        if self.script is not None:
            return self.script.get(len(self.calls) - 1)
        if not self._left or not self.chance(self.rates.call):
            return None
        self._left -= 1
        return self.rng.choice(list(Mode))

    def outage(self, what: str, now: int) -> str | None:
        """How it does not work now; None if it does."""
        for outage in self.outages:
            if outage.what == what and outage.begins <= now < outage.ends:
                self.met.add(f"{what} {outage.how}")
                return outage.how
        return None

    def chance(self, rate: float) -> bool:
        """True once in 1/rate times."""
        return self.rng.random() < rate

    def between(self, low: int, high: int) -> int:
        """A time, seldom a long one: most of the range's cases are near its low end."""
        return low + int((high - low) * self.rng.random() ** 3)
