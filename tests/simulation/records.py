"""What must hold once all is quiet: our tables and events, judged by the ledger and the script."""

import json
from collections import Counter
from collections.abc import Iterator

from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.sending.lifecycle import IN_DOUBT, WAITING, Status
from whatsapp.domain.sending.message import Message, handle_of

from tests.simulation.case import CLOCK_ERROR, INVOCATION, LOST, STUCK, WRONG, Case, Rule, Violation
from tests.simulation.hub import MINUTE
from tests.simulation.twilio import Entry
from tests.simulation.world import CONTACT_IDS

LIST_SEEN_BY = 65 * MINUTE
LATE = 2 * MINUTE
"""Our webhook and our workers may be this late in noting that somebody was met."""
GOES_ON_WITHIN = 20 * MINUTE
LATE_WEBHOOK = MINUTE
"""A message is dated when our webhook stores it: by its confirmation, or if that was lost, so late."""
LAST_PROBE = 2 * periods.THROTTLE_PAUSE[1]
"""After a limit's end its next probe sets out so late, if the worker of one before died."""
PASSES = (20003, 63041)
"""The codes of a token that is being rotated, and of a paused template."""
PERSONAL = ("address", "user_id", "agent", "language", "last_inbound_at", "last_outbound_agent")


def nothing_is_stuck(case: Case) -> Iterator[Violation]:
    """Every record is final, told, and looked at by nobody; no contact's slot is held."""
    if not case.world.at_rest:
        yield Violation(STUCK, "the world does not come to rest")
    for message in case.messages.values():
        if message.status in WAITING | {Status.CLAIMED, Status.SENDING, Status.UNKNOWN}:
            yield Violation(STUCK, f"{message.message_id} is {message.status} ({message.error})")
        elif message.due_at and not (message.due_shard or "").startswith("status#"):
            yield Violation(STUCK, f"{message.message_id} is {message.status} and still due")
        if message.outbox:
            yield Violation(LOST, f"{message.message_id} is {message.status}: {set(message.outbox)} untold")
    for contact in case.contacts.values():
        if contact.inflight:
            yield Violation(STUCK, f"the slot of {contact.contact_id} is held by {contact.inflight}")
    for inbound in case.world.tables["messages"]:
        for message_id in inbound.get("replied_by", {}).get("SS", ()):
            if not case.by_message.get(message_id) and case.messages[message_id].status is not Status.UNRESOLVED:
                yield Violation(STUCK, f"{message_id} keeps its place among the replies, and was not sent")


def nothing_is_lost(case: Case) -> Iterator[Violation]:
    """Whatever was asked for has a record, or its caller was told why not."""
    heard = {e["message_id"] for e in case.world.bus.events if e.get("message_id")}
    for request in case.script.requests.values():
        names = {a.message_id for a in request.answers} - {None}
        if names - {request.message_id}:
            yield Violation(LOST, f"{request.key} was answered with the id of another message")
        known = request.message_id in case.messages
        if names and not known:
            yield Violation(LOST, f"{request.key} was accepted and has no record")
        told = (
            request.refusals
            or heard & {request.message_id, handle_of(request.key)}  # a refusal has a handle
            or any(request.key in d.body for d in case.world.sqs.dead)
        )
        gave_up = request.gave_up and not request.answers
        if not known and not told and not gave_up and not case.was_erased(request):
            yield Violation(LOST, f"{request.key} has neither record nor refusal")


def records_are_true(case: Case) -> Iterator[Violation]:
    """A record says of its message what Twilio knows, as far as Twilio told it."""
    for message in case.messages.values():
        entries = case.by_message.get(message.message_id, [])
        entry = entries[0] if entries else None
        if problem := _untrue(case, message, entry):
            yield Violation(WRONG, f"{message.message_id}: {problem}")


def _untrue(case: Case, message: Message, entry: Entry | None) -> str | None:
    status = message.status
    if entry is None:
        return f"{status}, but Twilio never had it" if status in _AT_TWILIO else None
    if status in (Status.EXPIRED, Status.CANCELED, Status.REFUSED):
        return f"{status}, but Twilio has it"
    if message.text and message.text != entry.body:
        return "its text is not what Twilio has"
    if status in (Status.FAILED, Status.UNDELIVERED) and not entry.failed:
        return f"{status}, but Twilio says {entry.status}"
    if (
        status is Status.UNRESOLVED
        and not case.was_erased(case.script.request_of(entry.message_id))
        and (entry.told or _was_listed(case, message, entry))
    ):
        return "unknown, though there was evidence"
    if status is Status.SENT and "failed" in entry.told + ["failed"] * (entry.status in entry.told and entry.failed):
        return f"sent, though a callback said {entry.status}" if entry.failed and entry.status in entry.told else None
    for said, least in (("delivered", (Status.DELIVERED, Status.READ)), ("read", (Status.READ,))):
        if said in entry.told and status not in least:
            return f"{status}, though a callback said {said}"
    return (
        f"{status}, but Twilio says {entry.status}"
        if status in _ARRIVED and entry.status not in _SAYS_ARRIVED
        else None
    )


def _was_listed(case: Case, message: Message, entry: Entry) -> bool:
    """Whether the list showed it in time, and nothing else that it might have been."""
    alike = [m for m in case.messages.values() if m.to == message.to and m.text == message.text]
    if message.claimed_at is None or entry.listed_at > message.claimed_at + LIST_SEEN_BY or len(alike) > 1:
        return False
    looked = (message.claimed_at, message.claimed_at + LIST_SEEN_BY)
    return not any(o.begins < looked[1] and looked[0] < o.ends for o in case.world.faults.outages)


_AT_TWILIO = {Status.SENT, Status.DELIVERED, Status.READ, Status.UNDELIVERED}
_ARRIVED = {Status.DELIVERED, Status.READ}
_SAYS_ARRIVED = {"delivered", "read"}


def all_is_told(case: Case) -> Iterator[Violation]:
    """Each record's end is on the bus, each event id stands for one event, and people know of what needs them."""
    events: dict[str, dict[str, object]] = {}
    for event in case.world.bus.events:
        known = events.setdefault(str(event["event_id"]), event)
        if _promise(case, known) != _promise(case, event):
            yield Violation(WRONG, f"event {event['event_id']} was published with two contents")
    for message in case.messages.values():
        if message.status in WAITING | IN_DOUBT - {Status.UNRESOLVED} or not message.contact_id:
            continue
        if (
            message.status is not Status.CLAIMED
            and f"{message.message_id}#{message.status.public_status}" not in events
        ):
            yield Violation(LOST, f"{message.message_id} is {message.status}, and no event says so")
        if message.status is Status.UNRESOLVED and not any(message.message_id in a for a in case.world.sns.alerts):
            yield Violation(LOST, f"{message.message_id} is in doubt for good, and nobody was paged")
    for letter in case.world.sqs.dead:
        if '"message_id"' in letter.body and not any(m in letter.body for m in case.messages):
            yield Violation(WRONG, f"a dead letter names no record: {letter.body}")


def _promise(case: Case, event: dict[str, object]) -> dict[str, object]:
    """What an event says, less when and why: a refusal is stored nowhere, and is judged anew when it is delivered
    again; a message may come to be deferred to the same moment twice, and two addresses may have been tied meanwhile.
    And less what an erasure removed.
    """
    if case.was_erased(case.script.request_of(str(event.get("message_id")))):
        event = {name: value for name, value in event.items() if name not in ("address", "user_id", "idempotency_key")}
    again = "#refused#" in str(event["event_id"]) or event.get("status") == "deferred"
    return {
        name: value for name, value in event.items() if not again or name not in ("occurred_at", "error", "contact_id")
    }


def events_are_true(case: Case) -> Iterator[Violation]:
    """No event tells what never was."""
    for event in case.world.bus.events:
        message = case.messages.get(str(event.get("message_id")))
        if event["type"] != "message.status_changed" or message is None:
            continue
        said = event["status"]
        if said in ("sent", "delivered", "read", "undelivered") and not case.by_message.get(message.message_id):
            yield Violation(WRONG, f"the bus heard that {message.message_id} is {said}; Twilio never had it")
        if said in ("canceled", "expired") and message.status.public_status != said:
            yield Violation(WRONG, f"the bus heard that {message.message_id} is {said}; it is {message.status}")


def replies_are_not_limited(case: Case) -> Iterator[Violation]:
    """The rate limit holds no reply back. What a record was then counts: a worker that read it earlier may end it as
    the reply that it was.
    """
    for message_id in sorted(case.world.held_replies):
        yield Violation(WRONG, f"{message_id} is a reply, and was held back by the rate limit")


def groups_are_true(case: Case) -> Iterator[Violation]:
    """What was asked for after a group's cancel is not canceled by it; what is not needed had a reason."""
    for request in case.script.requests.values():
        message = case.messages.get(request.message_id)
        if "group" not in request.body or message is None or message.status is not Status.CANCELED:
            continue
        first = min(at for at, _ in request.asked)
        later = [c for c in case.script.group_cancels if c.group == message.group and c.confirmed_at > first]
        if message.error and message.error.code == "not_needed":
            if not case.group_of(request) and not _is_doubtful(case, message):
                yield Violation(WRONG, f"{message.message_id} was not needed, though nothing of its group went")
        elif not later and message.message_id not in case.script.canceled and not case.was_erased(request):
            yield Violation(LOST, f"{message.message_id} was canceled with a group that was canceled before it")


def unanswered_is_told(case: Case) -> Iterator[Violation]:
    """Where nobody answered in time, its caller hears so once; where somebody did, never."""
    told = Counter(e["message_id"] for e in case.world.bus.events if e["type"] == "message.unanswered")
    for request in case.script.requests.values():
        message = case.messages.get(request.message_id)
        if message is None or not message.answer_by or case.was_erased(request):
            continue
        entries = case.group_of(request)
        first = min((entry.accepted_at for entry in entries if not entry.failed), default=None)
        theirs = [s for s in case.script.said.values() if case.is_one(s.address, request.body["to"])]
        # From the claim on it may be answered: nobody knows the moment of a POST whose answer is under way.
        claims = [m.claimed_at for e in entries if (m := case.messages.get(e.message_id)) and m.claimed_at]
        claimed_at = min([*claims, *(entry.posted_at for entry in entries)], default=1 << 62)
        may_be_answered = any(
            (said.confirmed_at or said.at + LATE_WEBHOOK) >= claimed_at - CLOCK_ERROR for said in theirs
        )
        known_by = message.answer_by - MINUTE  # an address that is tied to theirs only later was a stranger's
        in_time = first is not None and any(
            said.at > first + CLOCK_ERROR
            and said.confirmed_at
            and said.confirmed_at < known_by
            and case.is_one(said.address, request.body["to"], known_by)
            for said in theirs
        )
        if told[message.message_id] and in_time:
            yield Violation(WRONG, f"the bus heard that {message.message_id} is unanswered, and it was answered")
        called_off = any(m.status is Status.CANCELED for m in _chain(case, message))
        if _is_doubtful(case, message):
            continue
        theirs_too = [
            m.message_id for m in case.messages.values() if (m.group, m.answer_by) == (message.group, message.answer_by)
        ]
        if not any(told[message_id] for message_id in theirs_too) and not may_be_answered and not called_off:
            yield Violation(LOST, f"nobody answered {message.message_id}, and its caller did not hear so")


def _is_doubtful(case: Case, message: Message) -> bool:
    """Whether it is not known of a message of its group, or of the message itself, if it went."""
    theirs = [m for m in case.messages.values() if m.group and m.group == message.group]
    return any(m.status is Status.UNRESOLVED for m in [message, *theirs])


def _chain(case: Case, message: Message) -> Iterator[Message]:
    """The message and those that continue it."""
    current: Message | None = message
    while current:
        yield current
        current = case.messages.get(current.continued_as or "")


def what_passes_fails_nothing(case: Case) -> Iterator[Violation]:
    """What Twilio refuses for now, a token or a paused template, fails no message that has not waited four hours."""
    for message in case.messages.values():
        request, code = case.script.request_of(message.message_id), message.error and message.error.twilio_code
        if message.status is Status.FAILED and code in PASSES and not message.twilio_sid and request:
            waited = (message.status_at or 0) - min(at for at, _ in request.asked)
            if waited < periods.WAITS_FOR:
                yield Violation(WRONG, f"{message.message_id} failed by {code}, which passes")


def outages_end(case: Case) -> Iterator[Violation]:
    """What waited for Twilio, or for a hold, goes on soon after its end: it does not expire long after.

    In quiet hours it may, because the outage made it miss the day.
    """
    if case.world.settings.quiet_hours:
        return
    for message in case.messages.values():
        why = message.error.code if message.error else None
        if message.status is Status.EXPIRED and message.expires_at and why in ("twilio_unavailable", "sender_paused"):
            since = message.expires_at - GOES_ON_WITHIN
            outages = [(o.begins, o.ends + (LAST_PROBE if o.what == "limit" else 0)) for o in case.world.faults.outages]
            told = case.world.twilio.throttled
            probes = case.world.twilio.unanswered if told else []  # one without an answer proves nothing
            outages += [(at, at + LAST_PROBE) for at in (*told, *probes)]
            holds = [(hold.confirmed_at, hold.released_at) for hold in case.script.holds]
            waited = any(begins < message.expires_at and since < ends for begins, ends in (*outages, *holds))
            if not waited and (message.claimed_at or message.created_at) < since:
                yield Violation(STUCK, f"{message.message_id} expired by {why}, long after its end")


def the_erased_are_forgotten(case: Case) -> Iterator[Violation]:
    """Of what was asked for before an erasure nothing personal is left: not here, not in a letter, not at Twilio."""
    for erasure in case.script.erasures:
        theirs = [r for r in case.script.requests.values() if case.is_before(r, erasure)]
        for message in (case.messages[m] for r in theirs for m in r.message_ids if m in case.messages):
            if message.to or message.text or message.variables:
                yield Violation(WRONG, f"{message.message_id} was erased, and is still personal")
            if message.twilio_sid and message.twilio_sid not in case.world.twilio.deleted:
                yield Violation(WRONG, f"{message.message_id} was erased, and Twilio still has it")
        number = case.script.person(erasure.address, erasure.asked_at)
        for letter in case.world.sqs.dead:
            to = json.loads(letter.body).get("to", "")
            if case.is_one(to, number, erasure.asked_at) and letter.asked_at < erasure.asked_at - CLOCK_ERROR:
                yield Violation(WRONG, f"{number} was erased, and a dead letter names it")
        row = case.contacts.get(CONTACT_IDS.of(Address(number)))
        if row and not _was_met_since(case, number, erasure.asked_at):
            back = [name for name in PERSONAL if getattr(row, name) is not None]
            if back:
                yield Violation(WRONG, f"{number} was erased, and {', '.join(back)} came back")


def replies_are_attributed(case: Case) -> Iterator[Violation]:
    """The answered message says whose reply it is; without one, all are listed who were written to at the phone."""
    events = {e["message_id"]: e for e in case.world.bus.events if e["type"] == "message.received"}
    for said in case.script.said.values():
        event, requests = events.get(said.sid), case.script.requests.values()
        is_known = any(case.is_one(address, said.address) for address in case.script.known_at)
        if event is None or is_known or case.is_anybody_erased:
            continue
        tapped = case.script.request_of(said.answers) if said.answers else None
        if tapped and event["in_reply_to"]:  # else its sid was not known or found yet
            user_id = tapped.body.get("user_id")
            if user_id and (event["user_id"], event["user_ids"]) != (user_id, []):
                yield Violation(WRONG, f"{said.sid} answered a message, and is not its user's")
            if user_id or case.messages[event["in_reply_to"]["message_id"]].user_id:
                continue  # one without a user is of the one who was known when it was asked for
        theirs = [e for e in case.ledger if e.to == said.address and e.posted_at < said.at - CLOCK_ERROR]
        asked = [request for entry in theirs if (request := case.script.request_of(entry.message_id))]
        users = {request.body["user_id"] for request in asked if "user_id" in request.body}
        if len(users) > 1 and not (event["user_id"] is None and users <= set(event["user_ids"])):
            yield Violation(WRONG, f"{said.sid} came from a phone of {len(users)} users, and was taken for one's")
        possible = {r.body.get("user_id") for r in requests if _may_be_one(case, r.body["to"], said.address)}
        if not set(event["user_ids"]) <= possible:
            yield Violation(WRONG, f"{said.sid} lists a user who was never written to at this phone")


def _may_be_one(case: Case, address: str, other: str) -> bool:
    """Whether two addresses are one person's, also by a tie of which nobody heard that it took effect."""
    tied = case.script.perhaps_tied
    return tied.get(address, address) == tied.get(other, other)


def numbers_are_used(case: Case) -> Iterator[Violation]:
    """No message fails for a hidden number that an inbound message has shown."""
    for message in case.messages.values():
        request = case.script.request_of(message.message_id)
        if request is None or not message.error or message.error.code != "number_hidden" or case.is_anybody_erased:
            continue
        at = (message.status_at or 0) - INVOCATION
        number = case.script.person(request.body["to"], at)
        shown = [s for s in case.script.said.values() if s.address == number and (s.confirmed_at or at) < at]
        if number != request.body["to"] and shown:
            yield Violation(WRONG, f"{message.message_id} failed for a hidden number that was known")


def _was_met_since(case: Case, number: str, at: int) -> bool:
    """Whether anyone wrote to the person, or they wrote, or somebody noted who they are."""
    asked = [at for r in case.script.requests.values() if case.is_to(r, number) for at, _ in r.asked]
    said = [one.at + LATE for one in case.script.said.values() if case.is_one(one.address, number)]
    known = [when for address, when in case.script.known_at.items() if case.is_one(address, number)]
    return any(when >= at - LATE for when in (*asked, *said, *known))


AT_REST: tuple[Rule, ...] = (
    nothing_is_stuck,
    nothing_is_lost,
    records_are_true,
    all_is_told,
    events_are_true,
    replies_are_not_limited,
    groups_are_true,
    unanswered_is_told,
    what_passes_fails_nothing,
    outages_end,
    replies_are_attributed,
    numbers_are_used,
    the_erased_are_forgotten,
)
