"""What every drill acts and looks with: the stack, its Twilio, its schedules, and the transcript."""

import io
import json
import os
import re
import subprocess
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
from local.artifacts import ROOT
from local.aws import name_alone, server_environment
from local.bus import subscribe
from local.http import ONE_EACH, SignedHttp
from local.stack import STACK_NAME, Stack

_PATIENCE_S = 60.0
_NOT_PLAYED = {"SweepSilentAlarm", "ReconcileBehindAlarm"}
"""Where product time is moved, the runs of schedules between are not played: what minds their silence is not judged."""


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
        self._alerts = self._events = ""
        self._began = time.monotonic()
        self._recorded, self._known, self._rung = Recorded(), Counter[str](), 0
        self._start = self._moment = time.time() // 3600 * 3600

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
        return [str(alert.get("Subject")) for alert in self._heard(self._alerts)]

    def pages(self) -> list[str]:
        """The template's alarms that went off since the drill began, judged over what the functions logged."""
        recorded = Recorded().log(self.counted())
        now = time.time()
        found = rings(template_alarms(), recorded, now - (time.monotonic() - self._began), now)
        return [ring.alarm for ring in found if ring.is_page]

    def passes(self, seconds: float, *of_aws: tuple[str, str, float, dict[str, str]]) -> None:
        """Product time goes on: what was counted since it last did, is of this stretch.

        `of_aws`: what AWS itself would count in it: namespace, name, value, dimensions.
        """
        counted = Counter(self.counted())
        seen, self._known = Recorded().log((counted - self._known).elements()), counted
        for (namespace, name, dimensions), points in seen.points.items():
            for _, value in points:
                self._recorded.put(namespace, name, self._moment, value, **dict(dimensions))
        for namespace, name, value, names in of_aws:
            self._recorded.put(namespace, name, self._moment, value, **names)
        self._moment += seconds

    @property
    def is_moved(self) -> bool:
        """Whether product time was moved: the drill judges the alarms itself."""
        return self._moment > self._start

    def rung(self) -> list[str]:
        """The alarms that paged in product time since the last look; each is in the transcript with its time."""
        alarms = {name: alarm for name, alarm in template_alarms().items() if name not in _NOT_PLAYED}
        found = [ring for ring in rings(alarms, self._recorded, self._start, self._moment) if ring.is_page]
        new, self._rung = found[self._rung :], len(found)
        for ring in new:
            minutes = int((ring.at - self._start) / 60)
            urgency = str(alarms[ring.alarm].properties["AlarmDescription"]).split()[0]
            self.say("CloudWatch", f"{minutes // 60}:{minutes % 60:02} h: {urgency} {ring.alarm}")
        return [ring.alarm for ring in new]

    def runbook(self, section: str) -> str:
        """What docs/operations.md says under this heading, told and returned.

        Raises:
            DrillFailedError: it has no such heading.
        """
        pages = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
        if not (found := re.search(rf"^##+ {re.escape(section)}\n+(.*?)(?=\n##|\Z)", pages, re.MULTILINE | re.DOTALL)):
            raise DrillFailedError(f"docs/operations.md has no section {section!r}")
        self.say("runbook", f"{section}:")
        text = re.sub(r" ?\[Drill\]\([^)]*\)\.", "", found[1])
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)  # a link leads elsewhere from the transcript
        for line in text.strip().splitlines():
            self.say("", line)
        return found[1]

    def shell(self, script: str) -> None:
        """Run a runbook's commands as they stand there; only the stack's name is ours. They need the AWS CLI.

        Raises:
            DrillFailedError: they failed.
        """
        script = script.replace("whatsapp-prod", STACK_NAME)
        environment = {**os.environ, **server_environment(AWS_ENDPOINT_URL=self.stack.aws_endpoint)}
        run = subprocess.run(  # our own page's text
            ["bash", "-euo", "pipefail", "-c", script], env=environment, capture_output=True, text=True, check=False
        )
        self.say("on call", "runs these commands")
        for line in run.stdout.splitlines():
            self.say("", line)
        if run.returncode:
            raise DrillFailedError(f"the runbook's commands failed: {run.stderr.strip()}")

    def hear_bus(self) -> None:
        """Subscribe a queue to the bus."""
        bus = self.stack.outputs["BusName"]
        self._events, _ = subscribe(self.stack.aws("sqs"), self.stack.aws("events"), bus, "drill-bus")

    def events(self) -> list[dict[str, Any]]:
        """The events since the last look."""
        return self._heard(self._events)

    def _heard(self, queue: str) -> list[dict[str, Any]]:
        """What came to a queue of ours; it is taken from there."""
        sqs, found = self.stack.aws("sqs"), []
        while batch := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                found.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    def counted(self) -> list[str]:
        """The lines by which the functions counted. The embedded AWS gives at most 10,000 of each."""
        pages = self.stack.aws("logs").get_paginator("filter_log_events")
        return [
            event["message"]
            for name in ("SendFunctionName", "WebhookFunctionName", "TemplateSyncFunctionName")
            for page in pages.paginate(
                logGroupName=f"/aws/lambda/{name_alone(self.stack.outputs[name])}", filterPattern='"_aws"'
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
