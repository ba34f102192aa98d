"""Nothing leaves the screen and nothing lies over a control: at three widths, in every state of the page."""

import re

import pytest
from playwright.sync_api import Page, expect

from local.phone import plumbing
from tests.e2e.phone.conftest import OUTSIDE, Opened, go_to, px, query
from tests.product import Product

WIDTHS = {1440: 900, 1024: 768, 390: 844}


@pytest.fixture(scope="module")
def talk(clinic: Product) -> str:
    """A patient of whom everything is known: a long name, a failure, a wait, a STOP."""
    number = "+919700000002"
    clinic.twilio("patients", {"address": number, "profile_name": "Venkatanarasimharajuvaripeta Subramaniam"})
    clinic.fault("status_failed", number, code=63016)
    clinic.when(clinic.remind(number)["message_id"], "failed", "undelivered")
    clinic.write(number, "A word that never ends: " + "anusandhaan" * 12)
    clinic.write(number, "", location={"latitude": 12.97, "longitude": 77.59, "label": "MG Road"})
    clinic.remind(number)
    clinic.write(number, "STOP")
    return number


def close(page: Page) -> None:
    """Close what lies on top."""
    page.keyboard.press("Escape")


@pytest.mark.parametrize("width", WIDTHS)
def test_every_state_stays_on_the_screen(clinic: Product, opened: Opened, talk: str, width: int) -> None:
    page = opened(query(talk), width=width, height=WIDTHS[width], reduced_motion="reduce")

    def check(state: str) -> None:
        page.evaluate("() => new Promise(requestAnimationFrame)")
        assert page.evaluate(OUTSIDE) == [], state

    expect(page.locator(".stopped")).to_be_visible()
    check("the phone")
    page.locator("#as-patient").fill("a long word " * 30)
    check("a long text")
    for button in ("Attach", "Switches of this phone", "New patient"):
        page.get_by_role("button", name=button, exact=True).click()
        check(button)
        close(page)
    page.get_by_role("button", name="Open its story").first.click()
    expect(page.locator(".steps")).to_be_visible()
    page.locator(".steps li > button").first.click()
    check("a step")
    for tab in ("story", "events", "templates", "queue", "alerts", "faults"):
        go_to(page, tab)
        check(tab)
    page.keyboard.press("?")
    check("keys")
    close(page)
    page.keyboard.press("n")
    check("the composer")
    for view in ("JSON", "Command", "Python"):
        page.get_by_role("group", name="View").get_by_role("button", name=view).click()
        check(view)
    page.get_by_role("group", name="View").get_by_role("button", name="Form").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".result.bad")).to_contain_text("opted_out")
    check("refused")


@pytest.mark.parametrize("width", WIDTHS)
def test_events_can_be_read_and_sending_is_offered_below_them(opened: Opened, talk: str, width: int) -> None:
    page = opened(query(talk), width=width, height=WIDTHS[width])
    go_to(page, "events")
    [panel], [offer] = px(page, "#panel"), px(page, ".compose-bar")
    assert offer["y"] >= panel["y"] + panel["h"] - 1
    title = page.locator(".event-title", has_text="Inbound webhook").first
    assert not title.evaluate("title => title.scrollWidth > title.clientWidth")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_composers_buttons_stay_when_a_send_waits_or_fails(
    clinic: Product, opened: Opened, asha: str, width: int
) -> None:
    page = opened(query(asha), width=width, height=WIDTHS[width])
    clinic.fault("error", asha, code=21617)
    page.keyboard.press("n")
    page.locator("[name=template]").select_option("session_reminder")
    for tone, status in (("bad", "failed"), ("ok", "sent"), ("wait", "deferred")):
        page.keyboard.press("Control+Enter")
        expect(page.locator(f".result.{tone}")).to_contain_text(status)
        expect(page.get_by_role("button", name="Send", exact=True)).to_be_in_viewport(ratio=1)
        expect(page.get_by_role("button", name="Close the composer")).to_be_in_viewport(ratio=1)
        assert page.evaluate(OUTSIDE) == [], status


@pytest.mark.parametrize("width", WIDTHS)
def test_the_last_bubble_is_whole_when_it_arrives_late(clinic: Product, opened: Opened, asha: str, width: int) -> None:
    page = opened(query(asha), width=width, height=WIDTHS[width])
    clinic.twilio("patients", {"address": asha, "phone_on": False})
    for n in range(6):
        clinic.write(asha, f"{n} " + "and so on " * 20)
    clinic.remind(asha)
    expect(page.locator(".not-there").last).to_be_in_viewport(ratio=1)
    clinic.twilio("patients", {"address": asha, "phone_on": True})
    expect(page.locator(".bubble.in .bubble-buttons")).to_be_in_viewport(ratio=1)
    gap = "e => e.scrollHeight - e.scrollTop - e.clientHeight"
    assert page.locator(".chat").evaluate(gap) < 1


@pytest.mark.parametrize("width", WIDTHS)
def test_broken_json_is_not_sent(clinic: Product, opened: Opened, asha: str, width: int) -> None:
    page = opened(query(asha), width=width, height=WIDTHS[width])
    page.keyboard.press("n")
    page.get_by_role("group", name="View").get_by_role("button", name="JSON").click()
    page.locator("textarea.code").fill('{"to": ')
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".notice")).to_contain_text("Nothing was sent")
    assert clinic.ledger(asha) == []
    page.get_by_role("group", name="View").get_by_role("button", name="Form").click()
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()


@pytest.mark.parametrize("width", WIDTHS)
def test_another_recipient_gets_their_own_name_and_language(
    clinic: Product, opened: Opened, asha: str, width: int
) -> None:
    ravi = "+919700000003"
    clinic.twilio("patients", {"address": ravi, "profile_name": "रवि शर्मा"})
    page = opened(query(asha), width=width, height=WIDTHS[width])
    page.keyboard.press("n")
    page.locator("[name=template]").select_option("session_reminder")
    page.get_by_label("Therapist name").fill("Dr. Krishnan")
    page.locator("[name=to]").select_option(ravi)
    expect(page.get_by_label("Patient name")).to_have_value("रवि")
    expect(page.locator("[name=language]")).to_have_value("hi")
    expect(page.get_by_label("Therapist name")).to_have_value("Dr. Krishnan")  # typed by hand: it stays
    page.locator("[name=language]").select_option("ta")
    page.locator("[name=to]").select_option(asha)
    expect(page.get_by_label("Patient name")).to_have_value("Asha")
    expect(page.locator("[name=language]")).to_have_value("ta")  # chosen by hand


@pytest.mark.parametrize("width", WIDTHS)
def test_a_stop_marks_the_patient_until_a_start(clinic: Product, opened: Opened, asha: str, width: int) -> None:
    page = opened(query(asha), width=width, height=WIDTHS[width])
    clinic.write(asha, "STOP")
    expect(page.locator(".stopped")).to_contain_text("opted out with STOP")
    expect(page.locator(".patient[aria-current] .stop")).to_be_visible()
    clinic.write(asha, "START")
    expect(page.locator(".stopped")).to_have_count(0)
    expect(page.locator(".patient[aria-current] .stop")).to_have_count(0)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_dead_stack_is_told_and_nothing_can_be_sent(
    clinic: Product, opened: Opened, asha: str, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    page = opened(query(asha), width=width, height=WIDTHS[width])

    async def listens(url: str) -> bool:
        return url != clinic.stack.aws_endpoint

    monkeypatch.setattr(plumbing, "listens", listens)
    expect(page.locator(".banner.bad")).to_contain_text("The embedded AWS has ended")
    expect(page.get_by_role("button", name="Send as the patient")).to_be_disabled()
    assert page.locator(".page").get_attribute("data-connection") == "dead"
    assert page.evaluate(OUTSIDE) == []
    monkeypatch.undo()
    expect(page.locator(".page")).to_have_attribute("data-connection", "live")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_language_has_one_name(opened: Opened, asha: str, width: int) -> None:
    page = opened(query(asha), width=width, height=WIDTHS[width])
    page.keyboard.press("n")
    names = set(page.locator("[name=language] option").all_inner_texts())
    close(page)
    go_to(page, "templates")
    told = page.locator(".template-row .dim").all_inner_texts()
    assert {re.split(" · ", each)[0] for each in told} == names


@pytest.mark.parametrize("width", WIDTHS)
def test_a_missing_font_is_told(opened: Opened, width: int) -> None:
    page = opened("", width=width, height=WIDTHS[width])
    page.add_init_script("CanvasRenderingContext2D.prototype.measureText = t => ({width: t.codePointAt(0) % 7})")
    page.reload()
    expect(page.locator(".page")).to_have_attribute("data-connection", "live")
    expect(page.get_by_text("No font for")).to_have_count(0)
    page.add_init_script("CanvasRenderingContext2D.prototype.measureText = () => ({width: 24})")  # each letter a box
    page.reload()
    expect(page.get_by_text("No font for Hindi, Tamil, Bengali")).to_be_visible()
    assert page.evaluate(OUTSIDE) == []
    page.get_by_role("button", name="Hide").click()
    page.reload()
    expect(page.locator(".page")).to_have_attribute("data-connection", "live")
    expect(page.get_by_text("No font for")).to_have_count(0)
