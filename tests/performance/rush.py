"""So many reminders are due at once, and one sweep goes over them.

DynamoDB is the embedded one in this process, one call at a time, and each call takes as long as AWS's. So what is
measured is what our code does with its time. `python -m tests.performance.rush 2000` prints it as JSON.
"""

import json
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from whatsapp.adapters.dynamodb.client import Put
from whatsapp.adapters.dynamodb.items import message_item
from whatsapp.bootstrap import App
from whatsapp.domain.ports import Deadline
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, MessageIds

from tests import ministack_tables
from tests.fakes import CountingMetrics
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


@dataclass(frozen=True)
class Local(App):
    """The product, with its outside in this process."""

    dynamodb: Any
    metrics: Any = field(default_factory=CountingMetrics)
    gateway: Any = None
    contact_ids: Any = None
    message_ids: MessageIds = field(default_factory=lambda: MessageIds("rush"))

    def client(self, service: str) -> Any:
        """DynamoDB or SQS."""
        return self.dynamodb if service == "dynamodb" else Sqs()


def reminder(number: int, now: int) -> Message:
    """A reminder to somebody of their own, which has waited for the morning."""
    return Message(
        message_id=MessageIds("rush").of(f"rush-{number}"),
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


def answered_by(call: Any) -> Any:
    """A boto3 client whose requests go to `call` instead of the network."""

    def answer(model: Any, params: dict[str, Any], **_: object) -> tuple[AWSResponse, dict[str, Any]]:
        status, parsed = call(model.name, json.loads(params["body"]))
        parsed["ResponseMetadata"] = {"HTTPStatusCode": status, "HTTPHeaders": {}}
        if status >= 300:
            parsed["Error"] = {"Code": parsed["__type"], "Message": parsed["message"]}
        return AWSResponse("", status, HTTPHeaders(), None), parsed

    client = boto3.client(
        "dynamodb",
        region_name="ap-south-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(parameter_validation=False),
    )
    client.meta.events.register("before-call.dynamodb", answer)  # type: ignore[arg-type]  # taken for the service's
    return client


def main(reminders: int) -> None:
    """Store them, sweep once, print what it took."""
    ministack_tables.make_tables()
    turn, in_aws = threading.Lock(), 0.0
    is_swept = False

    def call(operation: str, request: dict[str, Any]) -> Any:
        nonlocal in_aws
        time.sleep(CALL_S if is_swept else 0)
        with turn:
            start = time.thread_time()
            answer = ministack_tables.ask(operation, request)
            in_aws += time.thread_time() - start
        return answer

    app = Local(settings("", 3), answered_by(call))
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
