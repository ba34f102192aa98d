"""The page for everybody: by keyboard, for screen readers, on a phone, in the dark, without motion."""

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from local.phone.server import Phone
from local.phone.watchers import PATIENTS
from tests.e2e.phone.conftest import TABS, Opened, go_to, put_steps, px, query
from tests.product import Product

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
RULES = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
IMAGES = Path(__file__).parents[3] / "docs" / "images"
SMALL = """all => all.map(e => [e, e.getBoundingClientRect()])
    .filter(([e, r]) => r.width && (r.height < 43.5 || r.width < 24) && !e.matches('.bar, .meta-open, [type=checkbox]'))
    .map(([e, r]) => `${e.className} ${e.textContent.trim().slice(0, 30)} ${r.width}×${r.height}`)"""
"""Targets below 44 px of height, or 24 of width. A bar has its row below it, and a time its whole bubble."""


@pytest.fixture(scope="module")
def talk(clinic: Product) -> str:
    """A patient with a conversation that has a bit of everything."""
    number = "+919700000001"
    clinic.twilio("patients", {"address": number, "profile_name": "Ananya Iyer"})
    clinic.remind(number)
    clinic.write(number, "I'll be there", button={"text": "I'll be there"})
    clinic.write(number, "", location={"latitude": 12.97, "longitude": 77.59, "label": "MG Road"})
    clinic.remind(number)
    return number


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong, as `rule: element`."""
    if page.evaluate("!window.axe"):
        page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("rules => axe.run(document, rules)", RULES)
    return [
        f"{v['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for v in found["violations"]
        for node in v["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(opened: Opened, talk: str, scheme: str, width: int) -> None:
    page = opened(query(talk), width=width, color_scheme=scheme, reduced_motion="reduce")
    expect(page.locator(".bubble").first).to_be_visible()
    assert violations(page) == []
    for tab in TABS:
        go_to(page, tab)
        assert violations(page) == [], tab
    page.keyboard.press("n")
    expect(page.get_by_role("form", name="Send as the orchestrator")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_what_opens(clinic: Product, phone: Phone, opened: Opened, asha: str, scheme: str) -> None:
    message = clinic.remind(asha)["message_id"]
    clinic.fault("http_503", asha)
    page = opened(query(asha, message=message), color_scheme=scheme, reduced_motion="reduce")
    page.locator(".steps li > button", has_text="Accepted by Twilio").click()
    expect(page.locator(".banner.wait")).to_be_visible()
    assert violations(page) == [], "fault banner, detail"
    for button in ("New patient", "Switches of this phone"):
        page.get_by_role("button", name=button).click()
        expect(page.locator("dialog")).to_be_visible()
        assert violations(page) == [], button
        page.keyboard.press("Escape")
    page.get_by_role("tab", name="Templates").click()
    page.locator(".template-row").first.click()
    page.get_by_role("button", name="Reject …").click()
    assert violations(page) == [], "reject"
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    for view in ("JSON", "Command"):
        page.get_by_role("group", name="View").get_by_role("button", name=view).click()
        assert violations(page) == [], view
    page.get_by_role("button", name="Turn all off").click()
    page.route("**/api/stream*", lambda route: route.abort())
    page.reload()
    expect(page.locator(".banner.bad")).to_be_visible()
    assert violations(page) == [], "lost"
    opened.errors.clear()  # type: ignore[attr-defined]  # the browser reports the stream that it did not get


def test_everything_by_keyboard(clinic: Product, opened: Opened, asha: str) -> None:
    page = opened(query(asha))
    seen = []
    for _ in range(5):  # F6 goes from region to region
        page.keyboard.press("F6")
        seen.append(page.evaluate("document.activeElement.closest('[data-region]').getAttribute('aria-label')"))
    assert {"Health", "Patients", "Phone", "Inside"} <= set(seen)
    page.keyboard.press("n")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".result.ok")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator(".inside").focus()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator(".detail")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".detail")).to_be_hidden()
    page.keyboard.press("r")
    page.keyboard.type("see you n j /")  # keys are text while one types
    page.keyboard.press("Enter")
    expect(page.locator(".bubble.out")).to_contain_text("see you n j /")
    page.locator("#as-patient").blur()
    page.keyboard.press("y")
    expect(page.locator(".notice")).to_contain_text("The link copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    page.get_by_label("true time").check()
    page.keyboard.press("c")  # a ticked box is no text
    expect(page.locator(".notice")).to_contain_text("The command copied")
    assert "lambda invoke" in page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("tab", name="Story").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Events")).to_be_focused()
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Paused")).to_be_visible()
    page.keyboard.press("p")
    page.keyboard.press("ArrowRight")
    page.locator(".inside").focus()
    page.keyboard.press("j")  # the first template
    page.keyboard.press("Enter")
    expect(page.get_by_role("group", name="The reviewer's verdict")).to_be_visible()
    page.get_by_role("tab", name="Templates").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Faults")).to_be_focused()
    page.get_by_role("button", name="Turn on: Twilio answers 429").press("Enter")
    page.get_by_role("button", name="Turn all off").press("Enter")
    expect(page.locator(".banner.wait")).to_have_count(0)
    page.keyboard.press("?")
    page.get_by_role("switch", name="Single keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#filter")).to_have_count(0)


@pytest.mark.parametrize(("key", "holder"), [("n", "Send as the orchestrator"), ("/", "Filter events")])
def test_what_a_key_opens_has_the_keyboard_before_the_next_key(
    opened: Opened, asha: str, key: str, holder: str
) -> None:
    page = opened(query(asha))
    page.keyboard.press("F6")  # the page has drawn itself and takes keys
    focused = page.evaluate("""async (key) => {
        const {port1, port2} = new MessageChannel();
        const turn = new Promise(resolve => port1.onmessage = resolve);
        document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
        port2.postMessage(0);
        await turn;  // one task later, and no frame painted yet
        return document.activeElement.closest("[aria-label]").getAttribute("aria-label");
    }""", key)  # fmt: skip
    assert focused == holder


def test_escape_closes_one_thing_and_gives_the_focus_back(clinic: Product, opened: Opened, asha: str) -> None:
    message = clinic.remind(asha)["message_id"]
    page = opened(query(asha, message=message))
    page.locator(".steps li > button").first.click()
    expect(page.locator(".detail")).to_be_visible()
    page.keyboard.press("n")
    compose = page.get_by_role("form", name="Send as the orchestrator")
    compose.get_by_role("button", name="Send", exact=True).focus()
    page.keyboard.press("Escape")
    expect(compose).to_have_count(0)
    expect(page.locator(".steps li > button").first).to_be_focused()
    page.get_by_role("button", name="Send as the orchestrator").press("Enter")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Send as the orchestrator")).to_be_focused()
    attach, menu = page.get_by_role("button", name="Attach"), page.locator(".attach-menu")
    for keys in (["Enter"], ["Enter", "Tab", "Tab", "Tab"]):  # from the button, and from inside
        attach.focus()
        for key in keys:
            page.keyboard.press(key)
        expect(menu).to_be_visible()
        page.keyboard.press("Escape")
        expect(menu).to_have_count(0)
        expect(attach).to_be_focused()
    expect(page.locator(".detail")).to_be_visible()  # nothing behind them closed, nothing was deselected
    assert message in page.url


def fits(page: Page) -> None:
    """Nothing is wider than the screen, and all that one taps is at least 44 px high and 24 px wide."""
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("button:visible, select:visible, input:visible").evaluate_all(SMALL) == []


def test_on_a_phone_nothing_overflows_and_targets_are_large(phone: Phone, opened: Opened, talk: str) -> None:
    began = 1_790_188_140_000
    steps = [("command", "command", began, began + 300), ("read", "phone", began + 9_000_000, began + 9_000_200)]
    put_steps(phone, "narrow", talk, steps)
    page = opened(query(talk), width=390, height=844, has_touch=True)
    places = page.get_by_role("navigation", name="Places")
    for place in ("Phone", "Story", "Events", "More"):
        places.get_by_role("button", name=place).click()
        fits(page)
    for tab in TABS[2:]:
        page.get_by_role("tab", name=tab.title()).click()
        fits(page)
    page.keyboard.press("n")
    for view in ("Form", "JSON", "Command"):
        page.get_by_role("group", name="View").get_by_role("button", name=view).click()
        fits(page)
    page.keyboard.press("Escape")
    places.get_by_role("button", name="Phone").click()
    for button in ("Keys", "New patient", "Switches of this phone"):
        page.get_by_role("button", name=button).click()
        expect(page.locator("dialog")).to_be_visible()
        fits(page)
        page.keyboard.press("Escape")
    page.locator(".rail.state").first.click()
    expect(page.locator("#headline")).to_be_visible()
    page.goto(phone.url + query(talk, message="narrow", tab="story"))
    expect(page.locator(".break-label")).to_have_count(1)
    assert page.locator(".break-label").evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    assert all(box["x"] + box["w"] <= 390 for box in px(page, ".bar, .break-label"))


def test_a_narrow_page_opens_again_where_it_was(opened: Opened, talk: str) -> None:
    page = opened(query(talk), width=390)
    places = page.get_by_role("navigation", name="Places")
    for place in ("Events", "Phone", "Story"):
        places.get_by_role("button", name=place).click()
        page.reload()
        expect(places.get_by_role("button", name=place)).to_have_attribute("aria-current", "page")
    places.get_by_role("button", name="Phone").click()
    page.keyboard.press("n")  # what a key opens can be seen
    expect(page.get_by_role("form", name="Send as the orchestrator")).to_be_visible()
    page.keyboard.press("Escape")
    places.get_by_role("button", name="Phone").click()
    page.keyboard.press("/")
    expect(page.locator("#filter")).to_be_focused()


def test_no_motion_for_those_who_want_none(opened: Opened, talk: str) -> None:
    page = opened(query(talk), reduced_motion="reduce")
    moving = page.evaluate("document.getAnimations().filter(a => a.playState === 'running').length")
    assert moving == 0


def test_the_theme_is_kept(opened: Opened, talk: str) -> None:
    page = opened(query(talk), color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Theme: auto").click()
    page.get_by_role("button", name="Theme: light").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


@pytest.mark.skipif("SCREENSHOTS" not in os.environ, reason="SCREENSHOTS=1 writes docs/images anew")
def test_screenshots(clinic: Product, opened: Opened) -> None:
    asha = next(iter(PATIENTS))
    clinic.fault("error", asha, code=63010)
    first = clinic.remind(asha)["message_id"]
    clinic.when(first, "read")
    reply = clinic.write(asha, "I'll be there", button={"text": "I'll be there"})["message_sid"]
    answer = "Thank you, your appointment is confirmed. We look forward to seeing you."
    clinic.send(to=asha, text=answer, in_reply_to=reply)
    clinic.write(asha, "Shall I bring my last report? *Thank you!*")
    clinic.remind(asha)
    pictures = {
        "phone": (1440, 900, "light", {"message": first, "tab": "story"}),
        "phone-dark": (1440, 900, "dark", {"message": first, "tab": "story"}),
        "phone-events": (1440, 900, "light", {"tab": "events"}),
        "phone-390": (390, 844, "light", {}),
    }
    IMAGES.mkdir(exist_ok=True)
    for name, (width, height, scheme, more) in pictures.items():
        page = opened(query(asha, **more), width=width, height=height, color_scheme=scheme, reduced_motion="reduce")
        page.wait_for_timeout(1500)
        page.screenshot(path=IMAGES / f"{name}.png")
