"""The orchestrator of the local stack: the agents of `examples/orchestrator`, fed by a queue on the embedded AWS."""

import json
import threading
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from whatsapp.bus_events import Event, MessageReceived
from whatsapp.consumer import MemorySeen, answer_request, handle_once

from examples.orchestrator.orchestrator import answer_to
from local.aws import client
from local.bus import subscribe, take

QUEUE_NAME = "orchestrator"


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
        events = client("events", aws_endpoint)
        self._queue_url, _ = subscribe(self._sqs, events, outputs["BusName"], QUEUE_NAME)
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

    def _run(self) -> None:
        seen = MemorySeen()

        def act(event: dict[str, Any]) -> bool:
            handle_once(event, self._handle, seen)
            return True

        while not self._stopping.is_set():
            try:
                take(self._sqs, self._queue_url, act)
            except (BotoCoreError, ClientError):
                self._stopping.wait(1)  # AWS does not answer: what was not deleted comes again

    def _handle(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, MessageReceived) and (text := answer_to(event)):
            request = json.dumps(answer_request(event, text))
            self._lambda.invoke(FunctionName=self._send_function, Payload=request)
