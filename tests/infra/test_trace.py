"""`make trace` sees a real send and a real receive."""

from local.artifacts import ROOT
from tests.product import Product
from tools import trace


def test_a_send_is_traced(product: Product) -> None:
    steps = trace.send(ROOT, product.stack)
    assert [step["twilio"] for step in steps if "twilio" in step] == ["POST Messages.json"]
    assert trace.contact_reads(steps).endswith("before the fence, 1 after")
    assert trace.outline(steps)[0] == "functions/send/handler.py  lambda_handler"


def test_a_receive_is_traced(product: Product) -> None:
    steps = trace.receive(ROOT, product.stack)
    assert next(step["aws"] for step in steps if "aws" in step).startswith("DynamoDB")
    assert not [step for step in steps if "twilio" in step]
