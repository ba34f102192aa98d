"""The crash matrix: in a few small schedules, every port call goes wrong in every way, singly and in pairs."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import product
from multiprocessing import get_context

from whatsapp.domain.sending.message import handle_of

from tests.simulation.case import Violation
from tests.simulation.faults import CALM, Mode
from tests.simulation.hub import MINUTE
from tests.simulation.referee import judge
from tests.simulation.schedules import TEMPLATES
from tests.simulation.script import MESSAGE_IDS
from tests.simulation.world import START, World

NUMBER = "+919800000000"
SID = f"SM{7:032x}"
CRASHES = (Mode.BEFORE, Mode.AFTER, Mode.LOST, Mode.KILL)
MODES = (*CRASHES, Mode.REFUSED)
CHUNK = 100
REMINDER = {"to": NUMBER, "template": "session_reminder", "variables": TEMPLATES["session_reminder"]}


def two_messages(world: World) -> None:
    """One goes, the other waits for the slot."""
    world.request("first", REMINDER)
    world.hub.at(START + 2_000, lambda: world.request("second", REMINDER, queued=True))


def a_reply(world: World) -> None:
    """A patient writes and is answered."""
    world.inbound(SID, NUMBER, "hello")
    answer = {"to": NUMBER, "text": "see you then", "in_reply_to": SID}
    world.hub.at(START + MINUTE, lambda: world.request("reply", answer, queued=True))


def a_cancel(world: World) -> None:
    """A message is called off while it is claimed."""
    world.when(MESSAGE_IDS.of("first"), "claimed", lambda: world.cancel(handle_of("first")), stall=200)
    world.request("first", REMINDER)


SCENARIOS: dict[str, Callable[[World], None]] = {s.__name__: s for s in (two_messages, a_reply, a_cancel)}

Case = tuple[str, dict[int, Mode]]
"""A scenario's name, and which of its port calls go wrong, and how."""


def singles() -> list[Case]:
    """Every port call, in every way."""
    return [(name, {call: mode}) for name in SCENARIOS for call in range(_calls(name)) for mode in MODES]


def pairs(share: float = 1.0) -> list[Case]:
    """Two faults, or that share of all such pairs: the second may strike calls that only the first brings about."""
    rng = random.Random(7)
    return [
        (name, {first: one, second: other})
        for name in SCENARIOS
        for first in range(_calls(name))
        for second in range(first + 1, _calls(name) * 3 // 2)
        for one, other in product(CRASHES, CRASHES)
        if rng.random() < share
    ]


def play_all(cases: Sequence[Case]) -> list[str]:
    """Play them, and say what was wrong."""
    return [
        f"{name} {_told(script, world)}: {violation}"
        for name, script in cases
        for world, violation in play(name, script)
    ]


def play(name: str, script: Mapping[int, Mode]) -> Iterator[tuple[World, Violation]]:
    """Play one scenario with these faults."""
    with World(1, CALM, script).installed() as world:
        SCENARIOS[name](world)
        world.run()
        for violation in judge(world):
            yield world, violation


def play_in_processes(cases: Sequence[Case], processes: int) -> list[str]:
    """The same, side by side."""
    chunks = [cases[start : start + CHUNK] for start in range(0, len(cases), CHUNK)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return [failure for part in pool.map(play_all, chunks) for failure in part]


@cache
def _calls(name: str) -> int:
    with World(1, CALM, {}).installed() as world:
        SCENARIOS[name](world)
        world.run()
        return len(world.faults.calls)


def _told(script: Mapping[int, Mode], world: World) -> str:
    calls = world.faults.calls
    return ", ".join(f"{mode} {calls[call]} (call {call})" for call, mode in script.items() if call < len(calls))
