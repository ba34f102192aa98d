"""Judges a world by what Twilio's ledger holds, not by what our tables claim; then the tables by the ledger."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.contact import ContactIds
from whatsapp.domain.schedule import QuietHours
from whatsapp.domain.sending.lifecycle import IN_DOUBT, WAITING, Status
from whatsapp.domain.sending.message import Message, SendKind
from whatsapp.domain.templates.catalog import load_catalog

from tests.simulation.hub import MINUTE
from tests.simulation.twilio import Entry
from tests.simulation.world import World

LIMIT = 3_600_000
CLOCK_ERROR = 3_000
"""What our clocks may be off by when they judge `send_at` and the window."""
OPT_OUT_BOUND = 3_500
"""Two seconds between the last look and the POST, and the clock's rounding."""
AFTER_FENCE = 20_000
"""The fence judges `expires_at`; what remains of the invocation bounds the POST."""
LIST_SEEN_BY = 65 * MINUTE
INVOCATION = 40_000

DUPLICATE, RATE, LOST, STUCK, WRONG = "duplicate", "rate violation", "lost", "stuck", "wrong"
KINDS = (DUPLICATE, RATE, LOST, STUCK, WRONG)


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


def judge(world: World) -> list[Violation]:
    """Everything that is wrong in a world that came to rest."""
    case = Case(world)
    return [violation for rule in (*SAFETY, *AT_REST) for violation in rule(case)]


def judge_safety(world: World) -> list[Violation]:
    """What must hold at any moment, also while things are under way."""
    case = Case(world)
    return [violation for rule in SAFETY for violation in rule(case)]


class Case:
    """The world as the referee sees it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ledger = sorted(world.twilio.ledger, key=lambda e: e.accepted_at)
        self.messages = world.messages()
        self.contacts = world.contacts()
        self.contact_ids = ContactIds("simulated")
        self.by_message: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.ledger:
            self.by_message[entry.message_id].append(entry)

    def first(self, message_id: str) -> str:
        """The record that a chain of continuations began with."""
        message = self.messages.get(message_id)
        return self.first(message.continues) if message and message.continues else message_id

    def row_of(self, address: str, at: int) -> str:
        """The row that an address led to at that time: its own, until it was tied to a number."""
        own = self.contact_ids.of(Address(address))
        row = self.contacts.get(own)
        return row.alias_of if row and row.alias_of and self.world.tied_at[own] <= at else own

    def tied_since(self, one: str, other: str) -> int | None:
        """Since when two addresses are known to be one person's."""
        first, second = (self.contact_ids.of(Address(address)) for address in (one, other))
        if first == second:
            return 0
        for alias, row in ((first, second), (second, first)):
            if alias in self.contacts and self.contacts[alias].alias_of == row:
                return self.world.tied_at[alias]
        return None


Rule = Callable[[Case], Iterator[Violation]]

# --- what must never happen ------------------------------------------------------------------------------------------


def one_record_one_message(case: Case) -> Iterator[Violation]:
    """A record is posted again only after what was certainly not accepted."""
    for message_id, entries in case.by_message.items():
        if len(entries) > 1:
            yield Violation(DUPLICATE, f"record {message_id} has {len(entries)} messages at Twilio")
        if message_id not in case.messages:
            yield Violation(DUPLICATE, f"a message at Twilio has no record {message_id}")


def one_request_one_message(case: Case) -> Iterator[Violation]:
    """A continuation goes only where its predecessor never reached the phone."""
    arrived: dict[str, int] = defaultdict(int)
    for entry in case.ledger:
        arrived[case.first(entry.message_id)] += not entry.failed
    for message_id, count in arrived.items():
        if count > 1:
            yield Violation(DUPLICATE, f"request {message_id} reached the patient {count} times")


def an_hour_apart(case: Case) -> Iterator[Violation]:
    """Between two proactive acceptances for one person lies the limit."""
    proactive = [e for e in case.ledger if e.kind == SendKind.PROACTIVE]
    for to in {e.to for e in proactive}:
        yield from _gaps([e for e in proactive if e.to == to])
    for later in proactive:
        for earlier in proactive:
            since = case.tied_since(earlier.to, later.to) if earlier.to != later.to else None
            if since is not None and earlier.accepted_at < later.accepted_at and later.posted_at - INVOCATION > since:
                yield from _gaps([earlier, later])


def _gaps(entries: Iterable[Entry]) -> Iterator[Violation]:
    for earlier, later in pairwise(entries):
        if later.accepted_at - earlier.accepted_at < LIMIT:
            gap = (later.accepted_at - earlier.accepted_at) / 1000
            yield Violation(RATE, f"{earlier.message_id} and {later.message_id} are {gap:.1f} s apart")


def replies_answer(case: Case) -> Iterator[Violation]:
    """Only an answer to an inbound message passes beside the limit, a few times, within the window."""
    answered: dict[str, int] = defaultdict(int)
    for entry in case.ledger:
        message = case.messages.get(entry.message_id)
        if message is None or entry.kind == SendKind.PROACTIVE:
            continue
        inbound = next(
            (i for i in case.world.tables["messages"] if i["message_id"]["S"] == message.in_reply_to), None
        )
        if inbound is None:
            yield Violation(RATE, f"reply {entry.message_id} answers nothing")
            continue
        if entry.posted_at > int(inbound["received_at"]["N"]) + periods.WINDOW + INVOCATION:
            yield Violation(RATE, f"reply {entry.message_id} came after the window")
        answered[inbound["message_id"]["S"]] += 1
    for sid, count in answered.items():
        if count > case.world.settings.replies_per_inbound:
            yield Violation(RATE, f"inbound {sid} was answered {count} times")


def silence_is_kept(case: Case) -> Iterator[Violation]:
    """After an opt-out nothing goes, but for what had looked just before."""
    for post in case.world.twilio.posts:
        changes = case.world.opted_out.get(case.row_of(post.to, post.at - OPT_OUT_BOUND), [])
        before = [(at, out) for at, out in changes if at < post.at - OPT_OUT_BOUND]
        still = not [at for at, out in changes if not out and at >= post.at - OPT_OUT_BOUND]
        if before and before[-1][1] and still:
            yield Violation(
                WRONG, f"{post.message_id} was posted {(post.at - before[-1][0]) / 1000:.1f} s after an opt-out"
            )


def canceled_stays(case: Case) -> Iterator[Violation]:
    """What a caller was told is canceled never goes."""
    for message_id in case.world.canceled:
        if case.by_message.get(message_id):
            yield Violation(WRONG, f"{message_id} went although its cancel was confirmed")


def in_its_time(case: Case) -> Iterator[Violation]:
    """Nothing goes before `send_at`, after `expires_at` or its session, or unasked in quiet hours."""
    quiet = QuietHours.parse(case.world.settings.quiet_hours, case.world.settings.quiet_hours_zone)
    for post in case.world.twilio.posts:
        message = case.messages.get(post.message_id)
        if message is None:
            continue
        if message.send_at and post.at < message.send_at - CLOCK_ERROR:
            yield Violation(WRONG, f"{post.message_id} was posted before its send_at")
        if message.expires_at and post.at > message.expires_at + AFTER_FENCE:
            yield Violation(WRONG, f"{post.message_id} was posted after its expires_at")
        session = message.variables.get("session_time")
        if session and post.at > datetime.fromisoformat(session).timestamp() * 1000 + AFTER_FENCE:
            yield Violation(WRONG, f"{post.message_id} was posted after the session that it reminds of")
        exempt = message.template and load_catalog().get(message.template).quiet_hours_exempt
        if quiet and post.kind == SendKind.PROACTIVE and not exempt:
            claimed_at = post.at - INVOCATION
            asleep = quiet.ends_after(claimed_at) > claimed_at
            if asleep and quiet.ends_after(post.at + CLOCK_ERROR) > post.at + CLOCK_ERROR:
                yield Violation(WRONG, f"{post.message_id} was posted in quiet hours")


def nudged_once(case: Case) -> Iterator[Violation]:
    """A sweep books what it acts on: two at once, or a backlog, enqueue nothing twice."""
    for (message_id, _), times in Counter(case.world.sqs.nudged_by_sweep).items():
        if times > 1:
            yield Violation(WRONG, f"{message_id} was nudged {times} times for one booking")


def no_surprise(case: Case) -> Iterator[Violation]:
    """No exception that no fault explains; and our own audit of the limit agrees with the ledger."""
    for text in case.world.unexpected:
        yield Violation(WRONG, f"an unexpected exception\n{text}")
    if case.world.counted["RateLimitViolations"]:
        yield Violation(WRONG, "our own audit counts a rate violation")


SAFETY: tuple[Rule, ...] = (
    one_record_one_message,
    one_request_one_message,
    an_hour_apart,
    replies_answer,
    silence_is_kept,
    canceled_stays,
    in_its_time,
    nudged_once,
    no_surprise,
)

# --- what must hold once all is quiet --------------------------------------------------------------------------------


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
    for request in case.world.requests.values():
        names = {a.message_id for a in request.answers} - {None}
        if names - {request.message_id}:
            yield Violation(LOST, f"{request.key} was answered with the id of another message")
        known = request.message_id in case.messages
        if names and not known:
            yield Violation(LOST, f"{request.key} was accepted and has no record")
        told = request.refusals or request.message_id in heard or any(request.key in d for d in case.world.sqs.dead)
        if not known and not told and not _caller_gave_up(case, request.key):
            yield Violation(LOST, f"{request.key} has neither record nor refusal")


def _caller_gave_up(case: Case, key: str) -> bool:
    request = case.world.requests[key]
    return not request.answers and case.world.gave_up[key] > 0


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
    if status in (Status.FAILED, Status.UNDELIVERED) and not entry.failed:
        return f"{status}, but Twilio says {entry.status}"
    if status is Status.UNRESOLVED and (entry.told or _was_listed(case, message, entry)):
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
    return message.claimed_at is not None and entry.listed_at < message.claimed_at + LIST_SEEN_BY and len(alike) == 1


_AT_TWILIO = {Status.SENT, Status.DELIVERED, Status.READ, Status.UNDELIVERED}
_ARRIVED = {Status.DELIVERED, Status.READ}
_SAYS_ARRIVED = {"delivered", "read"}


def all_is_told(case: Case) -> Iterator[Violation]:
    """Each record's end is on the bus, each event id stands for one event, and people know of what needs them."""
    events: dict[str, dict[str, object]] = {}
    for event in case.world.bus.events:
        known = events.setdefault(str(event["event_id"]), event)
        if _promise(known) != _promise(event):
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
        if '"message_id"' in letter and not any(m in letter for m in case.messages):
            yield Violation(WRONG, f"a dead letter names no record: {letter}")


def _promise(event: dict[str, object]) -> dict[str, object]:
    """What an event says, less when and why: a refusal is stored nowhere, and is judged anew when it is delivered
    again; a message may come to be deferred to the same moment twice.
    """
    again = "#refused#" in str(event["event_id"]) or event.get("status") == "deferred"
    return {name: value for name, value in event.items() if not again or name not in ("occurred_at", "error")}


def events_are_true(case: Case) -> Iterator[Violation]:
    """No event tells what never was."""
    for event in case.world.bus.events:
        message = case.messages.get(str(event.get("message_id")))
        if event["type"] != "message.status_changed" or message is None:
            continue
        said = event["status"]
        error = event.get("error") or {}
        if message.kind is SendKind.REPLY and isinstance(error, dict) and error.get("code") == "rate_limited":
            yield Violation(WRONG, f"{message.message_id} is a reply, and was held back by the rate limit")
        if said in ("sent", "delivered", "read", "undelivered") and not case.by_message.get(message.message_id):
            yield Violation(WRONG, f"the bus heard that {message.message_id} is {said}; Twilio never had it")
        if said in ("canceled", "expired") and message.status.public_status != said:
            yield Violation(WRONG, f"the bus heard that {message.message_id} is {said}; it is {message.status}")


AT_REST: tuple[Rule, ...] = (nothing_is_stuck, nothing_is_lost, records_are_true, all_is_told, events_are_true)
