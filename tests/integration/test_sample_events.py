"""Every file in events/ is run against the embedded stack, and its answer looked at."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from whatsapp.adapters.twilio.form import read_form

from local.artifacts import ROOT
from local.sample_events import prepare
from tests.product import Product, eventually

EVENTS = ROOT / "events"
FUNCTIONS = {"send": "SendFunctionName", "webhook": "WebhookFunctionName", "template_sync": "TemplateSyncFunctionName"}
TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'

TEMPLATES = ("appointment_confirmation", "session_reminder", "follow_up", "mood_checkin")
STATUSES = ("status_delivered", "status_failed")
OTHERS = {
    "send/text_reply",
    "send/http_post_messages",
    "send/http_get_message",
    "send/http_put_contacts",
    "send/action_get_message",
    "send/action_lookup_contact",
    "send/sqs_batch",
    "send/sweep",
    "send/measure",
    "send/http_get_metrics",
    "webhook/publish",
    "template_sync/plan",
    "template_sync/sync",
    "template_sync/http_post_sync",
    "template_sync/http_get_templates",
}
REFUSED = {
    "unknown_template": ("unknown_template", "appointment_confirmation"),
    "missing_variables": ("invalid_variables", "session_time"),
    "malformed_number": ("invalid_address", "10 digits"),
    "unknown_field": ("invalid_request", "when: unknown field"),
}
KINDS = {
    "text": "text",
    "reply": "text",
    "stop": "text",
    "button_tap": "button",
    "list_choice": "choice",
    "flow": "flow",
    "reaction": "reaction",
    "advertisement": "text",
    "image": "image",
    "voice_note": "audio",
    "location": "location",
    "contact_card": "contacts",
}


def run(product: Product, sample: str) -> Any:
    event = json.loads((EVENTS / f"{sample}.json").read_text())
    return product.stack.invoke(FUNCTIONS[sample.partition("/")[0]], prepare(event, product.stack.describe()))


def form_of(sample: str) -> dict[str, str]:
    return read_form(json.loads((EVENTS / f"{sample}.json").read_text()))


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_template_goes_out_once(product: Product, name: str) -> None:
    sample = json.loads((EVENTS / f"send/{name}.json").read_text())
    assert run(product, "send/http_put_contacts")["statusCode"] == 200  # the mood check-in needs it
    first, second = run(product, f"send/{name}"), run(product, f"send/{name}")
    assert first["status"] == "sent", first
    assert second["duplicate"]
    assert second["message_id"] == first["message_id"]
    to = "+91" + sample["to"].replace(" ", "").removeprefix("+91")
    (accepted,) = product.ledger(to)
    assert accepted["content_sid"]
    assert "Rao" in accepted["content_variables"] or "राव" in accepted["content_variables"]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_each_bad_request_is_refused_clearly(product: Product, name: str) -> None:
    code, says = REFUSED[name]
    answer = run(product, f"send/{name}")
    assert (answer["status"], answer["message_id"], answer["error"]["code"]) == ("refused", None, code)
    assert says in answer["error"]["detail"]


def test_text_reply_answers_the_text(product: Product) -> None:
    run(product, "webhook/text")
    product.twilio("window", {"address": "+919812345611", "open": True})
    answer = run(product, "send/text_reply")
    assert answer["status"] == "sent"
    (accepted,) = product.ledger("+919812345611")
    assert accepted["body"].startswith("Thank you")


def test_http_post_and_get(product: Product) -> None:
    run(product, "send/appointment_confirmation")
    posted = run(product, "send/http_post_messages")
    assert posted["statusCode"] == 200
    assert json.loads(posted["body"])["status"] in ("sent", "delivered", "read")
    got = run(product, "send/http_get_message")
    assert got["statusCode"] == 200
    assert json.loads(got["body"])["status"] in ("sent", "delivered", "read")


def test_actions_by_direct_invoke(product: Product) -> None:
    sent = run(product, "send/appointment_confirmation")
    assert run(product, "send/action_get_message")["message_id"] == sent["message_id"]
    reminded = run(product, "send/session_reminder")
    assert run(product, "send/action_lookup_contact") == {"contact_id": reminded["contact_id"], "known": True}


def test_batch_is_worked_whole(product: Product) -> None:
    """One request, one nudge, and one that can never be sent: nothing comes back, and the caller hears of the last."""
    assert run(product, "send/sqs_batch") == {"batchItemFailures": []}
    assert len(product.ledger("+919812345609")) == 1
    assert product.ledger("+919812345610") == []
    refused = eventually(lambda: product.events(template="birthday_greeting", status="failed"))
    assert refused[0]["detail"]["error"]["code"] == "unknown_template"


def test_schedules(product: Product) -> None:
    assert {"acted", "stale", "erased"} <= set(run(product, "send/sweep"))
    assert {"published", "finished"} <= set(run(product, "webhook/publish"))
    assert run(product, "send/measure").keys() == {"DeliveryPercent", "ReplyPercent"}


def test_metrics_of_a_day(product: Product) -> None:
    now = datetime.now(UTC)
    event = json.loads((EVENTS / "send/http_get_metrics.json").read_text())
    span = {"from": (now - timedelta(days=1)).isoformat(), "to": (now + timedelta(minutes=1)).isoformat()}
    answer = product.stack.invoke("SendFunctionName", event | {"queryStringParameters": span})
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["sent"] > 0


@pytest.mark.parametrize("name", sorted(KINDS))
def test_each_kind_of_inbound_message_reaches_the_bus(product: Product, name: str) -> None:
    answer = run(product, f"webhook/{name}")
    assert (answer["statusCode"], answer["body"]) == (200, TWIML)
    form = form_of(f"webhook/{name}")
    sid = form["MessageSid"]
    event = eventually(lambda: product.events(event_id=sid))[0]
    assert event["detail-type"] == "message.received"
    assert (event["detail"]["kind"], event["detail"]["text"]) == (KINDS[name], form["Body"])
    assert event["detail"]["address"] == form["From"].removeprefix("whatsapp:")


TOLD: dict[str, tuple[str, Any]] = {
    "list_choice": ("choice", {"id": "agent:scheduling:slot-2", "title": "Friday 16:30"}),
    "flow": ("flow", json.loads(form_of("webhook/flow")["FlowData"])),
    "reaction": ("reaction", {"emoji": "👍"}),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_the_patient_answered_is_on_the_bus_and_in_the_conversation(product: Product, name: str) -> None:
    run(product, f"webhook/{name}")
    (event,) = eventually(lambda: product.events(event_id=form_of(f"webhook/{name}")["MessageSid"]))
    attribute, value = TOLD[name]
    assert event["detail"][attribute] == value
    path = f"/contacts/{event['detail']['contact_id']}/conversation"
    (shown,) = product.api("GET", path).json()["messages"]
    assert shown[attribute] == value


def test_stop_is_obeyed(product: Product) -> None:
    run(product, "webhook/stop")
    (event,) = eventually(lambda: product.events(event_id=form_of("webhook/stop")["MessageSid"] + "#opted_out"))
    assert event["detail-type"] == "contact.opted_out"
    answer = product.remind("+919812345618")
    assert (answer["status"], answer["error"]["code"]) == ("refused", "opted_out")


@pytest.mark.parametrize("name", STATUSES)
def test_status_of_an_attempt_nobody_made_changes_nothing(product: Product, name: str) -> None:
    message_id = run(product, "send/appointment_confirmation")["message_id"]
    before = product.when(message_id, "read")
    answer = run(product, f"webhook/{name}")
    assert answer["statusCode"] == 204
    assert product.record(message_id) == before


def test_template_routes(product: Product) -> None:
    plan = run(product, "template_sync/plan")
    assert (plan["dry_run"], {step["do"] for step in plan["steps"]}) == (True, {"keep"})
    synced = run(product, "template_sync/sync")
    assert synced["problems"] == []
    posted = run(product, "template_sync/http_post_sync")
    shown = run(product, "template_sync/http_get_templates")
    assert json.loads(posted["body"])["problems"] == []
    templates = json.loads(shown["body"])["templates"]
    assert {t["template"] for t in templates} >= {"appointment_confirmation", "mood_checkin"}
    assert {t["status"] for t in templates if t["language"] == "en"} == {"approved"}


def test_no_sample_is_left_out() -> None:
    found = {str(path.relative_to(EVENTS).with_suffix("")) for path in EVENTS.glob("*/*.json")}
    send = {f"send/{name}" for name in (*TEMPLATES, *REFUSED)}
    webhook = {f"webhook/{name}" for name in (*KINDS, *STATUSES)}
    assert {name for name in found if not name.startswith("schemas/")} == send | webhook | OTHERS
