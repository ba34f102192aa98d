"""A clinic's day in minutes, with faults, on the embedded stack; then the ledger is balanced.

`python -m tests.performance.soak --hours 24 --patients 200` plays it. What happens is real, over HTTP; time is not
waited for: each tick sets the clock of all servers and functions a minute ahead (`product_time`), does what is due, and
waits until all is quiet. Every period and limit is the product's own. The seed decides who does what when, and what
goes wrong. `--samples FILE` keeps what was seen over time, for the plot.
"""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from httpx import TransportError
from whatsapp.domain import periods

from local.artifacts import LAMBDA_PYTHON
from local.aws import scan
from local.stack import Stack, StackError
from tests.product import Product

REQUEST_FAULTS = ("http_429", "http_503", "refuse", "truncate", "accept_then_500", "accept_then_hang", "hang")
CALLBACK_FAULTS = ("callbacks_drop", "callbacks_double", "callbacks_reorder", "callbacks_delay", "status_failed")
DEFECTS = ("short-limit", "no-sweep", "no-publish", "no-reconcile")
"""Mistakes that the balance must find: a limit of a minute; a schedule that is missing."""
SAMPLE_EVERY = 15
SETTLES_WITHIN = 300
"""Minutes after the last plan: a doubt ends after three hours, and what waited for it goes an hour later."""

Act = Callable[[], object]


class ProductTime:
    """The clock of all servers and functions: a file that says how far they are ahead of this machine's."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._ahead_ns = 0
        file.write_bytes(bytes(8))
        self.began_ns = _machine_ns()

    def advance(self, minute: int) -> None:
        """To this minute since the beginning; never back."""
        self._ahead_ns = max(self._ahead_ns, self.began_ns + minute * 60 * 10**9 - _machine_ns())
        with self.file.open("r+b") as file:
            file.write(self._ahead_ns.to_bytes(8, "little"))

    def at(self, minute: float) -> str:
        """That minute, as a request names it."""
        return datetime.fromtimestamp(self.began_ns / 1e9 + minute * 60, UTC).isoformat()

    def minute_of(self, epoch_ms: int) -> int:
        """The first whole minute since the beginning that is not before it."""
        return -((self.began_ns // 10**6 - epoch_ms) // 60_000)

    @property
    def environment(self) -> dict[str, str]:
        """For whoever is to live by it."""
        return {"PRODUCT_TIME": str(self.file), "PYTHONPATH": str(Path(__file__).parent / "product_time")}


def _machine_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_REALTIME)


@dataclass
class Soak:
    """One day, from a seed."""

    product: Product
    clock: ProductTime
    hours: int
    patients: int
    rng: random.Random
    defect: str | None = None
    plan: defaultdict[int, list[Act]] = field(default_factory=lambda: defaultdict(list))
    """What is to be done, by the minute."""
    minute: int = 0
    _before: int = -1
    """The minute of the tick before."""
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Requests by idempotency key."""
    canceled: set[str] = field(default_factory=set)
    """Message ids whose cancel was confirmed."""
    failed_calls: Counter[str] = field(default_factory=Counter)
    """Calls that a fault made fail, which were made again."""
    in_doubt: int = 0
    """Messages that Twilio never answered for and does not list: a person decides."""
    _times: dict[int, int | None] = field(default_factory=dict)
    """Of each fault by its id, how often it is to strike."""
    never_struck: list[str] = field(default_factory=list)
    """Faults that nothing met: then the day proves nothing about them."""
    samples: list[dict[str, float]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def play(self) -> None:
        """The day, minute by minute; then as long as it takes until the balance is right."""
        self._dynamodb = self.product.stack.aws("dynamodb")
        self._sqs, self._lambda = self.product.stack.aws("sqs"), self.product.stack.aws("lambda")
        self._schedules = self._take_over_schedules()
        self.product.stack.tell_twilio(status_delays_ms=dict.fromkeys(("queued", "sent", "delivered", "read"), 0))
        self._make_plan()
        while any(self.plan.values()):
            self._tick()
        self._clear_faults()
        ends = self.minute + SETTLES_WITHIN
        self.problems = self._balance()
        while self.problems and self.minute < ends:
            for _ in range(10):
                self._tick()
            self.problems = self._balance()

    def _tick(self) -> None:
        self.clock.advance(self.minute)
        acts = self.plan.pop(self.minute, [])
        for act in acts:
            try:
                act()
            except (StackError, BotoCoreError, ClientError, TransportError) as error:
                self.failed_calls[type(error).__name__] += 1
                self.plan[self.minute + 1].append(act)  # as the client does: again, with the same key
        with ThreadPoolExecutor(2) as scheduler:
            due = [one for every, *one in self._schedules if self.minute // every > self._before // every]
            list(scheduler.map(self._run, due))
        self._be_quiet()
        if self.minute // SAMPLE_EVERY > self._before // SAMPLE_EVERY:
            self._sample()
        self._before, self.minute = self.minute, self._next()

    def _next(self) -> int:
        """The next minute in which something may be due; at most a quarter of an hour ahead."""
        due = [self.clock.minute_of(int(item["due_at"]["N"])) for item in self._due()]
        planned = [minute for minute, acts in self.plan.items() if acts]
        return max(self.minute + 1, min([self.minute + SAMPLE_EVERY, *due, *planned]))

    def _be_quiet(self) -> None:
        """Wait for what the queue and Twilio's callbacks have begun: few Lambdas are to sleep through a tick.

        What a function gave back to the queue stays invisible for minutes, hence the end.
        """
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline and self._queue(
            "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
        ):
            time.sleep(0.02)
        time.sleep(0.05)

    # --- the template's schedules ---------------------------------------------------------------------------------

    def _take_over_schedules(self) -> list[tuple[int, str, str]]:
        """Each deployed rule's minutes, function and input; from now on only the tick obeys them."""
        events, found = self.product.stack.aws("events"), list[tuple[int, str, str]]()
        for rule in events.list_rules()["Rules"]:
            if every := re.fullmatch(r"rate\((\d+) (minute|hour)s?\)", rule.get("ScheduleExpression", "")):
                minutes = int(every[1]) * (60 if every[2] == "hour" else 1)
                targets = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
                wanted = [one for one in targets if f"no-{json.loads(one['Input'])['task']}" != self.defect]
                found += [(minutes, target["Arn"], target["Input"]) for target in wanted]
                events.disable_rule(Name=rule["Name"])
        return found

    def _run(self, schedule: list[str]) -> None:
        arn, task = schedule
        answer = self._lambda.invoke(FunctionName=arn, Payload=task.encode())
        if "FunctionError" in answer:
            self.failed_calls[task] += 1

    # --- the plan -------------------------------------------------------------------------------------------------

    def _make_plan(self) -> None:
        """What patients and the orchestrator do, and when."""
        day = self.hours * 60
        for number in range(self.patients):
            patient, minute = self.product.new_patient(), self.rng.randrange(day * 2 // 3)
            later = minute + self.rng.randrange(day // 4)
            self._plan(minute, self._ask, f"confirm-{number}", patient, "appointment_confirmation", queued=number % 2)
            self._plan(minute + 1, self._ask, f"remind-{number}", patient, "session_reminder", send_at=later)
            if number % 2:  # many are written to at once, some of whom were just written to
                self._plan(day // 2, self._ask, f"rush-{number}", patient, "follow_up", queued=True)
            if number % 3 == 0:
                self._plan(minute + 20, self._write_and_be_answered, number, patient)
            if number % 7 == 0:
                self._plan((minute + later) // 2 + 2, self._cancel, f"remind-{number}")
            if number % 10 == 5:
                self._plan(minute + 30, self._write, patient, "STOP")
                self._plan(minute + 90, self._write, patient, "START")
        self._plan_faults(day)

    def _plan_faults(self, day: int) -> None:
        for kind in (*REQUEST_FAULTS, *CALLBACK_FAULTS):
            for _ in range(max(1, self.hours // 6)):
                self._plan(self.rng.randrange(day // 3), self._fault, kind, times=2)
        stranger = self.product.new_patient()
        for _ in range(2):  # whose webhooks get lost: only Twilio's list shows what they wrote
            minute = self.rng.randrange(day // 3)
            self._plan(minute, self._fault, "callbacks_drop", match={"to": stranger, "path": "/twilio/inbound"})
            self._plan(minute, self._write, stranger, "Hello?")
        minute = day // 5
        self._plan(minute, self._refuse, "dynamodb:*", "SendFunctionName")
        self._plan(minute + 5, self._permit, "dynamodb:*", "SendFunctionName")
        minute = day // 4
        for function in ("SendFunctionName", "WebhookFunctionName"):
            self._plan(minute, self._refuse, "events:PutEvents", function)
            self._plan(minute + 5, self._permit, "events:PutEvents", function)
        self._plan(minute + 1, self._write, stranger, "Are you there?")
        # An hour in which Twilio answers 503, closes its connections, and hangs.
        minute = day // 2
        for part, kind in enumerate(("http_503", "refuse", "hang")):
            self._plan(minute + 20 * part, self._clear_faults)
            self._plan(minute + 20 * part, self._fault, kind, match={"path": "/Messages"}, times=None)
        self._plan(minute + 60, self._clear_faults)

    def _plan(self, minute: int, act: Callable[..., object], *given: Any, **more: Any) -> None:
        self.plan[minute].append(lambda: act(*given, **more))

    def _ask(self, key: str, to: str, template: str, *, send_at: int | None = None, queued: int = False) -> None:
        variables = {"patient_name": "Asha", "therapist_name": "Dr. Rao"} | {
            "appointment_confirmation": {"appointment_date": "2099-11-26", "appointment_time": "17:30"},
            "session_reminder": {"session_time": "2099-11-26T17:30:00+05:30"},
            "follow_up": {"session_date": "2026-11-24"},
        }[template]
        request = {"to": to, "template": template, "variables": variables, "idempotency_key": key}
        if send_at is not None:
            request["send_at"] = self.clock.at(send_at)
        self._request(request, queued=queued)

    def _request(self, request: dict[str, Any], *, queued: int) -> None:
        self.asked[request["idempotency_key"]] = request
        if queued:
            for _ in range(2 if self.rng.random() < 0.2 else 1):
                self.product.enqueue(request)
        else:
            self.product.send(**request)

    def _write_and_be_answered(self, number: int, patient: str) -> None:
        sid = self._write(patient, "Yes, thank you")
        reply = {"to": patient, "text": "See you then", "in_reply_to": sid, "idempotency_key": f"reply-{number}"}
        self._plan(self.minute + 1, self._request, reply, queued=True)

    def _write(self, patient: str, body: str) -> str:
        return str(self.product.write(patient, body)["message_sid"])

    def _cancel(self, key: str) -> None:
        answer = self.product.send(**self.asked[key])
        if message_id := answer["message_id"]:
            gone = self.product.api("DELETE", f"/messages/{message_id}")
            if gone.status_code >= 500:
                raise StackError("a cancel failed")
            if gone.status_code == 200:
                self.canceled.add(message_id)

    # --- what goes wrong ------------------------------------------------------------------------------------------

    def _fault(self, kind: str, **more: Any) -> None:
        given = {"callbacks_delay": {"seconds": 3}, "hang": {"seconds": 1}, "accept_then_hang": {"seconds": 1}}
        fault = self.product.twilio("faults", {"kind": kind, "code": 63_032, **given.get(kind, {}), **more})
        self._times[fault["id"]] = fault["times"]

    def _clear_faults(self) -> None:
        """Note which were never met."""
        for fault in self.product.twilio("faults")["faults"]:
            if fault["times"] and fault["times"] == self._times[fault["id"]]:
                self.never_struck.append(fault["kind"])
        self.product.twilio("faults", method="DELETE")

    def _refuse(self, action: str, function: str) -> None:
        """From now on AWS refuses the function this."""
        self.product.stack.refuse(function, action)
        self._seen = self._sign_of(action)

    def _permit(self, action: str, function: str) -> None:
        if (self._seen == self._sign_of(action)) == (action == "dynamodb:*"):
            self.never_struck.append(action)
        self.product.stack.permit(function)

    def _sign_of(self, action: str) -> int:
        """What stands still while the bus is down, the events; what grows without DynamoDB, the failed calls."""
        return len(self.product.events()) if action == "events:PutEvents" else self.failed_calls.total()

    # --- what is seen ---------------------------------------------------------------------------------------------

    def records(self) -> dict[str, dict[str, str]]:
        """All messages as they are stored, by id."""
        found = (
            {name: str(next(iter(value.values()))) for name, value in item.items()}
            for item in scan(self._dynamodb, self.product.stack.outputs["MessagesTableName"])
            if "direction" in item
        )
        return {one["message_id"]: one for one in found}

    def _due(self) -> list[dict[str, Any]]:
        """All that a schedule is to do something about, and when."""
        pages, table = self._dynamodb.get_paginator("scan"), self.product.stack.outputs["MessagesTableName"]
        return [item for page in pages.paginate(TableName=table, IndexName="due") for item in page["Items"]]

    def _queue(self, *counts: str) -> int:
        url = self.product.stack.outputs["SendQueueUrl"]
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return sum(int(found[one]) for one in counts)

    def _sample(self) -> None:
        waiting = self._queue("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed")
        is_open = sum(item["due_shard"]["S"].startswith("send") for item in self._due())
        hour = self.minute / 60
        self.samples.append({"hour": hour, "open": is_open, "queue": waiting, "memory_mb": _largest_function_mb()})
        print(
            f"{hour:5.2f} h  {is_open} open, {waiting} on the queue, calls failed so far: {dict(self.failed_calls)}",
            flush=True,
        )

    def _balance(self) -> list[str]:
        """What does not agree: the ledger, what was asked for and written, the table, the bus."""
        ledger, records = self.product.twilio("ledger")["messages"], self.records()
        found, by_id, events = list[str](), defaultdict[str, list[Any]](list), self.product.events()
        told = {(e["detail"].get("message_id"), e["detail"].get("status")) for e in events}
        stopped = defaultdict[str, list[tuple[int, str]]](list)
        for entry in ledger:
            if entry["direction"] == "inbound":
                if entry["sid"] not in records:
                    found.append(f"inbound {entry['sid']} is not stored")
                if (entry["sid"], None) not in told:
                    found.append(f"inbound {entry['sid']} was not published")
                if entry["body"] in ("STOP", "START"):
                    stopped[entry["from"].removeprefix("whatsapp:")].append((entry["accepted_at"], entry["body"]))
            else:
                by_id[entry["status_callback"].split("/twilio/status/")[1].split("/")[0]].append(entry)
        keys = {one["idempotency_key"]: one for one in records.values() if one.get("idempotency_key")}
        in_doubt = 0
        for key, request in self.asked.items():
            record = keys.get(key)
            if record is None:
                if request["to"] not in stopped:
                    found.append(f"lost: {key} has no record")
                continue
            accepted, status = len(by_id[record["message_id"]]), record["status"]
            gone = record["message_id"] in self.canceled
            if accepted > 1:
                found.append(f"twice: {key} went {accepted} times")
            if accepted and (status not in {"sent", "delivered", "read", "undelivered", "failed"} or gone):
                found.append(f"untrue: {key} went and is {status}{', canceled' if gone else ''}")
            is_told_doubt = status == "unknown_final" and (record["message_id"], "unknown") in told
            in_doubt += is_told_doubt
            is_refused = status == "failed" and request["to"] in stopped
            if not accepted and not gone and not is_refused and not is_told_doubt:
                found.append(f"lost: {key} is {status} and never went")
            if not any(one == record["message_id"] for one, _ in told):
                found.append(f"unpublished: {key} is {status}")
        found += [f"unasked: {message_id} has no record" for message_id in by_id if message_id not in records]
        self.in_doubt = in_doubt
        return found + self._too_close(by_id, records) + _written_after_stop(by_id, stopped)

    def _too_close(self, by_id: dict[str, list[Any]], records: dict[str, dict[str, str]]) -> list[str]:
        proactive = defaultdict[str, list[int]](list)
        for message_id, entries in by_id.items():
            if not records.get(message_id, {}).get("idempotency_key", "").startswith("reply-"):
                for entry in entries:
                    proactive[entry["to"]].append(entry["accepted_at"])
        gaps = [later - sooner for times in proactive.values() for sooner, later in pairwise(sorted(times))]
        return [f"too close: {gap / 1000:.1f} s apart" for gap in gaps if gap < periods.HOUR]


def _written_after_stop(by_id: dict[str, list[Any]], stopped: dict[str, list[tuple[int, str]]]) -> list[str]:
    """Who wrote STOP gets nothing until START, but what was posted within a minute of it."""
    found = []
    for entry in (entry for entries in by_id.values() for entry in entries):
        words = [one for one in stopped.get(entry["to"].removeprefix("whatsapp:"), []) if one[0] < entry["accepted_at"]]
        if words and words[-1][1] == "STOP" and entry["accepted_at"] - words[-1][0] > periods.MINUTE:
            found.append("written to after STOP")
    return found


def _largest_function_mb() -> float:
    """Resident memory of the largest function process on this machine."""
    shown = subprocess.run(["ps", "-eo", "rss=,args="], capture_output=True, text=True, check=True).stdout
    ours = [int(rss) for rss, command in re.findall(r"(\d+) (.*)", shown) if command.startswith(str(LAMBDA_PYTHON))]
    return max(ours, default=0) / 1024


@contextmanager
def a_stack(defect: str | None) -> Iterator[tuple[Product, ProductTime]]:
    """A product that lives by product time."""
    with tempfile.TemporaryDirectory(prefix="whatsapp-soak-") as directory:
        clock = ProductTime(Path(directory, "ahead"))
        os.environ.update(clock.environment)
        import_module("tests.performance.product_time.sitecustomize")  # we sign our calls by it too
        parameters = {"RateLimitSeconds": "60"} if defect == "short-limit" else {}
        with Stack(Path(directory, "stack"), parameters, clock.environment) as stack:
            stack.sync_templates()
            product = Product(stack)
            with product.http:
                yield product, clock


def main() -> int:
    """Play a day; 1 if something did not balance."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, help="where to write what was seen over time, as JSON")
    parser.add_argument("--hours", type=int, default=2)
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--defect", choices=DEFECTS, help="a deliberate mistake: it must fail")
    given = parser.parse_args()
    began = time.monotonic()
    with a_stack(given.defect) as (product, clock):
        soak = Soak(product, clock, given.hours, given.patients, random.Random(given.seed), given.defect)
        soak.play()
        accepted = sum(entry["direction"] != "inbound" for entry in product.twilio("ledger")["messages"])
    if given.samples:
        given.samples.write_text(json.dumps(soak.samples))
    for problem in soak.problems[:20]:
        print(problem)
    print(f"faults that never struck: {', '.join(soak.never_struck) or 'none'}")
    print(
        f"soak: seed {given.seed}, {given.patients} patients, {soak.minute / 60:.1f} hours in "
        f"{time.monotonic() - began:.0f} s, {len(soak.asked)} requests, {accepted} accepted, "
        f"{soak.in_doubt} in doubt for good, {soak.failed_calls.total()} calls failed, {len(soak.problems)} problems"
    )
    return 1 if soak.problems or soak.never_struck else 0


if __name__ == "__main__":
    sys.exit(main())
