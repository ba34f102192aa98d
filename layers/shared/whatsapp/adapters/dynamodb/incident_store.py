"""Incidents in DynamoDB: one item a cause, with what nobody was alerted about yet. It is due when they are to be."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Item, absent_or
from whatsapp.adapters.dynamodb.due import due_items
from whatsapp.domain.errors import Failure
from whatsapp.domain.incident import Incident

SHARD = "incident#0"
MOST_IDS = 200


class IncidentStore:
    """Incidents, each open from its first message until an alert finds nothing new."""

    def __init__(self, db: DynamoDB, messages_table: str) -> None:
        self._db = db
        self._messages = messages_table

    def record(self, incident: Incident, due_at: int) -> bool:
        """Add ids to the incident. True: it is a new one, which is due then (epoch ms)."""
        opened = self._open(incident, due_at)
        room = absent_or("ids", Attr("ids").size().lt(MOST_IDS))
        try:
            self._change(incident, add={"ids": set(incident.ids)}, condition=room)
        except ConditionFailed:
            self._change(incident, set={"is_longer": True})
        return opened

    def alerted(self, incident: Incident, due_at: int | None) -> None:
        """People know of its ids. The next alert is due then; None: it is over, unless something came meanwhile.

        One about a contact keeps its ids: they are told again until somebody acknowledges, perhaps just now.
        """
        if due_at is not None:
            told = {"delete": {"ids": set(incident.ids)}} if incident.ids and not incident.about else {}
            values = {"due_at": due_at} if incident.about else {"due_at": due_at, "is_longer": None}
            with suppress(ConditionFailed):
                self._change(incident, set=values, condition=Attr("due_at").exists(), **told)
            return
        try:
            closed = dict.fromkeys(("due_at", "due_shard"))
            self._change(incident, set=closed, condition=Attr("ids").not_exists() & Attr("is_longer").not_exists())
        except ConditionFailed:
            return

    def acknowledge(self, incident: Incident, now: int) -> bool:
        """Close it, and let DynamoDB delete it within days. False: it is not open."""
        closed = {**dict.fromkeys(("due_at", "due_shard", "ids", "is_longer")), "ttl": now // 1000}
        try:
            self._change(incident, set=closed, condition=Attr("due_at").exists())
        except ConditionFailed:
            return False
        return True

    def due(self, until: int) -> Iterator[Incident]:
        """The incidents whose alert is due, as they stand."""
        found = due_items(self._db, self._messages, SHARD, until)
        return (_incident(item) for item in found if item["due_at"] <= until)

    def postpone(self, incident: Incident, now: int, due_at: int) -> Incident | None:
        """Move a due alert before it is sent, so that two sweeps at once send it once. None: another one has it."""
        try:
            return _incident(self._change(incident, set={"due_at": due_at}, condition=Attr("due_at").lte(now)))
        except ConditionFailed:
            return None

    def _open(self, incident: Incident, due_at: int) -> bool:
        opening = {
            "state": incident.state,
            "failure": {name: value for name, value in asdict(incident.failure).items() if value is not None},
            **({"about": incident.about} if incident.about else {}),
            "due_shard": SHARD,
            "due_at": due_at,
            "ttl": None,
        }
        try:
            self._change(incident, set=opening, condition=Attr("due_at").not_exists())
        except ConditionFailed:
            return False
        return True

    def _change(self, incident: Incident, **change: Any) -> Item:
        key = {"message_id": f"incident#{incident.cause}", "entry": "incident"}
        return self._db.write(Change(table=self._messages, key=key, **change))


def _incident(item: Item) -> Incident:
    found = Incident(state=item["state"], failure=Failure(**item["failure"]), about=item.get("about"))
    return replace(found, ids=frozenset(item.get("ids", ())), is_longer=item.get("is_longer", False))
