"""The orchestrator's one function: same key on every try, and an error that says what to do."""

import asyncio
import inspect
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.exceptions import (
    EndpointConnectionError,
    IncompleteReadError,
    ProfileNotFound,
    ReadTimeoutError,
)
from jsonschema import Draft202012Validator
from whatsapp import client
from whatsapp.client import (
    MessageFailed,
    MessageInDoubt,
    MessageRefused,
    MessagingUnavailable,
    RequestRefused,
    WhatsAppError,
    WrongSetup,
    acknowledge_contact,
    cancel_message,
    contact_id_of,
    erase_contact,
    get_conversation,
    get_message,
    put_contact,
    send_whatsapp_message,
)
from whatsapp.domain.ports import CALLERS_ASKED_AT
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import handle_of
from whatsapp.domain.sending.request import ContactUpdate, SendAnswer, SendRequest

from tests.unit.client_kit import Aws, aws_error
from tools.schemas import schemas

SENT = {"message_id": "m", "status": "sent", "duplicate": False, "error": None}
REFUSED = {
    "message_id": None,
    "status": "refused",
    "error": {"code": "opted_out", "detail": "this contact asked not to be written to", "retryable": False},
}
MOOD = {"patient_name": "Asha", "therapist_name": "Dr. Rao"}


def send(**more: Any) -> Any:
    options: dict[str, Any] = {"function_name": "send", "sleep": lambda _s: None, **more}
    return send_whatsapp_message("+919812345678", "mood_checkin", MOOD, **options)


def test_request_holds_what_was_given_and_nothing_empty(aws: Aws) -> None:
    aws.answers = [SENT]
    assert send(idempotency_key="k", agent="mood", language=None) == SENT
    assert aws.asked == [
        {
            "to": "send",
            "request": {
                "to": "+919812345678",
                "template": "mood_checkin",
                "variables": MOOD,
                "idempotency_key": "k",
                "agent": "mood",
            },
        }
    ]


def test_every_field_of_a_request_is_an_option() -> None:
    own = {"function_name", "queue_url", "sleep"}
    assert inspect.signature(send_whatsapp_message).parameters.keys() - own == SendRequest.model_fields.keys()
    assert client.ContactValues.__annotations__.keys() | {"address"} == ContactUpdate.model_fields.keys()
    assert client.Answer.__annotations__.keys() == SendAnswer.model_fields.keys()


def test_misspelt_option_is_no_request(aws: Aws) -> None:
    with pytest.raises(TypeError, match="expire_at"):
        send(expire_at="2026-12-01T09:00:00+05:30")
    assert aws.asked == []


INDIA = timezone(timedelta(hours=5, minutes=30))


def test_datetimes_are_taken(aws: Aws) -> None:
    aws.answers = [SENT]
    nine = datetime(2026, 12, 1, 9, tzinfo=INDIA)
    send_whatsapp_message(
        "+919812345678",
        "session_reminder",
        {"session_time": nine},
        send_at=nine.astimezone(UTC),
        expires_at="2026-12-01T16:00:00+05:30",
        function_name="send",
    )
    request = aws.asked[0]["request"]
    assert request["variables"] == {"session_time": "2026-12-01T09:00:00+05:30"}
    assert (request["send_at"], request["expires_at"]) == ("2026-12-01T03:30:00+00:00", "2026-12-01T16:00:00+05:30")


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"send_at": datetime(2026, 12, 1, 9)}, "a datetime has no offset"),  # noqa: DTZ001 - that is the mistake
        ({"variables": {"session_time": datetime(2026, 12, 1)}}, "a datetime has no offset"),  # noqa: DTZ001 - as above
        ({"send_at": datetime(2026, 12, 1, tzinfo=INDIA).date()}, "a date cannot be sent"),
    ],
)
def test_time_that_nobody_knows_is_an_error(aws: Aws, option: dict[str, Any], says: str) -> None:
    with pytest.raises((ValueError, TypeError), match=says):
        send_whatsapp_message("+919812345678", "mood_checkin", function_name="send", **option)
    assert aws.asked == []


@pytest.mark.parametrize(
    "trouble",
    [
        aws_error("TooManyRequestsException", 429),
        aws_error("ServiceException", 500),
        aws_error("RequestThrottled", 400),
        EndpointConnectionError(endpoint_url="https://lambda"),
        ReadTimeoutError(endpoint_url="https://lambda"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        {"errorType": "Sandbox.Timedout"},
        b'{"status": "se',
    ],
)
def test_trouble_is_retried_with_the_same_key(aws: Aws, trouble: Any) -> None:
    aws.answers = [trouble, trouble, SENT]
    assert send() == SENT
    keys = {asked["request"]["idempotency_key"] for asked in aws.asked}
    assert len(aws.asked) == 3
    assert len(keys) == 1


def test_two_calls_without_a_key_are_two_messages(aws: Aws) -> None:
    aws.answers = [SENT, SENT]
    send()
    send()
    assert len({asked["request"]["idempotency_key"] for asked in aws.asked}) == 2


@pytest.mark.parametrize("key", ["", " ", "\n\t", "x" * 257, 0, False, 7, b"k"])
@pytest.mark.parametrize("way", [{}, {"function_name": None, "queue_url": "https://sqs/send"}])
def test_key_that_is_none_is_an_error_and_never_a_fresh_one(aws: Aws, key: Any, way: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="idempotency_key"):
        send(idempotency_key=key, **way)
    assert aws.asked == []


def test_white_space_around_a_key_is_no_part_of_it(aws: Aws) -> None:
    aws.answers = [SENT, {}]
    send(idempotency_key=" appt-1\n")
    assert aws.asked[0]["request"]["idempotency_key"] == "appt-1"
    queued = send(idempotency_key=" appt-1\n", function_name=None, queue_url="https://sqs/send")
    assert queued["message_id"] == handle_of("appt-1") == client.message_id_of("appt-1 ")


def test_retries_end_with_the_key_in_hand(aws: Aws) -> None:
    aws.answers = [aws_error("ServiceException", 500)] * client.TRIES
    waits: list[float] = []
    with pytest.raises(MessagingUnavailable) as raised:
        send(idempotency_key="appt-1", sleep=waits.append)
    assert raised.value.idempotency_key == "appt-1"
    assert len(aws.asked) == client.TRIES
    assert waits == sorted(waits)
    assert waits[0] >= 0.5
    assert waits[-1] <= 4


def test_refusal_is_an_error_that_tells_why(aws: Aws) -> None:
    aws.answers = [REFUSED]
    with pytest.raises(MessageRefused, match="opted_out: this contact asked") as raised:
        send()
    assert (raised.value.code, raised.value.retryable, raised.value.answer) == ("opted_out", False, REFUSED)
    assert len(aws.asked) == 1


FAILURE = {"code": "not_on_whatsapp", "detail": "invalid recipient", "twilio_code": 63024, "retryable": False}


@pytest.mark.parametrize("duplicate", [False, True])
@pytest.mark.parametrize(
    ("status", "error", "code", "says"),
    [
        ("failed", FAILURE, "not_on_whatsapp", "failed: invalid recipient"),
        ("undelivered", FAILURE, "not_on_whatsapp", "undelivered: invalid recipient"),
        ("expired", None, "expired", "expired: "),
        ("canceled", None, "canceled", "canceled: "),
    ],
)
def test_message_that_does_not_go_out_is_an_error(
    aws: Aws, status: str, error: dict[str, Any] | None, code: str, says: str, duplicate: bool
) -> None:
    answer = {**SENT, "status": status, "error": error, "duplicate": duplicate, "continued_as": None}
    aws.answers = [answer]
    with pytest.raises(MessageFailed, match=says) as raised:
        send()
    assert (raised.value.code, raised.value.answer) == (code, answer)
    assert len(aws.asked) == 1


def test_failed_message_that_another_record_continues_is_no_error(aws: Aws) -> None:
    answer = {**SENT, "status": "failed", "error": FAILURE, "continued_as": "m2"}
    aws.answers = [answer]
    assert send() == answer


def test_message_in_doubt_is_an_error_of_its_own(aws: Aws) -> None:
    aws.answers = [{**SENT, "status": "unknown"}]
    with pytest.raises(MessageInDoubt, match="message m may have gone out or not") as raised:
        send()
    assert raised.value.answer["message_id"] == "m"
    assert len(aws.asked) == 1


@pytest.mark.parametrize("status", ["sent", "delivered", "read", "pending", "deferred", "retrying", "sending"])
def test_message_that_went_or_will_go_is_returned(aws: Aws, status: str) -> None:
    aws.answers = [{**SENT, "status": status}]
    assert send()["status"] == status


def test_every_status_is_an_answer_or_an_error() -> None:
    """So that a new status is not taken for success unseen."""
    returned = {"sent", "delivered", "read", "pending", "deferred", "retrying", "sending"}
    inbound = {"received"}
    assert {status.public_status for status in Status} - inbound == returned | client._FAILED | {"unknown", "refused"}


@pytest.mark.parametrize("answer", [None, [], "sent", {}, {"statusCode": 200, "body": "{}"}, {"status": 5}])
def test_what_another_function_answers_is_no_success(aws: Aws, answer: object) -> None:
    aws.answers = [answer]
    with pytest.raises(WhatsAppError, match="no answer of the send function"):
        send()


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (aws_error("AccessDeniedException", 403), "AWS refuses the call: AccessDeniedException"),
        (aws_error("ResourceNotFoundException", 404), "AWS refuses the call: ResourceNotFoundException"),
        (ProfileNotFound(profile="prod"), "AWS cannot be called: .*prod"),
    ],
)
def test_wrong_set_up_is_one_error_and_not_retried(aws: Aws, error: Exception, says: str) -> None:
    aws.answers = [error]
    with pytest.raises(WrongSetup, match=says):
        send()
    assert len(aws.asked) == 1


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, "no AWS region: set AWS_REGION"),
        ({"AWS_DEFAULT_REGION": "ap-south-1"}, "no AWS credentials: give this program a role"),
        ({"AWS_DEFAULT_REGION": "ap-south-1", "AWS_PROFILE": "none"}, "AWS cannot be called: .*profile"),
    ],
)
@pytest.mark.parametrize("ask", [send, lambda: get_message("m", function_name="send")])
def test_neither_region_nor_credentials(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], says: str, ask: Any
) -> None:
    """The real boto3, in an environment without a trace of AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    nothing = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    for name, value in (nothing | {"AWS_EC2_METADATA_DISABLED": "true"} | environment).items():
        monkeypatch.setenv(name, value)
    client._client.cache_clear()
    with pytest.raises(WrongSetup, match=says):
        ask()
    client._client.cache_clear()


def test_queue_answers_with_the_id_the_message_will_have(aws: Aws) -> None:
    aws.answers = [EndpointConnectionError(endpoint_url="https://sqs"), {}]
    answer = send(function_name=None, queue_url="https://sqs/send", idempotency_key="k")
    assert (answer["status"], answer["message_id"]) == ("pending", handle_of("k"))
    Draft202012Validator(schemas()["SendAnswer.json"]).validate(answer)
    assert [asked["to"] for asked in aws.asked] == ["https://sqs/send"] * 2


def test_queue_message_says_when_it_was_first_asked_for(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([1_795_000_000.25, 1_795_000_400.0])
    monkeypatch.setattr("whatsapp.client.time.time", lambda: next(seconds))
    aws.answers = [EndpointConnectionError(endpoint_url="https://sqs"), {}]
    send(function_name=None, queue_url="https://sqs/send", idempotency_key="k")
    said = {CALLERS_ASKED_AT: {"DataType": "Number", "StringValue": "1795000000250"}}
    assert aws.attributes == [said, said]


def test_environment_names_the_function_or_the_queue(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.answers = [{}, SENT]
    monkeypatch.setenv("WHATSAPP_SEND_QUEUE_URL", "https://sqs/send")
    assert send(function_name=None)["status"] == "pending"
    monkeypatch.setenv("WHATSAPP_SEND_FUNCTION", "prod-send")
    assert send(function_name=None)["status"] == "sent"
    assert [asked["to"] for asked in aws.asked] == ["https://sqs/send", "prod-send"]


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ({"function_name": None}, "say which function_name or queue_url"),
        ({"function_name": ""}, "is empty"),
        ({"function_name": None, "queue_url": ""}, "is empty"),
        ({"function_name": "send", "queue_url": "https://sqs/send"}, "not both"),
    ],
)
def test_neither_function_nor_queue_or_both(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, way: dict[str, Any], says: str
) -> None:
    if "say which" not in says:  # an empty name must not lead to another deployment
        monkeypatch.setenv("WHATSAPP_SEND_FUNCTION", "prod-send")
    with pytest.raises(ValueError, match=says):
        send(**way)
    assert aws.asked == []


def test_queue_url_given_beats_the_function_of_the_environment(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.answers = [{}]
    monkeypatch.setenv("WHATSAPP_SEND_FUNCTION", "prod-send")
    send(function_name=None, queue_url="https://sqs/send")
    assert [asked["to"] for asked in aws.asked] == ["https://sqs/send"]


async def many(count: int) -> list[Any]:
    ways = (f"appt-{number}" for number in range(count))
    return await asyncio.gather(*(asyncio.to_thread(send, idempotency_key=key) for key in ways))


def test_threads_do_not_block_the_loop_nor_each_other(aws: Aws) -> None:
    aws.answers = [SENT] * 20
    assert asyncio.run(many(20)) == [SENT] * 20
    assert {asked["request"]["idempotency_key"] for asked in aws.asked} == {f"appt-{number}" for number in range(20)}


# --- the other actions, against the send function itself ---------------------------------------------------------


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_a_patient_from_first_to_last(send_function: None) -> None:
    contact_id = put_contact("98123 45678", user_id="user-42", opted_in_at=datetime(2026, 11, 1, tzinfo=INDIA))
    assert contact_id_of("+91 98123 45678") == contact_id
    begins = datetime.now(INDIA) + timedelta(days=1)
    session: dict[str, Any] = {"patient_name": "Asha", "session_time": begins, "therapist_name": "Dr. Rao"}
    sent = send_whatsapp_message("98123 45678", "session_reminder", session, idempotency_key="appt-1")
    assert (sent["status"], sent["contact_id"]) == ("sent", contact_id)
    assert get_message(client.message_id_of("appt-1"))["message_id"] == sent["message_id"]
    second = send_whatsapp_message("98123 45678", "session_reminder", session, idempotency_key="appt-2")
    assert second["status"] == "deferred"
    assert cancel_message(client.message_id_of("appt-2"))["status"] == "canceled"
    assert get_message(client.message_id_of("appt-2"))["status"] == "canceled"  # a look is no exception
    page = get_conversation(contact_id, limit=1)
    assert (page["contact_id"], page["user_id"]) == (contact_id, "user-42")
    shown = page["messages"] + get_conversation(contact_id, before=page["next_before"])["messages"]
    assert sorted(message["status"] for message in shown) == ["canceled", "sent"]
    put_contact("98123 45678", user_id=None)
    assert get_conversation(contact_id)["user_id"] is None
    assert not acknowledge_contact(contact_id)
    erase_contact(contact_id)
    assert not any("text" in message for message in get_conversation(contact_id)["messages"])


@pytest.mark.filterwarnings("ignore:No application metrics")
@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda: get_message("none"), "not_found"),
        (lambda: get_conversation("none"), "not_found"),
        (lambda: erase_contact("none"), "not_found"),
        (lambda: contact_id_of("12"), "invalid_address"),
        (lambda: put_contact("98123 45678", agent="No Spaces"), "invalid_request"),
    ],
)
def test_refused_action_is_an_error_that_tells_why(send_function: None, ask: Any, code: str) -> None:
    with pytest.raises(RequestRefused, match=code) as raised:
        ask()
    assert raised.value.code == code


def test_actions_are_retried_and_say_that_they_may_be_repeated(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    aws.answers = [aws_error("ServiceException", 500)] * client.TRIES
    with pytest.raises(MessagingUnavailable, match=r"call again$") as raised:
        erase_contact("c", function_name="send")
    assert raised.value.idempotency_key is None
    assert aws.asked[-1] == {"to": "send", "request": {"action": "erase_contact", "contact_id": "c"}}


@pytest.mark.parametrize("name", [None, ""])
def test_actions_need_the_function(aws: Aws, monkeypatch: pytest.MonkeyPatch, name: str | None) -> None:
    monkeypatch.setenv("WHATSAPP_SEND_QUEUE_URL", "https://sqs/send")
    with pytest.raises(ValueError, match="say which function_name"):
        get_message("m", function_name=name)
    assert aws.asked == []


@pytest.mark.parametrize("answer", [None, [], "sent", {}, {"statusCode": 200, "body": "{}"}])
def test_action_that_another_function_answers_is_no_success(aws: Aws, answer: object) -> None:
    aws.answers = [answer]
    with pytest.raises(WhatsAppError, match="no answer of the send function"):
        erase_contact("c", function_name="other")


def test_it_needs_boto3_alone() -> None:
    """So that an orchestrator can copy the file, or import it without the dependencies layer."""
    look = (
        "import sys; before = set(sys.modules); import whatsapp.client\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('pydantic', 'twilio', 'jinja2', 'aws_lambda_powertools')"
        " or (m.startswith('whatsapp.') and m != 'whatsapp.client')])"
    )
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stdout + found.stderr
