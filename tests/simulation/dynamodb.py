"""DynamoDB in this process, for the product's own stores: how their requests reach it, and what befalls them."""

from collections.abc import Callable
from email.utils import formatdate
from functools import cache, lru_cache
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from local.deploy import read_template
from tests.simulation.faults import Faults
from tests.simulation.hub import MINUTE, Hub
from tests.simulation.tables import Answer, Item, Request, Table, Tables

_WRITES = {"PutItem", "UpdateItem", "TransactWriteItems"}
TABLES = {"messages": "MessagesTable", "contacts": "ContactsTable", "templates": "TemplatesTable"}
"""Our names of the tables, and the template's."""
SLOW = {"slow": 4_000, "crawling": 12_000}
"""The longest that a call is on its way in an outage of this kind, and as long on its way back."""
LONGEST_INDEX_LAG = MINUTE
SID_LAGS_OFTENER = 15
"""It is seldom asked about what is so new."""
GAVE_UP_AFTER = 0.15
"""Of the calls that fail in an outage: how many took effect, although the SDK gave up."""


class Client:
    """What the stores ask of boto3's client. `call` carries a request to DynamoDB, by its operation's name."""

    def __init__(self, call: Callable[[str, Request], Answer]) -> None:
        self._call = call

    def get_item(self, **request: Any) -> dict[str, Any]:
        return self._ask("GetItem", request)

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        return self._ask("BatchGetItem", request)

    def query(self, **request: Any) -> dict[str, Any]:
        return self._ask("Query", request)

    def put_item(self, **request: Any) -> dict[str, Any]:
        return self._ask("PutItem", request)

    def update_item(self, **request: Any) -> dict[str, Any]:
        return self._ask("UpdateItem", request)

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        return self._ask("TransactWriteItems", request)

    def _ask(self, operation: str, request: Request) -> dict[str, Any]:
        status, answer = self._call(operation, request)
        if status < 300:
            return answer
        raise ClientError({**answer, "Error": {"Code": answer["__type"], "Message": answer["message"]}}, operation)  # type: ignore[typeddict-item]  # as botocore has it


@cache
def definitions() -> dict[str, dict[str, Any]]:
    """Keys and indexes as `template.yaml` has them."""
    resources = read_template()["Resources"]
    wanted = ("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "BillingMode")
    return {
        name: {key: value for key, value in resources[resource]["Properties"].items() if key in wanted}
        for name, resource in TABLES.items()
    }


def new_tables() -> Tables:
    """Our three tables, empty."""
    return Tables({name: Table(definition) for name, definition in definitions().items()})


class Wire:
    """What may befall a call on its way to DynamoDB and back, in DynamoDB's own words."""

    def __init__(self, faults: Faults, tables: Tables, hub: Hub, operation: str, request: Request) -> None:
        self._faults = faults
        self._tables = tables
        self._hub = hub
        self._operation = operation
        self._request = request
        self._done: Answer | None = None

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
        """Do it. An index may lag: what it lists now and then lacks an item that was just written."""
        status, answer = self._done = self._tables.ask(self._operation, self._request, self._hub.now)
        if "IndexName" in self._request and self._faults.rates.index_lag:
            answer["Items"] = [item for item in answer["Items"] if not self._is_late(item)]
        return status, answer

    def _is_late(self, item: Item) -> bool:
        """Whether the index does not show an item's new entry yet. It may omit anything due: a sweep looks again."""
        rate = self._faults.rates.index_lag * (SID_LAGS_OFTENER if self._request["IndexName"] == "sid" else 1)
        if not self._faults.chance(rate):
            return False
        table, index = self._tables[self._request["TableName"]], self._request["IndexName"]
        is_new = self._hub.now - table.indexed_at.get((index, table.key_of(item)), 0) < LONGEST_INDEX_LAG
        if is_new:
            self._faults.met.add(f"index {index} late")
        return is_new or index == "due"

    def failing(self, effect: Callable[[], Answer]) -> Answer:
        """In an outage most calls fail, after the SDK's own tries; some of them have their effect all the same."""
        if self._faults.chance(0.3):
            return effect()
        if self._faults.chance(GAVE_UP_AFTER):
            effect()
            self._faults.met.add("write unheard of")
            raise ReadTimeoutError(endpoint_url="https://dynamodb.simulated")
        raise ClientError({"Error": {"Code": "InternalServerError", "Message": "simulated"}}, self._operation)

    def lost(self) -> Answer:
        """The reply was lost: the SDK sends the same request again; now and then that is lost too.

        A transaction bears a token, so that the second request does nothing more.
        """
        is_done = self._operation == "TransactWriteItems" and self._done and self._done[0] == 200
        again = self._done if is_done and self._done else self.effect()
        if self._faults.script is None and self._faults.chance(0.3):
            if self.is_write:
                self._faults.met.add("write unheard of")
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
    return {"ResponseMetadata": {"HTTPHeaders": {"date": _date(now // 1000)}}}


@lru_cache(maxsize=64)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
