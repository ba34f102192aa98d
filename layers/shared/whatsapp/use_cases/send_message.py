"""The outgoing story: commit the intent, claim the slot, fence, look once more, POST once, settle by evidence.

One record stands for at most one message at Twilio. What is in doubt is held, never posted again.
"""

import random
from dataclasses import dataclass, replace

from whatsapp.domain import lifecycle
from whatsapp.domain.address import Address
from whatsapp.domain.catalog import Catalog
from whatsapp.domain.contact import Contact, ContactIds
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.lifecycle import Status
from whatsapp.domain.message import Failure, Lane, Message, message_id_of, shard_of
from whatsapp.domain.ports import (
    Claimed,
    ClaimLost,
    Clock,
    ContactStore,
    Deadline,
    Gateway,
    MessageStore,
    Post,
    TemplateStore,
)
from whatsapp.domain.request import SendAnswer, SendRequest, answer_for
from whatsapp.domain.schedule import QuietHours, earliest, iso
from whatsapp.domain.template_version import serving_version
from whatsapp.domain.twilio_codes import row_for
from whatsapp.use_cases.settle_message import SettleMessage
from whatsapp.use_cases.steps import EVENT, EVENT_AND_ALERT, SOON_MS, Steps

MIN_REMAINING_MS = 12_000
"""A claim and a POST need this much of the invocation left: nobody may POST after its lease."""
FRESH_MS = 2_000
"""How old the last look at the contact may be when the POST starts."""
REPLY_LANE_WAIT_S = 2
REPLY_LANE_DEFER_MS = 15_000


@dataclass(frozen=True, slots=True)
class SendPolicy:
    """The deployment's policy numbers."""

    rate_limit_ms: int
    quiet_hours: QuietHours | None = None


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
        message = self._compose(request, message_id)
        contact = self._contact_of(message)
        message = self._localise(replace(message, contact_id=contact.contact_id), request, contact)
        self._refuse_unreachable(contact)
        self._content(message, contact)
        return answer_for(self._start(message, request, contact, deadline))

    def advance(self, message_id: str, deadline: Deadline) -> Message | None:
        """Take a waiting message as far as it goes now: what a nudge asks for. None for an id nobody knows."""
        message = self.messages.get(message_id)
        if message is None or not message.is_waiting:
            return message
        return self._go(message, deadline)

    # --- committing the intent -------------------------------------------------------------------------------------

    def _again(self, stored: Message, request: SendRequest, deadline: Deadline) -> SendAnswer:
        if stored.request_hash not in ("", request.hash()):
            raise MessagingError(
                "idempotency_conflict",
                "this idempotency_key belongs to a different request: use a new key for a new message",
            )
        due = stored.due_at is not None and stored.due_at <= self.clock.now()
        if stored.status in (Status.PENDING, Status.RETRYING) or (stored.is_waiting and due):
            stored = self._go(stored, deadline)
        return answer_for(stored, duplicate=True)

    def _compose(self, request: SendRequest, message_id: str) -> Message:
        address = Address.parse(request.to)
        template = self.catalog.get(request.template) if request.template else None
        now = self.clock.now()
        expires_at = int(request.expires_at.timestamp() * 1000) if request.expires_at else None
        send_at = int(request.send_at.timestamp() * 1000) if request.send_at else None
        if expires_at is None and template and template.expires_after:
            expires_at = (send_at or now) + int(template.expires_after.total_seconds() * 1000)
        if expires_at is not None and expires_at <= now:
            raise MessagingError("expired", "`expires_at` has passed: nothing was sent")
        return Message(
            message_id=message_id,
            contact_id=self.contact_ids.of(address),
            to=address.value,
            request_hash=request.hash(),
            created_at=now,
            status=Status.PENDING,
            lane=Lane.REPLY if request.in_reply_to else Lane.PROACTIVE,
            template=request.template,
            variables=dict(request.variables),
            text=request.text,
            media_url=request.media_url,
            user_id=request.user_id,
            agent=request.agent or (template.agent if template else None),
            in_reply_to=request.in_reply_to,
            send_at=send_at,
            expires_at=expires_at,
            on_unknown=request.on_unknown or (template.on_unknown if template else "hold"),
        )

    def _localise(self, message: Message, request: SendRequest, contact: Contact) -> Message:
        message = replace(message, user_id=message.user_id or contact.user_id)
        if not message.template:
            return message
        template = self.catalog.get(message.template)
        if request.language:
            template.wording(request.language)
        language = request.language or template.language_for(contact.language)
        rendered = template.render(language, message.variables)
        return replace(message, language=language, text=rendered.text)

    def _contact_of(self, message: Message) -> Contact:
        return self.contacts.get(message.contact_id) or Contact(contact_id=message.contact_id)

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

    def _start(self, message: Message, request: SendRequest, contact: Contact, deadline: Deadline) -> Message:
        now = self.clock.now()
        if (at := self._earliest(message, now)) > now:
            return self._wait(message, at, is_new=True)
        if deadline.at - now < MIN_REMAINING_MS:
            pending = replace(message, due_at=now + SOON_MS // 12, due_shard=shard_of("send", message.contact_id))
            return self.messages.put_new(pending) or pending
        taken = message.lane is Lane.PROACTIVE and contact.slot_opens_at(now, self.policy.rate_limit_ms)
        if taken and request.on_rate_limit == "reject":
            raise self._rate_limited(taken)
        return self._go(message, deadline, is_new=True, reject=request.on_rate_limit == "reject")

    # --- claiming --------------------------------------------------------------------------------------------------

    def _go(self, message: Message, deadline: Deadline, *, is_new: bool = False, reject: bool = False) -> Message:
        """Claim, POST once and settle; or wait, or give way to whoever has the message."""
        for waited in (False, True, True):
            contact = self._contact_of(message)
            message = replace(message, contact_id=contact.contact_id)
            now = self.clock.now()
            if not is_new and (stopped := self._before_claim(message, contact, now, deadline)):
                return stopped
            try:
                post = self._content(message, contact)
            except MessagingError as error:
                return self._drop(message, error, is_new=is_new)
            result = self.messages.claim(message, is_new=is_new, now=now, lease=deadline.at)
            if isinstance(result, Claimed):
                return self._post(result.message, post, deadline)
            if result.message:
                return result.message
            if result.inbound_refused:
                message = replace(message, lane=Lane.PROACTIVE)
            elif result.reply_lane_busy and not waited:
                self.clock.sleep(REPLY_LANE_WAIT_S)
            elif not (result.contact and result.contact.alias_of):
                return self._lost(message, result, is_new=is_new, reject=reject)
        return self._wait(message, self.clock.now() + REPLY_LANE_DEFER_MS, is_new=is_new)

    def _before_claim(self, message: Message, contact: Contact, now: int, deadline: Deadline) -> Message | None:
        """A stored message may have become too late, too early or unwanted since."""
        if message.expires_at is not None and message.expires_at <= now:
            return self.steps.take(message, lifecycle.EXPIRE, announce=EVENT)
        if (at := self._earliest(message, now)) > now:
            return self._wait(message, at, is_new=False)
        if deadline.at - now < MIN_REMAINING_MS:
            return message
        try:
            self._refuse_unreachable(contact)
        except MessagingError as error:
            return self._drop(message, error, is_new=False)
        return None

    def _lost(self, message: Message, lost: ClaimLost, *, is_new: bool, reject: bool) -> Message:
        """The contact's row stood in the way: opted out or erased meanwhile, or its slot is taken."""
        now = self.clock.now()
        contact = lost.contact or Contact(contact_id=message.contact_id)
        if contact.opted_out_at or (contact.erased_at or 0) >= message.created_at:
            error = MessagingError("opted_out", "the contact opted out or was erased meanwhile")
            return self._drop(message, error, is_new=is_new)
        if lost.reply_lane_busy:
            return self._wait(message, now + REPLY_LANE_DEFER_MS, is_new=is_new)
        opens = contact.slot_opens_at(now, self.policy.rate_limit_ms) or now
        if reject and is_new:
            raise self._rate_limited(opens)
        look_at = opens if opens > now else now + random.randint(SOON_MS, 5 * SOON_MS)  # noqa: S311 - jitter, not a secret
        if contact.inflight and message.expires_at and message.expires_at <= look_at + 5 * SOON_MS:
            look_at = min(look_at, now + 2 * SOON_MS)  # a refund may free the slot in time
        return self._wait(message, max(opens, now), is_new=is_new, look_at=look_at, limited=True)

    def _wait(
        self, message: Message, at: int, *, is_new: bool, look_at: int | None = None, limited: bool = False
    ) -> Message:
        error = None
        if limited:
            error = Failure(
                code="rate_limited",
                detail=f"one unprompted message an hour: this one goes at {iso(at)}",
                retryable=True,
            )
        again = message.status is Status.DEFERRED and message.scheduled_for == at
        announce = frozenset() if again else EVENT
        if not is_new:
            return self.steps.take(
                message,
                lifecycle.DEFER,
                due_at=look_at or at,
                scheduled_for=at,
                error=error,
                announce=announce,
            )
        deferred = replace(
            message,
            status=Status.DEFERRED,
            scheduled_for=at,
            due_at=look_at or at,
            error=error,
            announce=announce,
            due_shard=shard_of("send", message.contact_id),
            status_at=self.clock.now(),
        )
        return self.messages.put_new(deferred) or self.steps.tell(deferred)

    def _drop(self, message: Message, error: MessagingError, *, is_new: bool) -> Message:
        if is_new:
            raise error
        failure = Failure(code=error.code, detail=error.detail, twilio_code=error.twilio_code)
        announce = EVENT_AND_ALERT if error.code == "template_not_approved" else EVENT
        return self.steps.take(message, lifecycle.DROP, error=failure, announce=announce)

    def _earliest(self, message: Message, now: int) -> int:
        """`send_at` binds always, quiet hours only who starts contact."""
        exempt = message.lane is Lane.REPLY or (
            message.template and self.catalog.get(message.template).quiet_hours_exempt
        )
        return earliest(now, message.send_at, None if exempt else self.policy.quiet_hours)

    def _content(self, message: Message, contact: Contact) -> Post:
        """What to hand to Twilio now: free-form inside the window where that is allowed, else the approved template.

        Raises:
            MessagingError: `window_closed` for text outside the window; `template_not_approved`.
        """
        open_window = contact.window_open(self.clock.now())
        if message.template is None:
            if not open_window:
                raise MessagingError(
                    "window_closed",
                    "free-form text needs a message from the patient in the last 24 h: use a template",
                )
            return Post(to=message.to, body=message.text, media_url=message.media_url)
        template = self.catalog.get(message.template)
        if open_window and template.free_form and not message.template_only:
            return Post(to=message.to, body=message.text)
        language = message.language or template.default_language
        version = serving_version(template, language, self.templates.versions(template.name))
        if version is None or version.content_sid is None:
            raise MessagingError(
                "template_not_approved",
                f"{template.name} has no approved version in {language}: see GET /templates",
                retryable=True,
            )
        rendered = version.wording_of(template).render(language, message.variables)
        return Post(
            to=message.to,
            content_sid=version.content_sid,
            content_variables=rendered.content_variables,
            rendered=rendered.text,
        )

    # --- one POST --------------------------------------------------------------------------------------------------

    def _post(self, claimed: Message, post: Post, deadline: Deadline) -> Message:
        now = self.clock.now()
        if deadline.at - now < MIN_REMAINING_MS:
            return self._put_back(claimed, "too little time was left in this invocation")
        sending = self.messages.fence(
            claimed, now=now, text=post.rendered or claimed.text, content_sid=post.content_sid
        )
        if sending is None:
            return self._stopped(claimed)
        contact = self._last_look(sending)
        if contact.opted_out_at or (contact.erased_at or 0) >= sending.created_at:
            gone = Failure(code="opted_out", detail="the contact opted out or was erased just before the message went")
            return self.steps.refund(sending, lifecycle.REFUSE, error=gone, announce=EVENT)
        path = f"/twilio/status/{sending.message_id}/{sending.attempt}"
        return self.settle(sending, contact, self.gateway.post(replace(post, status_path=path)))

    def _last_look(self, sending: Message) -> Contact:
        while True:
            seen_at = self.clock.now()
            contact = self._contact_of(sending)
            if self.clock.now() - seen_at <= FRESH_MS:
                return contact

    def _stopped(self, claimed: Message) -> Message:
        """The fence did not hold: find out why, and give the slot back if the claim is still ours."""
        current = self.messages.get(claimed.message_id) or claimed
        if current.attempt != claimed.attempt or current.status is not Status.CLAIMED:
            return current
        if current.stop:
            return self.steps.refund(current, lifecycle.STOP, announce=EVENT)
        return self._put_back(current, "its time passed before it could go")

    def _put_back(self, claimed: Message, why: str) -> Message:
        error = Failure(code="twilio_unavailable", detail=why, retryable=True)
        return self.steps.refund(
            claimed, lifecycle.RETRY, error=error, due_at=self.clock.now(), attempts=claimed.attempts - 1
        )

    def _rate_limited(self, opens: int) -> MessagingError:
        return MessagingError(
            "rate_limited", f"one unprompted message an hour: the next may go at {iso(opens)}", retryable=True
        )
