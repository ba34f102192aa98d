"""What every drill acts and looks with: the stack, its Twilio, its schedules, and the transcript."""

import io
import json
import os
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import httpx
from botocore.exceptions import BotoCoreError

from local.alarms import Recorded, rings, template_alarms
from local.aws import server_environment
from local.http import ONE_EACH, SignedHttp
from local.stack import STACK_NAME, Stack

_PATIENCE_S = 60.0


class DrillFailedError(Exception):
    """Something did not hold. The text says what."""


class Drill:
    """A running stack and a transcript. A drill's `play(drill)` is its script.

    Attributes:
        stack: the stack; `stack.aws("dynamodb")` and so on are its clients.
        arguments: the drill's own options, such as `drill.arguments.minutes`.
        api: the HTTP API, signed as the orchestrator signs.
        twilio: the emulated Twilio's own controls, such as `twilio.post("faults", json=…)` (docs/emulator.md).
        transcript: the lines so far.
    """

    def __init__(self, stack: Stack, arguments: Namespace) -> None:
        self.stack = stack
        self.arguments = arguments
        self.api = SignedHttp(stack.api_url)
        self.twilio = httpx.Client(
            base_url=f"{stack.twilio_url}/_emulator/", trust_env=False, timeout=30, limits=ONE_EACH
        )
        self.transcript: list[str] = []
        self._alerts = ""
        self._began = time.monotonic()

    def reconnect(self) -> None:
        """The stack was deployed anew: its API has another address."""
        self.api = SignedHttp(self.stack.api_url)

    def say(self, who: str, what: str) -> None:
        """One line of the transcript: who did or saw what."""
        line = f"{time.monotonic() - self._began:7.1f} s  {who:>12}  {what}".rstrip()
        self.transcript.append(line)
        print(line, flush=True)

    def check(self, what: str, held: Any) -> None:
        """Note that it held.

        Raises:
            DrillFailedError: it did not.
        """
        if not held:
            raise DrillFailedError(what)
        self.say("✓", what)

    def wait(self, what: str, look: Callable[[], Any], seconds: float = _PATIENCE_S) -> Any:
        """Look until there is something to see, and return it.

        Raises:
            DrillFailedError: there was nothing in time.
        """
        deadline = time.monotonic() + seconds
        while not (found := _looked(look)):
            if time.monotonic() > deadline:
                raise DrillFailedError(f"{what}: not seen within {seconds:.0f} s")
            time.sleep(0.2)
        self.check(what, found)
        return found

    def send(self, request: dict[str, Any]) -> dict[str, Any]:
        """A send by direct invoke: the answer."""
        answer: dict[str, Any] = self.stack.invoke("SendFunctionName", request)
        return answer

    def sweep(self) -> None:
        """What the schedules do once a minute, with their own inputs."""
        self.stack.invoke("SendFunctionName", {"task": "sweep"})
        self.stack.invoke("WebhookFunctionName", {"task": "publish"})

    def patient_writes(self, address: str, body: str) -> None:
        """A patient writes until they are heard: on a busy machine a webhook may be too slow for Twilio."""

        def is_heard() -> bool:
            answer = self.twilio.post("inbound", json={"from": address, "body": body}).json()
            return bool(answer["http_status"] == 200)

        self.wait(f"a patient writes {body!r} and is heard", is_heard)

    def sent(self) -> list[dict[str, Any]]:
        """What Twilio accepted from us, oldest first."""
        return [message for message in self._ledger() if message["direction"] != "inbound"]

    def written(self) -> int:
        """How many messages patients wrote."""
        return sum(message["direction"] == "inbound" for message in self._ledger())

    def _ledger(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.twilio.get("ledger").json()["messages"]
        return messages

    def enqueue(self, requests: Iterable[dict[str, Any]]) -> None:
        """Requests on the send queue."""
        sqs, waiting = self.stack.aws("sqs"), list(requests)
        for start in range(0, len(waiting), 10):
            entries = [
                {"Id": str(number), "MessageBody": json.dumps(request)}
                for number, request in enumerate(waiting[start : start + 10])
            ]
            sqs.send_message_batch(QueueUrl=self.stack.outputs["SendQueueUrl"], Entries=entries)

    def statuses(self) -> Counter[str]:
        """How many outgoing records have which status, read from the table."""
        return Counter(record["status"]["S"] for record in self.records())

    def records(self) -> list[dict[str, Any]]:
        """Every outgoing record as it is stored."""
        return self._stored("outbound")

    def received(self) -> int:
        """How many messages of patients are stored."""
        return len(self._stored("inbound"))

    def _stored(self, direction: str) -> list[dict[str, Any]]:
        found = (
            self.stack.aws("dynamodb")
            .get_paginator("scan")
            .paginate(
                TableName=self.stack.outputs["MessagesTableName"],
                FilterExpression="direction = :direction",
                ExpressionAttributeValues={":direction": {"S": direction}},
            )
        )
        return [item for page in found for item in page["Items"]]

    def hear_alerts(self) -> None:
        """Subscribe a queue to the alerts."""
        sqs, sns = self.stack.aws("sqs"), self.stack.aws("sns")
        self._alerts = sqs.create_queue(QueueName="drill-alerts")["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=self._alerts, AttributeNames=["QueueArn"])["Attributes"]
        policy = {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": attributes["QueueArn"],
                }
            ]
        }
        sqs.set_queue_attributes(QueueUrl=self._alerts, Attributes={"Policy": json.dumps(policy)})
        sns.subscribe(TopicArn=self.stack.outputs["AlertTopicArn"], Protocol="sqs", Endpoint=attributes["QueueArn"])

    def alerts(self) -> list[str]:
        """The subjects of the alerts since the last look."""
        sqs, found = self.stack.aws("sqs"), []
        while batch := sqs.receive_message(QueueUrl=self._alerts, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                found.append(str(json.loads(message["Body"]).get("Subject")))
                sqs.delete_message(QueueUrl=self._alerts, ReceiptHandle=message["ReceiptHandle"])
        return found

    def pages(self) -> list[str]:
        """The template's alarms that went off since the drill began, judged over what the functions logged."""
        recorded = Recorded().log(self.counted())
        now = time.time()
        found = rings(template_alarms(), recorded, now - (time.monotonic() - self._began), now)
        return [ring.alarm for ring in found if ring.is_page]

    def counted(self) -> list[str]:
        """The lines by which the functions counted. The embedded AWS gives at most 10,000 of each."""
        pages = self.stack.aws("logs").get_paginator("filter_log_events")
        return [
            event["message"]
            for name in ("SendFunctionName", "WebhookFunctionName", "TemplateSyncFunctionName")
            for page in pages.paginate(
                logGroupName=f"/aws/lambda/{self.stack.outputs[name].partition(':')[0]}", filterPattern='"_aws"'
            )
            for event in page["events"]
        ]

    def command(self, main: Callable[[list[str]], int], name: str, *arguments: str) -> str:
        """Run an operator's command as on AWS, where the stack is named; what it prints is in the transcript.

        Raises:
            DrillFailedError: it failed.
        """
        given = [*arguments, "--stack", STACK_NAME]
        self.say("on call", f"$ python -m {name} {' '.join(given)}")
        output = io.StringIO()
        environment = server_environment(AWS_ENDPOINT_URL=self.stack.aws_endpoint)
        with patch.dict(os.environ, environment), redirect_stdout(output):
            status = main(given)
        for line in output.getvalue().splitlines():
            self.say("", line)
        if status:
            raise DrillFailedError(f"{name} failed")
        return output.getvalue()

    def message(self, message_id: str) -> dict[str, Any]:
        """`GET /messages/{message_id}`."""
        message: dict[str, Any] = self.api.get(f"/messages/{message_id}").json()
        return message


def follow_up(to: str) -> dict[str, Any]:
    """A request for a message that starts contact."""
    variables = {"patient_name": "Asha", "therapist_name": "Dr. Rao", "session_date": "2026-11-24"}
    return {"to": to, "template": "follow_up", "variables": variables}


def _looked(look: Callable[[], Any]) -> Any:
    """What there is to see; None where a busy machine did not answer in time."""
    try:
        return look()
    except (BotoCoreError, httpx.TimeoutException):
        return None


def document(title: str, story: str, transcript: list[str]) -> str:
    """A page of docs/drills: what was played, and the transcript of one run."""
    day = datetime.now(UTC).date().isoformat()
    return f"# {title}\n\n{story.strip()}\n\nPlayed on {day}:\n\n```\n" + "\n".join(transcript) + "\n```\n"


def as_json(value: Any) -> str:
    """For the transcript: one line, keys sorted."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
