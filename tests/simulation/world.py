"""The world around the product: its doors, the outside it talks to, and virtual time.

The use cases, stores and adapters are the product's own, joined by its own `bootstrap.App`. Only what lies beyond the
adapters is simulated: DynamoDB by MiniStack's, AWS's other services and Twilio by fakes.
"""

import json
import random
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest.mock import patch

import requests
from botocore.exceptions import BotoCoreError, ClientError
from whatsapp import bootstrap
from whatsapp.adapters.dynamodb import clock as clock_adapter
from whatsapp.adapters.dynamodb.client import Contention
from whatsapp.adapters.dynamodb.items import contact_from, message_from
from whatsapp.adapters.dynamodb.notation import load as _load
from whatsapp.bootstrap import App
from whatsapp.domain.address import Address
from whatsapp.domain.contact import Contact, ContactIds
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Deadline, PublishFailed, StatusUpdate
from whatsapp.domain.receiving.inbound import InboundForm
from whatsapp.domain.sending.message import Message, SendKind, message_id_of
from whatsapp.domain.sending.request import SendAnswer
from whatsapp.use_cases.work_queue_message import QueueMessage

from functions.send.serve import serve
from tests.simulation import aws, dynamodb
from tests.simulation.faults import Faults, Mode, Rates
from tests.simulation.hub import HOUR, MINUTE, Crash, Hub, Worker
from tests.simulation.sandbox import Sandbox, SimulatedApp, approve_templates, settings
from tests.simulation.twilio import SENDER, Entry, Twilio

START = 1_795_000_000_000
"""An evening in November 2026, 16:36 in India."""
LONGEST = 72 * HOUR
MOST_CALLS = 12_000
"""A schedule that makes more port calls than this runs in a circle. A day of waiting for a template takes 2 500."""
TIMEOUT = 30_000
KILLED_LATE = 700
CALLER_TRIES = 8
WEBHOOK_TRIES = 4
T = TypeVar("T")


@dataclass(kw_only=True)
class Request:
    """What a caller asked for, and what it was told."""

    key: str
    body: dict[str, Any]
    at: int
    answers: list[SendAnswer] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    @property
    def message_id(self) -> str:
        """The record that stands for it."""
        return message_id_of(self.key)


class World:
    """One schedule's world. Leave it by `run`, then ask the referee."""

    def __init__(
        self,
        seed: int,
        rates: Rates | None = None,
        script: Mapping[int, Mode] | None = None,
        quiet_hours: str = "",
        replies_per_inbound: int = 3,
    ) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.hub = Hub(START)
        self.faults = Faults(random.Random(seed + 1), rates or Rates(), script)
        self.tables = dynamodb.Tables()
        self.twilio = Twilio(self.hub, self.faults, self.call, self._status_callback, self._lane_of)
        self.sqs = aws.Sqs(self.hub, self.faults, self.call, self._queue_message, self._due_of)
        self.bus = aws.Bus(self.call)
        self.sns = aws.Sns(self.call)
        self.settings = settings(quiet_hours, replies_per_inbound)
        self.counted: Counter[str] = Counter()
        self.requests: dict[str, Request] = {}
        self.canceled: dict[str, int] = {}
        """Message ids whose cancel was confirmed, and when."""
        self.opted_out: dict[str, list[tuple[int, bool]]] = {}
        """By contact: when an opt-out (True) or its end was stored."""
        self.tied: dict[str, str] = {}
        """Second addresses of people, and their numbers."""
        self.tied_at: dict[str, int] = {}
        self.gave_up: Counter[str] = Counter()
        """Callers whose every try failed, by key."""
        self.verbose = False
        self.unexpected: list[str] = []
        """Exceptions that no fault explains: bugs."""
        self._sandboxes: list[Sandbox] = []
        self._watched: dict[tuple[str, str], list[tuple[int, Callable[[], None]]]] = {}
        self._planned: dict[str, int] = {}
        self._stale = True

    # --- what people do --------------------------------------------------------------------------------------------

    def request(self, key: str, body: dict[str, Any], *, queued: bool = False) -> Request:
        """A caller asks for a message; through the queue, or directly with retries of its own."""
        asked = self.requests.setdefault(key, Request(key=key, body=body, at=self.hub.now))
        if queued:
            self.sqs.put(json.dumps({**body, "idempotency_key": key}))
        else:
            self._ask(asked, CALLER_TRIES)
        return asked

    def cancel(self, message_id: str) -> None:
        """A caller calls a message off."""

        def told(answer: SendAnswer | MessagingError | None) -> None:
            if isinstance(answer, SendAnswer) and answer.status == "canceled" and answer.message_id:
                self.canceled.setdefault(answer.message_id, self.hub.now)

        self._invoke("cancel", lambda app, _: app.cancel_message(message_id), told)

    def inbound(self, sid: str, address: str, text: str) -> None:
        """A patient writes; Twilio brings it, and comes again for some seconds if we fail."""
        form = InboundForm(twilio_sid=sid, from_=Address(address), to=SENDER, text=text)
        self.twilio.last_inbound[address] = self.hub.now
        self._webhook("inbound", lambda app, _: app.receive_message(form), lambda: None)

    def tie(self, second: str, number: str) -> None:
        """An inbound message showed that an id of WhatsApp's belongs to a number."""
        ids = ContactIds("simulated")
        second_id, contact_id = ids.of(Address(second)), ids.of(Address(number))
        self._invoke("tie", lambda app, _: app.contacts.tie(second_id, contact_id), lambda _: None)

    def when(self, message_id: str, status: str, action: Callable[[], None], stall: int = 0) -> None:
        """Have something happen the moment a record takes a status; whoever wrote it stalls that long on its way on."""
        self._watched.setdefault((message_id, status), []).append((stall, action))

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
    def installed(self) -> Iterator["World"]:
        """The product's few global threads in the world's hands: its clock, its chance, its App."""
        random.seed(self.seed)
        tokens = random.Random(self.seed + 2)
        time = SimpleNamespace(time_ns=self._local_ns, sleep=lambda seconds: self.hub.pause(int(seconds * 1000)))
        with ExitStack() as stack:
            stack.enter_context(patch.object(dynamodb.Line, "call", self._dynamodb, create=True))
            stack.enter_context(patch.object(clock_adapter, "time", time))
            stack.enter_context(patch("secrets.token_hex", lambda n: f"{tokens.getrandbits(8 * n):0{2 * n}x}"))
            stack.enter_context(patch.object(bootstrap, "app", self._app))
            stack.enter_context(patch("functions.send.serve.logger", SimpleNamespace(**_LOGGER)))
            templates = SimulatedApp(self.settings, self).templates
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
        if self.verbose:
            print(f"{(self.hub.now - START) / 1000:11.3f} {worker.name:8} {id(worker) % 9973:5} {name} {mode or ''}")
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

    # --- the referee's view ----------------------------------------------------------------------------------------

    def messages(self) -> dict[str, Message]:
        """Every outgoing record as it stands."""
        items = [_load(item) for item in self.tables.items("messages")]
        return {i["message_id"]: message_from(i) for i in items if i.get("direction") == "outbound"}

    def contacts(self) -> dict[str, Contact]:
        """Every contact's row as it stands."""
        return {c["contact_id"]: contact_from(c) for c in map(_load, self.tables.items("contacts"))}

    # --- doors -----------------------------------------------------------------------------------------------------

    def _ask(self, asked: Request, tries: int) -> None:
        def told(answer: SendAnswer | MessagingError | None) -> None:
            if isinstance(answer, SendAnswer):
                asked.answers.append(answer)
            elif isinstance(answer, MessagingError):
                asked.refusals.append(answer.code)
            elif tries:
                self.hub.at(self.hub.now + self.faults.between(100, MINUTE), lambda: self._ask(asked, tries - 1))
            else:
                self.gave_up[asked.key] += 1

        self._invoke("direct", lambda _, deadline: serve(asked.body, asked.key, deadline), told)

    def _queue_message(self, nudge: aws.Nudge) -> None:
        record = self.sqs.receipt(nudge)
        received = QueueMessage(record["messageId"], record["receiptHandle"], record["body"], nudge.sent_at)

        def done(forget: bool | None) -> None:
            nudge.deleted = nudge.deleted or bool(forget)

        self._invoke("queue", lambda app, deadline: app.work_queue_message(received, deadline), done)

    def _status_callback(self, entry: Entry, update: StatusUpdate) -> None:
        self._webhook("status", lambda app, _: app.record_status(update), lambda: entry.told.append(update.status))

    def _webhook(
        self, name: str, work: Callable[[App, Deadline], object], done: Callable[[], None], tries: int = WEBHOOK_TRIES
    ) -> None:
        def answered(result: object) -> None:
            if result is not None:
                done()
            elif tries > 1:
                self.hub.at(self.hub.now + 3_000, lambda: self._webhook(name, work, done, tries - 1))

        self._invoke(name, lambda app, deadline: (work(app, deadline),), answered)

    def _invoke(self, name: str, work: Callable[[App, Deadline], T], done: Callable[[Any], None]) -> None:
        """Run a function once. `done` hears its result, the error it answers with, or None if it failed or died."""
        sandbox = self._sandbox()
        worker = Worker(name, sandbox, self.hub.now + TIMEOUT + self.faults.between(0, KILLED_LATE))

        def run() -> None:
            result: Any = None
            try:
                result = work(sandbox.app, Deadline(sandbox.app.clock.now() + TIMEOUT))
            except Crash:
                self._sandboxes.remove(sandbox)
            except MessagingError as error:
                result = error
            except Exception as error:  # noqa: BLE001 - a Lambda that fails; bugs are told by their kind
                self._failed(error)
            sandbox.busy = False
            done(result)

        self.hub.start(worker, run)

    # --- inside ----------------------------------------------------------------------------------------------------

    def _plan_sweeps(self) -> None:
        """EventBridge starts the sweeps every minute; those that would find nothing are left out."""
        if not self._stale:
            return
        self._stale = False
        due: dict[str, int] = {}
        for item in self.tables.items("messages"):
            if shard := item.get("due_shard"):
                kind = shard["S"].split("#")[0].replace("urgent", "send")  # one sweep for both
                due[kind] = min(due.get(kind, 1 << 62), int(item["due_at"]["N"]))
        for kind, sweep in (("send", self._sweep), ("incident", self._alert), ("publish", self._publish)):
            if kind in due:
                self._plan(kind, due[kind], sweep)

    def _plan(self, kind: str, due_at: int, sweep: Callable[[], None]) -> None:
        at = (max(self.hub.now, due_at) // MINUTE + 1) * MINUTE
        if self.hub.now < self._planned.get(kind, 0) <= at:
            return
        self._planned[kind] = at

        def tick() -> None:
            self._stale = True
            if self._planned.get(kind) == at:
                sweep()

        self.hub.at(at, tick)

    def _sweep(self) -> None:
        for _ in range(2 if self.faults.chance(self.faults.rates.redelivered) else 1):
            self._invoke("sweep", lambda app, deadline: app.sweep_due(deadline), lambda _: None)

    def _alert(self) -> None:
        self._invoke("alerts", lambda app, deadline: app.raise_alerts.sweep(deadline), lambda _: None)

    def _publish(self) -> None:
        self._invoke("publish", lambda app, deadline: app.publish_waiting(deadline), lambda _: None)

    def _dynamodb(self, operation: str, body: bytes) -> dynamodb.Answer:
        wire = dynamodb.Wire(self.faults, operation, body)
        stamps: list[int] = []

        def effect() -> dynamodb.Answer:
            answer = wire.effect()
            stamps.append(self.hub.now)
            if wire.is_write:
                self._stale = True
                self._watch_contacts()
                self._watch_messages()
            return answer

        context: dict[str, object] = {}
        self._hear("before-call.dynamodb", context=context)
        answer = self.call(wire.name, effect, lost=wire.lost, refused=wire.refused)
        if stamps:  # the answer bears the time at which it was made, however long it was on its way
            self._hear("after-call.dynamodb", context=context, parsed=dynamodb.dated(stamps[-1]))
        return answer

    def _hear(self, event: str, **about: object) -> None:
        """Botocore's events, for whoever listens in the running worker's sandbox."""
        if self.hub.current and (listener := self.hub.current.sandbox.app.hearing.get(event)):
            listener(**about)

    def _watch_messages(self) -> None:
        for message_id, status in list(self._watched):
            item = self.tables.item("messages", message_id, "message")
            if item and item["status"]["S"] == status:
                for stall, action in self._watched.pop((message_id, status)):
                    if self.hub.current:
                        self.hub.current.stall = stall
                    self.hub.at(self.hub.now, action)

    def _watch_contacts(self) -> None:
        for item in self.tables.items("contacts"):
            changes = self.opted_out.setdefault(item["contact_id"]["S"], [(0, False)])
            out = "opted_out_at" in item
            if changes[-1][1] != out:
                changes.append((self.hub.now, out))
            if "alias_of" in item:
                self.tied_at.setdefault(item["contact_id"]["S"], self.hub.now)

    def _due_of(self, message_id: str) -> str:
        item = self.tables.item("messages", message_id, "message")
        return str(item["due_at"]["N"]) if item and "due_at" in item else ""

    def _lane_of(self, message_id: str) -> str:
        item = self.tables.item("messages", message_id, "message")
        return str(item["lane"]["S"]) if item else SendKind.PROACTIVE

    def _sandbox(self) -> Sandbox:
        sandbox = next((s for s in self._sandboxes if not s.busy), None)
        if sandbox is None:
            skewed = self.faults.chance(self.faults.rates.skewed)
            most = self.faults.rng.choice((2_000, 2_600, 600_000)) if skewed else 0
            sandbox = Sandbox(SimulatedApp(self.settings, self), self.faults.rng.randint(-most, most))
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
        ours = (Contention, ClientError, BotoCoreError, requests.exceptions.ConnectionError, PublishFailed)
        inner = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
        if not all(isinstance(one, ours) for one in inner):
            self.unexpected.append("".join(traceback.format_exception(error)[-6:]))


_LOGGER = {name: (lambda *_, **__: None) for name in ("info", "warning", "debug", "error")}
