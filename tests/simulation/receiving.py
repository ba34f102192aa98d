"""The receive side's world: patients write, and Twilio calls the webhook, or fails to, and gives up after 15 seconds.

What patients wrote is the truth that the referee judges by. Webhooks are lost, doubled and late; the webhook, the bus
and Twilio's API have outages of minutes; every port call may crash. Forms are read, stored, published and reconciled by
the product's own code.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

from botocore.exceptions import ClientError
from whatsapp.adapters.dynamodb.notation import load as _load
from whatsapp.adapters.twilio.form import read_inbound
from whatsapp.domain.address import Address
from whatsapp.domain.contact import ContactIds
from whatsapp.domain.ports import MediumUnavailableError, StatusUpdate, TwilioMessage, TwilioUnavailable
from whatsapp.domain.receiving.inbound import InboundMedium
from whatsapp.domain.sending.lifecycle import Status

from tests.simulation import aws
from tests.simulation import world as world_module
from tests.simulation.faults import Mode, Rates
from tests.simulation.hub import HOUR, MINUTE
from tests.simulation.sandbox import SimulatedApp
from tests.simulation.twilio import SENDER, Entry, Twilio
from tests.simulation.world import World

EVERY = 5 * MINUTE
LOOK_BACK = HOUR
TWILIO_TRIES_FOR = 15_000
TIMEOUT = 60_000
"""The webhook function's."""
ANOTHER_NUMBER = "+14155550199"
MEDIA = "https://api.twilio.com/2010-04-01/Accounts/AC/Messages/{sid}/Media/ME{index}"


RANK = {
    Status.UNKNOWN: 1,
    Status.UNRESOLVED: 1,
    Status.SENT: 2,
    Status.UNDELIVERED: 3,
    Status.FAILED: 3,
    Status.DELIVERED: 4,
    Status.READ: 5,
}
"""Callbacks come in any order: a status only ever replaces one of a lower rank."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a patient wrote: the truth."""

    sid: str
    address: str
    at: int
    text: str = ""
    media: int = 0
    listed_at: int = 0
    more: dict[str, str] = field(default_factory=dict)
    number: str = ""
    """The writer's, where `address` hides it."""

    @property
    def contact_id(self) -> str:
        """The person's own, also where the form hides the number."""
        return ContactIds("simulated").of(Address(self.number or self.address))

    @property
    def stored_under(self) -> set[str]:
        """Where it may be stored: under the person's number, or under the id while that is not tied to the number."""
        return {self.contact_id, ContactIds("simulated").of(Address(self.address))}

    @property
    def form(self) -> dict[str, str]:
        """The webhook's form."""
        form = {
            "MessageSid": self.sid,
            "From": f"whatsapp:{self.address}",
            "To": f"whatsapp:{SENDER}",
            "Body": self.text,
        }
        for index in range(self.media):
            form |= {f"MediaUrl{index}": self.medium(index), f"MediaContentType{index}": "image/jpeg"}
        return form | self.more

    def medium(self, index: int) -> str:
        """The URL of one of its media."""
        return MEDIA.format(sid=self.sid, index=index)


def _as_listed(written: Written) -> TwilioMessage:
    return TwilioMessage(
        twilio_sid=written.sid,
        status="received",
        direction="inbound",
        from_=written.address,
        to=SENDER,
        body=written.text,
        date_created=written.at // 1000 * 1000,
        num_media=written.media,
    )


@dataclass(frozen=True, slots=True)
class Outage:
    """What does not work for a while: `webhook`, `bus` or `api`."""

    what: str
    begins: int
    ends: int


class ReceivingTwilio(Twilio):
    """Twilio as the receive side meets it: it lists what patients wrote, and keeps their files."""

    def __init__(self, world: "ReceivingWorld") -> None:
        super().__init__(world.hub, world.faults, world.call, world._status_callback, world._lane_of)
        self._world = world
        self.written: list[Written] = []
        self.deleted: set[str] = set()

    def list_received(self, since: int, until: int | None = None) -> Iterator[TwilioMessage]:
        """What patients wrote, newest first; new messages show up late. One is to another number of the account."""

        def shown() -> list[TwilioMessage]:
            now = self._hub.now
            listed = [
                _as_listed(w)
                for w in sorted(self.written, key=lambda w: -w.at)
                if since <= w.at <= (until or w.at) and w.listed_at <= now and w.sid not in self.deleted
            ]
            return [*listed, *(replace(one, twilio_sid=f"SM{0:032x}", to=ANOTHER_NUMBER) for one in listed[-1:])]

        yield from self._asked("list received", shown)

    def media_of(self, twilio_sid: str) -> Sequence[InboundMedium]:
        """The media of a message."""
        written = next(w for w in self.written if w.sid == twilio_sid)
        media = [InboundMedium(url=written.medium(n), content_type="image/jpeg") for n in range(written.media)]
        found: list[InboundMedium] = self._asked("media of", lambda: media)
        return found

    def fetch(self, twilio_sid: str) -> TwilioMessage | None:
        """A message, of ours or of a patient's."""
        entry = next((e for e in self.ledger if e.sid == twilio_sid), None)
        written = next((w for w in self.written if w.sid == twilio_sid and w.sid not in self.deleted), None)

        def known() -> TwilioMessage | None:
            return self._listed(entry) if entry else _as_listed(written) if written else None

        found: TwilioMessage | None = self._asked("fetch", known)
        return found

    def delete(self, twilio_sid: str) -> None:
        """Delete a message."""
        self._asked("delete", lambda: self.deleted.add(twilio_sid))

    def _asked(self, name: str, answer: Callable[[], Any]) -> Any:
        if self._world.is_out("api"):
            raise TwilioUnavailable("simulated")
        return self._call(name, answer, slow=300, lost=_unavailable, refused=_unavailable)


class ReceivingBus(aws.Bus):
    """The bus, with a rule that brings messages with media back to us; rules, too, deliver at least once, or late."""

    def __init__(self, world: "ReceivingWorld") -> None:
        super().__init__(world.call)
        self._world = world
        self.taken_at: list[int] = []
        """When each event was taken."""

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's own spelling
        """Publish; in an outage it answers 200 and takes nothing, as PutEvents does."""
        if self._world.is_out("bus"):
            refused = [{"ErrorCode": "InternalFailure"} for _ in Entries]
            return {"FailedEntryCount": len(Entries), "Entries": refused}
        try:
            return super().put_events(Entries=Entries)
        finally:
            while len(self.taken_at) < len(self.events):
                event = self.events[len(self.taken_at)]
                self.taken_at.append(self._world.hub.now)
                if event["type"] == "message.received" and event["media"]:
                    self._world.media_rule(event["message_id"])


@dataclass(frozen=True)
class ReceivingApp(SimulatedApp):
    """The product in one sandbox, with media and erasing joined to the world."""

    world: "ReceivingWorld"

    @property
    def media_source(self) -> Any:
        """The world's Twilio."""
        return self.world.files

    @property
    def media_store(self) -> Any:
        """The world's bucket."""
        return self.world.files


class Files:
    """The `MediaSource` and `MediaStore` ports: what is at Twilio, and what is in our bucket."""

    def __init__(self, world: "ReceivingWorld") -> None:
        self._world = world
        self.bucket: dict[str, bytes] = {}

    def fetch(self, url: str) -> bytes:
        """One file of Twilio's."""
        if self._world.is_out("api"):
            raise MediumUnavailableError("simulated")
        content: bytes = self._call("fetch medium", url.encode)
        return content

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Into the bucket."""
        self._call("put_object", lambda: self.bucket.update({key: content}))

    def delete(self, url: str) -> None:
        """Nothing here asks for it."""

    def delete_all(self, contact_id: str) -> None:
        """Out of the bucket."""

        def delete() -> None:
            for key in [key for key in self.bucket if key.startswith(f"media/{contact_id}/")]:
                del self.bucket[key]

        self._world.call("delete_objects", delete, slow=500, lost=_no_bucket, refused=_no_bucket)

    def _call(self, name: str, effect: Callable[[], Any]) -> Any:
        return self._world.call(name, effect, slow=500, lost=_no_medium, refused=_no_medium)


class ReceivingWorld(World):
    """One schedule's world, seen from the patients' side."""

    def __init__(
        self,
        seed: int,
        rates: Rates,
        outages: Sequence[Outage] = (),
        script: Mapping[int, Mode] | None = None,
    ) -> None:
        super().__init__(seed, rates, script)
        self.outages = outages
        self.files = Files(self)
        self.received = ReceivingTwilio(self)
        self.twilio = self.received
        self.received_bus = ReceivingBus(self)
        self.bus = self.received_bus
        self.erased: dict[str, int] = {}
        """Contacts whose erasure was confirmed, and when it was asked for."""
        self.erasure_confirmed: dict[str, int] = {}
        self.stored_at: dict[str, int] = {}
        """When each inbound record was first there."""
        self.steps_back: list[str] = []
        """Statuses and windows that moved back: none may."""
        self._statuses: dict[str, Status] = {}
        self._windows: dict[str, int] = {}
        self._handed: set[str] = set()

    # --- what people do --------------------------------------------------------------------------------------------

    def write(self, written: Written) -> None:
        """A patient writes. Twilio brings it, perhaps twice, or cannot: then it is in its list alone."""
        self.received.written.append(written)
        self.received.last_inbound[written.address] = written.at
        if self.faults.chance(self.faults.rates.callback_lost):
            return
        for _ in range(2 if self.faults.chance(self.faults.rates.callback_doubled) else 1):
            delay = self.faults.between(10, 10_000)
            self.hub.at(self.hub.now + delay, lambda: self._bring(written))

    def erase(self, contact_id: str) -> None:
        """A person asks to be erased, until that is confirmed."""
        asked_at = self.hub.now

        def answered(answer: object) -> None:
            if isinstance(answer, dict):
                self.erased.setdefault(contact_id, asked_at)
                self.erasure_confirmed.setdefault(contact_id, self.hub.now)
            elif answer is None:
                self.hub.at(self.hub.now + MINUTE, lambda: self._erase(contact_id, answered))

        self._erase(contact_id, answered)

    def _erase(self, contact_id: str, answered: Callable[[object], None]) -> None:
        self._invoke("erase", lambda app, deadline: app.erase_contact(contact_id, deadline), answered)

    def media_rule(self, message_id: str) -> None:
        """The bus's rule calls the function; now and then it does not, or twice."""
        for _ in range(self.faults.rng.choice((0, 1, 1, 1, 2)) if self.faults.rates.call else 1):
            self.hub.at(self.hub.now + self.faults.between(50, 5_000), lambda: self._store_media(message_id))

    def _store_media(self, message_id: str) -> None:
        self._invoke("media", lambda app, deadline: app.store_media(message_id, deadline), lambda _: None)

    def is_out(self, what: str) -> bool:
        """Whether it does not work now."""
        return any(o.what == what and o.begins <= self.hub.now < o.ends for o in self.outages)

    # --- what the schedules do -------------------------------------------------------------------------------------

    def reconcile_until(self, ends: int) -> None:
        """Every five minutes until then; afterwards only when something is due."""
        at = self.hub.now
        while at < ends:
            at += EVERY
            self.hub.at(at, self._reconcile)

    def _reconcile(self) -> None:
        for _ in range(2 if self.faults.chance(self.faults.rates.redelivered) else 1):
            self._invoke("reconcile", lambda app, deadline: app.reconcile(deadline), lambda _: None)

    def _sweep_media(self) -> None:
        self._invoke("media", lambda app, deadline: app.store_media.sweep(deadline), lambda _: None)

    def _plan_sweeps(self) -> None:
        is_stale = self._stale
        super()._plan_sweeps()
        if not is_stale:
            return
        due: dict[str, int] = {}
        for item in self.tables.items("messages"):
            if (shard := item.get("due_shard")) and shard["S"][:5] in ("erase", "statu", "media", "words"):
                kind = shard["S"].split("#")[0]
                due[kind] = min(due.get(kind, 1 << 62), int(item["due_at"]["N"]))
        sweeps = {
            "erase": self._sweep_erasures,
            "status": self._reconcile,
            "words": self._reconcile,
            "media": self._sweep_media,
        }
        for kind, sweep in sweeps.items():
            if kind in due:
                self._plan(kind, due[kind], sweep)

    def _sweep_erasures(self) -> None:
        self._invoke("erasures", lambda app, deadline: app.erase_contact.sweep(deadline), lambda _: None)

    # --- inside ----------------------------------------------------------------------------------------------------

    @contextmanager
    def installed(self) -> Iterator["ReceivingWorld"]:
        """As every world, with its own kind of sandbox."""
        with ExitStack() as stack:
            stack.enter_context(patch.object(world_module, "SimulatedApp", ReceivingApp))
            stack.enter_context(patch.object(world_module, "TIMEOUT", TIMEOUT))
            stack.enter_context(super().installed())
            yield self

    def _bring(self, written: Written, until: int | None = None) -> None:
        """The webhook; Twilio comes again for 15 seconds if it fails, and then never."""
        until = until or self.hub.now + TWILIO_TRIES_FOR
        form = read_inbound(written.form)

        def answered(result: object) -> None:
            if result is None and self.hub.now < until:
                self.hub.at(self.hub.now + 3_000, lambda: self._bring(written, until))

        if self.is_out("webhook"):
            answered(None)
        else:
            self._invoke("inbound", lambda app, _: app.receive_message(form), answered)

    def _status_callback(self, entry: Entry, update: StatusUpdate) -> None:
        if not self.is_out("webhook"):
            super()._status_callback(entry, update)

    def _watch_contacts(self) -> None:
        """After every write: nothing moves back."""
        super()._watch_contacts()
        for item in self.tables.items("messages"):
            if item.get("direction", {}).get("S") == "outbound":
                self._watch_status(item["message_id"]["S"], Status(item["status"]["S"]))
            else:
                self.stored_at.setdefault(item["message_id"]["S"], self.hub.now)
        for item in self.tables.items("contacts"):
            contact_id, at = item["contact_id"]["S"], int(item.get("last_inbound_at", {"N": "0"})["N"])
            if at < self._windows.get(contact_id, 0) and not {"erased_at", "alias_of"} & item.keys():
                self.steps_back.append(f"the window of {contact_id} was closed early")
            self._windows[contact_id] = at

    def _watch_status(self, message_id: str, status: Status) -> None:
        before = self._statuses.get(message_id, Status.PENDING)
        accepted = before in (Status.SENT, Status.UNDELIVERED, Status.DELIVERED, Status.READ)
        if accepted and RANK.get(status, 0) < RANK.get(before, 0):
            self.steps_back.append(f"{message_id} went from {before} to {status}")
        self._statuses[message_id] = status

    def _failed(self, error: Exception) -> None:
        inner = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
        if rest := [one for one in inner if not isinstance(one, TwilioUnavailable)]:
            super()._failed(ExceptionGroup("", rest))

    # --- the referee's view ----------------------------------------------------------------------------------------

    def stored(self) -> dict[str, dict[str, Any]]:
        """Every inbound record as it is stored."""
        items = [_load(item) for item in self.tables.items("messages")]
        return {item["message_id"]: item for item in items if item.get("direction") == "inbound"}

    def published_at(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Every event, and when the bus took it."""
        return zip(self.bus.events, self.received_bus.taken_at, strict=True)

    def published(self, detail_type: str) -> dict[str, list[dict[str, Any]]]:
        """What the bus took, by event_id."""
        found: dict[str, list[dict[str, Any]]] = {}
        for event in self.bus.events:
            if event["type"] == detail_type:
                found.setdefault(event["event_id"], []).append(event)
        return found


def same(events: list[dict[str, Any]]) -> bool:
    """Whether an event was the same each time."""
    return len({json.dumps(event, sort_keys=True) for event in events}) == 1


def _unavailable() -> Any:
    raise TwilioUnavailable("simulated")


def _no_bucket() -> Any:
    raise ClientError({"Error": {"Code": "SlowDown", "Message": "simulated"}}, "simulated")


def _no_medium() -> Any:
    raise MediumUnavailableError("simulated")
