"""Our tables answer whatever a schedule asks as MiniStack does."""

import copy
import json
from collections import Counter
from typing import Any
from unittest.mock import patch

import pytest

from tests import ministack_tables
from tests.simulation import receiving_run, run
from tests.simulation.schedules import random_world
from tests.simulation.tables import Answer, Request, Tables

_ask = Tables.ask


@pytest.mark.parametrize("simulate", [run.simulate, receiving_run.simulate_receiving])
def test_every_answer_of_a_schedule_is_ministacks(simulate: Any) -> None:
    asked: Counter[str] = Counter()

    def both(tables: Tables, operation: str, request: Request, now: int) -> Answer:
        expected = ministack_tables.ask(operation, copy.deepcopy(request))
        answer = _ask(tables, operation, request, now)
        assert _comparable(answer) == _comparable(expected), f"{operation} {request}"
        asked[operation] += 1
        return answer

    with patch.object(Tables, "ask", both):
        for seed in range(1, 13):
            ministack_tables.make_tables()
            simulate(seed)
    assert set(asked) >= {"GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "TransactWriteItems"}
    assert asked.total() > 1_000


def test_a_long_query_comes_in_the_same_pages() -> None:
    tables = random_world(1).tables
    ministack_tables.make_tables()
    for n in range(7):
        item = {"message_id": f"m{n}", "entry": "message", "due_shard": "send#0", "due_at": n // 3}
        put = {
            "TableName": "messages",
            "Item": {k: {"N": str(v)} if k == "due_at" else {"S": v} for k, v in item.items()},
        }
        for ask in (tables.ask, ministack_tables.ask):
            ask("PutItem", copy.deepcopy(put))
    for forward in (True, False):
        start: dict[str, Any] = {}
        for _ in range(4):
            request = {
                "TableName": "messages",
                "IndexName": "due",
                "KeyConditionExpression": "#n0 = :v0",
                "ExpressionAttributeNames": {"#n0": "due_shard"},
                "ExpressionAttributeValues": {":v0": {"S": "send#0"}},
                "ScanIndexForward": forward,
                "Limit": 2,
                **start,
            }
            answer = tables.ask("Query", request)
            assert answer == ministack_tables.ask("Query", copy.deepcopy(request))
            start = {"ExclusiveStartKey": answer[1]["LastEvaluatedKey"]} if "LastEvaluatedKey" in answer[1] else {}
        assert not start


def _comparable(answer: Answer) -> tuple[int, Any]:
    """An answer in one order: a set's members have none."""
    status, body = answer
    return status, json.loads(json.dumps(body), object_hook=_sorted_sets)


def _sorted_sets(value: dict[str, Any]) -> dict[str, Any]:
    return {"SS": sorted(value["SS"])} if value.keys() == {"SS"} else value
