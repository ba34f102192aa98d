"""Deliberate defects, each a mistake that known gateways make or that we made: the simulation must catch them all.

A defect is put into the product's own code for as long as a `with` lasts.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from functools import wraps
from typing import Any
from unittest.mock import patch

from whatsapp.adapters.dynamodb import client as dynamodb
from whatsapp.adapters.dynamodb import clock, message_store, slots
from whatsapp.adapters.dynamodb.client import Attr, Change, absent_or
from whatsapp.adapters.dynamodb.clock import DynamoClock
from whatsapp.adapters.dynamodb.items import message_key
from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.adapters.dynamodb.slots import Slots
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.ports import InDoubt, NotSent
from whatsapp.domain.sending import lifecycle
from whatsapp.domain.sending.lifecycle import BY_CALLBACK, Status
from whatsapp.domain.sending.message import SendKind
from whatsapp.use_cases import send_message, steps, sweep_due
from whatsapp.use_cases.cancel_message import CancelMessage
from whatsapp.use_cases.resolve_doubt import ResolveDoubt
from whatsapp.use_cases.send_message import SendMessage
from whatsapp.use_cases.settle_message import SettleMessage
from whatsapp.use_cases.steps import Steps

HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class Defect:
    """A mistake in the product's code."""

    name: str
    meaning: str
    put_in: Callable[[ExitStack], None]

    @contextmanager
    def present(self) -> Iterator[None]:
        """Have it in the code."""
        with ExitStack() as stack:
            self.put_in(stack)
            yield


DEFECTS: dict[str, Defect] = {}


def _defect(meaning: str) -> Callable[[Callable[[ExitStack], None]], Callable[[ExitStack], None]]:
    def note(put_in: Callable[[ExitStack], None]) -> Callable[[ExitStack], None]:
        name = put_in.__name__.replace("_", "-")
        DEFECTS[name] = Defect(name, meaning, put_in)
        return put_in

    return note


def _replace(stack: ExitStack, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Have `make(original)` in the original's place."""
    original = getattr(owner, name)
    stack.enter_context(patch.object(owner, name, wraps(original)(make(original))))


# --- before the POST -------------------------------------------------------------------------------------------------


@_defect("the write before the POST asks for nothing: a claim taken back, canceled or expired goes all the same")
def no_fence(stack: ExitStack) -> None:
    def fence(_: Any) -> Any:
        def unconditional(self: MessageStore, message: Any, *, now: int, text: Any, content_sid: Any) -> Any:
            sending = replace(message, status=Status.SENDING, status_at=now, text=text, content_sid=content_sid)
            change = self._change(message, sending, lifecycle.FENCE)
            self._db.write(replace(change, condition=None))
            return sending

        return unconditional

    _replace(stack, MessageStore, "fence", fence)


@_defect("the contact is not read again before the POST: an opt-out in between is overlooked")
def no_last_look(stack: ExitStack) -> None:
    _replace(stack, SendMessage, "_last_look", lambda _: lambda self, sending: Contact(contact_id=sending.contact_id))


@_defect("a claim asks whether the slot is held, and believes that the holder is dead after half a minute")
def lock_expires(stack: ExitStack) -> None:
    def take(original: Any) -> Any:
        def lax(self: Slots, claimed: Any, now: int, lease: int) -> Any:
            changes = original(self, claimed, now, lease)
            if claimed.kind is SendKind.PROACTIVE:
                dead = absent_or("inflight", Attr("inflight_at").lt(now - 30_000))
                changes[0] = replace(changes[0], condition=slots._may_be_written_to(claimed) & dead)
            return changes

        return lax

    _replace(stack, Slots, "take", take)
    stack.enter_context(patch.object(Contact, "slot_opens_at", lambda *_: None))


@_defect("the limit is one message in each hour of the clock")
def hour_buckets(stack: ExitStack) -> None:
    def bucket(at: int) -> int:
        return (at // HOUR + 1) * HOUR

    def with_bucket(change: Change, at: int) -> Change:
        return replace(change, set={**change.set, "next_allowed_at": bucket(at)})

    def take(original: Any) -> Any:
        def bucketed(self: Slots, claimed: Any, now: int, lease: int) -> Any:
            changes = original(self, claimed, now, lease)
            return [with_bucket(changes[0], now)] if claimed.kind is SendKind.PROACTIVE else changes

        return bucketed

    def accepted(original: Any) -> Any:
        def bucketed(self: Slots, message: Any, at: int) -> Any:
            change = original(self, message, at)
            return with_bucket(change, at) if message.kind is SendKind.PROACTIVE else change

        return bucketed

    _replace(stack, Slots, "take", take)
    _replace(stack, Slots, "accepted", accepted)


@_defect("while a message is in flight the limit counts from its claim, with nothing to spare")
def no_guard(stack: ExitStack) -> None:
    stack.enter_context(patch.object(periods, "SLOT_GUARD", 0))


@_defect("a sandbox believes its own clock, however wrong")
def clock_unchecked(stack: ExitStack) -> None:
    stack.enter_context(patch.object(DynamoClock, "_hear", lambda *_, **__: None))


@_defect("DynamoDB's time is believed at its word, however long its answer was on its way")
def slow_answers_set_the_clock(stack: ExitStack) -> None:
    def hear(self: DynamoClock, parsed: dict[str, Any], **_: object) -> None:
        date = parsedate_to_datetime(parsed["ResponseMetadata"]["HTTPHeaders"]["date"])
        offset = int(date.timestamp() * 1000) + 500 - clock._local()
        self._offset_ms = offset if abs(offset) > 2_000 else 0

    stack.enter_context(patch.object(DynamoClock, "_hear", hear))


@_defect("`send_at` and quiet hours are looked at when a message is asked for, not when it is claimed")
def early_bird(stack: ExitStack) -> None:
    stack.enter_context(patch.object(send_message, "earliest", lambda now, *_: now))


# --- after the POST --------------------------------------------------------------------------------------------------


@_defect("a POST without a clear answer is tried again")
def resend_on_timeout(stack: ExitStack) -> None:
    def settle(original: Any) -> Any:
        def eager(self: SettleMessage, sending: Any, contact: Any, outcome: Any) -> Any:
            clear = NotSent(outcome.detail) if isinstance(outcome, InDoubt) else outcome
            return original(self, sending, contact, clear)

        return eager

    _replace(stack, SettleMessage, "__call__", settle)


@_defect("a POST without a clear answer is held, but its slot is given back")
def refund_on_ambiguity(stack: ExitStack) -> None:
    def settle(original: Any) -> Any:
        def generous(self: Any, sending: Any, contact: Any, outcome: Any) -> Any:
            settled = original(self, sending, contact, outcome)
            if isinstance(outcome, InDoubt) and settled.status is Status.UNKNOWN:
                self.messages._try(self.messages._slots.refund(sending)[0])
            return settled

        return generous

    _replace(stack, SettleMessage, "__call__", settle)


@_defect("a message found neither in callbacks nor in the list after half an hour is sent again")
def resend_too_soon(stack: ExitStack) -> None:
    minute = 60_000
    stack.enter_context(patch.object(periods, "DOUBT_HORIZON", 26 * minute))
    stack.enter_context(patch.object(periods, "RESEND", 27 * minute))


@_defect("the list's first message with the same body is taken for ours")
def match_on_body_alone(stack: ExitStack) -> None:
    def candidates(_: Any) -> Any:
        def first(self: ResolveDoubt, message: Any) -> Any:
            return [one for one in self.gateway.list_sent_to(message.to, 0) if one.body == message.text][:1]

        return first

    _replace(stack, ResolveDoubt, "_candidates", candidates)
    stack.enter_context(patch.object(ResolveDoubt, "_is_contested", lambda *_: False))


@_defect("an accepted reply sets the time of the next proactive message")
def replies_move_the_slot(stack: ExitStack) -> None:
    def accepted(original: Any) -> Any:
        def moving(self: Slots, message: Any, at: int) -> Any:
            change = original(self, message, at)
            return replace(change, set={**change.set, "next_allowed_at": at + periods.SLOT_EPSILON})

        return moving

    _replace(stack, Slots, "accepted", accepted)


@_defect("a status callback may move a message back")
def status_goes_back(stack: ExitStack) -> None:
    back = replace(lifecycle.DELIVER, sources=lifecycle.DELIVER.sources | {Status.READ})
    stack.enter_context(patch.object(lifecycle, "DELIVER", back))
    stack.enter_context(patch.dict(BY_CALLBACK, {"delivered": back}))


@_defect("what the bus does not take is forgotten")
def tell_and_forget(stack: ExitStack) -> None:
    _replace(stack, Steps, "_told", lambda original: lambda self, what, message: original(self, what, message) or True)


# --- beside it -------------------------------------------------------------------------------------------------------


@_defect("a cancel writes `canceled` over a claim: nobody gives the slot back")
def cancel_leaks_the_slot(stack: ExitStack) -> None:
    def cancel(original: Any) -> Any:
        def outright(self: CancelMessage, message: Any) -> Any:
            if message.status is Status.CLAIMED:
                anywhere = replace(lifecycle.CANCEL, sources=frozenset({Status.CLAIMED}))
                self.steps.take(message, anywhere, outbox=steps.EVENT)
                return None
            return original(self, message)

        return outright

    _replace(stack, CancelMessage, "_cancel", cancel)


@_defect("a refund does not look whether the message was canceled meanwhile")
def refund_forgets_the_cancel(stack: ExitStack) -> None:
    refunds = (lifecycle.RETRY, lifecycle.TAKE_BACK, lifecycle.REFUSE, lifecycle.GIVE_UP)

    def change(original: Any) -> Any:
        return lambda self, before, after, step, condition=None: original(
            self, before, after, step, None if step in refunds else condition
        )

    _replace(stack, MessageStore, "_change", change)


@_defect("a sweep acts without booking first")
def sweep_without_booking(stack: ExitStack) -> None:
    def sweep(original: Any) -> Any:
        class Unbooked:
            def __init__(self, messages: Any) -> None:
                self._messages = messages

            def book(self, message: Any, *_: Any) -> Any:
                return message

            def __getattr__(self, name: str) -> Any:
                return getattr(self._messages, name)

        return lambda self, deadline: original(replace(self, messages=Unbooked(self.messages)), deadline)

    _replace(stack, sweep_due.SweepDue, "__call__", sweep)


@_defect("a transaction conflict is read as a condition that failed: the slot is taken")
def conflict_is_taken(stack: ExitStack) -> None:
    stack.enter_context(patch.object(dynamodb, "_is_conflict", lambda _: False))


@_defect("a claim does not remember which row it found behind an alias, nor that a reply went as proactive")
def claim_forgets_where(stack: ExitStack) -> None:
    stack.enter_context(patch.object(message_store, "_DECIDED", message_store._DECIDED - {"contact_id", "lane"}))


@_defect("a refunded reply keeps its place in the inbound message")
def reply_keeps_its_place(stack: ExitStack) -> None:
    def elsewhere(_: Any) -> Any:
        return lambda self, message: Change(
            table=self.messages_table, key=message_key(message.in_reply_to), set={"unused": None}
        )

    _replace(stack, Slots, "_leave_place", elsewhere)
