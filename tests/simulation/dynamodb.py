"""MiniStack's DynamoDB, called in process by a real boto3 client: the adapters' own expressions decide every write."""

import json
import marshal
from collections.abc import Callable
from email.utils import formatdate
from functools import cache
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError
from ministack.services import dynamodb as ministack

from local.deploy import read_template
from tests.simulation.faults import Faults

_HANDLERS = {
    "GetItem": ministack._get_item,
    "BatchGetItem": ministack._batch_get_item,
    "Query": ministack._query,
    "PutItem": ministack._put_item,
    "UpdateItem": ministack._update_item,
    "DeleteItem": ministack._delete_item,
    "TransactWriteItems": ministack._transact_write_items,
}
_WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}
TABLES = {"messages": "MessagesTable", "contacts": "ContactsTable", "templates": "TemplatesTable"}
"""Our names of the tables, and the template's."""


Answer = tuple[int, dict[str, Any]]


class Line:
    """How the client's calls reach MiniStack: the world sets it, since calls fail and take time there."""

    call: Callable[[str, bytes], Answer]


# Two thirds of a schedule's time are MiniStack's, and a good part of that is copying and reading the same again.
ministack.copy = SimpleNamespace(deepcopy=lambda item: marshal.loads(marshal.dumps(item)))  # noqa: S302 - our own bytes
ministack._tokenize = cache(ministack._tokenize)


@cache
def client() -> Any:
    """The one boto3 client of this process: making one takes longer than a schedule."""
    made = boto3.client(
        "dynamodb",
        region_name="ap-south-1",
        aws_access_key_id="simulated",
        aws_secret_access_key="simulated",
        config=Config(parameter_validation=False, user_agent="simulated"),
    )
    made.meta.events.register("before-call.dynamodb", _answer)  # type: ignore[arg-type]  # the stubs know no answer
    return made


def _answer(model: Any, params: dict[str, Any], **_: object) -> tuple[AWSResponse, dict[str, Any]]:
    """Stands in for the network: botocore takes what a `before-call` handler returns as the service's answer."""
    status, parsed = Line.call(model.name, params["body"])
    parsed["ResponseMetadata"] = {"HTTPStatusCode": status, "HTTPHeaders": {}}
    if status >= 300:
        parsed["Error"] = {"Code": parsed["__type"].split("#")[-1], "Message": parsed.get("message", "")}
    return AWSResponse("", status, HTTPHeaders(), None), parsed


@cache
def definitions() -> dict[str, dict[str, Any]]:
    """Keys and indexes as `template.yaml` has them."""
    resources = read_template()["Resources"]
    wanted = ("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "BillingMode")
    return {
        name: {key: value for key, value in resources[resource]["Properties"].items() if key in wanted}
        for name, resource in TABLES.items()
    }


class Tables:
    """One schedule's own three tables. Small ones: MiniStack's transactions and queries slow down with size."""

    def __init__(self) -> None:
        for name, definition in definitions().items():
            if name in ministack._tables:
                ministack._delete_table({"TableName": name})
            ministack._create_table({"TableName": name, **json.loads(json.dumps(definition))})
        ministack._txn_idempotency._data.clear()

    def items(self, table: str) -> list[dict[str, Any]]:
        """Every item as it stands, in DynamoDB's own notation: for the world's and the referee's eyes only."""
        return [item for partition in ministack._tables[table]["items"].values() for item in partition.values()]

    def item(self, table: str, partition: str, sort: str) -> dict[str, Any] | None:
        """One item, likewise."""
        found: dict[str, Any] | None = ministack._tables[table]["items"].get(partition, {}).get(sort)
        return found


def apply(operation: str, request: dict[str, Any]) -> Answer:
    """One request to MiniStack, which may keep what it is given."""
    status, _, body = _HANDLERS[operation](request)
    return status, json.loads(body) if body else {}


class Wire:
    """What may befall a call on its way to DynamoDB and back, in DynamoDB's own words."""

    def __init__(self, faults: Faults, operation: str, body: bytes) -> None:
        self._faults = faults
        self._operation = operation
        self._body = body
        self._request: dict[str, Any] = json.loads(body)

    @property
    def name(self) -> str:
        """`UpdateItem messages`, for the list of calls."""
        actions = [next(iter(action.values())) for action in self._request.get("TransactItems", [])]
        tables = {action["TableName"] for action in actions} or {self._request.get("TableName", "messages")}
        return f"{self._operation} {'+'.join(sorted(tables))}"

    @property
    def is_write(self) -> bool:
        """Whether it may change something."""
        return self._operation in _WRITES

    def effect(self) -> Answer:
        """Do it. An index may lag: what it lists now and then lacks an item that is due."""
        status, answer = apply(self._operation, json.loads(self._body))
        if self._request.get("IndexName") == "due" and self._faults.rates.index_lag:
            answer["Items"] = [i for i in answer["Items"] if not self._faults.chance(self._faults.rates.index_lag)]
        return status, answer

    def lost(self) -> Answer:
        """The reply was lost: the SDK sends the same request again, with its token; now and then that is lost too."""
        again = self.effect()
        if self._faults.script is None and self._faults.chance(0.3):
            raise ReadTimeoutError(endpoint_url="https://dynamodb.simulated")
        return again

    def refused(self) -> tuple[int, dict[str, Any]]:
        """Throttled, or in conflict with another transaction: it says nothing about the condition."""
        if not self.is_write:
            return 400, {"__type": "ProvisionedThroughputExceededException", "message": "slow down"}
        if self._operation != "TransactWriteItems":
            return 400, {"__type": "TransactionConflictException", "message": "Transaction is ongoing for the item"}
        reasons = [{"Code": "None"} for _ in self._request["TransactItems"]]
        reasons[-1] = {"Code": "TransactionConflict"}
        return 400, {"__type": "TransactionCanceledException", "message": "conflict", "CancellationReasons": reasons}


def dated(now: int) -> dict[str, Any]:
    """What botocore makes of DynamoDB's `Date` header, which has whole seconds."""
    return {"ResponseMetadata": {"HTTPHeaders": {"date": formatdate(now / 1000, usegmt=True)}}}
