"""SQS, EventBridge, SNS and Secrets Manager as fakes of their boto3 clients, for the product's own adapters."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError
from whatsapp.domain.ports import ASKED_AT

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
    asked_at: int
    """Its attribute that says when the request was first put on a queue; else when this was."""
    receives: int = 0
    visible_at: int = 0
    deleted: bool = False


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A message on the dead-letter queue."""

    message_id: str
    body: str
    asked_at: int


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
            body, said = request["MessageBody"], request.get("MessageAttributes", {}).get(ASKED_AT)
            asked_at = int(said["StringValue"]) if said else None
            if request["QueueUrl"] == DEAD_LETTERS:
                self.dead.append(Letter(message_id=self._new_id(), body=body, asked_at=asked_at or self._hub.now))
            else:
                self.put(body, request.get("DelaySeconds", 0) * 1000, asked_at)
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
                    "Attributes": {"SentTimestamp": str(letter.asked_at)},
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

    def put(self, body: str, delay: int = 0, asked_at: int | None = None) -> None:
        """A message from outside of the product, or through it."""
        now = self._hub.now
        nudge = Nudge(message_id=self._new_id(), body=body, sent_at=now, asked_at=asked_at or now)
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
            self.dead.append(Letter(message_id=nudge.message_id, body=nudge.body, asked_at=nudge.asked_at))
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

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call
        self.token = ""
        self.stored_at = 0

    def get_secret_value(self, **_: Any) -> dict[str, Any]:
        """Read them."""

        def read() -> dict[str, Any]:
            return {"SecretString": json.dumps({"account_sid": "AC0", "auth_token": self.token})}

        answer: dict[str, Any] = self._call("get_secret_value", read, lost=read, refused=_refused)
        return answer


def _refused() -> Any:
    raise ClientError({"Error": {"Code": "ServiceUnavailable", "Message": "simulated"}}, "simulated")


def _timed_out() -> Any:
    raise ReadTimeoutError(endpoint_url="https://simulated")
