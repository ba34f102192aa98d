"""The mission's numbers over a span of time, as CloudWatch counted them: for the route, and hourly for the alarms.

What became of a message is counted at the time of its acceptance. So a rate is of one cohort: of the messages that
Twilio accepted in that span, how many arrived, and how many were answered, whenever that was (docs/metrics.md).
"""

from collections.abc import Sequence
from typing import Any

from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Clock, Metrics, MetricsSource, Series
from whatsapp.domain.prices import META_UTILITY_INR, TWILIO_USD
from whatsapp.domain.schedule import epoch_ms, iso
from whatsapp.domain.sending.message import FREE_FORM
from whatsapp.domain.templates.catalog import Catalog

ENOUGH = 50
"""Messages of a day whose rate may set off an alarm."""
_KEPT = ((15 * periods.DAY, 60), (63 * periods.DAY, 300), (455 * periods.DAY, 3600))
"""CloudWatch's guide, "Metrics concepts", retention: how old a period of so many seconds may be."""
_LENGTHS = (86_400, 43_200, 21_600, 10_800, 7_200, 3_600, 1_800, 900, 300, 60)
_COUNTS = {
    "sent": Series(name="MessagesSent"),
    "arrived": Series(name="MessagesArrived"),
    "read": Series(name="MessagesRead"),
    "templates_arrived": Series(name="TemplatesArrived"),
    "proactive_sent": Series(name="ProactiveSent"),
    "proactive_answered": Series(name="ProactiveAnswered"),
    "received": Series(name="MessagesReceived", function="webhook"),
    "backfilled": Series(name="MessagesBackfilled", function="webhook"),
    "in_doubt": Series(name="MessagesInDoubt", function="send"),
    "rate_limit_violations": Series(name="RateLimitViolations"),
    "duplicates_absorbed": Series(name="DuplicatesAbsorbed"),
}
_TIMES = {
    "time_to_delivery_ms": ("TimeToDelivery", ("p50", "p95")),
    "webhook_ms": ("WebhookTime", ("p50", "p99")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportMetrics:
    """Reads what was counted, and judges it."""

    source: MetricsSource
    metrics: Metrics
    catalog: Catalog
    clock: Clock

    def __call__(self, from_: str | None, to: str | None) -> dict[str, Any]:
        """The numbers of the messages accepted from `from_` on and before `to`, ISO times with a zone.

        The last 24 hours if neither is given. Times are those of the slowest period of `period_seconds`.

        Raises:
            MessagingError: `invalid_request`; `metrics_unavailable` if CloudWatch does not answer.
        """
        now = self.clock.now()
        until = _time("to", to) if to else now
        since, until, period_s = _whole_periods(_time("from", from_) if from_ else until - periods.DAY, until, now)
        counts = self._sums(_COUNTS, since, until, period_s)
        return {
            "from": iso(since),
            "to": iso(until),
            "period_seconds": period_s,
            **counts,
            "delivery_percent": _percent(counts["arrived"], counts["sent"]),
            "reply_percent": _percent(counts["proactive_answered"], counts["proactive_sent"]),
            "by_template": self._by_template(since, until, period_s),
            **self._times(since, until, period_s),
            "cost": {
                "twilio_usd": round(TWILIO_USD * (counts["sent"] + counts["received"]), 3),
                "whatsapp_inr_at_most": round(META_UTILITY_INR * counts["templates_arrived"], 3),
            },
        }

    def measure(self) -> dict[str, float | None]:
        """Count the rates of the last day whose messages have had their time, for the alarms; returns them.

        A message has an hour to arrive and a day to be answered. None: too few messages to judge by.
        """
        now = self.clock.now()
        found = {
            "DeliveryPercent": self._rate("sent", "arrived", now - periods.ARRIVES_WITHIN),
            "ReplyPercent": self._rate("proactive_sent", "proactive_answered", now - periods.ANSWERS_COUNTED_WITHIN),
        }
        if known := {name: percent for name, percent in found.items() if percent is not None}:
            self.metrics.count_at(now, known)
        return found

    def _rate(self, whole: str, part: str, until: int) -> float | None:
        since, until, period_s = _whole_periods(until - periods.DAY, until, self.clock.now())
        counts = self._sums({name: _COUNTS[name] for name in (whole, part)}, since, until, period_s)
        return _percent(counts[part], counts[whole]) if counts[whole] >= ENOUGH else None

    def _sums(self, series: dict[str, Series], since: int, until: int, period_s: int) -> dict[str, int]:
        found = self.source.read(list(series.values()), since, until, period_s)
        return {name: round(sum(values)) for name, values in zip(series, found, strict=True)}

    def _by_template(self, since: int, until: int, period_s: int) -> list[dict[str, Any]]:
        """The proactive messages of each layout of today's catalog that was sent; free-form text is `none`."""
        layouts = [(template.name, language) for template in self.catalog for language in template.languages]
        layouts.append((FREE_FORM, FREE_FORM))
        asked = [
            Series(name=name, dimensions=(("template", template), ("language", language)))
            for template, language in layouts
            for name in ("ProactiveSent", "ProactiveAnswered")
        ]
        found = [round(sum(values)) for values in self.source.read(asked, since, until, period_s)]
        return [
            {"template": template, "language": language, "sent": sent, "answered": answered}
            | {"reply_percent": _percent(answered, sent)}
            for (template, language), sent, answered in zip(layouts, found[::2], found[1::2], strict=True)
            if sent
        ]

    def _times(self, since: int, until: int, period_s: int) -> dict[str, dict[str, float | None]]:
        asked = [Series(name=name, stat=stat) for name, stats in _TIMES.values() for stat in stats]
        found = iter(self.source.read(asked, since, until, period_s))
        return {shown: {stat: _slowest(next(found)) for stat in stats} for shown, (_, stats) in _TIMES.items()}


def _slowest(values: Sequence[float]) -> float | None:
    return round(max(values), 1) if values else None


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None


def _time(field: str, text: str) -> int:
    """Epoch milliseconds. A `+` of the zone that came unquoted in a URL is a space here."""
    at = epoch_ms(text.strip().replace(" ", "+"))
    if at is None:
        raise MessagingError(
            "invalid_request", f"{field}: give a time with its zone, such as 2026-11-24T00:00:00+05:30"
        )
    return at


def _whole_periods(since: int, until: int, now: int) -> tuple[int, int, int]:
    """The span widened to whole periods that CloudWatch still has, and the longest period (seconds) that fills it."""
    kept = next((period_s for age, period_s in _KEPT if now - since < age), None)
    if until <= since or since >= now or kept is None:
        raise MessagingError(
            "invalid_request", "from, to: give a span whose start is before its end, and at most 455 days ago"
        )
    step = kept * 1000
    since, until = since // step * step, -(-until // step) * step
    return since, until, next(p for p in _LENGTHS if not since % (p * 1000) and not until % (p * 1000))
