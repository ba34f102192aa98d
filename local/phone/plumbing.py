"""Watches the queues and the functions' logs of the embedded AWS."""

import asyncio
import json
import re
import urllib.parse
from typing import Any

from local.aws import name_alone
from local.phone.records import Records
from local.phone.world import World, now_ms

_FUNCTIONS = ("SendFunctionName", "WebhookFunctionName", "TemplateSyncFunctionName")
_START = re.compile(r"^START RequestId: (\S+)")
_REPORT = re.compile(r"^REPORT RequestId: (\S+)\tDuration: ([\d.]+) ms")
_PLATFORM = re.compile(r"^(START|END|REPORT) RequestId: ")


async def take_pulse(world: World, stack: dict[str, Any]) -> None:
    """Tell which parts of the stack have ended: nothing listens at their port any more."""
    parts = {"the embedded AWS": stack["aws_endpoint"], "the emulated Twilio": stack["twilio_url"]}
    down = [name for name, url in parts.items() if not await listens(url)]
    since = (world.get("status", "pulse") or {}).get("since")
    world.put("status", "pulse", {"down": down, "since": (since or now_ms()) if down else None})


async def listens(url: str) -> bool:
    """Whether anything listens at the URL's port."""
    where = urllib.parse.urlsplit(url)
    try:
        _, writer = await asyncio.open_connection(where.hostname, where.port)
    except OSError:
        return False
    writer.close()
    return True


class QueueWatcher:
    """Reads how deep the send queue and the dead-letter queue are, and what lies in the latter."""

    def __init__(self, world: World, sqs: Any, outputs: dict[str, str]) -> None:
        self._world = world
        self._sqs = sqs
        self._queue, self._dead = outputs["SendQueueUrl"], outputs["SendDeadLetterQueueUrl"]
        self._waiting_since: int | None = None

    async def follow(self) -> None:
        """Look every second, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(1)

    async def look(self) -> None:
        """Look once."""
        queue, dead = (
            await asyncio.to_thread(self._depth, self._queue),
            await asyncio.to_thread(self._depth, self._dead),
        )
        depth = queue["waiting"] + queue["delayed"]
        self._waiting_since = (self._waiting_since or now_ms()) if depth else None
        self._world.put("status", "queue", {**queue, "since": self._waiting_since, "dead": dead["waiting"]})
        if dead["waiting"] != len(self._world.of("dead")):
            await self._read_dead()

    def _depth(self, url: str) -> dict[str, int]:
        attributes = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        names = {"waiting": "", "in_flight": "NotVisible", "delayed": "Delayed"}
        return {name: int(attributes[f"ApproximateNumberOfMessages{part}"]) for name, part in names.items()}

    async def _read_dead(self) -> None:
        """Peek: received with no visibility timeout, a message stays where it is."""
        found: dict[str, dict[str, Any]] = {}
        for _ in range(10):
            answer = await asyncio.to_thread(
                self._sqs.receive_message, QueueUrl=self._dead, MaxNumberOfMessages=10, VisibilityTimeout=0,
                AttributeNames=["SentTimestamp"],
            )  # fmt: skip
            new = [m for m in answer.get("Messages", []) if m["MessageId"] not in found]
            found |= {m["MessageId"]: _dead_letter(m) for m in new}
            if not new:
                break
        self._world.replace("dead", found)


def _dead_letter(message: dict[str, Any]) -> dict[str, Any]:
    try:
        body = json.loads(message["Body"])
    except ValueError:
        body = {"poison": message["Body"]}
    sent_at = int(message.get("Attributes", {}).get("SentTimestamp", now_ms()))
    return {"id": message["MessageId"], "at": sent_at, "body": body}


class LogWatcher:
    """Reads the functions' logs, and puts each invocation's lines together."""

    def __init__(self, world: World, records: Records, logs: Any, outputs: dict[str, str]) -> None:
        self._world = world
        self._records = records
        self._logs = logs
        self._groups = {f"/aws/lambda/{name_alone(outputs[name])}": name_alone(outputs[name]) for name in _FUNCTIONS}
        self._from = dict.fromkeys(self._groups, 0)
        self._seen: dict[str, set[str]] = {group: set() for group in self._groups}
        self._open: dict[str, dict[str, Any]] = {}

    async def follow(self) -> None:
        """Look every second, for ever."""
        while True:
            for group in self._groups:
                for event in await asyncio.to_thread(self._news, group):
                    self._line(self._groups[group], event)
            await asyncio.sleep(1)

    def _news(self, group: str) -> list[dict[str, Any]]:
        answer = self._logs.filter_log_events(logGroupName=group, startTime=self._from[group])
        events = [event for event in answer["events"] if _identity(event) not in self._seen[group]]
        if events:
            self._from[group] = max(event["timestamp"] for event in events)
            newest = [e for e in answer["events"] if e["timestamp"] >= self._from[group]]
            self._seen[group] = {_identity(event) for event in newest}
        return events

    def _line(self, function: str, event: dict[str, Any]) -> None:
        text = event["message"].rstrip("\n")
        stream = event["logStreamName"]
        if started := _START.match(text):
            self._open[stream] = {"id": started.group(1), "function": function, "lines": [], "message_ids": []}
        invocation = self._open.get(stream)
        if invocation is None:
            return
        if not _PLATFORM.match(text):
            self._take(invocation, text)
        elif report := _REPORT.match(text):
            ms = float(report.group(2))
            done = {**invocation, "end": event["timestamp"], "at": round(event["timestamp"] - ms), "ms": ms}
            del self._open[stream]
            if invocation["lines"]:  # a sweep that found nothing is not worth a line
                self._world.put("invocation", invocation["id"], done)

    def _take(self, invocation: dict[str, Any], text: str) -> None:
        for line in text.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {"message": line}
            if isinstance(entry, dict) and "_aws" in entry:
                continue  # a metric, not a line for people
            invocation["lines"].append(line)
            message_id = entry.get("message_id") if isinstance(entry, dict) else None
            if isinstance(message_id, str) and message_id not in invocation["message_ids"]:
                invocation["message_ids"].append(message_id)
                self._records.mention(message_id)


def _identity(event: dict[str, Any]) -> str:
    """AWS gives each log event an `eventId`; the embedded AWS does not."""
    return event.get("eventId") or f"{event['logStreamName']} {event['timestamp']} {event['message']}"
