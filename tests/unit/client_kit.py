"""An AWS for tests of the client and the consumer."""

import json
from io import BytesIO
from typing import Any

from botocore.exceptions import ClientError


def aws_error(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Invoke")  # type: ignore[typeddict-item]  # the rest does not matter here


class Aws:
    """Lambda and SQS in one: answers what the test put in, in order, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked: list[dict[str, Any]] = []

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self.asked.append({"to": FunctionName, "request": json.loads(Payload)})
        answer = self._next()
        failed = {"FunctionError": "Unhandled"} if isinstance(answer, dict) and "errorType" in answer else {}
        return {"Payload": BytesIO(answer if isinstance(answer, bytes) else json.dumps(answer).encode()), **failed}

    def send_message(self, QueueUrl: str, MessageBody: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self.asked.append({"to": QueueUrl, "request": json.loads(MessageBody)})
        return dict(self._next())

    def _next(self) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer
