"""The mission's numbers: which message counts where, what the route answers, and what the alarms are told."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from whatsapp.adapters.aws.metrics_source import NAMESPACE, CloudWatchMetrics
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Series
from whatsapp.domain.receiving.conversation import answers
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, SendKind
from whatsapp.observability import PowertoolsMetrics
from whatsapp.use_cases.report_metrics import ENOUGH, ReportMetrics

from tests.app import PATIENT, UnitApp
from tests.fakes import NOON, CountingMetrics

MINUTE, HOUR, DAY = periods.MINUTE, periods.HOUR, periods.DAY


@dataclass
class Counted:
    """The `MetricsSource` port over what a `CountingMetrics` counted: by name, template and time."""

    metrics: CountingMetrics
    asked: list[tuple[int, int, int]] = field(default_factory=list)

    def read(self, asked: Sequence[Series], since: int, until: int, period_s: int) -> Sequence[Sequence[float]]:
        self.asked.append((since, until, period_s))
        return [
            [
                values[series.name]
                for at, values, dimensions in self.metrics.at
                if series.name in values
                and since <= at < until
                and dict(series.dimensions).items() <= dimensions.items()
            ]
            for series in asked
        ]


def report(app: UnitApp) -> ReportMetrics:
    return ReportMetrics(source=Counted(app.metrics), metrics=app.metrics, catalog=app.catalog, clock=app.clock)


# --- the cohort ----------------------------------------------------------------------------------------------------


def test_of_thirty_messages_that_were_read_all_count_as_delivered(app: UnitApp) -> None:
    for number in range(30):
        app.send(f"m{number}", to=f"+9198123456{number:02d}")
    app.clock.at += MINUTE
    for number in range(30):
        overtaken = ["read", "delivered"] if number < 6 else ["delivered", "read"]
        for status in overtaken:
            app.callback(app.record(f"m{number}"), status)
    found = report(app)(None, None)
    assert (found["sent"], found["arrived"], found["read"], found["delivery_percent"]) == (30, 30, 30, 100.0)
    assert found["time_to_delivery_ms"]["p95"] == MINUTE


def test_an_answer_counts_on_the_day_of_the_message_that_it_answers(app: UnitApp) -> None:
    app.send(language="en")
    app.clock.at += 23 * HOUR
    app.patient_writes("yes")
    app.patient_writes("see you", number=2)
    first_day = report(app)(_iso(NOON - HOUR), _iso(NOON + HOUR))
    assert (first_day["reply_percent"], report(app)(_iso(NOON + HOUR), None)["reply_percent"]) == (100.0, None)
    assert first_day["by_template"] == [
        {"template": "appointment_confirmation", "language": "en", "sent": 1, "answered": 1, "reply_percent": 100.0}
    ]


def a_message(accepted_at: int | None, **fields: Any) -> Message:
    about: dict[str, Any] = {"message_id": "m", "contact_id": "c", "to": PATIENT, "request_hash": "", "created_at": 0}
    return Message(
        **{**about, "status": Status.SENT, "template": "t", "language": "hi", "accepted_at": accepted_at} | fields
    )


LAST = Contact(contact_id="c", last_accepted_at=NOON - HOUR, last_template="follow_up", last_template_language="en")
OF_LAST = (NOON - HOUR, {"template": "follow_up", "language": "en"})


@pytest.mark.parametrize(
    ("contact", "replied_to", "answered"),
    [
        (LAST, None, OF_LAST),
        (Contact(contact_id="c"), None, None),
        (replace(LAST, last_accepted_at=NOON - DAY + 1), None, (NOON - DAY + 1, OF_LAST[1])),
        (replace(LAST, last_accepted_at=NOON - DAY), None, None),
        (replace(LAST, last_accepted_at=NOON + 1), None, None),  # a backfilled message from before it
        (replace(LAST, last_inbound_at=NOON - HOUR), None, None),
        (replace(LAST, last_inbound_at=NOON - HOUR - 1), None, OF_LAST),
        (LAST, a_message(NOON - 2 * HOUR), (NOON - 2 * HOUR, {"template": "t", "language": "hi"})),
        (LAST, a_message(NOON - 2, template=None, language=None), (NOON - 2, {"template": "none", "language": "none"})),
        (LAST, a_message(NOON - DAY), OF_LAST),
        (LAST, a_message(None), OF_LAST),
        (LAST, a_message(NOON - 2 * HOUR, kind=SendKind.REPLY), OF_LAST),
        (replace(LAST, last_inbound_at=NOON - 2 * HOUR), a_message(NOON - 3 * HOUR), OF_LAST),
    ],
)  # fmt: skip
def test_which_message_is_answered(contact: Contact, replied_to: Message | None, answered: Any) -> None:
    assert answers(contact, replied_to, NOON) == answered


def test_of_two_rows_of_one_person_the_later_message_is_the_one_that_is_answered(app: UnitApp) -> None:
    app.contacts.update("a" * 32, {"last_accepted_at": NOON - HOUR, "last_template": "old"})
    app.contacts.update("b" * 32, {"last_accepted_at": NOON, "last_template": "new", "last_template_language": "ta"})
    app.contacts.tie("b" * 32, "a" * 32)
    merged = app.contacts.get("a" * 32)
    assert merged
    assert (merged.last_template, merged.last_template_language) == ("new", "ta")


def test_a_repeated_request_is_counted_as_absorbed(app: UnitApp) -> None:
    for _ in range(3):
        app.send()
    app.clock.at += MINUTE
    assert report(app)(None, None)["duplicates_absorbed"] == 2


# --- the route -----------------------------------------------------------------------------------------------------


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1000).astimezone().isoformat()


@pytest.mark.parametrize(
    ("from_", "to", "period_s"),
    [
        ("2026-11-23T00:00:00+05:30", "2026-11-24T00:00:00+05:30", 1800),
        ("2026-11-23T00:00:00 05:30", "2026-11-24T00:00:00 05:30", 1800),
        ("2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z", 86_400),
        ("2026-11-24T06:00:30Z", "2026-11-24T06:10:30Z", 60),
        ("2026-10-20T00:01:00Z", "2026-10-20T01:00:00Z", 3600),
        ("2025-11-24T00:01:00Z", "2025-11-24T01:30:00Z", 7200),
    ],
)
def test_span_is_widened_to_periods_that_cloudwatch_keeps(app: UnitApp, from_: str, to: str, period_s: int) -> None:
    found = report(app)(from_, to)
    start, end = (datetime.fromisoformat(found[name]).timestamp() for name in ("from", "to"))
    given = [datetime.fromisoformat(text.replace(" ", "+")).timestamp() for text in (from_, to)]
    assert start <= given[0] < given[1] <= end
    assert (found["period_seconds"], start % period_s, end % period_s) == (period_s, 0, 0)


@pytest.mark.parametrize(
    ("from_", "to"),
    [
        ("yesterday", None),
        ("2026-11-23", None),
        ("2026-11-23T00:00:00", None),
        (None, "+919812345678"),
        ("2026-11-24T00:00:00Z", "2026-11-24T00:00:00Z"),
        ("2026-11-25T00:00:00Z", None),
        ("2025-01-01T00:00:00Z", None),
    ],
)
def test_what_is_no_span_is_refused_without_repeating_it(app: UnitApp, from_: str | None, to: str | None) -> None:
    with pytest.raises(MessagingError, match=r"invalid_request: (from|to)") as raised:
        report(app)(from_, to)
    assert "98123" not in str(raised.value)


def test_cost_is_twilios_of_all_messages_and_metas_of_delivered_templates(app: UnitApp) -> None:
    app.send()
    app.callback(app.record(), "delivered")
    app.clock.at += MINUTE
    assert report(app)(None, None)["cost"] == {"twilio_usd": 0.005, "whatsapp_inr_at_most": 0.115}


class Client:
    """A CloudWatch that answers in pages."""

    def __init__(self, *pages: Any) -> None:
        self.pages, self.asked = pages, dict[str, Any]()

    def get_paginator(self, _: str) -> "Client":
        return self

    def paginate(self, **asked: Any) -> Any:
        self.asked = asked
        if isinstance(self.pages[0], Exception):
            raise self.pages[0]
        return self.pages


def test_cloudwatch_is_asked_for_the_dimensions_that_are_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    """The line that counts and the question that reads it back name the same metric."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", NAMESPACE)
    layout = {"template": "follow_up", "language": "hi"}
    PowertoolsMetrics("whatsapp").count_at(NOON, {"ProactiveSent": 1}, **layout)
    line = json.loads(capsys.readouterr().out)
    (counted,) = line["_aws"]["CloudWatchMetrics"]
    page = [{"MetricDataResults": [{"Id": "m0", "Values": [value]}, {"Id": "m1", "Values": []}]} for value in (1, 2)]
    client = Client(*page)
    asked = [
        Series(name="ProactiveSent", dimensions=tuple(layout.items())),
        Series(name="MessagesReceived", function="webhook"),
    ]
    found = CloudWatchMetrics(lambda: client, "whatsapp").read(asked, NOON - DAY, NOON, 60)
    assert found == [[1, 2], []]
    first, second = (query["MetricStat"]["Metric"] for query in client.asked["MetricDataQueries"])
    dimensions = {one["Name"]: one["Value"] for one in first["Dimensions"]}
    assert (first["Namespace"], first["MetricName"]) == (counted["Namespace"], "ProactiveSent")
    assert {frozenset(names) for names in counted["Dimensions"]} == {frozenset({"service"}), frozenset(dimensions)}
    assert dimensions == {name: line[name] for name in dimensions}
    assert line["_aws"]["Timestamp"] == NOON
    assert second["Dimensions"] == [{"Name": "service", "Value": "whatsapp-webhook"}]


def test_a_line_is_one_write_so_that_threads_do_not_mix_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", NAMESPACE)
    monkeypatch.setattr("sys.stdout", SimpleNamespace(write=written.append, flush=lambda: None))
    PowertoolsMetrics("whatsapp").count_at(NOON, {"MessagesSent": 1, "MessagesArrived": 1})
    (line,) = written
    assert line.endswith("}\n")
    assert json.loads(line)["MessagesArrived"] == [1]


@pytest.mark.parametrize(
    ("counter", "name"), [("count", "MessagesSent"), ("count_at", "MessagesFailed"), ("count", "?")]
)
def test_a_metric_is_counted_in_its_own_place_only(counter: str, name: str) -> None:
    arguments = (name,) if counter == "count" else (NOON, {name: 1})
    with pytest.raises(KeyError):
        getattr(PowertoolsMetrics("whatsapp"), counter)(*arguments)


def test_cloudwatch_that_is_down_is_an_error_that_passes() -> None:
    source = CloudWatchMetrics(lambda: Client(EndpointConnectionError(endpoint_url="x")), "whatsapp")
    with pytest.raises(MessagingError, match="metrics_unavailable") as raised:
        source.read([Series(name="MessagesSent")], NOON - DAY, NOON, 60)
    assert raised.value.failure.retryable


# --- what the alarms are told --------------------------------------------------------------------------------------


def counted(app: UnitApp, at: int, sent: int, arrived: int) -> None:
    app.metrics.count_at(at, {"MessagesSent": sent, "MessagesArrived": arrived})
    app.metrics.count_at(at, {"ProactiveSent": sent, "ProactiveAnswered": arrived})


@pytest.mark.parametrize(
    ("hours_ago", "sent", "delivery", "reply"),
    [
        (2, ENOUGH, 90.0, None),
        (0.5, ENOUGH, None, None),  # still on its way
        (26, ENOUGH, None, None),  # of the day before
        (30, ENOUGH, None, 90.0),
        (49.5, ENOUGH, None, 90.0),
        (51, ENOUGH, None, None),
        (2, ENOUGH - 10, None, None),  # too few to judge by
    ],
)
def test_a_rate_is_told_of_a_day_whose_messages_had_their_time(
    app: UnitApp, hours_ago: float, sent: int, delivery: float | None, reply: float | None
) -> None:
    counted(app, app.clock.at - int(hours_ago * HOUR), sent, sent * 9 // 10)
    before = len(app.metrics.at)
    assert report(app).measure() == {"DeliveryPercent": delivery, "ReplyPercent": reply}
    told = {name: value for name, value in (("DeliveryPercent", delivery), ("ReplyPercent", reply)) if value}
    assert app.metrics.at[before:] == ([(app.clock.at, told, {})] if told else [])
