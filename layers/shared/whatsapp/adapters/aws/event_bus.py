"""The event bus in EventBridge."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from whatsapp.domain.events import Event, as_entry
from whatsapp.domain.ports import PublishFailed

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient


class EventBridgeBus:
    """The `EventBus` port."""

    def __init__(self, client: "EventBridgeClient", bus_name: str) -> None:
        self._client = client
        self._bus_name = bus_name

    def publish(self, events: Sequence[Event]) -> None:
        """Put the events on the bus.

        Raises:
            PublishFailed: the bus did not take all of them. PutEvents answers 200 even then, with `FailedEntryCount`.
        """
        entries: list[Any] = [
            {
                **entry,
                "Detail": json.dumps(entry["Detail"], ensure_ascii=False),
                "EventBusName": self._bus_name,
            }
            for entry in map(as_entry, events)
        ]
        try:
            answer = self._client.put_events(Entries=entries)
        except (ClientError, BotoCoreError) as error:
            raise PublishFailed(f"the bus did not answer ({type(error).__name__})") from None
        if answer.get("FailedEntryCount"):
            codes = sorted({entry.get("ErrorCode", "") for entry in answer["Entries"] if entry.get("ErrorCode")})
            raise PublishFailed(
                f"the bus refused {answer['FailedEntryCount']} of {len(entries)} events: {', '.join(codes)}"
            )
