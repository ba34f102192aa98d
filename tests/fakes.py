"""Ports that remember: small enough to be right by looking at them. Stores are never faked: moto and the real adapters
serve them, since what matters there are DynamoDB's own conditions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from whatsapp.domain.errors import MessagingError
from whatsapp.domain.events import Event
from whatsapp.domain.incident import Incident
from whatsapp.domain.ports import Letter, PublishFailed
from whatsapp.domain.sending.message import Message
from whatsapp.domain.templates.version import TemplateVersion

NOON = 1_795_503_600_000
"""24 November 2026, 12:30 in India: epoch milliseconds."""


@dataclass
class FrozenClock:
    """The `Clock` port; time passes only when told to, or in `sleep`."""

    at: int = NOON

    def now(self) -> int:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += int(seconds * 1000)


@dataclass
class RecordingBus:
    """The `EventBus` port; `down` makes it refuse."""

    events: list[Event] = field(default_factory=list)
    down: bool = False

    def publish(self, events: Sequence[Event]) -> None:
        if self.down:
            raise PublishFailed("the bus is down")
        self.events += events


@dataclass
class RecordingAlerts:
    """The `Alerts` port; `down` makes it refuse to alert about messages."""

    told: list[Message] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    templates: list[str] = field(default_factory=list)
    unreadables: list[str] = field(default_factory=list)
    down: bool = False

    def about(self, message: Message) -> None:
        if self.down:
            raise PublishFailed("the topic is down")
        self.told.append(message)

    def about_incident(self, incident: Incident) -> None:
        if self.down:
            raise PublishFailed("the topic is down")
        self.incidents.append(incident)

    def about_template(self, version: TemplateVersion, change: str, serving: TemplateVersion | None) -> None:
        self.templates.append(f"{version.template} {version.language} {change}")

    def unreadable(self, queue_message_id: str, error: MessagingError) -> None:
        self.unreadables.append(f"{queue_message_id} {error.code}")


@dataclass
class RecordingQueue:
    """The `Queue` port; `down` makes it refuse."""

    nudges: list[tuple[str, int]] = field(default_factory=list)
    requests: list[Mapping[str, Any]] = field(default_factory=list)
    dead: list[Message] = field(default_factory=list)
    unreadables: list[str] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)
    """Bodies of whole requests in the dead-letter queue."""
    letters_asked_at: int = 0
    back: list[tuple[str, int]] = field(default_factory=list)
    waiting: int = 0
    down: bool = False

    def nudge(self, message_id: str, delay_seconds: int = 0) -> None:
        self._check()
        self.nudges.append((message_id, delay_seconds))

    def nudge_many(self, nudges: Sequence[tuple[str, int]]) -> None:
        self._check()
        self.nudges += nudges

    def backlog(self) -> int:
        self._check()
        return self.waiting

    def enqueue(self, request: Mapping[str, Any], asked_at: int) -> None:
        self.requests.append({**request, "asked_at": asked_at})

    def dead_letter(self, message: Message) -> None:
        self._check()
        self.dead.append(message)

    def dead_letter_unreadable(
        self, body: str, queue_message_id: str, error: MessagingError, asked_at: int | None = None
    ) -> None:
        self._check()
        self.unreadables.append(f"{queue_message_id} {error.code} {body}")

    def dead_letters(self) -> Iterator[Letter]:
        self._check()
        yield from (Letter(body, body, self.letters_asked_at) for body in list(self.letters))

    def delete_dead_letter(self, receipt_handle: str) -> None:
        self._check()
        self.letters.remove(receipt_handle)

    def put_back(self, receipt_handle: str, delay_seconds: int) -> None:
        self._check()
        self.back.append((receipt_handle, delay_seconds))

    def _check(self) -> None:
        if self.down:
            raise PublishFailed("the queue is down")


@dataclass
class CountingMetrics:
    """The `Metrics` port."""

    counts: dict[str, float] = field(default_factory=dict)
    """All that was counted, by name."""

    at: list[tuple[int, dict[str, float], dict[str, str]]] = field(default_factory=list)
    """What was counted at which time, and for which template and language."""

    def count(self, name: str, value: float = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + value

    def count_at(self, at: int, values: Mapping[str, float], **dimensions: str) -> None:
        self.at.append((at, dict(values), dimensions))
        for name, value in values.items():
            self.count(name, value)
