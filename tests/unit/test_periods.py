"""How the product's periods compare, with each other and with template.yaml. Never-twice rests on some of these."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whatsapp import client
from whatsapp.adapters.twilio import media
from whatsapp.domain import periods as p

from local.artifacts import ROOT
from local.deploy import read_template

TEMPLATE: dict[str, Any] = read_template()
RESOURCES = TEMPLATE["Resources"]
KILLED_LATE = 700
"""Lambda ends a function up to 0.7 s after its timeout (powertools-lambda-python#4759)."""
STORE = 2 * p.SECOND
"""Storing the outcome of a POST: one transaction, with room for a retry."""


def timeout(function: str) -> int:
    """A function's timeout in ms."""
    return int(RESOURCES[function]["Properties"]["Timeout"]) * p.SECOND


SEND, WEBHOOK, SYNC = timeout("SendFunction"), timeout("WebhookFunction"), timeout("TemplateSyncFunction")
SWEEP_EVERY = p.SWEEP_EVERY
QUEUE = RESOURCES["SendQueue"]["Properties"]
DEAD_LETTERS = RESOURCES["SendDeadLetterQueue"]["Properties"]


def test_a_post_fits_into_what_is_left_of_the_invocation() -> None:
    """Nobody may POST after the lease, and the outcome is stored within it."""
    assert p.POST_NEEDS >= p.TWILIO_CALL + STORE
    assert p.TWILIO_QUESTION >= p.TWILIO_CALL + STORE
    assert SEND >= p.POST_NEEDS + p.REPLY_WAITS_S * p.SECOND + p.SWEEP_NEEDS, "a first try never has the time"


def test_an_export_answers_within_its_invocation() -> None:
    """A page of a hundred reads, then the dead letters, which take a second of waiting."""
    assert p.EXPORT_NEEDS <= SEND / 2


def test_a_claim_is_taken_back_only_after_its_worker_is_dead() -> None:
    assert p.LEASE_MARGIN >= KILLED_LATE + 2 * p.CLOCK_ERROR


def test_the_guard_covers_the_latest_acceptance() -> None:
    """While a message is in flight, the slot stays closed longer than Twilio could still accept it, and the limit."""
    latest = SEND + KILLED_LATE + p.TWILIO_ACCEPTS_WITHIN
    assert latest + 2 * p.CLOCK_ERROR <= p.LATEST_ACCEPTANCE
    assert p.LATEST_ACCEPTANCE + p.SLOT_EPSILON <= p.SLOT_GUARD
    assert p.SLOT_EPSILON >= 2 * p.CLOCK_ERROR


@given(st.integers(1, 7 * 86_400), st.integers(0, p.LATEST_ACCEPTANCE))
def test_the_rate_limit_holds_for_every_allowed_limit(seconds: int, accepted_after: int) -> None:
    """Whatever RateLimitSeconds says: the next claim is a limit after the acceptance, known or not."""
    limit = seconds * p.SECOND
    unknown = limit + p.SLOT_GUARD  # after the claim; what a doubt leaves behind
    by_evidence = p.LATEST_ACCEPTANCE + limit + p.SLOT_EPSILON
    assert unknown >= accepted_after + limit + p.CLOCK_ERROR
    assert accepted_after + limit <= by_evidence <= unknown
    # A loser in flight looks again a limit after the holder's claim: no earlier than the slot could open.
    assert limit <= accepted_after + limit + p.SLOT_EPSILON


def test_rate_limit_parameter_allows_what_is_proved() -> None:
    assert TEMPLATE["Parameters"]["RateLimitSeconds"]["MinValue"] >= 1


def test_the_list_is_searched_as_far_as_our_message_may_be_dated() -> None:
    assert p.LIST_FROM > 2 * p.CLOCK_ERROR
    assert p.LIST_UNTIL >= SEND + KILLED_LATE + p.TWILIO_ACCEPTS_WITHIN + 2 * p.CLOCK_ERROR


def test_a_doubt_is_judged_only_when_the_list_may_show_everything() -> None:
    assert p.RECONCILE_DOUBT >= p.TWILIO_ACCEPTS_WITHIN + p.TWILIO_LIST_LAG
    assert p.DOUBT_HORIZON >= p.RECONCILE_DOUBT + 4 * p.RECONCILE_AGAIN
    assert p.DOUBT_HORIZON + SWEEP_EVERY < p.RESEND
    assert p.DOUBT_ENDS > p.DOUBT_HORIZON + 4 * p.RECONCILE_AGAIN, "an outage of the list may pass before"


def test_a_sweep_leaves_alone_what_another_one_works_on() -> None:
    assert p.POSTPONED >= SWEEP_EVERY + SEND
    assert p.ERASURE_POSTPONED >= SWEEP_EVERY + SEND
    assert p.MEDIA_AGAIN >= SWEEP_EVERY + WEBHOOK
    assert p.STALE > p.POSTPONED + SWEEP_EVERY


def test_the_sweep_delivers_an_outbox_only_after_its_worker_could() -> None:
    assert max(SEND, WEBHOOK) <= p.OUTBOX_RETRY
    assert p.OUTBOX_RETRY > p.WEBHOOK_RETRIES


def test_an_inbound_message_is_missing_only_after_its_webhook_could_come() -> None:
    assert p.RECONCILE_AFTER > p.WEBHOOK_RETRIES + WEBHOOK
    assert p.MEDIA_FIRST_SWEEP > WEBHOOK


def test_a_record_outlives_every_way_by_which_its_request_may_come_again() -> None:
    kept = p.RETENTION_LEAST_DAYS * p.DAY
    queued = (QUEUE["MessageRetentionPeriod"] + DEAD_LETTERS["MessageRetentionPeriod"]) * p.SECOND
    assert TEMPLATE["Parameters"]["RetentionDays"]["MinValue"] >= p.RETENTION_LEAST_DAYS
    assert kept > p.SEND_AT_MOST_AHEAD
    assert kept > queued
    assert kept > p.RECONCILE_LOOK_BACK
    assert p.LONGEST_DEFERRAL >= p.SEND_AT_MOST_AHEAD + p.WAITS_FOR


def test_an_erasure_outlasts_what_lies_in_the_send_queue() -> None:
    """A request may become a dead letter at its end there, after five receives."""
    assert QUEUE["MessageRetentionPeriod"] * p.SECOND <= p.SEND_QUEUE_KEEPS
    receives = QUEUE["RedrivePolicy"]["maxReceiveCount"] * QUEUE["VisibilityTimeout"] * p.SECOND
    assert max(p.ERASURE_PASSES) > p.SEND_QUEUE_KEEPS + receives


def test_an_erasure_finds_what_a_worker_stored_that_had_read_the_contact_before() -> None:
    assert SEND + 2 * p.CLOCK_ERROR < p.ERASURE_OVERTAKES < min(p.ERASURE_PASSES)


def test_a_turn_that_moves_by_the_time_of_a_post_is_not_told_anew() -> None:
    """A turn behind a message in flight is counted from its claim, and then from its acceptance."""
    assert p.SLOT_EPSILON + p.TWILIO_CALL + p.CLOCK_ERROR < p.TURN_MOVES


def test_the_queue_hides_a_message_while_it_is_worked_on() -> None:
    """AWS asks for six times the function's timeout."""
    assert QUEUE["VisibilityTimeout"] * p.SECOND >= 6 * SEND
    assert p.SQS_LONGEST_DELAY_S <= 900
    assert p.SQS_LONGEST_VISIBILITY_S <= 12 * 3600


def test_a_sync_holds_its_lease_to_the_end() -> None:
    assert p.SYNC_LEASE > SYNC + KILLED_LATE + 2 * p.CLOCK_ERROR


def test_a_medium_is_fetched_within_the_invocation() -> None:
    longest = 2 * (media.CONNECT_S + media.READ_S) + media.TOTAL_S + media.READ_S
    assert longest * p.SECOND < p.MEDIUM_FETCH < WEBHOOK - p.SWEEP_NEEDS


def test_a_caller_waits_longer_than_the_function_lives() -> None:
    assert client.READ_TIMEOUT_S * p.SECOND > SEND


def test_a_waiting_message_ends_its_own_chain_of_nudges() -> None:
    """Lambda ends a chain through the function's own queue after 16 invocations."""
    elapsed, hops, pause = 0, 0, p.FIRST_WAIT_PAUSE[0]
    while pause < p.SELF_NUDGE_S * p.SECOND:
        elapsed, hops = elapsed + pause, hops + 1
        pause = max(p.FIRST_WAIT_PAUSE[0], elapsed // 2)  # the shortest: half as long as it has lasted
    assert hops < 12


def test_the_message_that_met_a_limit_comes_back_as_the_first_probe() -> None:
    assert p.THROTTLE_PAUSE[0] <= p.FIRST_WAIT_PAUSE[0]
    assert p.THROTTLE_PAUSE[0] < p.THROTTLE_PROVED < p.THROTTLE_PAUSE[1]


def test_users_of_a_phone_are_remembered_as_long_as_their_agent_and_window() -> None:
    assert max(p.WINDOW, p.AGENT_REMEMBERED) <= p.USERS_REMEMBERED
    assert p.USERS_REMEMBERED < p.RETENTION_LEAST_DAYS * p.DAY


def test_a_refused_id_is_remembered_longer_than_a_message_waits_to_try_again() -> None:
    assert p.WAITS_FOR < p.IDS_REFUSED


def test_pauses_grow() -> None:
    least, most = p.RETRY_PAUSE
    assert least < most < 3 * least
    assert p.FIRST_WAIT_PAUSE[1] < p.LONGEST_WAIT_PAUSE < p.WAITS_FOR
    assert list(p.ASK_STATUS) == sorted(p.ASK_STATUS)
    assert p.ASK_STATUS[-1] < p.ASK_STATUS_UNTIL <= p.LATEST_CALLBACK


# --- the mission's numbers -------------------------------------------------------------------------------------------


def test_a_rate_is_judged_when_its_messages_had_their_time() -> None:
    assert p.ANSWERS_COUNTED_WITHIN >= p.WINDOW + 2 * p.HOUR  # CloudWatch shows it by then
    assert p.ASK_STATUS[0] <= p.ARRIVES_WITHIN  # Twilio was asked what became of it
    oldest = p.ANSWERS_COUNTED_WITHIN + p.DAY
    assert oldest < 14 * p.DAY  # the oldest time that CloudWatch takes


# --- nowhere else ----------------------------------------------------------------------------------------------------

ELSEWHERE = {
    "client.READ_TIMEOUT_S": "callers copy this one file",
    "consumer.REMEMBERED_S": "the same",
    "media.CONNECT_S": "bounds of one fetch, stated where they are used; compared above",
    "media.READ_S": "the same",
    "media.TOTAL_S": "the same",
}
"""Periods outside of periods.py, each with its reason."""


UNITS = ("_MS", "_S", "_SECONDS", "_MINUTES", "_HOURS")


def numbers(file: Path) -> Iterator[str]:
    """Module-level constants that are named like a period or computed from one."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and not any(isinstance(part, ast.Dict) for part in ast.walk(node.value)):
            names = [part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)]
            yield from (
                f"{file.stem}.{n}" for n in names if n.endswith(("_MS", "_S", "_SECONDS", "_MINUTES", "_HOURS"))
            )


@pytest.mark.parametrize("root", [ROOT / "layers/shared/whatsapp", ROOT / "functions"], ids=["layer", "functions"])
def test_no_other_module_has_periods_of_its_own(root: Path) -> None:
    found = {name for file in root.rglob("*.py") if file.stem != "periods" for name in numbers(file)}
    assert found <= ELSEWHERE.keys(), "move these to domain/periods.py"
