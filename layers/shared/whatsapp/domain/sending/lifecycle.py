"""The states of an outgoing message and every step between them: one table.

The message store builds each write's condition from this table, and `docs/lifecycle.md` is generated from it.
"""

from dataclasses import dataclass
from enum import StrEnum


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
    meaning: str
    slot: Slot = Slot.UNTOUCHED
    stoppable: bool = False
    """Fails if someone asked the message to stop meanwhile (a cancel or an erasure)."""


_HELD = frozenset({Status.CLAIMED, Status.SENDING})
_MAY_FAIL = IN_DOUBT | {Status.SENT}

STORE = Step("store", frozenset({Status.PENDING}), Status.PENDING, "a new message; this invocation has no time for it")
CLAIM = Step(
    "claim", WAITING, Status.CLAIMED, "one worker takes the message and the contact's slot", Slot.TAKEN, stoppable=True
)
FENCE = Step(
    "fence",
    frozenset({Status.CLAIMED}),
    Status.SENDING,
    "the last write before the POST; a claim that was taken back fails here",
    stoppable=True,
)
ACCEPT = Step(
    "accept", IN_DOUBT, Status.SENT, "Twilio's answer, callback or list shows that it accepted", Slot.OPENS_LATER
)
RETRY = Step("retry", _HELD, Status.RETRYING, "certainly not sent: try again", Slot.REFUNDED, stoppable=True)
TAKE_BACK = Step(
    "take back",
    frozenset({Status.CLAIMED}),
    Status.RETRYING,
    "the worker died before the fence",
    Slot.REFUNDED,
    stoppable=True,
)
REFUSE = Step("refuse", _HELD, Status.FAILED, "Twilio or our own last look refused", Slot.REFUNDED, stoppable=True)
GIVE_UP = Step(
    "give up",
    _HELD,
    Status.FAILED,
    "the third counted attempt failed, or the account is broken: dead-letter queue",
    Slot.REFUNDED,
    stoppable=True,
)
STOP = Step("stop", _HELD, Status.CANCELED, "canceled in time", Slot.REFUNDED)
DOUBT = Step("doubt", frozenset({Status.SENDING}), Status.UNKNOWN, "no clear answer: the slot stays held")
END_DOUBT = Step(
    "end doubt",
    frozenset({Status.SENDING, Status.UNKNOWN}),
    Status.UNRESOLVED,
    "no evidence within the horizon: alert",
    Slot.RELEASED,
)
RESEND = Step(
    "resend",
    frozenset({Status.UNRESOLVED}),
    Status.UNRESOLVED,
    "Twilio's list shows nothing and the caller asked for it: a new record continues this one",
)
REDRIVE = Step(
    "redrive",
    frozenset({Status.FAILED}),
    Status.FAILED,
    "the cause is mended and an operator redrives it: a new record continues this one",
)
DEFER = Step("defer", WAITING, Status.DEFERRED, "it must wait: rate limit, quiet hours or send_at")
EXPIRE = Step("expire", WAITING, Status.EXPIRED, "its time passed before it could go")
CANCEL = Step("cancel", WAITING, Status.CANCELED, "the caller canceled it")
DROP = Step("drop", WAITING, Status.FAILED, "it may no longer go: opted out, suppressed, template gone")
FAIL = Step("fail", _MAY_FAIL, Status.FAILED, "a callback or the list says failed: no refund", Slot.RELEASED)
UNDELIVER = Step(
    "undeliver", _MAY_FAIL, Status.UNDELIVERED, "a callback or the list says undelivered: no refund", Slot.RELEASED
)
DELIVER = Step(
    "deliver",
    frozenset({Status.SENT, Status.UNDELIVERED, Status.FAILED}),
    Status.DELIVERED,
    "a callback says delivered, even after one that said failed",
)
READ = Step("read", DELIVER.sources | {Status.DELIVERED}, Status.READ, "a callback says read")

STEPS = (
    STORE,
    CLAIM,
    FENCE,
    ACCEPT,
    RETRY,
    TAKE_BACK,
    REFUSE,
    GIVE_UP,
    STOP,
    DOUBT,
    END_DOUBT,
    RESEND,
    REDRIVE,
    DEFER,
    EXPIRE,
    CANCEL,
    DROP,
    FAIL,
    UNDELIVER,
    DELIVER,
    READ,
)
