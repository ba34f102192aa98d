"""The bus, the queue and the alert topic: what they get, and that a refusal never counts as success."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from whatsapp.adapters.aws.alerts import Place, SnsAlerts, text_about, text_about_incident
from whatsapp.adapters.aws.event_bus import EventBridgeBus
from whatsapp.adapters.aws.queue import SendQueue
from whatsapp.domain.errors import Failure, MessagingError
from whatsapp.domain.events import ContactOptedOut, Event
from whatsapp.domain.incident import Incident
from whatsapp.domain.periods import DAY
from whatsapp.domain.ports import PublishFailed
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.twilio_codes import row_for

from local.aws import REGION
from tests.fakes import NOON, FrozenClock

PLACE = Place(stack="whatsapp", stage="prod", region="ap-south-1", runbook_url="https://clinic.example/operations.md")
WHERE = [
    "Where:    stack whatsapp, stage prod, ap-south-1",
    "When:     2026-11-24T12:30:00+05:30",
    "Runbook:  https://clinic.example/operations.md#alerts-about-messages",
]
NOTHING = Failure(code="none", detail="none")
TO_DO_ABOUT_THE_ACCOUNT = (
    "Repair the account or its settings (docs/codes.md), then redrive the dead-letter queue. If it does not list this "
    "message, Twilio had accepted it before it failed: send it with a new idempotency_key, or phone the patient."
)
EVENT = ContactOptedOut(event_id="SM1#opted_out", occurred_at="2026-11-24T12:30:00+05:30", message_id="SM1")
FAILED = Message(
    message_id="m1",
    contact_id="c1",
    to="+919812345678",
    request_hash="h",
    created_at=NOON,
    status=Status.FAILED,
    template="session_reminder",
    variables={"patient_name": "Asha"},
    text="Hello Asha, a gentle reminder",
    user_id="user-42",
    agent="reminders",
    attempts=3,
    error=Failure(code="account_problem", detail="the account is not active", twilio_code=20005, retryable=True),
)


class Client:
    """A boto3 client that answers the one call it is given."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.asked: list[dict[str, Any]] = []

    def __getattr__(self, _operation: str) -> Any:
        def call(**request: Any) -> Any:
            self.asked.append(request)
            if isinstance(self._answer, Exception):
                raise self._answer
            return self._answer

        return call


DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "for +919812345678"}}, "Put")
GONE = EndpointConnectionError(endpoint_url="https://aws")


# --- the bus -----------------------------------------------------------------------------------------------------


def test_event_as_the_bus_takes_it() -> None:
    client = Client({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})
    EventBridgeBus(client, "bus").publish([EVENT])  # type: ignore[arg-type]  # a stand-in
    ((entry,),) = [asked["Entries"] for asked in client.asked]
    assert (entry["Source"], entry["DetailType"], entry["EventBusName"]) == ("whatsapp", "contact.opted_out", "bus")
    assert json.loads(entry["Detail"]) == EVENT.detail()


def test_a_200_with_failed_entries_is_no_success() -> None:
    entries = [{"EventId": "1"}, {"ErrorCode": "ThrottlingException", "ErrorMessage": "for +919812345678"}]
    bus = EventBridgeBus(Client({"FailedEntryCount": 1, "Entries": entries}), "bus")  # type: ignore[arg-type]  # as above
    with pytest.raises(PublishFailed, match="did not take 1 of 2 events: ThrottlingException") as raised:
        bus.publish([EVENT, EVENT])
    assert "98123" not in str(raised.value)


class SlowBus:
    """EventBridge, whose first call takes as long as `go` is not set. It refuses what says so."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.is_called, self.go = threading.Event(), threading.Event()
        self.is_down = False

    def put_events(self, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803 - boto3's own spelling
        self.calls.append(len(Entries))
        self.is_called.set()
        self.go.wait(5)
        if self.is_down:
            raise GONE
        refused = ["refused" in entry["Detail"] for entry in Entries]
        return {"Entries": [{"ErrorCode": "NoPermission"} if no else {"EventId": "1"} for no in refused]}


def published_together(aws: SlowBus, *more: Event) -> list[str]:
    """What became of events that threads publish while the call of one before them is on its way."""
    bus = EventBridgeBus(aws, "bus")  # type: ignore[arg-type]  # a stand-in

    def publish(event: Event) -> str:
        try:
            bus.publish([event])
        except PublishFailed as failed:
            return str(failed)
        return ""

    with ThreadPoolExecutor(1 + len(more)) as threads:
        first = threads.submit(publish, EVENT)
        aws.is_called.wait(5)
        others = [threads.submit(publish, event) for event in more]
        while len(bus._waiting) < 1 + len(more):
            time.sleep(0.001)
        aws.go.set()
        return [first.result(5), *(other.result(5) for other in others)]


def test_what_is_published_meanwhile_goes_with_the_next_call() -> None:
    aws = SlowBus()
    refused = replace(EVENT, event_id="refused")
    failed = published_together(aws, *[EVENT] * 5, refused, *[EVENT] * 6)
    assert aws.calls == [1, 10, 2]  # ten is what one call takes
    assert [("NoPermission" in one) for one in failed] == [False] * 6 + [True] + [False] * 6


def test_nobody_waits_behind_a_bus_that_does_not_answer() -> None:
    aws = SlowBus()
    aws.is_down = True
    failed = published_together(aws, *[EVENT] * 12)
    assert aws.calls == [1]
    assert all("no answer (EndpointConnectionError)" in one for one in failed)


# --- the queue ---------------------------------------------------------------------------------------------------


@pytest.fixture
def sqs(account: None) -> Any:
    return boto3.client("sqs", region_name=REGION)


@pytest.fixture
def queue(sqs: Any) -> SendQueue:
    urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("send", "dead")]
    return SendQueue(lambda: sqs, *urls)


def bodies(sqs: Any, queue_name: str) -> list[Any]:
    url = sqs.get_queue_url(QueueName=queue_name)["QueueUrl"]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in found:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(message["Body"]) for message in found]


def test_nudge_bears_an_id_and_nothing_else(sqs: Any, queue: SendQueue) -> None:
    queue.nudge("m1")
    assert bodies(sqs, "send") == [{"message_id": "m1"}]


def test_delay_is_what_sqs_can_do() -> None:
    client = Client({})
    SendQueue(lambda: client, "send", "dead").nudge("m1", 3600)  # type: ignore[arg-type, return-value]  # as above
    assert client.asked[0]["DelaySeconds"] == 900


def test_many_nudges_are_one_call(sqs: Any, queue: SendQueue) -> None:
    queue.nudge_many([(f"m{n}", 0) for n in range(10)])
    found = [body for _ in range(3) for body in bodies(sqs, "send")]
    assert sorted(body["message_id"] for body in found) == sorted(f"m{n}" for n in range(10))


def test_nudges_bear_their_delays() -> None:
    client = Client({})
    SendQueue(lambda: client, "send", "dead").nudge_many([("m1", 0), ("m2", 59)])  # type: ignore[arg-type, return-value]  # as above
    assert [entry["DelaySeconds"] for entry in client.asked[0]["Entries"]] == [0, 59]


def test_nudge_that_is_not_taken_is_told() -> None:
    client = Client({"Failed": [{"Id": "1"}]})
    queue = SendQueue(lambda: client, "send", "dead")  # type: ignore[arg-type, return-value]  # as above
    with pytest.raises(PublishFailed, match="did not take 1 of 2"):
        queue.nudge_many([("m1", 0), ("m2", 0)])


def test_backlog_is_what_waits_in_the_queue(sqs: Any, queue: SendQueue) -> None:
    assert queue.backlog() == 0
    queue.nudge_many([("m1", 0), ("m2", 60)])
    assert queue.backlog() == 2


def test_dead_letter_says_why_and_names_nobody(sqs: Any, queue: SendQueue) -> None:
    queue.dead_letter(FAILED)
    (letter,) = bodies(sqs, "dead")
    assert letter == {
        "message_id": "m1",
        "contact_id": "c1",
        "attempts": 3,
        "error": {"code": "account_problem", "twilio_code": 20005, "detail": "the account is not active"},
    }


def test_unreadable_is_kept_whole_for_its_sender(sqs: Any, queue: SendQueue) -> None:
    queue.dead_letter_unreadable('{"to": ', "q1", MessagingError("invalid_request", "not JSON"))
    why = {"code": "invalid_request", "detail": "not JSON"}
    assert bodies(sqs, "dead") == [{"poison": '{"to": ', "queue_message_id": "q1", "error": why}]


def test_a_dead_letter_keeps_the_time_at_which_it_was_asked_for(queue: SendQueue) -> None:
    """An erasure deletes what was asked for before it, however late it is written down."""
    long_ago, error = 1_700_000_000_000, MessagingError("invalid_request", "not JSON")
    queue.dead_letter_unreadable("{", "q1", error, asked_at=long_ago)
    queue.dead_letter_unreadable("[", "q2", error)
    old, new = sorted(letter.asked_at for letter in queue.dead_letters())
    assert old == long_ago
    assert new > long_ago + DAY


@pytest.mark.parametrize("error", [DENIED, GONE])
def test_queue_that_takes_nothing(error: Exception) -> None:
    queue = SendQueue(lambda: Client(error), "send", "dead")  # type: ignore[arg-type, return-value]  # as above
    calls: list[Callable[[], object]] = [
        lambda: queue.nudge("m1"),
        lambda: queue.nudge_many([("m1", 0)]),
        queue.backlog,
        lambda: queue.dead_letter(FAILED),
        lambda: queue.put_back("r", 5),
    ]
    for call in calls:
        with pytest.raises(PublishFailed) as raised:
            call()
        assert "98123" not in str(raised.value)


# --- the alert topic ---------------------------------------------------------------------------------------------


def test_alert_says_what_whom_why_and_what_to_do() -> None:
    text = text_about(FAILED)
    for said in (
        "session_reminder is failed",
        "+91••••5678 (contact c1)",
        "account_problem, Twilio code 20005: the account is not active",
        "Attempts: 3",
        "Message:  m1",
        "redrive the dead-letter queue",
    ):
        assert said in text


@pytest.mark.parametrize("personal", ["+919812345678", "Asha", "gentle", "user-42"])
def test_alert_says_nothing_personal(personal: str) -> None:
    assert personal not in text_about(FAILED)


def test_alert_about_doubt_says_how_to_end_it() -> None:
    text = text_about(replace(FAILED, status=Status.UNRESOLVED))
    assert "is unknown" in text
    assert "new idempotency_key" in text


def test_alert_about_doubt_that_is_resent_asks_nobody_to_send_it_anew() -> None:
    text = text_about(replace(FAILED, status=Status.UNRESOLVED, on_unknown="resend"))
    assert "sent anew by itself" in text
    assert "DELETE /messages/m1" in text
    assert "new idempotency_key" not in text.replace("\n", " ")


@pytest.mark.parametrize(
    ("code", "whom"), [(20003, "whoever is on call"), (63041, "word the templates"), (21617, "developers")]
)
def test_alert_says_whom_it_concerns(code: int, whom: str) -> None:
    row = row_for(code)
    failed = replace(FAILED, error=Failure(code=row.error, detail=row.meaning, twilio_code=code))
    assert whom in next(line for line in text_about(failed).splitlines() if line.startswith("For:"))


def test_alert_about_an_erased_person() -> None:
    assert "To:       erased" in text_about(replace(FAILED, to=""))


def test_alerts_reach_the_topic(sqs: Any) -> None:
    sns = boto3.client("sns", region_name=REGION)
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    url = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    alerts = SnsAlerts(lambda: sns, topic, PLACE, FrozenClock())
    alerts.about(FAILED)
    alerts.unreadable("q1", MessagingError("invalid_request", "not JSON"))
    alerts.about_incident(Incident(state="failed", failure=FAILED.error or NOTHING, ids=frozenset({"m2", "m1"})))
    first, second, third = bodies(sqs, "subscriber")
    assert first["Subject"] == "PAGE prod: WhatsApp session_reminder failed"
    assert first["Message"].splitlines() == [*text_about(FAILED).splitlines(), *WHERE]
    assert second["Subject"] == "LOOK prod: WhatsApp request unreadable"
    assert "invalid_request: not JSON" in second["Message"]
    assert third["Subject"] == "PAGE prod: WhatsApp: 2 failed"
    assert third["Message"].splitlines() == [
        "What:     2 failed, of one cause, since the last alert about it",
        "Why:      account_problem, Twilio code 20005: the account is not active",
        "For:      whoever is on call",
        f"To do:    {TO_DO_ABOUT_THE_ACCOUNT}",
        "Id:       m1",
        "Id:       m2",
        *WHERE,
    ]


def test_an_alert_about_very_many_names_the_first() -> None:
    incident = Incident(state="failed", failure=NOTHING, ids=frozenset(f"m{number:03}" for number in range(200)))
    lines = text_about_incident(incident).splitlines()
    assert (lines[0], lines[-2:]) == (
        "What:     200 failed, of one cause, since the last alert about it",
        ["Id:       m019", "          and 180 more"],
    )


@pytest.mark.parametrize(
    ("state", "code", "to_do"),
    [
        ("unknown", "twilio_unavailable", "Look in Twilio's console whether the message went out."),
        ("unreadable", "invalid_request", "Its sender has to correct it and send it again."),
        ("failed", "no such code", "docs/codes.md"),
    ],
)
def test_an_alert_about_many_says_what_to_do(state: str, code: str, to_do: str) -> None:
    incident = Incident(state=state, failure=Failure(code=code, detail="why"), ids=frozenset({"m1"}), is_longer=True)
    text = text_about_incident(incident)
    assert f"1 or more {state}" in text
    assert to_do in text


@pytest.mark.parametrize("error", [DENIED, GONE])
def test_topic_that_takes_nothing(error: Exception) -> None:
    alerts = SnsAlerts(lambda: Client(error), "topic", PLACE, FrozenClock())  # type: ignore[arg-type, return-value]  # as above
    with pytest.raises(PublishFailed) as raised:
        alerts.about(FAILED)
    assert "98123" not in str(raised.value)
