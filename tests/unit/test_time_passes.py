"""Letting time pass: what the tables hold moves back, and the page still tells when things were."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local.phone.passing import UnsettledError, elapsed, let_pass, real

NOW, HOUR = 1_795_980_000_000, 3_600_000
TABLES = {"messages": ["message_id", "entry"]}


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="ap-south-1")
        client.create_table(
            TableName="messages", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "message_id", "KeyType": "HASH"},
                       {"AttributeName": "entry", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in TABLES["messages"]],
        )  # fmt: skip
        yield client


def put(dynamodb: Any, **item: Any) -> None:
    dynamodb.put_item(TableName="messages", Item={"message_id": {"S": "a"}, "entry": {"S": "message"}, **item})


def stored(dynamodb: Any) -> dict[str, Any]:
    item: dict[str, Any] = dynamodb.scan(TableName="messages")["Items"][0]
    return {name: value for name, value in item.items() if name not in TABLES["messages"]}


def test_every_moment_moves_and_nothing_else(dynamodb: Any) -> None:
    words = {"L": [{"M": {"at": {"N": str(NOW)}, "opt": {"S": "out"}}}]}
    put(dynamodb, due_at={"N": str(NOW)}, ttl={"N": "1830540577"}, attempts={"N": "3"}, opt_words=words,
        text={"S": str(NOW)}, write_id={"S": "w"}, status={"S": "deferred"})  # fmt: skip
    let_pass(dynamodb, TABLES, HOUR)
    assert stored(dynamodb) == {
        "due_at": {"N": str(NOW - HOUR)}, "ttl": {"N": "1830536977"}, "attempts": {"N": "3"},
        "opt_words": {"L": [{"M": {"at": {"N": str(NOW - HOUR)}, "opt": {"S": "out"}}}]},
        "text": {"S": str(NOW)}, "write_id": {"S": "w"}, "status": {"S": "deferred"},
    }  # fmt: skip


@pytest.mark.parametrize("status", ["claimed", "sending", "unknown"])
def test_what_is_compared_with_twilios_dates_settles_first(dynamodb: Any, status: str) -> None:
    put(dynamodb, due_at={"N": str(NOW)}, status={"S": status})
    with pytest.raises(UnsettledError, match="once it has settled"):
        let_pass(dynamodb, TABLES, HOUR)
    assert stored(dynamodb)["due_at"] == {"N": str(NOW)}


def test_a_change_in_between_is_not_overwritten(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(dynamodb, due_at={"N": str(NOW)}, write_id={"S": "old"})
    write, requests = dynamodb.put_item, list[Any]()

    def change_then_put(**request: Any) -> Any:
        if not requests:
            write(TableName="messages", Item={**request["Item"], **newer})
        requests.append(request)
        return write(**request)

    newer = {"due_at": {"N": str(NOW + 5)}, "write_id": {"S": "new"}}
    monkeypatch.setattr(dynamodb, "put_item", change_then_put)
    let_pass(dynamodb, TABLES, HOUR)
    assert stored(dynamodb) == {"due_at": {"N": str(NOW + 5 - HOUR)}, "write_id": {"S": "new"}}


def test_what_was_is_told_as_it_was_and_what_comes_comes_sooner() -> None:
    jumps = [{"at": NOW, "ms": HOUR}, {"at": NOW + 1000, "ms": HOUR}]
    assert real(NOW - 5 - 2 * HOUR, jumps) == NOW - 5
    assert real(NOW + 500 - HOUR, jumps) == NOW + 500
    assert real(NOW + 2000, jumps) == NOW + 2000
    assert real(NOW + 10 - HOUR, jumps) == NOW + 10  # the first jump brought it nearer, and then it came
    assert [elapsed(at, jumps) for at in (NOW - 1, NOW, NOW + 1000)] == [NOW - 1, NOW + HOUR, NOW + 1000 + 2 * HOUR]
