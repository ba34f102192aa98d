"""CloudWatch's alarms as template.yaml has them, judged over what the functions logged.

The embedded CloudWatch makes no metric of an EMF line, and judges an alarm without its dimensions, periods and math.
This judges them as CloudWatch's guide says ("Using Amazon CloudWatch alarms", "Using math expressions"): statistics and
percentiles, M out of N periods, missing data, pointwise functions. Periods begin at multiples of their length.
"""

import ast
import json
import operator
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from local.deploy import read_template

STACK_NAME = "whatsapp"
Key = tuple[str, str, frozenset[tuple[str, str]]]
"""A metric: namespace, name, dimensions."""


@dataclass
class Recorded:
    """Data points of metrics: ours from the lines of the log, AWS's own as a test or a drill puts them."""

    points: dict[Key, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    """Of each metric: time (epoch seconds) and value, in order of time."""

    def put(self, namespace: str, name: str, at: float, value: float, **dimensions: str) -> None:
        """Add a data point."""
        insort(self.points[namespace, name, frozenset(dimensions.items())], (at, value))

    def log(self, lines: Iterable[str]) -> "Recorded":
        """Add what the EMF lines among these count (CloudWatch's guide, "Specification: Embedded metric format")."""
        for line in lines:
            if not line.startswith('{"_aws"'):
                continue
            logged = json.loads(line)
            at = logged["_aws"]["Timestamp"] / 1000
            for directive in logged["_aws"]["CloudWatchMetrics"]:
                for names in directive["Dimensions"]:
                    dimensions = {name: logged[name] for name in names}
                    for metric in directive["Metrics"]:
                        values = logged[metric["Name"]]
                        for value in values if isinstance(values, list) else [values]:
                            self.put(directive["Namespace"], metric["Name"], at, value, **dimensions)
        return self

    def value(self, key: Key, stat: str, since: float, until: float) -> float | None:
        """The statistic of one period; None without data."""
        points = self.points.get(key, [])
        found = sorted(value for _, value in points[bisect_left(points, (since,)) : bisect_left(points, (until,))])
        if not found:
            return None
        return _STATISTICS[stat](found) if stat in _STATISTICS else _percentile(found, float(stat[1:]))


_STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Minimum": min,
    "Maximum": max,
    "SampleCount": len,
    "Average": lambda values: sum(values) / len(values),
}


def _percentile(values: Sequence[float], percent: float) -> float:
    rank = percent / 100 * (len(values) - 1)
    low = values[int(rank)]
    return low + (rank - int(rank)) * (values[min(int(rank) + 1, len(values) - 1)] - low)


@dataclass(frozen=True)
class Alarm:
    """One alarm, its properties resolved."""

    name: str
    properties: Mapping[str, Any]

    @cached_property
    def metrics(self) -> dict[str, tuple[Key, str]]:
        """The metrics that it looks at: by id, the metric and its statistic."""
        own = self.properties
        if "MetricName" in own:
            return {"m": (_key(own), own.get("Statistic") or own["ExtendedStatistic"])}
        stats = {q["Id"]: q["MetricStat"] for q in own["Metrics"] if "MetricStat" in q}
        return {name: (_key(stat["Metric"]), stat["Stat"]) for name, stat in stats.items()}

    @cached_property
    def expression(self) -> str:
        """What is compared with the threshold, in terms of the metrics' ids."""
        return next((q["Expression"] for q in self.properties.get("Metrics", ()) if "Expression" in q), "m")

    @cached_property
    def period(self) -> int:
        """Seconds."""
        if "Period" in self.properties:
            return int(self.properties["Period"])
        (period,) = {int(q["MetricStat"]["Period"]) for q in self.properties["Metrics"] if "MetricStat" in q}
        return period

    def state(self, recorded: Recorded, at: float, before: str, quotas: Mapping[str, float]) -> str:
        """`ALARM`, `OK` or `INSUFFICIENT_DATA` at a time (epoch seconds), after the state before.

        `quotas`: the service quota of a metric, by the metric's name.
        """
        wanted = int(self.properties["EvaluationPeriods"])
        needed = int(self.properties.get("DatapointsToAlarm", wanted))
        end = at // self.period * self.period
        judged = [self._is_breaching(recorded, end - (number + 1) * self.period, quotas) for number in range(wanted)]
        missing = self.properties.get("TreatMissingData", "missing")
        if missing in ("breaching", "notBreaching"):
            judged = [missing == "breaching" if one is None else one for one in judged]
        known = [one for one in judged if one is not None]
        if sum(known) >= needed:
            return "ALARM"
        if not known:
            return before if missing == "ignore" else "INSUFFICIENT_DATA"
        return "OK"

    def _is_breaching(self, recorded: Recorded, since: float, quotas: Mapping[str, float]) -> bool | None:
        values = {
            name: recorded.value(key, stat, since, since + self.period) for name, (key, stat) in self.metrics.items()
        }
        limits = {name: quotas.get(key[1]) for name, (key, _) in self.metrics.items()}
        value = Math(values, limits).evaluate(self.expression)
        return (
            None
            if value is None
            else _COMPARED[self.properties["ComparisonOperator"]](value, self.properties["Threshold"])
        )


def _key(metric: Mapping[str, Any]) -> Key:
    dimensions = frozenset((one["Name"], one["Value"]) for one in metric.get("Dimensions", ()))
    return metric["Namespace"], metric["MetricName"], dimensions


_COMPARED: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_OPERATORS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
}


@dataclass(frozen=True)
class Math:
    """Metric math over one period. A missing value makes what is computed of it missing; only FILL and SUM do not."""

    values: Mapping[str, float | None]
    quotas: Mapping[str, float | None]

    def evaluate(self, expression: str) -> float | None:
        found: float | None = self._of(_parsed(expression))
        return found

    def _of(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self.values[name]
            case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
                sides = self._of(left), self._of(right)
                if type(op) not in _OPERATORS:
                    raise ValueError(f"the evaluator does not know this metric math: {ast.unparse(node)}")
                if None in sides or (isinstance(op, ast.Div) and not sides[1]):
                    return None
                return float(_OPERATORS[type(op)](*sides))
            case ast.BoolOp(op=op, values=nodes):
                parts = [self._of(one) for one in nodes]
                if None in parts:
                    return None
                return float(any(parts) if isinstance(op, ast.Or) else all(parts))
            case ast.Call(func=ast.Name(id=function), args=arguments):
                return self._call(function, arguments)
        raise ValueError(f"the evaluator does not know this metric math: {ast.unparse(node)}")

    def _call(self, function: str, nodes: list[ast.expr]) -> Any:
        if function == "METRICS":
            return list(self.values.values())
        if function == "SERVICE_QUOTA" and isinstance(nodes[0], ast.Name):
            return self.quotas[nodes[0].id]
        given = [self._of(node) for node in nodes]
        match function, given:
            case "IF", [condition, then, otherwise]:
                return None if condition is None else then if condition else otherwise
            case "FILL", [list(series), filler]:
                return [filler if value is None else value for value in series]
            case "FILL", [value, filler]:
                return filler if value is None else value
            case "SUM", [list(series)]:
                return sum(value for value in series if value is not None)
        raise ValueError(f"the evaluator does not know the function {function} of metric math")


@cache
def _parsed(expression: str) -> ast.expr:
    """Metric math reads like Python, but for its operators in capitals."""
    return ast.parse(expression.replace(" OR ", " or ").replace(" AND ", " and "), mode="eval").body


# --- the template's alarms -------------------------------------------------------------------------------------------


def template_alarms(**parameters: str) -> dict[str, Alarm]:
    """The template's alarms by logical id. Resources are named by their logical ids, the stack `whatsapp`."""
    template = read_template()
    resolver = _Resolver(template, parameters)
    return {
        name: Alarm(name, resolver.resolve(resource["Properties"]))
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }


class _Resolver:
    """Intrinsic functions, as far as alarms use them."""

    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        defaults = {name: str(p.get("Default", name)) for name, p in template["Parameters"].items()}
        self._values = {"AWS::StackName": STACK_NAME, **defaults, **parameters}
        self._conditions = template["Conditions"]

    def resolve(self, value: Any) -> Any:
        match value:
            case {"Ref": name}:
                return self._values.get(name, name)
            case {"Fn::Sub": str(text)}:
                for name, known in self._values.items():
                    text = text.replace(f"${{{name}}}", known)
                return text
            case {"Fn::GetAtt": [resource, _]} | {"Fn::GetAtt": str(resource)}:
                return str(resource).split(".")[0]
            case {"Fn::If": [condition, then, otherwise]}:
                return self.resolve(then if self.resolve(self._conditions[condition]) else otherwise)
            case {"Fn::Equals": [one, other]}:
                return self.resolve(one) == self.resolve(other)
            case dict():
                return {name: self.resolve(inner) for name, inner in value.items()}
            case list():
                return [self.resolve(inner) for inner in value]
        return value


@dataclass(frozen=True)
class Ring:
    """An alarm changed its state, and mailed it."""

    at: float
    """Epoch seconds."""
    alarm: str
    state: str

    @property
    def is_page(self) -> bool:
        """Whether it is a trouble, and not its end."""
        return self.state != "OK"


_ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}


def rings(
    alarms: Mapping[str, Alarm],
    recorded: Recorded,
    since: float,
    until: float,
    quotas: Mapping[str, float] | None = None,
) -> list[Ring]:
    """What alarms made at `since` mail until `until` (epoch seconds), in order of time. Each looks once a period."""
    found = []
    for alarm in alarms.values():
        state = "INSUFFICIENT_DATA"
        for at in range(int(since), int(until) + 1, alarm.period):
            new = alarm.state(recorded, at, state, quotas or {})
            if new != state and alarm.properties.get(_ACTIONS[new]):
                found.append(Ring(at, alarm.name, new))
            state = new
    return sorted(found, key=lambda ring: ring.at)
