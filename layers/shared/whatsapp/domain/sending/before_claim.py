"""Decides, before the claim, whether a message may go now, or is refused, expired or deferred.

A message that is not stored yet is refused by an error, which stores nothing; a stored one by a transition.
"""

from typing import TYPE_CHECKING

from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import Failure, MessagingError
from whatsapp.domain.ports import OutgoingPost
from whatsapp.domain.schedule import QuietHours, earliest, iso
from whatsapp.domain.sending.lifecycle import CANCEL, CLAIM, DEFER, DROP, EXPIRE, FENCE, STORE, Status
from whatsapp.domain.sending.message import Message, SendKind
from whatsapp.domain.sending.throttle import Throttle
from whatsapp.domain.sending.transition import EVENT, EVENT_AND_ALERT, Transition, take
from whatsapp.domain.sending.twilio_codes import row_for

if TYPE_CHECKING:
    from whatsapp.domain.templates.template import Template

FORBIDDEN = MessagingError("opted_out", "the contact opted out or was erased meanwhile")


@dataclass(frozen=True, slots=True)
class SendPolicy:
    """The deployment's parameters for sending."""

    rate_limit_ms: int
    quiet_hours: QuietHours | None = None
    send_to_ids: bool = False
    """Whether a business-scoped id whose number is not known may be written to."""


def before_claim(
    message: Message, contact: Contact, template: "Template | None", policy: SendPolicy, now: int, lease: int
) -> Transition | None:
    """Why the message does not go now; None if nothing stands against it but, perhaps, the slot.

    `lease`: when this invocation ends.

    Raises:
        MessagingError: a new message is refused.
    """
    if refusal := unreachable(contact, now):
        return refuse(message, refusal, now)
    if is_forbidden(contact, message):
        return refuse(message, FORBIDDEN, now)
    if template and template.requires_opt_in and contact.opted_in_at is None:
        return refuse(message, _no_consent(template), now)
    if message.is_past(now):
        return expire(message, now)
    exempt = message.kind is SendKind.REPLY or (template is not None and template.quiet_hours_exempt)
    at = earliest(now, message.send_at, None if exempt else policy.quiet_hours)
    if at > now:
        return defer(message, at, now)
    if message.is_new and lease - now < periods.POST_NEEDS:
        return take(message, STORE, now, due_at=now + periods.PENDING_FOR)
    return None


def slot_taken(
    message: Message, contact: Contact, policy: SendPolicy, now: int, spread: float, *, reject: bool = False
) -> Transition | None:
    """The contact's slot is taken. None: it is free, or the message is a reply, which does not need it.

    `spread`: a random number from 0 to 1, so that not all waiting messages look again at one moment.

    Raises:
        MessagingError: a new message is refused; `rate_limited` where the caller asked for that.
    """
    opens = None if message.kind is SendKind.REPLY else contact.slot_opens_at(now, policy.rate_limit_ms)
    if opens is None:
        return None
    opens_at = free_at(contact, policy.rate_limit_ms, now)
    detail = f"one unprompted message in {_in_words(policy.rate_limit_ms)}: the next may go at {iso(opens_at)}"
    limited = Failure(code="rate_limited", detail=detail, retryable=True)
    if reject and message.is_new:
        raise MessagingError(limited.code, limited.detail, retryable=True)
    look_at = opens if opens > now else now + periods.MINUTE + int(4 * periods.MINUTE * spread)
    if contact.inflight and message.expires_at and message.expires_at <= look_at + 5 * periods.MINUTE:
        look_at = min(look_at, now + 2 * periods.MINUTE)  # a refund may free the slot in time
    return defer(message, opens_at, now, look_at=look_at, error=limited)


def paused(message: Message, why: Failure, now: int, spread: float) -> Transition:
    """All sending is paused: the message waits, however long that lasts, until it expires."""
    least, most = periods.PAUSED_LOOK
    return defer(message, now + least + int((most - least) * spread), now, error=why)


def throttled(message: Message, throttle: Throttle, now: int, spread: float) -> Transition:
    """A limit binds our sender: the message waits for the next probe, or the limit's end, until it expires."""
    return defer(message, throttle.next_look(now, spread), now, error=throttle.failure)


def no_content(message: Message, why: str, now: int) -> Transition:
    """The content of its choices could not be made at Twilio: certainly nothing was sent, and it is tried again."""
    error = Failure(code="twilio_unavailable", detail=why, retryable=True)
    return defer(message, now + periods.CONTENT_LOOK, now, error=error)


def defer(
    message: Message, at: int, now: int, *, look_at: int | None = None, error: Failure | None = None
) -> Transition:
    """Wait until `at`. The sweep looks at `look_at`, and in any case when the message expires.

    An event is published, unless the last one said the same. A wait without a known end, such as a pause of all
    sending, is published once and not at every look.
    """
    said = message.error.code if message.error else None
    has_no_time = error is not None and error.code != "rate_limited" and error.code == said
    again = message.status is Status.DEFERRED and (has_no_time or message.scheduled_for == at)
    look_at = look_at or at
    return take(
        message,
        DEFER,
        now,
        due_at=min(look_at, message.expires_at or look_at),
        scheduled_for=at,
        error=error or message.error,
        outbox=message.outbox if again else EVENT,
    )


def refuse(message: Message, error: MessagingError, now: int) -> Transition:
    """It may not go. A template that is not approved may be again: a stored message waits for it.

    Raises:
        MessagingError: the message is new: nothing is stored, and its key stays free.
    """
    if message.is_new:
        raise error
    if error.code == "template_not_approved" and now < _waits_for_template_until(message):
        return defer(message, now + periods.TEMPLATE_LOOK, now, error=error.failure)
    outbox = EVENT_AND_ALERT if error.code == "template_not_approved" else EVENT
    failure = Failure(code=error.code, detail=error.detail, twilio_code=error.failure.twilio_code)
    return take(message, DROP, now, error=failure, outbox=outbox)


def expire(message: Message, now: int) -> Transition:
    """Its time has passed. People are alerted where it was not the contact's own turn that it waited for."""
    ours = message.error is not None and message.error.code != "rate_limited"
    return take(message, EXPIRE, now, outbox=EVENT_AND_ALERT if ours else EVENT)


def cancel(message: Message, now: int, *, error: Failure | None = None) -> Transition:
    """A waiting message is not wanted any more: its caller, an erasure, or the message it continues went after all."""
    return take(message, CANCEL, now, error=error or message.error, outbox=EVENT)


def not_needed(message: Message, now: int) -> Transition:
    """Another message of its group got as far as its `unless` says."""
    detail = f"another message of its group was {message.unless} already"
    return cancel(message, now, error=Failure(code="not_needed", detail=detail))


def claim(message: Message, attempt: str, now: int, lease: int) -> Transition:
    """One worker takes the message until its lease ends. `attempt`: a new random id."""
    return take(
        message,
        CLAIM,
        now,
        attempt=attempt,
        attempts=message.attempts + 1,
        claimed_at=now,
        due_at=lease + periods.LEASE_MARGIN,
    )


def fence(claimed: Message, post: OutgoingPost, now: int) -> Transition:
    """The last write before the POST. It stores the address, the text and the template's copy that go out."""
    return take(
        claimed,
        FENCE,
        now,
        due_at=claimed.due_at,
        to=post.to,
        text=post.rendered or claimed.text,
        content_sid=post.content_sid,
    )


def is_forbidden(contact: Contact, message: Message) -> bool:
    """Whether the contact opted out, or was erased since the message was asked for."""
    return contact.opted_out_at is not None or contact.was_erased_since(message.requested_at)


def unreachable(contact: Contact, now: int) -> MessagingError | None:
    """Why nothing at all is sent to this contact."""
    if contact.opted_out_at:
        return MessagingError("opted_out", "this contact asked not to be written to; only their START lifts it")
    if contact.suppressed_code is None:
        return None
    row = row_for(contact.suppressed_code)
    if row.lapses and contact.suppressed_at and now >= contact.suppressed_at + row.lapses:
        return None
    detail = f"suppressed since Twilio said: {row.meaning}; PUT /contacts lifts it"
    return MessagingError(row.error, detail, twilio_code=row.code)


def _no_consent(template: "Template") -> MessagingError:
    return MessagingError(
        "no_consent",
        f"{template.name} goes only to contacts who agreed to it: once this one has, record it by PUT /contacts with "
        "`opted_in_at` and `opt_in_source`",
    )


def _waits_for_template_until(message: Message) -> int:
    return message.expires_at or max(message.created_at, message.send_at or 0) + periods.WAITS_FOR_TEMPLATE


def free_at(contact: Contact, rate_limit_ms: int, now: int) -> int:
    """When the slot is free: now, when it opens, or when a doubt that holds it ends at the latest."""
    opens = contact.slot_opens_at(now, rate_limit_ms)
    if opens is None or opens > now:
        return opens or now
    ends = (contact.next_allowed_at or now, (contact.inflight_at or now) + periods.DOUBT_ENDS)
    return min((at for at in ends if at > now), default=now)


def _in_words(period: int) -> str:
    if period == periods.HOUR:
        return "an hour"
    for unit, name in ((periods.HOUR, "hours"), (periods.MINUTE, "minutes")):
        if period % unit == 0:
            return f"{period // unit} {name}"
    return f"{period // periods.SECOND} seconds"
