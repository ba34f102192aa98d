"""Stores a transition with its outbox, then drains the outbox. Every step of a message but its claim is taken here."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from whatsapp.adapters.dynamodb.contact_store import ContactStore
from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.ports import Clock, Metrics
from whatsapp.domain.sending import lifecycle
from whatsapp.domain.sending.after_post import when_overtaken
from whatsapp.domain.sending.lifecycle import ACCEPTED
from whatsapp.domain.sending.message import Message, SendKind
from whatsapp.domain.sending.transition import Transition, next_look
from whatsapp.domain.sending.twilio_codes import Binds, Row
from whatsapp.use_cases.outbox import Outbox

if TYPE_CHECKING:
    from whatsapp.adapters.dynamodb.sender_store import SenderStore
    from whatsapp.adapters.dynamodb.template_store import TemplateStore

MANY_REPLIES = 20
"""Replies to one contact within an hour that set off an alarm: two machines may be talking to each other."""
_COUNTED = {
    lifecycle.DOUBT: "MessagesInDoubt",
    lifecycle.FAIL: "MessagesFailed",
    lifecycle.UNDELIVER: "MessagesFailed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Takes decided steps."""

    messages: MessageStore
    contacts: ContactStore
    outbox: Outbox
    clock: Clock
    metrics: Metrics
    rate_limit_ms: int
    templates: "Callable[[], TemplateStore]"
    """Made when a code proves something about a template: no other webhook pays for loading it."""
    senders: "Callable[[], SenderStore]"
    """The same, for a code that binds our sender."""

    def __call__(self, transition: Transition, contact: Contact | None = None) -> Message:
        """Take the step. Returns the message after it, or as another worker left it if that one was first.

        `contact`: as it stood before an acceptance, for the audit of the rate limit.
        """
        if transition.proof:
            self._keep_proof(transition.before, transition.proof)
        if not self.messages.commit(transition):
            return self._overtaken(transition)
        self._count(transition)
        if transition.has_arrived:
            self.contacts.lift_suppression(transition.after.contact_id, transition.after.claimed_at or 0)
        after = self.drain(transition.after, transition.next_due)
        if transition.step is lifecycle.ACCEPT and contact:
            self._audit(transition.after, contact)
        return after

    def drain(self, message: Message, next_due: int | None = None) -> Message:
        """Deliver the outbox, and store the entries that are left. `next_due`: when a waiting message is due again."""
        if not message.outbox:
            return message
        left = self.outbox.deliver(message)
        if left == message.outbox:
            return message  # the sweep delivers it
        due_at, shard = (message.due_at, "send") if left else next_look(message, next_due)
        return self.messages.clear_outbox(message, left=left, due_at=due_at, shard=shard) or self._current(message)

    def _count(self, transition: Transition) -> None:
        """Count the step. What became of a message counts at its acceptance, so that a rate is of one cohort."""
        if metric := _COUNTED.get(transition.step):
            self.metrics.count(metric)
        after, now = transition.after, self.clock.now()
        at = after.accepted_at or after.claimed_at or now  # one that failed at once was never seen accepted
        counts: dict[str, float] = {}
        if transition.was_accepted:
            counts["MessagesSent"] = 1
            if after.kind is SendKind.PROACTIVE:
                self.metrics.count_at(at, {"ProactiveSent": 1}, **after.layout)
        if transition.has_arrived:
            counts |= {"MessagesArrived": 1, "TimeToDelivery": max(0, now - at)}
            if after.template and after.content_sid:
                counts["TemplatesArrived"] = 1
        if transition.step is lifecycle.READ:
            counts["MessagesRead"] = 1
        if counts:
            self.metrics.count_at(at, counts)

    def _overtaken(self, transition: Transition) -> Message:
        current = self._current(transition.before)
        instead = when_overtaken(transition, current, self.clock.now())
        return self(instead) if instead else current

    def _current(self, message: Message) -> Message:
        return self.messages.get(message.message_id) or message

    def _keep_proof(self, message: Message, row: Row) -> None:
        """Store a code's proof about the contact, the template or our sender, as they were when the message went."""
        at = message.claimed_at or self.clock.now()
        if row.suppress:
            self.contacts.suppress(message.contact_id, row.code, at)
        if row.binds is not Binds.NOTHING:
            self.senders().refused(row, message, self.clock.now())
        if row.template_status and message.template and message.content_sid:
            self.templates().report(message.template, message.content_sid, row.template_status, at)

    def _audit(self, sent: Message, before: Contact) -> None:
        """Count violations of the rate limit, which must never be, and unusually many replies."""
        at = sent.accepted_at or self.clock.now()
        if sent.kind is SendKind.REPLY:
            lately = self.messages.of_contact(sent.contact_id, at - periods.HOUR, at)
            if sum(m.kind is SendKind.REPLY and m.status in ACCEPTED for m in lately) >= MANY_REPLIES:
                self.metrics.count("RepliesPerContactHigh")
        elif (
            before.last_accepted_at
            and abs(at - before.last_accepted_at) < self.rate_limit_ms
            and not _was_another_contact(sent, before)
        ):
            self.metrics.count_at(self.clock.now(), {"RateLimitViolations": 1})


def _was_another_contact(sent: Message, contact: Contact) -> bool:
    """Whether two addresses became one person's after the claim, which heeds `tied_until`."""
    return sent.contact_id != contact.contact_id or (contact.tied_until or 0) > (sent.claimed_at or 0)
