"""A clock corrected by DynamoDB's, because a Lambda's own clock may be off."""

import time
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ASKED_AT = "whatsapp_asked_at"


class DynamoClock:
    """The `Clock` port: the local clock, corrected as far as DynamoDB's answers prove it wrong.

    Each answer's `Date`, in whole seconds, was set between our request and the answer, so it bounds how far the clocks
    differ. A slow answer gives wide bounds. After one answer within 0.2 s the error is below 1.2 s, and further answers
    only narrow it.
    """

    def __init__(self, client: "DynamoDBClient") -> None:
        self._offset_ms = 0
        client.meta.events.register("before-call.dynamodb", self._ask)
        client.meta.events.register("after-call.dynamodb", self._hear)

    def now(self) -> int:
        """Epoch milliseconds."""
        return _local() + self._offset_ms

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def _ask(self, context: dict[str, Any], **_: object) -> None:
        context[_ASKED_AT] = _local()

    def _hear(self, parsed: dict[str, Any], context: dict[str, Any], **_: object) -> None:
        date = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if not date:
            return
        second = _epoch_ms(date)
        least, most = second - _local(), second + 999 - context[_ASKED_AT]
        self._offset_ms = min(max(self._offset_ms, least), most)


@lru_cache(maxsize=2)
def _epoch_ms(date: str) -> int:
    """Of an HTTP date. A batch hears the same one dozens of times."""
    return int(parsedate_to_datetime(date).timestamp() * 1000)


def _local() -> int:
    return time.time_ns() // 1_000_000
