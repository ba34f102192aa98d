"""Decides, by the outcome of the POST and the table of Twilio's codes, what happens to the message and its slot."""

from dataclasses import replace
from typing import assert_never

from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.contact import Contact
from whatsapp.domain.errors import Failure
from whatsapp.domain.ports import Accepted, InDoubt, NotSent, Outcome, Rejected
from whatsapp.domain.sending.continuation import continuation_after
from whatsapp.domain.sending.lifecycle import ACCEPT, DOUBT, FENCE, GIVE_UP, REFUSE, RETRY, STOP, Status
from whatsapp.domain.sending.message import MAX_ATTEMPTS, Message
from whatsapp.domain.sending.sender import NUMBER_HIDDEN
from whatsapp.domain.sending.transition import EVENT, EVERYONE, NOTHING, Transition, outbox_of_failure, swept_at, take
from whatsapp.domain.sending.twilio_codes import INVALID_TO, Action, Audience, Binds, Row, row_for


def after_post(sending: Message, outcome: Outcome, now: int, spread: float) -> Transition:
    """Settle a message that is `sending`. `spread`: a random number from 0 to 1, for the pause before a retry."""
    match outcome:
        case Accepted(twilio_sid):
            return accepted(sending, twilio_sid, now, now)
        case NotSent(detail):
            return _wait(sending, Failure(code="twilio_unavailable", detail=detail, retryable=True), now, spread)
        case Rejected(code, http_status):
            row = row_for(code, http_status)
            return replace(_rejected(sending, row, failure_of(row, code), now, spread), proof=row)
        case InDoubt(detail):
            doubt = Failure(code="twilio_unavailable", detail=f"{detail}: held until there is evidence")
            return take(sending, DOUBT, now, due_at=sending.due_at, error=doubt)
        case _:
            assert_never(outcome)


def accepted(message: Message, twilio_sid: str, at: int, now: int) -> Transition:
    """Twilio accepted it, at `at` at the latest."""
    due_at = swept_at(message, now)
    return take(message, ACCEPT, now, due_at=due_at, outbox=EVENT, twilio_sid=twilio_sid, accepted_at=at)


def put_back(message: Message, why: str, now: int) -> Transition:
    """Certainly not sent, and no attempt: the slot is refunded, and it is tried again at once."""
    error = Failure(code="twilio_unavailable", detail=why, retryable=True)
    return take(message, RETRY, now, due_at=now, scheduled_for=now, error=error, attempts=message.attempts - 1)


def forbidden(sending: Message, now: int) -> Transition:
    """The last look at the contact forbids the POST."""
    error = Failure(code="opted_out", detail="the contact opted out or was erased just before the message went")
    return take(sending, REFUSE, now, error=error, outbox=EVENT)


def refuses_ids(sending: Message, outcome: Outcome, contact: Contact) -> bool:
    """Whether Twilio refused the business-scoped id of someone who has written to us: it takes none as `To`.

    An id that never wrote to us may be the caller's mistake.
    """
    is_refused = isinstance(outcome, Rejected) and outcome.code == INVALID_TO
    return is_refused and not Address(sending.to).is_phone_number and contact.last_inbound_at is not None


def id_refused(sending: Message, contact: Contact, now: int) -> Transition:
    """Twilio takes no ids: it is tried again with the number, where an inbound message has shown it meanwhile.

    The contact is not suppressed: a number that they show later can be written to.
    """
    if contact.address and Address(contact.address).is_phone_number:
        return put_back(sending, "Twilio refused the WhatsApp id", now)
    error = replace(NUMBER_HIDDEN.failure, twilio_code=INVALID_TO)
    return take(sending, REFUSE, now, error=error, outbox=EVENT)


def failure_of(row: Row, code: int | None) -> Failure:
    """The failure that callers see for a code. `code` is None where Twilio gave none."""
    return Failure(code=row.error, detail=row.meaning, twilio_code=code, retryable=row.retryable)


def _rejected(sending: Message, row: Row, error: Failure, now: int, spread: float) -> Transition:
    match row.action:
        case Action.RETRY:
            return _retry(sending, error, now, spread)
        case Action.WAIT:
            return _wait(sending, error, now, spread, row)
        case Action.FAIL | Action.FALL_BACK:
            successor = continuation_after(sending, row, now, was_accepted=False)
            outbox = EVERYONE if row.can_be_redriven else outbox_of_failure(sending, row, successor)
            return take(sending, REFUSE, now, error=error, outbox=outbox, successor=successor)
        case _:
            assert_never(row.action)


def _retry(sending: Message, error: Failure, now: int, spread: float) -> Transition:
    if sending.attempts >= MAX_ATTEMPTS:
        final = replace(error, detail=f"{error.detail}; {MAX_ATTEMPTS} attempts failed", retryable=False)
        return take(sending, GIVE_UP, now, error=final, outbox=EVERYONE)
    at = now + _between(periods.RETRY_PAUSE, spread) * 3 ** (sending.attempts - 1)
    return take(sending, RETRY, now, due_at=at, scheduled_for=at, error=error, waiting_since=None)


def _wait(sending: Message, error: Failure, now: int, spread: float, row: Row | None = None) -> Transition:
    """It certainly was not sent, and the reason is temporary: the attempt does not count.

    `row`: of the code, if Twilio refused it. Its audience is alerted if it was refused before: the first refusal may
    be a secret that was just rotated. A limit of our sender's alerts at once, since the next refusal may be another
    message's, and is waited out until the message expires.
    """
    since = sending.waiting_since or now
    is_our_senders = row is not None and row.binds is not Binds.NOTHING
    alerts = row is not None and row.alert is not Audience.NOBODY
    if now - since >= periods.WAITS_FOR and not is_our_senders:
        return take(sending, GIVE_UP, now, error=replace(error, retryable=False), outbox=EVERYONE)
    longest = min(now - since, periods.LONGEST_WAIT_PAUSE)
    at = now + max(_between(periods.FIRST_WAIT_PAUSE, spread), _between((longest // 2, longest), spread))
    return take(
        sending,
        RETRY,
        now,
        due_at=at,
        scheduled_for=at,
        error=error,
        attempts=sending.attempts - 1,
        waiting_since=since,
        outbox=frozenset({"alert"}) if alerts and (sending.waiting_since or is_our_senders) else NOTHING,
    )


def _between(bounds: tuple[int, int], spread: float) -> int:
    least, most = bounds
    return least + int((most - least) * spread)


def when_overtaken(lost: Transition, current: Message, now: int) -> Transition | None:
    """What to do instead of a step that did not hold, if this worker still has the message.

    It was asked to stop, or it expired before the fence: certainly nothing was sent, so the slot is refunded.
    """
    is_ours = current.attempt == lost.before.attempt and current.status in STOP.sources
    if not (is_ours and lost.step.stoppable) or (lost.step is FENCE and current.status is not Status.CLAIMED):
        return None
    if current.stop:
        return take(current, STOP, now, outbox=EVENT)
    return put_back(current, "its time passed before it could go", now) if lost.step is FENCE else None
