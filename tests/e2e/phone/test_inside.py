"""The reviewer's buttons, the fault switches, alerts, and the dead-letter queue."""

import re

import httpx
from playwright.sync_api import expect

from local.phone.server import Phone
from local.phone.watchers import PATIENTS
from tests.e2e.phone.conftest import Opened, hold, put, px, query
from tests.product import PATIENCE_S, Product, eventually


def test_a_rejection_needs_its_reason_and_then_sends_fail(clinic: Product, opened: Opened, asha: str) -> None:
    page = opened(query(asha, tab="templates"))
    row = page.locator(".template", has_text="Mood checkin").filter(has_text="English")
    row.get_by_role("button").first.click()
    row.get_by_role("button", name="Reject …").click()
    dialog = page.get_by_role("dialog", name="Reject this template")
    reject = dialog.get_by_role("button", name="Reject", exact=True)
    expect(reject).to_be_disabled()
    dialog.get_by_label("Reason").fill("INVALID_FORMAT")
    reject.click()
    try:
        expect(dialog).to_have_count(0)  # our sync has seen it
        expect(row.locator(".tag.bad")).to_have_text("rejected")
        expect(row.locator(".reason")).to_have_text("INVALID_FORMAT")
        variables = {"patient_name": "Asha", "therapist_name": "Dr. Rao"}
        clinic.api("PUT", "/contacts", {"address": asha, "opted_in_at": "2026-11-20T10:00:00+05:30"})
        answer = clinic.send(to=asha, template="mood_checkin", variables=variables)
        assert answer["error"]["code"] == "template_not_approved"
        page.keyboard.press("n")
        page.locator("[name=template]").select_option("mood_checkin")
        page.locator("[name=to]").select_option(asha)
        page.locator(".compose").get_by_role("button", name="Send", exact=True).click()
        expect(page.locator(".result.bad")).to_contain_text("template_not_approved")
        page.keyboard.press("Escape")
    finally:
        row.get_by_role("button", name="Approve").click()
        expect(row.locator(".tag").last).to_have_text("approved")


def test_a_template_that_begins_with_a_variable_is_flagged(clinic: Product, opened: Opened) -> None:
    body = {"friendly_name": "bad_one", "language": "en", "variables": {"1": "Asha"},
            "types": {"twilio/text": {"body": "{{1}}, your session is soon"}}}  # fmt: skip
    auth = (clinic.stack.account_sid, clinic.stack.auth_token)
    answer = httpx.post(f"{clinic.stack.twilio_url}/content/v1/Content", json=body, auth=auth, trust_env=False)
    assert answer.status_code == 201
    page = opened("?tab=templates")
    row = page.locator(".template", has_text="Bad one")
    expect(row).to_contain_text("starts with a variable")
    expect(row).to_contain_text("unsubmitted")
    httpx.delete(f"{clinic.stack.twilio_url}/content/v1/Content/{answer.json()['sid']}", auth=auth, trust_env=False)
    expect(row).to_have_count(0)


def test_a_fault_shows_on_every_tab_and_one_button_ends_it(clinic: Product, opened: Opened, asha: str) -> None:
    page = opened(query(asha, tab="faults"))
    page.get_by_label("Whom").select_option(asha)
    page.get_by_role("button", name="Turn on: Twilio answers 503").click()
    for tab in ("Story", "Events", "Templates", "Queue", "Alerts", "Faults"):
        page.get_by_role("tab", name=tab).click()
        expect(page.locator(".banner.wait")).to_contain_text("Twilio misbehaves: answers 503")
    page.get_by_role("button", name="Turn all off").click()
    expect(page.locator(".banner.wait")).to_have_count(0)
    assert clinic.twilio("faults") == {"faults": []}


def test_a_given_up_send_alerts_and_can_be_redriven(clinic: Product, opened: Opened, asha: str) -> None:
    clinic.fault("error", asha, code=63010, times=3)
    answer = clinic.remind(asha)
    page = opened(query(asha, tab="queue"))
    expect(page.locator(".figures .bad dd")).to_have_text("1", timeout=1000 * PATIENCE_S)  # after three attempts
    expect(page.get_by_role("tab", name="Queue")).to_contain_text("1")
    expect(page.locator(".rows li", has_text="63010")).to_be_visible()
    page.get_by_role("tab", name="Alerts").click()
    alert = page.locator(".alert").first
    expect(alert).to_contain_text(answer["message_id"])
    expect(page).to_have_title(re.compile(r"^✕\d+ WhatsApp, local$"))
    assert asha not in alert.inner_text()
    alert.get_by_role("button", name="Its story", exact=True).click()
    expect(page.locator("#headline")).to_contain_text("failed with 63010")
    clinic.twilio("faults", method="DELETE")
    page.get_by_role("tab", name="Queue").click()
    page.get_by_role("button", name="Redrive").click()
    expect(page.get_by_label("What the redrive did")).to_contain_text("1 dead letter")
    expect(page.locator(".figures div", has_text="Dead letters").locator("dd")).to_have_text("0")
    eventually(lambda: len(clinic.ledger(asha)) == 1)
    expect(page.locator(".bubble.in")).to_be_visible()


def test_the_reviewer_changes_a_category(clinic: Product, opened: Opened) -> None:
    page = opened("?tab=templates")
    row = page.locator(".template", has_text="Follow up").filter(has_text="Hindi")
    row.get_by_role("button").first.click()
    category = row.get_by_label("Category")
    expect(category).to_have_value("UTILITY")
    for wanted in ("MARKETING", "UTILITY"):
        category.select_option(wanted)
        expect(row.locator(".template-row")).to_contain_text(wanted.lower())
        expect(row.locator(".tag").last).to_have_text("approved")


def test_alerts_that_somebody_saw_to_can_be_cleared(phone: Phone, opened: Opened) -> None:
    page = opened("?tab=alerts")
    put(phone, "alert", "seen-to", {"id": "seen-to", "at": 1, "subject": "Seen to", "text": "…", "message_id": None})
    expect(page.locator(".alert", has_text="Seen to")).to_be_visible()
    page.get_by_role("button", name="Clear all").click()
    expect(page.get_by_role("heading", name="No alerts")).to_be_visible()
    expect(page).to_have_title("WhatsApp, local")


def test_what_twilio_erases_stays_on_the_patients_phone(clinic: Product, opened: Opened, asha: str) -> None:
    sid = clinic.write(asha, "please forget this")["message_sid"]
    page = opened(query(asha))
    url = f"{clinic.stack.twilio_url}/api/2010-04-01/Accounts/{clinic.stack.account_sid}/Messages/{sid}.json"
    auth = (clinic.stack.account_sid, clinic.stack.auth_token)
    assert clinic.http.post(url, data={"Body": ""}, auth=auth).status_code == 200
    expect(page.locator(".step-title", has_text="Redacted at Twilio")).to_be_visible()
    assert clinic.http.delete(url, auth=auth).status_code == 204
    expect(page.locator(".step-title", has_text="Deleted at Twilio")).to_be_visible()
    expect(page.locator(".bubble.out")).to_contain_text("please forget this")


def test_a_reset_of_twilio_is_followed(clinic: Product, opened: Opened, asha: str) -> None:
    clinic.remind(asha)
    clinic.fault("http_503", asha)
    page = opened(query(asha))
    expect(page.locator(".rail .state-word")).to_have_text("Read")
    expect(page.locator(".banner.wait")).to_be_visible()
    clinic.twilio("reset", {})
    expect(page.locator(".banner.wait")).to_have_count(0)
    expect(page.locator(".chat-row")).to_have_count(0)
    expect(page.locator(".patient")).to_have_count(len(PATIENTS))
    clinic.write(asha, "still there?")
    expect(page.locator(".bubble.out")).to_contain_text("still there?")


def test_the_numbers_are_the_ledgers(clinic: Product, opened: Opened, asha: str) -> None:
    clinic.remind(asha)
    page = opened(query(asha))
    ours = [m for m in clinic.twilio("ledger")["messages"] if m["direction"] != "inbound"]
    tile = page.locator(".health > div")
    expect(tile.filter(has_text="Sent").locator("dd").first).to_have_text(str(len(ours)))
    expect(tile.filter(has_text="Violations").locator("dd").first).to_have_text("0")


def test_a_button_does_nothing_while_it_works(opened: Opened) -> None:
    page = opened("?tab=templates")
    held = hold(page, "**/api/run/sync")
    sync = page.get_by_role("button", name="Sync the catalog")
    sync.dblclick()
    expect(sync).to_be_disabled()
    for route in held:
        route.fulfill(json={"catalog": []})
    expect(sync).to_be_enabled()
    assert len(held) == 1


def test_the_numbers_are_drawn_on_narrow_pages_too(opened: Opened) -> None:
    for width in (1280, 390):
        page = opened(width=width)
        expect(page.locator(".spark polyline")).to_have_count(9)
        for box in px(page, ".spark polyline"):
            assert box["w"] > 20, width
