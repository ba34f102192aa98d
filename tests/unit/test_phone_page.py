"""The server's parts without a stack: the stream's promises, the numbers, and the steps that a record tells of."""

import asyncio
import json
import socket
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from whatsapp.domain.templates.catalog import DIRECTORY

from local.aws import client
from local.phone.actions import Actions
from local.phone.health import count
from local.phone.hub import RING, Hub
from local.phone.plumbing import take_pulse
from local.phone.records import tell_steps
from local.phone.world import KINDS, World

MESSAGE_ID = "f" * 32


def changes_after(hub: Hub, last_id: str) -> list[Any]:
    """What a page that comes back with `last_id` is told, until the hub closes."""

    async def read() -> list[str]:
        hub.close()
        return [part async for part in hub.stream(last_id)]

    parts = asyncio.run(read())
    return [json.loads(part.split("data: ")[1]) for part in parts if "data: [" in part] or parts


def hub_with(changes: int) -> Hub:
    hub = Hub()
    for n in range(changes):
        hub.publish({"n": n})
    return hub


def test_a_page_that_comes_back_gets_what_it_missed_once_and_in_order() -> None:
    async def read() -> list[int]:
        hub = hub_with(1200)
        seen: list[int] = []
        async for part in hub.stream(f"{hub.boot}-3"):
            if "data: [" in part:
                seen += [change["n"] for change in json.loads(part.split("data: ")[1])]
            if seen and seen[-1] == 1199:
                hub.close()
        return seen

    assert asyncio.run(read()) == list(range(3, 1200))


@pytest.mark.parametrize("last_id", ["", "other-3", "nonsense", "BOOT-9999999", "BOOT-x"])
def test_a_page_of_another_life_starts_anew(last_id: str) -> None:
    hub = hub_with(5)
    (told,) = changes_after(hub, last_id.replace("BOOT", hub.boot))
    assert "event: reset" in told


def test_a_page_that_missed_more_than_is_kept_starts_anew() -> None:
    hub = hub_with(RING + 10)
    assert "event: reset" in changes_after(hub, f"{hub.boot}-5")[0]
    assert changes_after(hub, f"{hub.boot}-10")[0][0] == {"n": 10}


def test_the_last_changes_are_told_before_the_stream_ends() -> None:
    """Such as why the stack has ended."""
    hub = hub_with(3)
    assert changes_after(hub, f"{hub.boot}-1") == [[{"n": 1}, {"n": 2}]]


def test_the_world_tells_only_changes_and_forgets_the_oldest() -> None:
    world = World(Hub())
    assert world.put("alert", "a", {"x": 1})
    assert not world.put("alert", "a", {"x": 1})
    before = world.hub.last_id
    world.drop("alert", "never there")
    assert world.hub.last_id == before
    for n in range(KINDS["alert"]):
        world.put("alert", str(n), {})
    assert world.get("alert", "a") is None
    assert len(world.of("alert")) == KINDS["alert"]


def message(world: World, sid: str, patient: str, at: int, *, status: str = "sent", lane: str | None = None) -> None:
    direction = "inbound" if lane is None else "outbound-api"
    world.put("message", sid, {"sid": sid, "message_id": sid, "direction": direction, "patient": patient,
                               "accepted_at": at, "status": status})  # fmt: skip
    if lane:
        world.put("record", sid, {"lane": lane, "status": status})


def test_violations_are_proactive_pairs_within_the_limit() -> None:
    world = World(Hub())
    message(world, "1", "asha", 0, lane="proactive")
    message(world, "2", "ravi", 10, lane="proactive")
    message(world, "3", "asha", 500, lane="reply")
    message(world, "4", "asha", 1000, lane="proactive")
    assert count(world, 1000)["violations"] == 0
    assert count(world, 1001)["violations"] == 1


def test_shares_are_of_what_was_sent() -> None:
    world = World(Hub())
    assert count(world, 1)["delivered"] is None
    message(world, "1", "asha", 0, status="read", lane="proactive")
    message(world, "2", "ravi", 1, status="delivered", lane="proactive")
    message(world, "3", "mina", 2, status="failed", lane="proactive")
    message(world, "4", "asha", 3)
    message(world, "5", "asha", 4)
    numbers = count(world, 1)
    assert (numbers["sent"], numbers["delivered"], numbers["read"], numbers["replied"]) == (3, 66.7, 33.3, 33.3)


def test_our_own_answers_do_not_lower_the_share_that_replied() -> None:
    world = World(Hub())
    message(world, "1", "asha", 0, lane="proactive")
    message(world, "2", "asha", 1)
    before = count(world, 1)["replied"]
    message(world, "3", "asha", 2, lane="reply")
    message(world, "4", "asha", 3)
    assert before == count(world, 1)["replied"] == 100
    message(world, "5", "asha", 4, lane="proactive")
    assert count(world, 1)["replied"] == 50


def test_a_part_of_the_stack_that_ended_is_named_since_when() -> None:
    world = World(Hub())
    with socket.create_server(("127.0.0.1", 0)) as aws, socket.create_server(("127.0.0.1", 0)) as twilio:
        urls = [f"http://127.0.0.1:{server.getsockname()[1]}" for server in (aws, twilio)]
        stack = dict(zip(("aws_endpoint", "twilio_url"), urls, strict=True))
        asyncio.run(take_pulse(world, stack))
        assert world.get("status", "pulse") == {"down": [], "since": None}
        twilio.close()
        asyncio.run(take_pulse(world, stack))
        first = world.get("status", "pulse")
    asyncio.run(take_pulse(world, stack))
    assert first
    assert first["down"] == ["the emulated Twilio"]
    assert first["since"]
    assert world.get("status", "pulse") == {**first, "down": ["the embedded AWS", "the emulated Twilio"]}


def record(**changes: Any) -> dict[str, Any]:
    return {"message_id": MESSAGE_ID, "to": "+91", "template": "t", "created_at": 100, "status_at": 100, **changes}


def told(world: World) -> list[tuple[str, str, int, int | None, str, str | None]]:
    return [(s["lane"], s["title"], s["at"], s["end"], s["state"], s["code"]) for s in world.of("step").values()]


def test_a_record_that_failed_once_and_then_went_tells_both_attempts_and_the_wait() -> None:
    world = World(Hub())
    error = {"code": "throttled", "twilio_code": 20429}
    tell_steps(world, record(status="retrying", attempt="a", attempts=1, t0=110, status_at=150, error=error))
    tell_steps(world, record(status="claimed", attempt="b", attempts=2, t0=400, status_at=400))
    tell_steps(world, record(status="delivered", attempt="b", attempts=2, t0=400, status_at=900, accepted_at=450))
    assert told(world) == [
        ("command", "Taken in", 100, 100, "ok", None),
        ("lambda", "Attempt 1", 110, 150, "bad", "20429"),
        ("queue", "Waiting to try again", 150, 400, "wait", None),
        ("lambda", "Attempt 2", 400, 450, "ok", None),
    ]


def test_a_failure_told_by_callback_does_not_make_the_attempt_a_failure() -> None:
    world = World(Hub())
    error = {"code": "not_on_whatsapp", "twilio_code": 63024}
    tell_steps(
        world, record(status="failed", attempt="a", attempts=1, t0=110, status_at=900, accepted_at=150, error=error)
    )
    assert told(world)[-1] == ("lambda", "Attempt 1", 110, 150, "ok", None)


def test_a_deferred_record_waits_until_its_attempt_or_its_end() -> None:
    world = World(Hub())
    tell_steps(world, record(status="deferred", scheduled_for=5000))
    assert told(world)[-1] == ("queue", "Deferred", 100, None, "wait", None)
    tell_steps(world, record(status="canceled", status_at=700))
    assert told(world)[-1] == ("queue", "Deferred", 100, 700, "wait", None)


async def _posted(path: str, body: object) -> httpx.Response:
    """What the page is answered when nothing of the stack answers: no AWS, no Twilio."""
    nowhere = "http://127.0.0.1:9"
    stack = {"outputs": {"SendFunctionName": "send", "SendQueueUrl": f"{nowhere}/queue"}, "api_url": nowhere}
    async with httpx.AsyncClient(base_url=nowhere, trust_env=False) as twilio:
        actions = Actions(World(Hub()), lambda service: client(service, nowhere), stack, twilio, DIRECTORY)
        transport = httpx.ASGITransport(Starlette(routes=actions.routes()))
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as page:
            return await page.post(path, content=json.dumps(body))


@pytest.mark.parametrize("door", ["invoke", "http", "sqs"])
def test_a_stack_that_is_down_is_said_in_a_sentence(door: str) -> None:
    answer = asyncio.run(_posted("/api/send", {"door": door, "request": {"to": "+91"}}))
    assert answer.status_code == 502
    assert answer.json()["error"].startswith("the stack does not answer")


@pytest.mark.parametrize("body", [None, 5, [], {"door": "sqs", "request": None}, {"door": "sqs", "request": 5}])
def test_what_is_no_request_is_refused_in_a_sentence(body: object) -> None:
    answer = asyncio.run(_posted("/api/send", body))
    assert (answer.status_code, answer.json()) == (400, {"error": "a request is a JSON object"})
