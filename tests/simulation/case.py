"""What the referee sees of a world: Twilio's ledger and the script, and beside them the tables that they judge."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.simulation.script import Erasure, Request
from tests.simulation.twilio import Entry
from tests.simulation.world import World

DUPLICATE, RATE, LOST, STUCK, WRONG = "duplicate", "rate violation", "lost", "stuck", "wrong"
KINDS = (DUPLICATE, RATE, LOST, STUCK, WRONG)
SURPRISE = "an unexpected exception"
CLOCK_ERROR = 3_000
"""What our clocks may be off by when they judge a time."""
INVOCATION = 40_000
"""What a caller asks for directly counts as asked for at any time while the function works on it."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


class Case:
    """The world as the referee sees it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.script = world.script
        self.ledger = sorted(world.twilio.ledger, key=lambda e: e.accepted_at)
        self.messages = world.messages()
        self.contacts = world.contacts()
        self.by_message: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.ledger:
            self.by_message[entry.message_id].append(entry)

    def is_one(self, address: str, other: str, at: int = 1 << 62) -> bool:
        """Whether two addresses are one person's, as far as was known at that time."""
        return self.script.person(address, at) == self.script.person(other, at)

    def is_to(self, request: Request, address: str, at: int = 1 << 62) -> bool:
        """Whether a request is to that person, as far as was known at that time."""
        return self.is_one(request.body["to"], address, at)

    def is_before(self, request: Request, erasure: Erasure) -> bool:
        """Whether a request to the person was made only before the erasure."""
        last = max((at + (CLOCK_ERROR if queued else INVOCATION) for at, queued in request.asked), default=0)
        return self.is_to(request, erasure.address, erasure.asked_at) and last < erasure.asked_at

    def group_of(self, request: Request) -> list[Entry]:
        """What Twilio accepted of a request's group."""
        name, entries = request.body.get("group"), []
        for entry in self.ledger:
            other = self.script.request_of(entry.message_id)
            if name and other and other.body.get("group") == name:
                entries.append(entry)
        return entries

    @property
    def is_anybody_erased(self) -> bool:
        """Whether an erasure was asked for."""
        return bool(self.script.to_be_erased)

    def was_erased(self, request: Request | None) -> bool:
        """Whether an erasure may have ended a request."""
        return request is not None and any(self.is_to(request, one.address) for one in self.script.erasures)


Rule = Callable[[Case], Iterator[Violation]]
