"""A clock held to DynamoDB's: a Lambda whose own clock is off must not judge what has passed."""

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TOLERANCE_MS = 2_000


class DynamoClock:
    """The `Clock` port: the local clock, corrected by DynamoDB's latest `Date` where they differ by over 2 s."""

    def __init__(self, client: "DynamoDBClient") -> None:
        self._offset_ms = 0
        client.meta.events.register("after-call.dynamodb", self._compare)

    def now(self) -> int:
        """Epoch milliseconds."""
        return _local() + self._offset_ms

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def _compare(self, parsed: dict[str, Any], **_: object) -> None:
        date = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if not date:
            return
        # The header drops the fraction: its moment lies, on average, half a second later.
        offset = int(parsedate_to_datetime(date).timestamp() * 1000) + 500 - _local()
        self._offset_ms = offset if abs(offset) > TOLERANCE_MS else 0


def _local() -> int:
    return time.time_ns() // 1_000_000
