"""Alarms, metrics, dashboard and runbooks belong together; and each alarm rings when it should, and only then."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from whatsapp.adapters.aws.metrics_source import NAMESPACE
from whatsapp.observability import METRICS, STACK_METRICS, PowertoolsMetrics

from local.alarms import STACK_NAME, Alarm, Recorded, rings, template_alarms
from local.deploy import read_template

ROOT = Path(__file__).parents[2]
TEMPLATE = read_template()
ALARMS = template_alarms()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
METRICS_PAGE = (ROOT / "docs" / "metrics.md").read_text()
DASHBOARD = json.loads(TEMPLATE["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
FUNCTIONS = ("send", "webhook", "template-sync")
CODE = "\n".join(
    path.read_text()
    for folder in ("layers/shared", "functions")
    for path in (ROOT / folder).rglob("*.py")
    if path.name != "observability.py"
)
AWS_METRICS = {
    "AWS/SQS": {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"},
    "AWS/Lambda": {"Errors", "Throttles", "ClaimedAccountConcurrency", "ConcurrentExecutions"},
    "AWS/ApiGateway": {"4xx", "Count"},
    "AWS/DynamoDB": {"ReadThrottleEvents", "WriteThrottleEvents"},
}
"""AWS's own, as its guides name them for SQS, Lambda, HTTP APIs and DynamoDB."""
NOON = 1_795_503_600
QUOTAS = {"ConcurrentExecutions": 1000.0}
MINUTE, HOUR, DAY = 60, 3600, 86_400


# --- what belongs together -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("alarm", ALARMS.values(), ids=ALARMS)
def test_every_alarm_reaches_somebody_and_links_to_its_runbook(alarm: Alarm) -> None:
    assert alarm.properties["AlarmActions"] == ["AlertTopic"]
    text = alarm.properties["AlarmDescription"]
    assert re.fullmatch(rf"(PAGE|LOOK) \(dev\): .+[.?] docs/operations.md#{alarm.name.lower()}", text)
    assert f"### {alarm.name}\n" in OPERATIONS


def test_no_alarm_is_described_that_is_gone() -> None:
    assert set(re.findall(r"^### (\w+Alarm)$", OPERATIONS, re.MULTILINE)) == set(ALARMS)


@pytest.mark.parametrize("alarm", ALARMS.values(), ids=ALARMS)
def test_every_alarm_watches_metrics_that_exist(alarm: Alarm) -> None:
    for (namespace, name, dimensions), _ in alarm.metrics.values():
        assert_exists(namespace, name, dict(dimensions))
    assert len(alarm.metrics) <= 10  # CloudWatch's guide, "Limits that apply to alarms"
    assert alarm.period * alarm.properties["EvaluationPeriods"] <= (7 if alarm.period >= HOUR else 1) * DAY
    assert alarm.properties["TreatMissingData"] != "breaching"  # a new stack, which has no data yet, would page


def test_the_dashboard_shows_metrics_that_exist() -> None:
    shown = [(widget, line) for widget in DASHBOARD["widgets"] for line in widget["properties"].get("metrics", [])]
    lines = [line for _, line in shown if isinstance(line[0], str)]
    assert len(lines) > 20
    for namespace, name, *rest in lines:
        dimensions = [part for part in rest if isinstance(part, str)]
        named = dict(zip(dimensions[::2], dimensions[1::2], strict=True))
        assert_exists(
            namespace, name, {key: text.replace("${AWS::StackName}", STACK_NAME) for key, text in named.items()}
        )


def assert_exists(namespace: str, name: str, dimensions: dict[str, str]) -> None:
    if namespace != NAMESPACE:
        assert name in AWS_METRICS[namespace]
        return
    services = [STACK_NAME] if name in STACK_METRICS else [f"{STACK_NAME}-{function}" for function in FUNCTIONS]
    assert name in METRICS
    assert set(dimensions) == {"service"}
    assert dimensions["service"] in services


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_counted_somewhere_and_explained(metric: str) -> None:
    filters = [r["Properties"] for r in TEMPLATE["Resources"].values() if r["Type"] == "AWS::Logs::MetricFilter"]
    from_logs = {one["MetricName"] for filter_ in filters for one in filter_["MetricTransformations"]}
    assert f'"{metric}"' in CODE or metric in from_logs
    assert f"| `{metric}` |" in METRICS_PAGE


def test_namespace_is_the_one_that_is_written() -> None:
    assert TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"] == NAMESPACE


def test_webhook_time_is_of_twilios_routes_alone() -> None:
    (one,) = [r["Properties"] for r in TEMPLATE["Resources"].values() if r["Type"] == "AWS::Logs::MetricFilter"]
    pattern = re.fullmatch(r'\{ \$\.route = "(.+)\*" \}', one["FilterPattern"])
    assert pattern
    routes = [
        f"{event['Properties']['Method']} {event['Properties']['Path']}"
        for resource in TEMPLATE["Resources"].values()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "HttpApi"
    ]
    public = [route for route in routes if route.startswith(pattern[1])]
    assert sorted(public) == ["POST /twilio/inbound", "POST /twilio/status/{message_id}/{attempt}"]
    (transformation,) = one["MetricTransformations"]
    line = TEMPLATE["Resources"]["Api"]["Properties"]["AccessLogSettings"]["Format"]["Fn::Sub"]
    logged = json.loads(re.sub(r"\$context\.responseLatency", "12", line))
    assert isinstance(logged[transformation["MetricValue"].removeprefix("$.")], int)
    (dimension,) = transformation["Dimensions"]
    assert logged[dimension["Value"].removeprefix("$.")] == "${AWS::StackName}"


# --- the evaluator -------------------------------------------------------------------------------------------------


def an_alarm(**properties: Any) -> Alarm:
    about = {
        "Namespace": "N",
        "MetricName": "M",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 3,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    return Alarm("A", about | properties)


def minutes(*values: float | None) -> Recorded:
    """A data point in each of the minutes before noon, the last one in the last."""
    recorded = Recorded()
    for number, value in enumerate(reversed(values), start=1):
        if value is not None:
            recorded.put("N", "M", NOON - number * MINUTE, value)
    return recorded


@pytest.mark.parametrize(
    ("values", "properties", "state"),
    [
        ((1, 1, 1), {}, "ALARM"),
        ((0, 1, 1), {}, "OK"),
        ((0, 1, 1), {"DatapointsToAlarm": 2}, "ALARM"),
        ((None, 1, 1), {}, "OK"),
        ((None, 1, 1), {"TreatMissingData": "breaching"}, "ALARM"),
        ((None, None, None), {}, "INSUFFICIENT_DATA"),
        ((None, None, None), {"TreatMissingData": "breaching"}, "ALARM"),
        ((None, None, None), {"TreatMissingData": "notBreaching"}, "OK"),
        ((None, None, None), {"TreatMissingData": "ignore"}, "as before"),
        ((1, 1, 1, None), {"Period": 180, "EvaluationPeriods": 1}, "ALARM"),
        ((5, 5, 5), {"Threshold": 5}, "OK"),
        ((4, 4, 4), {"Threshold": 5, "ComparisonOperator": "LessThanThreshold"}, "ALARM"),
        ((1, 1, 1), {"Dimensions": [{"Name": "service", "Value": "other"}]}, "INSUFFICIENT_DATA"),
    ],
)
def test_evaluator_judges_periods_and_missing_data(values: Any, properties: Any, state: str) -> None:
    assert an_alarm(**properties).state(minutes(*values), NOON, "as before", {}) == state


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("100 * m / n", 50.0),
        ("m / none", None),
        ("m / zero", None),
        ("FILL(none, 7)", 7),
        ("IF(m > 1 OR zero > 0, 1, 0)", 1),
        ("IF(m > 1 AND zero > 0, 1, 0)", 0),
        ("IF(none > 0, 1, 0)", None),
        ("SUM(METRICS())", 6),
        ("SUM(FILL(METRICS(), 2))", 8),
        ("100 * n / SERVICE_QUOTA(n)", 40.0),
    ],
)
def test_evaluator_computes_metric_math(expression: str, value: float | None) -> None:
    def query(name: str) -> dict[str, Any]:
        return {
            "Id": name,
            "MetricStat": {"Stat": "Sum", "Period": 60, "Metric": {"Namespace": "N", "MetricName": name}},
        }

    recorded = Recorded()
    for name, number in {"m": 2, "n": 4, "zero": 0}.items():
        recorded.put("N", name, NOON - 1, number)
    queries = [{"Id": "judged", "Expression": expression}, *map(query, ("m", "n", "zero", "none"))]
    about = {"EvaluationPeriods": 1, "Threshold": 0, "ComparisonOperator": "GreaterThanThreshold"}
    for threshold, state in () if value is None else ((value - 1, "ALARM"), (value, "OK")):
        alarm = Alarm("A", about | {"Metrics": queries, "Threshold": threshold})
        assert alarm.state(recorded, NOON, "OK", {"n": 10}) == state
    if value is None:
        assert Alarm("A", about | {"Metrics": queries}).state(recorded, NOON, "OK", {}) == "INSUFFICIENT_DATA"


@pytest.mark.parametrize("expression", ["RATE(m)", "m ** 2", "FILL(m, REPEAT)"])
def test_evaluator_says_what_it_does_not_know(expression: str) -> None:
    alarm = Alarm("A", {"Metrics": [{"Id": "judged", "Expression": expression}, {"Id": "m", "MetricStat": {
        "Stat": "p99", "Period": 60, "Metric": {"Namespace": "N", "MetricName": "M"}}}],
        "EvaluationPeriods": 1, "Threshold": 0, "ComparisonOperator": "GreaterThanThreshold"})  # fmt: skip
    with pytest.raises((ValueError, KeyError), match=r"metric math|REPEAT"):
        alarm.state(minutes(1), NOON, "OK", {})


@pytest.mark.parametrize(
    ("stat", "value"), [("p50", 30), ("p99", 49.6), ("SampleCount", 5), ("Average", 30), ("Maximum", 50)]
)
def test_evaluator_knows_the_statistics(stat: str, value: float) -> None:
    recorded = Recorded()
    for number in (10, 20, 30, 40, 50):
        recorded.put("N", "M", NOON, number)
    assert recorded.value(("N", "M", frozenset()), stat, NOON, NOON + 1) == pytest.approx(value)


def test_evaluator_reads_what_the_product_logs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", NAMESPACE)
    PowertoolsMetrics(STACK_NAME).count_at(NOON * 1000, {"ProactiveSent": 2}, template="t", language="hi")
    recorded = Recorded().log(["START RequestId: 1", *capsys.readouterr().out.splitlines()])
    assert recorded.points == {
        (NAMESPACE, "ProactiveSent", frozenset({("service", STACK_NAME)})): [(NOON, 2)],
        (NAMESPACE, "ProactiveSent", frozenset({("service", STACK_NAME), ("template", "t"), ("language", "hi")})): [
            (NOON, 2)
        ],
    }


# --- what rings, and what does not ---------------------------------------------------------------------------------


class Played(Recorded):
    """Hours of a stack's life, minute by minute."""

    def __init__(self, hours: float, *, started: bool = True) -> None:
        super().__init__()
        self.since, self.until = NOON, NOON + int(hours * HOUR)
        if started:
            self.ours("DueStale", "send", 0, every=MINUTE)
            self.ours("SendingHeld", "send", 0, every=MINUTE)
            self.ours("ReconcileBehind", "webhook", 0, every=5 * MINUTE)
            self.ours("MessagesBackfilled", "webhook", 0, every=5 * MINUTE)

    def ours(
        self, name: str, function: str, value: float, *, every: int, after: float = 0, until: float = 10**9
    ) -> "Played":
        """Count a metric of ours every so many seconds, `after` to `until` hours after the start."""
        service = f"{STACK_NAME}-{function}" if function else STACK_NAME
        return self.theirs(NAMESPACE, name, value, every=every, after=after, until=until, service=service)

    def theirs(
        self,
        namespace: str,
        name: str,
        value: float,
        *,
        every: int,
        after: float = 0,
        until: float = 10**9,
        **where: str,
    ) -> "Played":
        """The same of a metric of AWS's."""
        for at in range(self.since + int(after * HOUR), int(min(self.until, self.since + until * HOUR)), every):
            self.put(namespace, name, at, value, **where)
        return self

    def pages(self) -> list[str]:
        """The alarms that went off, in order."""
        found = rings(ALARMS, self, self.since, self.until, QUOTAS)
        return [ring.alarm for ring in found if ring.is_page]


def test_a_quiet_day_pages_nobody() -> None:
    assert Played(24).pages() == []


def test_a_new_stack_whose_secret_is_empty_pages_nobody() -> None:
    assert Played(24, started=False).pages() == []


def test_an_hour_without_twilio_is_one_alarm() -> None:
    """What fails while Twilio is down has one cause. With the alert about what expired: two mails for 500 reminders."""
    day = Played(4).ours("TwilioDown", "send", 9, every=5 * MINUTE - 20, after=1, until=2)
    day.ours("ReconcileBehind", "webhook", 1, every=5 * MINUTE, after=1.5, until=2.1)
    day.ours("TemplateSyncFailed", "template-sync", 1, every=15 * MINUTE, after=1, until=2.1)
    day.ours("MediaWaiting", "webhook", 3, every=5 * MINUTE, after=1, until=2.1)
    day.ours("MessagesInDoubt", "send", 3, every=HOUR, after=1, until=1.1)
    assert day.pages() == ["TwilioDownAlarm"]


RING = [
    ("DeliveryPercent", "", 94.9, {"every": HOUR}, ["DeliveryRateAlarm"]),
    ("DeliveryPercent", "", 95, {"every": HOUR}, []),
    ("ReplyPercent", "", 39.9, {"every": HOUR}, ["ReplyRateAlarm"]),
    ("ReplyPercent", "", 40, {"every": HOUR}, []),
    ("WebhookTime", "", 501, {"every": 30}, ["WebhookSlowAlarm"]),
    ("WebhookTime", "", 501, {"every": 50}, []),  # too few an hour to judge by
    ("WebhookTime", "", 500, {"every": 30}, []),
    ("WebhookTime", "", 9_000, {"every": 30, "after": 1, "until": 1.9}, []),  # an hour passes
    ("RateLimitViolations", "", 1, {"every": DAY, "after": 1}, ["RateLimitViolationsAlarm"]),
    ("MessagesInDoubt", "send", 1, {"every": 12 * MINUTE}, ["MessagesInDoubtAlarm"]),
    ("MessagesInDoubt", "send", 1, {"every": 15 * MINUTE}, []),
    ("TwilioDown", "send", 1, {"every": 5 * MINUTE, "after": 1, "until": 3}, ["TwilioDownAlarm"]),
    ("ReconcileBehind", "webhook", 1, {"every": 5 * MINUTE, "after": 1}, ["ReconcileBehindAlarm"]),
    ("ReconcileBehind", "webhook", 1, {"every": DAY, "after": 1}, []),
    ("MediaWaiting", "webhook", 1, {"every": 5 * MINUTE}, ["MediaWaitingAlarm"]),
    ("TemplateSyncFailed", "template-sync", 1, {"every": 15 * MINUTE + 1}, ["TemplateSyncFailedAlarm"]),
    ("TemplateSyncFailed", "template-sync", 1, {"every": 30 * MINUTE}, []),
    ("BadSignatures", "webhook", 1, {"every": DAY, "after": 1}, ["BadSignaturesAlarm"]),
    ("SendingHeld", "send", 1, {"every": MINUTE, "after": 1}, []),  # the quiet life counts a 0 beside it
    ("DueStale", "send", 1, {"every": MINUTE, "after": 1}, ["DueStaleAlarm"]),
    ("PublishFailed", "webhook", 1, {"every": MINUTE, "after": 1}, ["PublishFailedAlarm"]),
    ("PublishFailed", "webhook", 1, {"every": MINUTE, "after": 1, "until": 1.1}, []),
    ("NotTold", "send", 1, {"every": MINUTE, "after": 1}, ["NotToldAlarm"]),
    ("MediaFailed", "webhook", 1, {"every": DAY, "after": 1}, ["MediaFailedAlarm"]),
    ("RepliesPerContactHigh", "send", 1, {"every": DAY, "after": 1}, ["ReplyLoopAlarm"]),
]


@pytest.mark.parametrize(("metric", "function", "value", "when", "pages"), RING)
def test_each_alarm_on_our_metrics_rings_for_what_it_is_for(
    metric: str, function: str, value: float, when: dict[str, Any], pages: list[str]
) -> None:
    assert sorted(set(Played(6).ours(metric, function, value, **when).pages())) == pages


DUE_INDEX = {"every": 60, "TableName": "MessagesTable", "GlobalSecondaryIndexName": "due"}
THEIRS: list[tuple[str, str, float, dict[str, Any], list[str]]] = [
    ("AWS/ApiGateway", "4xx", 1001, {"every": DAY, "ApiId": "Api"}, ["FloodAlarm"]),
    ("AWS/ApiGateway", "4xx", 1000, {"every": DAY, "ApiId": "Api"}, []),
    ("AWS/ApiGateway", "Count", 120_001, {"every": DAY, "ApiId": "Api"}, ["FloodAlarm"]),
    ("AWS/ApiGateway", "Count", 80 * 4 * 300, {"every": 300, "ApiId": "Api"}, []),  # the pace, with its callbacks
    ("AWS/DynamoDB", "WriteThrottleEvents", 1, {"every": 60, "TableName": "ContactsTable"}, ["TableThrottlesAlarm"]),
    ("AWS/DynamoDB", "WriteThrottleEvents", 1, DUE_INDEX, ["TableThrottlesAlarm"]),
    ("AWS/DynamoDB", "WriteThrottleEvents", 1, {"every": 60, "TableName": "Another"}, []),
    ("AWS/DynamoDB", "ReadThrottleEvents", 9, {"every": 180, "TableName": "MessagesTable"}, []),  # retried, and gone
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible", 1, {"every": 60, "QueueName": "SendDeadLetterQueue"},
     ["DeadLettersAlarm"]),
    ("AWS/SQS", "ApproximateAgeOfOldestMessage", 901, {"every": 60, "QueueName": "SendQueue"}, ["QueueAgeAlarm"]),
    ("AWS/Lambda", "Errors", 1, {"every": DAY, "FunctionName": "SendFunction"}, ["SendErrorsAlarm"]),
    ("AWS/Lambda", "Errors", 1, {"every": DAY, "FunctionName": "WebhookFunction"}, ["WebhookErrorsAlarm"]),
    ("AWS/Lambda", "Errors", 1, {"every": 900, "FunctionName": "TemplateSyncFunction"}, ["TemplateSyncErrorsAlarm"]),
    ("AWS/Lambda", "Throttles", 1, {"every": DAY, "FunctionName": "SendFunction"}, ["SendThrottlesAlarm"]),
    ("AWS/Lambda", "Throttles", 1, {"every": DAY, "FunctionName": "WebhookFunction"}, ["WebhookThrottlesAlarm"]),
    ("AWS/Lambda", "Throttles", 1, {"every": 900, "FunctionName": "TemplateSyncFunction"},
     ["TemplateSyncThrottlesAlarm"]),
]  # fmt: skip


@pytest.mark.parametrize(("namespace", "metric", "value", "when", "pages"), THEIRS)
def test_each_alarm_on_awss_metrics_rings_for_what_it_is_for(
    namespace: str, metric: str, value: float, when: dict[str, Any], pages: list[str]
) -> None:
    assert Played(2).theirs(namespace, metric, value, after=0.5, **when).pages() == pages


def test_concurrency_is_judged_by_the_accounts_own_quota() -> None:
    day = Played(1).theirs("AWS/Lambda", "ConcurrentExecutions", 3, every=60)
    assert day.theirs("AWS/Lambda", "ClaimedAccountConcurrency", 801, every=60).pages() == ["ConcurrencyAlarm"]


def test_sweeps_and_reconciles_that_stop_page_once_each() -> None:
    stopped = Played(6, started=False)
    stopped.ours("DueStale", "send", 0, every=MINUTE, until=1)
    stopped.ours("ReconcileBehind", "webhook", 0, every=5 * MINUTE, until=1)
    assert stopped.pages() == ["SweepSilentAlarm", "ReconcileBehindAlarm"]


def test_a_hold_of_an_hour_pages() -> None:
    held = Played(4, started=False).ours("DueStale", "send", 0, every=MINUTE)
    assert "SendingHeldAlarm" in held.ours("SendingHeld", "send", 1, every=MINUTE).pages()


def test_templates_without_approval_page_after_two_days() -> None:
    for hours, state in ((60, "ALARM"), (40, "OK")):
        lacking = Played(hours, started=False).ours("TemplatesUnusable", "template-sync", 1, every=15 * MINUTE)
        assert ALARMS["TemplatesUnusableAlarm"].state(lacking, lacking.until, "OK", {}) == state


def test_a_wrong_webhook_url_pages_within_hours_even_with_few_messages() -> None:
    """A patient writes every 50 minutes, and each message is found in Twilio's list."""
    wrong = Played(24).ours("MessagesReceived", "webhook", 1, every=50 * MINUTE)
    wrong.ours("MessagesBackfilled", "webhook", 1, every=50 * MINUTE)
    assert set(wrong.pages()) == {"WebhooksLostAlarm"}
    once = Played(24).ours("MessagesReceived", "webhook", 1, every=50 * MINUTE)
    once.ours("MessagesBackfilled", "webhook", 1, every=DAY, after=2)  # a single webhook was lost
    assert once.pages() == []
