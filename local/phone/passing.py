"""Lets time pass for the product: every moment that its tables hold moves back by that much.

The functions' clock is the machine's, and stays so. What they compare it with moves: the hour since the last message,
the moment at which a deferred one may go, expiry, the window. Twilio's dates of what was sent before stay, so a message
that is compared with them (on its way, or in doubt) must settle first.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from local.aws import scan

_UNSETTLED = {"claimed", "sending", "unknown"}
_MILLISECONDS = range(10**12, 10**13)
"""Numbers of this size are moments in epoch ms (2001 to 2286); no other number in the tables comes near."""
_TRIES = 5
_AT_ONCE = 8


class UnsettledError(Exception):
    """A message is on its way or in doubt: its moments are compared with Twilio's."""


def let_pass(dynamodb: Any, tables: dict[str, list[str]], ms: int) -> None:
    """Move every moment in these tables back by `ms`.

    Args:
        dynamodb: a boto3 client.
        tables: the names of each table's key attributes, by its name.

    Raises:
        UnsettledError: nothing was moved.
        ClientError: an item kept changing, or DynamoDB does not answer.
    """
    items = [(table, item) for table in tables for item in scan(dynamodb, table)]
    if any(item.get("status", {}).get("S") in _UNSETTLED for _, item in items):
        raise UnsettledError("a message is on its way or in doubt: let time pass once it has settled")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        moves = [pool.submit(_move, dynamodb, table, item, tables[table], ms) for table, item in items]
    for move in moves:
        move.result()


def _move(dynamodb: Any, table: str, read: dict[str, Any], keys: list[str], ms: int) -> None:
    """One item; whoever changes it in between is not overwritten."""
    item: dict[str, Any] | None = read
    for attempt in range(_TRIES):
        if attempt:
            key = {name: read[name] for name in keys}
            item = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
        if item is None:
            return
        moved = {name: _earlier(value, ms, is_ttl=name == "ttl") for name, value in item.items()}
        unchanged = "#w = :w" if "write_id" in item else "attribute_not_exists(#w)"
        values = {"ExpressionAttributeValues": {":w": item["write_id"]}} if "write_id" in item else {}
        try:
            dynamodb.put_item(TableName=table, Item=moved, ConditionExpression=unchanged,
                              ExpressionAttributeNames={"#w": "write_id"}, **values)  # fmt: skip
        except dynamodb.exceptions.ConditionalCheckFailedException as error:
            if attempt == _TRIES - 1:
                raise ClientError(error.response, "PutItem") from error
        else:
            return


def _earlier(value: dict[str, Any], ms: int, *, is_ttl: bool = False) -> dict[str, Any]:
    """A typed attribute with its moments moved back; a `ttl` is in seconds."""
    match value:
        case {"N": number} if is_ttl:
            return {"N": str(int(number) - ms // 1000)}
        case {"N": number} if number.isdigit() and int(number) in _MILLISECONDS:
            return {"N": str(int(number) - ms)}
        case {"M": parts}:
            return {"M": {name: _earlier(part, ms) for name, part in parts.items()}}
        case {"L": parts}:
            return {"L": [_earlier(part, ms) for part in parts]}
    return value


def elapsed(at: int, jumps: list[dict[str, int]]) -> int:
    """A real moment on the clock that has run on by the jumps before it."""
    return at + sum(jump["ms"] for jump in jumps if jump["at"] <= at)


def real(at: int, jumps: list[dict[str, int]]) -> int:
    """When a moment that the tables hold was; one that was still to come at a jump has come nearer by it."""
    for jump in reversed(jumps):
        if at + jump["ms"] <= jump["at"]:
            at += jump["ms"]
    return at
