"""A wording's whole life over HTTP: serve, edit, submit, reject, fix, approve, use.

The deployed functions have the catalog of today. Its past, an older wording and one that was rejected, is synced from
here, with catalogs of their own and the same adapters.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from whatsapp.adapters.alerts import SnsAlerts
from whatsapp.adapters.clock import DynamoClock
from whatsapp.adapters.dynamodb import DynamoDB
from whatsapp.adapters.event_bus import EventBridgeBus
from whatsapp.adapters.template_store import DynamoTemplateStore
from whatsapp.adapters.twilio_content import TwilioContent
from whatsapp.adapters.twilio_credentials import TwilioCredentials
from whatsapp.adapters.twilio_http import client
from whatsapp.domain.catalog import load_catalog
from whatsapp.domain.ports import Deadline
from whatsapp.domain.template import Wording
from whatsapp.use_cases.sync_templates import SyncResult, SyncTemplates

from local.stack import Stack
from tests.product import Product, eventually
from tests.simulation.template_world import Edition, Listeners

VARIABLES = {"patient_name": "Asha", "therapist_name": "Dr. Rao", "session_date": "2026-11-24"}
OLD = "Hello {{ patient_name }}, thank you for seeing {{ therapist_name }} on {{ session_date }}. Ask us anything."
BAD = OLD + " Come again soon and bring a friend!"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A stack of its own, to which no template was ever submitted."""
    with Stack(tmp_path_factory.mktemp("templates")) as stack:
        product = Product(stack)
        with product.http:
            yield product


def sync_as_of(body: str, product: Product) -> SyncResult:
    """A sync with the catalog as it was when the English follow-up had this body."""
    stack, today = product.stack, load_catalog().get("follow_up")
    then = replace(today, languages={**today.languages, "en": Wording(body, ())})
    dynamodb, twilio = stack.aws("dynamodb"), TwilioCredentials(stack.account_sid, stack.auth_token)
    clock = DynamoClock(dynamodb)
    sync = SyncTemplates(
        catalog=Edition([then]),
        templates=DynamoTemplateStore(DynamoDB(dynamodb, clock.sleep), stack.outputs["TemplatesTableName"]),
        content=TwilioContent(lambda: client(twilio, stack.twilio_url)),
        bus=EventBridgeBus(stack.aws("events"), stack.outputs["BusName"]),
        alerts=SnsAlerts(lambda: stack.aws("sns"), stack.outputs["AlertTopicArn"]),
        clock=clock,
        metrics=Listeners(),
    )
    return sync(Deadline(clock.now() + 60_000))


def review(product: Product, content_sid: str | None, status: str, reason: str = "") -> None:
    product.twilio(f"templates/{content_sid}/review", {"status": status, "reason": reason})


def english(product: Product) -> list[dict[str, Any]]:
    """`GET /templates`: the follow-up's English versions, oldest first."""
    found = product.api("GET", "/templates").json()["templates"]
    return [version for version in found if (version["template"], version["language"]) == ("follow_up", "en")]


def sent_to_somebody_new(product: Product) -> dict[str, Any]:
    """What Twilio accepts of a follow-up. The send function starts anew: it remembers for a minute what serves."""
    name = product.stack.outputs["SendFunctionName"]
    product.stack.aws("lambda").update_function_configuration(FunctionName=name, MemorySize=512)
    to = product.new_patient()
    answer = product.send(to=to, template="follow_up", variables=VARIABLES)
    assert answer["status"] == "sent", answer["error"]
    (message,) = product.ledger(to)
    return message


def test_a_wording_from_edit_to_use(product: Product) -> None:
    # Today's wording is not approved, and there is no other: the send is refused.
    refused = product.send(to=product.new_patient(), template="follow_up", variables=VARIABLES)
    assert refused["error"]["code"] == "template_not_approved"

    # Last year's wording serves.
    for version in sync_as_of(OLD, product).versions:
        review(product, version.content_sid, "approved")
    assert {version.status for version in sync_as_of(OLD, product).versions} == {"approved"}
    old = english(product)[0]
    assert sent_to_somebody_new(product)["content_sid"] == old["content_sid"]

    # An edit is submitted and rejected: whoever words the messages hears why, the old wording goes out.
    bad = next(version for version in sync_as_of(BAD, product).versions if version.language == "en")
    assert bad.status == "received"
    review(product, bad.content_sid, "rejected", "INCORRECT_CATEGORY. This invites to buy")
    sync_as_of(BAD, product)
    rejected = eventually(lambda: product.events(template="follow_up", status="rejected"))
    assert [event["detail"]["reason"] for event in rejected] == ["INCORRECT_CATEGORY. This invites to buy"]
    alert = eventually(lambda: [a["Message"] for a in product.topic.messages() if "rejected" in a["Message"]])
    assert "INCORRECT_CATEGORY. This invites to buy" in alert[0]
    assert f"an earlier wording goes out instead ({old['version']})" in alert[0]
    assert sent_to_somebody_new(product)["content_sid"] == old["content_sid"]

    # The fix is deployed. The plan shows it and changes nothing.
    plan = product.api("POST", "/templates/sync?dry_run=true").json()
    todo = {(step["template"], step["language"], step["do"]) for step in plan["steps"]}
    assert ("follow_up", "en", "create") in todo
    assert [version["version"] for version in english(product)] == [old["version"], bad.version]

    # It is submitted; the old wording goes out until it is approved.
    assert product.api("POST", "/templates/sync").json()["problems"] == []
    first, second, fixed = english(product)
    assert (first["serves"], second["status"], fixed["status"]) == (True, "rejected", "received")
    assert first["next"] == "It goes out until the present wording is approved."
    assert sent_to_somebody_new(product)["content_sid"] == old["content_sid"]

    # Approved and used.
    review(product, fixed["content_sid"], "approved")
    product.stack.invoke("TemplateSyncFunctionName", {"task": "sync"})
    first, _, fixed = english(product)
    assert (first["serves"], fixed["serves"], fixed["current"]) == (False, True, True)
    message = sent_to_somebody_new(product)
    assert message["content_sid"] == fixed["content_sid"]
    assert "Asha" in message["content_variables"]

    # Paused by WhatsApp: a send finds out before any sync, and the earlier wording takes over.
    review(product, fixed["content_sid"], "paused")
    assert sent_to_somebody_new(product)["content_sid"] == fixed["content_sid"]
    eventually(lambda: english(product)[2]["status"] == "paused")
    assert sent_to_somebody_new(product)["content_sid"] == old["content_sid"]
    product.stack.invoke("TemplateSyncFunctionName", {"task": "sync"})
    assert eventually(lambda: product.events(template="follow_up", status="paused"))
