"""What a call of DynamoDB consumes, by its own rules: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html"""

from dataclasses import dataclass
from math import ceil
from typing import Any

from ministack.services import dynamodb as ministack

from tests import ministack_tables

READS = frozenset({"GetItem", "BatchGetItem", "Query"})


@dataclass(frozen=True, slots=True)
class Consumed:
    """Request units."""

    read: float = 0
    write: float = 0
    """Of the tables."""
    index: float = 0
    """Writes of the indexes."""


def apply(operation: str, request: dict[str, Any]) -> tuple[tuple[int, dict[str, Any]], Consumed]:
    """One request to the embedded DynamoDB: its answer, and what it consumed, indexes included."""
    status, answer = ministack_tables.ask(operation, request | {"ReturnConsumedCapacity": "INDEXES"})
    said = answer.pop("ConsumedCapacity", [])
    tables = said if isinstance(said, list) else [said]
    units = sum(table["CapacityUnits"] for table in tables)
    if operation == "BatchGetItem":  # the embedded one does not say
        units = sum(_read(table, asked) for table, asked in request["RequestItems"].items())
    if operation in READS:
        return (status, answer), Consumed(read=units)
    if status != 200:
        return (status, answer), Consumed(write=1)  # a write that does not hold is paid for too
    index = sum(one["CapacityUnits"] for table in tables for one in table.get("GlobalSecondaryIndexes", {}).values())
    return (status, answer), Consumed(write=units - index, index=index)


def _read(table: str, asked: dict[str, Any]) -> float:
    share = 1 if asked.get("ConsistentRead") else 0.5
    return sum(share * max(1, ceil(_size(table, key) / 4096)) for key in asked["Keys"])


def _size(table: str, key: dict[str, Any]) -> int:
    partition, sort = ([*(next(iter(value.values())) for value in key.values()), None])[:2]
    item = ministack._tables[table]["items"].get(partition, {}).get(sort)
    return ministack._item_size_bytes(item) if item else 0
