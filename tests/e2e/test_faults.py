"""Each way Twilio can go wrong, met by a real send. The emulator's ledger is the judge: never two of one message."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.product import REMINDER, Product, eventually


@dataclass(frozen=True)
class Case:
    """A fault, and what must become of the message that meets it."""

    kind: str
    accepted: int
    """How many messages Twilio has in the end."""
    ends: tuple[str, ...]
    more: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return self.kind


HEARD = ("read",)
"""Settled by callbacks, whatever became of the answer."""
CASES = (
    Case("refuse", 0, ("unknown",)),
    Case("http_500", 0, ("unknown",)),
    Case("http_503", 0, ("unknown",)),
    Case("hang", 0, ("unknown",), (("seconds", 0.5),)),
    Case("http_429", 1, HEARD),
    Case("accept_then_500", 1, HEARD),
    Case("accept_then_hang", 1, HEARD, (("seconds", 0.5),)),
    Case("accept_late", 1, HEARD, (("seconds", 0.5),)),
    Case("truncate", 1, HEARD),
    Case("error", 0, ("failed",), (("code", 21211),)),
    Case("status_failed", 1, ("undelivered",), (("code", 63024),)),
    Case("callbacks_drop", 1, ("sent",), (("times", 10),)),
    Case("callbacks_double", 1, HEARD, (("times", 10),)),
    Case("callbacks_reorder", 1, HEARD),
    Case("callbacks_delay", 1, HEARD, (("seconds", 1),)),
    Case("list_lag", 1, HEARD),
)


@pytest.fixture(scope="module")
def judged(product: Product) -> Callable[[Case], tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Send into each fault; then wait for each, and try hard to make it send twice.

    One after another: with many sandboxes at once their cold starts would take longer.
    """

    def send(case: Case) -> tuple[dict[str, Any], str]:
        to = product.new_patient()
        request = {"to": to, **REMINDER, "idempotency_key": f"fault-{case.kind}", "on_unknown": "resend"}
        product.twilio_answers()
        product.fault(case.kind, to, **dict(case.more))
        return request, product.send(**request)["message_id"]

    def suffer(case: Case, sent: tuple[dict[str, Any], str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        request, message_id = sent
        product.when(message_id, *case.ends)
        if case.kind == "list_lag":
            product.twilio("faults", method="DELETE")
        return insist(product, request, message_id)

    sent = [send(case) for case in CASES]
    product.twilio_answers()
    found = dict(zip(CASES, map(suffer, CASES, sent), strict=True))
    return found.__getitem__


def insist(product: Product, request: dict[str, Any], message_id: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The same request again through every door, nudges and sweeps; then the ledger and the record."""
    assert product.send(**request)["duplicate"]
    assert product.api("POST", "/messages", request).json()["duplicate"]
    product.enqueue(request)
    product.enqueue({"message_id": message_id})
    product.sweep()
    product.sweep()
    return product.ledger(request["to"]), product.record(message_id)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_fault(judged: Callable[[Case], tuple[list[dict[str, Any]], dict[str, Any]]], case: Case) -> None:
    ledger, record = judged(case)
    assert len(ledger) == case.accepted
    assert record["status"] in case.ends
    if case.accepted:
        assert record["twilio_sid"] == ledger[0]["sid"]


def test_twilio_out_of_reach_for_seconds(product: Product, patient: str) -> None:
    """Certainly not sent: tried again when the port is open, and then sent once."""
    request = {"to": patient, **REMINDER, "idempotency_key": f"unreachable-{patient}"}
    product.twilio("faults", {"kind": "refuse", "seconds": 2})
    answer = product.send(**request)
    assert answer["status"] == "retrying"
    eventually(lambda: reachable(product))
    product.when(answer["message_id"], "read")
    ledger, _record = insist(product, request, answer["message_id"])
    assert len(ledger) == 1


def reachable(product: Product) -> bool:
    try:
        product.twilio("ledger")
    except httpx.HTTPError:
        return False
    return True
