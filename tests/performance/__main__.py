"""`make bench`: each thing beside what it is compared with, in one run; the last line is one JSON object.

`python -m tests.performance send` runs one suite (`cold`, `warm`, `units`, `send`, `rush`). docs/performance.md
explains each figure. Nothing here asserts a time, because the machine may be busy. Rounds are interleaved and shuffled,
and ratios are taken of medians, so that a slow minute strikes all alike.
"""

import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.artifacts import ROOT
from tests.performance import events
from tests.performance.outside import AWS_S, TWILIO_S, Outside, outside
from tests.performance.reconcile import reads_of_an_inbound_message
from tests.performance.sandbox import Run, Sandbox, has_valgrind, instructions, program

ROUNDS = 9
RUSH = 2_000
OURS, SEND, IDIOM, FLOOR = "functions.webhook.handler", "functions.send.handler", "idiom_webhook", "floor_webhook"

Figures = dict[str, float]


class Bench:
    """The suites, each returning its figures."""

    def __init__(self, sandbox: Sandbox, outside: Outside) -> None:
        self._sandbox = sandbox
        self._outside = outside
        self.webhook = sandbox.environment("Webhook")
        # Faster than any sender: what is measured is what the code can do.
        self.send_function = sandbox.environment("Send", SENDS_PER_SECOND="1000")

    def cold(self) -> Figures:
        """A fresh process that imports the webhook and serves one message, less an empty one; and its first request."""
        cases = {
            "ours": (OURS, self.webhook),
            "idiom": (IDIOM, self.webhook),
            "idiom, bytecode stale": (IDIOM, self._sandbox.environment("Webhook", stale=True)),
            "floor": (FLOOR, self.webhook),
            "empty": ("empty", self.webhook),
        }
        runs: dict[str, list[Run]] = {name: [] for name in cases}
        throttled: dict[str, list[float]] = {name: [] for name in ("ours", "idiom", "floor")}
        for number in range(ROUNDS):
            for name in random.sample(sorted(cases), len(cases)):
                module, environment = cases[name]
                served = [] if name == "empty" else [events.inbound(f"{number}{name}")]
                runs[name].append(_served(Run(environment, module, served)))
            for name in random.sample(sorted(throttled), len(throttled)):
                module, environment = cases[name]
                slow = _served(Run(environment, module, [events.inbound(f"{number}{name}slow")], throttled=True))
                throttled[name].append(slow.requests[0]["ms"])
        own = {name: statistics.median(run.cpu for run in found) for name, found in runs.items()}
        own = {name: cpu - own["empty"] for name, cpu in own.items() if name != "empty"}
        print(
            f"cold webhook, median of {ROUNDS}. CPU less an empty process; of that, the request; the same request with"
        )
        print(f"29 % of a processor and {AWS_S * 1000:.0f} ms a call of AWS's; memory:")
        for name, cpu in own.items():
            request = statistics.median(run.requests[0]["cpu"] for run in runs[name]) * 1000
            memory = statistics.median(run.memory for run in runs[name]) / 2**20
            slow_ms = f"{statistics.median(throttled[name]):6.0f} ms" if name in throttled else " " * 9
            print(f"  {name:24} {cpu * 1000:6.0f} ms {request:6.1f} ms {slow_ms} {memory:6.0f} MB")
        return {
            "cold_vs_idiom": own["ours"] / own["idiom"],
            "cold_vs_idiom_stale": own["ours"] / own["idiom, bytecode stale"],
            "cold_vs_floor": own["ours"] / own["floor"],
            "first_request_ms_at_third_core": statistics.median(throttled["ours"]),
        }

    def warm(self) -> Figures:
        """Processor instructions of one more inbound message in a process that has served one."""
        if not has_valgrind():
            return {}
        counted = {}
        for name, module in {"ours": OURS, "idiom": IDIOM, "floor": FLOOR}.items():
            few, many = (
                instructions(self.webhook, module, [events.inbound(f"warm{name}{more}{n}") for n in range(more)])
                for more in (2, 6)
            )
            counted[name] = (many - few) / 4
        print("warm inbound, million instructions a message:")
        for name, count in counted.items():
            print(f"  {name:24} {count / 1e6:6.2f}")
        return {"warm_instructions_vs_floor": counted["ours"] / counted["floor"]}

    def units(self) -> Figures:
        """Calls and units of each operation, after INIT."""
        asked = operations(self._outside, self.send_function, self.webhook)
        print("one operation in a sandbox that has made its INIT:")
        for name, one in asked.items():
            calls = ", ".join(f"{count} {call}" for call, count in one["calls"].items())
            units = f"{one['write_units']:4g} WRU {one['read_units']:4g} RRU"
            print(f"  {name:24} {units} {one['log_bytes']:5} B log  {calls}")
        callbacks = [one["write_units"] for name, one in asked.items() if name.startswith("callback")]
        return {
            "write_units_send": asked["send"]["write_units"],
            "write_units_callback_idle": asked["callback sent"]["write_units"],
            "write_units_send_with_callbacks": asked["send"]["write_units"] + sum(callbacks),
        }

    def send(self) -> Figures:
        """A batch of ten from the send queue, beside a loop over Twilio's SDK."""
        ours, naive = list[dict[str, Any]](), list[dict[str, Any]]()
        for number in range(5):
            batches = [events.batch(f"{number}-{nth}-{random.random()}") for nth in range(3)]
            run = Run(self.send_function, SEND, batches, outside=self._outside)
            if run.asked["calls"]["Twilio"] != len(batches) * 10:
                raise SystemExit(f"not all were sent: {run.asked['calls']}")
            ours += run.requests[1:]  # the first warms up
            naive.append(program(self.send_function, "rivals/naive_send.py"))
        ms, cpu = (statistics.median(one[name] for one in ours) for name in ("ms", "cpu"))
        loop_ms, loop_cpu = (statistics.median(one[name] for one in naive) for name in ("ms", "cpu"))
        print(f"ten messages over TLS; Twilio takes {TWILIO_S * 1000:.0f} ms, AWS {AWS_S * 1000:.0f} ms a call:")
        print(f"  {'ours, as one batch':24} {ms:6.0f} ms   CPU {cpu * 100:5.1f} ms a message")
        print(f"  {'a loop over the SDK':24} {loop_ms:6.0f} ms   CPU {loop_cpu * 100:5.1f} ms a message")
        return {"batch_vs_naive_tls": loop_ms / ms, "send_cpu_ms": cpu * 100}

    def rush(self) -> Figures:
        """One sweep over reminders that all become due at once; and what the reconcile reads."""
        command = [sys.executable, "-m", "tests.performance.rush", str(RUSH)]
        swept = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
        per_second: float = swept["acted"] / swept["seconds"]
        print(f"sweep, {RUSH} reminders due at once, one pass:")
        cpu = swept["cpu"] / swept["acted"] * 1000
        print(f"  {swept['acted']} in {swept['seconds']:.1f} s; CPU {cpu:.1f} ms a message")
        reads = reads_of_an_inbound_message()
        print(f"reconcile: {reads:.1f} reads an inbound message")
        return {"sweep_per_s": per_second, "reconcile_reads": reads}


def operations(outside: Outside, send_function: dict[str, str], webhook: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What one send, its three callbacks and one inbound message ask for, and how much they log."""
    seed = str(random.random())
    sent = Run(send_function, SEND, [events.request(seed)], outside=outside)
    answer = sent.requests[0]["answer"]
    if answer["status"] != "sent":
        raise SystemExit(f"not sent: {answer}")
    (url,) = sent.asked["callback_urls"]
    found = {"send": sent}
    for status in ("sent", "delivered", "read"):
        event = events.callback(url, answer["twilio_sid"], status)
        found[f"callback {status}"] = _served(Run(webhook, OURS, [event], outside=outside))
    found["inbound"] = _served(Run(webhook, OURS, [events.inbound(seed)], outside=outside))
    return {name: run.asked | {"log_bytes": len(run.log)} for name, run in found.items()}


def _served(run: Run) -> Run:
    """The run, whose answers were all of success."""
    if any(one["answer"]["statusCode"] not in (200, 204) for one in run.requests):
        raise SystemExit(f"not served: {run.requests}")
    return run


def main() -> None:
    """Run the suites that the arguments name, or all."""
    with tempfile.TemporaryDirectory() as directory, outside(Path(directory)) as server:
        bench = Bench(Sandbox(Path(directory, "sandbox"), server), server)
        suites: dict[str, Callable[[], Figures]] = {
            name: getattr(bench, name) for name in ("cold", "warm", "units", "send", "rush")
        }
        figures = {name: figure for suite in sys.argv[1:] or suites for name, figure in suites[suite]().items()}
    print(json.dumps({name: round(figure, 3) for name, figure in figures.items()}))


if __name__ == "__main__":
    main()
