"""A message of the send queue: which work it means, whether SQS keeps it, and who hears of a refusal."""

import json
from typing import Any

import pytest
from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Deadline, InDoubt, NotSent, Rejected
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import handle_of
from whatsapp.use_cases.work_queue_message import QueueMessage, _read

from tests.app import PATIENT, UnitApp, a_request, message_id_of
from tests.fakes import NOON


def work(
    app: UnitApp,
    body: object,
    *,
    milliseconds: int = 30_000,
    queue_message_id: str = "q1",
    asked_at: int | None = None,
) -> bool:
    """Whether SQS can delete it."""
    text = body if isinstance(body, str) else json.dumps(body)
    received = QueueMessage(queue_message_id, "handle", text, asked_at)
    return bool(app.work_queue_message(received, Deadline(app.clock.now() + milliseconds)))


def request_body(**fields: Any) -> dict[str, Any]:
    body = a_request(idempotency_key="m").model_dump(mode="json", exclude_none=True)
    return {**body, **fields}


# --- what is done --------------------------------------------------------------------------------------------------


def test_request_is_sent_under_its_own_key(app: UnitApp) -> None:
    assert work(app, request_body())
    assert app.record("m").status is Status.SENT


def test_request_without_a_key_is_sent_once_under_the_queue_messages_id(app: UnitApp) -> None:
    body = {name: value for name, value in request_body().items() if name != "idempotency_key"}
    assert work(app, body)
    assert work(app, body)
    assert app.record("q1").status is Status.SENT
    assert len(app.gateway.posts) == 1


def test_nudge_takes_its_message_on(app: UnitApp) -> None:
    app.gateway.outcomes = [NotSent("no connection")]
    app.send()
    app.clock.sleep(11)
    assert work(app, {"message_id": message_id_of("m")})
    assert app.record().status is Status.SENT


@pytest.mark.parametrize("status", [Status.SENT, Status.UNKNOWN, Status.FAILED, Status.CANCELED, Status.CLAIMED])
def test_nudge_of_a_message_that_does_not_wait_is_deleted(app: UnitApp, status: Status) -> None:
    message = app.store(status=status, attempt="a")
    assert work(app, {"message_id": message.message_id})
    assert (app.record(), app.queue.back, app.queue.nudges) == (message, [], [])


@pytest.mark.parametrize(
    ("asked_at", "goes"), [(NOON - 1, False), (NOON, False), (NOON + 1, True)], ids=["before", "at once", "after"]
)
@pytest.mark.parametrize("request_", [{}, {"send_at": iso(NOON + 2 * periods.HOUR)}], ids=["now", "later"])
def test_request_that_was_asked_for_before_the_erasure_is_not_sent(
    app: UnitApp, asked_at: int, goes: bool, request_: dict[str, Any]
) -> None:
    """However long it waits in the queue. Nothing of the person is stored again."""
    contact_id = app.contact_ids.of(Address(PATIENT))
    app.contacts.update(contact_id, {"erased_at": NOON})
    app.clock.sleep(3600)
    assert work(app, request_body(**request_), asked_at=asked_at)
    if goes:
        assert app.record("m").asked_at == asked_at
    else:
        assert app.messages.get(message_id_of("m")) is None
        assert [(e.status, e.error.code) for e in app.bus.events] == [("failed", "opted_out")]
        assert app.gateway.posts == []


def test_time_to_go_counts_from_when_it_was_asked_for(app: UnitApp) -> None:
    """Not from when the queue handed it over: a confirmation of yesterday is of no use."""
    assert work(app, request_body(), asked_at=NOON - 30 * periods.DAY)
    assert [(e.status, e.error.code) for e in app.bus.events] == [("failed", "expired")]


# --- what comes back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_nudge", [False, True])
def test_message_that_is_tried_again_is_put_back_with_its_pause(app: UnitApp, as_nudge: bool) -> None:
    app.gateway.outcomes = [Rejected(20500, 400)]
    if as_nudge:
        app.send()
    assert work(app, {"message_id": message_id_of("m")} if as_nudge else request_body()) is False
    pause = (app.record().due_at or 0) - NOON
    assert app.queue.back == [("handle", -(-pause // 1000))]  # rounded up: not a moment too early
    assert 5 <= app.queue.back[0][1] <= 10


def test_pause_is_at_least_a_second_and_no_longer_than_sqs_allows(app: UnitApp) -> None:
    app.store(status=Status.RETRYING, due_at=NOON, scheduled_for=NOON + 10**9)
    assert work(app, {"message_id": message_id_of("m")}) is False
    app.store(status=Status.PENDING, due_at=NOON - 5_000)
    assert work(app, {"message_id": message_id_of("m")}, milliseconds=100) is False
    assert app.queue.back == [("handle", periods.SQS_LONGEST_VISIBILITY_S), ("handle", 1)]


def test_request_without_time_for_its_post_is_put_back(app: UnitApp) -> None:
    assert work(app, request_body(), milliseconds=100) is False
    assert (app.record().status, app.queue.back) == (Status.PENDING, [("handle", 5)])


def test_throttled_message_is_nudged_anew(app: UnitApp) -> None:
    """SQS counts receives, and a throttled attempt does not count."""
    app.gateway.outcomes = [Rejected(20429, 429)]
    assert work(app, request_body())
    pause = (app.record().due_at or 0) - NOON
    assert app.queue.nudges == [(message_id_of("m"), -(-pause // 1000))]
    assert app.queue.back == []


def test_throttling_makes_no_endless_chain_of_nudges(app: UnitApp) -> None:
    """Lambda ends a chain through the function's own queue after 16; the sweep's nudges begin a new one."""
    app.gateway.outcomes = [Rejected(14107, 429)] * 40
    work(app, request_body())
    nudged = 0
    while len(app.queue.nudges) > nudged:
        nudged = len(app.queue.nudges)
        app.clock.at = app.record().due_at or 0
        assert work(app, {"message_id": message_id_of("m")})
    assert 0 < nudged < 12
    assert app.record().status is Status.RETRYING
    assert (app.record().due_shard or "").startswith("send#")


@pytest.mark.parametrize("outcome", [NotSent("no connection"), Rejected(20429, 429)])
def test_queue_that_is_down_leaves_it_to_the_sweep(app: UnitApp, outcome: Any) -> None:
    app.queue.down = True
    app.gateway.outcomes = [outcome]
    assert work(app, request_body())
    assert app.record().due_shard
    assert app.record().due_at


@pytest.mark.parametrize(
    ("outcome", "status"), [(InDoubt("no answer"), Status.UNKNOWN), (Rejected(63024, 400), Status.FAILED)]
)
def test_message_that_is_settled_or_in_doubt_is_deleted(app: UnitApp, outcome: Any, status: Status) -> None:
    app.gateway.outcomes = [outcome]
    assert work(app, request_body())
    assert (app.record().status, app.queue.back, app.queue.nudges) == (status, [], [])


def test_deferred_message_is_deleted_and_left_to_the_sweep(app: UnitApp) -> None:
    app.contacts.update(app.contact().contact_id, {"next_allowed_at": NOON + 1_000})
    assert work(app, request_body())
    assert (app.record().status, app.queue.back, app.queue.nudges) == (Status.DEFERRED, [], [])


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", "invalid_request"),
        ("", "invalid_request"),
        ("[]", "invalid_request"),
        ("7" * 5_000, "invalid_request"),
        ("[" * 100_000, "invalid_request"),
        ({}, "invalid_request"),
        ({"detail-type": "message.received", "detail": {"to": PATIENT}}, "invalid_request"),
        ({"message_id": "0" * 32, "contact_id": "c", "attempts": 3, "error": None}, "invalid_request"),
        ({"message_id": "0" * 32}, "not_found"),
        ({"message_id": 5}, "not_found"),
    ],
    ids=["broken", "empty", "array", "huge number", "deep", "no field", "event", "dead letter", "nudge", "odd nudge"],
)
def test_what_cannot_be_read_is_a_dead_letter_and_an_alert(app: UnitApp, body: object, code: str) -> None:
    assert work(app, body)
    assert app.queue.unreadables == [f"q1 {code} {body if isinstance(body, str) else json.dumps(body)}"]
    assert app.alerts.unreadables == [f"q1 {code}"]
    assert app.bus.events == []


def test_error_of_the_unreadable_says_where_and_quotes_nothing() -> None:
    with pytest.raises(MessagingError) as raised:
        _read('{"to": "+919812345678", Asha}')
    assert raised.value.detail.endswith("at character 24 of 29")
    assert "9812" not in raised.value.detail
    assert "Asha" not in raised.value.detail


def test_unreadable_that_cannot_be_kept_comes_back(app: UnitApp) -> None:
    app.queue.down = True
    assert work(app, "{") is False


@pytest.mark.parametrize("key", ["m", None])
def test_refusal_becomes_an_event(app: UnitApp, key: str | None) -> None:
    app.contacts.update(app.contact().contact_id, {"opted_out_at": NOON})
    body = request_body(idempotency_key=key, user_id="user-42", agent="mood")
    assert work(app, {name: value for name, value in body.items() if value})
    (event,) = app.bus.events
    message_id = handle_of(key or "q1")
    assert (event.message_id, event.idempotency_key, event.event_id) == (message_id, key, f"{message_id}#refused#q1")
    assert (event.status, event.error.code) == ("failed", "opted_out")
    assert (event.user_id, event.agent, event.template) == ("user-42", "mood", "appointment_confirmation")
    assert (event.contact_id, event.address) == (None, None)


PAST_SESSION = {"patient_name": "Asha", "therapist_name": "Dr. Rao", "session_time": "2026-11-24T12:00:00+05:30"}


@pytest.mark.parametrize(
    ("contact", "fields", "code"),
    [
        ({}, {"to": "+1"}, "invalid_address"),
        ({}, {"to": None}, "invalid_request"),
        ({}, {"variables": {}}, "invalid_variables"),
        ({}, {"template": "nothing"}, "unknown_template"),
        ({}, {"language": "xx"}, "unknown_language"),
        ({}, {"message_id": "0" * 32}, "invalid_request"),
        ({}, {"send_at": "tomorrow"}, "invalid_request"),
        ({"suppressed_code": 63024}, {}, "not_on_whatsapp"),
        ({}, {"language": "hi"}, "template_not_approved"),
        ({}, {"expires_at": "2026-11-24T12:00:00+05:30"}, "expired"),
        ({"next_allowed_at": NOON + 1}, {"on_rate_limit": "reject"}, "rate_limited"),
        ({}, {"template": "session_reminder", "variables": PAST_SESSION}, "too_late"),
    ],
)
def test_every_refusal_of_a_request_is_an_event_and_pages_nobody(
    app: UnitApp, contact: dict[str, Any], fields: dict[str, Any], code: str
) -> None:
    app.contacts.update(app.contact().contact_id, contact)
    assert work(app, request_body(user_id="user-42", **fields))
    (event,) = app.bus.events
    assert (event.error.code, event.message_id, event.idempotency_key) == (code, handle_of("m"), "m")
    assert (event.user_id, event.template) == ("user-42", fields.get("template", "appointment_confirmation"))
    assert app.queue.unreadables == app.alerts.unreadables == app.queue.dead == []


@pytest.mark.parametrize("value", [5, ["m"], {}, "", "  ", "x" * 257, "\ud800"])
def test_label_that_is_not_valid_spoils_neither_the_event_nor_the_other_labels(app: UnitApp, value: object) -> None:
    assert work(app, request_body(idempotency_key=value, user_id="user-42"))
    (event,) = app.bus.events
    assert (event.message_id, event.idempotency_key, event.user_id) == (handle_of("q1"), None, "user-42")
    assert event.error.detail.startswith("idempotency_key: ")


def test_refused_again_under_its_key_is_another_event(app: UnitApp) -> None:
    """Consumers dedupe on `event_id`, and a corrected request may be refused for the same reason."""
    for queue_message_id in ("q1", "q1", "q2"):
        work(app, request_body(to="+1"), queue_message_id=queue_message_id)
    first, redelivered, second = (event.event_id for event in app.bus.events)
    assert first == redelivered != second


@pytest.mark.parametrize(
    ("fields", "code"), [({"language": "hi"}, "idempotency_conflict"), ({"to": 5}, "invalid_request")]
)
def test_refusal_does_not_say_that_another_requests_message_failed(
    app: UnitApp, fields: dict[str, Any], code: str
) -> None:
    work(app, request_body())
    app.bus.events.clear()
    assert work(app, request_body(**fields))
    (event,) = app.bus.events
    assert (event.error.code, event.idempotency_key, event.message_id) == (code, "m", handle_of("q1"))
    assert app.alerts.unreadables == []


def test_refusal_whose_event_is_not_taken_comes_back(app: UnitApp) -> None:
    app.contacts.update(app.contact().contact_id, {"opted_out_at": NOON})
    app.bus.down = True
    assert work(app, request_body()) is False


def test_account_problem_comes_back(app: UnitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator has to mend the deployment; then the message can go."""

    def broken(_: object) -> None:
        raise MessagingError("account_problem", "why")

    monkeypatch.setattr(app.gateway, "prepare", broken)
    assert work(app, request_body()) is False
    assert app.queue.unreadables == app.bus.events == []
