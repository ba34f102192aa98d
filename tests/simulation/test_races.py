"""Sixteen threads, one contact, real HTTP: DynamoDB's conditions let one claim through, each round anew."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import pytest
from whatsapp.adapters.dynamodb.client import DynamoDB
from whatsapp.adapters.dynamodb.message_store import ClaimLost, Limits, MessageStore
from whatsapp.domain.contact import Contact
from whatsapp.domain.sending.after_post import put_back
from whatsapp.domain.sending.before_claim import claim
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, new_attempt_id
from whatsapp.domain.sending.transition import Transition

from local import aws
from local.processes import free_port, start
from tests.simulation.dynamodb import definitions

THREADS = 16
ROUNDS = int(os.environ.get("RACE_ROUNDS", "20"))
HOUR = 3_600_000
CONTACT = "5c4bf315bf7a1ae56624bc774c2ac659"


@pytest.fixture(scope="module")
def dynamo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """MiniStack in a process of its own, with our tables, and its client."""
    home = tmp_path_factory.mktemp("aws")
    port = free_port()
    environment = aws.server_environment(
        GATEWAY_PORT=str(port), BIND_HOST="127.0.0.1", MINISTACK_REGION=aws.REGION, HOME=str(home), TMPDIR=str(home)
    )
    environment |= {"SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0", "LAMBDA_PYTHON": "unused"}
    server = start("local.ministack", [], env=environment, log=Path(home) / "aws.log")
    endpoint = f"http://127.0.0.1:{port}"
    try:
        server.wait_until(lambda: _answers(f"{endpoint}/_ministack/health"), 60)
        client = aws.client("dynamodb", endpoint)
        for name, definition in definitions().items():
            client.create_table(TableName=name, **definition)
        yield client
    finally:
        server.stop()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def store(dynamo: Any) -> MessageStore:
    return MessageStore(DynamoDB(dynamo, lambda _: None), "messages", "contacts", Limits(HOUR, 3, 400))


def test_one_of_sixteen_claims_the_slot(store: MessageStore) -> None:
    barrier = Barrier(THREADS)
    now = 1_795_000_000_000
    with ThreadPoolExecutor(THREADS) as threads:
        for number in range(ROUNDS):
            now += 3 * HOUR
            rivals = [_message(f"{number:016x}{n:016x}", now) for n in range(THREADS)]

            claims = [claim(message, new_attempt_id(), now, now + 30_000) for message in rivals]

            def take_slot(claimed: Transition, at: int = now) -> ClaimLost | None:
                barrier.wait(timeout=60)
                return store.claim(claimed, at + 30_000, Contact(contact_id=claimed.after.contact_id))

            results = list(threads.map(take_slot, claims))
            winners = [one.after for one, lost in zip(claims, results, strict=True) if lost is None]
            assert len(winners) == 1, f"{len(winners)} claims held in round {number}"
            lost = [r for r in results if r is not None]
            assert all(r.contact and r.contact.inflight == winners[0].slot_holder for r in lost)
            assert store.commit(put_back(winners[0], "the round is over", now))


def test_one_of_sixteen_stores_the_message(store: MessageStore) -> None:
    barrier = Barrier(THREADS)
    with ThreadPoolExecutor(THREADS) as threads:
        for number in range(ROUNDS):
            message = _message(f"one{number:029x}", 1_794_000_000_000)

            def put(_: int, message: Message = message) -> bool:
                barrier.wait(timeout=60)
                return store.put_new(message)

            assert sum(threads.map(put, range(THREADS))) == 1


def _message(message_id: str, now: int) -> Message:
    return Message(
        message_id=message_id,
        contact_id=CONTACT,
        to="+919800000000",
        request_hash="same",
        created_at=now,
        status=Status.PENDING,
        text="hello",
    )
