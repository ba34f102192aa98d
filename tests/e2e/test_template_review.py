"""A wording's whole life over HTTP: serve, edit, submit, reject, fix, approve, use.

The files are edited as people edit them, and the running functions get them as by a deployment.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from whatsapp.domain.templates.catalog import DIRECTORY, read_yaml

from commands import target, templates
from local.stack import Stack
from local.templates.reload import CatalogError, reload_catalog
from tests.product import Product, eventually

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


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A copy of our catalog, to be edited."""
    return Path(shutil.copytree(DIRECTORY, tmp_path / "catalog"))


def edit(catalog: Path, body: str) -> None:
    """Reword the English follow-up."""
    file = catalog / "follow_up.yaml"
    raw = read_yaml(file)
    raw["languages"]["en"]["body"] = body
    file.write_text(yaml.safe_dump(raw, allow_unicode=True, sort_keys=False), encoding="utf-8")


def deploy(product: Product, catalog: Path) -> bool:
    return reload_catalog(product.stack.aws("lambda"), product.stack.outputs, catalog)


def sync(product: Product) -> dict[str, Any]:
    answer: dict[str, Any] = product.stack.invoke("TemplateSyncFunctionName", {"task": "sync"})
    assert answer["problems"] == []
    return answer


def review(product: Product, content_sid: str | None, status: str, reason: str = "") -> None:
    product.twilio(f"templates/{content_sid}/review", {"status": status, "reason": reason})


def english(product: Product) -> list[dict[str, Any]]:
    """`GET /templates`: the follow-up's English versions, oldest first."""
    found = product.api("GET", "/templates").json()["templates"]
    return [version for version in found if (version["template"], version["language"]) == ("follow_up", "en")]


def sent_to_somebody_new(product: Product) -> dict[str, Any]:
    """What Twilio accepts of a follow-up."""
    to = product.new_patient()
    answer = product.send(to=to, template="follow_up", variables=VARIABLES)
    assert answer["status"] == "sent", answer["error"]
    (message,) = product.ledger(to)
    return message


def test_a_wording_from_edit_to_use(product: Product, catalog: Path) -> None:
    # No wording is approved: the send is refused.
    refused = product.send(to=product.new_patient(), template="follow_up", variables=VARIABLES)
    assert refused["error"]["code"] == "template_not_approved"

    # Last year's wording serves.
    edit(catalog, OLD)
    assert deploy(product, catalog)
    sync(product)
    (old,) = english(product)
    review(product, old["content_sid"], "approved")
    sync(product)
    assert sent_to_somebody_new(product)["content_sid"] == old["content_sid"]

    # An edit is submitted and rejected: whoever words the messages hears why, the old wording goes out.
    edit(catalog, BAD)
    assert deploy(product, catalog)
    sync(product)
    _, bad = english(product)
    assert bad["status"] == "received"
    review(product, bad["content_sid"], "rejected", "INCORRECT_CATEGORY. This invites to buy")
    sync(product)
    rejected = eventually(lambda: product.events(template="follow_up", status="rejected"))
    assert [event["detail"]["reason"] for event in rejected] == ["INCORRECT_CATEGORY. This invites to buy"]
    alert = eventually(lambda: [a["Message"] for a in product.topic.messages() if "rejected" in a["Message"]])
    assert "INCORRECT_CATEGORY. This invites to buy" in alert[0]
    assert f"an earlier wording goes out instead ({old['version']})" in alert[0]
    assert sent_to_somebody_new(product)["content_sid"] == old["content_sid"]

    # The fix is deployed: today's wording. The plan shows it and changes nothing.
    assert deploy(product, DIRECTORY)
    assert not deploy(product, DIRECTORY)
    plan = product.api("POST", "/templates/sync?dry_run=true").json()
    todo = {(step["template"], step["language"], step["do"]) for step in plan["steps"]}
    assert ("follow_up", "en", "create") in todo
    assert [version["version"] for version in english(product)] == [old["version"], bad["version"]]

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


def test_the_sync_of_people_brings_the_edited_files_along(
    product: Product, catalog: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(target, "running_stack", lambda _: product.stack.describe())
    edit(catalog, OLD.replace("Hello", "Good day"))
    with patch.dict(os.environ):
        templates.main(["plan", str(catalog)])
    told = capsys.readouterr().out
    assert "The stack's functions have the edited catalog now." in told
    assert "create    follow_up (en)" in told


def test_a_catalog_with_problems_is_not_brought(product: Product, catalog: Path) -> None:
    edit(catalog, "{{ patient_name }} and {{ therapist_name }} on {{ session_date }}")
    with pytest.raises(CatalogError, match="starts with a variable"):
        deploy(product, catalog)
