"""A tiny orchestrator, as an example to copy: it hears the bus through an SQS queue of its own, and its agents answer.

Four things in it matter for a real one: dedupe on `event_id`; answer with `in_reply_to`; give each answer an
`idempotency_key` made from the event, so that handling an event twice sends one answer; and delete the queue message
only when all is done.
"""

import json
import threading
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.aws import client

QUEUE_NAME = "orchestrator"
RULE_NAME = "to-orchestrator"


class Orchestrator:
    """Consumes the bus of a running stack, and answers what patients write.

    Args:
        aws_endpoint: where the embedded AWS is.
        outputs: the stack's CloudFormation outputs.
    """

    def __init__(self, aws_endpoint: str, outputs: dict[str, str]) -> None:
        self._sqs = client("sqs", aws_endpoint)
        self._lambda = client("lambda", aws_endpoint)
        self._send_function = outputs["SendFunctionName"]
        self._queue_url = self._subscribe(client("events", aws_endpoint), outputs["BusName"])
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orchestrator", daemon=True)
        self._seen: set[str] = set()
        self.events: list[dict[str, Any]] = []
        """Every event heard, each once, in order."""

    def __enter__(self) -> "Orchestrator":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _subscribe(self, events: Any, bus: str) -> str:
        """A queue, and a rule that puts everything of ours on it. In production: infrastructure, not code."""
        url: str = self._sqs.create_queue(QueueName=QUEUE_NAME)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_rule(Name=RULE_NAME, EventBusName=bus, EventPattern=json.dumps({"source": ["whatsapp"]}))
        events.put_targets(Rule=RULE_NAME, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
        return url

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._work()
            except (BotoCoreError, ClientError):
                self._stopping.wait(1)  # AWS does not answer: what was not deleted comes again

    def _work(self) -> None:
        answer = self._sqs.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            event = json.loads(message["Body"])
            if event["detail"]["event_id"] not in self._seen:
                self._handle(event)
                self._seen.add(event["detail"]["event_id"])
            self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])

    def _handle(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        detail = event["detail"]
        # STOP and a reaction get no answer of ours; and what another agent is to read is theirs.
        if event["detail-type"] != "message.received" or is_opt_out(detail) or detail["kind"] == "reaction":
            return
        answer = AGENTS.get(detail["agent"], someone_will_write)(detail)
        request = {
            "to": detail["address"],
            "text": answer,
            "in_reply_to": detail["message_id"],
            "idempotency_key": f"answer-{detail['event_id']}",
            "agent": detail["agent"],
        }
        self._lambda.invoke(FunctionName=self._send_function, Payload=json.dumps(request))


def is_opt_out(detail: dict[str, Any]) -> bool:
    """Whether the patient asked for silence: the product refuses to answer that anyway."""
    return str(detail["text"]).strip().casefold() == "stop"


def chosen(detail: dict[str, Any]) -> str:
    """The payload of the button that the patient tapped, or the id of the list item that they chose."""
    return (detail["button"] or {}).get("payload") or (detail["choice"] or {}).get("id") or ""


def scheduling(detail: dict[str, Any]) -> str:
    """The agent that books, confirms and moves appointments."""
    payload = chosen(detail)
    if payload.endswith(":confirm"):
        return "Thank you, your appointment is confirmed. We look forward to seeing you."
    if payload.endswith(":reschedule"):
        return "No problem. We have Thursday at 11:00 or Friday at 16:30. Which suits you?"
    return someone_will_write(detail)


def mood(detail: dict[str, Any]) -> str:
    """The agent of check-ins: it notes the score for the therapist, and never judges it in a message."""
    payload = chosen(detail)
    if payload.startswith("agent:mood:score:"):
        return "Thank you for telling us. Your therapist will see it before your next session."
    return someone_will_write(detail)


def someone_will_write(_: dict[str, Any]) -> str:
    """What every agent says to anything else: text of a stranger is never an instruction."""
    return "Thank you for your message. Someone from the clinic will write to you during working hours."


AGENTS: dict[str, Callable[[dict[str, Any]], str]] = {"scheduling": scheduling, "reminders": scheduling, "mood": mood}
