"""What a call of DynamoDB consumes, by its own rules: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html"""

from math import ceil
from typing import Any, NamedTuple

from ministack.services import dynamodb as ministack

from tests import ministack_tables

READS = frozenset({"GetItem", "BatchGetItem", "Query"})


class Consumed(NamedTuple):
    """Request units."""

    read: float
    write: float


def apply(operation: str, request: dict[str, Any]) -> tuple[tuple[int, dict[str, Any]], Consumed]:
    """One request to the embedded DynamoDB: its answer, and what it consumed, indexes included."""
    status, answer = ministack_tables.ask(operation, request | {"ReturnConsumedCapacity": "INDEXES"})
    consumed = answer.pop("ConsumedCapacity", [])
    units = sum(one["CapacityUnits"] for one in (consumed if isinstance(consumed, list) else [consumed]))
    if operation == "BatchGetItem":  # the embedded one does not say
        units = sum(_read(table, asked) for table, asked in request["RequestItems"].items())
    if operation in READS:
        return (status, answer), Consumed(units, 0)
    return (status, answer), Consumed(0, units if status == 200 else 1)  # a write that does not hold is paid for too


def _read(table: str, asked: dict[str, Any]) -> float:
    share = 1 if asked.get("ConsistentRead") else 0.5
    return sum(share * max(1, ceil(_size(table, key) / 4096)) for key in asked["Keys"])


def _size(table: str, key: dict[str, Any]) -> int:
    partition, sort = ([*(next(iter(value.values())) for value in key.values()), None])[:2]
    item = ministack._tables[table]["items"].get(partition, {}).get(sort)
    return ministack._item_size_bytes(item) if item else 0
