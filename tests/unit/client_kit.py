"""An AWS for tests of the client and the consumer."""

import json
from dataclasses import dataclass, field
from io import BytesIO
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from functions.send.handler import lambda_handler
from tests.app import UnitApp
from tests.unit.receive_kit import FakeBucket

CONTEXT: Any = SimpleNamespace(
    function_name="send",
    memory_limit_in_mb=1,
    invoked_function_arn="arn",
    aws_request_id="direct",
    get_remaining_time_in_millis=lambda: 60_000,
)


def aws_error(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Invoke")  # type: ignore[typeddict-item]  # the rest does not matter here


class Aws:
    """Lambda and SQS in one: answers what the test put in, in order, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked: list[dict[str, Any]] = []
        self.attributes: list[dict[str, Any]] = []

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self.asked.append({"to": FunctionName, "request": json.loads(Payload)})
        answer = self._next()
        failed = {"FunctionError": "Unhandled"} if isinstance(answer, dict) and "errorType" in answer else {}
        return {"Payload": BytesIO(answer if isinstance(answer, bytes) else json.dumps(answer).encode()), **failed}

    def send_message(self, QueueUrl: str, MessageBody: str, MessageAttributes: Any) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self.attributes.append(MessageAttributes)
        self.asked.append({"to": QueueUrl, "request": json.loads(MessageBody)})
        return dict(self._next())

    def _next(self) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class SendFunction:
    """Lambda with the send function's handler in it."""

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's names
        answer = lambda_handler(json.loads(Payload), CONTEXT)
        return {"Payload": BytesIO(json.dumps(answer).encode())}


@dataclass(frozen=True)
class AppWithBucket(UnitApp):
    media_store: Any = field(default_factory=FakeBucket)
