"""The whole product on the embedded stack, as a test holds it: real HTTP in, ledger, bus and alerts out."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx
from jsonschema import Draft202012Validator

from local.http import ONE_EACH, SignedHttp
from local.stack import Stack
from tools.schemas import schemas

PATIENCE_S = 60.0
"""How long a test waits for what comes by itself: the machine may be busy with other things."""

VARIABLES = {"patient_name": "Asha", "session_time": "2099-11-24T17:30:00+05:30", "therapist_name": "Dr. Rao"}
REMINDER = {"template": "session_reminder", "variables": VARIABLES}

T = TypeVar("T")

_SCHEMAS = {name.removesuffix(".json"): Draft202012Validator(schema) for name, schema in schemas().items()}


def eventually(look: Callable[[], T | Literal[False] | None], seconds: float = PATIENCE_S) -> T:
    """Look until there is something to see.

    Raises:
        AssertionError: there never was.
    """
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain"
        time.sleep(0.05)
    return seen


class Inbox:
    """An SQS queue of the test's own that collects what the product says."""

    def __init__(self, sqs: Any, name: str) -> None:
        self._sqs = sqs
        services = {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}
        policy = {
            "Statement": [{"Effect": "Allow", "Principal": services, "Action": "sqs:SendMessage", "Resource": "*"}]
        }
        self.url: str = sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps(policy)})["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        self.arn: str = attributes["Attributes"]["QueueArn"]
        self._seen: list[dict[str, Any]] = []

    def messages(self) -> list[dict[str, Any]]:
        """Every message that ever came, as JSON."""
        while batch := self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                self._seen.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return self._seen


class Product:
    """One running stack with its catalog approved. Tests share it: each writes to patients of its own.

    Every answer and event that passes through here is held against its JSON Schema.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.http = httpx.Client(trust_env=False, timeout=PATIENCE_S, limits=ONE_EACH)
        self._api = SignedHttp(stack.api_url)
        self._patients = count(10_000_001)
        self.bus = Inbox(stack.aws("sqs"), "test-bus")
        self.topic = Inbox(stack.aws("sqs"), "test-alerts")
        self._listen()

    def _listen(self) -> None:
        events, bus = self.stack.aws("events"), self.stack.outputs["BusName"]
        pattern = json.dumps({"source": ["whatsapp"]})
        events.put_rule(Name="test-everything", EventBusName=bus, EventPattern=pattern)
        events.put_targets(Rule="test-everything", EventBusName=bus, Targets=[{"Id": "test", "Arn": self.bus.arn}])
        topic = self.stack.outputs["AlertTopicArn"]
        self.stack.aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self.topic.arn)

    # --- the orchestrator's side ----------------------------------------------------------------------------------

    def new_patient(self) -> str:
        """The number of somebody nobody wrote to yet."""
        return f"+9198{next(self._patients)}"

    def send(self, **request: Any) -> dict[str, Any]:
        """Direct invoke of the send function."""
        answer: dict[str, Any] = self.stack.invoke("SendFunctionName", request)
        _SCHEMAS["SendAnswer"].validate(answer)
        return answer

    def remind(self, to: str, **more: Any) -> dict[str, Any]:
        """Send a session reminder, which is proactive."""
        return self.send(to=to, **REMINDER, **more)

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """A signed call to our HTTP API."""
        answer = self._api.request(method, path, body)
        if path.startswith("/messages") and "message_id" in answer.text:
            _SCHEMAS["SendAnswer"].validate(answer.json())
        return answer

    def record(self, message_id: str | None) -> dict[str, Any]:
        """`GET /messages/{message_id}`."""
        answer = self.api("GET", f"/messages/{message_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def when(self, message_id: str | None, *statuses: str) -> dict[str, Any]:
        """The record, once it has one of these statuses."""
        return eventually(lambda: (found := self.record(message_id))["status"] in statuses and found)

    def enqueue(self, body: object) -> str:
        """Put a request on the send queue; SQS's id of it."""
        text = body if isinstance(body, str) else json.dumps(body)
        queued = self.stack.aws("sqs").send_message(QueueUrl=self.stack.outputs["SendQueueUrl"], MessageBody=text)
        return str(queued["MessageId"])

    def twilio_answers(self) -> None:
        """Forget POSTs that Twilio did not answer: after three in a row nothing is posted for a minute."""
        key = {"message_id": {"S": "sender"}, "entry": {"S": "sender"}}
        self.stack.aws("dynamodb").delete_item(TableName=self.stack.outputs["MessagesTableName"], Key=key)

    def sweep(self) -> None:
        """Do now what the schedule does every minute."""
        self.stack.invoke("SendFunctionName", {"task": "sweep"})

    def contact(self, contact_id: str) -> dict[str, Any]:
        """The contact's row as it is stored."""
        table = self.stack.outputs["ContactsTableName"]
        item = self.stack.aws("dynamodb").get_item(TableName=table, Key={"contact_id": {"S": contact_id}})
        return {name: next(iter(value.values())) for name, value in item.get("Item", {}).items()}

    def events(self, **having: Any) -> list[dict[str, Any]]:
        """What was published on the bus, whose `detail` has these values."""
        found = [e for e in self.bus.messages() if all(e["detail"].get(k) == v for k, v in having.items())]
        for event in found:
            _SCHEMAS[event["detail-type"]].validate(event["detail"])
        return found

    def alerts(self, message_id: str | None) -> list[str]:
        """The alerts that name this message."""
        return [a["Message"] for a in self.topic.messages() if str(message_id) in a["Message"]]

    def dead_letters(self) -> list[str]:
        """The bodies in the dead-letter queue; they stay there."""
        sqs, url = self.stack.aws("sqs"), self.stack.outputs["SendDeadLetterQueueUrl"]
        found: dict[str, str] = {}
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=30).get("Messages"):
            found |= {letter["ReceiptHandle"]: letter["Body"] for letter in batch}
        for handle in found:
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
        return list(found.values())

    # --- Twilio's and the patient's side --------------------------------------------------------------------------

    def twilio(self, control: str, body: object = None, method: str | None = None) -> Any:
        """Use a control of the emulated Twilio: GET without a body, POST with one."""
        verb = method or ("GET" if body is None else "POST")
        answer = self.http.request(verb, f"{self.stack.twilio_url}/_emulator/{control}", json=body)
        assert answer.status_code < 400, answer.text
        return answer.json()

    def ledger(self, to: str) -> list[dict[str, Any]]:
        """What Twilio accepted for this patient: the referee."""
        messages = self.twilio("ledger")["messages"]
        return [m for m in messages if m["to"] == f"whatsapp:{to}" and m["direction"] != "inbound"]

    def fault(self, kind: str, to: str, **more: Any) -> None:
        """Have what concerns this patient go wrong."""
        self.twilio("faults", {"kind": kind, "match": {"to": to}, **more})

    def write(self, from_: str, body: str, **more: Any) -> dict[str, Any]:
        """The patient writes: Twilio calls our webhook. Returns what it answered."""
        report: dict[str, Any] = self.twilio("inbound", {"from": from_, "body": body, **more})
        return report


@contextmanager
def running(directory: Path) -> Iterator[Product]:
    """A stack of one's own, with its catalog approved."""
    with Stack(directory) as stack:
        stack.sync_templates()
        product = Product(stack)
        with product.http:
            yield product
