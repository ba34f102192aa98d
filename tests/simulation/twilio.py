"""Twilio as the send path meets it: a ledger of what it accepted, callbacks, and a list that lags.

The ledger is the referee's only witness. What Twilio knows is true; what it tells is late, lost, doubled or disordered.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
from whatsapp.domain.ports import (
    Accepted,
    InDoubt,
    NotSent,
    Outcome,
    OutgoingPost,
    Rejected,
    StatusUpdate,
    TwilioMessage,
)
from whatsapp.domain.sending.message import SendKind

from tests.simulation.faults import Faults, Mode
from tests.simulation.hub import HOUR, MINUTE, Hub

SENDER = "+14155550100"
HANGS_FOR = 13_000
"""Connect and read timeout of our HTTP client together."""
LATEST_ACCEPTANCE = 10 * MINUTE
LONGEST_LIST_LAG = 40 * MINUTE
LATEST_CALLBACK = 90 * MINUTE
WINDOW = 24 * HOUR

REJECTIONS = (
    (21211, 400), (21610, 400), (63003, 400), (63016, 400), (63041, 400), (20003, 401), (None, 403), (20429, 429),
    (None, 429), (30008, 400), (63018, 429), (21656, 400), (99999, 400),
)  # fmt: skip
"""Codes (None: none given) and HTTP status of answers that certainly sent nothing."""
LATE_CODES = (63016, 63024, 30008, 63018, 63013, 63042, 30410, 99999)


@dataclass(kw_only=True)
class Entry:
    """One message that Twilio accepted."""

    sid: str
    to: str
    body: str
    is_template: bool
    message_id: str
    attempt: str
    kind: str
    posted_at: int
    accepted_at: int
    listed_at: int
    status: str = "queued"
    code: int | None = None
    told: list[str] = field(default_factory=list)
    """The statuses whose callback our webhook answered with a 2xx."""

    @property
    def failed(self) -> bool:
        """Whether it never reached the phone."""
        return self.status in ("failed", "undelivered")


@dataclass(kw_only=True)
class Attempt:
    """One POST that reached Twilio, whatever became of it."""

    message_id: str
    to: str
    kind: str
    """Whether the record takes part in the hourly limit, as it stood when the POST began."""
    at: int


class Twilio:
    """The `Gateway` port. Its time is the true one; our sandboxes' clocks may be off."""

    def __init__(
        self,
        hub: Hub,
        faults: Faults,
        call: Callable[..., Any],
        deliver: Callable[[Entry, StatusUpdate], None],
        lane_of: Callable[[str], str] = lambda _: SendKind.PROACTIVE,
    ) -> None:
        self._hub = hub
        self._faults = faults
        self._call = call
        self._deliver = deliver
        self._lane_of = lane_of
        self.ledger: list[Entry] = []
        self.posts: list[Attempt] = []
        self.answers: list[Outcome] = []
        """What it says to the next POSTs, accepting nothing, where a test wants something certain."""
        self.last_inbound: dict[str, int] = {}
        """When a patient last wrote, by address: WhatsApp's own idea of the window."""

    # --- the port --------------------------------------------------------------------------------------------------

    def prepare(self, post: OutgoingPost) -> Callable[[], Outcome]:
        """What posts the message."""
        return lambda: self._post(post)

    def _post(self, post: OutgoingPost) -> Outcome:
        """Take a message, or not, or say nothing of it."""
        _, _, _, message_id, attempt = post.status_path.split("/")
        tried = Attempt(message_id=message_id, to=post.to, kind=self._lane_of(message_id), at=self._hub.now)
        self.posts.append(tried)

        def accept(delay: int = 0) -> Outcome:
            entry = self._entry(post, attempt, tried, self._hub.now + delay)
            self._hub.at(entry.accepted_at, lambda: self._accepted(entry))
            return Accepted(entry.sid)

        def accepted_late() -> Outcome:
            accept(self._faults.rng.randint(1, LATEST_ACCEPTANCE))
            return self._hang(InDoubt("simulated: timeout"))

        ways: list[Callable[[], Outcome]] = [
            lambda: NotSent("simulated: refused"),
            lambda: Rejected(*self._faults.rng.choice(REJECTIONS)),
            lambda: Rejected(*self._faults.rng.choice(REJECTIONS)),
            lambda: InDoubt("simulated: 503"),
            lambda: accept() and InDoubt("simulated: 500"),
            lambda: accept() and InDoubt("simulated: cut short"),
            lambda: self._hang(InDoubt("simulated: timeout")),
            lambda: accept() and self._hang(InDoubt("simulated: timeout")),
        ]
        way: Callable[[], Outcome] = accept
        if self.answers:
            answer = self.answers.pop(0)
            way = lambda: answer  # noqa: E731 - one of several ways
        elif self._faults.chance(self._faults.rates.post):
            late = self._faults.chance(self._faults.rates.accepted_late)
            way = accepted_late if late else self._faults.rng.choice(ways)
        outcome: Outcome = self._call(
            "post",
            way,
            slow=800,
            lost=lambda: InDoubt("simulated: reset"),
            refused=lambda: NotSent("simulated: refused"),
        )
        return outcome

    def is_answering(self) -> bool:
        """A question that any answer answers."""
        return bool(self._call("is_answering", lambda: True, slow=500, lost=lambda: False, refused=lambda: False))

    def list_sent_to(self, to: str, since: int) -> Sequence[TwilioMessage]:
        """What the list shows by now, newest first."""

        def shown() -> list[TwilioMessage]:
            visible = [e for e in self.ledger if e.to == to and e.listed_at <= self._hub.now and e.accepted_at >= since]
            return [self._listed(e) for e in sorted(visible, key=lambda e: -e.accepted_at)]

        found: list[TwilioMessage] = self._call("list", shown, slow=500, lost=_down, refused=_down)
        return found

    def list_sent(self, since: int) -> Iterator[TwilioMessage]:
        """What the list shows by now of everything that we sent, newest first."""

        def shown() -> list[TwilioMessage]:
            visible = [e for e in self.ledger if e.listed_at <= self._hub.now and e.accepted_at >= since]
            return [self._listed(e) for e in sorted(visible, key=lambda e: -e.accepted_at)]

        yield from self._call("list sent", shown, slow=500, lost=_down, refused=_down)

    def fetch(self, twilio_sid: str) -> TwilioMessage | None:
        """One message."""
        known = {e.sid: e for e in self.ledger}
        found: TwilioMessage | None = self._call(
            "fetch",
            lambda: self._listed(known[twilio_sid]) if twilio_sid in known else None,
            slow=300,
            lost=_down,
            refused=_down,
        )
        return found

    # --- inside ----------------------------------------------------------------------------------------------------

    def _entry(self, post: OutgoingPost, attempt: str, tried: Attempt, accepted_at: int) -> Entry:
        lags = self._faults.chance(self._faults.rates.list_lag)
        lag = self._faults.rng.randint(MINUTE, LONGEST_LIST_LAG) if lags else 0
        return Entry(
            sid=f"SM{self._faults.rng.getrandbits(128):032x}",
            to=post.to,
            body=(post.rendered if post.content_sid else post.body) or "",
            is_template=post.content_sid is not None,
            message_id=tried.message_id,
            attempt=attempt,
            kind=tried.kind,
            posted_at=tried.at,
            accepted_at=accepted_at,
            listed_at=accepted_at + lag,
        )

    def _accepted(self, entry: Entry) -> None:
        self.ledger.append(entry)
        at = entry.accepted_at
        for status, code in self._fate(entry):
            at += self._faults.between(50, 20_000 if status == "sent" else 10 * MINUTE)
            self._hub.at(at, lambda status=status, code=code: self._becomes(entry, status, code))  # type: ignore[misc]  # mypy cannot infer a lambda with defaults

    def _fate(self, entry: Entry) -> list[tuple[str, int | None]]:
        """What becomes of it: outside of WhatsApp's window free-form text always fails."""
        open_until = self.last_inbound.get(entry.to, -WINDOW) + WINDOW
        if not entry.is_template and entry.accepted_at >= open_until:
            return [("failed", 63016)]
        if self._faults.chance(self._faults.rates.late_failure):
            code = self._faults.rng.choice(LATE_CODES)
            status = self._faults.rng.choice(("failed", "undelivered"))
            return [(status, code)] if self._faults.chance(0.5) else [("sent", None), (status, code)]
        told: list[tuple[str, int | None]] = [("sent", None), ("delivered", None), ("read", None)]
        return told[: self._faults.rng.randint(1, 3)]

    def _becomes(self, entry: Entry, status: str, code: int | None) -> None:
        entry.status, entry.code = status, code
        if self._faults.chance(self._faults.rates.callback_lost):
            return
        late = self._faults.chance(self._faults.rates.callback_late)
        times = 2 if self._faults.chance(self._faults.rates.callback_doubled) else 1
        update = StatusUpdate(
            message_id=entry.message_id, attempt=entry.attempt, twilio_sid=entry.sid, status=status, error_code=code
        )
        for _ in range(times):
            delay = self._faults.between(10, LATEST_CALLBACK if late else 2_000)
            self._hub.at(self._hub.now + delay, lambda: self._deliver(entry, update))

    def _hang(self, outcome: Outcome) -> Outcome:
        self._hub.pause(HANGS_FOR)
        return outcome

    def _listed(self, entry: Entry) -> TwilioMessage:
        return TwilioMessage(
            twilio_sid=entry.sid,
            status=entry.status,
            direction="outbound-api",
            from_=SENDER,
            to=entry.to,
            body=entry.body,
            date_created=entry.accepted_at // 1000 * 1000,
            error_code=entry.code,
        )


def _down() -> Any:
    raise requests.exceptions.ConnectionError("simulated: Twilio's list is down")


__all__ = ["Attempt", "Entry", "Mode", "Twilio"]
