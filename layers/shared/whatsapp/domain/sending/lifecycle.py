"""The states of an outgoing message and every step between them: one table.

The message store builds each write's condition from this table, and `docs/lifecycle.md` is generated from it.
"""

from collections.abc import Set
from enum import StrEnum

from whatsapp.domain.dataclass import dataclass


class Status(StrEnum):
    """Where a message stands. Callers see `public_status`."""

    PENDING = "pending"
    DEFERRED = "deferred"
    RETRYING = "retrying"
    CLAIMED = "claimed"
    SENDING = "sending"
    UNKNOWN = "unknown"
    UNRESOLVED = "unknown_final"
    SENT = "sent"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    DELIVERED = "delivered"
    READ = "read"
    EXPIRED = "expired"
    CANCELED = "canceled"
    REFUSED = "refused"
    RECEIVED = "received"

    @property
    def public_status(self) -> str:
        """The status that callers see."""
        return {Status.CLAIMED: "sending", Status.UNRESOLVED: "unknown"}.get(self, self.value)


WAITING = frozenset({Status.PENDING, Status.DEFERRED, Status.RETRYING})
"""Certainly not at Twilio; a claim may take it."""
IN_FLIGHT = frozenset({Status.CLAIMED, Status.SENDING, Status.UNKNOWN})
"""Its current attempt holds the contact's slot."""
IN_DOUBT = frozenset({Status.SENDING, Status.UNKNOWN, Status.UNRESOLVED})
"""Perhaps at Twilio: never posted again, settled by evidence only."""
ACCEPTED = frozenset({Status.SENT, Status.UNDELIVERED, Status.DELIVERED, Status.READ})
"""Certainly at Twilio."""
ARRIVED = frozenset({Status.DELIVERED, Status.READ})
"""Certainly on the patient's phone."""


class Slot(StrEnum):
    """What a step does to the contact's slot, if the message holds it. A reply's slot is its own."""

    UNTOUCHED = "untouched"
    TAKEN = "taken"
    """A proactive message holds it: no other one is claimed until the rate limit and a guard have passed."""
    REFUNDED = "refunded"
    """As it was before the claim: certainly nothing was sent."""
    OPENS_LATER = "opens after the rate limit"
    """Counted from Twilio's acceptance."""
    RELEASED = "released"
    """No longer in flight. It opens when the claim said: something may have been sent."""


@dataclass(frozen=True, slots=True)
class Step:
    """One allowed change: from any of `sources` to `target`."""

    name: str
    sources: frozenset[Status]
    target: Status
    slot: Slot
    meaning: str
    stoppable: bool = False
    """Fails if a cancel or an erasure asked the message to stop meanwhile."""


_PENDING, _CLAIMED, _SENDING = ({Status.PENDING}, {Status.CLAIMED}, {Status.SENDING})
_SENT = {Status.SENT}
_ARRIVED_FROM = {Status.SENT, Status.UNDELIVERED, Status.FAILED}
STEPS: list[Step] = []


def _step(
    name: str, sources: Set[Status], target: Status, slot: Slot, meaning: str, *, stoppable: bool = False
) -> Step:
    STEPS.append(Step(name, frozenset(sources), target, slot, meaning, stoppable))
    return STEPS[-1]


# fmt: off
STORE = _step("store", _PENDING, Status.PENDING, Slot.UNTOUCHED, "a new message; this invocation has no time for it")
CLAIM = _step("claim", WAITING, Status.CLAIMED, Slot.TAKEN, "one worker takes the message and the contact's slot", stoppable=True)
FENCE = _step("fence", _CLAIMED, Status.SENDING, Slot.UNTOUCHED, "the last write before the POST; a claim that was taken back fails here", stoppable=True)
ACCEPT = _step("accept", IN_DOUBT, Status.SENT, Slot.OPENS_LATER, "Twilio's answer, callback or list shows that it accepted")
RETRY = _step("retry", _CLAIMED | _SENDING, Status.RETRYING, Slot.REFUNDED, "certainly not sent: try again", stoppable=True)
TAKE_BACK = _step("take back", _CLAIMED, Status.RETRYING, Slot.REFUNDED, "the worker died before the fence", stoppable=True)
REFUSE = _step("refuse", _CLAIMED | _SENDING, Status.FAILED, Slot.REFUNDED, "Twilio or our own last look refused", stoppable=True)
GIVE_UP = _step("give up", _CLAIMED | _SENDING, Status.FAILED, Slot.REFUNDED, "the third counted attempt failed, or the account is broken: dead-letter queue", stoppable=True)
STOP = _step("stop", _CLAIMED | _SENDING, Status.CANCELED, Slot.REFUNDED, "canceled in time")
DOUBT = _step("doubt", _SENDING, Status.UNKNOWN, Slot.UNTOUCHED, "no clear answer: the slot stays held")
OVERDUE = _step("overdue", _SENDING | {Status.UNKNOWN}, Status.UNKNOWN, Slot.UNTOUCHED, "its time passed while it is in doubt: its caller hears of it, the doubt goes on")
END_DOUBT = _step("end doubt", _SENDING | {Status.UNKNOWN}, Status.UNRESOLVED, Slot.RELEASED, "no evidence within the horizon: alert")
RESEND = _step("resend", {Status.UNRESOLVED}, Status.UNRESOLVED, Slot.UNTOUCHED, "Twilio's list shows nothing and the caller asked for it: a new record continues this one")
REDRIVE = _step("redrive", {Status.FAILED}, Status.FAILED, Slot.UNTOUCHED, "the cause is mended and an operator redrives it: a new record continues this one")
RECOGNISE = _step("recognise", WAITING | _CLAIMED, Status.SENT, Slot.OPENS_LATER, "after a restore, Twilio's list shows that it had gone out")
SUSPECT = _step("suspect", WAITING | _CLAIMED | IN_DOUBT, Status.UNRESOLVED, Slot.RELEASED, "after a restore, it may be what Twilio's list shows: alert")
DEFER = _step("defer", WAITING, Status.DEFERRED, Slot.UNTOUCHED, "it must wait: rate limit, quiet hours or send_at")
EXPIRE = _step("expire", WAITING, Status.EXPIRED, Slot.UNTOUCHED, "its time passed before it could go")
CANCEL = _step("cancel", WAITING, Status.CANCELED, Slot.UNTOUCHED, "the caller canceled it")
DROP = _step("drop", WAITING, Status.FAILED, Slot.UNTOUCHED, "it may no longer go: opted out, suppressed, template gone")
FAIL = _step("fail", IN_DOUBT | _SENT, Status.FAILED, Slot.RELEASED, "a callback or the list says failed: no refund")
UNDELIVER = _step("undeliver", IN_DOUBT | _SENT, Status.UNDELIVERED, Slot.RELEASED, "a callback or the list says undelivered: no refund")
DELIVER = _step("deliver", _ARRIVED_FROM, Status.DELIVERED, Slot.UNTOUCHED, "a callback says delivered, even after one that said failed")
READ = _step("read", _ARRIVED_FROM | {Status.DELIVERED}, Status.READ, Slot.UNTOUCHED, "a callback says read")
# fmt: on
