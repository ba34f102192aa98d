"""The command for doubts against the embedded stack, as it is run on AWS. A doubt is old enough here at once."""

import os
from typing import Any
from unittest.mock import patch

import pytest
from whatsapp.domain import periods

from commands import doubts
from local.aws import server_environment
from local.stack import STACK_NAME
from tests.product import Product


def run(product: Product, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    given = [*arguments, "--stack", STACK_NAME]
    old_enough: Any = dict.fromkeys(("RECONCILE_DOUBT", "DOUBT_HORIZON", "RESEND"), 0)
    with (
        patch.dict(os.environ, server_environment(AWS_ENDPOINT_URL=product.stack.aws_endpoint)),
        patch.multiple(periods, **old_enough),
    ):
        assert doubts.main(given) == 0
    return capsys.readouterr().out


def test_what_the_list_lacks_is_sent_again_if_told_to(
    product: Product, patient: str, capsys: pytest.CaptureFixture[str]
) -> None:
    product.fault("http_500", patient)
    message_id = product.remind(patient)["message_id"]
    product.twilio_answers()
    assert product.record(message_id)["status"] == "unknown"
    assert message_id in run(product, capsys).split("still in doubt")[1]
    assert product.record(message_id)["continued_as"] is None

    said = run(product, capsys, "--resend")
    new = product.record(message_id)["continued_as"]
    assert f"{message_id}  continued as {new}" in said
    assert patient not in said
    assert product.record(new)["continues"] == message_id
    assert new not in run(product, capsys, "--resend"), "it waits, and is not in doubt"
    assert product.ledger(patient) == []
