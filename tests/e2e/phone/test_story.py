"""The story of a message: its lanes, attempts, breaks and sentence; and that bubble, story and URL agree."""

import re
import time

import pytest
from playwright.sync_api import Page, expect

from local.phone.server import Phone
from tests.e2e.phone.conftest import Opened, milliseconds, new_patient, put_steps, px, query
from tests.product import Product


def bars(page: Page) -> dict[str, dict[str, float]]:
    """Every bar of the chart, by its step's last word."""
    names = page.locator(".bar").evaluate_all("all => all.map(e => e.dataset.step.split(':').slice(1).join(':'))")
    return dict(zip(names, px(page, ".bar"), strict=True))


def test_two_attempts_share_a_lane_and_the_failure_has_its_code(clinic: Product, opened: Opened, asha: str) -> None:
    clinic.fault("error", asha, code=63010)
    answer = clinic.remind(asha)
    assert answer["status"] == "retrying"
    clinic.when(answer["message_id"], "sent", "delivered", "read")
    page = opened(query(asha, message=answer["message_id"]))
    attempts = page.locator('.lane-track .bar[data-step*=":attempt:"]')
    expect(attempts).to_have_count(2)
    tops = {round(box["y"]) for box in px(page, '.lane-track .bar[data-step*=":attempt:"]')}
    assert len(tops) == 1
    failed = page.locator('.bar.bad[data-step*=":attempt:"]')
    expect(failed).to_have_count(1)
    expect(failed).to_have_accessible_name(re.compile("^Lambda, Attempt 1, .*✕ 63010$"))
    expect(failed.locator("svg")).to_be_visible()
    expect(page.get_by_role("heading", level=2, name="Session reminder to Asha")).to_contain_text("2 attempts")
    failed.click()
    expect(page.get_by_label("Request")).to_contain_text("session_reminder")
    expect(page.get_by_label("Answer")).to_contain_text("63010")
    struck = page.locator('.bar.bad[data-step^="fault:"]')
    expect(struck).to_have_count(1)
    struck.click()
    expect(page.get_by_label("Form")).to_contain_text(f"whatsapp:{asha}")
    expect(page.get_by_label("Answer")).to_contain_text("63010")


def test_a_click_shows_request_answer_and_log(clinic: Product, opened: Opened, asha: str) -> None:
    answer = clinic.remind(asha)
    page = opened(query(asha, message=answer["message_id"]))
    page.locator('.bar[data-lane="twilio"]').click()
    detail = page.locator(".detail")
    expect(detail.get_by_label("Request")).to_contain_text(asha)
    expect(detail.get_by_label("Answer")).to_contain_text(answer["twilio_sid"])
    page.keyboard.press("Escape")
    expect(detail).to_be_hidden()
    page.locator('.bar[data-step*=":attempt:"]').click()
    expect(detail.get_by_label("Log")).to_contain_text(answer["message_id"])
    expect(detail.get_by_label("Request")).to_contain_text("session_reminder")
    expect(detail.get_by_label("Answer")).to_contain_text(answer["twilio_sid"])
    page.locator('.bar[data-step$=":command"]').click()
    expect(detail.get_by_label("Request")).to_contain_text("session_reminder")
    page.locator('.bar[data-lane="phone"]').click()
    expect(detail).to_contain_text("Hello Asha")
    page.locator('.bar[data-step*=":callback:delivered:"]').click()
    expect(detail.get_by_label("Request")).to_contain_text("X-Twilio-Signature")
    expect(detail.get_by_label("Form")).to_contain_text('"MessageStatus": "delivered"')
    expect(detail.get_by_label("Answer")).to_contain_text("204")


def test_a_break_says_how_long_it_is_and_true_time_changes_no_length(phone: Phone, opened: Opened, asha: str) -> None:
    began = int(time.time() * 1000) - 4 * 3_600_000
    idle = 3 * 3_600_000 + 45 * 60_000
    put_steps(phone, "breaks", asha, [
        ("command", "command", began, began + 300),
        ("attempt:a", "lambda", began + 300, began + 900),
        ("read", "phone", began + 900 + idle, began + 900 + idle + 200),
    ])  # fmt: skip
    page = opened(query(asha, message="breaks"))
    label = page.locator(".break-label")
    expect(label).to_have_count(1)
    assert milliseconds(label.inner_text()) == idle
    (box,) = px(page, ".break-label")
    assert box["w"] >= 64
    assert label.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    before, lengths = bars(page), page.locator(".bar").evaluate_all("all => all.map(e => e.dataset.ms)")
    assert before["attempt:a"]["w"] > before["command"]["w"] > 10
    page.keyboard.press("q")
    expect(label).to_have_count(0)
    assert page.locator(".bar").evaluate_all("all => all.map(e => e.dataset.ms)") == lengths
    after = bars(page)
    assert after["read"]["x"] > after["attempt:a"]["x"] + 300  # nearly four hours lie between


def test_equal_lengths_are_drawn_equal_on_both_sides_of_a_break(phone: Phone, opened: Opened, asha: str) -> None:
    began = int(time.time() * 1000) - 600_000
    put_steps(phone, "equal", asha, [
        ("command", "command", began, began + 500),
        ("queue", "queue", began + 500, began + 60_500),
        ("attempt:a", "lambda", began + 60_500, began + 61_000),
    ])  # fmt: skip
    page = opened(query(asha, message="equal"))
    expect(page.locator(".break-label")).to_have_count(1)
    drawn = bars(page)
    assert drawn["command"]["w"] == pytest.approx(drawn["attempt:a"]["w"], abs=2)


def test_bubble_and_story_select_each_other_and_the_url_keeps_it(clinic: Product, opened: Opened, asha: str) -> None:
    first = clinic.remind(asha)
    clinic.write(asha, "a question")
    page = opened(query(asha))
    headline = page.locator("#headline")
    expect(headline).to_contain_text("Asha wrote")
    page.locator(".theirs .meta-open").click()
    expect(headline).to_contain_text("Session reminder to Asha")
    assert first["message_id"] in page.url
    page.reload()
    expect(headline).to_contain_text("Session reminder to Asha")
    expect(page.locator(".chat-row.chosen")).to_have_attribute("data-id", first["message_id"])
    page.get_by_role("tab", name="Events").click()
    page.locator(".event-row", has_text="Patient wrote").first.click()
    page.get_by_role("button", name="Its story", exact=True).click()
    expect(page.locator(".chat-row.chosen .bubble.out")).to_contain_text("a question")


def test_a_deferred_message_waits_in_the_story_and_on_the_rail(clinic: Product, opened: Opened, asha: str) -> None:
    clinic.remind(asha)
    answer = clinic.remind(asha)
    assert answer["status"] == "deferred"
    page = opened(query(asha, message=answer["message_id"]))
    expect(page.locator("#headline")).to_contain_text("deferred until")
    expect(page.locator('.bar.wait[data-lane="queue"]')).to_be_visible()
    expect(page.locator(".rail.wait .state-word")).to_have_text("Deferred")
    page.get_by_role("tab", name="Queue").click()
    expect(page.locator(".rows li", has_text="Session reminder").first).to_contain_text("deferred")


def test_an_inbound_story_ends_on_the_bus(clinic: Product, opened: Opened, asha: str) -> None:
    report = clinic.write(asha, "hello")
    page = opened(query(asha, message=report["message_sid"]))
    expect(page.locator("#headline")).to_contain_text("Asha wrote: on the event bus in")
    for lane in ("phone", "lambda", "bus"):
        expect(page.locator(f'.bar[data-lane="{lane}"]').first).to_be_visible()


def test_failure_codes_are_said_in_plain_words(clinic: Product, opened: Opened, asha: str) -> None:
    clinic.fault("status_failed", asha, code=63024)
    answer = clinic.remind(asha)
    page = opened(query(asha, message=answer["message_id"]))
    expect(page.locator(".rail .state-code")).to_have_text("63024")
    expect(page.locator(".plain-words").first).to_contain_text("63024")
    expect(page.locator("#headline")).to_contain_text("undelivered with 63024")
    fine = clinic.remind(new_patient(clinic, "Fine"))
    page = opened(query(asha, message=fine["message_id"]))
    expect(page.locator("#headline")).to_contain_text("to Fine")
    page.keyboard.press("e")  # to a failure: this one, or another test's
    expect(page.locator("#headline")).not_to_contain_text("to Fine")
    expect(page.locator(".bar.bad").first).to_be_visible()
