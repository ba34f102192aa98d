"""What a model may do in one conversation: only there, and nothing twice."""

import json
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from whatsapp.agent_tools import AgentTools
from whatsapp.bus_events import MessageReceived
from whatsapp.client import MessagingUnavailable, message_id_of
from whatsapp.consumer import read
from whatsapp.testing import sample

from tests.unit.client_kit import Aws, aws_error

SID = "SM" + "1" * 32
SENT = {"message_id": "m", "status": "sent", "duplicate": False, "contact_id": "c", "will_expire": False, "error": None}
TEMPLATES = {"session_reminder": ["patient_name", "session_time", "therapist_name"]}


def answering(**values: Any) -> MessageReceived:
    event = read(sample(MessageReceived, event_id="e1", message_id=SID, contact_id="c", **values))
    assert isinstance(event, MessageReceived)
    return event


@pytest.fixture
def tools(aws: Aws) -> AgentTools:
    return AgentTools(answering(agent="mood"), templates=TEMPLATES, function_name="send")


def test_definitions_take_no_number_no_key_and_no_function(tools: AgentTools) -> None:
    assert [one["name"] for one in tools.definitions] == [
        "answer_patient",
        "send_template",
        "read_conversation",
        "message_status",
        "cancel_message",
    ]
    for one in tools.definitions:
        Draft202012Validator.check_schema(one["input_schema"])
        assert not {"to", "address", "idempotency_key", "function_name"} & one["input_schema"]["properties"].keys()
    assert "session_reminder: patient_name, session_time" in tools.definitions[1]["description"]
    without = AgentTools(answering())
    assert "send_template" not in [one["name"] for one in without.definitions]


def test_answer_goes_to_who_wrote_and_under_a_key_of_their_message(tools: AgentTools, aws: Aws) -> None:
    aws.answers = [SENT, SENT, SENT]
    assert tools.call("answer_patient", {"text": "See you"}) == {"message_id": "m", "status": "sent"}
    tools.call("answer_patient", {"text": "At nine", "part": 2})
    tools.call("send_template", {"template": "session_reminder", "variables": {"patient_name": "Asha"}, "part": 3})
    first, second, third = (asked["request"] for asked in aws.asked)
    assert first == {
        "to": "+919812345678",
        "text": "See you",
        "in_reply_to": SID,
        "agent": "mood",
        "idempotency_key": "answer-1-e1",
    }
    assert [second["idempotency_key"], third["idempotency_key"]] == ["answer-2-e1", "answer-3-e1"]
    assert (third["template"], third["variables"]) == ("session_reminder", {"patient_name": "Asha"})


def test_turn_that_is_played_twice_and_worded_anew_sends_nothing_twice(tools: AgentTools, aws: Aws) -> None:
    error = {"code": "idempotency_conflict", "detail": "another request has this key", "retryable": False}
    aws.answers = [{"message_id": None, "status": "refused", "error": error}, {**SENT, "status": "delivered"}]
    assert tools.call("answer_patient", {"text": "See you soon!"}) == {"message_id": "m", "status": "delivered"}
    assert aws.asked[1]["request"] == {"action": "get_message", "message_id": message_id_of("answer-1-e1")}


def test_conversation_without_ids_of_the_person(tools: AgentTools, aws: Aws) -> None:
    message = {"message_id": SID, "direction": "inbound", "text": "Hi", "status": "received", "profile_name": "Asha"}
    aws.answers = [{"contact_id": "c", "messages": [message], "next_before": None}]
    shown = tools.call("read_conversation", {"limit": 5})
    assert shown == {
        "messages": [{"message_id": SID, "direction": "inbound", "text": "Hi", "status": "received"}],
    }
    assert aws.asked[0]["request"] == {"action": "get_conversation", "contact_id": "c", "limit": 5, "before": None}


def test_message_of_this_patient_is_shown_and_called_off(tools: AgentTools, aws: Aws) -> None:
    waiting = {**SENT, "status": "deferred", "scheduled_for": "2026-12-01T09:00:00+05:30"}
    aws.answers = [waiting, waiting, {**SENT, "status": "canceled"}]
    assert tools.call("message_status", {"message_id": "m"})["scheduled_for"] == "2026-12-01T09:00:00+05:30"
    assert tools.call("cancel_message", {"message_id": "m"})["status"] == "canceled"


@pytest.mark.parametrize("part", [1, 1.0, True])
def test_part_has_one_key_however_it_is_written(tools: AgentTools, aws: Aws, part: Any) -> None:
    aws.answers = [SENT]
    tools.call("answer_patient", {"text": "See you", "part": part})
    assert aws.asked[0]["request"]["idempotency_key"] == "answer-1-e1"


@pytest.mark.parametrize("name", ["message_status", "cancel_message"])
def test_message_of_another_patient_is_not_found(tools: AgentTools, aws: Aws, name: str) -> None:
    aws.answers = [{**SENT, "contact_id": "somebody else"}]
    assert tools.call(name, {"message_id": "m"})["error"]["code"] == "not_found"
    assert [asked["request"]["action"] for asked in aws.asked] == ["get_message"]


def test_nobody_is_read_where_the_event_names_nobody(aws: Aws) -> None:
    assert AgentTools(replace(answering(), contact_id=None)).call("read_conversation", {}) == {"messages": []}


REFUSED = {"code": "window_closed", "detail": "the 24 hours are over: send a template", "retryable": False}
FAILED = {"code": "not_on_whatsapp", "detail": "no such account", "twilio_code": 63024, "retryable": False}


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        ({"message_id": None, "status": "refused", "error": REFUSED}, "window_closed", "send a template"),
        ({**SENT, "status": "failed", "error": FAILED}, "not_on_whatsapp", "no such account"),
        ({**SENT, "status": "unknown"}, "in_doubt", "do not send it again"),
    ],
)
def test_what_the_model_has_to_know_is_its_answer(
    tools: AgentTools, aws: Aws, answer: dict[str, Any], code: str, says: str
) -> None:
    aws.answers = [answer]
    error = tools.call("answer_patient", {"text": "See you"})["error"]
    assert error["code"] == code
    assert says in error["detail"]


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("answer_patient", {}, "text"),
        ("answer_patient", {"text": "Hi", "to": "+919800000000"}, "to"),
        ("answer_patient", {"text": "Hi", "part": 4}, "from 1 to 3"),
        ("answer_patient", {"text": "Hi", "part": "1"}, "from 1 to 3"),
        ("send_template", {"template": "mood_checkin", "variables": {}}, "one of session_reminder"),
        ("send_template", {"template": "session_reminder", "variables": "Asha"}, "variables: an object"),
        ("phone_patient", {}, "there are answer_patient, send_template"),
    ],
)
def test_wrong_call_is_told_what_is_right(
    tools: AgentTools, aws: Aws, name: str, arguments: dict[str, Any], says: str
) -> None:
    assert says in tools.call(name, arguments)["error"]["detail"]
    assert aws.asked == []


def test_trouble_is_not_the_models(tools: AgentTools, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    aws.answers = [aws_error("ServiceException", 500)] * 4
    with pytest.raises(MessagingUnavailable):
        tools.call("answer_patient", {"text": "See you"})


def test_results_are_json(tools: AgentTools, aws: Aws) -> None:
    aws.answers = [SENT]
    json.dumps(tools.call("answer_patient", {"text": "See you"}))
    json.dumps(tools.definitions)


@pytest.mark.filterwarnings("ignore:No application metrics")
@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("answer_patient", {"text": 7}, "text: Input should be a valid string"),
        ("answer_patient", {"text": " "}, "text: "),
        ("send_template", {"template": "session_reminder", "variables": {"patient_name": 7}}, "variables.patient_name"),
        ("read_conversation", {"limit": "many"}, "limit: Input should be a valid integer"),
        ("message_status", {"message_id": ["m"]}, "message_id: Input should be a valid string"),
    ],
)
def test_values_are_judged_by_the_send_function(
    send_function: None, name: str, arguments: dict[str, Any], says: str
) -> None:
    told = AgentTools(answering(), templates=TEMPLATES).call(name, arguments)["error"]
    assert told["code"] == "invalid_request"
    assert says in told["detail"]
