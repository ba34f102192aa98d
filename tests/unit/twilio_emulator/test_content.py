"""The Content API as Twilio's own SDK drives it, and WhatsApp's reviewer."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client
from twilio.rest.content.v1.content import ContentList

from tests.unit.twilio_emulator import shapes
from tests.unit.twilio_emulator.kit import Emulator

TEXT = {"twilio/text": {"body": "Dear {{1}}, your session is tomorrow."}}


def approval(client: Client, sid: str) -> dict[str, Any]:
    fetched: dict[str, Any] = client.content.v1.contents(sid).approval_fetch().fetch().whatsapp
    return fetched


def test_content_is_created_fetched_and_deleted(emulator: Emulator, client: Client) -> None:
    sid = emulator.content(client)
    created = emulator.call("GET", f"/content/v1/Content/{sid}").json()
    shapes.check(created, shapes.CONTENT)
    fetched = client.content.v1.contents(sid).fetch()
    assert (fetched.friendly_name, fetched.language, fetched.types) == ("session_reminder", "en", TEXT)
    assert client.content.v1.contents(sid).delete()
    with pytest.raises(TwilioRestException) as failure:
        client.content.v1.contents(sid).fetch()
    assert failure.value.code == 20404


@pytest.mark.parametrize(
    "fields",
    [
        {"language": None},
        {"language": ""},
        {"types": {}},
        {"types": {"twilio_text": {"body": "underscores are what the SDK's Python names suggest"}}},
        {"types": {"twilio/quick-reply": {"body": "no actions"}}},
        {"types": {"twilio/text": "no object"}},
        {"types": {"twilio/text": {"body": 5}}},
        {"types": {"twilio/quick-reply": {"body": "hi", "actions": "abc"}}},
        {"types": {"twilio/quick-reply": {"body": "hi", "actions": ["abc"]}}},
        {"types": {"twilio/media": {"media": "https://host.example/x.png"}}},
        {"types": {"twilio/media": {"media": [{}]}}},
        {"variables": {"1": 5}},
        {"variables": {"a_name_that_is_too_long": "x"}},
        {"variables": {str(number): "x" for number in range(101)}},
    ],
)
def test_unfit_content_is_refused(emulator: Emulator, fields: dict[str, object]) -> None:
    body = {"friendly_name": "x", "language": "en", "types": TEXT, **fields}
    answer = emulator.call("POST", "/content/v1/Content", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)
    assert emulator.control("state")["templates"] == []


def test_content_changes_until_it_is_submitted(emulator: Emulator, client: Client) -> None:
    sid = emulator.content(client)
    types = {"twilio/text": {"body": "Hello {{1}}, your session is tomorrow."}}
    changed = client.content.v1.contents(sid).update(
        ContentList.ContentUpdateRequest({"types": types, "language": "en", "friendly_name": "other"})
    )
    assert (changed.types, changed.friendly_name) == (types, "other")
    emulator.submit(client, sid)
    with pytest.raises(TwilioRestException) as failure:
        client.content.v1.contents(sid).update(ContentList.ContentUpdateRequest({"types": TEXT, "language": "en"}))
    assert failure.value.status == 400


def test_submission_is_received_then_pending_then_reviewed(emulator: Emulator, client: Client) -> None:
    sid = emulator.content(client)
    assert approval(client, sid)["status"] == "unsubmitted"
    answer = emulator.call(
        "POST",
        f"/content/v1/Content/{sid}/ApprovalRequests/whatsapp",
        json={"name": "session_reminder", "category": "UTILITY"},
    )
    assert answer.status_code == 201
    shapes.check(answer.json(), shapes.APPROVAL)
    assert answer.json()["status"] == "received"
    assert approval(client, sid)["status"] == "pending"
    emulator.control(f"templates/{sid}/review", {"status": "approved"})
    shapes.check(emulator.call("GET", f"/content/v1/Content/{sid}/ApprovalRequests").json(), shapes.APPROVAL_FETCHED)
    assert approval(client, sid)["status"] == "approved"


@pytest.mark.parametrize("status", ["paused", "disabled", "pending"])
def test_reviewer_changes_her_mind(emulator: Emulator, client: Client, status: str) -> None:
    sid = emulator.template(client)
    emulator.control(f"templates/{sid}/review", {"status": status})
    assert approval(client, sid)["status"] == status


@pytest.mark.parametrize(
    ("given", "stored"),
    [("TAG_CONTENT_MISMATCH", "TAG_CONTENT_MISMATCH"), ("", "INVALID_FORMAT. The reviewer gave no other reason")],
)
def test_rejection_always_has_a_reason(emulator: Emulator, client: Client, given: str, stored: str) -> None:
    sid = emulator.template(client)
    emulator.control(f"templates/{sid}/review", {"status": "rejected", "reason": given})
    verdict = approval(client, sid)
    assert (verdict["status"], verdict["rejection_reason"]) == ("rejected", stored)


def test_reviewer_changes_the_category(emulator: Emulator, client: Client) -> None:
    sid = emulator.template(client)
    emulator.control(f"templates/{sid}/review", {"status": "approved", "category": "MARKETING"})
    assert (approval(client, sid)["status"], approval(client, sid)["category"]) == ("approved", "MARKETING")


def test_auto_approval_spares_the_reviewer(emulator: Emulator, client: Client) -> None:
    emulator.control("configure", {"auto_approve": True})
    sid = emulator.content(client)
    emulator.submit(client, sid)
    assert approval(client, sid)["status"] == "approved"


@pytest.mark.parametrize(
    "request_body",
    [
        {"name": "Session Reminder", "category": "UTILITY"},
        {"name": "session-reminder", "category": "UTILITY"},
        {"name": "", "category": "UTILITY"},
        {"name": "x" * 513, "category": "UTILITY"},
        {"name": "session_reminder", "category": "TRANSACTIONAL"},
        {"name": "session_reminder"},
    ],
)
def test_submission_needs_a_fit_name_and_category(
    emulator: Emulator, client: Client, request_body: dict[str, str]
) -> None:
    sid = emulator.content(client)
    answer = emulator.call("POST", f"/content/v1/Content/{sid}/ApprovalRequests/whatsapp", json=request_body)
    assert answer.status_code == 400
    assert approval(client, sid)["status"] == "unsubmitted"


def test_content_is_submitted_once(emulator: Emulator, client: Client) -> None:
    sid = emulator.content(client)
    emulator.submit(client, sid)
    with pytest.raises(TwilioRestException) as failure:
        emulator.submit(client, sid)
    assert failure.value.status == 400


def test_location_cannot_be_submitted(emulator: Emulator, client: Client) -> None:
    sid = emulator.content(client, types={"twilio/location": {"latitude": 12.9, "longitude": 77.6}})
    with pytest.raises(TwilioRestException):
        emulator.submit(client, sid)


def quick_reply(*titles: str) -> dict[str, Any]:
    actions = [{"type": "QUICK_REPLY", "title": title, "id": title} for title in titles]
    return {"twilio/quick-reply": {"body": "Shall we see you tomorrow?", "actions": actions}}


@pytest.mark.parametrize(
    ("types", "variables", "reason"),
    [
        ({"twilio/text": {"body": "{{1}}, your session is tomorrow."}}, {"1": "Asha"}, "starts or ends"),
        ({"twilio/text": {"body": "Your session is with {{1}}!"}}, {"1": "Dr. Rao"}, "starts or ends"),
        ({"twilio/text": {"body": "आपका सत्र है {{1}}।"}}, {"1": "कल"}, "starts or ends"),
        (
            {"twilio/text": {"body": "See you {{1}} {{2}} at our clinic in town."}},
            {"1": "a", "2": "b"},
            "side by side",
        ),
        ({"twilio/text": {"body": "Dear {{1}}, at {{3}} we meet in the clinic."}}, {"1": "a", "3": "b"}, "no gaps"),
        ({"twilio/text": {"body": "Dear {{name}}, we meet in the clinic."}}, {"name": "a"}, "no gaps"),
        ({"twilio/text": {"body": "Dear {{1}}, we meet in the clinic."}}, {}, "no sample"),
        ({"twilio/text": {"body": "Dear {{1}} hello"}}, {"1": "Asha"}, "too few words"),
        ({"twilio/text": {"body": "x" * 1025}}, {}, "over 1024"),
        (quick_reply(*"abcdefghijk"), {}, "buttons"),
        (quick_reply("a title of more than twenty"), {}, "title"),
    ],
)
def test_reviewer_rejects_what_breaks_a_rule(
    emulator: Emulator, client: Client, types: dict[str, Any], variables: dict[str, str], reason: str
) -> None:
    emulator.control("configure", {"auto_approve": True})
    sid = emulator.content(client, types=types, variables=variables)
    emulator.submit(client, sid)
    verdict = approval(client, sid)
    assert verdict["status"] == "rejected"
    assert verdict["rejection_reason"].startswith("INVALID_FORMAT. ")
    assert reason in verdict["rejection_reason"]


def test_hindi_template_with_buttons_breaks_no_rule(emulator: Emulator, client: Client) -> None:
    emulator.control("configure", {"auto_approve": True})
    body = "नमस्ते {{1}}, आपका सत्र {{2}} बजे है। कृपया पुष्टि करें।"
    types = {"twilio/quick-reply": quick_reply("ठीक है", "बदलें")["twilio/quick-reply"] | {"body": body}}
    sid = emulator.content(client, language="hi", types=types, variables={"1": "आशा", "2": "5:30"})
    emulator.submit(client, sid)
    assert approval(client, sid)["status"] == "approved"


def test_lists_page_through_everything(emulator: Emulator, client: Client) -> None:
    sids = [emulator.content(client) for _ in range(5)]
    assert [content.sid for content in client.content.v1.contents.list(page_size=2)] == sids
    assert [content.sid for content in client.content.v1.content_and_approvals.list(page_size=2)] == sids
    assert [content.sid for content in client.content.v2.contents.list(page_size=2)] == sids
    page = emulator.call("GET", "/content/v1/Content", params={"PageSize": 2}).json()
    shapes.check(page, shapes.page_meta("contents", shapes.CONTENT))
    assert page["meta"]["next_page_url"].startswith("https://content.twilio.com/v1/Content?")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_approvals_come_flat_or_nested(emulator: Emulator, client: Client, version: str) -> None:
    emulator.template(client)
    path = f"/content/{version}/ContentAndApprovals"
    flat = emulator.call("GET", path).json()
    shapes.check(flat, shapes.page_meta("contents", shapes.CONTENT_AND_APPROVAL))
    assert flat["contents"][0]["approval_requests"]["status"] == "approved"
    emulator.control("configure", {"nested_approvals": True})
    nested = emulator.call("GET", path).json()
    shapes.check(nested, shapes.page_meta("contents", shapes.CONTENT_AND_NESTED_APPROVAL))
    assert nested["contents"][0]["approval_requests"]["whatsapp"]["status"] == "approved"


def test_second_version_searches(emulator: Emulator, client: Client) -> None:
    english = emulator.template(client, friendly_name="b_reminder")
    hindi = emulator.content(client, friendly_name="a_greeting", language="hi")
    search = client.content.v2.contents.list

    def found(**filters: Any) -> list[str]:
        return [content.sid for content in search(**filters)]

    assert found(content_name="^a_") == [hindi]
    assert found(content="session is") == [english, hindi]
    assert found(language=["hi"]) == [hindi]
    assert found(content_type=["twilio/media"]) == []
    assert found(channel_eligibility=["whatsapp:approved"]) == [english]
    assert found(sort_by_content_name="asc") == [hindi, english]
    assert found(sort_by_date="desc") == [hindi, english]
    hour_ago, in_an_hour = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 1))
    assert found(date_created_after=hour_ago, date_created_before=in_an_hour) == [english, hindi]
    assert found(date_created_after=in_an_hour) == []
    assert found(date_created_before=hour_ago) == []
    with_approvals = client.content.v2.content_and_approvals.list(channel_eligibility=["whatsapp:approved"])
    assert [(content.sid, content.approval_requests["status"]) for content in with_approvals] == [(english, "approved")]


@pytest.mark.parametrize("name", ["ContentName", "Content"])
def test_search_for_no_regular_expression_is_refused(emulator: Emulator, client: Client, name: str) -> None:
    emulator.content(client)
    answer = emulator.call("GET", "/content/v2/Content", params={name: "["})
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)
