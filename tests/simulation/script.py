"""What people did in one schedule, and what they were told: with Twilio's ledger, all that the referee believes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from whatsapp.domain.sending.message import MessageIds, continuation_id_of
from whatsapp.domain.sending.request import SendAnswer

LONGEST_CHAIN = 64
"""Records that continue one another: a message that waits for four hours makes fewer."""


MESSAGE_IDS = MessageIds("simulated")


@dataclass(kw_only=True)
class Request:
    """What a caller asked for, and what it was told. Times are virtual epoch milliseconds."""

    key: str
    body: dict[str, Any]
    asked: list[tuple[int, bool]] = field(default_factory=list)
    """When, each time, and whether through the queue."""
    answers: list[SendAnswer] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    gave_up: bool = False
    """A caller whose every try failed."""

    @property
    def message_id(self) -> str:
        """The record that stands for it."""
        return MESSAGE_IDS.of(self.key)

    @property
    def message_ids(self) -> Iterator[str]:
        """That record's id, and those of the records that may continue it."""
        message_id = self.message_id
        for _ in range(LONGEST_CHAIN):
            yield message_id
            message_id = continuation_id_of(message_id)


@dataclass(kw_only=True)
class Said:
    """What a patient wrote, and when our webhook answered that it has it."""

    sid: str
    address: str
    text: str
    at: int
    confirmed_at: int | None = None
    answers: str | None = None
    """The message of ours that they tapped, if they did."""


@dataclass(kw_only=True)
class Erasure:
    """A person was to be forgotten: asked for, and confirmed."""

    address: str
    asked_at: int
    confirmed_at: int


@dataclass(kw_only=True)
class GroupCancel:
    """A caller canceled a group: asked for, and answered."""

    group: str
    asked_at: int
    confirmed_at: int
    too_late: list[str]
    """The messages that it could not call off."""


@dataclass(kw_only=True)
class Hold:
    """All sending was held, from its confirmation until someone began to release it."""

    confirmed_at: int
    released_at: int = 1 << 62


class Script:
    """What happened, as people saw it."""

    def __init__(self) -> None:
        self.requests: dict[str, Request] = {}
        self.said: dict[str, Said] = {}
        self.canceled: dict[str, int] = {}
        """Message ids whose cancel was confirmed, and when."""
        self.group_cancels: list[GroupCancel] = []
        self.to_be_erased: set[str] = set()
        self.erasures: list[Erasure] = []
        self.holds: list[Hold] = []
        self.known_at: Counter[str] = Counter()
        """By address: when somebody last noted who that is."""
        self.perhaps_tied: dict[str, str] = {}
        """By id: the number that our webhook was to tie it to, whether or not it answered."""
        self._tied: dict[str, tuple[str, int]] = {}
        self._request_of: dict[str, Request] = {}

    def tie(self, second: str, number: str, at: int) -> None:
        """Our webhook answered that two addresses are one person's."""
        self._tied.setdefault(second, (number, at))

    def person(self, address: str, at: int) -> str:
        """Who an address belongs to, as far as we were told by then: a number, or an id that hides it."""
        number, since = self._tied.get(address, (address, at))
        return number if since <= at else address

    def request_of(self, message_id: str) -> Request | None:
        """What a record was made for. Its id follows from the key, also where it continues another record."""
        if message_id not in self._request_of:
            self._request_of = {m: request for request in self.requests.values() for m in request.message_ids}
        return self._request_of.get(message_id)
