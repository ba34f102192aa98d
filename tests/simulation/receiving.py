"""The receive side's world: patients write, and Twilio calls the webhook, or fails to, and gives up after 15 seconds.

What patients wrote is the truth that the referee judges by. Webhooks are lost, doubled and late; the webhook, the bus
and Twilio's API have outages of minutes; every port call may crash. Forms are read, stored, published and reconciled by
the product's own code.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from whatsapp.adapters.dynamodb.notation import load as _load
from whatsapp.adapters.twilio.form import read_inbound
from whatsapp.domain.address import Address
from whatsapp.domain.ports import MediumUnavailableError, TwilioMessage
from whatsapp.domain.receiving.inbound import InboundMedium
from whatsapp.domain.sending.lifecycle import Status

from tests.simulation import aws
from tests.simulation.faults import Mode, Outage, Rates
from tests.simulation.hub import HOUR, MINUTE
from tests.simulation.sandbox import SimulatedApp, no_bucket
from tests.simulation.twilio import SENDER, Twilio
from tests.simulation.world import CONTACT_IDS, World

EVERY = 5 * MINUTE
LOOK_BACK = HOUR
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
        return CONTACT_IDS.of(Address(self.number or self.address))

    @property
    def stored_under(self) -> set[str]:
        """Where it may be stored: under the person's number, or under the id while that is not tied to the number."""
        return {self.contact_id, CONTACT_IDS.of(Address(self.address))}

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


class ReceivingTwilio(Twilio):
    """Twilio as the receive side meets it: new messages show up late in its list, and their files are kept."""

    def __init__(self, world: "ReceivingWorld") -> None:
        super().__init__(world.hub, world.faults, world.call, world._status_callback)
        self.tokens = world.twilio.tokens
        self.written: list[Written] = []

    def inbox(self, since: int, until: int | None) -> list[TwilioMessage]:
        """What patients wrote, newest first. One more is to another number of the account."""
        now = self._hub.now
        listed = [
            _as_listed(w)
            for w in sorted(self.written, key=lambda w: -w.at)
            if since <= w.at <= (until or w.at) and w.listed_at <= now and w.sid not in self.deleted
        ]
        return [*listed, *(replace(one, twilio_sid=f"SM{0:032x}", to=ANOTHER_NUMBER) for one in listed[-1:])]

    def message(self, sid: str) -> TwilioMessage | None:
        """A message, of ours or of a patient's."""
        written = next((w for w in self.written if w.sid == sid and w.sid not in self.deleted), None)
        return _as_listed(written) if written else super().message(sid)

    def media_of(self, sid: str) -> list[InboundMedium]:
        """The media of a message."""
        written = next(w for w in self.written if w.sid == sid)
        return [InboundMedium(url=written.medium(n), content_type="image/jpeg") for n in range(written.media)]


class ReceivingBus(aws.Bus):
    """The bus, with a rule that brings messages with media back to us; rules, too, deliver at least once, or late."""

    def __init__(self, world: "ReceivingWorld") -> None:
        super().__init__(world.call)
        self._world = world
        self.taken_at: list[int] = []
        """When each event was taken."""

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's own spelling
        """Publish; in an outage it answers 200 and takes nothing, as PutEvents does."""
        if self._world.faults.outage("bus", self._world.hub.now):
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
        if self._world.faults.outage("twilio", self._world.hub.now):
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

        self._world.call("delete_objects", delete, slow=500, lost=no_bucket, refused=no_bucket)

    def _call(self, name: str, effect: Callable[[], Any]) -> Any:
        return self._world.call(name, effect, slow=500, lost=_no_medium, refused=_no_medium)


class ReceivingWorld(World):
    """One schedule's world, seen from the patients' side."""

    app_class = ReceivingApp
    timeout = TIMEOUT
    swept_by: ClassVar = World.swept_by | {"status": "_reconcile", "media": "_sweep_media"}

    def __init__(
        self,
        seed: int,
        rates: Rates,
        outages: Sequence[Outage] = (),
        script: Mapping[int, Mode] | None = None,
    ) -> None:
        super().__init__(seed, rates, script)
        self.faults.outages = outages
        self.files = Files(self)
        self.received = ReceivingTwilio(self)
        self.twilio = self.received
        self.received_bus = ReceivingBus(self)
        self.bus = self.received_bus
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

    def media_rule(self, message_id: str) -> None:
        """The bus's rule calls the function; now and then it does not, or twice."""
        for _ in range(self.faults.rng.choice((0, 1, 1, 1, 2)) if self.faults.rates.call else 1):
            self.hub.at(self.hub.now + self.faults.between(50, 5_000), lambda: self._store_media(message_id))

    def _store_media(self, message_id: str) -> None:
        self._invoke("media", lambda app, deadline: app.store_media(message_id, deadline), lambda _: None)

    # --- what the schedules do -------------------------------------------------------------------------------------

    def reconcile_until(self, ends: int) -> None:
        """Every five minutes until then; afterwards only when something is due."""
        at = self.hub.now
        while at < ends:
            at += EVERY
            self.hub.at(at, self._reconcile)

    def _sweep_media(self) -> None:
        self._task("media", lambda app, deadline: app.store_media.sweep(deadline))

    # --- inside ----------------------------------------------------------------------------------------------------

    def _bring(self, written: Written) -> None:
        form = read_inbound(written.form)
        self._webhook("inbound", lambda app, _: app.receive_message(form), lambda: None)

    def _watch(self) -> None:
        """Nothing moves back."""
        super()._watch()
        for item in self.tables["messages"]:
            if item.get("direction", {}).get("S") == "outbound":
                self._watch_status(item["message_id"]["S"], Status(item["status"]["S"]))
            else:
                self.stored_at.setdefault(item["message_id"]["S"], self.hub.now)
        for item in self.tables["contacts"]:
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

    # --- the referee's view ----------------------------------------------------------------------------------------

    @property
    def erased(self) -> dict[str, int]:
        """Contacts whose erasure was confirmed, and when it was asked for."""
        return {CONTACT_IDS.of(Address(e.address)): e.asked_at for e in reversed(self.script.erasures)}

    @property
    def erasure_confirmed(self) -> dict[str, int]:
        """When it was confirmed."""
        return {CONTACT_IDS.of(Address(e.address)): e.confirmed_at for e in reversed(self.script.erasures)}

    def stored(self) -> dict[str, dict[str, Any]]:
        """Every inbound record as it is stored."""
        items = [_load(item) for item in self.tables["messages"]]
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


def _no_medium() -> Any:
    raise MediumUnavailableError("simulated")
