"""The contract: on the embedded AWS, our client does what boto3's does, call by call and for all that the stores do."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from whatsapp.adapters.aws import clients
from whatsapp.adapters.aws.event_bus import EventBridgeBus
from whatsapp.adapters.aws.json_client import SERVICES, JsonClient
from whatsapp.adapters.aws.queue import SendQueue
from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Old, Put
from whatsapp.domain.address import Address
from whatsapp.domain.events import ContactOptedIn
from whatsapp.domain.ports import InDoubt, PublishFailed, Rejected
from whatsapp.domain.sending import message

from local.aws import server_environment
from local.deploy import read_template
from tests.app import PATIENT, SETTINGS, UnitApp
from tests.product import Product

CLIENTS = {"ours": False, "boto3": True}
TABLES = {"messages": "MessagesTable", "contacts": "ContactsTable", "templates": "TemplatesTable"}

Client = Callable[[str], Any]


@pytest.fixture
def environment(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Lambda has it."""
    variables = server_environment(AWS_ENDPOINT_URL=product.stack.aws_endpoint, AWS_LAMBDA_FUNCTION_NAME="contract")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=CLIENTS)
def client(environment: None, request: pytest.FixtureRequest) -> Client:
    """Makes a client of a service, ours or boto3's."""

    def make(service: str) -> Any:
        made = clients.client(service, boto3_only=CLIENTS[request.param])
        assert isinstance(made, JsonClient) is not CLIENTS[request.param]
        return made

    return make


def tables(client: Any, name: str) -> dict[str, str]:
    """Tables of this name's own, as template.yaml has them."""
    resources = read_template()["Resources"]
    wanted = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    for kind, resource in TABLES.items():
        properties = resources[resource]["Properties"]
        definition = {key: properties[key] for key in wanted if key in properties}
        client.create_table(TableName=f"contract-{name}-{kind}", **definition)
    return {f"{kind}_table": f"contract-{name}-{kind}" for kind in TABLES}


@pytest.fixture
def db(client: Client) -> Iterator[tuple[DynamoDB, str]]:
    """DynamoDB by this client, with a table of its own."""
    made = client("dynamodb")
    names = tables(made, "db")
    yield DynamoDB(made, lambda _: None), names["messages_table"]
    for table in names.values():
        made.delete_table(TableName=table)


def key(number: int) -> dict[str, str]:
    return {"message_id": f"m{number}", "entry": "message"}


# --- DynamoDB, operation by operation ------------------------------------------------------------------------------

EVERY_KIND = {
    "text": "नमस्ते \u0000 \U0001f600 \"'\\ \n",
    "number": -(10**30),
    "yes": True,
    "no": False,
    "set": {"a", "b"},
    "map": {"inner": {"none": None, "list": [1, "two", [], {}]}},
    "empty": "",
}


def test_values_of_every_kind_come_back(db: tuple[DynamoDB, str]) -> None:
    dynamodb, table = db
    dynamodb.write(Put(table=table, item={**key(1), **EVERY_KIND, "absent": None, "none": frozenset()}))
    found = dynamodb.get(table, key(1)) or {}
    assert {name: value for name, value in found.items() if name != "write_id"} == {**key(1), **EVERY_KIND}
    assert dynamodb.get(table, key(2)) is None


def test_every_clause_of_an_update(db: tuple[DynamoDB, str]) -> None:
    dynamodb, table = db
    dynamodb.write(Put(table=table, item={**key(1), "a": 1, "b": 2, "c": {"x", "y"}, "size": "a reserved word"}))
    changed = dynamodb.write(
        Change(
            table=table,
            key=key(1),
            set={"a": None, "d": Old("b", 0), "e": Old("z", 7), "size": "other"},
            add={"c": {"z"}, "count": 2},
            condition=Attr("size").eq("a reserved word") & ~Attr("z").exists(),
        )
    )
    changed.pop("write_id")
    assert changed == {**key(1), "b": 2, "c": {"x", "y", "z"}, "count": 2, "d": 2, "e": 7, "size": "other"}
    assert dynamodb.write(Change(table=table, key=key(1), delete={"c": {"x"}}))["c"] == {"y", "z"}


HOLDS = [
    Attr("n").eq(5),
    Attr("n").lt(6) & Attr("n").lte(5) & Attr("n").gt(4) & Attr("n").gte(5),
    Attr("n").between(5, 6),
    Attr("n").is_in([1, 5]),
    Attr("text").begins_with("he"),
    Attr("text").contains("ell"),
    Attr("set").contains("a"),
    Attr("set").size().lt(3),
    Attr("n").exists() & Attr("absent").not_exists(),
    Attr("n").eq(4) | Attr("text").eq("hello"),
    ~(Attr("n").eq(4) | Attr("text").eq("other")) & (Attr("yes").eq(True) | Attr("n").eq(0)),
    Attr("list").eq([{"a": 1}]),
]


@pytest.mark.parametrize("number", range(len(HOLDS)))
def test_every_condition_and_its_opposite(db: tuple[DynamoDB, str], number: int) -> None:
    dynamodb, table = db
    item = {**key(1), "n": 5, "text": "hello", "set": {"a", "b"}, "yes": True, "list": [{"a": 1}]}
    dynamodb.write(Put(table=table, item=item))
    change = Change(table=table, key=key(1), set={"done": 1}, condition=HOLDS[number])
    assert dynamodb.write(change)["done"] == 1
    with pytest.raises(ConditionFailed) as failed:
        dynamodb.write(replace(change, condition=~HOLDS[number]))
    assert failed.value.items[0] == {**item, "done": 1, "write_id": failed.value.items[0]["write_id"]}  # type: ignore[index]  # it is there


def test_transaction_holds_or_says_which_condition_failed(db: tuple[DynamoDB, str]) -> None:
    dynamodb, table = db
    absent = Attr("message_id").not_exists()
    first, second = (Put(table=table, item={**key(n), "n": n}, condition=absent) for n in (1, 2))
    dynamodb.transact(first, second)
    with pytest.raises(ConditionFailed) as failed:
        dynamodb.transact(Put(table=table, item=key(3)), second)
    assert list(failed.value.failed) == [False, True]
    assert failed.value.items[0] is None
    assert (failed.value.items[1] or {})["n"] == 2
    assert dynamodb.get(table, key(3)) is None


def test_pages_batches_and_projections(db: tuple[DynamoDB, str]) -> None:
    dynamodb, table = db
    for number in range(120):
        due = {"due_shard": "send#1", "due_at": 1000 + number}
        dynamodb.write(Put(table=table, item={**key(number), **due, "contact_id": "c", "at": number, "text": "x" * 50}))
    assert len(dynamodb.get_many(table, [key(n) for n in range(130)])) == 120
    assert dynamodb.get_many(table, [key(7)], "message_id") == [{"message_id": "m7"}]
    span = Attr("due_shard").eq("send#1") & Attr("due_at").lte(1100)
    pages = list(dynamodb.pages(table, span, index="due", limit=40))
    assert [len(page) for page in pages if page] == [40, 40, 21]
    newest = dynamodb.query(table, Attr("contact_id").eq("c"), index="conversation", limit=2, newest_first=True)
    assert [item["message_id"] for item in newest.items] == ["m119", "m118"]
    more = dynamodb.query(
        table, Attr("contact_id").eq("c"), index="conversation", limit=1, newest_first=True, start=newest.next_key
    )
    assert [item["message_id"] for item in more.items] == ["m117"]


# --- the other services, and errors ----------------------------------------------------------------------------------


def both(environment: None, service: str, operation: str, **request: Any) -> list[Any]:
    """What each client makes of one call: the answer without what differs by nature, or the error."""
    seen: list[Any] = []
    for boto3_only in CLIENTS.values():
        made = clients.client(service, boto3_only=boto3_only)
        try:
            answer = getattr(made, operation)(**request)
        except ClientError as error:
            seen.append((error.response["Error"]["Code"], error.response["Error"]["Message"], error.operation_name))
        else:
            seen.append(
                {name: value for name, value in answer.items() if name not in {"ResponseMetadata", "MessageId"}}
            )
    return seen


@pytest.mark.parametrize(
    ("service", "operation", "request_"),
    [
        ("dynamodb", "get_item", {"TableName": "none", "Key": {"message_id": {"S": "m"}}}),
        ("dynamodb", "query", {"TableName": "none", "KeyConditionExpression": "a = :a"}),
        (
            "events",
            "put_events",
            {"Entries": [{"Source": "a", "DetailType": "b", "Detail": "{}", "EventBusName": "x"}]},
        ),
        ("secretsmanager", "get_secret_value", {"SecretId": "none"}),
        ("ssm", "get_parameter", {"Name": "/none"}),
        ("sqs", "send_message", {"QueueUrl": "http://127.0.0.1/000000000000/none", "MessageBody": "x"}),
    ],
)
def test_errors_are_boto3s(environment: None, service: str, operation: str, request_: dict[str, Any]) -> None:
    ours, theirs = both(environment, service, operation, **request_)
    if isinstance(theirs, dict) and "Entries" in theirs:
        for answer in (ours, theirs):
            [entry.pop("EventId", None) for entry in answer["Entries"]]
    assert ours == theirs


def test_secret_and_parameter_are_read(product: Product, environment: None) -> None:
    name = product.stack.aws("lambda").get_function_configuration(
        FunctionName=product.stack.outputs["WebhookFunctionName"]
    )["Environment"]["Variables"]
    secrets = both(environment, "secretsmanager", "get_secret_value", SecretId=name["TWILIO_SECRET"])
    assert secrets[0]["SecretString"] == secrets[1]["SecretString"] != ""
    parameters = both(environment, "ssm", "get_parameter", Name=name["API_URL_PARAMETER"])
    assert parameters[0]["Parameter"]["Value"] == parameters[1]["Parameter"]["Value"] == product.stack.api_url


def test_queue_and_bus(product: Product, client: Client) -> None:
    sqs, url = client("sqs"), product.stack.aws("sqs").create_queue(QueueName="contract")["QueueUrl"]
    queue = SendQueue(lambda: sqs, url, url)
    queue.nudge("one")
    queue.nudge_many([("two", 0), ("three", 0)])
    queue.enqueue({"to": "nobody"}, asked_at=1_795_000_000_000)
    assert queue.backlog() == 4
    letters = list(queue.dead_letters())
    assert {json.loads(one.body).get("message_id") for one in letters} == {"one", "two", "three", None}
    assert min(one.asked_at for one in letters) == 1_795_000_000_000
    for letter in letters:
        queue.put_back(letter.receipt_handle, 0)
    for letter in queue.dead_letters():
        queue.delete_dead_letter(letter.receipt_handle)
    assert queue.backlog() == 0
    with pytest.raises(PublishFailed):
        SendQueue(lambda: sqs, f"{url}-none", url).nudge("one")
    event = ContactOptedIn(event_id="contract", occurred_at="2026-11-23T09:00:00+05:30", message_id="m")
    EventBridgeBus(client("events"), product.stack.outputs["BusName"]).publish([event])
    product.stack.aws("sqs").delete_queue(QueueUrl=url)


def test_services_are_those_that_the_product_calls() -> None:
    assert set(SERVICES) == {"dynamodb", "events", "secretsmanager", "sqs", "ssm"}


# --- all that the stores do -----------------------------------------------------------------------------------------


def story(app: UnitApp) -> list[Any]:
    """The product's life with one patient and a few messages: what was answered, published and stored."""
    app.approve()
    app.approve("hi")
    seen: list[Any] = [app.send("accepted")]
    accepted = app.record("accepted")
    for status in ("queued", "delivered", "delivered", "read"):
        app.callback(accepted, status)
    seen += [app.send("accepted"), app.send("deferred")]
    inbound_id = app.patient_writes("hello")
    seen.append(app.send("reply", template=None, variables=None, text="Yes", in_reply_to=inbound_id))
    app.gateway.outcomes = [Rejected(63016, 400), InDoubt("no answer")]
    app.clock.sleep(4_000)
    seen += [app.send("refused"), app.send("doubt")]
    app.clock.sleep(4_000)
    seen.append(app.sweep_due(app.deadline))
    seen.append(app.cancel_message(app.record("deferred").message_id))
    for number, text in enumerate(("STOP", "START", "STOP"), start=2):
        app.clock.sleep(3_600)
        app.patient_writes(text, number)
    app.clock.sleep(3_600)
    seen.append(app.publish_waiting(app.deadline))
    app.contacts.tie(app.contact_ids.of(Address("IN.1344567890")), app.contact_ids.of(Address(PATIENT)))
    seen.append(app.raise_alerts.sweep(app.deadline))
    seen.append(app.messages.of_contact(app.contact().contact_id, 0, app.clock.now()))
    seen.append([event.detail() for event in app.bus.events])
    return seen


def stored(client: Any, table: str) -> list[dict[str, Any]]:
    """The table's items, without what is random."""
    items = client.scan(TableName=table)["Items"]
    known = [{name: value for name, value in item.items() if name != "write_id"} for item in items]
    return sorted(known, key=lambda item: json.dumps(item, sort_keys=True))


def test_a_whole_story_leaves_the_same(product: Product, environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    told, kept = [], []
    aws = product.stack.aws("dynamodb")
    for boto3_only in CLIENTS.values():
        names: Any = tables(aws, "story")
        attempts = count(1)
        monkeypatch.setattr(message, "secrets", SimpleNamespace(token_hex=lambda _, ids=attempts: f"{next(ids):012x}"))
        random.seed(1)
        told.append(repr(story(UnitApp(replace(SETTINGS, **names), clients.client("dynamodb", boto3_only=boto3_only)))))
        kept.append([stored(aws, table) for table in names.values()])
        for table in names.values():
            aws.delete_table(TableName=table)
    assert [len(items) > 1 for items in kept[0]] == [True, True, True]
    assert kept[0] == kept[1]
    assert told[0] == told[1]
