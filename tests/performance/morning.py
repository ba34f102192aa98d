"""The rush of a morning: 100 000 reminders are due at 08:00, patients answer them, and some POSTs fail.

The product's own code over the simulation's tables, in virtual time: each second the send queue is worked at the
sender's pace, each minute the sweep runs. `python -m tests.performance.morning 100000 minutes.json` prints one line of
JSON, and writes what each minute did, for the plot.
"""

import copy
import json
import random
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import pairwise
from pathlib import Path
from typing import Any

from whatsapp.adapters.dynamodb.client import Put
from whatsapp.adapters.dynamodb.items import message_item
from whatsapp.domain.address import Address
from whatsapp.domain.ports import Accepted, Deadline, InDoubt, Outcome, OutgoingPost, Rejected
from whatsapp.domain.receiving.inbound import InboundForm
from whatsapp.use_cases.work_queue_message import QueueMessage

from tests.app import SENDER, ScriptedTwilio, UnitApp
from tests.fakes import RecordingQueue
from tests.performance.outside import TABLES
from tests.performance.rush import reminder
from tests.simulation.dynamodb import Client, definitions
from tests.simulation.tables import Answer, Item, Request, Table, Tables

PER_SECOND = 80
"""What Twilio takes from one sender."""
FAILING: tuple[tuple[float, Outcome], ...] = (
    (0.010, Rejected(63012, 400)),  # passes
    (0.005, Rejected(63024, 400)),  # this patient cannot be reached
    (0.005, InDoubt("no answer")),
)
"""Shares of the POSTs."""
ANSWERING = 0.05
"""Of those who got their reminder. The clinic's agent replies to each at once."""
MINUTE, HOUR = 60_000, 3_600_000


class _Items(dict[tuple[str, ...], Item]):
    """A table's items, and the same by the first key of the table and of each index."""

    def __init__(self, attributes: Sequence[str]) -> None:
        super().__init__()
        self.partitions: dict[tuple[str, str], dict[tuple[str, ...], Item]] = {}
        self._attributes = attributes

    def __setitem__(self, key: tuple[str, ...], item: Item) -> None:
        old = self.get(key, {})
        super().__setitem__(key, item)
        for attribute in self._attributes:
            if attribute in old and old[attribute] != item.get(attribute):
                del self.partitions[attribute, old[attribute]["S"]][key]
            if attribute in item:
                self.partitions.setdefault((attribute, item[attribute]["S"]), {})[key] = item


class LargeTables(Tables):
    """A query looks at one partition only, so that 100 000 items do not slow it down."""

    def __init__(self) -> None:
        super().__init__({name: Table(definition) for name, definition in definitions().items()})
        for table in self.values():
            table.items = _Items([table.keys[0], *(keys[0] for keys in table.indexes.values())])

    def _Query(self, request: Request) -> Answer:  # noqa: N802 - an operation's own name
        name = request["TableName"]
        part = copy.copy(self[name])
        keys = part.indexes[request["IndexName"]] if "IndexName" in request else part.keys
        placeholder = re.findall(r":\w+", request["KeyConditionExpression"])[0]
        value = request["ExpressionAttributeValues"][placeholder]["S"]
        assert isinstance(part.items, _Items)
        part.items = part.items.partitions.get((keys[0], value), {})
        return Tables({name: part})._Query(request)


@dataclass
class SendQueue(RecordingQueue):
    """SQS: what was put on it, by the second in which it can be taken."""

    now: Callable[[], int] = field(kw_only=True)
    waiting_bodies: list[tuple[int, int, str, int]] = field(default_factory=list)
    """When it can be taken, its number, its body, when it was put."""
    numbers: int = 0

    def put(self, body: Mapping[str, Any], delay_seconds: int = 0) -> None:
        """Put one message on the queue."""
        self.numbers += 1
        at = self.now()
        heappush(self.waiting_bodies, (at + delay_seconds * 1000, self.numbers, json.dumps(body), at))

    def nudge(self, message_id: str, delay_seconds: int = 0) -> None:
        self.put({"message_id": message_id}, delay_seconds)

    def nudge_many(self, nudges: Sequence[tuple[str, int]]) -> None:
        for message_id, delay_seconds in nudges:
            self.nudge(message_id, delay_seconds)

    def backlog(self) -> int:
        return len(self.waiting_bodies)

    def take(self, most: int) -> list[tuple[int, str, int]]:
        """What can be taken now, the longest waiting first: number, body, when it was put."""
        taken: list[tuple[int, str, int]] = []
        while len(taken) < most and self.waiting_bodies and self.waiting_bodies[0][0] <= self.now():
            _, number, body, put_at = heappop(self.waiting_bodies)
            taken.append((number, body, put_at))
        return taken


@dataclass
class Twilio(ScriptedTwilio):
    """Accepts most of what is posted, and remembers only when."""

    now: Callable[[], int] = field(kw_only=True)
    chance: random.Random = field(kw_only=True)
    accepted: dict[str, list[int]] = field(default_factory=dict)
    """By number: when its messages were accepted; a reply's time is negative."""
    numbers: int = 0

    def _post(self, post: OutgoingPost) -> Outcome:
        roll = self.chance.random()
        for share, outcome in FAILING if post.content_sid else ():
            if (roll := roll - share) < 0:
                return outcome
        self.numbers += 1
        at = self.now()
        self.accepted.setdefault(post.to, []).append(at if post.content_sid else -at)
        return Accepted(f"SM{self.numbers:032x}")


class Silent:
    """A bus and a topic that take everything."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_, **__: None


@dataclass
class Morning:
    """From 08:00 until nothing waits any more."""

    reminders: int
    seed: int = 1
    minutes: list[dict[str, float]] = field(default_factory=list)
    reply_waits: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        settings = replace(TABLES, sends_per_second=PER_SECOND)
        self.app = UnitApp(settings, Client(LargeTables().ask), bus=Silent(), alerts=Silent())
        now = self.app.clock.now
        self.queue, self.twilio = SendQueue(now=now), Twilio(now=now, chance=self.chance)
        object.__setattr__(self.app, "queue", self.queue)
        object.__setattr__(self.app, "gateway", self.twilio)
        self.answers: list[tuple[int, str]] = []
        self.asked_at: dict[str, int] = {}

    def play(self) -> dict[str, float]:
        """Play it; the figures."""
        self.app.approve()
        start = self.app.clock.now()
        for number in range(self.reminders):
            message = replace(reminder(number, start), expires_at=start + 6 * HOUR)
            contact_id = self.app.contact_ids.of(Address(message.to))
            self.app.db.write(Put(table="messages", item=message_item(replace(message, contact_id=contact_id), 0)))
        stored_memory = _memory()
        drained_at = start
        while self.app.clock.now() - start < 6 * HOUR:
            before = self.twilio.numbers
            self._minute()
            self.minutes.append(
                {
                    "minute": (self.app.clock.now() - start) / MINUTE,
                    "accepted_per_s": (self.twilio.numbers - before) / 60,
                    "accepted": self.twilio.numbers,
                    "queue": self.queue.backlog(),
                    "memory_mb": _memory() / 2**20,
                }
            )
            drained_at = self.app.clock.now() if self.twilio.numbers > before else drained_at
            if self.app.clock.now() - drained_at > 90 * MINUTE:  # what was in doubt has been settled too
                break
        proactive = [[at for at in times if at > 0] for times in self.twilio.accepted.values()]
        gaps = [later - sooner for times in proactive for sooner, later in pairwise(times)]
        nearly_all = next(m["minute"] for m in self.minutes if m["accepted"] >= 0.97 * self.reminders)
        return {
            "reminders": self.reminders,
            "accepted": sum(map(len, proactive)),
            "violations": sum(gap < HOUR for gap in gaps),
            "replies": len(self.reply_waits),
            "longest_wait_of_a_reply_s": max(self.reply_waits, default=0) / 1000,
            "minutes_to_97_percent": nearly_all,
            "minutes_to_the_last": (drained_at - start) / MINUTE,
            "memory_mb_stored": stored_memory / 2**20,
            "memory_mb_end": _memory() / 2**20,
        }

    def _minute(self) -> None:
        deadline = Deadline(self.app.clock.now() + 50_000)
        self.app.sweep_due(deadline)
        for _ in range(60):
            self._answers()
            for number, body, put_at in self.queue.take(PER_SECOND):
                received = QueueMessage(str(number), str(number), body, put_at)
                before = len(self.twilio.accepted)
                self.app.work_queue_message(received, Deadline(self.app.clock.now() + 30_000))
                self._follow_up(json.loads(body), len(self.twilio.accepted) > before)
            self.app.clock.sleep(1)

    def _follow_up(self, body: Mapping[str, Any], is_new: bool) -> None:
        """Some who got their reminder will answer it; a reply that went has waited so long."""
        now = self.app.clock.now()
        if asked_at := self.asked_at.pop(body.get("idempotency_key", ""), None):
            self.reply_waits.append(now - asked_at)
        elif is_new and self.chance.random() < ANSWERING:
            to = next(reversed(self.twilio.accepted))
            heappush(self.answers, (now + self.chance.randrange(10_000, 20 * MINUTE), to))

    def _answers(self) -> None:
        """Patients write; the agent's reply goes on the queue."""
        while self.answers and self.answers[0][0] <= self.app.clock.now():
            at, patient = heappop(self.answers)
            sid = f"SM{at:016x}{int(patient[1:]):016x}"
            self.app.receive_message(InboundForm(twilio_sid=sid, from_=Address(patient), to=SENDER, text="Yes, thanks"))
            key = f"reply-{sid}"
            self.asked_at[key] = self.app.clock.now()
            self.queue.put({"to": patient, "text": "See you then", "in_reply_to": sid, "idempotency_key": key})


def _memory() -> int:
    return int(re.findall(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) * 1024


if __name__ == "__main__":
    morning = Morning(int(sys.argv[1]))
    figures = morning.play()
    Path(sys.argv[2]).write_text(json.dumps(morning.minutes))
    print(json.dumps({name: round(figure, 1) for name, figure in figures.items()}))
