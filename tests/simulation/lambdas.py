"""The product's functions in their sandboxes, the calls that they make, and the schedules that start them.

The use cases, stores and adapters are the product's own, joined by its own `bootstrap.App`. Only what lies beyond the
adapters is simulated: AWS's services and Twilio, by fakes.
"""

import random
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from email.utils import parsedate_to_datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, ClassVar, Self, TypeVar
from unittest.mock import patch

from botocore.exceptions import BotoCoreError, ClientError
from whatsapp import bootstrap
from whatsapp.adapters.dynamodb import clock as clock_adapter
from whatsapp.adapters.dynamodb.client import Contention
from whatsapp.adapters.dynamodb.contact_store import ContactMovedError
from whatsapp.adapters.dynamodb.template_store import LeaseLost
from whatsapp.bootstrap import App
from whatsapp.domain import periods
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Deadline, PublishFailed, StatusUpdate, TwilioUnavailable
from whatsapp.use_cases.work_queue_message import QueueMessage

from tests.simulation import aws, dynamodb
from tests.simulation.faults import Faults, Mode, Rates
from tests.simulation.hub import HOUR, MINUTE, Crash, Hub, Worker
from tests.simulation.sandbox import Bucket, Sandbox, SimulatedApp, approve_templates, settings
from tests.simulation.tables import Answer
from tests.simulation.twilio import Entry, Twilio

START = 1_795_000_000_000
"""An evening in November 2026, 16:36 in India."""
LONGEST = 7 * 24 * HOUR
MOST_CALLS = 20_000
"""A schedule that makes more port calls than this runs in a circle. A day of waiting makes some thousands."""
KILLED_LATE = 700
CRASHES_AFTER = {"crashing": (1, 2, 3, 5, 8), "crashing at once": (0, 0, 0, 1)}
"""Port calls of a worker whose function has a bug, or too little memory."""
WEBHOOK_TRIES_FOR = 15_000
SYNC_EVERY = 15 * MINUTE
FIRST_TOKEN = "token 0"
OURS = (Contention, ContactMovedError, LeaseLost, ClientError, BotoCoreError, PublishFailed, TwilioUnavailable)
"""Errors that a fault explains. Any other is a bug."""
T = TypeVar("T")


class Lambdas:
    """The functions, and what they run in. `World` adds what people do."""

    app_class: ClassVar[type[SimulatedApp]] = SimulatedApp
    timeout: ClassVar[int] = 30_000
    swept_by: ClassVar[dict[str, str]] = {
        "send": "_sweep",
        "urgent": "_sweep",
        "incident": "_alert",
        "publish": "_publish",
        "erase": "_sweep_erasures",
        "answer": "_sweep_answers",
        "words": "_reconcile",
    }
    """The schedules that look into each kind of shard."""

    def __init__(
        self,
        seed: int,
        rates: Rates | None = None,
        script: Mapping[int, Mode] | None = None,
        quiet_hours: str = "",
        replies_per_inbound: int = 3,
        *,
        send_to_ids: bool = True,
    ) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.hub = Hub(START)
        self.faults = Faults(random.Random(seed + 1), rates or Rates(), script)
        self.tables = dynamodb.new_tables()
        self.dynamodb = dynamodb.Client(self._dynamodb)
        self.twilio = Twilio(self.hub, self.faults, self.call, self._status_callback)
        self.twilio.tokens = {FIRST_TOKEN}
        self.sqs = aws.Sqs(self.hub, self.faults, self.call, self._queue_message, self._due_of)
        self.bus = aws.Bus(self.call)
        self.sns = aws.Sns(self.call)
        self.secrets = aws.Secrets(self.hub, self.call)
        self.secrets.token = FIRST_TOKEN
        self.bucket = Bucket(self.call)
        self.settings = settings(quiet_hours, replies_per_inbound, send_to_ids=send_to_ids)
        self.counted: Counter[str] = Counter()
        self.verbose = False
        self.unexpected: list[str] = []
        """Exceptions that no fault explains: bugs."""
        self.held_replies: set[str] = set()
        """Records that the rate limit held back while they were replies."""
        self._sandboxes: list[Sandbox] = []
        self._workers = 0
        self._watched: dict[tuple[str, str], list[tuple[int, Callable[[], None]]]] = {}
        self._planned: dict[str, int] = {}
        self._stale = True
        self._synced_at = START

    # --- running ---------------------------------------------------------------------------------------------------

    def run(self, until: int = START + LONGEST) -> None:
        """Let everything happen until then, or until nothing is left to happen."""
        while len(self.faults.calls) < MOST_CALLS:
            self._plan_sweeps()
            if self.hub.next_at is None or self.hub.next_at > until:
                return
            self.hub.step()

    def pass_time(self, milliseconds: int) -> None:
        """Let everything happen that happens within that time."""
        until = self.hub.now + milliseconds
        self.run(until)
        self.hub.now = max(self.hub.now, until)

    @property
    def at_rest(self) -> bool:
        """Whether nothing is left to happen."""
        return self.hub.next_at is None

    @contextmanager
    def installed(self) -> Iterator[Self]:
        """The product's few global threads in the world's hands: its clock, its chance, its App."""
        random.seed(self.seed)
        tokens = random.Random(self.seed + 2)
        time = SimpleNamespace(time_ns=self._local_ns, sleep=lambda seconds: self.hub.pause(int(seconds * 1000)))
        with ExitStack() as stack:
            stack.enter_context(patch.object(clock_adapter, "time", time))
            stack.enter_context(patch.object(clock_adapter, "parsedate_to_datetime", _read_date))
            stack.enter_context(patch("secrets.token_hex", lambda n: f"{tokens.getrandbits(8 * n):0{2 * n}x}"))
            stack.enter_context(patch.object(bootstrap, "app", self._app))
            stack.enter_context(patch("functions.send.serve.logger", SimpleNamespace(**_LOGGER)))
            templates = self.app_class(self.settings, self).templates
            approve_templates(templates, lambda: f"HX{self.rng.getrandbits(128):032x}", START)
            yield self

    def call(
        self,
        name: str,
        effect: Callable[[], T],
        *,
        lost: Callable[[], T],
        refused: Callable[[], T],
        slow: int = 20,
    ) -> T:
        """One call through a port: it takes time, others run meanwhile, and it may go wrong.

        Raises:
            Crash: the worker ended in it.
        """
        worker = self.hub.current
        if worker is None:
            return effect()
        mode = self.faults.draw(f"{worker.name}: {name}")
        if worker.calls_left is not None:
            worker.calls_left -= 1
            mode = Mode.BEFORE if worker.calls_left < 0 else mode
        if self.verbose:
            print(f"{(self.hub.now - START) / 1000:11.3f} {worker.name:8} {worker.number:4} {name} {mode or ''}")
        stall, worker.stall = worker.stall, 0
        there = stall if self.faults.chance(0.5) else 0
        self.hub.pause(self._latency(slow, mode) + there)
        if mode is Mode.BEFORE:
            raise Crash(name)
        if mode is Mode.REFUSED:
            return refused()
        answer = effect()
        self.hub.pause(stall - there)
        if mode is Mode.AFTER:
            raise Crash(name)
        self.hub.pause(worker.dies_at - self.hub.now if mode is Mode.KILL else self._latency(slow, None))
        return lost() if mode is Mode.LOST else answer

    def when(self, message_id: str, status: str, action: Callable[[], None], stall: int = 0) -> None:
        """Have something happen the moment a record takes a status; whoever wrote it stalls that long on its way on."""
        self._watched.setdefault((message_id, status), []).append((stall, action))

    # --- doors -----------------------------------------------------------------------------------------------------

    def _queue_message(self, nudge: aws.Nudge) -> None:
        record = self.sqs.receipt(nudge)
        received = QueueMessage(record["messageId"], record["receiptHandle"], record["body"], nudge.asked_at)

        def done(forget: bool | None) -> None:
            nudge.deleted = nudge.deleted or bool(forget)

        self._invoke("queue", lambda app, deadline: app.work_queue_message(received, deadline), done)

    def _status_callback(self, entry: Entry, update: StatusUpdate) -> None:
        self._webhook("status", lambda app, _: app.record_status(update), lambda: entry.told.append(update.status))

    def _webhook(
        self,
        name: str,
        work: Callable[[App, Deadline], object],
        done: Callable[[], None],
        until: int | None = None,
    ) -> None:
        """Twilio comes again for some seconds if we fail, and then never."""
        tries_until = until or self.hub.now + WEBHOOK_TRIES_FOR

        def answered(result: object) -> None:
            if result is not None:
                done()
            elif self.hub.now < tries_until:
                self.hub.at(self.hub.now + 3_000, lambda: self._webhook(name, work, done, tries_until))

        if self.faults.outage("webhook", self.hub.now):
            answered(None)
        else:
            self._invoke(name, lambda app, deadline: (work(app, deadline),), answered)

    def _invoke(self, name: str, work: Callable[[App, Deadline], T], done: Callable[[Any], None]) -> None:
        """Run a function once. `done` hears its result, the error it answers with, or None if it failed or died."""
        sandbox = self._sandbox()
        self._workers += 1
        dies_at = self.hub.now + self.timeout + self.faults.between(0, KILLED_LATE)
        worker = Worker(name, self._workers, sandbox, dies_at)
        if name == "queue" and (how := self.faults.outage("queue worker", self.hub.now)):
            worker.calls_left = self.rng.choice(CRASHES_AFTER[how])

        def run() -> None:
            result: Any = None
            try:
                result = work(sandbox.app, Deadline(sandbox.app.clock.now() + self.timeout))
            except Crash:
                self._sandboxes.remove(sandbox)
            except MessagingError as error:
                result = error
            except Exception as error:  # noqa: BLE001 - a Lambda that fails; bugs are told by their kind
                self._failed(error)
            sandbox.busy = False
            done(result)

        self.hub.start(worker, run)

    # --- the schedules ---------------------------------------------------------------------------------------------

    def _plan_sweeps(self) -> None:
        """EventBridge starts the sweeps every minute; those that would find nothing are left out."""
        if not self._stale:
            return
        self._stale = False
        due: dict[str, int] = {}
        for item in self.tables["messages"]:
            if (shard := item.get("due_shard")) and (sweep := self.swept_by.get(shard["S"].split("#")[0])):
                due[sweep] = min(due.get(sweep, 1 << 62), int(item["due_at"]["N"]))
        for sweep, due_at in due.items():
            self._plan(sweep, due_at)
        if any(
            self._status_at_whatsapp(item) != item["status"]["S"]
            for item in self.tables["templates"]
            if "status" in item
        ):
            self._plan("_sync", self._synced_at + SYNC_EVERY)

    def _plan(self, sweep: str, due_at: int) -> None:
        at = (max(self.hub.now, due_at) // MINUTE + 1) * MINUTE
        if self.hub.now < self._planned.get(sweep, 0) <= at:
            return
        self._planned[sweep] = at

        def tick() -> None:
            self._stale = True
            if self._planned.get(sweep) == at:
                getattr(self, sweep)()

        self.hub.at(at, tick)

    def _task(self, name: str, work: Callable[[App, Deadline], object]) -> None:
        self._invoke(name, work, lambda _: None)

    def _sweep(self) -> None:
        for _ in range(2 if self.faults.chance(self.faults.rates.redelivered) else 1):
            self._task("sweep", lambda app, deadline: app.sweep_due(deadline))

    def _alert(self) -> None:
        self._task("alerts", lambda app, deadline: app.raise_alerts.sweep(deadline))

    def _publish(self) -> None:
        self._task("publish", lambda app, deadline: app.publish_waiting(deadline))

    def _sweep_erasures(self) -> None:
        self._task("erasures", lambda app, deadline: app.erase_contact.sweep(deadline))

    def _sweep_answers(self) -> None:
        for _ in range(2 if self.faults.chance(self.faults.rates.redelivered) else 1):
            self._task("unanswered", lambda app, deadline: app.publish_unanswered(deadline))

    def _reconcile(self) -> None:
        for _ in range(2 if self.faults.chance(self.faults.rates.redelivered) else 1):
            self._task("reconcile", lambda app, deadline: app.reconcile(deadline))

    def _sync(self) -> None:
        """What the template sync does with a status: it takes WhatsApp's, and for an hour what a send has learnt."""
        self._synced_at = self.hub.now

        def sync(app: App, _: Deadline) -> None:
            now = app.clock.now()
            for template in app.catalog.names:
                for version in app.templates.versions(template):
                    status = self.twilio.stopped.get(version.content_sid or "", "approved")
                    stands = status == "approved" and (version.reported_at or 0) + periods.REPORT_STANDS > now
                    if version.status != status and not stands:
                        held = app.templates.lease(version, listed_at=now, until=now + periods.SYNC_LEASE)
                        held = app.templates.record(held, status=status, status_at=now, outbox=frozenset())
                        app.templates.release(held, delivered=frozenset(), checked_at=now)

        self._task("sync", sync)

    def _status_at_whatsapp(self, item: Mapping[str, Any]) -> str:
        return self.twilio.stopped.get(item["content_sid"]["S"], "approved")

    # --- inside ----------------------------------------------------------------------------------------------------

    def _dynamodb(self, operation: str, request: dict[str, Any]) -> Answer:
        wire = dynamodb.Wire(self.faults, self.tables, self.hub, operation, request)
        stamps: list[int] = []

        def effect() -> Answer:
            answer = wire.effect()
            stamps.append(self.hub.now)
            if wire.is_write:
                self._stale = True
                self._watch()
            return answer

        context: dict[str, object] = {}
        self._hear("before-call.dynamodb", context=context)
        how = self.faults.outage("dynamodb", self.hub.now) if self.hub.current else None
        answer = self.call(
            wire.name,
            lambda: wire.failing(effect) if how == "errors" else effect(),
            lost=wire.lost,
            refused=wire.refused,
            slow=dynamodb.SLOW.get(how or "", 20),
        )
        if stamps:  # the answer bears the time at which it was made, however long it was on its way
            self._hear("after-call.dynamodb", context=context, parsed=dynamodb.dated(stamps[-1]))
        return answer

    def _hear(self, event: str, **about: object) -> None:
        """Botocore's events, for whoever listens in the running worker's sandbox."""
        if self.hub.current and (listener := self.hub.current.sandbox.app.hearing.get(event)):
            listener(**about)

    def _watch(self) -> None:
        """After every write."""
        self.held_replies |= {i["message_id"]["S"] for i in self.tables["messages"] if _is_held_reply(i)}
        for message_id, status in list(self._watched):
            item = self._record(message_id)
            if item and item["status"]["S"] == status:
                for stall, action in self._watched.pop((message_id, status)):
                    if self.hub.current:
                        self.hub.current.stall = stall
                    self.hub.at(self.hub.now, action)

    def _due_of(self, message_id: str) -> str:
        item = self._record(message_id)
        return str(item["due_at"]["N"]) if item and "due_at" in item else ""

    def _record(self, message_id: str) -> Mapping[str, Any] | None:
        return self.tables["messages"].items.get((message_id, "message"))

    def _sandbox(self) -> Sandbox:
        sandbox = next((s for s in self._sandboxes if not s.busy), None)
        if sandbox is None:
            skewed = self.faults.chance(self.faults.rates.skewed)
            most = self.faults.rng.choice((2_000, 2_600, 600_000)) if skewed else 0
            sandbox = Sandbox(self.app_class(self.settings, self), self.faults.rng.randint(-most, most))
            self._sandboxes.append(sandbox)
        sandbox.busy = True
        return sandbox

    def _latency(self, slow: int, mode: Mode | None) -> int:
        if self.faults.script is not None:
            return slow // 2
        return self.faults.between(1, 20_000 if mode is Mode.STALL else slow)

    def _local_ns(self) -> int:
        skew = self.hub.current.sandbox.skew if self.hub.current else 0
        return (self.hub.now + skew) * 1_000_000

    def _app(self) -> App:
        assert self.hub.current is not None
        app: App = self.hub.current.sandbox.app
        return app

    def _failed(self, error: Exception) -> None:
        inner = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
        if not all(isinstance(one, OURS) for one in inner):
            self.unexpected.append("".join(traceback.format_exception(error)[-6:]))


def _is_held_reply(item: Mapping[str, Any]) -> bool:
    if item.get("status") != {"S": "deferred"} or item.get("lane") != {"S": "reply"} or "error" not in item:
        return False
    return bool(item["error"]["M"]["code"] == {"S": "rate_limited"})


_read_date = lru_cache(maxsize=64)(parsedate_to_datetime)
_LOGGER = {name: (lambda *_, **__: None) for name in ("info", "warning", "debug", "error")}
