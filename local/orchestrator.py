"""The orchestrator of the local stack: the agents of `examples/orchestrator`, fed by a queue on the embedded AWS."""

import json
import threading

from botocore.exceptions import BotoCoreError, ClientError
from whatsapp.bus_events import Event, MessageReceived
from whatsapp.consumer import MemorySeen, answer_request, handle_once

from examples.orchestrator.orchestrator import answer_to
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
        self._events = client("events", aws_endpoint)
        self._send_function = outputs["SendFunctionName"]
        self._queue_url = self._subscribe(outputs["BusName"])
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orchestrator", daemon=True)
        self.events: list[Event] = []
        """Every event heard, each once, in order."""

    def __enter__(self) -> "Orchestrator":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _subscribe(self, bus: str) -> str:
        """A queue, and a rule that puts everything of ours on it."""
        url: str = self._sqs.create_queue(QueueName=QUEUE_NAME)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = json.dumps({"source": ["whatsapp"]})
        self._events.put_rule(Name=RULE_NAME, EventBusName=bus, EventPattern=pattern)
        self._events.put_targets(Rule=RULE_NAME, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
        return url

    def _run(self) -> None:
        seen = MemorySeen()
        while not self._stopping.is_set():
            try:
                self._work(seen)
            except (BotoCoreError, ClientError):
                self._stopping.wait(1)  # AWS does not answer: what was not deleted comes again

    def _work(self, seen: MemorySeen) -> None:
        answer = self._sqs.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            handle_once(json.loads(message["Body"]), self._handle, seen)
            self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])

    def _handle(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, MessageReceived) and (text := answer_to(event)):
            request = json.dumps(answer_request(event, text))
            self._lambda.invoke(FunctionName=self._send_function, Payload=request)
