"""What the page shows, as one store of things by kind and key; every change of it goes to every open page.

A **step** is the page's one unit of history: who held a message, from when to when, and how it ended.

    {"id", "at", "end", "lane", "title", "state", "code", "message_id", "sid", "to", "template", "detail"}

`at` and `end` are epoch milliseconds, `end` is None while it lasts. `lane` is command, queue, lambda, twilio, phone or
bus; `state` is ok, wait or bad.
"""

import time
from collections.abc import Mapping
from typing import Any

from local.phone.hub import Hub

Thing = dict[str, Any]

KINDS = {
    "patient": 500,
    "message": 20_000,
    "record": 20_000,
    "contact": 500,
    "step": 5000,
    "invocation": 500,
    "template": 500,
    "alert": 200,
    "dead": 200,
    "status": 50,
}
"""How many of each kind are kept; the oldest goes first. `status` holds single values: windows, faults, queue, …"""
_KEPT = ("message", "record", "contact", "step", "invocation", "alert")
SHOWN = 2000
"""How many of a kind a page is given to begin with, at most; the numbers are counted from all that are kept."""


def now_ms() -> int:
    """Now, in epoch milliseconds."""
    return time.time_ns() // 1_000_000


class World:
    """Everything the page shows. Only the event loop's thread touches it, so there are no locks."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._things: dict[str, dict[str, Thing]] = {kind: {} for kind in KINDS}
        self.changes = 0

    def of(self, kind: str) -> Mapping[str, Thing]:
        """All things of a kind, by key, oldest first."""
        return self._things[kind]

    def get(self, kind: str, key: str) -> Thing | None:
        """One thing."""
        return self._things[kind].get(key)

    def put(self, kind: str, key: str, value: Thing) -> bool:
        """Keep a thing and tell the pages, unless nothing about it changed."""
        things = self._things[kind]
        if things.get(key) == value:
            return False
        things[key] = value
        if len(things) > KINDS[kind]:
            del things[next(iter(things))]
        self.changes += 1
        self.hub.publish({"kind": kind, "key": key, "value": value})
        return True

    def drop(self, kind: str, key: str) -> None:
        """Forget a thing."""
        if self._things[kind].pop(key, None) is not None:
            self.changes += 1
            self.hub.publish({"kind": kind, "key": key, "value": None})

    def replace(self, kind: str, things: dict[str, Thing]) -> None:
        """Keep these things of a kind, and no others."""
        for key in set(self._things[kind]) - set(things):
            self.drop(kind, key)
        for key, value in things.items():
            self.put(kind, key, value)

    def step(self, step_id: str, lane: str, title: str, at: int, **more: Any) -> None:
        """Put a step; what is not given stays as it was, or is nothing."""
        step = self.get("step", step_id) or {
            "id": step_id,
            "end": None,
            "state": "ok",
            "code": None,
            "message_id": None,
            "sid": None,
            "to": None,
            "template": None,
            "detail": {},
        }
        self.put("step", step_id, {**step, "lane": lane, "title": title, "at": at, **more})

    def kept(self) -> dict[str, Any]:
        """What a later run shows again. The rest is read from the stack itself."""
        passed = self.get("status", "passed")
        return {kind: dict(self._things[kind]) for kind in _KEPT} | {"status": {"passed": passed} if passed else {}}

    def take_up(self, kept: Mapping[str, Mapping[str, Thing]]) -> None:
        """Show again what an earlier run did."""
        for kind, things in kept.items():
            for key, value in things.items():
                self.put(kind, key, value)

    def forget(self) -> None:
        """Show nothing of what happened so far."""
        for kind in _KEPT:
            self.replace(kind, {})
        self.drop("status", "passed")

    def snapshot(self) -> dict[str, Any]:
        """All that a page needs to begin with; the stream goes on from `last_id`."""
        return {
            "boot": self.hub.boot,
            "last_id": self.hub.last_id,
            "now": now_ms(),
            "things": {kind: dict(list(things.items())[-SHOWN:]) for kind, things in self._things.items()},
        }
