"""The event bus in EventBridge."""

import json
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from whatsapp.domain.events import Event, as_entry
from whatsapp.domain.ports import PublishFailed

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

AT_ONCE = 10
"""How many events one PutEvents takes (EventBridge's API reference, PutEvents)."""


class EventBridgeBus:
    """The `EventBus` port. Threads share it: what they publish while one call is on its way goes with the next."""

    def __init__(self, client: "EventBridgeClient", bus_name: str) -> None:
        self._client = client
        self._bus_name = bus_name
        self._waiting: list[_Waiting] = []
        self._turn = threading.Lock()

    def publish(self, events: Sequence[Event]) -> None:
        """Put the events on the bus.

        Raises:
            PublishFailed: the bus did not take all of them. PutEvents answers 200 even then, with `FailedEntryCount`.
        """
        ours = [_Waiting(self._entry(event)) for event in events]
        self._waiting.extend(ours)
        with self._turn:
            while not all(one.is_done for one in ours):
                self._put()
        if errors := [one.error for one in ours if one.error]:
            raise PublishFailed(
                f"the bus did not take {len(errors)} of {len(ours)} events: {', '.join(sorted({*errors}))}"
            )

    def _entry(self, event: Event) -> dict[str, Any]:
        entry = as_entry(event)
        return {**entry, "Detail": json.dumps(entry["Detail"], ensure_ascii=False), "EventBusName": self._bus_name}

    def _put(self) -> None:
        """Put those that wait longest. Where the bus does not answer, all who wait hear that, and none waits longer."""
        batch = self._waiting[:AT_ONCE]
        try:
            entries: list[Any] = [one.entry for one in batch]
            answers = self._client.put_events(Entries=entries)["Entries"]
            for one, answer in zip(batch, answers, strict=True):
                one.error = answer.get("ErrorCode", "")
        except (ClientError, BotoCoreError) as error:
            batch = self._waiting[:]
            for one in batch:
                one.error = f"no answer ({type(error).__name__})"
        finally:
            del self._waiting[: len(batch)]
            for one in batch:
                one.is_done = True


class _Waiting:
    """An event on its way, and why the bus did not take it."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.entry = entry
        self.is_done = False
        self.error = "not tried"
