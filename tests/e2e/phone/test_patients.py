"""The list of patients: what is unread, and that the phone stays in the hands of the patient it belongs to."""

from playwright.sync_api import Locator, Page, expect

from tests.e2e.phone.conftest import Opened, new_patient, query
from tests.product import Product


def row(page: Page, name: str) -> Locator:
    return page.locator(".patient", has_text=name)


def test_what_was_shown_is_read_and_stays_so(clinic: Product, opened: Opened) -> None:
    tara, kabir = new_patient(clinic, "Tara Nair"), new_patient(clinic, "Kabir Das")
    page = opened(query(tara))
    clinic.remind(tara)  # accepted, and only later delivered
    clinic.remind(kabir)
    expect(page.locator(".rail .state-word")).to_have_text("Read")
    expect(row(page, "Kabir Das").locator(".badge")).to_have_text("1 unread")
    row(page, "Kabir Das").click()
    expect(page.locator(".bubble.in")).to_be_visible()
    expect(row(page, "Tara Nair").locator(".badge")).to_have_count(0)
    row(page, "Tara Nair").click()
    expect(row(page, "Kabir Das").locator(".badge")).to_have_count(0)
    page.reload()
    expect(page.locator(".bubble.in")).to_be_visible()
    expect(row(page, "Kabir Das").locator(".badge")).to_have_count(0)
    question = clinic.write(kabir, "when?")["message_sid"]
    clinic.send(to=kabir, text="at five", in_reply_to=question)
    expect(row(page, "Kabir Das").locator(".badge")).to_have_text("1 unread")


def test_the_phone_is_not_taken_from_the_patient_who_writes(clinic: Product, opened: Opened) -> None:
    page = opened()  # no patient in the address
    heading, writing = page.locator(".phone h2").first, page.locator("#as-patient")
    owner = heading.inner_text()
    writing.fill("half a thou")
    kabir = new_patient(clinic, "Kabir Anand")
    clinic.remind(kabir)
    expect(row(page, "Kabir Anand").locator(".badge")).to_be_visible()
    expect(heading).to_have_text(owner)
    expect(writing).to_have_value("half a thou")
    page.reload()
    expect(heading).to_have_text(owner)
    writing.fill("half a thou")
    row(page, "Kabir Anand").click()
    expect(heading).to_have_text("Kabir Anand")
    expect(writing).to_have_value("")
