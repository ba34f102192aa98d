"""Twilio as the product meets it: a ledger of what it accepted, callbacks, and a list that lags.

The ledger is the referee's only witness. What Twilio knows is true; what it tells is late, lost, doubled or disordered.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from whatsapp.adapters.twilio.credentials import TwilioSecret
from whatsapp.domain.ports import (
    Accepted,
    ContentUnavailable,
    InDoubt,
    NotSent,
    Outcome,
    OutgoingPost,
    Rejected,
    StatusUpdate,
    TwilioMessage,
    TwilioUnavailable,
)
from whatsapp.domain.receiving.inbound import InboundMedium
from whatsapp.domain.sending.twilio_codes import INVALID_TO, Binds, row_for

from tests.simulation.faults import Faults
from tests.simulation.hub import HOUR, MINUTE, Hub

SENDER = "+14155550100"
HANGS_FOR = 13_000
"""Connect and read timeout of our HTTP client together."""
LATEST_ACCEPTANCE = 10 * MINUTE
LONGEST_LIST_LAG = 40 * MINUTE
LATEST_CALLBACK = 90 * MINUTE
WINDOW = 24 * HOUR
PAUSED = 63041
"""The code of a template that WhatsApp paused."""

REGION_DISABLED = 21408
"""The code of a region that the account may not send to: an operator can mend it."""

REJECTIONS = (
    (INVALID_TO, 400), (21610, 400), (63003, 400), (63016, 400), (63041, 400), (20003, 401), (None, 403), (20429, 429),
    (None, 429), (30008, 400), (63018, 429), (21656, 400), (99999, 400),
)  # fmt: skip
"""Codes (None: none given) and HTTP status of answers that certainly sent nothing."""
META = 63018
"""The code of Meta's limit, which binds only what goes outside the window, and is told by callback."""
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
    at: int


class Twilio:
    """Twilio's account. Its time is the true one; our sandboxes' clocks may be off."""

    def __init__(
        self, hub: Hub, faults: Faults, call: Callable[..., Any], deliver: Callable[[Entry, StatusUpdate], None]
    ) -> None:
        self._hub = hub
        self._faults = faults
        self._call = call
        self._deliver = deliver
        self.ledger: list[Entry] = []
        self.posts: list[Attempt] = []
        self.answers: list[Outcome] = []
        """What it says to the next POSTs, accepting nothing, where a test wants something certain."""
        self.received: dict[str, TwilioMessage] = {}
        """What patients wrote, by sid."""
        self.deleted: set[str] = set()
        self.last_inbound: dict[str, int] = {}
        """When a patient last wrote, by address: WhatsApp's own idea of the window."""
        self.tokens: set[str] = set()
        """The auth tokens that it takes: the primary and the secondary."""
        self.refused: list[tuple[int, int]] = []
        """Which sandbox, by number, came with a token that it did not take, and when."""
        self.stopped: dict[str, str] = {}
        """The ContentSids that WhatsApp does not send, with their status: paused, or pending still."""
        self.contents: dict[str, list[str]] = {}
        """The contents that choices are sent with, by name, oldest first."""
        self.takes_ids = True
        """Whether `To` may be a business-scoped id."""
        self.limited: list[int] = []
        """When POSTs came that met a limit of our sender."""
        self.throttled: list[int] = []
        """When we were told of such a limit, by an answer, a callback or the list, whether there was one or not."""
        self.unanswered: list[int] = []
        """When POSTs came that got no answer."""

    # --- its API ---------------------------------------------------------------------------------------------------

    def post(self, post: OutgoingPost, token: str) -> Outcome:
        """Take a message, or not, or say nothing of it."""
        _, _, _, message_id, attempt = post.status_path.split("/")
        tried = Attempt(message_id=message_id, to=post.to, at=self._hub.now)
        self.posts.append(tried)

        def accept(delay: int = 0) -> Outcome:
            entry = self._entry(post, attempt, tried, self._hub.now + delay)
            self._hub.at(entry.accepted_at, lambda: self._accepted(entry))
            return Accepted(entry.sid)

        outcome: Outcome = self._call(
            "post",
            lambda: self._judge(post, token) or self._way(accept),
            slow=800,
            lost=lambda: InDoubt("simulated: reset"),
            refused=lambda: NotSent("simulated: refused"),
        )
        if isinstance(outcome, Rejected):
            self._note_limit(outcome.code, outcome.http_status)
        if isinstance(outcome, (InDoubt, NotSent)):
            self.unanswered.append(tried.at)
        return outcome

    def asked(self, name: str, answer: Callable[[], Any], slow: int = 500, token: str | None = None) -> Any:
        """Any other question.

        Raises:
            TwilioUnavailable: no answer.
        """

        def known() -> Any:
            how = self._faults.outage("twilio", self._hub.now)
            if how == "hanging":
                self._hub.pause(HANGS_FOR)
            if how or (name.startswith("list") and self._faults.outage("list", self._hub.now)):
                _down()
            if token is not None and token not in self.tokens:
                raise RefusedTokenError("Twilio answered 401, code 20003")
            return answer()

        return self._call(name, known, slow=slow, lost=_down, refused=_down)

    def note_refusal(self, sandbox: int, token: str) -> None:
        """A sandbox came with a token that it does not take."""
        if token not in self.tokens:
            self.refused.append((sandbox, self._hub.now))

    def sent(self, since: int, to: str | None = None) -> list[TwilioMessage]:
        """What the list shows by now of what we sent, newest first."""
        visible = [
            e
            for e in self.ledger
            if to in (None, e.to)
            and e.listed_at <= self._hub.now
            and e.accepted_at >= since
            and e.sid not in self.deleted
        ]
        return [self._listed(e) for e in sorted(visible, key=lambda e: -e.accepted_at)]

    def inbox(self, since: int, until: int | None) -> list[TwilioMessage]:
        """What the list shows by now of what patients wrote, newest first."""
        found = [m for m in self.received.values() if since <= m.date_created <= (until or m.date_created)]
        return sorted((m for m in found if m.twilio_sid not in self.deleted), key=lambda m: -m.date_created)

    def message(self, sid: str) -> TwilioMessage | None:
        """One message of either direction; None if it was deleted."""
        if sid in self.deleted:
            return None
        entry = next((e for e in self.ledger if e.sid == sid), None)
        return self._listed(entry) if entry else self.received.get(sid)

    def media_of(self, sid: str) -> list[InboundMedium]:
        """The files of a message."""
        return []

    # --- inside ----------------------------------------------------------------------------------------------------

    def _judge(self, post: OutgoingPost, token: str) -> Outcome | None:
        """What certainly becomes of a POST now: an outage, a token that is no longer taken, a paused template."""
        match self._faults.outage("twilio", self._hub.now):
            case "refused":
                return NotSent("simulated: refused")
            case "503":
                return InDoubt("simulated: 503")
            case "hanging":
                return self._hang(InDoubt("simulated: timeout"))
        if token not in self.tokens:
            self._faults.met.add("token refused")
            return Rejected(20003, 401)
        limit = self._faults.outage("limit", self._hub.now)
        if limit is not None and int(limit) != META:
            self.limited.append(self._hub.now)
            return Rejected(int(limit), 429)
        if not self.takes_ids and not post.to.startswith("+"):
            self._faults.met.add("id refused")
            return Rejected(INVALID_TO, 400)
        if post.content_sid in self.stopped:
            self._faults.met.add("template paused")
            return Rejected(PAUSED, 400)
        if self._faults.outage("region", self._hub.now):
            return Rejected(REGION_DISABLED, 403)
        return None

    def _way(self, accept: Callable[..., Outcome]) -> Outcome:
        """What becomes of a POST otherwise, by chance."""
        if self.answers:
            return self.answers.pop(0)
        if not self._faults.chance(self._faults.rates.post):
            return accept()
        if self._faults.chance(self._faults.rates.accepted_late):
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
        return self._faults.rng.choice(ways)()

    def _entry(self, post: OutgoingPost, attempt: str, tried: Attempt, accepted_at: int) -> Entry:
        lags = self._faults.chance(self._faults.rates.list_lag)
        lag = self._faults.rng.randint(MINUTE, LONGEST_LIST_LAG) if lags else 0
        return Entry(
            sid=f"SM{self._faults.rng.getrandbits(128):032x}",
            to=post.to,
            body=(post.rendered if post.content_sid else post.body) or "",
            is_template=post.content_sid is not None and post.choices is None,
            message_id=tried.message_id,
            attempt=attempt,
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
        if entry.accepted_at >= open_until and self._faults.outage("limit", entry.accepted_at) == str(META):
            self.limited.append(entry.accepted_at)
            return [("failed", META)]
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
            self._hub.at(self._hub.now + delay, lambda: self._tell(entry, update))

    def _tell(self, entry: Entry, update: StatusUpdate) -> None:
        self._note_limit(update.error_code)
        self._deliver(entry, update)

    def _listed(self, entry: Entry) -> TwilioMessage:
        self._note_limit(entry.code)
        return _listed(entry)

    def _note_limit(self, code: int | None, http_status: int | None = None) -> None:
        if row_for(code, http_status).binds is not Binds.NOTHING:
            self.throttled.append(self._hub.now)

    def _hang(self, outcome: Outcome) -> Outcome:
        self._hub.pause(HANGS_FOR)
        return outcome


class RefusedTokenError(TwilioUnavailable):
    """Twilio does not take our auth token."""


@dataclass(frozen=True)
class Contents:
    """The part of the `ContentGateway` port that choices use. Its search shows a new content at once."""

    twilio: Twilio

    def named(self, friendly_name: str) -> str | None:
        """The oldest content of this name."""
        found: str | None = self._ask("content named", lambda: self.twilio.contents.get(friendly_name, [None])[0])
        return found

    def create(self, content: dict[str, Any]) -> str:
        """Make a content, whether or not the answer arrives."""

        def made() -> str:
            sids = self.twilio.contents.setdefault(content["friendly_name"], [])
            sids.append(f"HX{len(self.twilio.contents):016x}{len(sids):016x}")
            return sids[-1]

        return str(self._ask("content create", made))

    def _ask(self, name: str, answer: Callable[[], Any]) -> Any:
        try:
            return self.twilio.asked(name, answer)
        except TwilioUnavailable as error:
            raise ContentUnavailable(str(error)) from None


@dataclass(frozen=True)
class Gateway:
    """The `Gateway` port of one sandbox: it knows the secret as the sandbox has read it, as the real one does."""

    twilio: Twilio
    secret: TwilioSecret

    def prepare(self, post: OutgoingPost) -> Callable[[], Outcome]:
        """Read the credentials; what posts the message."""
        try:
            token = self.secret.get().auth_token
        except (ClientError, BotoCoreError):
            return lambda: NotSent("simulated: no credentials")
        return lambda: self._posted(post, token)

    def is_answering(self) -> bool:
        """A question that any answer answers."""
        try:
            self._ask("is_answering", lambda: None)
        except RefusedTokenError:
            return True
        except TwilioUnavailable:
            return False
        return True

    def list_sent_to(self, to: str, since: int) -> Sequence[TwilioMessage]:
        """What the list shows of our messages to that address, newest first."""
        found: list[TwilioMessage] = self._ask("list", lambda: self.twilio.sent(since, to))
        return found

    def list_sent(self, since: int) -> Iterator[TwilioMessage]:
        """What the list shows of our messages to anyone, newest first."""
        yield from self._ask("list sent", lambda: self.twilio.sent(since))

    def list_received(self, since: int, until: int | None = None) -> Iterator[TwilioMessage]:
        """What the list shows of what patients wrote, newest first."""
        yield from self._ask("list received", lambda: self.twilio.inbox(since, until))

    def fetch(self, twilio_sid: str) -> TwilioMessage | None:
        """One message."""
        found: TwilioMessage | None = self._ask("fetch", lambda: self.twilio.message(twilio_sid))
        return found

    def delete(self, twilio_sid: str) -> None:
        """Delete one message."""
        self._ask("delete", lambda: self.twilio.deleted.add(twilio_sid))

    def media_of(self, twilio_sid: str) -> Sequence[InboundMedium]:
        """The files of a message."""
        found: list[InboundMedium] = self._ask("media of", lambda: self.twilio.media_of(twilio_sid))
        return found

    def _posted(self, post: OutgoingPost, token: str) -> Outcome:
        outcome = self.twilio.post(post, token)
        if outcome == Rejected(20003, 401):
            self._refused(token)
        return outcome

    def _refused(self, token: str) -> None:
        self.twilio.note_refusal(id(self), token)
        self.secret.get(refresh=True)

    def _ask(self, name: str, answer: Callable[[], Any]) -> Any:
        try:
            token = self.secret.get().auth_token
        except (ClientError, BotoCoreError):
            raise TwilioUnavailable("simulated: no credentials") from None
        try:
            return self.twilio.asked(name, answer, token=token)
        except RefusedTokenError:
            self._refused(token)
            raise


def _listed(entry: Entry) -> TwilioMessage:
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
    raise TwilioUnavailable("simulated")
