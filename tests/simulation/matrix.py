"""The crash matrix: in a few small schedules, every port call goes wrong in every way, singly and in pairs."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from whatsapp.domain.message import message_id_of

from tests.simulation.faults import CALM, Mode
from tests.simulation.hub import MINUTE
from tests.simulation.referee import judge
from tests.simulation.schedules import TEMPLATES
from tests.simulation.world import START, World

NUMBER = "+919800000000"
SID = f"SM{7:032x}"
MODES = (Mode.BEFORE, Mode.AFTER, Mode.LOST, Mode.KILL, Mode.REFUSED)
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
    world.when(message_id_of("first"), "claimed", lambda: world.cancel(message_id_of("first")), stall=200)
    world.request("first", REMINDER)


SCENARIOS: tuple[Callable[[World], None], ...] = (two_messages, a_reply, a_cancel)


@dataclass
class Matrix:
    """What was tried, and what was wrong."""

    singles: int = 0
    pairs: int = 0
    failures: list[str] = field(default_factory=list)


def run_matrix(*, pairs: float, modes_per_call: int = len(MODES)) -> Matrix:
    """Try single faults at every call, in so many of the ways; and that share of all pairs."""
    matrix = Matrix()
    rng = random.Random(7)
    for scenario in SCENARIOS:
        calls = len(_play(scenario, {}, matrix).faults.calls)
        for call in range(calls):
            for mode in rng.sample(MODES, modes_per_call):
                _play(scenario, {call: mode}, matrix)
                matrix.singles += 1
        for script in _pairs(calls):
            if rng.random() < pairs:
                _play(scenario, script, matrix)
                matrix.pairs += 1
    return matrix


def _pairs(calls: int) -> Iterator[Mapping[int, Mode]]:
    """Two faults: the second may strike calls that only the first brings about."""
    for first, second in combinations(range(calls + calls // 2), 2):
        if first < calls:
            for one in MODES:
                for other in MODES:
                    yield {first: one, second: other}


def _play(scenario: Callable[[World], None], script: Mapping[int, Mode], matrix: Matrix) -> World:
    with World(1, CALM, script).installed() as world:
        scenario(world)
        world.run()
        struck = [(call, mode) for call, mode in script.items() if call < len(world.faults.calls)]
        faults = ", ".join(f"{mode} {world.faults.calls[call]} (call {call})" for call, mode in struck)
        matrix.failures += [f"{scenario.__name__}: {faults}: {violation}" for violation in judge(world)]
    return world
