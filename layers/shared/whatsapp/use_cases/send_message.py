"""The outgoing story: claim the contact's slot, fence, look once more, POST once, settle by evidence.

One record stands for at most one message at Twilio. A message in doubt is held, never posted again.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

from whatsapp.adapters.dynamodb.contact_store import ContactStore
from whatsapp.adapters.dynamodb.message_store import ClaimLost, MessageStore
from whatsapp.adapters.dynamodb.send_reader import Seen, SendReader
from whatsapp.adapters.dynamodb.sender_store import SenderStore
from whatsapp.adapters.dynamodb.template_store import TemplateStore
from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.contact import Contact, ContactIds
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import Failure, MessagingError
from whatsapp.domain.ports import (
    Accepted,
    Clock,
    ContentRefused,
    ContentUnavailable,
    Deadline,
    Gateway,
    InDoubt,
    Metrics,
    NotSent,
    Outcome,
    OutgoingPost,
    PublishFailed,
    Queue,
)
from whatsapp.domain.schedule import QuietHours
from whatsapp.domain.sending.after_post import after_post, forbidden, id_refused, put_back, refuses_ids
from whatsapp.domain.sending.before_claim import (
    FORBIDDEN,
    SendPolicy,
    before_claim,
    cancel,
    claim,
    defer,
    fence,
    is_forbidden,
    no_content,
    not_needed,
    paused,
    refuse,
    slot_taken,
    throttled,
)
from whatsapp.domain.sending.compose import compose, content_of, recipient, templated
from whatsapp.domain.sending.group import Group, got_as_far_as
from whatsapp.domain.sending.lifecycle import ACCEPTED, DEFER, Status
from whatsapp.domain.sending.message import Message, MessageIds, SendKind, handle_of, new_attempt_id
from whatsapp.domain.sending.on_restore import perhaps_lost
from whatsapp.domain.sending.request import SendAnswer, SendRequest, answer_for
from whatsapp.domain.sending.sender import Sender
from whatsapp.domain.sending.throttle import Throttle
from whatsapp.domain.sending.transition import Transition
from whatsapp.domain.sending.turns import in_turn
from whatsapp.domain.templates.catalog import Catalog
from whatsapp.domain.templates.template import Template
from whatsapp.domain.templates.version import serving_version
from whatsapp.use_cases.commit import Commit
from whatsapp.use_cases.offer_choices import OfferChoices

_CLAIM_TRIES = 4
_TOO_LITTLE_TIME = "too little time was left in this invocation"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMessage:
    """Sends one message, or carries on where an earlier try of it stopped."""

    reader: SendReader
    messages: MessageStore
    contacts: ContactStore
    templates: TemplateStore
    gateway: Gateway
    senders: SenderStore
    queue: Queue
    metrics: Metrics
    catalog: Catalog
    contact_ids: ContactIds
    message_ids: MessageIds
    clock: Clock
    commit: Commit
    offer_choices: OfferChoices
    policy: SendPolicy

    # --- the ways in -----------------------------------------------------------------------------------------------

    def __call__(
        self, request: SendRequest, idempotency_key: str, deadline: Deadline, asked_at: int | None = None
    ) -> SendAnswer:
        """Serve a caller's request. `asked_at`: when it was made (epoch ms), if it waited in the queue.

        Raises:
            MessagingError: refused before anything was stored; the key is still free.
        """
        handle = handle_of(idempotency_key)
        message_id = self.message_ids.keyed(handle)
        try:
            template = self._template(request.template)
            to = Address.parse(request.to)
        except MessagingError:
            if stored := self.messages.find(handle, self.message_ids):  # the key is another request's
                return self._again(stored, request, deadline)
            raise
        language = template.closest_language(request.language) if template and request.language else None
        seen = self._read(
            self.contact_ids.of(to),
            template,
            language=language,
            group=request.group,
            message_ids=(message_id, handle),  # the handle as long as records of the time before keyed ids are kept
            former_ids=self.contact_ids.former(to),
        )
        if seen.message:
            return self._again(seen.message, request, deadline)
        contact = seen.contact
        now = self.clock.now()
        message = compose(
            request,
            message_id,
            contact,
            template,
            now,
            takes_ids=self._takes_ids(seen.sender, now),
            asked_at=asked_at,
            group=seen.group,
        )
        sent = self._send(message, seen, deadline, reject=request.on_rate_limit == "reject")
        stored_by_us = (sent.created_at, sent.request_hash) == (message.created_at, message.request_hash)
        if not stored_by_us:  # another worker stored this key's message first
            return self._again(sent, request, deadline)
        return answer_for(sent)

    def advance(self, message_id: str, deadline: Deadline) -> Message:
        """Serve a nudge: take a waiting message as far as it goes now.

        Raises:
            MessagingError: `not_found`.
        """
        message = self.messages.find(message_id, self.message_ids)
        if message is None:
            raise MessagingError("not_found", "a nudge names a message that does not exist")
        if not message.may_be_tried(self.clock.now()):
            return message
        seen = self._read_for(message)
        if seen.message:  # asked for twice while the functions were upgraded: the other record goes out
            return self.commit(cancel(message, self.clock.now()))
        return self._send(message, seen, deadline)

    def nudge(self, answer: SendAnswer) -> bool:
        """Put a message that a caller's request left waiting on the queue. False: the sweep finds it within minutes."""
        if answer.message_id is None or answer.scheduled_for is None or answer.status not in ("pending", "retrying"):
            return True
        delay = max(0, int(answer.scheduled_for.timestamp() - self.clock.now() / 1000))
        try:
            self.queue.nudge(answer.message_id, delay)
        except PublishFailed:
            return False
        return True

    def _again(self, stored: Message, request: SendRequest, deadline: Deadline) -> SendAnswer:
        """The key is known. The same request carries on; another one is a conflict."""
        if stored.request_hash not in ("", request.hash()):  # a message canceled before it came has none
            raise MessagingError(
                "idempotency_conflict",
                "this idempotency_key belongs to a different request: use a new key for a new message",
            )
        now = self.clock.now()
        self.metrics.count_at(now, {"DuplicatesAbsorbed": 1})
        if stored.may_be_tried(now) and (stored.due_at or 0) <= now:
            stored = self._send(stored, self._read_for(stored), deadline)
        return answer_for(stored, duplicate=True)

    # --- the order of a send ---------------------------------------------------------------------------------------

    def _send(self, message: Message, seen: Seen, deadline: Deadline, *, reject: bool = False) -> Message:
        """Claim, fence, look once more, POST once, settle. Or wait, or leave it to the worker that has it."""
        contact, sender, versions, has_waited = seen.contact, seen.sender, seen.versions, False
        probe: Throttle | None = None
        for _ in range(_CLAIM_TRIES):
            now = self.clock.now()
            message = replace(message, contact_id=contact.contact_id)
            if sender.is_restored and not message.is_new:
                return message  # it may have gone out: the recovery says
            try:
                template = self._template(message.template)
                if message.continues and self._went_after_all(message.continues):
                    return self.commit(cancel(message, now))
                if seen.group and seen.group.is_canceled_for(message):
                    if message.is_new and is_forbidden(contact, message):
                        raise FORBIDDEN  # nothing of who was erased is stored, not even that it was canceled
                    return self.commit(cancel(message, now))
                if held := before_claim(message, contact, template, self.policy, now, deadline.at):
                    return self._wait_in_turn(held, contact, now, deadline)
                if self._is_not_needed(message, seen.group, contact):
                    return self.commit(not_needed(message, now))
                if deadline.at - now < periods.POST_NEEDS:
                    return message  # the sweep nudges it again
                content = content_of(message, contact, template, now)
                if isinstance(content, Template):
                    if not serving_version(content, message.language or content.default_language, versions):
                        versions = tuple(self.templates.versions(content.name))  # perhaps an older wording is
                    content = templated(message, content, versions)
                to = recipient(Address(message.to), contact, takes_ids=self._takes_ids(sender, now))
                content = replace(content, to=to.value)
                if held := slot_taken(message, contact, self.policy, now, random.random(), reject=reject):  # noqa: S311 - jitter
                    return self._wait_in_turn(held, contact, now, deadline)
            except MessagingError as error:
                return self.commit(refuse(message, error, now))
            if sender.may_have_lost(message):
                return self.commit(perhaps_lost(message, now))
            if why := self._paused(sender, now):
                return self.commit(paused(message, why, now, random.random()))  # noqa: S311 - jitter, not a secret
            try:
                content = self.offer_choices(content)
            except ContentRefused as error:
                refusal = MessagingError("account_problem", f"Twilio takes no content with these choices: {error}")
                return self.commit(refuse(message, refusal, now))
            except ContentUnavailable as error:
                return self.commit(no_content(message, str(error), now))
            if (limit := sender.throttle) and limit.binds(contact, now) and probe is None:
                probe = self.senders.book_probe(limit, now)
                if probe is None:
                    return self.commit(throttled(message, limit, now, random.random()))  # noqa: S311 - jitter
            claimed = claim(message, new_attempt_id(), self.clock.now(), deadline.at)
            lost = self.messages.claim(claimed, deadline.at, contact)
            if lost is None:
                return self._post(claimed.after, content, sender, probe, deadline)
            if lost.message:
                return lost.message
            if lost.group_canceled:
                return self.commit(cancel(message, now))
            if lost.reply_in_flight and has_waited:
                break
            message, contact, has_waited = self._after_lost_claim(message, contact, lost)
            sender, versions = self.senders.get(), ()
        now = self.clock.now()
        return self.commit(defer(message, now + periods.REPLY_DEFERRED, now))

    def _post(
        self, claimed: Message, post: OutgoingPost, sender: Sender, probe: Throttle | None, deadline: Deadline
    ) -> Message:
        """This worker has the message: write the fence, look at the contact once more, POST once, settle.

        `probe`: the limit that this POST tries.
        """
        path = f"/twilio/status/{claimed.message_id}/{claimed.attempt}"  # a callback finds its record by it
        send = self.gateway.prepare(replace(post, status_path=path))
        if deadline.at - self.clock.now() < periods.POST_NEEDS:
            return self.commit(put_back(claimed, _TOO_LITTLE_TIME, self.clock.now()))
        sending = self.commit(fence(claimed, post, self.clock.now()))
        if sending.status is not Status.SENDING or sending.attempt != claimed.attempt:
            return sending
        contact = self._last_look(sending, deadline)
        if contact is None:
            return self.commit(put_back(sending, _TOO_LITTLE_TIME, self.clock.now()))
        if is_forbidden(contact, sending):
            return self.commit(forbidden(sending, self.clock.now()))
        answer = send()
        outcome, now = self.offer_choices.after(post, answer), self.clock.now()
        if refuses_ids(sending, outcome, contact):
            self.senders.ids_refused(now)
            settled = id_refused(sending, self._contact(sending.contact_id), now)
        else:
            settled = after_post(sending, outcome, now, random.random())  # noqa: S311 - jitter, not a secret
        after = self.commit(settled, contact)
        self._count_unanswered(sender, answer)
        if probe and isinstance(outcome, Accepted):
            self.senders.probe_accepted(probe, self.clock.now())
        return after

    # --- its parts -------------------------------------------------------------------------------------------------

    def _takes_ids(self, sender: Sender, now: int) -> bool:
        return self.policy.send_to_ids and sender.takes_ids(now)

    def _paused(self, sender: Sender, now: int) -> Failure | None:
        """Why nothing is sent now. Where Twilio was down, one worker a minute asks it, and goes on if it answers."""
        if not sender.is_held and sender.is_down:
            if self.senders.may_ask(now) and self.gateway.is_answering():
                return None
            self.metrics.count("TwilioDown")
        return sender.pause

    def _count_unanswered(self, sender: Sender, outcome: Outcome) -> None:
        """Count POSTs in a row that Twilio did not answer."""
        if isinstance(outcome, (InDoubt, NotSent)):
            if self.senders.unanswered(self.clock.now()).is_down:
                self.metrics.count("TwilioDown")
        elif sender.unanswered:
            self.senders.answered()

    def _wait_in_turn(self, held: Transition, contact: Contact, now: int, deadline: Deadline) -> Message:
        """Store why the message does not go now. A deferral moves to its turn, and with it those that it overtakes."""
        if held.step is not DEFER or held.before.kind is SendKind.REPLY:
            return self.commit(held)
        others = self.messages.waiting_of(contact, now)
        own, *moved = in_turn(held, others, contact, self.policy.rate_limit_ms, self._quiet_hours_of, now)
        message = self.commit(own)
        for other in moved:
            if deadline.at - self.clock.now() < periods.SWEEP_NEEDS:
                break  # the sweep moves these when they are due
            self.commit(other)
        return message

    def _quiet_hours_of(self, message: Message) -> QuietHours | None:
        exempt = message.template in self.catalog.names and self.catalog.get(message.template).quiet_hours_exempt
        return None if exempt else self.policy.quiet_hours

    def _is_not_needed(self, message: Message, group: Group | None, contact: Contact) -> bool:
        """Whether another message of the group got as far as the message's `unless` says."""
        if message.unless is None or group is None:
            return False
        others = self.messages.get_many(sorted(group.message_ids - {message.message_id}))
        return got_as_far_as(message.unless, others, contact)

    def _went_after_all(self, message_id: str) -> bool:
        """Late evidence shows that the message which this one continues reached Twilio, and did not fail."""
        predecessor = self.messages.get(message_id)
        return predecessor is not None and predecessor.status in ACCEPTED - {Status.UNDELIVERED}

    def _after_lost_claim(self, message: Message, contact: Contact, lost: ClaimLost) -> tuple[Message, Contact, bool]:
        """The message and the contact of the next try, and whether this one waited."""
        if lost.inbound_refused:
            return replace(message, kind=SendKind.PROACTIVE), contact, False
        if lost.reply_in_flight:
            self.clock.sleep(periods.REPLY_WAITS_S)
            return message, self._contact(message.contact_id), True
        if lost.contact is None or lost.contact.alias_of:
            return message, self._contact(message.contact_id), False
        return message, lost.contact, False

    def _last_look(self, sending: Message, deadline: Deadline) -> Contact | None:
        """The contact as it is now, read within two seconds before the POST. None: no time is left for the POST."""
        while True:
            seen_at = self.clock.now()
            contact = self._contact(sending.contact_id)
            now = self.clock.now()
            if deadline.at - now < periods.POST_NEEDS:
                return None
            if now - seen_at <= periods.FRESH_CONTACT:
                return contact

    def _read_for(self, message: Message) -> Seen:
        template = message.template if message.template in self.catalog.names else None
        keyed = (self.message_ids.keyed(message.message_id),)
        return self._read(
            message.contact_id,
            self._template(template),
            language=message.language,
            group=message.group,
            message_ids=keyed,
        )

    def _read(
        self,
        contact_id: str,
        template: Template | None,
        *,
        language: str | None,
        group: str | None,
        message_ids: Sequence[str] = (),
        former_ids: tuple[str, ...] = (),
    ) -> Seen:
        """What the send depends on. An alias, or a number that had another spelling, takes more than one look."""
        seen = self.reader.read(contact_id, template, language=language, group=group, message_ids=message_ids)
        if seen.contact.alias_of or former_ids:
            contact = self.contacts.find(contact_id, former_ids) or Contact(contact_id=contact_id)
            seen = replace(seen, contact=contact)
        return seen

    def _template(self, name: str | None) -> Template | None:
        return self.catalog.get(name) if name else None

    def _contact(self, contact_id: str) -> Contact:
        return self.contacts.get(contact_id) or Contact(contact_id=contact_id)
