"""For the orchestrator's authors: take events off the bus, each once, and answer patients.

    from whatsapp.bus_events import Event, MessageReceived
    from whatsapp.consumer import DynamoDBSeen, reply, work

    def lambda_handler(batch, context):  # a queue of yours, to which a rule brings the bus's events
        return work(batch, handle, DynamoDBSeen("orchestrator-seen"))

    def handle(event: Event) -> None:
        match event:
            case MessageReceived(agent="scheduling", kind="text"):
                reply(event, "Thank you. Someone from the clinic will write to you.")

The bus delivers an event at least once. `work` handles it once, and brings it again if `handle` fails. It may still be
handled twice if a worker dies at the wrong moment, so give what you do a key made from `event_id`, as `reply` does.

It needs boto3, and `client.py` and `bus_events.py` beside it: copy the three, or attach the shared layer.
"""

import json
import logging
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar, get_args, get_origin, get_type_hints

from boto3.session import Session

from whatsapp.bus_events import EVENTS, Event, MessageReceived
from whatsapp.client import Answer, Choice, MessageRefused, get_message, message_id_of, send_whatsapp_message

REMEMBERED_S = 35 * 24 * 3600
"""How long an event counts as seen: longer than any redelivery of the product, whose own keys live as long."""
_DETAIL_TYPES = {event.detail_type: event for event in EVENTS}
_logger = logging.getLogger(__name__)

Handle = Callable[[Event], object]
Made = TypeVar("Made")


class BeingHandled(Exception):
    """Another worker has this event. If that one dies, this delivery has to come again."""


class Seen(Protocol):
    """Which events were handled."""

    def begin(self, event_id: str) -> bool:
        """Take an event; False if it is done.

        Raises:
            BeingHandled: another worker has it.
        """

    def finish(self, event_id: str) -> None:
        """It is done."""

    def give_up(self, event_id: str) -> None:
        """It failed: the next delivery tries again."""


def read(event: Mapping[str, Any]) -> Event:
    """An event of EventBridge as its class; a plain `Event` if the detail-type is newer than this file.

    Raises:
        ValueError: this is no event of ours.
    """
    detail = event.get("detail") if isinstance(event, dict) else None
    if not isinstance(detail, dict) or event.get("source") != "whatsapp":
        raise ValueError('no event of the bus: one has "source": "whatsapp", "detail-type" and an object as "detail"')
    return _made(_DETAIL_TYPES.get(event.get("detail-type", ""), Event), detail)


def work(batch: Mapping[str, Any], handle: Handle, seen: Seen) -> dict[str, Any]:
    """Handle a batch of SQS, as Lambda gets it, each event once.

    Returns:
        The failed ones, for an event source mapping with `ReportBatchItemFailures`: SQS brings them again, and after
        the queue's `maxReceiveCount` puts them on its dead-letter queue.
    """
    failed = []
    for record in batch["Records"]:
        try:
            handle_once(json.loads(record["body"]), handle, seen)
        except Exception as error:  # noqa: BLE001 - one event's error must not fail the batch
            # Without the error's text, in which a patient's may stand.
            where = "".join(traceback.format_tb(error.__traceback__))
            _logger.error("SQS message %s failed: %s\n%s", record["messageId"], type(error).__name__, where)  # noqa: TRY400
            failed.append(record["messageId"])
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def handle_once(event: Mapping[str, Any], handle: Handle, seen: Seen) -> None:
    """Handle one event, unless it was handled before.

    Raises:
        BeingHandled: another worker has it.
        ValueError: this is no event of ours.
    """
    typed = read(event)
    if not seen.begin(typed.event_id):
        return
    try:
        handle(typed)
    except BaseException:
        seen.give_up(typed.event_id)
        raise
    seen.finish(typed.event_id)


def reply(
    event: MessageReceived,
    text: str | None = None,
    *,
    template: str | None = None,
    variables: Mapping[str, str | datetime] | None = None,
    media_url: str | None = None,
    choices: Sequence[Choice] | None = None,
    choices_label: str | None = None,
    name: str = "answer",
    function_name: str | None = None,
    queue_url: str | None = None,
) -> Answer:
    """Answer a patient's message, as the agent and to the user that it is for.

    Args:
        event: what the patient wrote.
        text, template, variables, media_url, choices, choices_label: as for `send_whatsapp_message`.
        name: which of your answers to this event it is. Each is sent once, also if it would be worded otherwise the
            second time; three of one event (the stack's `RepliesPerInbound`) are under no rate limit.
        function_name, queue_url: as for `send_whatsapp_message`.

    Raises:
        ValueError: the event has no address to answer to.
        WhatsAppError: as for `send_whatsapp_message`.
    """
    request = answer_request(event, text, name)
    content: dict[str, Any] = {
        "template": template,
        "variables": variables,
        "media_url": media_url,
        "choices": choices,
        "choices_label": choices_label,
    }
    try:
        return send_whatsapp_message(**request, **content, function_name=function_name, queue_url=queue_url)
    except MessageRefused as error:
        if error.code != "idempotency_conflict":
            raise
        return get_message(message_id_of(request["idempotency_key"]), function_name=function_name)


def answer_request(event: MessageReceived, text: str | None = None, name: str = "answer") -> dict[str, Any]:
    """The request that `reply` sends, for who sends it in another way.

    Raises:
        ValueError: the event has no address to answer to.
    """
    if not event.address:
        raise ValueError("this event has no address: nobody can be answered")
    request = {
        "to": event.address,
        "text": text,
        "idempotency_key": f"{name}-{event.event_id}",
        "in_reply_to": event.message_id,
        "agent": event.agent,
        "user_id": event.user_id,
    }
    return {field: value for field, value in request.items() if value is not None}


class MemorySeen:
    """Events seen by this process: for tests and small programs. A restart forgets them."""

    def __init__(self) -> None:
        self._is_done: dict[str, bool] = {}
        self._lock = threading.Lock()

    def begin(self, event_id: str) -> bool:
        """Take an event; False if it is done."""
        with self._lock:
            is_done = self._is_done.get(event_id)
            if is_done is False:
                raise BeingHandled
            self._is_done.setdefault(event_id, False)
        return not is_done

    def finish(self, event_id: str) -> None:
        """It is done."""
        self._is_done[event_id] = True

    def give_up(self, event_id: str) -> None:
        """It failed: the next delivery tries again."""
        del self._is_done[event_id]


class DynamoDBSeen:
    """Events seen by every worker, in a table with the key `event_id` (a string) and the TTL attribute `expires_at`.

    It needs `dynamodb:PutItem` and `dynamodb:DeleteItem`. An item with `held_until` is in work, one without is done.
    """

    def __init__(
        self, table_name: str, *, lease_s: int = 60, client: Any = None, clock: Callable[[], float] = time.time
    ) -> None:
        """Nothing is called yet.

        Args:
            table_name: the table.
            lease_s: how long an event is a worker's that does not report back. Not less than your function's timeout,
                and not more than the queue's visibility timeout: then the next delivery finds it free.
            client: a DynamoDB client of boto3, where the default one will not do.
            clock: seconds since 1970.
        """
        self._table = table_name
        self._lease_s = lease_s
        self._db = client or Session().client("dynamodb")
        self._clock = clock

    def begin(self, event_id: str) -> bool:
        """Take an event; False if it is done."""
        now = int(self._clock())
        try:
            self._put(
                event_id,
                held_until=now + self._lease_s,
                ConditionExpression="attribute_not_exists(event_id) OR held_until < :now",
                ExpressionAttributeValues={":now": {"N": str(now)}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._db.exceptions.ConditionalCheckFailedException as error:
            refused_by: Any = error.response
            if "held_until" in refused_by.get("Item", ()):
                raise BeingHandled from None
            return False
        return True

    def finish(self, event_id: str) -> None:
        """It is done."""
        self._put(event_id)

    def give_up(self, event_id: str) -> None:
        """It failed: the next delivery tries again."""
        self._db.delete_item(TableName=self._table, Key={"event_id": {"S": event_id}})

    def _put(self, event_id: str, *, held_until: int | None = None, **condition: Any) -> None:
        item = {"event_id": {"S": event_id}, "expires_at": {"N": str(int(self._clock()) + REMEMBERED_S)}}
        item |= {"held_until": {"N": str(held_until)}} if held_until else {}
        self._db.put_item(TableName=self._table, Item=item, **condition)


def _made(cls: type[Made], values: Mapping[str, Any]) -> Made:
    """An instance with those of the values that its class knows."""
    own = {one.name: one for one in fields(cls)}  # type: ignore[arg-type]  # each is a dataclass
    lacking = [n for n, f in own.items() if f.default is MISSING and f.default_factory is MISSING and n not in values]
    if lacking:
        raise ValueError(f"the event lacks {', '.join(lacking)}")
    hints = get_type_hints(cls)
    return cls(**{name: _value(hints[name], value) for name, value in values.items() if name in own})


def _value(hint: Any, value: Any) -> Any:
    """The value as its type says: objects become instances, also in a list or where null is allowed."""
    if isinstance(value, list) and get_origin(hint) is list:
        return [_value(get_args(hint)[0], one) for one in value]
    if isinstance(value, dict):
        classes = [one for one in (hint, *get_args(hint)) if is_dataclass(one)]
        return _made(classes[0], value) if classes else value  # type: ignore[arg-type]  # a class, no instance
    return value
