"""The outgoing story: commit the intent, claim the slot, fence, look once more, POST once, settle by evidence.

One record stands for at most one message at Twilio. What is in doubt is held, never posted again.
"""

import random
from dataclasses import dataclass, replace

from whatsapp.adapters.dynamodb.contact_store import ContactStore
from whatsapp.adapters.dynamodb.message_store import Claimed, MessageStore
from whatsapp.adapters.dynamodb.template_store import TemplateStore
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact, ContactIds
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Clock, Deadline, Gateway, OutgoingPost
from whatsapp.domain.schedule import QuietHours, earliest, iso
from whatsapp.domain.sending import lifecycle
from whatsapp.domain.sending.lifecycle import ACCEPTED, Status
from whatsapp.domain.sending.message import Failure, Message, SendKind, message_id_of, shard_of
from whatsapp.domain.sending.request import SendAnswer, SendRequest, answer_for
from whatsapp.domain.sending.twilio_codes import row_for
from whatsapp.domain.templates.catalog import Catalog
from whatsapp.use_cases.compose_message import compose, content_of, localise, reach
from whatsapp.use_cases.settle_message import SettleMessage
from whatsapp.use_cases.steps import EVENT, EVENT_AND_ALERT, Steps


@dataclass(frozen=True, slots=True)
class SendPolicy:
    """What a deployment decides."""

    rate_limit_ms: int
    quiet_hours: QuietHours | None = None
    send_to_ids: bool = False
    """Whether a business-scoped id may be written to whose number is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMessage:
    """Sends one message, or carries on where an earlier try of it stopped."""

    messages: MessageStore
    contacts: ContactStore
    templates: TemplateStore
    gateway: Gateway
    catalog: Catalog
    contact_ids: ContactIds
    clock: Clock
    steps: Steps
    settle: SettleMessage
    policy: SendPolicy

    # --- the two ways in -------------------------------------------------------------------------------------------

    def __call__(self, request: SendRequest, idempotency_key: str, deadline: Deadline) -> SendAnswer:
        """Serve a caller's request.

        Raises:
            MessagingError: refused before anything was stored; the key is still free.
        """
        message_id = message_id_of(idempotency_key)
        if stored := self.messages.get(message_id):
            return self._again(stored, request, deadline)
        message = compose(request, message_id, self.clock.now(), self.catalog, self.contact_ids)
        contact = self._contact_of(message)
        message = reach(message, contact, send_to_ids=self.policy.send_to_ids)
        message = localise(message, request, contact, self.catalog)
        stored = self._go(message, deadline, is_new=True, reject=request.on_rate_limit == "reject")
        if stored.created_at != message.created_at:  # another worker stored this key's message first
            return self._again(stored, request, deadline)
        return answer_for(stored)

    def advance(self, message_id: str, deadline: Deadline) -> Message:
        """Take a waiting message as far as it goes now: what a nudge asks for.

        Raises:
            MessagingError: `not_found`.
        """
        message = self.messages.get(message_id)
        if message is None:
            raise MessagingError("not_found", "a nudge names a message that nobody knows")
        return self._go(message, deadline) if message.may_be_tried(self.clock.now()) else message

    def _again(self, stored: Message, request: SendRequest, deadline: Deadline) -> SendAnswer:
        if stored.request_hash not in ("", request.hash()):  # a message canceled before it came has none
            raise MessagingError(
                "idempotency_conflict",
                "this idempotency_key belongs to a different request: use a new key for a new message",
            )
        now = self.clock.now()
        if stored.may_be_tried(now) and (stored.due_at or 0) <= now:
            stored = self._go(stored, deadline)
        return answer_for(stored, duplicate=True)

    # --- claiming --------------------------------------------------------------------------------------------------

    def _go(self, message: Message, deadline: Deadline, *, is_new: bool = False, reject: bool = False) -> Message:
        """Claim, POST once and settle; or wait, or give way to whoever has the message."""
        for waited in (False, True, True, True):
            contact = self._contact_of(message)
            message = replace(message, contact_id=contact.contact_id)
            now = self.clock.now()
            try:
                if held_back := self._before_claim(message, contact, now, deadline, is_new=is_new):
                    return held_back
                post = content_of(message, contact, now, self.catalog, self.templates)
            except MessagingError as error:
                return self._drop(message, error, is_new=is_new)
            if message.kind is SendKind.PROACTIVE and contact.slot_opens_at(now, self.policy.rate_limit_ms):
                return self._lost(message, contact, is_new=is_new, reject=reject)
            result = self.messages.claim(message, is_new=is_new, now=now, lease=deadline.at)
            if isinstance(result, Claimed):
                return self._post(result.message, post, deadline)
            if result.message:
                return result.message
            if result.inbound_refused:
                message = replace(message, kind=SendKind.PROACTIVE)
            elif result.reply_lane_busy and not waited:
                self.clock.sleep(periods.REPLY_WAITS_S)
            elif result.reply_lane_busy:
                break
            elif not (result.contact and result.contact.alias_of):
                return self._lost(message, result.contact or contact, is_new=is_new, reject=reject)
        return self._wait(message, self.clock.now() + periods.REPLY_DEFERRED, is_new=is_new)

    def _before_claim(
        self, message: Message, contact: Contact, now: int, deadline: Deadline, *, is_new: bool
    ) -> Message | None:
        """It may be unwanted, too late or too early, or this invocation too old. None: go on.

        Raises:
            MessagingError: the contact cannot or must not be written to.
        """
        self._refuse_unreachable(contact)
        if message.continues and self._went_after_all(message.continues):
            return self.steps.take(message, lifecycle.CANCEL, outbox=EVENT)
        if message.expires_at is not None and message.expires_at <= now and not is_new:
            return self.steps.take(message, lifecycle.EXPIRE, outbox=EVENT)
        if (at := self._earliest(message, now)) > now:
            return self._wait(message, at, is_new=is_new)
        if deadline.at - now >= periods.POST_NEEDS:
            return None
        return self._keep(replace(message, due_at=now + periods.PENDING_FOR)) if is_new else message

    def _refuse_unreachable(self, contact: Contact) -> None:
        if contact.opted_out_at:
            raise MessagingError("opted_out", "this contact asked not to be written to; only their START lifts it")
        if contact.suppressed_code:
            row = row_for(contact.suppressed_code)
            raise MessagingError(
                row.error,
                f"suppressed since Twilio said: {row.meaning}; PUT /contacts lifts it",
                twilio_code=row.code,
            )

    def _went_after_all(self, message_id: str) -> bool:
        """Whether late evidence shows that the message which this one continues reached Twilio, and did not fail."""
        predecessor = self.messages.get(message_id)
        return predecessor is not None and predecessor.status in ACCEPTED - {Status.UNDELIVERED}

    def _earliest(self, message: Message, now: int) -> int:
        """`send_at` binds always, quiet hours only who starts contact."""
        exempt = message.kind is SendKind.REPLY or (
            message.template and self.catalog.get(message.template).quiet_hours_exempt
        )
        return earliest(now, message.send_at, None if exempt else self.policy.quiet_hours)

    # --- not now ---------------------------------------------------------------------------------------------------

    def _lost(self, message: Message, contact: Contact, *, is_new: bool, reject: bool) -> Message:
        """The contact's row stood in the way: opted out or erased meanwhile, or its slot is taken."""
        now = self.clock.now()
        if _gone(contact, message):
            error = MessagingError("opted_out", "the contact opted out or was erased meanwhile")
            return self._drop(message, error, is_new=is_new)
        opens = contact.slot_opens_at(now, self.policy.rate_limit_ms) or now
        limited = Failure(
            code="rate_limited",
            detail=f"one unprompted message an hour: the next may go at {iso(opens)}",
            retryable=True,
        )
        if reject and is_new:
            raise MessagingError(limited.code, limited.detail, retryable=True)
        look_at = opens if opens > now else now + random.randint(periods.MINUTE, 5 * periods.MINUTE)  # noqa: S311 - jitter, not a secret
        if contact.inflight and message.expires_at and message.expires_at <= look_at + 5 * periods.MINUTE:
            look_at = min(look_at, now + 2 * periods.MINUTE)  # a refund may free the slot in time
        return self._wait(message, max(opens, now), is_new=is_new, look_at=look_at, error=limited)

    def _wait(
        self, message: Message, at: int, *, is_new: bool, look_at: int | None = None, error: Failure | None = None
    ) -> Message:
        """Defer to `at`; the sweep looks at `look_at`, and in any case when the message expires."""
        due_at = min(look_at or at, message.expires_at or at)
        if is_new:
            deferred = replace(message, status=Status.DEFERRED, scheduled_for=at, due_at=due_at, error=error)
            return self._keep(deferred)
        again = message.status is Status.DEFERRED and message.scheduled_for == at
        return self.steps.take(
            message,
            lifecycle.DEFER,
            due_at=due_at,
            scheduled_for=at,
            error=error,
            outbox=message.outbox if again else EVENT,
        )

    def _keep(self, message: Message) -> Message:
        """Store a new message that does not go now; the stored one if another worker was first."""
        deferred = message.status is Status.DEFERRED
        kept = replace(
            message,
            due_shard=shard_of("send", message.contact_id),
            status_at=self.clock.now(),
            outbox=EVENT if deferred else frozenset(),
        )
        return self.messages.put_new(kept) or self.steps.tell(kept, due_at=kept.due_at)

    def _drop(self, message: Message, error: MessagingError, *, is_new: bool) -> Message:
        if is_new:
            raise error
        failure = Failure(code=error.code, detail=error.detail, twilio_code=error.twilio_code)
        outbox = EVENT_AND_ALERT if error.code == "template_not_approved" else EVENT
        return self.steps.take(message, lifecycle.DROP, error=failure, outbox=outbox)

    # --- one POST --------------------------------------------------------------------------------------------------

    def _post(self, claimed: Message, post: OutgoingPost, deadline: Deadline) -> Message:
        now = self.clock.now()
        if deadline.at - now < periods.POST_NEEDS:
            return self._put_back(claimed, "too little time was left in this invocation")
        sending = self.messages.fence(
            claimed, now=now, text=post.rendered or claimed.text, content_sid=post.content_sid
        )
        if sending is None:
            return self._stopped(claimed)
        contact = self._last_look(sending)
        if _gone(contact, sending):
            gone = Failure(code="opted_out", detail="the contact opted out or was erased just before the message went")
            return self.steps.refund(sending, lifecycle.REFUSE, error=gone, outbox=EVENT)
        if deadline.at - self.clock.now() < periods.POST_NEEDS:
            return self._put_back(sending, "too little time was left in this invocation")
        path = f"/twilio/status/{sending.message_id}/{sending.attempt}"
        return self.settle(sending, contact, self.gateway.post(replace(post, status_path=path)))

    def _last_look(self, sending: Message) -> Contact:
        """The contact as it is now: this look bounds how long after an opt-out a message may still go."""
        while True:
            seen_at = self.clock.now()
            contact = self._contact_of(sending)
            if self.clock.now() - seen_at <= periods.FRESH_CONTACT:
                return contact

    def _stopped(self, claimed: Message) -> Message:
        """The fence did not hold: give the slot back if the claim is still ours."""
        current = self.messages.get(claimed.message_id) or claimed
        if current.attempt != claimed.attempt or current.status is not Status.CLAIMED:
            return current
        return self._put_back(current, "it was canceled, or its time passed, before it could go")

    def _put_back(self, message: Message, why: str) -> Message:
        error = Failure(code="twilio_unavailable", detail=why, retryable=True)
        return self.steps.refund(
            message, lifecycle.RETRY, error=error, due_at=self.clock.now(), attempts=message.attempts - 1
        )

    def _contact_of(self, message: Message) -> Contact:
        return self.contacts.get(message.contact_id) or Contact(contact_id=message.contact_id)


def _gone(contact: Contact, message: Message) -> bool:
    """Whether the contact wants no message, or was erased since this one was asked for."""
    return contact.opted_out_at is not None or contact.was_erased_since(message.asked_at or message.created_at)
