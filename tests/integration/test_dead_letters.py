"""The command for dead letters against the embedded stack, as it is run on AWS and on the local stack."""

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from commands import dead_letters as dlq
from local import stacks
from local.artifacts import ROOT
from local.aws import server_environment
from local.stack import STACK_NAME
from tests.product import REMINDER, Product, eventually


def start(product: Product, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As on AWS: the stack is named, and boto3's own environment leads to the account."""
    command = [sys.executable, "-m", "commands.dead_letters", *arguments, "--stack", STACK_NAME]
    env = server_environment(AWS_ENDPOINT_URL=product.stack.aws_endpoint)
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)


def run(product: Product, *arguments: str) -> str:
    done = start(product, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("whatsapp in ap-south-1, account 000000000000\n")
    return done.stdout


def about(output: str, message_id: str) -> str:
    return next(part for part in output.split("\n\n") if message_id in part)


def test_list_dry_run_redrive_and_redrive_again(product: Product, patient: str) -> None:
    product.fault("error", patient, code=63010, times=3)
    failed = product.remind(patient, idempotency_key=f"dead-{patient}")
    message_id = failed["message_id"]
    eventually(lambda: any(message_id in letter for letter in product.dead_letters()))

    listed = about(run(product, "list"), message_id)
    assert f"session_reminder to +91••••{patient[-4:]}, failed after 3 attempts" in listed
    assert "twilio_unavailable (Twilio 63010)" in listed
    assert patient not in listed

    dry = run(product, "redrive")
    assert "redrive sends it as a new record: it was certainly not sent" in about(dry, message_id)
    assert "dry run: nothing was changed" in dry
    assert product.record(message_id)["continued_as"] is None

    run(product, "redrive", "--yes")
    run(product, "redrive", "--yes")
    new = product.record(message_id)["continued_as"]
    product.sweep()
    product.when(new, "read")
    assert [m["sid"] for m in product.ledger(patient)] == [product.record(new)["twilio_sid"]]
    assert not any(message_id in letter for letter in product.dead_letters())


def test_what_cannot_be_read_is_left_where_it_lies(product: Product) -> None:
    queue_id = product.enqueue('{"to": "+919812345678", "template"')
    eventually(lambda: any(queue_id in letter for letter in product.dead_letters()))
    output = run(product, "redrive", "--yes")
    assert "redrive leaves it: invalid_request: the queue message is not JSON" in output
    assert f"queue id {queue_id} on the send queue" in output
    assert any(queue_id in letter for letter in product.dead_letters())


def test_refused_request_is_an_event_and_no_dead_letter(product: Product) -> None:
    product.enqueue({"to": "+1", **REMINDER, "idempotency_key": "typo", "user_id": "user-42"})
    (event,) = eventually(lambda: product.events(idempotency_key="typo"))
    detail = event["detail"]
    assert (detail["status"], detail["error"]["code"]) == ("failed", "invalid_address")
    assert (detail["idempotency_key"], detail["user_id"]) == ("typo", "user-42")
    assert not any("typo" in letter for letter in product.dead_letters())


def test_one_letter_is_thrown_away(product: Product) -> None:
    for name in ("unwanted", "kept"):
        product.enqueue({"no field of a request": f"drop-{name}"})
    eventually(lambda: len([one for one in product.dead_letters() if "drop-" in one]) == 2)
    queue_id = next(
        about.split("queue id ")[1].split()[0] for about in run(product, "list").split("\n\n") if "message" in about
    )
    before = len(product.dead_letters())
    assert "dry run" in run(product, "drop", queue_id)
    assert len(product.dead_letters()) == before
    run(product, "drop", queue_id, "--yes")
    assert len(product.dead_letters()) == before - 1
    assert queue_id not in run(product, "list")

    again = start(product, "drop", queue_id, "--yes")
    assert again.returncode == 1
    assert f"no dead letter has the queue id {queue_id}" in again.stderr
    assert f"list --stack {STACK_NAME}` shows them" in again.stderr


def test_on_the_running_local_stack(
    product: Product, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("STACK", raising=False)
    monkeypatch.setattr(stacks, "STACKS", product.stack.directory)
    product.stack.announce()
    with patch.dict(os.environ):
        assert dlq.main(["list"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("whatsapp in the local stack\n")
    assert "dead letter" in told


def test_without_a_stack_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("STACK", raising=False)
    monkeypatch.setattr(stacks, "STACKS", tmp_path)
    assert dlq.main(["list"]) == 1
    assert capsys.readouterr().err == (
        "dead_letters: no stack is running: start one with `make run`, "
        "or say --stage dev or --stage prod for the one on AWS\n"
    )
