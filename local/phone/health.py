"""The mission's numbers, counted from what the page knows."""

from collections import deque

from local.phone.passing import elapsed
from local.phone.world import World, now_ms

_POINTS = 60
EVERY_S = 5
"""A point of each small chart stands for this long: 60 of them are five minutes."""


class Health:
    """Counts, and remembers the last five minutes of each count."""

    def __init__(self, world: World, limit_s: int) -> None:
        self._world = world
        self._limit_ms = limit_s * 1000
        self._history: dict[str, deque[float]] = {}
        self._counted_at = -1
        self._noted_at = 0

    def count(self) -> None:
        """Count again if anything changed, and add a point to the charts when its time has come."""
        now = now_ms()
        due = now - self._noted_at >= EVERY_S * 1000
        if self._world.changes == self._counted_at and not due:
            return
        numbers = count(self._world, self._limit_ms)
        for name, value in numbers.items():
            points = self._history.setdefault(name, deque(maxlen=_POINTS))
            if due or not points:
                points.append(value if value is not None else 0)
            else:
                points[-1] = value if value is not None else 0
        self._noted_at = now if due else self._noted_at
        charts = {name: list(points) for name, points in self._history.items()}
        self._world.put("status", "health", {"numbers": numbers, "charts": charts})
        self._counted_at = self._world.changes


def count(world: World, limit_ms: int) -> dict[str, float | None]:
    """The numbers as they stand. None where there is nothing to count yet."""
    messages = list(world.of("message").values())
    ours = [m for m in messages if m["direction"] != "inbound"]
    delivered = sum(m["status"] in {"delivered", "read"} for m in ours)
    read = sum(m["status"] == "read" for m in ours)
    queue = world.get("status", "queue") or {}
    webhooks = [step["end"] - step["at"] for step in world.of("step").values() if ":callback:" in step["id"]]
    return {
        "sent": len(ours),
        "delivered": _percent(delivered, len(ours)),
        "read": _percent(read, len(ours)),
        "replied": _percent(*_replied(world)),
        "deferred": sum(record["status"] == "deferred" for record in world.of("record").values()),
        "violations": _violations(world, limit_ms),
        "webhook_ms": _p95(webhooks[-200:]),
        "queue": queue.get("waiting", 0) + queue.get("delayed", 0),
        "dead": queue.get("dead", 0),
    }


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None


def _p95(values: list[int]) -> int | None:
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)] if values else None


def _replied(world: World) -> tuple[int, int]:
    """Proactive messages after which the patient wrote before the next one; and proactive messages in all."""
    waiting: set[str] = set()
    replied = proactive = 0
    for message in world.of("message").values():
        if message["direction"] == "inbound":
            replied += message["patient"] in waiting
            waiting.discard(message["patient"])
        elif (world.get("record", message["message_id"] or "") or {}).get("lane") != "reply":
            waiting.add(message["patient"])
            proactive += 1
    return replied, proactive


def _violations(world: World, limit_ms: int) -> int:
    """Pairs of proactive messages that Twilio accepted for one patient within the limit: must stay 0."""
    last: dict[str, int] = {}
    found = 0
    jumps = (world.get("status", "passed") or {}).get("jumps", [])
    for message in world.of("message").values():
        record = world.get("record", message["message_id"] or "")
        if message["direction"] == "inbound" or not record or record.get("lane") != "proactive":
            continue
        at, before = elapsed(message["accepted_at"], jumps), last.get(message["patient"])
        found += before is not None and at - before < limit_ms
        last[message["patient"]] = at
    return found
