"""A limit of Twilio's or Meta's on our sender: what starts it, what it binds, who probes, when it is over."""

from heapq import heappop, heappush
from random import Random

import pytest
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.periods import HOUR, MINUTE, SECOND
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, SendKind
from whatsapp.domain.sending.throttle import Throttle, throttle_after
from whatsapp.domain.sending.twilio_codes import ROWS, Binds

from tests.fakes import NOON as NOW

FIRST, LONGEST = periods.THROTTLE_PAUSE
META, DAILY, FAST, OTHER, NONE = 63018, 63038, 20429, 63003, 63119


def a_message(kind: SendKind = SendKind.PROACTIVE, claimed_at: int = NOW - SECOND) -> Message:
    fields = {"to": "+919812300001", "request_hash": "hash", "created_at": NOW - HOUR, "status": Status.SENDING}
    return Message(message_id="m", contact_id="c", kind=kind, claimed_at=claimed_at, **fields)  # type: ignore[arg-type]  # each has its type


def limit(code: int = META, pause: int = MINUTE, probes_in: int = 0, ends_in: int | None = None) -> Throttle:
    ends_at = None if ends_in is None else NOW + ends_in
    return Throttle(code=code, pause=pause, probes_at=NOW + probes_in, ends_at=ends_at)


def begun(code: int) -> Throttle:
    return limit(code, FIRST, FIRST)


def test_which_codes_bind_our_sender() -> None:
    bound = {binds: {row.code for row in ROWS.values() if row.binds is binds} for binds in Binds}
    assert bound[Binds.OUTSIDE_WINDOW] == {63018}
    assert bound[Binds.EVERYTHING] == {20429, 21611, 30001, 30454, 63017, 63038}


@pytest.mark.parametrize(
    ("code", "kind", "starts"),
    [
        (META, SendKind.PROACTIVE, True),
        (META, SendKind.REPLY, False),
        (DAILY, SendKind.PROACTIVE, True),
        (DAILY, SendKind.REPLY, True),
        (FAST, SendKind.REPLY, True),
        (OTHER, SendKind.PROACTIVE, False),
        (NONE, SendKind.PROACTIVE, False),
    ],
)
def test_what_is_evidence_of_a_limit(code: int, kind: SendKind, starts: bool) -> None:
    assert throttle_after(None, ROWS[code], a_message(kind), NOW) == (begun(code) if starts else None)


@pytest.mark.parametrize(
    ("known", "code", "claimed", "expected"),
    [
        # It stands already: the refusals of those that were on their way, and of the probe, change nothing.
        (limit(META, probes_in=MINUTE), META, NOW, None),
        (limit(DAILY, probes_in=MINUTE), META, NOW, None),
        (limit(DAILY, probes_in=MINUTE), FAST, NOW, None),
        # One that binds everything takes the place of one that does not.
        (limit(META, probes_in=MINUTE), DAILY, NOW, begun(DAILY)),
        # It was over, or about to be. The probe fails after all, or the limit is met again soon: the pauses go on.
        (limit(META, MINUTE, MINUTE, 30 * SECOND), META, NOW, limit(META, MINUTE, MINUTE)),
        (limit(META, MINUTE, 0, -MINUTE), META, NOW, limit(META, MINUTE, MINUTE)),
        # Long after, or with another code, it begins anew.
        (limit(META, MINUTE, 0, -MINUTE - 1), META, NOW, begun(META)),
        (limit(META, MINUTE, 0, -SECOND), DAILY, NOW, begun(DAILY)),
        (limit(DAILY, MINUTE, 0, -SECOND), META, NOW, begun(META)),
        # What went before the probe that was accepted fails late: it says nothing of now.
        (limit(META, MINUTE, 0, 10 * SECOND), META, NOW - MINUTE - 1, None),
        (limit(META, MINUTE, 0, 10 * SECOND), META, NOW - MINUTE, limit(META, MINUTE, MINUTE)),
    ],
)
def test_a_limit_that_is_met_again(known: Throttle, code: int, claimed: int, expected: Throttle | None) -> None:
    assert throttle_after(known, ROWS[code], a_message(claimed_at=claimed), NOW) == expected


@pytest.mark.parametrize(
    ("code", "ends_in", "in_window", "binds"),
    [
        (META, None, False, True),
        (META, None, True, False),
        (DAILY, None, True, True),
        (FAST, None, True, True),
        (META, 1, False, True),
        (META, 0, False, False),
        (DAILY, 0, True, False),
    ],
)
def test_what_a_limit_binds(code: int, ends_in: int | None, in_window: bool, binds: bool) -> None:
    contact = Contact(contact_id="c", last_inbound_at=NOW - HOUR if in_window else None)
    assert limit(code, ends_in=ends_in).binds(contact, NOW) is binds


@pytest.mark.parametrize(
    ("throttle", "may"),
    [
        (limit(probes_in=1), False),
        (limit(probes_in=0), True),
        (limit(probes_in=-1), True),
        (limit(probes_in=-1, ends_in=1), False),
    ],
)
def test_when_a_message_may_probe(throttle: Throttle, may: bool) -> None:
    assert throttle.may_probe(NOW) is may


def test_the_pauses_grow_within_bounds() -> None:
    pauses, throttle = [FIRST], begun(META)
    while pauses[-1] < LONGEST:
        throttle = throttle.probed(NOW)
        assert throttle.probes_at == NOW + throttle.pause
        pauses.append(throttle.pause)
    assert pauses == [3 * SECOND, 12 * SECOND, 48 * SECOND, 192 * SECOND, 768 * SECOND, 15 * MINUTE]
    assert throttle.probed(NOW).pause == LONGEST


@pytest.mark.parametrize(("code", "after"), [(DAILY, 0), (FAST, 0), (META, MINUTE)])
def test_what_a_callback_tells_is_over_only_when_none_comes(code: int, after: int) -> None:
    assert limit(code, probes_in=MINUTE).accepted(NOW) == limit(code, probes_in=MINUTE, ends_in=after)


def test_what_waits_is_told_why() -> None:
    failure = limit(DAILY).failure
    assert (failure.code, failure.twilio_code, failure.retryable) == ("sender_paused", DAILY, True)
    told = "the account's daily message limit is reached: what waits looks again at 2026-11-24T12:30:00+05:30"
    assert failure.detail == told


@pytest.mark.parametrize("code", [META, DAILY, FAST])
def test_two_thousand_reminders_make_a_handful_of_posts_in_an_hour_and_go_soon_after_it(code: int) -> None:
    """Each look of each message, in order of time. Twilio refuses for an hour."""
    rng, throttle = Random(code), None
    looks = [(NOW + n * 12, n) for n in range(2_000)]  # 80 a second
    refused, sent = 0, []
    while looks:
        now, n = heappop(looks)
        probes = throttle is not None and throttle.stands(now)
        if throttle and probes and not throttle.may_probe(now):
            heappush(looks, (throttle.next_look(now, rng.random()), n))
            continue
        throttle = throttle.probed(now) if throttle and probes else throttle
        if now < NOW + HOUR:
            refused += 1
            throttle = throttle_after(throttle, ROWS[code], a_message(claimed_at=now), now) or throttle
            heappush(looks, (now + 3 * SECOND + rng.randrange(3 * SECOND), n))
        else:
            sent.append(now)
            throttle = throttle.accepted(now) if throttle and probes else throttle
    assert 5 <= refused <= 9
    assert len(sent) == 2_000
    assert max(sent) <= NOW + HOUR + LONGEST + 6 * MINUTE
