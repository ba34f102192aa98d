"""The routes of send: by direct invoke and over HTTP alike."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from functions.send.handler import lambda_handler
from functions.send.routes import ROUTES
from local.deploy import read_template
from tests.app import PATIENT, message_id_of
from tests.unit.client_kit import CONTEXT
from tests.unit.receive_kit import ASHA, IDS
from tools.schemas import documents

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")

REMINDER = {
    "to": PATIENT,
    "template": "session_reminder",
    "variables": {"patient_name": "Asha", "session_time": "2099-11-24T17:30:00+05:30", "therapist_name": "Dr. Rao"},
    "idempotency_key": "k",
}
MESSAGE = message_id_of("k")
OPENAPI = documents()["openapi.json"]
HERS = IDS.of(ASHA)

# action, its fields, and the HTTP status and part of the body that both doors give
ANSWERS: list[tuple[str, dict[str, Any], int, dict[str, Any]]] = [
    ("send_message", REMINDER, 200, {"message_id": MESSAGE, "status": "sent", "duplicate": True}),
    ("send_message", {**REMINDER, "when": "now"}, 400, {"status": "refused", "message_id": None}),
    ("get_message", {"message_id": MESSAGE}, 200, {"message_id": MESSAGE, "status": "sent"}),
    ("get_message", {"message_id": "none"}, 404, {"status": "refused"}),
    ("cancel_message", {"message_id": MESSAGE}, 409, {"status": "refused"}),
    ("cancel_message", {"message_id": message_id_of("early")}, 200, {"status": "canceled"}),
    ("lookup_contact", {"address": PATIENT}, 200, {"contact_id": HERS, "known": True}),
    ("lookup_contact", {"address": "12"}, 400, {"status": "refused"}),
    ("put_contact", {"address": PATIENT, "language": "hi"}, 200, {"contact_id": HERS}),
    ("get_conversation", {"contact_id": HERS}, 200, {"contact_id": HERS, "next_before": None}),
    ("get_conversation", {"contact_id": HERS, "limit": 1, "before": None}, 200, {"contact_id": HERS}),
    ("get_conversation", {"contact_id": HERS, "limit": "many"}, 400, {"status": "refused"}),
    ("get_conversation", {"contact_id": HERS, "pages": 2}, 400, {"status": "refused"}),
    ("erase_contact", {"contact_id": "none"}, 404, {"status": "refused"}),
    ("acknowledge_contact", {"contact_id": HERS}, 200, {"contact_id": HERS, "was_open": False}),
    ("acknowledge_contact", {"contact_id": "none"}, 404, {"status": "refused"}),
    ("export_contact", {"contact_id": HERS}, 200, {"contact_id": HERS}),
    ("export_contact", {"contact_id": "none"}, 404, {"status": "refused"}),
    ("get_group", {"group": "appt-1"}, 404, {"status": "refused"}),
    ("get_group", {"group": "appt 1"}, 400, {"status": "refused"}),
    ("cancel_group", {"group": "appt-1"}, 200, {"canceled": [], "too_late": []}),
    ("get_metrics", {"from": "yesterday"}, 400, {"status": "refused"}),
    ("hold_sending", {}, 200, {"held": True}),
    ("release_sending", {}, 200, {"held": False}),
]


@pytest.fixture(autouse=True)
def sent(send_function: object) -> None:
    """One message has been sent."""
    assert lambda_handler(dict(REMINDER), CONTEXT)["status"] == "sent"


def over_http(action: str, fields: dict[str, Any]) -> tuple[int, Any]:
    route, given = ROUTES[action], {name: value for name, value in fields.items() if value is not None}
    path = route.path
    for name in [name for name in given if f"{{{name}}}" in path]:
        path = path.replace(f"{{{name}}}", given.pop(name))
    event: dict[str, Any] = {
        "version": "2.0",
        "rawPath": path,
        "requestContext": {"http": {"method": route.method, "path": path}, "requestId": "http", "stage": "$default"},
    }
    if route.method in ("POST", "PUT"):
        event["body"] = json.dumps(given) if given else None
    else:
        event["queryStringParameters"] = {name: str(value) for name, value in given.items()}
    answer = lambda_handler(event, CONTEXT)
    return answer["statusCode"], json.loads(answer["body"])


def documented(action: str, status: int) -> dict[str, Any]:
    """The schema of this answer in openapi.json."""
    route = ROUTES[action]
    responses = OPENAPI["paths"][route.path][route.method.lower()]["responses"]
    answer = responses.get(str(status), responses["default"])["content"]["application/json"]["schema"]
    return {**answer, "components": OPENAPI["components"]}


@pytest.mark.parametrize(("action", "fields", "status", "part"), ANSWERS)
def test_an_action_answers_as_its_route_does(
    action: str, fields: dict[str, Any], status: int, part: dict[str, Any]
) -> None:
    direct = lambda_handler({"action": action, **fields}, CONTEXT)
    http_status, http = over_http(action, fields)
    assert (http_status, http) == (status, direct)
    Draft202012Validator(documented(action, status)).validate(http)
    assert {name: direct[name] for name in part} == part
    json.dumps(direct)


def test_erased_through_either_door(tables: Any) -> None:
    direct = lambda_handler({"action": "erase_contact", "contact_id": HERS}, CONTEXT)
    assert over_http("erase_contact", {"contact_id": HERS}) == (202, direct)
    assert direct == {"contact_id": HERS, "status": "erasing"}
    assert "address" not in tables.scan(TableName="ContactsTable")["Items"][0]


@pytest.mark.parametrize("action", ["erase", "", None, 7, ["get_message"], f"remind Asha {PATIENT}"])
def test_unknown_action_is_told_which_there_are(action: object, caplog: pytest.LogCaptureFixture) -> None:
    answer = lambda_handler({"action": action, "to": PATIENT}, CONTEXT)
    assert (answer["status"], answer["error"]["code"]) == ("refused", "invalid_request")
    assert all(name in answer["error"]["detail"] for name in ROUTES)
    said = answer["error"]["detail"] + str([vars(record) for record in caplog.records])
    assert "'code': 'invalid_request'" in said, "nothing was logged"
    assert PATIENT not in said
    assert "Asha" not in said


def test_a_message_without_a_key_is_named_by_the_invocation() -> None:
    bare = {name: value for name, value in REMINDER.items() if name != "idempotency_key"}
    assert lambda_handler({"action": "send_message", **bare}, CONTEXT)["message_id"] == message_id_of("direct")
    assert over_http("send_message", bare)[1]["message_id"] == message_id_of("http")


def test_every_route_of_the_template_is_an_action_and_the_other_way_round() -> None:
    events = read_template()["Resources"]["SendFunction"]["Properties"]["Events"].values()
    deployed = {(e["Properties"]["Method"], e["Properties"]["Path"]) for e in events if e["Type"] == "HttpApi"}
    assert {(route.method, route.path) for route in ROUTES.values()} == deployed
    assert {action for action, *_ in ANSWERS} == ROUTES.keys()
