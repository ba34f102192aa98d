"""What the product's writes cost: DynamoDB's write units, counted from the items before and after each write.

A write costs a unit for each started kilobyte of the item, twice that in a transaction; and in each index one for an
entry that appears or disappears, two for one whose keys change (DynamoDB's guide, "Global secondary indexes").
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from local.deploy import read_template

Item = dict[str, Any]


@dataclass
class Units:
    """What was written meanwhile."""

    client: Any
    table: int = 0
    index: int = 0
    calls: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.table + self.index


@contextmanager
def counted(client: Any) -> Iterator[Units]:
    """Count what this client of boto3 writes, refused writes too."""
    units = Units(client)
    original = client._make_api_call

    def call(operation: str, request: Item) -> Any:
        writes = _writes(operation, request)
        before = [_stored(original, write) for write in writes]
        units.calls.append(operation)
        try:
            return original(operation, request)
        finally:
            for write, old in zip(writes, before, strict=True):
                new = _stored(original, write)
                kilobytes = max(1, -(-max(_size(old), _size(new)) // 1024))
                units.table += kilobytes * (2 if operation == "TransactWriteItems" else 1)
                units.index += sum(_index_units(keys, old, new) for keys in _indexes(write["TableName"]))

    client._make_api_call = call
    try:
        yield units
    finally:
        client._make_api_call = original


def _writes(operation: str, request: Item) -> list[Item]:
    if operation == "TransactWriteItems":
        return [next(iter(action.values())) for action in request["TransactItems"]]
    return [request] if operation in {"PutItem", "UpdateItem", "DeleteItem"} else []


def _keys_of(definition: Sequence[Item]) -> list[str]:
    return [key["AttributeName"] for key in definition]


def _properties(table: str) -> Item:
    found: Item = read_template()["Resources"][table]["Properties"]
    return found


def _indexes(table: str) -> list[list[str]]:
    return [_keys_of(index["KeySchema"]) for index in _properties(table).get("GlobalSecondaryIndexes", [])]


def _stored(original: Any, write: Item) -> Item | None:
    key = write.get("Key") or {
        name: write["Item"][name] for name in _keys_of(_properties(write["TableName"])["KeySchema"])
    }
    found: Item | None = original("GetItem", {"TableName": write["TableName"], "Key": key}).get("Item")
    return found


def _size(item: Item | None) -> int:
    values = {name: TypeDeserializer().deserialize(value) for name, value in (item or {}).items()}
    return sum(len(name.encode()) + len(str(value).encode()) for name, value in values.items())


def _index_units(keys: list[str], old: Item | None, new: Item | None) -> int:
    entries = [
        [item[key] for key in keys] if item and all(key in item for key in keys) else None for item in (old, new)
    ]
    if entries[0] == entries[1]:  # KEYS_ONLY: nothing else of the item is in the index
        return 0
    return 2 if None not in entries else 1
