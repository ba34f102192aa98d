"""Faults on demand: which requests or messages go wrong, how, and how often."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal, get_args

RequestFault = Literal[
    "refuse",
    "http_429",
    "http_500",
    "http_503",
    "accept_then_500",
    "accept_then_hang",
    "hang",
    "accept_late",
    "truncate",
    "error",
]
"""Strikes one request to Twilio's API. Without `match.path` only the creation of a message is struck."""
MessageFault = Literal[
    "status_failed", "callbacks_drop", "callbacks_double", "callbacks_reorder", "callbacks_delay"
]
"""Strikes an accepted message (`status_failed`) or a callback; `match.path` is the callback URL's."""
ListFault = Literal["list_lag"]
"""Strikes lists of messages: for `seconds` after its acceptance a message is not in them yet."""

REQUEST_KINDS: tuple[str, ...] = get_args(RequestFault)
KINDS: tuple[str, ...] = REQUEST_KINDS + get_args(MessageFault) + get_args(ListFault)
UNTIL_CLEARED = {"list_lag"}
"""A condition rather than an event: it lasts until cleared unless `times` says otherwise."""

_ids = count(1)


@dataclass
class Fault:
    kind: str
    times: int | None = 1
    """How many more times it strikes; None until cleared."""
    to: str | None = None
    path: str | None = None
    seconds: float | None = None
    code: int | None = None
    id: int = field(default_factory=lambda: next(_ids))
    struck: int = 0

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> "Fault":
        """Read the control's body.

        Raises:
            ValueError: an unknown kind, or a kind whose `code` is missing.
        """
        kind = body.get("kind")
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        code = body.get("code")
        if kind in ("error", "status_failed") and code is None:
            raise ValueError(f"kind {kind} needs a code")
        match = body.get("match") or {}
        return cls(
            kind=kind,
            times=body.get("times", None if kind in UNTIL_CLEARED else 1),
            to=match.get("to"),
            path=match.get("path"),
            seconds=None if body.get("seconds") is None else float(body["seconds"]),
            code=None if code is None else int(code),
        )

    def matches(self, to: str | None, path: str) -> bool:
        same_to = self.to is None or (
            to is not None and self.to.removeprefix("whatsapp:") == to.removeprefix("whatsapp:")
        )
        return same_to and (self.path is None or self.path in path)


class Faults:
    """The faults that are on, oldest first. Taking one counts it, so `times` holds even under concurrency."""

    def __init__(self) -> None:
        self.active: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self.active.append(fault)

    def clear(self) -> None:
        self.active.clear()

    def for_request(self, to: str | None, path: str, *, creates_message: bool) -> Fault | None:
        return self._take(
            fault
            for fault in self.active
            if fault.kind in REQUEST_KINDS and (creates_message or fault.path) and fault.matches(to, path)
        )

    def for_message(self, kinds: tuple[str, ...], to: str, path: str) -> Fault | None:
        return self._take(fault for fault in self.active if fault.kind in kinds and fault.matches(to, path))

    def _take(self, candidates: Iterator[Fault]) -> Fault | None:
        fault = next(candidates, None)
        if fault is None:
            return None
        fault.struck += 1
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.active.remove(fault)
        return fault
