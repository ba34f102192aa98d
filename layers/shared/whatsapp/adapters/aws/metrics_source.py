"""What the product counted, read back from CloudWatch."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Series

NAMESPACE = "WhatsApp"


class CloudWatchMetrics:
    """The `MetricsSource` port. It reads up to 500 series at once (CloudWatch's API reference, "GetMetricData")."""

    def __init__(self, client: Callable[[], Any], stack: str) -> None:
        self._client = client
        self._stack = stack

    def read(self, asked: Sequence[Series], since: int, until: int, period_s: int) -> Sequence[Sequence[float]]:
        """The values of each series, oldest first. A period without any has none.

        Raises:
            MessagingError: `metrics_unavailable`.
        """
        queries = [self._query(f"m{number}", series, period_s) for number, series in enumerate(asked)]
        found: dict[str, list[float]] = {query["Id"]: [] for query in queries}
        try:
            for page in (
                self._client()
                .get_paginator("get_metric_data")
                .paginate(
                    MetricDataQueries=queries,
                    StartTime=datetime.fromtimestamp(since / 1000, UTC),
                    EndTime=datetime.fromtimestamp(until / 1000, UTC),
                    ScanBy="TimestampAscending",
                )
            ):
                for result in page["MetricDataResults"]:
                    found[result["Id"]] += result["Values"]
        except (ClientError, BotoCoreError) as error:
            raise MessagingError(
                "metrics_unavailable", f"CloudWatch did not answer ({type(error).__name__}): try again", retryable=True
            ) from None
        return list(found.values())

    def _query(self, query_id: str, series: Series, period_s: int) -> dict[str, Any]:
        service = f"{self._stack}-{series.function}" if series.function else self._stack
        dimensions = [*series.dimensions, ("service", service)]
        return {
            "Id": query_id,
            "MetricStat": {
                "Metric": {
                    "Namespace": NAMESPACE,
                    "MetricName": series.name,
                    "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions],
                },
                "Period": period_s,
                "Stat": series.stat,
            },
        }
