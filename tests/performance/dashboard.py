"""Draws the template's dashboard from the lines that the product logs in three days of a clinic, in virtual time.

matplotlib is not among the project's packages:
`.venv/bin/uv run --no-sync --with matplotlib==3.11.2 python -m tests.performance.dashboard docs/images/dashboard.png`.
The product's own code runs over the simulation's tables; patients and Twilio are made up here. What AWS counts by
itself (requests, queues, errors, and the access log's webhook time) is not in the lines, and its charts stay empty.
"""

import io
import json
import os
import random
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import count
from typing import Any
from unittest.mock import patch

from whatsapp.adapters.aws.metrics_source import NAMESPACE
from whatsapp.domain.address import Address
from whatsapp.domain.ports import Accepted, InDoubt, Outcome, Rejected, Series
from whatsapp.domain.receiving.inbound import InboundForm
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.observability import FUNCTION_METRICS, METRICS, PowertoolsMetrics, log_line
from whatsapp.use_cases.report_metrics import ReportMetrics

from local.alarms import STACK_NAME, Math, Recorded
from local.deploy import read_template
from tests.app import SENDER, UnitApp
from tests.fakes import FrozenClock
from tests.performance.morning import LargeTables
from tests.performance.outside import TABLES
from tests.simulation.dynamodb import Client

DAYS, A_DAY = 3, 160
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
MIDNIGHT = 1_795_458_600_000
"""24 November 2026 in India, epoch milliseconds."""
OUTAGE = (MIDNIGHT + DAY + 11 * HOUR, MIDNIGHT + DAY + 11 * HOUR + 25 * MINUTE)
LANGUAGES = ("en", "hi", "ta", "bn")
KINDS: Mapping[str, tuple[float, float, dict[str, str]]] = {
    "appointment_confirmation": (0.35, 0.70, {"appointment_date": "2026-11-30", "appointment_time": "17:30"}),
    "session_reminder": (0.40, 0.55, {"session_time": "2026-11-30T17:30:00+05:30"}),
    "follow_up": (0.25, 0.38, {"session_date": "2026-11-23"}),
}
"""By template: its share, how many answer it, and its variables."""


@dataclass(frozen=True)
class FunctionMetrics(PowertoolsMetrics):
    """Logs each count of a function as it is made, at the time of the clinic's clock."""

    function: str
    clock: FrozenClock

    def count(self, name: str, value: int = 1) -> None:
        """Count for this function."""
        FUNCTION_METRICS[name]
        log_line(f"{self.stack}-{self.function}", self.clock.now(), {name: value}, {})


@dataclass
class Logged:
    """The `MetricsSource` port over the lines so far."""

    log: io.StringIO

    def read(self, asked: Sequence[Series], since: int, until: int, period_s: int) -> Sequence[Sequence[float]]:
        """One value a series: the whole span's."""
        recorded = Recorded().log(self.log.getvalue().splitlines())
        found = []
        for series in asked:
            service = f"{STACK_NAME}-{series.function}" if series.function else STACK_NAME
            key = (NAMESPACE, series.name, frozenset({("service", service), *series.dimensions}))
            value = recorded.value(key, series.stat, since / 1000, until / 1000)
            found.append([] if value is None else [value])
        return found


@dataclass
class Clinic:
    """Three days: what happens next, and the product that it happens to."""

    clock: FrozenClock = field(default_factory=lambda: FrozenClock(MIDNIGHT))
    log: io.StringIO = field(default_factory=io.StringIO)
    next: list[tuple[int, int, Callable[[], object]]] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    number: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        tables = LargeTables()
        apps = [
            UnitApp(TABLES, Client(tables.ask), clock=self.clock, metrics=FunctionMetrics(STACK_NAME, name, self.clock))
            for name in ("send", "webhook")
        ]
        self.send, self.webhook = apps
        for language in LANGUAGES:
            self.send.approve(language)
        self.send.gateway.on_post = lambda: self.send.gateway.outcomes.append(self._outcome())

    def at(self, when: int, act: Callable[[], object]) -> None:
        """Let something happen then."""
        heappush(self.next, (when, next(self.number), act))

    def play(self) -> list[str]:
        """Play it all; the lines of the log."""
        end = MIDNIGHT + DAYS * DAY
        for day in range(DAYS):
            for _ in range(A_DAY):
                hour = self.chance.choices(range(8, 20), (9, 14, 12, 9, 6, 5, 6, 9, 11, 10, 6, 3))[0]
                start = MIDNIGHT + day * DAY + hour * HOUR
                self.at(start + self.chance.randrange(HOUR), self._remind)
        for when in range(MIDNIGHT, end, 5 * MINUTE):
            self.at(when, lambda: self.send.sweep_due(self.send.deadline))
            self.at(when, self._work_nudges)
        report = ReportMetrics(
            source=Logged(self.log), metrics=self.send.metrics, catalog=self.send.catalog, clock=self.clock
        )
        for when in range(MIDNIGHT + HOUR, end, HOUR):
            self.at(when, report.measure)
        namespace = {"POWERTOOLS_METRICS_NAMESPACE": NAMESPACE}
        with redirect_stdout(self.log), patch.dict(os.environ, namespace), warnings.catch_warnings(action="ignore"):
            while self.next and self.next[0][0] < end:
                self.clock.at, _, act = heappop(self.next)
                act()
        return self.log.getvalue().splitlines()

    def _outcome(self) -> Outcome:
        if OUTAGE[0] <= self.clock.now() < OUTAGE[1]:
            return InDoubt("no answer")
        return Rejected(63024, 400) if self.chance.random() < 0.01 else Accepted(f"SM{next(self.number):032x}")

    def _remind(self) -> None:
        number = next(self.number)
        kind = self.chance.choices(list(KINDS), [share for share, _, _ in KINDS.values()])[0]
        _, answering, variables = KINDS[kind]
        request: dict[str, Any] = {
            "to": f"+9198{number:08}",
            "template": kind,
            "variables": {"patient_name": "Asha", "therapist_name": "Dr. Rao", **variables},
            "language": self.chance.choices(LANGUAGES, (5, 3, 1, 1))[0],
        }
        self.send.gateway.down = OUTAGE[0] <= self.clock.now() < OUTAGE[1]
        for _ in range(1 + (self.chance.random() < 0.04)):  # an orchestrator repeats itself
            self.send.send(str(number), **request)
        self.at(self.clock.now() + 1, lambda: self._arrive(number, request["to"], answering))

    def _work_nudges(self) -> None:
        self.send.gateway.down = OUTAGE[0] <= self.clock.now() < OUTAGE[1]
        for message_id, _ in self.send.queue.nudges:
            self.send.send_message.advance(message_id, self.send.deadline)
        self.send.queue.nudges.clear()

    def _arrive(self, number: int, to: str, answering: float) -> None:
        """What Twilio and the patient do once Twilio has it."""
        message = self.send.record(str(number))
        if message.is_waiting or message.is_in_doubt:
            self.at(self.clock.now() + 5 * MINUTE, lambda: self._arrive(number, to, answering))
            return
        if message.status is Status.FAILED:
            return
        now, draw = self.clock.now(), self.chance.random
        if draw() < 0.025:
            self.at(now + 2_000, lambda: self.webhook.callback(message, "undelivered", error_code=63032))
            return
        arrives = now + int(self.chance.lognormvariate(1.6, 0.9) * 1000)
        read = arrives + int(self.chance.lognormvariate(5, 1.5) * 1000)
        self.at(arrives, lambda: self.webhook.callback(message, "delivered"))
        if draw() < 0.8:
            self.at(read, lambda: self.webhook.callback(message, "read"))
        if draw() < answering:
            form = InboundForm(
                twilio_sid=f"SM{number:032x}".replace("SM0", "SMf"), from_=Address(to), to=SENDER, text="ok"
            )
            self.at(read + int(self.chance.expovariate(1 / (40 * MINUTE))), lambda: self._answer(form))

    def _answer(self, form: InboundForm) -> None:
        self.webhook.receive_message(form)
        if self.chance.random() < 0.03:  # Twilio repeats a webhook
            self.webhook.receive_message(form)


# --- the picture -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One line of a chart."""

    label: str
    points: list[tuple[float, float]]
    """Time (epoch seconds) and value."""
    is_right: bool


def series_of(shown: Mapping[str, Any], recorded: Recorded, since: float, until: float) -> Iterator[Line]:
    """What a widget shows."""
    period = shown["period"]
    starts = [since + number * period for number in range(int((until - since) // period))]
    by_id: dict[str, list[float | None]] = {}
    for line in shown["metrics"]:
        options = line[-1] if isinstance(line[-1], dict) else {}
        if "expression" in options:
            continue
        names = [str(part).replace("${AWS::StackName}", STACK_NAME) for part in line if isinstance(part, str)]
        key = (names[0], names[1], frozenset(zip(names[2::2], names[3::2], strict=True)))
        stat = options.get("stat", shown["stat"])
        values = [recorded.value(key, stat, at, at + period) for at in starts]
        by_id[options.get("id", "")] = values
        if options.get("visible", True):
            yield _line(options | {"label": options.get("label", names[1])}, starts, values)
    for line in shown["metrics"]:
        expression = line[0].get("expression", "") if isinstance(line[0], dict) else ""
        if search := re.fullmatch(r"SEARCH\('\{\w+,(.+)\} MetricName=\"(\w+)\" .*", expression):
            for (_, name, dimensions), points in recorded.points.items():
                if name == search[2] and {one for one, _ in dimensions} == set(search[1].split(",")):
                    where = dict(dimensions)
                    yield Line(f"{where['template']} {where['language']}", points, False)
        elif expression:
            periods = [{name: values[number] for name, values in by_id.items()} for number in range(len(starts))]
            yield _line(line[0], starts, [Math(one, {}).evaluate(expression) for one in periods])


def _line(options: Mapping[str, Any], starts: Sequence[float], values: Sequence[float | None]) -> Line:
    points = [(at, value) for at, value in zip(starts, values, strict=True) if value is not None]
    return Line(options["label"], points, options.get("yAxis") == "right")


def _with_gaps(points: Sequence[tuple[float, float]], period: float) -> tuple[list[float], list[float]]:
    """The points, and between those of periods that do not touch a place without a value: no line joins them."""
    times, values = [], []
    for (at, value), before in zip(points, [points[0], *points], strict=False):
        if at - before[0] > period:
            times.append(before[0] + period)
            values.append(float("nan"))
        times.append(at)
        values.append(value)
    return times, values


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def main(out: str) -> None:
    """Play, and draw each widget of the template in its place."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import dates
    from matplotlib import pyplot as plt

    body = json.loads(read_template()["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    recorded = Recorded().log(Clinic().play())
    logged = METRICS.keys() - {"WebhookTime"}
    since, until = MIDNIGHT / 1000, MIDNIGHT / 1000 + DAYS * 86_400
    rows = max(widget["y"] // widget["height"] for widget in body["widgets"]) + 1
    figure, grid = plt.subplots(rows, 3, figsize=(18, 3.6 * rows))
    for widget in body["widgets"]:
        axes, shown = grid[widget["y"] // widget["height"], widget["x"] // widget["width"]], widget["properties"]
        axes.set_title(shown["title"], fontsize=11, loc="left")
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
        found = [one for one in series_of(shown, recorded, since, until) if one.points]
        if shown.get("view") == "bar":
            totals = sorted((one.label, sum(value for _, value in one.points)) for one in found)
            axes.barh([label for label, _ in totals], [value for _, value in totals], color="#2f5d8c")
            axes.invert_yaxis()
            continue
        right = axes.twinx() if any(one.is_right for one in found) else axes
        for number, one in enumerate(found):
            place = right if one.is_right else axes
            times, values = _with_gaps(one.points, shown["period"])
            place.plot(
                [_time(at) for at in times], values, ".-", label=one.label, color=f"C{number}", linewidth=1, ms=4
            )
        for goal in shown.get("annotations", {}).get("horizontal", ()):
            axes.axhline(goal["value"], color="#999999", linestyle="--", linewidth=0.8)
            axes.text(0.01, goal["value"], goal["label"], fontsize=7, va="bottom", transform=axes.get_yaxis_transform())
        for place in {axes, right}:
            highest = shown.get("yAxis", {}).get("left", {}).get("max")
            place.set_ylim(0, highest or max(1, place.get_ylim()[1] * 1.25))
        axes.set_xlim(_time(since), _time(until))
        axes.xaxis.set_major_formatter(dates.DateFormatter("%d %b %H h", tz="Asia/Kolkata"))
        axes.xaxis.set_major_locator(dates.HourLocator(byhour=(0, 12), tz="Asia/Kolkata"))
        lines = [
            one for place in dict.fromkeys((axes, right)) for one in place.get_lines() if one.get_label()[0] != "_"
        ]
        if lines:
            axes.legend(handles=lines, fontsize=7, loc="lower right" if "goal" in str(shown) else "upper right")
        else:
            is_ours = all(line[:1] == [NAMESPACE] and line[1] in logged for line in shown["metrics"])
            why = "nothing counted" if is_ours else "counted by AWS itself:\nnot in the functions' lines"
            axes.text(0.5, 0.5, why, ha="center", transform=axes.transAxes)
    figure.tight_layout()
    figure.savefig(out, dpi=70, metadata={"Software": None})


if __name__ == "__main__":
    main(sys.argv[1])
