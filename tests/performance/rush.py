"""So many reminders are due at once, and one sweep goes over them.

DynamoDB is the embedded one in this process, one call at a time, and each call takes as long as AWS's. So what is
measured is what our code does with its time. `python -m tests.performance.rush 2000` prints it as JSON.
"""

import json
import sys
import threading
import time
from typing import Any
from unittest.mock import patch

from whatsapp.adapters.dynamodb.client import Put
from whatsapp.adapters.dynamodb.items import message_item
from whatsapp.bootstrap import App
from whatsapp.domain.ports import Deadline
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, message_id_of

from tests.fakes import CountingMetrics
from tests.simulation import dynamodb
from tests.simulation.sandbox import settings

CALL_S = 0.008
"""What a call of DynamoDB or SQS takes, in a region's own network."""


class Sqs:
    """Takes everything."""

    def send_message_batch(self, **_: Any) -> dict[str, Any]:
        time.sleep(CALL_S)
        return {}

    def get_queue_attributes(self, **_: Any) -> dict[str, Any]:
        time.sleep(CALL_S)
        return {"Attributes": {}}


class Local(App):
    """The product, with its outside in this process."""

    metrics: Any = CountingMetrics()
    gateway: Any = None
    contact_ids: Any = None

    def client(self, service: str) -> Any:
        """DynamoDB or SQS."""
        return dynamodb.client() if service == "dynamodb" else Sqs()


def reminder(number: int, now: int) -> Message:
    """A reminder to somebody of their own, which has waited for the morning."""
    return Message(
        message_id=message_id_of(f"rush-{number}"),
        contact_id=f"{number:08x}".ljust(32, "0"),
        to=f"+9196{number:08}",
        request_hash="hash",
        created_at=now,
        status=Status.DEFERRED,
        status_at=now,
        template="session_reminder",
        variables={"patient_name": "Asha", "session_time": "5:30 pm", "therapist_name": "Dr. Rao"},
        text="Hello Asha, this is a reminder of your session with Dr. Rao today at 5:30 pm.",
        due_at=now,
        due_shard=f"send#{number % 4}",
    )


def main(reminders: int) -> None:
    """Store them, sweep once, print what it took."""
    dynamodb.Tables()
    turn, in_aws = threading.Lock(), 0.0

    def call(operation: str, body: bytes) -> Any:
        nonlocal in_aws
        time.sleep(CALL_S if is_swept else 0)
        with turn:
            start = time.thread_time()
            answer = dynamodb.apply(operation, json.loads(body))
            in_aws += time.thread_time() - start
        return answer

    is_swept = False
    with patch.object(dynamodb.Line, "call", staticmethod(call), create=True):
        app = Local(settings("", 3))
        now = app.clock.now()
        for number in range(reminders):
            app.db.write(Put(table="messages", item=message_item(reminder(number, now), 0)))
        is_swept, in_aws = True, 0.0
        start, cpu = time.perf_counter(), time.process_time()
        swept = app.sweep_due(Deadline(app.clock.now() + 30_000))
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu - in_aws
    print(json.dumps({"acted": swept["acted"], "seconds": seconds - in_aws, "cpu": cpu}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
