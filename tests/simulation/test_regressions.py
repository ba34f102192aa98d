"""What the simulation once found, or a reader of the conditions: each as a small story with one certain fault."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from whatsapp.bootstrap import App
from whatsapp.domain import periods
from whatsapp.domain.ports import Deadline, InDoubt, NotSent, Rejected
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.before_claim import FORBIDDEN, refuse
from whatsapp.domain.sending.lifecycle import ACCEPTED, Status
from whatsapp.domain.sending.message import Message, SendKind, continuation_id_of

from tests.simulation.defects import DEFECTS
from tests.simulation.faults import CALM, Mode
from tests.simulation.hub import HOUR, MINUTE
from tests.simulation.referee import judge
from tests.simulation.schedules import NAMES, TEMPLATES
from tests.simulation.script import MESSAGE_IDS
from tests.simulation.world import START, World

NUMBER, SECOND = "+919800000000", "IN.1340000"
REMINDER = {"to": NUMBER, "template": "session_reminder", "variables": TEMPLATES["session_reminder"]}
FOLLOW_UP = {"to": NUMBER, "template": "follow_up", "variables": {**NAMES, "session_date": "2026-11-21"}}
EXPECTED = {**REMINDER, "group": "appointment", "answer_by": iso(START + HOUR)}
SID = f"SM{7:032x}"
FIRST = MESSAGE_IDS.of("first")


@contextmanager
def story(script: dict[int, Mode] | None = None) -> Iterator[World]:
    """A world in which only what the test says goes wrong. It must come to rest with nothing broken."""
    with World(1, CALM, {} if script is None else script).installed() as world:
        yield world
        world.run()
        assert not [str(violation) for violation in judge(world)]


def record(world: World, message_id: str = FIRST) -> Message:
    return world.messages()[message_id]


def call_of(name: str, begin: Callable[[World], Any]) -> int:
    """Which port call, counted from 0, is the first of that name."""
    with story() as world:
        begin(world)
        world.run()
        return world.faults.calls.index(name)


def test_doubt_that_was_canceled_comes_to_rest() -> None:
    with story() as world:
        world.twilio.answers = [InDoubt("timeout")]
        world.when(FIRST, "unknown_final", lambda: world.cancel(FIRST))
        world.request("first", {**REMINDER, "on_unknown": "resend"})
        world.run()
        assert record(world).status is Status.UNRESOLVED
        assert record(world).continued_as is None


def test_lasting_doubt_is_resent_once() -> None:
    with story() as world:
        world.twilio.answers = [InDoubt("timeout")]
        world.request("first", {**REMINDER, "on_unknown": "resend"})
        world.run()
        assert record(world).continued_as == continuation_id_of(FIRST)
        assert record(world, continuation_id_of(FIRST)).status in (Status.SENT, Status.DELIVERED, Status.READ)


def test_a_cancel_while_twilio_refuses_is_kept() -> None:
    with story() as world:
        world.twilio.answers = [NotSent("refused")]
        world.when(FIRST, "sending", lambda: world.cancel(FIRST), stall=2_000)
        world.request("first", REMINDER)
        world.run()
        assert record(world).status is Status.CANCELED


def test_a_fallback_is_made_in_the_write_that_needs_it() -> None:
    def begin(world: World) -> None:
        world.inbound(SID, NUMBER, "hello")
        world.twilio.answers = [Rejected(63016, 400)]
        world.hub.at(START + MINUTE, lambda: world.request("first", FOLLOW_UP))

    refund = call_of("direct: post", begin) + 1
    with story({refund: Mode.AFTER}) as world:
        begin(world)
        world.run()
        assert record(world).continued_as == continuation_id_of(FIRST)
        assert world.twilio.ledger[-1].is_template


def test_a_reply_that_comes_too_late_is_remembered_as_proactive() -> None:
    with story() as world:
        world.inbound(SID, NUMBER, "hello")
        late = {**REMINDER, "in_reply_to": SID}
        world.twilio.answers = [NotSent("refused")]
        world.hub.at(START + 25 * HOUR, lambda: world.request("first", late, queued=True))
        world.run()
        assert record(world).kind is SendKind.PROACTIVE


def _held_as_a_reply_and_then_limited(world: World) -> None:
    """A reply waits while all sending is held; once that ends, no place is left for it, nor is the slot free."""
    world.inbound(SID, NUMBER, "hello")
    reply = {**REMINDER, "in_reply_to": SID}
    world.hub.at(START + MINUTE, lambda: world.request("unprompted", REMINDER))
    for number in range(world.settings.replies_per_inbound):
        at = START + (2 + number) * MINUTE
        world.hub.at(at, lambda number=number: world.request(f"answer {number}", reply))  # type: ignore[misc]  # mypy cannot infer a lambda with defaults
    world.hub.at(START + 6 * MINUTE, lambda: world.hold(START + 8 * MINUTE))
    world.hub.at(START + 7 * MINUTE, lambda: world.request("first", reply))


def test_a_worker_that_read_a_reply_earlier_ends_it_as_one() -> None:
    with story() as world:
        _held_as_a_reply_and_then_limited(world)
        world.run(START + 7 * MINUTE + 30_000)
        earlier = record(world)
        assert (earlier.status, earlier.kind) == (Status.DEFERRED, SendKind.REPLY)
        world.run(START + 20 * MINUTE)
        assert (record(world).status, record(world).kind) == (Status.DEFERRED, SendKind.PROACTIVE)
        world.inbound(f"SM{8:032x}", NUMBER, "STOP")

        def late(app: App, _: Deadline) -> None:
            app.commit(refuse(earlier, FORBIDDEN, app.clock.now()))

        world.hub.at(START + 21 * MINUTE, lambda: world._task("late worker", late))
        world.run()
        assert (record(world).status, record(world).kind) == (Status.FAILED, SendKind.REPLY)


def test_a_reply_that_the_rate_limit_holds_back_is_seen_by_the_referee() -> None:
    with DEFECTS["claim-forgets-where"].present(), World(1, CALM, {}).installed() as world:
        _held_as_a_reply_and_then_limited(world)
        world.run()
        assert f"wrong: {FIRST} is a reply, and was held back by the rate limit" in [str(v) for v in judge(world)]


def test_a_claim_behind_an_alias_is_settled_on_the_row_it_took() -> None:
    with story() as world:
        world.request("first", {**REMINDER, "to": SECOND, "send_at": "2026-11-18T18:30:00+05:30"})
        world.hub.at(START + MINUTE, lambda: world.tie(SECOND, NUMBER))
        world.run()
        assert world.contacts()[record(world).contact_id].alias_of is None


@pytest.mark.parametrize("first_to", [NUMBER, SECOND])
def test_a_stop_under_the_id_binds_the_number_while_a_message_is_in_doubt(first_to: str) -> None:
    with story() as world:
        world.twilio.answers = [InDoubt("no answer")]
        world.request("first", {**REMINDER, "to": first_to})
        world.hub.at(START + MINUTE, lambda: world.inbound(SID, SECOND, "STOP"))
        world.hub.at(START + 2 * MINUTE, lambda: world.tie(SECOND, NUMBER))
        for hours in (0, 2, 5):
            at = START + 3 * MINUTE + hours * HOUR
            world.hub.at(at, lambda hours=hours: world.request(f"after {hours}", REMINDER))  # type: ignore[misc]  # mypy cannot infer a lambda with defaults
        world.run()
        assert len(world.twilio.posts) == 1


def test_a_slot_that_an_id_held_at_the_tie_holds_for_the_number() -> None:
    """The id's message is accepted late; the number's next one keeps its distance all the same."""
    with story() as world:
        world.twilio.answers = [InDoubt("no answer")]
        world.request("first", {**REMINDER, "to": SECOND})
        world.hub.at(START + MINUTE, lambda: world.tie(SECOND, NUMBER))
        world.hub.at(START + 2 * MINUTE, lambda: world.request("second", REMINDER, queued=True))
        world.run()
        sent = record(world, MESSAGE_IDS.of("second"))
        assert (sent.accepted_at or 0) >= START + HOUR + periods.SLOT_GUARD


def test_a_deferral_whose_event_was_lost_is_told_soon() -> None:
    def begin(world: World) -> None:
        world.request("first", REMINDER)
        world.hub.at(START + MINUTE, lambda: world.request("second", REMINDER, queued=True))

    events = [n for n, name in enumerate(_calls(begin)) if name.endswith("put_events")]
    with story({events[1]: Mode.BEFORE}) as world:
        begin(world)
        world.run(START + 5 * MINUTE)
        assert any(e.get("status") == "deferred" for e in world.bus.events)


def _calls(begin: Callable[[World], Any]) -> list[str]:
    with story() as world:
        begin(world)
        world.run(START + 3 * MINUTE)
        return list(world.faults.calls)


def test_a_status_without_a_code_is_throttling_all_the_same() -> None:
    with story() as world:
        world.twilio.answers = [Rejected(None, 429)]
        world.when(FIRST, "retrying", lambda: None)
        world.request("first", REMINDER)
        world.run(START + 1_000)
        assert record(world).waiting_since is not None
        assert record(world).attempts == 0


def test_a_bus_that_is_down_holds_no_message_back() -> None:
    with story() as world:
        publish = world.bus.put_events
        down = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}
        world.hub.at(START + MINUTE, lambda: setattr(world.bus, "put_events", lambda **_: down))
        world.request("first", REMINDER)
        world.hub.at(START + 2 * MINUTE, lambda: world.request("second", REMINDER))
        world.hub.at(START + 3 * MINUTE, lambda: world.request("third", {**REMINDER, "expires_at": iso(START + HOUR)}))
        world.run(START + 2 * HOUR)
        assert record(world, MESSAGE_IDS.of("second")).status in ACCEPTED
        assert record(world, MESSAGE_IDS.of("third")).status is Status.EXPIRED
        assert world.counted["NotTold"]
        world.bus.put_events = publish  # type: ignore[method-assign]  # it is well again


def test_a_nudge_of_nothing_is_kept_and_told() -> None:
    with story() as world:
        world.sqs.put(json.dumps({"message_id": "0" * 32}))
        world.run()
        assert len(world.sqs.dead) == len(world.sns.alerts) == 1


def test_a_request_with_a_field_too_many_is_told_to_its_caller() -> None:
    with story() as world:
        world.sqs.put(json.dumps({"message_id": "appt-8831", **REMINDER}))
        world.run()
        assert [event["status"] for event in world.bus.events] == ["failed"]
        assert not world.sqs.dead
        assert not world.sns.alerts


def test_a_failure_that_nobody_heard_of_yet_is_told_before_it_is_redriven() -> None:
    with story() as world:
        world.twilio.answers = [Rejected(30450, 400)]
        put_events, down = world.bus.put_events, {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}
        world.bus.put_events = lambda **_: down  # type: ignore[method-assign]  # it is down
        world.request("first", REMINDER)
        world.run(START + MINUTE)
        world.redrive()
        world.run(START + 5 * MINUTE)
        world.bus.put_events = put_events  # type: ignore[method-assign]  # it is well again
        world.hub.at(START + 10 * MINUTE, world.redrive)
        world.run()
        assert "failed" in [event.get("status") for event in world.bus.events]
        assert record(world).continued_as


def test_a_key_used_twice_on_the_queue_does_not_fail_the_first_message() -> None:
    with story() as world:
        world.request("first", REMINDER)
        world.hub.at(START + MINUTE, lambda: world.sqs.put(json.dumps({**FOLLOW_UP, "idempotency_key": "first"})))
        world.run()
        (failed,) = [event for event in world.bus.events if event.get("status") == "failed"]
        assert failed["message_id"] != FIRST
        assert failed["error"]["code"] == "idempotency_conflict"
        assert not world.sqs.dead
        assert not world.sns.alerts


def test_a_doubled_nudge_does_not_use_up_an_attempt() -> None:
    with story() as world:
        world.twilio.answers = [Rejected(20500, 400)]
        world.when(FIRST, "retrying", lambda: world.sqs.put(json.dumps({"message_id": FIRST})))
        world.request("first", REMINDER)
        world.run(START + 4_000)
        assert (record(world).status, record(world).attempts) == (Status.RETRYING, 1)


def test_an_inbound_message_cannot_be_canceled() -> None:
    with story() as world:
        world.inbound(SID, NUMBER, "hello")
        world.hub.at(START + MINUTE, lambda: world.cancel(SID))
        world.run()
        assert not world.unexpected


@pytest.mark.parametrize(("tied_after", "told"), [(10 * MINUTE, 0), (2 * HOUR, 1)])
def test_an_answer_under_a_hidden_number_counts_once_it_is_known_whose_it_is(tied_after: int, told: int) -> None:
    with story() as world:
        world.request("first", EXPECTED)
        world.hub.at(START + 5 * MINUTE, lambda: world.inbound(SID, SECOND, "hello"))
        world.hub.at(START + tied_after, lambda: world.tie(SECOND, NUMBER))
        world.run()
        assert [event["type"] for event in world.bus.events].count("message.unanswered") == told


def test_what_was_written_before_a_message_and_comes_after_it_answers_it() -> None:
    """Twilio's webhook does not say when it was written."""
    with story() as world:
        world.inbound(SID, NUMBER, "hello", late=14_000)
        world.hub.at(START + 7_000, lambda: world.request("first", EXPECTED))
        world.run()
        assert "message.unanswered" not in [event["type"] for event in world.bus.events]


def test_whom_an_operator_notes_under_the_number_may_write_under_its_id() -> None:
    with story() as world:
        world.request("first", {**REMINDER, "user_id": "user-rohan"})
        world.tie(SECOND, NUMBER)
        world.hub.at(START + MINUTE, lambda: world.put_contact(NUMBER, user_id="user-1"))
        world.hub.at(START + 2 * HOUR, lambda: world.request("second", {**REMINDER, "user_id": "user-meera"}))
        world.hub.at(START + 3 * HOUR, lambda: world.inbound(SID, SECOND, "hello"))
        world.run()
        (received,) = [event for event in world.bus.events if event["type"] == "message.received"]
        assert "user-1" in received["user_ids"]
