"""Our own records, read from the messages table as they change, and the steps that they tell of."""

import asyncio
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from local.phone.passing import real
from local.phone.world import World

OPEN = {"pending", "deferred", "retrying", "claimed", "sending", "unknown"}
"""Statuses that change without anybody telling us: such records are read again and again."""
_SHOWN = (
    "message_id", "contact_id", "direction", "status", "lane", "template", "language", "text", "agent", "user_id", "to",
    "attempts", "attempt", "t0", "status_at", "accepted_at", "created_at", "received_at", "due_at", "scheduled_for",
    "expires_at", "twilio_sid", "content_sid", "in_reply_to", "continues", "continued_as", "error", "kind", "address",
    "media", "button_payload", "variables", "throttled_since",
)  # fmt: skip
_MOMENTS = {
    "t0", "status_at", "accepted_at", "created_at", "received_at", "due_at", "scheduled_for", "expires_at",
}  # fmt: skip
_deserialize = TypeDeserializer().deserialize


class Records:
    """Reads the records that something has mentioned."""

    def __init__(self, world: World, dynamodb: Any, messages: str, contacts: str) -> None:
        self._world = world
        self._dynamodb = dynamodb
        self._messages = messages
        self._contacts = contacts
        self._mentioned: set[str] = set()

    def mention(self, message_id: str | None) -> None:
        """Something happened to this message: read its record soon."""
        if message_id:
            self._mentioned.add(message_id)

    async def follow(self) -> None:
        """Read what was mentioned or is still open, for ever."""
        beat = 0
        while True:
            wanted, self._mentioned = self._mentioned, set()
            if beat % 4 == 0:
                wanted |= {key for key, record in self._world.of("record").items() if record["status"] in OPEN}
            else:
                wanted |= {key for key, record in self._world.of("record").items() if _moves_fast(record)}
            for message_id in wanted:
                await self.read(message_id)
            beat += 1
            await asyncio.sleep(0.25)

    async def read(self, message_id: str) -> None:
        """Read one record now, and the contact that it is with."""
        item = await self._item(self._messages, {"message_id": message_id, "entry": "message"})
        if item is None:
            return
        jumps = (self._world.get("status", "passed") or {}).get("jumps", [])
        record = {name: item[name] for name in _SHOWN if item.get(name) is not None}
        record |= {name: real(record[name], jumps) for name in _MOMENTS if name in record}
        changed = self._world.put("record", message_id, record)
        if changed and record.get("direction") == "outbound":
            tell_steps(self._world, record)
        if changed and "contact_id" in record:
            whose = "address" if record["direction"] == "inbound" else "to"
            await self._read_contact(record["contact_id"], record.get(whose), jumps)

    async def _read_contact(self, contact_id: str, address: str | None, jumps: list[dict[str, int]]) -> None:
        """What we know of a patient: an alias's row names the contact's."""
        item = await self._item(self._contacts, {"contact_id": contact_id})
        while item and "alias_of" in item:
            item = await self._item(self._contacts, {"contact_id": item["alias_of"]})
        if item and address:
            stopped = item.get("opted_out_at")
            known = {"contact_id": item["contact_id"], "opted_out_at": stopped and real(stopped, jumps)}
            self._world.put("contact", address, known)

    async def _item(self, table: str, key: dict[str, str]) -> dict[str, Any] | None:
        typed = {name: {"S": value} for name, value in key.items()}
        found = await asyncio.to_thread(self._dynamodb.get_item, TableName=table, Key=typed, ConsistentRead=True)
        item = found.get("Item")
        return {name: _plain(_deserialize(value)) for name, value in item.items()} if item else None


def _moves_fast(record: dict[str, Any]) -> bool:
    return record["status"] in {"pending", "retrying", "claimed", "sending"}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return sorted(map(str, value)) if isinstance(value, set) else value


def tell_steps(world: World, record: dict[str, Any]) -> None:
    """The steps that an outgoing message's record tells of: it was asked for, it waits, an attempt at it."""
    message_id = record["message_id"]
    who = {"message_id": message_id, "to": record.get("to"), "template": record.get("template")}
    asked = f"{message_id}:command"
    if world.get("step", asked) is None:
        detail = {"request": _request(record)}
        world.step(asked, "command", "Taken in", record["created_at"], end=record["created_at"], detail=detail, **who)
    _attempt(world, record, who)
    _wait(world, record, who)


def _attempt(world: World, record: dict[str, Any], who: dict[str, Any]) -> None:
    attempt, began = record.get("attempt"), record.get("t0")
    if not attempt or not began:
        return
    step_id = f"{record['message_id']}:attempt:{attempt}"
    known = world.get("step", step_id) or {}
    status, error = record["status"], record.get("error") or {}
    end, state, code = known.get("end"), "ok", None
    if record.get("accepted_at", 0) >= began:
        end = end or record["accepted_at"]
    elif status in {"retrying", "failed", "unknown", "unknown_final", "canceled"}:
        end = end or record.get("status_at", began)
        state = "wait" if status.startswith("unknown") else "bad"
        code = str(error.get("twilio_code") or error.get("code") or status)
    elif known.get("state") == "bad":
        return
    answer = {"status": status, "error": error}
    if state == "ok" and end is not None:
        answer = {"status": "sent", "twilio_sid": record.get("twilio_sid")}
    number = record.get("attempts") or 1
    detail = {"request": _request(record), "answer": answer}
    world.step(step_id, "lambda", f"Attempt {number}", began, end=end, state=state, code=code, detail=detail, **who)


def _request(record: dict[str, Any]) -> dict[str, Any]:
    names = ("to", "template", "language", "variables", "text", "in_reply_to", "agent", "lane")
    return {name: record[name] for name in names if name in record}


_WAITS = {
    "pending": "Queued",
    "deferred": "Deferred",
    "retrying": "Waiting to try again",
    "unknown": "Waiting for evidence",
}


def _wait(world: World, record: dict[str, Any], who: dict[str, Any]) -> None:
    """While it waits its turn, nobody works on it; the wait ends when an attempt begins or it is called off."""
    prefix, status = f"{record['message_id']}:wait:", record["status"]
    waits = [step for key, step in world.of("step").items() if key.startswith(prefix)]
    current = waits[-1] if waits and waits[-1]["end"] is None else None
    began = record.get("status_at") or record["created_at"]
    if status in _WAITS:
        detail = {"due_at": record.get("due_at"), "scheduled_for": record.get("scheduled_for"),
                  "error": record.get("error")}  # fmt: skip
        step_id = current["id"] if current else f"{prefix}{began}"
        at = current["at"] if current else began
        world.step(step_id, "queue", _WAITS[status], at, state="wait", detail=detail, **who)
    elif current:
        end = record.get("t0") if (record.get("t0") or 0) >= current["at"] else began
        world.step(current["id"], "queue", current["title"], current["at"], end=end)
