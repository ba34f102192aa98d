"""A wording's whole way, by the buttons of the page: edit, submit, reject, fix, approve, use."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from whatsapp.domain.templates.catalog import DIRECTORY

from local.phone.server import Phone, serving
from local.templates.reload import reload_catalog
from tests.e2e.phone.conftest import OUTSIDE, Opened
from tests.product import Product

WORDS = "thank you for coming to your session with"
VARIABLES = {"patient_name": "Asha", "therapist_name": "Dr. Rao", "session_date": "2026-11-24"}


@pytest.fixture
def catalog(tmp_path: Path, clinic: Product) -> Iterator[Path]:
    """A copy of our catalog, to be edited; the stack has its own again afterwards."""
    yield Path(shutil.copytree(DIRECTORY, tmp_path / "catalog"))
    reload_catalog(clinic.stack.aws("lambda"), clinic.stack.outputs)
    clinic.stack.invoke("TemplateSyncFunctionName", {"task": "sync"})


@pytest.fixture
def desk(catalog: Path, clinic: Product) -> Iterator[Phone]:
    """The page of somebody who words templates."""
    with serving(clinic.stack.describe(), schedules=False, catalog=catalog) as running:
        yield running


def reword(catalog: Path, words: str) -> None:
    file = catalog / "follow_up.yaml"
    text = (DIRECTORY / "follow_up.yaml").read_text(encoding="utf-8")
    assert WORDS in text
    file.write_text(text.replace(WORDS, words), encoding="utf-8")


def submit(page: Page) -> Locator:
    """Sync the catalog; the new copy's row, opened."""
    page.get_by_role("button", name="Sync the catalog").click()
    row = page.locator(".template", has_text="Follow up").filter(has_text="English").filter(has_text="pending")
    row.get_by_role("button").first.click()
    return page.locator(".template.open")


def sent_to_somebody_new(clinic: Product) -> str:
    to = clinic.new_patient()
    clinic.send(to=to, template="follow_up", variables=VARIABLES)
    (message,) = clinic.ledger(to)
    return str(message["content_sid"])


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_a_saved_file_is_drawn_anew_with_its_findings(desk: Phone, catalog: Path, opened: Opened, width: int) -> None:
    page = opened("?tab=templates", url=desk.url, width=width)
    page.get_by_role("button", name="Our files").click()
    ours = page.get_by_role("region", name="Follow up")
    expect(ours.locator(".bubble")).to_have_count(4)
    expect(ours.locator("figcaption")).to_have_text(["English", "Hindi", "Tamil", "Bengali"])
    expect(ours.locator(".tag")).to_have_text("no problems")
    reword(catalog, "we were glad to see you at your session with")
    expect(ours.locator(".bubble").first).to_contain_text("we were glad to see you at your session with Dr. Rao")
    reword(catalog, "thank you {{nobody}} for your session with")
    expect(ours.locator(".wording-problems")).to_contain_text("nobody")
    expect(ours.locator(".bubble").first).to_contain_text("{{nobody}}")
    assert page.evaluate(OUTSIDE) == []
    (catalog / "follow_up.yaml").write_text("name: [", encoding="utf-8")
    expect(ours.locator(".wording-problems")).to_contain_text("this is not YAML")
    expect(ours.locator(".bubble")).to_have_count(0)


def test_from_edit_to_use(clinic: Product, desk: Phone, catalog: Path, opened: Opened) -> None:
    page = opened("?tab=templates", url=desk.url)
    ours = page.locator(".template", has_text="Follow up").filter(has_text="English")
    expect(ours.filter(has_text="goes out")).to_have_count(1)
    before = sent_to_somebody_new(clinic)

    reword(catalog, "{{ patient_name }}{{ therapist_name }}")
    page.get_by_role("button", name="Sync the catalog").click()
    expect(page.locator(".notice")).to_contain_text("follow_up.yaml")  # the file, the line and the rule
    page.locator(".notice").get_by_role("button", name="Close").click()
    opened.errors.clear()  # type: ignore[attr-defined]  # Chromium's console names the 400

    reword(catalog, "thank you for joining, with a friend or two,")
    row = submit(page)
    expect(row.locator(".bubble")).to_contain_text("with a friend or two")
    row.get_by_role("button", name="Reject …").click()
    page.get_by_role("dialog").get_by_label("Reason").fill("INCORRECT_CATEGORY")
    page.get_by_role("dialog").get_by_role("button", name="Reject", exact=True).click()
    expect(row.locator(".reason")).to_have_text("INCORRECT_CATEGORY")
    assert sent_to_somebody_new(clinic) == before

    row.get_by_role("button").first.click()
    reword(catalog, "thank you for joining your session with")
    row = submit(page)
    row.get_by_role("button", name="Approve").click()
    expect(row.locator(".tag", has_text="goes out")).to_be_visible()
    expect(ours.filter(has_text="goes out")).to_have_count(1)
    expect(row.locator(".bubble")).to_contain_text("joining your session")
    expect(row.locator(".sid")).to_contain_text(sent_to_somebody_new(clinic))
