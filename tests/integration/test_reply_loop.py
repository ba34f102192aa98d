"""Two machines that answer each other are noticed: 20 replies to one contact within an hour count for an alarm."""

from local.aws import name_alone
from tests.product import Product, eventually

REPLIES_PER_INBOUND = 3
MANY = 20


def times_counted(product: Product) -> int:
    logs = product.stack.aws("logs").get_paginator("filter_log_events")
    pages = logs.paginate(logGroupName=f"/aws/lambda/{name_alone(product.stack.outputs['SendFunctionName'])}")
    return sum('"RepliesPerContactHigh":[' in event["message"] for page in pages for event in page["events"])


def reply(product: Product, patient: str, number: int, inbound: str) -> str:
    answer = product.send(to=patient, text=f"Answer {number}", in_reply_to=inbound, idempotency_key=f"loop-{number}")
    return str(answer["status"])


def test_twenty_replies_within_an_hour_are_counted(product: Product, patient: str) -> None:
    before = times_counted(product)
    inbound = ""
    for number in range(MANY):
        if number == MANY - 1:
            assert times_counted(product) == before
        if number % REPLIES_PER_INBOUND == 0:
            inbound = product.write(patient, f"Hello {number}")["message_sid"]
        assert reply(product, patient, number, inbound) == "sent"
    eventually(lambda: times_counted(product) == before + 1)
