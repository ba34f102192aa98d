"""What happened, in order, for whoever watches: a ring of events and a live stream of server-sent events."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import takewhile
from secrets import token_hex
from typing import Any

RING = 5000
"""Events kept for a watcher that comes late or comes back."""


@dataclass(frozen=True)
class Event:
    seq: int
    kind: str
    data: str
    """JSON, written down when it happened: what it names may change afterwards."""


class EventLog:
    """Append-only, for one process's life. `boot` names that life: a watcher of another one starts anew."""

    def __init__(self) -> None:
        self.boot = token_hex(4)
        self._ring: deque[Event] = deque(maxlen=RING)
        self._seq = 0
        self._news = asyncio.Event()
        self._closed = False

    @property
    def last_id(self) -> str:
        return f"{self.boot}-{self._seq}"

    def publish(self, kind: str, **data: Any) -> None:
        """Tell the watchers; `at` (epoch milliseconds) and `kind` are added to the data."""
        self._seq += 1
        told = {"at": time.time_ns() // 1_000_000, "kind": kind, **data}
        self._ring.append(Event(self._seq, kind, json.dumps(told)))
        self._wake()

    def close(self) -> None:
        """End every stream, so that the server can stop at once."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def stream(self, last_event_id: str | None = None) -> AsyncIterator[str]:
        """Server-sent events after `last_event_id` (`boot-seq`), or from now on without one of this boot."""
        boot, _, seq = (last_event_id or "").rpartition("-")
        seen = int(seq) if boot == self.boot and seq.isdecimal() else self._seq
        yield f"retry: 500\nid: {self.boot}-{seen}\nevent: hello\ndata: {json.dumps({'boot': self.boot})}\n\n"
        while not self._closed:
            news = self._news
            for event in self._after(seen):
                seen = event.seq
                yield f"id: {self.boot}-{seen}\nevent: {event.kind}\ndata: {event.data}\n\n"
            if news is self._news:
                await news.wait()

    def _after(self, seq: int) -> list[Event]:
        return list(takewhile(lambda event: event.seq > seq, reversed(self._ring)))[::-1]
