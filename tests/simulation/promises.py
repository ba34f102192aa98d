"""What must never happen, judged by Twilio's ledger and the script alone."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import combinations, pairwise, product

from whatsapp.domain import periods
from whatsapp.domain.schedule import QuietHours
from whatsapp.domain.sending.twilio_codes import INVALID_TO
from whatsapp.domain.templates.catalog import load_catalog

from tests.simulation.case import CLOCK_ERROR, DUPLICATE, INVOCATION, RATE, SURPRISE, WRONG, Case, Rule, Violation
from tests.simulation.hub import MINUTE
from tests.simulation.script import Request, Said
from tests.simulation.twilio import Entry

LIMIT = 3_600_000
OPT_OUT_BOUND = 3_500
"""Two seconds between the last look and the POST, and the clock's rounding."""
AFTER_FENCE = 20_000
"""The fence judges `expires_at`; what remains of the invocation bounds the POST."""
HELD_AFTER = 31_000
"""Whoever had its message already may still post it while its invocation lasts."""
LATE_WEBHOOK = MINUTE
"""A message is dated when our webhook stores it, which may be this late."""
FIRST_PROBES = 12
"""Of a limit: those on their way when it is met, and the probes of the first, short pauses."""
NO_IDS = ("number_hidden", INVALID_TO)
LATE_REFUSALS = 3
"""Of our auth token, in one sandbox, counted from when every sandbox may have read the right one."""


def one_record_one_message(case: Case) -> Iterator[Violation]:
    """A record is posted again only after what was certainly not accepted."""
    for message_id, entries in case.by_message.items():
        if len(entries) > 1:
            yield Violation(DUPLICATE, f"record {message_id} has {len(entries)} messages at Twilio")
        if message_id not in case.messages:
            yield Violation(DUPLICATE, f"a message at Twilio has no record {message_id}")


def one_request_one_message(case: Case) -> Iterator[Violation]:
    """A continuation goes only where its predecessor never reached the phone."""
    arrived: Counter[str] = Counter()
    for entry in case.ledger:
        if request := case.script.request_of(entry.message_id):
            arrived[request.key] += not entry.failed
        else:
            yield Violation(WRONG, f"nobody asked for {entry.message_id}")
    for key, count in arrived.items():
        if count > 1:
            yield Violation(DUPLICATE, f"request {key} reached the patient {count} times")


def an_hour_apart(case: Case) -> Iterator[Violation]:
    """Between two proactive acceptances for one person lies the limit.

    Which answers to an inbound message went as replies, the product knows: there must be a choice of them, no more than
    are allowed, that leaves the others far enough apart.
    """
    answers: dict[str, list[Entry]] = defaultdict(list)
    for entry in case.ledger:
        if said := _answered(case, entry):
            answers[said.sid].append(entry)
    most = case.world.settings.replies_per_inbound
    choices = [list(combinations(entries, min(most, len(entries)))) for entries in answers.values()]
    found: list[Violation] = []
    for choice in product(*choices):
        replies = {entry.sid for chosen in choice for entry in chosen}
        found = list(_too_close(case, [entry for entry in case.ledger if entry.sid not in replies]))
        if not found:
            return
    yield from found


def _answered(case: Case, entry: Entry) -> Said | None:
    """The inbound message that this one may have gone as a reply to."""
    request = case.script.request_of(entry.message_id)
    said = case.script.said.get(request.body.get("in_reply_to", "")) if request else None
    return said if said and entry.posted_at <= said.at + LATE_WEBHOOK + periods.WINDOW + INVOCATION else None


def _too_close(case: Case, proactive: list[Entry]) -> Iterator[Violation]:
    for to in {e.to for e in proactive}:
        yield from _gaps([e for e in proactive if e.to == to])
    for later in proactive:
        for earlier in proactive:
            apart = earlier.to != later.to and earlier.accepted_at < later.accepted_at
            if apart and case.is_one(earlier.to, later.to, later.posted_at - INVOCATION):
                yield from _gaps([earlier, later])


def _gaps(entries: Iterable[Entry]) -> Iterator[Violation]:
    for earlier, later in pairwise(entries):
        if later.accepted_at - earlier.accepted_at < LIMIT:
            gap = (later.accepted_at - earlier.accepted_at) / 1000
            yield Violation(RATE, f"{earlier.message_id} and {later.message_id} are {gap:.1f} s apart")


def silence_is_kept(case: Case) -> Iterator[Violation]:
    """After a confirmed STOP nothing goes until the person writes START. The later by Twilio's seconds counts."""
    for post in case.world.twilio.posts:
        looked_at = post.at - OPT_OUT_BOUND
        theirs = [one for one in case.script.said.values() if case.is_one(one.address, post.to, looked_at)]
        stops = [s for s in theirs if s.text == "STOP" and s.confirmed_at and s.confirmed_at < looked_at]
        stop = max(stops, key=lambda s: s.at, default=None)
        if stop and not any(s.text == "START" and stop.at // 1000 <= s.at // 1000 <= post.at // 1000 for s in theirs):
            after = (post.at - (stop.confirmed_at or 0)) / 1000
            yield Violation(WRONG, f"{post.message_id} was posted {after:.1f} s after a STOP was confirmed")


def canceled_stays(case: Case) -> Iterator[Violation]:
    """What a caller was told is canceled never goes, nor what would continue it."""
    for message_id, canceled_at in case.script.canceled.items():
        request = case.script.request_of(message_id)
        ids = set(request.message_ids) if request else {message_id}
        late = any(post.message_id in ids and post.at > canceled_at for post in case.world.twilio.posts)
        if late or case.by_message.get(message_id):
            yield Violation(WRONG, f"{message_id} went although its cancel was confirmed")


def canceled_groups_stay(case: Case) -> Iterator[Violation]:
    """After the answer to a group's cancel nothing of it goes that was asked for before the cancel."""
    for cancel in case.script.group_cancels:
        for post in case.world.twilio.posts:
            request = case.script.request_of(post.message_id)
            if request is None or request.body.get("group") != cancel.group or post.at <= cancel.confirmed_at:
                continue
            asked = [at + (0 if queued else INVOCATION) for at, queued in _until(request, post.at).asked]
            if max(asked) < cancel.asked_at and not set(cancel.too_late) & set(request.message_ids):
                late = (post.at - cancel.confirmed_at) / 1000
                yield Violation(WRONG, f"{post.message_id} was posted {late:.1f} s after its group was canceled")


def the_answered_are_not_nudged(case: Case) -> Iterator[Violation]:
    """What is to go unless somebody answered does not go after an answer that our webhook took before the claim."""
    for post in case.world.twilio.posts:
        request = case.script.request_of(post.message_id)
        if request is None or request.body.get("unless") != "answered" or case.was_erased(request):
            continue
        group = case.group_of(request)
        others = [e for e in group if e.message_id != post.message_id and not e.failed]
        first = min((e.accepted_at for e in others), default=None)
        answers = [
            said
            for said in case.script.said.values()
            if said.address == request.body["to"] and first is not None and said.at > first + CLOCK_ERROR
        ]
        if any(s.confirmed_at and s.confirmed_at < post.at - INVOCATION for s in answers):
            yield Violation(WRONG, f"{post.message_id} was posted although its group had been answered")


def the_erased_are_left_alone(case: Case) -> Iterator[Violation]:
    """After a confirmed erasure nothing goes that was asked for before it."""
    for erasure in case.script.erasures:
        for post in case.world.twilio.posts:
            request = case.script.request_of(post.message_id)
            late = (post.at - erasure.confirmed_at) / 1000
            if request and late * 1000 > OPT_OUT_BOUND and case.is_before(_until(request, post.at), erasure):
                yield Violation(WRONG, f"{post.message_id} was posted {late:.1f} s after its person was erased")


def _until(request: Request, at: int) -> Request:
    """The request as often as it was made by then."""
    return Request(key=request.key, body=request.body, asked=[asked for asked in request.asked if asked[0] <= at])


def a_hold_holds(case: Case) -> Iterator[Violation]:
    """While all sending is held nothing goes."""
    for hold in case.script.holds:
        for post in case.world.twilio.posts:
            if hold.confirmed_at + HELD_AFTER < post.at < hold.released_at:
                late = (post.at - hold.confirmed_at) / 1000
                yield Violation(WRONG, f"{post.message_id} was posted {late:.1f} s after all sending was held")


def in_its_time(case: Case) -> Iterator[Violation]:
    """Nothing goes before `send_at`, after `expires_at` or its session, or unasked in quiet hours."""
    quiet = QuietHours.parse(case.world.settings.quiet_hours, case.world.settings.quiet_hours_zone)
    for post in case.world.twilio.posts:
        request = case.script.request_of(post.message_id)
        if request is None:
            continue
        send_at, ends = _moment(request.body.get("send_at")), _ends(request, post.at)
        if send_at and post.at < send_at - CLOCK_ERROR:
            yield Violation(WRONG, f"{post.message_id} was posted before its send_at")
        if ends and post.at > ends + AFTER_FENCE:
            yield Violation(WRONG, f"{post.message_id} was posted after its time")
        template = request.body.get("template")
        exempt = "in_reply_to" in request.body or (template and load_catalog().get(template).quiet_hours_exempt)
        if quiet and not exempt:
            claimed_at = post.at - INVOCATION
            asleep = quiet.ends_after(claimed_at) > claimed_at
            if asleep and quiet.ends_after(post.at + CLOCK_ERROR) > post.at + CLOCK_ERROR:
                yield Violation(WRONG, f"{post.message_id} was posted in quiet hours")


def _ends(request: Request, posted_at: int) -> int | None:
    """After when a message is of no use: as its caller says, or its template, at the latest when its session begins."""
    body = request.body
    ends, session = _moment(body.get("expires_at")), _moment(body.get("variables", {}).get("session_time"))
    template = load_catalog().get(body["template"]) if "template" in body else None
    if ends is None and template and template.expires_after:
        asked_at = max(at for at, _ in request.asked if at <= posted_at)
        ends = (_moment(body.get("send_at")) or asked_at + INVOCATION) + int(
            template.expires_after.total_seconds() * 1000
        )
    return min((at for at in (ends, session) if at is not None), default=None)


def _moment(text: str | None) -> int | None:
    return int(datetime.fromisoformat(text).timestamp() * 1000) if text else None


def the_token_is_read_again(case: Case) -> Iterator[Violation]:
    """Once the secret has the right auth token, no sandbox goes on with the wrong one."""
    secrets, pause = case.world.secrets, periods.SECRET_REFRESH_S * 1000
    late = Counter(
        sandbox
        for sandbox, at in case.world.twilio.refused
        if at > secrets.stored_at + pause
        and secrets.token in case.world.twilio.tokens
        and not any(refused <= at <= refused + pause for refused in secrets.refused_at)
    )
    for count in late.values():
        if count > LATE_REFUSALS:
            yield Violation(WRONG, f"a sandbox used an old auth token {count} times after it was replaced")


def refused_ids_are_remembered(case: Case) -> Iterator[Violation]:
    """Once a message failed because Twilio takes no WhatsApp ids, none is posted to one for a day."""
    failed = [m for m in case.messages.values() if m.error and (m.error.code, m.error.twilio_code) == NO_IDS]
    since = min((m.status_at or 0 for m in failed), default=1 << 62) + INVOCATION
    for post in case.world.twilio.posts:
        if not post.to.startswith("+") and since < post.at < since + periods.IDS_REFUSED - 2 * INVOCATION:
            yield Violation(WRONG, f"{post.message_id} was posted to an id, though Twilio had refused one")


def a_limit_is_heeded(case: Case) -> Iterator[Violation]:
    """While a limit binds our sender, what waits makes no POST, but for a probe in each pause.

    The pauses grow; at first, and wherever a chance refusal of another kind ends them, there are a few more.
    """
    for limit in (one for one in case.world.faults.outages if one.what == "limit"):
        met = sum(limit.begins <= at < limit.ends for at in case.world.twilio.limited)
        most = FIRST_PROBES + 2 * (limit.ends - limit.begins) // periods.THROTTLE_PAUSE[1]
        if met > most:
            yield Violation(WRONG, f"{met} POSTs met the limit {limit.how}, which makes at most {most}")


def nudged_once(case: Case) -> Iterator[Violation]:
    """A sweep books what it acts on: two at once, or a backlog, enqueue nothing twice."""
    for (message_id, _), times in Counter(case.world.sqs.nudged_by_sweep).items():
        if times > 1:
            yield Violation(WRONG, f"{message_id} was nudged {times} times for one booking")


def no_surprise(case: Case) -> Iterator[Violation]:
    """No exception that no fault explains; and our own audit of the limit agrees with the ledger."""
    for text in case.world.unexpected:
        yield Violation(WRONG, f"{SURPRISE}\n{text}")
    if case.world.counted["RateLimitViolations"]:
        yield Violation(WRONG, "our own audit counts a rate violation")


SAFETY: tuple[Rule, ...] = (
    one_record_one_message,
    one_request_one_message,
    an_hour_apart,
    silence_is_kept,
    canceled_stays,
    canceled_groups_stay,
    the_answered_are_not_nudged,
    the_erased_are_left_alone,
    a_hold_holds,
    in_its_time,
    the_token_is_read_again,
    refused_ids_are_remembered,
    a_limit_is_heeded,
    nudged_once,
    no_surprise,
)
