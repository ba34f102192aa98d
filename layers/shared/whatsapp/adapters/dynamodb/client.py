"""DynamoDB as the stores use it: conditional changes, small transactions, and the two traps handled once.

* **Was it me?** The SDK retries a write whose answer was lost; the retry then fails its own condition. Every write
  carries a random `write_id`; a failed condition whose old item shows it counts as success.
* **Conflict means try again.** `TransactionConflict` and throttling say nothing about the condition.
"""

import random
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from whatsapp.adapters.dynamodb.notation import Attr, Condition, Item, Names, dump, load
from whatsapp.domain.dataclass import dataclass

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_CONFLICTS = frozenset(
    {
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
        "ThrottlingError",
        "ThrottlingException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
    }
)
_CONFLICT_TRIES = 5

_T = TypeVar("_T")


class ConditionFailed(Exception):
    """The condition did not hold. `items`: the old items, in the changes' order; None where it held or none is."""

    def __init__(self, items: Sequence[Item | None], failed: Sequence[bool]) -> None:
        super().__init__("a DynamoDB condition did not hold")
        self.items = items
        self.failed = failed


class Contention(Exception):
    """DynamoDB kept answering conflict or throttle: nothing is known about the condition. As after a lost reply."""


@dataclass(frozen=True, slots=True)
class Old:
    """In `Change.set`: the old value of an attribute, or a default where it has none."""

    attribute: str
    default: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An update of one item. A value of None removes the attribute."""

    table: str
    key: Mapping[str, str]
    condition: Condition | None = None
    set: Mapping[str, Any] = field(default_factory=dict)
    add: Mapping[str, Any] = field(default_factory=dict)
    delete: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """A whole item, usually on the condition that there is none."""

    table: str
    item: Item
    condition: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a query, and where the next begins."""

    items: list[Item]
    next_key: Item | None


def absent_or(name: str, condition: Condition) -> Condition:
    """The attribute is not there, or the condition on it holds."""
    return Attr(name).not_exists() | condition


def same(name: str, value: Any) -> Condition:
    """The attribute has that value; None: it is not there."""
    return Attr(name).not_exists() if value is None else Attr(name).eq(value)


class DynamoDB:
    """Tables by name, items as plain Python values (numbers are ints)."""

    def __init__(self, client: "DynamoDBClient", sleep: Callable[[float], None]) -> None:
        self._client = client
        self._sleep = sleep

    def get(self, table: str, key: Mapping[str, str]) -> Item | None:
        """One item, read consistently."""
        answer = self._retrying(lambda: self._client.get_item(TableName=table, Key=dump(key), ConsistentRead=True))
        return load(answer["Item"]) if "Item" in answer else None

    def get_many(self, table: str, keys: Sequence[Mapping[str, str]], *attributes: str) -> list[Item]:
        """Items by key, in no order; those that are not there are left out.

        With `attributes`, only these of each item, and not consistently: half the cost, and a moment late.
        """
        how: dict[str, Any] = {"ConsistentRead": not attributes}
        if attributes:
            names = {f"#{n}": attribute for n, attribute in enumerate(attributes)}
            how |= {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
        items: list[Item] = []
        for start in range(0, len(keys), 100):
            found = self._batch({table: {"Keys": [dump(key) for key in keys[start : start + 100]], **how}})
            items += [item for _, item in found]
        return items

    def get_each(self, wanted: Mapping[str, tuple[str, Mapping[str, str]]], *, late: str = "") -> dict[str, Item]:
        """Up to a hundred items of any tables in one call, read consistently: those that are there, by their names.

        `wanted`: table and key by name. `late`: a table that may be read a moment late, at half the cost.
        """
        request: dict[str, Any] = {}
        for table, key in wanted.values():
            request.setdefault(table, {"Keys": [], "ConsistentRead": table != late})["Keys"].append(dump(key))
        found = list(self._batch(request))
        return {
            name: item
            for name, (table, key) in wanted.items()
            for in_table, item in found
            if in_table == table and key.items() <= item.items()
        }

    def _batch(self, request: Any) -> Iterator[tuple[str, Item]]:
        """What is there of up to a hundred keys, with its table."""
        while request:
            answer = self._retrying(partial(self._client.batch_get_item, RequestItems=request))
            for table, items in answer["Responses"].items():
                yield from ((table, load(item)) for item in items)
            if request := answer.get("UnprocessedKeys"):  # throttled: AWS asks for a pause
                self._sleep(random.uniform(0.05, 0.2))  # noqa: S311 - jitter, not a secret

    def query(
        self,
        table: str,
        condition: Condition,
        *,
        index: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
        start: Item | None = None,
    ) -> Page:
        """One page of a query, oldest first unless asked otherwise."""
        names = Names()
        request: dict[str, Any] = {
            "TableName": table,
            "KeyConditionExpression": condition.written(names),
            "Limit": limit,
            "ScanIndexForward": not newest_first,
            **names.request(),
        }
        if index:
            request["IndexName"] = index
        else:
            request["ConsistentRead"] = True
        if start:
            request["ExclusiveStartKey"] = dump(start)
        answer = self._retrying(lambda: self._client.query(**request))
        last = answer.get("LastEvaluatedKey")
        return Page(items=[load(item) for item in answer["Items"]], next_key=load(last) if last else None)

    def query_all(
        self, table: str, condition: Condition, *, index: str | None = None, newest_first: bool = False
    ) -> Iterator[Item]:
        """Every item of a query, a thousand a page, read as they are asked for."""
        return chain.from_iterable(self.pages(table, condition, index=index, newest_first=newest_first, limit=1_000))

    def pages(
        self,
        table: str,
        condition: Condition,
        *,
        index: str | None = None,
        newest_first: bool = False,
        limit: int = 100,
    ) -> Iterator[list[Item]]:
        """Every page of a query, each read when it is asked for."""
        start: Item | None = None
        while True:
            page = self.query(table, condition, index=index, newest_first=newest_first, start=start, limit=limit)
            yield page.items
            if not (start := page.next_key):
                return

    def write(self, change: Change | Put) -> Item:
        """Make one conditional write and return the item as it is now.

        Raises:
            ConditionFailed: with the old item.
            Contention: DynamoDB would not say.
        """
        write_id = secrets.token_hex(6)
        request = _request(change, write_id)
        try:
            if isinstance(change, Put):
                self._retrying(lambda: self._client.put_item(**request))
                return {**change.item, "write_id": write_id}
            answer = self._retrying(lambda: self._client.update_item(**request, ReturnValues="ALL_NEW"))
            return load(answer["Attributes"])
        except ClientError as error:
            if _code(error) != "ConditionalCheckFailedException":
                raise
            old = load(error.response["Item"]) if "Item" in error.response else None  # type: ignore[typeddict-item] # ALL_OLD puts it there
            if old and old.get("write_id") == write_id:
                return old
            raise ConditionFailed([old], [True]) from None

    def transact(self, *changes: Change | Put) -> None:
        """Make all of these writes or none.

        Raises:
            ConditionFailed: with the old items of those whose condition failed.
            Contention: DynamoDB would not say.
        """
        write_id = secrets.token_hex(6)
        actions = [{"Put" if isinstance(c, Put) else "Update": _request(c, write_id)} for c in changes]
        try:
            # The SDK's own retries bear one ClientRequestToken, so a lost answer is no second transaction.
            self._retrying(lambda: self._client.transact_write_items(TransactItems=actions))  # type: ignore[arg-type] # built above
        except ClientError as error:
            if _code(error) != "TransactionCanceledException":
                raise
            reasons: list[Any] = error.response.get("CancellationReasons", [])
            failed = [reason.get("Code") == "ConditionalCheckFailed" for reason in reasons]
            items = [load(reason["Item"]) if reason.get("Item") else None for reason in reasons]
            if any(item and item.get("write_id") == write_id for item in items):
                return
            raise ConditionFailed(items, failed) from None

    def _retrying(self, call: Callable[[], _T]) -> _T:
        for attempt in range(_CONFLICT_TRIES):
            try:
                return call()
            except ClientError as error:
                if not _is_conflict(error):
                    raise
                self._sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - jitter, not a secret
        raise Contention("DynamoDB kept answering conflict or throttle")


def _is_conflict(error: ClientError) -> bool:
    if _code(error) in _CONFLICTS:
        return True
    reasons: list[Any] = error.response.get("CancellationReasons", [])
    codes = {reason.get("Code") for reason in reasons}
    return bool(codes & _CONFLICTS) and "ConditionalCheckFailed" not in codes


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _request(change: Change | Put, write_id: str) -> dict[str, Any]:
    names = Names()
    request: dict[str, Any] = {"TableName": change.table, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    if isinstance(change, Put):
        request["Item"] = dump({**change.item, "write_id": write_id})
    else:
        request["Key"] = dump(change.key)
        request["UpdateExpression"] = _update_expression(change, write_id, names)
    if change.condition is not None:
        request["ConditionExpression"] = change.condition.written(names)
    return request | names.request()


def _update_expression(change: Change, write_id: str, names: Names) -> str:
    clauses: dict[str, list[str]] = {"SET": [], "REMOVE": [], "ADD": [], "DELETE": []}
    for attribute, content in {**change.set, "write_id": write_id}.items():
        name = names.of(attribute)
        if content is None or content == frozenset():
            clauses["REMOVE"].append(name)
        elif isinstance(content, Old):
            old = f"if_not_exists({names.of(content.attribute)}, {names.value(content.default)})"
            clauses["SET"].append(f"{name} = {old}")
        else:
            clauses["SET"].append(f"{name} = {names.value(content)}")
    for verb, parts in (("ADD", change.add), ("DELETE", change.delete)):
        clauses[verb] += [f"{names.of(attribute)} {names.value(content)}" for attribute, content in parts.items()]
    return " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts)


__all__ = [
    "Attr",
    "Change",
    "ConditionFailed",
    "Contention",
    "DynamoDB",
    "Item",
    "Old",
    "Page",
    "Put",
    "absent_or",
]
