"""MiniStack's DynamoDB, called in this process: three empty tables as `template.yaml` has them."""

import copy
import json
from typing import Any

from ministack.services import dynamodb as ministack

from tests.simulation.dynamodb import definitions

_HANDLERS = {
    "GetItem": ministack._get_item,
    "BatchGetItem": ministack._batch_get_item,
    "Query": ministack._query,
    "PutItem": ministack._put_item,
    "UpdateItem": ministack._update_item,
    "TransactWriteItems": ministack._transact_write_items,
}


def make_tables() -> None:
    """Make the tables anew."""
    for name, definition in definitions().items():
        if name in ministack._tables:
            ministack._delete_table({"TableName": name})
        ministack._create_table({"TableName": name, **copy.deepcopy(definition)})
    ministack._txn_idempotency._data.clear()


def ask(operation: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """One request to MiniStack, which may keep what it is given."""
    status, _, body = _HANDLERS[operation](request)
    return status, json.loads(body) if body else {}
