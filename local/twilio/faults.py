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
"""Strikes one request to Twilio. Without `match.path` only the creation of a message is struck, so that a
sync or a reconcile in the background does not use the fault up."""

CallbackFault = Literal["callbacks_drop", "callbacks_double", "callbacks_reorder", "callbacks_delay"]
"""Strikes one status callback, or with a `match.path` that is in its URL an inbound message's webhook."""

REQUEST_KINDS: tuple[str, ...] = get_args(RequestFault)
CALLBACK_KINDS: tuple[str, ...] = get_args(CallbackFault)
KINDS = (*REQUEST_KINDS, *CALLBACK_KINDS, "status_failed", "list_lag")

_ids = count(1)


def new_fault_id() -> int:
    return next(_ids)


@dataclass
class Fault:
    kind: str
    times: int | None
    """How many more times it strikes; None until cleared."""
    to: str | None
    """E.164 or `whatsapp:…`: the patient's address."""
    path: str | None
    """A part of the request's path, or of the callback's URL."""
    seconds: float | None
    code: int | None
    id: int = field(default_factory=new_fault_id)

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> "Fault":
        """Read the control's body.

        Raises:
            ValueError: an unknown kind, or a kind whose `code` is missing.
        """
        kind, code, match = body.get("kind"), body.get("code"), body.get("match") or {}
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        if kind in ("error", "status_failed") and code is None:
            raise ValueError(f"kind {kind} needs a code")
        # A list that lags is a condition, not an event: it lasts until it is cleared.
        times = body.get("times", None if kind == "list_lag" else 1)
        return cls(
            kind=kind,
            times=None if times is None else int(times),
            to=match.get("to"),
            path=match.get("path"),
            seconds=None if body.get("seconds") is None else float(body["seconds"]),
            code=None if code is None else int(code),
        )

    @property
    def closes_the_port(self) -> bool:
        """`refuse` with `seconds` strikes every connection for that long, instead of single requests."""
        return self.kind == "refuse" and self.seconds is not None

    def matches(self, to: str | None, path: str) -> bool:
        same_to = self.to is None or (to is not None and _bare(self.to) == _bare(to))
        return same_to and (self.path is None or self.path in path)


class Faults:
    """The faults that are on, oldest first. Taking one counts it, so `times` holds under any concurrency."""

    def __init__(self) -> None:
        self.active: list[Fault] = []

    def for_request(self, to: str | None, path: str, *, creates_message: bool) -> Fault | None:
        return self._take(
            fault
            for fault in self.active
            if fault.kind in REQUEST_KINDS and not fault.closes_the_port
            if (creates_message or fault.path) and fault.matches(to, path)
        )

    def for_message(self, to: str) -> Fault | None:
        """The `status_failed` that strikes a message just accepted."""
        return self._take(
            fault for fault in self.active if fault.kind == "status_failed" and fault.matches(to, fault.path or "")
        )

    def for_callback(self, to: str, url: str, *, is_status: bool) -> Fault | None:
        return self._take(
            fault
            for fault in self.active
            if fault.kind in CALLBACK_KINDS and (is_status or fault.path) and fault.matches(to, url)
        )

    def for_list(self, to: str | None) -> Fault | None:
        return self._take(
            fault for fault in self.active if fault.kind == "list_lag" and (fault.to is None or fault.matches(to, ""))
        )

    def _take(self, candidates: Iterator[Fault]) -> Fault | None:
        fault = next(candidates, None)
        if fault and fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.active.remove(fault)
        return fault


def _bare(address: str) -> str:
    return address.removeprefix("whatsapp:")
