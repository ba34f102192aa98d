"""Server-sent events to every open page: a ring of changes, and streams that follow it."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from secrets import token_hex
from typing import Any

RING = 5000
"""Changes kept for a page that comes back after its connection broke."""
KEEP_ALIVE_S = 15.0
_MOST_AT_ONCE = 500


class Hub:
    """Append-only, for one life of the server. `boot` names that life: a page that saw another one starts anew."""

    def __init__(self) -> None:
        self.boot = token_hex(4)
        self._ring: deque[tuple[int, str]] = deque(maxlen=RING)
        self._seq = 0
        self._news = asyncio.Event()
        self._closed = False

    @property
    def last_id(self) -> str:
        """What a page that has just read the whole state continues from."""
        return f"{self.boot}-{self._seq}"

    def publish(self, change: dict[str, Any]) -> None:
        """Tell every page of a change. From the event loop's thread only."""
        self._seq += 1
        self._ring.append((self._seq, json.dumps(change, ensure_ascii=False)))
        self._wake()

    def close(self) -> None:
        """End every stream, so that the server can stop at once."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def stream(self, last_id: str) -> AsyncIterator[str]:
        """Every change after `last_id` (`boot-seq`), as arrays of changes; `reset` if that is too long ago to tell."""
        boot, _, text = last_id.rpartition("-")
        seen = int(text) if text.isdecimal() else -1
        oldest = self._ring[0][0] if self._ring else self._seq + 1
        if boot != self.boot or not oldest - 1 <= seen <= self._seq:
            yield f"retry: 500\nevent: reset\nid: {self.last_id}\ndata: {{}}\n\n"
            return
        yield f"retry: 500\nid: {self.boot}-{seen}\nevent: hello\ndata: {{}}\n\n"
        while True:
            news = self._news
            if batch := self._after(seen):
                seen = batch[-1][0]
                yield f"id: {self.boot}-{seen}\ndata: [{','.join(text for _, text in batch)}]\n\n"
            elif self._closed:
                return
            elif news is self._news and not await _within(news.wait(), KEEP_ALIVE_S):
                yield ": still here\n\n"

    def _after(self, seen: int) -> list[tuple[int, str]]:
        """The next changes, not all at once if there are many: the page must draw in between."""
        if not self._ring or self._seq <= seen:
            return []
        start = max(0, seen + 1 - self._ring[0][0])
        return [self._ring[n] for n in range(start, min(start + _MOST_AT_ONCE, len(self._ring)))]


async def _within(waiting: Any, seconds: float) -> bool:
    try:
        await asyncio.wait_for(waiting, seconds)
    except TimeoutError:
        return False
    return True
