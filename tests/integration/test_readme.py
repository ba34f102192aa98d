"""README's Python runs as it is printed, on the embedded AWS."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from local.artifacts import ROOT
from local.aws import server_environment
from tests.product import Product, eventually

SEND, ANSWER = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.fixture(autouse=True)
def orchestrator(product: Product, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Its environment, and the table of the events that it has seen."""
    function = product.stack.outputs["SendFunctionName"]
    variables = server_environment(AWS_ENDPOINT_URL=product.stack.aws_endpoint, WHATSAPP_SEND_FUNCTION=function)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    tables = product.stack.aws("dynamodb")
    tables.create_table(
        TableName="orchestrator-seen",
        KeySchema=[{"AttributeName": "event_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "event_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield
    tables.delete_table(TableName="orchestrator-seen")


def run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  # README's own
    return names


def test_what_sends(product: Product) -> None:
    assert run(SEND)["answer"]["status"] == "sent"
    assert len(product.ledger("+919812345678")) == 1


def test_what_answers(product: Product, patient: str) -> None:
    tap = {"text": "Confirm", "payload": "agent:scheduling:confirm"}
    sid = product.write(patient, "Confirm", button=tap)["message_sid"]
    (event,) = eventually(lambda: product.events(event_id=sid))
    batch = {"Records": [{"messageId": "1", "body": json.dumps(event)}] * 2}  # SQS may bring it twice
    assert run(ANSWER)["lambda_handler"](batch, None) == {"batchItemFailures": []}
    (answer,) = product.ledger(patient)
    assert answer["body"] == "Thank you, your appointment is confirmed."
