"""`make twilio-setup` on the whole stack: the plan, carrying it out, again, and a message that is answered."""

import os
import threading
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import boto3
import pytest

from commands import target, twilio_setup
from tests.product import Product, eventually


@pytest.fixture(autouse=True)
def local(product: Product) -> Iterator[None]:
    """The product's stack is the running local one."""
    with (
        patch.dict(os.environ),
        patch.object(boto3, "DEFAULT_SESSION", None),
        patch.object(target, "running_stack", lambda _: product.stack.describe()),
    ):
        yield


def our_sender(product: Product) -> dict[str, Any]:
    found: dict[str, Any] = product.twilio("state")["senders"][0]
    return found


def test_plan_then_done_then_nothing_to_do(product: Product, capsys: pytest.CaptureFixture[str]) -> None:
    hook = our_sender(product)["webhook"]
    fields = ("name", "about", "address", "description", "vertical", "websites", "emails", "logo_url")
    fresh = {"webhook": {"callback_url": "x"}, "profile": dict.fromkeys(fields)}
    product.twilio("senders", {"address": product.stack.describe()["from_address"], **fresh})

    assert twilio_setup.main([]) == 0
    plan = capsys.readouterr().out
    assert "todo  webhook: http://127.0.0.1:" in plan
    assert "(now: x)" in plan
    assert f"todo  profile: {', '.join(fields)}" in plan
    assert "nothing was changed" in plan
    assert our_sender(product)["webhook"]["callback_url"] == "x"

    assert twilio_setup.main(["--yes"]) == 0
    found = our_sender(product)
    assert found["webhook"] == hook
    assert found["profile"]["vertical"] == "Medical and Health"
    assert "/profile/" in found["profile"]["logo_url"]

    capsys.readouterr()
    assert twilio_setup.main([]) == 0
    again = capsys.readouterr().out
    assert "todo" not in again
    assert "5 done before, 0 to do" in again
    assert product.stack.auth_token not in plan + again


def test_message_arrives_and_is_answered(product: Product, patient: str, capsys: pytest.CaptureFixture[str]) -> None:
    def answer() -> None:
        eventually(lambda: [one for one in product.ledger(patient) if one["status"] in ("delivered", "read")])
        product.write(patient, "yes")

    phone = threading.Thread(target=answer)
    phone.start()
    try:
        assert twilio_setup.main(["--yes", "--to", patient]) == 0
    finally:
        phone.join()
    told = capsys.readouterr().out
    assert " is delivered" in told or " is read" in told
    assert "an answer came" in told
    assert patient not in told


def test_phone_without_whatsapp_is_told(product: Product, patient: str, capsys: pytest.CaptureFixture[str]) -> None:
    product.twilio("patients", {"address": patient, "on_whatsapp": False})
    assert twilio_setup.main(["--yes", "--to", patient]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "63024" in line or "not_on_whatsapp" in line
    assert patient not in line
