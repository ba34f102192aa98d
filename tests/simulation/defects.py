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
from whatsapp.adapters.dynamodb import clock, inbox_store, message_store, slots
from whatsapp.adapters.dynamodb.client import Attr, Change, absent_or
from whatsapp.adapters.dynamodb.clock import DynamoClock
from whatsapp.adapters.dynamodb.contact_store import ContactStore
from whatsapp.adapters.dynamodb.erasure_store import ErasureStore
from whatsapp.adapters.dynamodb.items import message_key
from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.adapters.dynamodb.sender_store import SenderStore
from whatsapp.adapters.dynamodb.slots import Slots
from whatsapp.adapters.twilio.credentials import TwilioSecret
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.ports import InDoubt, NotSent
from whatsapp.domain.receiving import opt_out
from whatsapp.domain.sending import before_claim, compose, lifecycle, on_doubt, on_status, twilio_codes
from whatsapp.domain.sending.group import Group
from whatsapp.domain.sending.lifecycle import Slot, Status
from whatsapp.domain.sending.message import Message, SendKind
from whatsapp.domain.sending.throttle import Throttle
from whatsapp.domain.sending.transition import EVENT, take
from whatsapp.domain.templates.template import Template
from whatsapp.use_cases import receive_message, resolve_doubt, send_message, sweep_due
from whatsapp.use_cases.cancel_message import CancelMessage
from whatsapp.use_cases.erase_contact import EraseContact
from whatsapp.use_cases.outbox import Outbox
from whatsapp.use_cases.publish_unanswered import PublishUnanswered
from whatsapp.use_cases.redrive_dead_letters import RedriveDeadLetters
from whatsapp.use_cases.send_message import SendMessage
from whatsapp.use_cases.work_queue_message import WorkQueueMessage

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


def _named(function: Any, **named: Any) -> Any:
    """The function with these arguments, whatever its caller says."""
    return lambda *arguments, **others: function(*arguments, **{**others, **named})


def _replace(stack: ExitStack, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Have `make(original)` in the original's place."""
    original = getattr(owner, name)
    stack.enter_context(patch.object(owner, name, wraps(original)(make(original))))


def _give_slot(stack: ExitStack, step: lifecycle.Step, slot: Slot) -> None:
    """Have a step do something else to the slot."""

    def changes(original: Any) -> Any:
        def otherwise(self: MessageStore, transition: Any) -> Any:
            wrong = replace(transition, step=replace(step, slot=slot)) if transition.step is step else transition
            return original(self, wrong)

        return otherwise

    _replace(stack, MessageStore, "_slot_changes", changes)


# --- before the POST -------------------------------------------------------------------------------------------------


@_defect("a reminder expires some hours after its request, whenever its session begins")
def reminder_after_its_session(stack: ExitStack) -> None:
    stack.enter_context(patch.object(Template, "moment", lambda *_: None))


@_defect("the write before the POST asks for nothing: a claim taken back, canceled or expired goes all the same")
def no_fence(stack: ExitStack) -> None:
    def condition(original: Any) -> Any:
        return lambda transition: (
            Attr("message_id").exists() if transition.step is lifecycle.FENCE else original(transition)
        )

    _replace(stack, message_store, "_condition", condition)


@_defect("the contact is not read again before the POST: an opt-out in between is overlooked")
def no_last_look(stack: ExitStack) -> None:
    _replace(
        stack, SendMessage, "_last_look", lambda _: lambda self, sending, _: Contact(contact_id=sending.contact_id)
    )


@_defect("a claim asks whether the slot is held, and believes that the holder is dead after half a minute")
def lock_expires(stack: ExitStack) -> None:
    def take(original: Any) -> Any:
        def lax(self: Slots, claimed: Any, now: int, lease: int, contact: Contact) -> Any:
            changes = original(self, claimed, now, lease, contact)
            if claimed.kind is SendKind.PROACTIVE:
                dead = absent_or("inflight", Attr("inflight_at").lt(now - 30_000))
                changes[0] = replace(changes[0], condition=slots._may_be_written_to(claimed, contact) & dead)
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
        def bucketed(self: Slots, claimed: Any, now: int, *of: Any) -> Any:
            changes = original(self, claimed, now, *of)
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
    stack.enter_context(patch.object(before_claim, "earliest", lambda now, *_: now))


# --- after the POST --------------------------------------------------------------------------------------------------


@_defect("a POST without a clear answer is tried again")
def resend_on_timeout(stack: ExitStack) -> None:
    def settle(original: Any) -> Any:
        def eager(sending: Any, outcome: Any, now: int, spread: float) -> Any:
            return original(sending, NotSent(outcome.detail) if isinstance(outcome, InDoubt) else outcome, now, spread)

        return eager

    _replace(stack, send_message, "after_post", settle)


@_defect("a POST without a clear answer is held, but its slot is given back")
def refund_on_ambiguity(stack: ExitStack) -> None:
    _give_slot(stack, lifecycle.DOUBT, Slot.REFUNDED)


@_defect("a message found neither in callbacks nor in the list after half an hour is sent again")
def resend_too_soon(stack: ExitStack) -> None:
    minute = 60_000
    stack.enter_context(patch.object(periods, "DOUBT_HORIZON", 26 * minute))
    stack.enter_context(patch.object(periods, "RESEND", 27 * minute))


@_defect("the list's first message with the same body is taken for ours")
def match_on_body_alone(stack: ExitStack) -> None:
    def candidates(_: Any) -> Any:
        return lambda message, listed, _: [one for one in listed if one.body == message.text][:1]

    _replace(stack, on_doubt, "candidates_of", candidates)
    stack.enter_context(patch.object(on_doubt, "_is_contested", lambda *_: False))
    stack.enter_context(patch.object(resolve_doubt, "list_from", lambda _: 0))


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
    stack.enter_context(patch.dict(on_status._ARRIVALS, {"delivered": back}))


@_defect("what the bus does not take is forgotten")
def tell_and_forget(stack: ExitStack) -> None:
    _replace(stack, Outbox, "_deliver", lambda original: lambda self, *what: original(self, *what) or True)


@_defect("the text that a message had at its first try is noted, although a newer wording goes out")
def first_wording_is_noted(stack: ExitStack) -> None:
    def fence(original: Any) -> Any:
        return lambda claimed, post, now: original(claimed, replace(post, rendered=claimed.text or post.rendered), now)

    _replace(stack, send_message, "fence", fence)


# --- beside it -------------------------------------------------------------------------------------------------------


@_defect("a cancel writes `canceled` over a claim: nobody gives the slot back")
def cancel_leaks_the_slot(stack: ExitStack) -> None:
    def cancel(original: Any) -> Any:
        def outright(self: CancelMessage, message: Any) -> Any:
            if message.status is Status.CLAIMED:
                anywhere = replace(lifecycle.CANCEL, sources=frozenset({Status.CLAIMED}))
                self.commit(take(message, anywhere, self.clock.now(), outbox=EVENT))
                return None
            return original(self, message)

        return outright

    _replace(stack, CancelMessage, "_cancel", cancel)


@_defect("a refund does not look whether the message was canceled meanwhile")
def refund_forgets_the_cancel(stack: ExitStack) -> None:
    def condition(original: Any) -> Any:
        def forgetful(transition: Any) -> Any:
            refunds = transition.step.slot is Slot.REFUNDED
            step = replace(transition.step, stoppable=False) if refunds else transition.step
            return original(replace(transition, step=step, successor=None if refunds else transition.successor))

        return forgetful

    _replace(stack, message_store, "_condition", condition)


@_defect("a sweep acts without postponing first")
def sweep_without_postponing(stack: ExitStack) -> None:
    def sweep(original: Any) -> Any:
        class Unbooked:
            def __init__(self, messages: Any) -> None:
                self._messages = messages

            def postpone(self, message: Any, *_: Any) -> Any:
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
    stack.enter_context(
        patch.object(message_store, "_ALWAYS_WRITTEN", message_store._ALWAYS_WRITTEN - {"contact_id", "lane"})
    )


@_defect("a refunded reply keeps its place in the inbound message")
def reply_keeps_its_place(stack: ExitStack) -> None:
    def elsewhere(_: Any) -> Any:
        return lambda self, message: Change(
            table=self.messages_table, key=message_key(message.in_reply_to), set={"unused": None}
        )

    _replace(stack, Slots, "_leave_place", elsewhere)


# --- when the world around it fails ----------------------------------------------------------------------------------


@_defect("nobody looks whether all sending is held")
def hold_ignored(stack: ExitStack) -> None:
    _replace(
        stack,
        SendMessage,
        "_paused",
        lambda original: lambda self, sender, now: original(self, replace(sender, held_at=None), now),
    )


@_defect("where Twilio did not answer, nobody asks whether it does again")
def breaker_never_closes(stack: ExitStack) -> None:
    _replace(stack, SenderStore, "may_ask", lambda _: lambda self, now: False)


@_defect("a limit of our sender's is each message's own affair: what waits makes its POSTs")
def limit_ignored(stack: ExitStack) -> None:
    _replace(stack, Throttle, "binds", lambda _: lambda self, contact, now: False)


@_defect("while a limit binds our sender, no message tries whether it still does")
def limit_never_probed(stack: ExitStack) -> None:
    _replace(stack, SenderStore, "book_probe", lambda _: lambda self, throttle, now: None)


@_defect("while a limit binds our sender, every message that looks tries whether it still does")
def limit_probed_by_all(stack: ExitStack) -> None:
    _replace(stack, Throttle, "may_probe", lambda _: lambda self, now: True)


@_defect("the secret is not read again when Twilio refuses the token")
def token_never_read_again(stack: ExitStack) -> None:
    _replace(stack, TwilioSecret, "get", lambda original: lambda self, **_: original(self))


@_defect("a token that Twilio refuses fails the message for good")
def refused_token_fails(stack: ExitStack) -> None:
    final = replace(twilio_codes.ROWS[20003], action=twilio_codes.Action.FAIL)
    stack.enter_context(patch.dict(twilio_codes.ROWS, {20003: final}))


@_defect("a template that WhatsApp paused fails the message for good")
def paused_template_fails(stack: ExitStack) -> None:
    final = replace(twilio_codes.ROWS[63041], action=twilio_codes.Action.FAIL)
    stack.enter_context(patch.dict(twilio_codes.ROWS, {63041: final}))


@_defect("it is sent again although Twilio's list has a message that may be this one")
def resend_despite_a_candidate(stack: ExitStack) -> None:
    def unowned(original: Any) -> Any:
        return lambda message, *of: [] if message.status is Status.UNRESOLVED else original(message, *of)

    _replace(stack, on_doubt, "_unowned", unowned)


@_defect("a nudge that comes late is worked whatever became of its message")
def late_nudge_sends_again(stack: ExitStack) -> None:
    def condition(original: Any) -> Any:
        return lambda transition: (
            Attr("message_id").exists() if transition.step is lifecycle.CLAIM else original(transition)
        )

    stack.enter_context(patch.object(Message, "may_be_tried", lambda *_: True))
    _replace(stack, message_store, "_condition", condition)


@_defect("the queue's door goes by its own id, not by the caller's key")
def queue_has_its_own_keys(stack: ExitStack) -> None:
    def work(original: Any) -> Any:
        def by_id(self: WorkQueueMessage, body: Any, received: Any, deadline: Any) -> Any:
            return original(self, {k: v for k, v in body.items() if k != "idempotency_key"}, received, deadline)

        return by_id

    _replace(stack, WorkQueueMessage, "_work", work)


@_defect("a redriven request gets a new key")
def redrive_with_a_new_key(stack: ExitStack) -> None:
    def carry_out(original: Any) -> Any:
        def anew(self: RedriveDeadLetters, plan: Any) -> Any:
            request = plan.request and {**plan.request, "idempotency_key": f"again {plan.message_id}"}
            return original(self, replace(plan, request=request))

        return anew

    _replace(stack, RedriveDeadLetters, "carry_out", carry_out)


# --- what people asked for -------------------------------------------------------------------------------------------


@_defect("a request that waits in the queue counts as asked for when it is worked: an erasure does not reach it")
def erasure_forgets_the_queue(stack: ExitStack) -> None:
    def call(original: Any) -> Any:
        return lambda self, request, key, deadline, asked_at=None: original(self, request, key, deadline)

    _replace(stack, SendMessage, "__call__", call)


@_defect("a group's cancel cancels what waits, and forgets what is still to come")
def group_cancel_forgets_the_queue(stack: ExitStack) -> None:
    _replace(stack, Group, "is_canceled_for", lambda _: lambda self, message: False)
    _replace(stack, message_store, "membership", lambda original: _named(original, not_canceled=False))


@_defect("a group's cancel binds what is asked for after it")
def group_cancel_for_ever(stack: ExitStack) -> None:
    _replace(stack, Group, "cancel_before", lambda _: lambda self, asked_at: None)


@_defect("a nudge goes although somebody answered")
def nudge_despite_an_answer(stack: ExitStack) -> None:
    _replace(stack, send_message, "got_as_far_as", lambda _: lambda *_: False)


@_defect("of a phone that several patients share, only the last one is remembered")
def household_forgotten(stack: ExitStack) -> None:
    _replace(stack, Contact, "written_to_after", lambda _: lambda self, user_id, now: {})


@_defect("whoever taps a message is taken for the one who was written to last")
def last_one_answers(stack: ExitStack) -> None:
    def record_of(original: Any) -> Any:
        return lambda form, contact, answered, **more: replace(
            original(form, contact, answered, **more), user_id=contact.user_id, user_ids=()
        )

    _replace(stack, receive_message, "record_of", record_of)


@_defect("that Twilio takes no WhatsApp ids is found out anew by each message")
def refused_ids_forgotten(stack: ExitStack) -> None:
    _replace(stack, SenderStore, "ids_refused", lambda _: lambda self, now: None)


@_defect("a message to an id never goes to the number that was shown since")
def shown_number_ignored(stack: ExitStack) -> None:
    def recipient(original: Any) -> Any:
        return lambda asked, contact, takes_ids: original(asked, replace(contact, address=None), takes_ids=takes_ids)

    _replace(stack, compose, "recipient", recipient)
    _replace(stack, send_message, "recipient", recipient)


@_defect("an answer that is expected is looked for once, and forgotten if the bus is down")
def unanswered_and_forgotten(stack: ExitStack) -> None:
    def settle(original: Any) -> Any:
        return lambda self, expected: (original(self, expected), self.answers.settle(expected))[0]

    _replace(stack, PublishUnanswered, "_settle", settle)


@_defect("an erasure strips the contact's row, and leaves the messages")
def erasure_of_the_row_alone(stack: ExitStack) -> None:
    _replace(stack, ErasureStore, "unfinished", lambda _: lambda self, contact_id, until: iter(()))


@_defect("an erasure of someone of whom nothing is stored is not taken")
def erasure_needs_a_row(stack: ExitStack) -> None:
    def erase(original: Any) -> Any:
        def only_the_known(self: EraseContact, contact_id: str, deadline: Any) -> Any:
            self.contacts.require(contact_id)
            return original(self, contact_id, deadline)

        return only_the_known

    _replace(stack, EraseContact, "__call__", erase)


@_defect("an erasure leaves Twilio's copies")
def erasure_leaves_twilios_copies(stack: ExitStack) -> None:
    _replace(stack, EraseContact, "_delete_at_twilio", lambda _: lambda self, sid: True)


@_defect("an erasure leaves the dead letters")
def erasure_forgets_dead_letters(stack: ExitStack) -> None:
    _replace(stack, EraseContact, "_delete_dead_letters", lambda _: lambda self, *of: True)


@_defect("of a STOP and a START the one that came last counts")
def opt_words_by_arrival(stack: ExitStack) -> None:
    for module in (opt_out, inbox_store, receive_message):
        stack.enter_context(patch.object(module, "are_settled", lambda _: True))


@_defect("whoever notes that a contact consented lifts their STOP")
def consent_lifts_a_stop(stack: ExitStack) -> None:
    def update(original: Any) -> Any:
        return lambda self, contact_id, values: original(self, contact_id, {**values, "opted_out_at": None})

    _replace(stack, ContactStore, "update", update)
