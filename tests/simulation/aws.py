"""SQS, EventBridge, SNS and Secrets Manager as fakes of their boto3 clients, for the product's own adapters."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError
from whatsapp.domain.ports import CALLERS_ASKED_AT, asked_at

from tests.simulation.faults import Faults
from tests.simulation.hub import HOUR, MINUTE, Hub

SEND_QUEUE, DEAD_LETTERS = "https://sqs.simulated/send", "https://sqs.simulated/dead"
VISIBILITY = 180_000
MOST_RECEIVES = 5
LONGEST_BACKLOG = 30 * MINUTE
COMES_AGAIN_WITHIN = 12 * HOUR


@dataclass(eq=False)
class Nudge:
    """A message on the send queue."""

    message_id: str
    body: str
    sent_at: int
    attributes: dict[str, str]
    receives: int = 0
    visible_at: int = 0
    deleted: bool = False

    @property
    def asked_at(self) -> int:
        """When the product takes it to be asked for."""
        return asked_at(self.attributes, self.sent_at)


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A message on the dead-letter queue."""

    message_id: str
    body: str
    sent_at: int
    attributes: dict[str, str]

    @property
    def asked_at(self) -> int:
        """When the product takes it to be asked for."""
        return asked_at(self.attributes, self.sent_at)


class Sqs:
    """The send queue and its dead-letter queue. Standard queues: a message may come twice."""

    def __init__(
        self,
        hub: Hub,
        faults: Faults,
        call: Callable[..., Any],
        deliver: Callable[[Nudge], None],
        due_of: Callable[[str], str],
    ) -> None:
        self._hub = hub
        self._faults = faults
        self._call = call
        self._deliver = deliver
        self._due_of = due_of
        self.dead: list[Letter] = []
        self.nudged_by_sweep: list[tuple[str, str]] = []
        """What a sweep enqueued, with the `due_at` that the record had then."""
        self._handles: dict[str, Nudge] = {}

    def send_message(self, **request: Any) -> dict[str, Any]:
        """Put a message on either queue."""

        def send() -> dict[str, Any]:
            body = request["MessageBody"]
            attributes = {name: one["StringValue"] for name, one in request.get("MessageAttributes", {}).items()}
            if request["QueueUrl"] == DEAD_LETTERS:
                letter = Letter(message_id=self._new_id(), body=body, sent_at=self._hub.now, attributes=attributes)
                self.dead.append(letter)
            else:
                self.put(body, request.get("DelaySeconds", 0) * 1000, attributes)
            return {}

        answer: dict[str, Any] = self._call("send_message", send, lost=lambda: (send(), {})[1], refused=_refused)
        return answer

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        """Put up to ten messages on the send queue; only a sweep does it."""
        nudged = [json.loads(entry["MessageBody"])["message_id"] for entry in request["Entries"]]
        self.nudged_by_sweep += [(message_id, self._due_of(message_id)) for message_id in nudged]

        def send() -> dict[str, Any]:
            for entry in request["Entries"]:
                self.put(entry["MessageBody"], entry["DelaySeconds"] * 1000)
            return {"Successful": []}

        answer: dict[str, Any] = self._call("send_batch", send, lost=send, refused=_refused)
        return answer

    def get_queue_attributes(self, **_: Any) -> dict[str, Any]:
        """Say that it holds nothing."""

        def count() -> dict[str, Any]:
            return {"Attributes": {"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesDelayed": "0"}}

        answer: dict[str, Any] = self._call("queue_attributes", count, lost=count, refused=_refused)
        return answer

    def receive_message(self, **_: Any) -> dict[str, Any]:
        """The dead letters."""

        def receive() -> dict[str, Any]:
            letters = [
                {
                    "MessageId": letter.message_id,
                    "Body": letter.body,
                    "ReceiptHandle": letter.message_id,
                    "Attributes": {"SentTimestamp": str(letter.sent_at)},
                    "MessageAttributes": {name: {"StringValue": value} for name, value in letter.attributes.items()},
                }
                for letter in self.dead
            ]
            return {"Messages": letters}

        answer: dict[str, Any] = self._call("receive", receive, lost=_refused, refused=_refused)
        return answer

    def delete_message(self, **request: Any) -> dict[str, Any]:
        """Delete a dead letter."""

        def delete() -> dict[str, Any]:
            self.dead = [letter for letter in self.dead if letter.message_id != request["ReceiptHandle"]]
            return {}

        answer: dict[str, Any] = self._call("delete_message", delete, lost=delete, refused=_refused)
        return answer

    def change_message_visibility(self, **request: Any) -> dict[str, Any]:
        """Have a message come again at another time."""

        def change() -> dict[str, Any]:
            nudge = self._handles[request["ReceiptHandle"]]
            nudge.visible_at = self._hub.now + request["VisibilityTimeout"] * 1000
            self._later(nudge)
            return {}

        answer: dict[str, Any] = self._call("change_visibility", change, lost=change, refused=_refused)
        return answer

    def ask(self, body: str) -> None:
        """A caller's request, as our client sends it."""
        self.put(body, attributes={CALLERS_ASKED_AT: str(self._hub.now)})

    def put(self, body: str, delay: int = 0, attributes: dict[str, str] | None = None) -> None:
        """A message from outside of the product, or through it."""
        now = self._hub.now
        nudge = Nudge(message_id=self._new_id(), body=body, sent_at=now, attributes=attributes or {})
        nudge.visible_at = now + delay + self._faults.between(5, 1_000)
        if self._faults.chance(self._faults.rates.backlog):
            nudge.visible_at += self._faults.rng.randint(MINUTE, LONGEST_BACKLOG)
            self._faults.met.add("queue message minutes late")
        self._later(nudge)
        if self._faults.chance(self._faults.rates.redelivered):
            is_late = self._faults.chance(self._faults.rates.redelivered_late)
            later = self._faults.rng.randint(HOUR, COMES_AGAIN_WITHIN) if is_late else self._faults.between(1, MINUTE)
            self._hub.at(nudge.visible_at + later, lambda: self._hand_out(nudge, again=True, is_late=is_late))

    def receipt(self, nudge: Nudge) -> dict[str, Any]:
        """The message as Lambda hands it to a function."""
        handle = f"{nudge.message_id}#{nudge.receives}"
        self._handles[handle] = nudge
        return {"messageId": nudge.message_id, "receiptHandle": handle, "body": nudge.body}

    def _new_id(self) -> str:
        return f"{self._faults.rng.getrandbits(96):024x}"

    def _later(self, nudge: Nudge) -> None:
        at = nudge.visible_at
        self._hub.at(at, lambda: self._hand_out(nudge) if nudge.visible_at == at else None)

    def _hand_out(self, nudge: Nudge, *, again: bool = False, is_late: bool = False) -> None:
        if nudge.deleted and not again:
            return
        if is_late:
            self._faults.met.add("queue message hours late")
        nudge.receives += 1
        if nudge.receives > MOST_RECEIVES:
            nudge.deleted = True
            dead = Letter(
                message_id=nudge.message_id, body=nudge.body, sent_at=nudge.sent_at, attributes=nudge.attributes
            )
            self.dead.append(dead)
            return
        nudge.visible_at = self._hub.now + VISIBILITY
        self._later(nudge)
        self._deliver(nudge)


class Bus:
    """What the orchestrator hears."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call
        self.events: list[dict[str, Any]] = []

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's own spelling
        """Publish."""

        def put() -> dict[str, Any]:
            self.events += [{"type": e["DetailType"], **json.loads(e["Detail"])} for e in Entries]
            return {"FailedEntryCount": 0, "Entries": [{} for _ in Entries]}

        def refused() -> dict[str, Any]:
            return {
                "FailedEntryCount": len(Entries),
                "Entries": [{"ErrorCode": "ThrottlingException"} for _ in Entries],
            }

        answer: dict[str, Any] = self._call("put_events", put, lost=_timed_out, refused=refused)
        return answer


class Sns:
    """What people are paged with."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call
        self.alerts: list[str] = []

    def publish(self, **request: Any) -> dict[str, Any]:
        """Page someone."""

        def page() -> dict[str, Any]:
            self.alerts.append(request["Message"])
            return {}

        answer: dict[str, Any] = self._call("publish", page, lost=_timed_out, refused=_refused)
        return answer


class Secrets:
    """Twilio's credentials, as an operator has stored them."""

    def __init__(self, hub: Hub, call: Callable[..., Any]) -> None:
        self._hub = hub
        self._call = call
        self.token = ""
        self.stored_at = 0
        self.refused_at: list[int] = []

    def get_secret_value(self, **_: Any) -> dict[str, Any]:
        """Read them."""

        def read() -> dict[str, Any]:
            return {"SecretString": json.dumps({"account_sid": "AC0", "auth_token": self.token})}

        def refused() -> Any:
            self.refused_at.append(self._hub.now)
            return _refused()

        answer: dict[str, Any] = self._call("get_secret_value", read, lost=read, refused=refused)
        return answer


def _refused() -> Any:
    raise ClientError({"Error": {"Code": "ServiceUnavailable", "Message": "simulated"}}, "simulated")


def _timed_out() -> Any:
    raise ReadTimeoutError(endpoint_url="https://simulated")
