"""The states of an outgoing message and every step between them: one table.

The DynamoDB adapter builds each write's condition from this table, and `docs/lifecycle.md` is generated from it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Where a message stands. `CLAIMED` shows as sending, `UNKNOWN_FINAL` as unknown (see `face`)."""

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
IN_DOUBT = frozenset({Status.SENDING, Status.UNKNOWN, Status.UNRESOLVED})
"""Perhaps at Twilio: never posted again, settled by evidence only."""
ACCEPTED = frozenset({Status.SENT, Status.UNDELIVERED, Status.DELIVERED, Status.READ})
"""Certainly at Twilio."""

RANK = {
    Status.PENDING: 0,
    Status.DEFERRED: 0,
    Status.RETRYING: 0,
    Status.CLAIMED: 0,
    Status.SENDING: 0,
    Status.UNKNOWN: 1,
    Status.UNRESOLVED: 1,
    Status.SENT: 2,
    Status.UNDELIVERED: 3,
    Status.FAILED: 3,
    Status.DELIVERED: 4,
    Status.READ: 5,
}
"""Callbacks arrive in any order: a status only ever replaces one of a lower rank."""


@dataclass(frozen=True, slots=True)
class Step:
    """One allowed change: from any of `sources` to `target`."""

    name: str
    sources: frozenset[Status]
    target: Status
    meaning: str


def _step(name: str, sources: frozenset[Status] | set[Status], target: Status, meaning: str) -> Step:
    return Step(name, frozenset(sources), target, meaning)


CLAIM = _step("claim", WAITING, Status.CLAIMED, "one worker takes the message and, if proactive, the contact's slot")
FENCE = _step(
    "fence", {Status.CLAIMED}, Status.SENDING, "the last write before the POST; a claim taken back fails here"
)
ACCEPT = _step("accept", IN_DOUBT, Status.SENT, "Twilio's answer, callback or list shows that it accepted")
RETRY = _step(
    "retry", {Status.CLAIMED, Status.SENDING}, Status.RETRYING, "certainly not sent: slot refunded, try again"
)
TAKE_BACK = _step("take back", {Status.CLAIMED}, Status.RETRYING, "the worker died before the fence: slot refunded")
REFUSE = _step(
    "refuse",
    {Status.CLAIMED, Status.SENDING},
    Status.FAILED,
    "Twilio or our own last look refused: slot refunded",
)
GIVE_UP = _step(
    "give up",
    {Status.CLAIMED, Status.SENDING},
    Status.FAILED,
    "the third counted attempt failed: dead-letter queue",
)
STOP = _step("stop", {Status.CLAIMED, Status.SENDING}, Status.CANCELED, "canceled in time: slot refunded")
DOUBT = _step("doubt", {Status.SENDING}, Status.UNKNOWN, "no clear answer: the slot stays held")
END_DOUBT = _step(
    "end doubt",
    {Status.SENDING, Status.UNKNOWN},
    Status.UNRESOLVED,
    "no evidence after the horizon: alert",
)
RESEND = _step(
    "resend",
    {Status.UNRESOLVED},
    Status.UNRESOLVED,
    "Twilio's list shows nothing, and the caller asked for it: a new record continues this one",
)
REDRIVE = _step(
    "redrive",
    {Status.FAILED},
    Status.FAILED,
    "people mended what made us give up: a new record continues this one",
)
DEFER = _step("defer", WAITING, Status.DEFERRED, "it must wait: limit, quiet hours or send_at")
EXPIRE = _step("expire", WAITING, Status.EXPIRED, "its time passed before it could go")
CANCEL = _step("cancel", WAITING, Status.CANCELED, "the caller called it off")
DROP = _step("drop", WAITING, Status.FAILED, "it may no longer go: opted out, suppressed, template gone")
FAIL = _step("fail", {*IN_DOUBT, Status.SENT}, Status.FAILED, "a callback or the list says failed: no refund")
UNDELIVER = _step("undeliver", {*IN_DOUBT, Status.SENT}, Status.UNDELIVERED, "a callback says undelivered: no refund")
DELIVER = _step(
    "deliver",
    {Status.SENT, Status.UNDELIVERED, Status.FAILED},
    Status.DELIVERED,
    "a callback says delivered; it outranks a failure told before",
)
READ = _step(
    "read",
    {Status.SENT, Status.UNDELIVERED, Status.FAILED, Status.DELIVERED},
    Status.READ,
    "a callback says read",
)

STEPS = (
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

BY_CALLBACK = {"sent": ACCEPT, "failed": FAIL, "undelivered": UNDELIVER, "delivered": DELIVER, "read": READ}
"""Twilio's callback words that change a message. Its `queued`, `sending` and the rest are stored and change nothing."""
