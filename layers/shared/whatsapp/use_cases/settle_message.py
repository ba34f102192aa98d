"""What became of one POST: settle the message and its slot by Twilio's answer, through the table of codes."""

import random
from dataclasses import dataclass, replace

from whatsapp.adapters.dynamodb.contact_store import ContactStore
from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.adapters.dynamodb.template_store import TemplateStore
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.ports import Accepted, Clock, InDoubt, Metrics, NotSent, Outcome, Rejected
from whatsapp.domain.sending import lifecycle
from whatsapp.domain.sending.lifecycle import ACCEPTED
from whatsapp.domain.sending.message import MAX_ATTEMPTS, Failure, Message, SendKind
from whatsapp.domain.sending.twilio_codes import Action, Audience, Row, row_for
from whatsapp.use_cases.continue_message import ContinueMessage
from whatsapp.use_cases.steps import EVENT, EVENT_AND_ALERT, EVERYONE, Steps

MANY_REPLIES = 20
"""Replies to one contact within an hour from which on an alarm goes off."""
_CODE_OF_STATUS = {401: 20003, 403: 20003, 429: 20429}
"""What an HTTP status says where Twilio gave no code of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleMessage:
    """Settles what one POST left behind."""

    messages: MessageStore
    contacts: ContactStore
    templates: TemplateStore
    clock: Clock
    metrics: Metrics
    steps: Steps
    continue_message: ContinueMessage
    rate_limit_ms: int

    def __call__(self, sending: Message, contact: Contact, outcome: Outcome) -> Message:
        """Settle a message that is `sending`; `contact` is how it stood just before the POST."""
        match outcome:
            case Accepted(twilio_sid):
                return self._accepted(sending, contact, twilio_sid)
            case NotSent(detail):
                return self._try_later(sending, Failure(code="twilio_unavailable", detail=detail, retryable=True))
            case Rejected(code, http_status):
                return self._rejected(sending, code, http_status)
            case InDoubt(detail):
                self.metrics.count("MessagesInDoubt")
                doubt = Failure(code="twilio_unavailable", detail=f"{detail}: held until there is evidence")
                return self.steps.take(sending, lifecycle.DOUBT, due_at=sending.due_at, error=doubt)

    def failed_late(self, message: Message, *, status: str, code: int | None, twilio_sid: str | None) -> Message:
        """Twilio took it and says by callback or list that it failed: no refund, the same table.

        Of a message that reached the phone, or whose failure is known, it proves nothing more.
        """
        step = lifecycle.UNDELIVER if status == "undelivered" else lifecycle.FAIL
        if message.status not in step.sources:
            return message
        row = row_for(code)
        self._note(message, row)
        successor = self.continue_message.after_failure(message, row, accepted=True)
        failed = self.steps.take(
            message,
            step,
            error=Failure(code=row.error, detail=row.meaning, twilio_code=code, retryable=row.retryable),
            release_slot=message.is_in_doubt,
            twilio_sid=twilio_sid,
            outbox=_audience(message, row, successor, too_late=row.retryable),
            successor=successor,
        )
        if failed.status is step.target:
            self.metrics.count("MessagesFailed")
        elif successor and failed.stop and failed.status in step.sources:  # canceled meanwhile: nothing goes on
            return self.failed_late(failed, status=status, code=code, twilio_sid=twilio_sid)
        return failed

    def accepted_after_all(self, message: Message, twilio_sid: str) -> Message:
        """A callback or Twilio's list shows that a message in doubt was accepted."""
        now = self.clock.now()
        latest = now if message.claimed_at is None else min(now, message.claimed_at + periods.LATEST_ACCEPTANCE)
        contact = self.contacts.get(message.contact_id) or Contact(contact_id=message.contact_id)
        sent = self.messages.accept(message, twilio_sid=twilio_sid, at=latest, now=now)
        if sent is None:
            return self.messages.get(message.message_id) or message
        self.continue_message.withdraw(sent)
        return self._sent(sent, contact, latest)

    def _accepted(self, sending: Message, contact: Contact, twilio_sid: str) -> Message:
        at = self.clock.now()
        sent = self.messages.accept(sending, twilio_sid=twilio_sid, at=at, now=at)
        if sent is None:  # a callback, or a sweep after a long pause, was there first: the record has the truth
            return self.messages.get(sending.message_id) or sending
        return self._sent(sent, contact, at)

    def _sent(self, sent: Message, contact: Contact, at: int) -> Message:
        self.metrics.count("MessagesSent")
        told = self.steps.tell(sent)
        self._audit(sent, contact, at)
        return told

    def _audit(self, sent: Message, contact: Contact, at: int) -> None:
        """Count what must never be, and what looks like two machines talking to each other."""
        if sent.kind is SendKind.REPLY:
            lately = self.messages.of_contact(sent.contact_id, at - periods.HOUR, at)
            if sum(one.kind is SendKind.REPLY and one.status in ACCEPTED for one in lately) >= MANY_REPLIES:
                self.metrics.count("RepliesPerContactHigh")
        elif contact.last_accepted_at and abs(at - contact.last_accepted_at) < self.rate_limit_ms:
            self.metrics.count("RateLimitViolations")

    def _rejected(self, sending: Message, code: int | None, http_status: int) -> Message:
        row = row_for(_CODE_OF_STATUS.get(http_status) if code is None else code)
        error = Failure(code=row.error, detail=row.meaning, twilio_code=code, retryable=row.retryable)
        self._note(sending, row)
        match row.action:
            case Action.RETRY:
                return self._try_later(sending, error)
            case Action.SLOW_DOWN:
                return self._slow_down(sending, error, row)
            case Action.PAGE:
                return self.steps.refund(sending, lifecycle.GIVE_UP, error=error, outbox=EVERYONE)
        successor = self.continue_message.after_failure(sending, row, accepted=False)
        outbox = _audience(sending, row, successor)
        return self.steps.refund(sending, lifecycle.REFUSE, error=error, outbox=outbox, successor=successor)

    def _note(self, message: Message, row: Row) -> None:
        """What a code proves about the contact or the template, as they were when it was sent, outlives the message."""
        at = message.claimed_at or self.clock.now()
        if row.suppress:
            self.contacts.suppress(message.contact_id, row.code, at)
        if row.template_status and message.template and message.content_sid:
            self.templates.report(message.template, message.content_sid, row.template_status, at)

    def _try_later(self, sending: Message, error: Failure) -> Message:
        if sending.attempts >= MAX_ATTEMPTS:
            final = replace(error, detail=f"{error.detail}; {MAX_ATTEMPTS} attempts failed", retryable=False)
            return self.steps.refund(sending, lifecycle.GIVE_UP, error=final, outbox=EVERYONE)
        wait_ms = random.randint(5_000, 10_000) * 3 ** (sending.attempts - 1)  # noqa: S311 - jitter, not a secret
        return self.steps.refund(sending, lifecycle.RETRY, error=error, due_at=self.clock.now() + wait_ms)

    def _slow_down(self, sending: Message, error: Failure, row: Row) -> Message:
        now = self.clock.now()
        since = sending.throttled_since or now
        if now - since >= periods.THROTTLED_FOR:
            return self.steps.refund(sending, lifecycle.GIVE_UP, error=replace(error, retryable=False), outbox=EVERYONE)
        first = sending.throttled_since is None
        alert = frozenset({"alert"}) if first and row.alert is not Audience.NOBODY else frozenset()
        wait_ms = min(max(random.randint(3_000, 6_000), (now - since) // 2), 15 * periods.MINUTE)  # noqa: S311 - jitter
        return self.steps.refund(
            sending,
            lifecycle.RETRY,
            error=error,
            due_at=now + wait_ms,
            attempts=sending.attempts - 1,
            throttled_since=since,
            outbox=alert,
        )


def _audience(message: Message, row: Row, successor: Message | None, *, too_late: bool = False) -> frozenset[str]:
    """Who is told of a failure: people where its row says so, once in a chain of throttled records, and wherever
    nothing goes on by itself.

    `too_late`: it might have been tried again. An approved template that is refused as free-form is no row's case.
    """
    first = message.throttled_since is None
    unforeseen = row.action is Action.FALL_BACK and message.content_sid is not None
    if row.alert is not Audience.NOBODY and (first or successor is None):
        return EVENT_AND_ALERT
    return EVENT_AND_ALERT if successor is None and (unforeseen or too_late) else EVENT
