"""The page's one stream: none while hidden, never two, and what was missed is told when it comes back."""

from playwright.sync_api import Page, expect

from local.phone.hub import RING
from local.phone.server import Phone
from tests.e2e.phone.conftest import Opened, flood, hold
from tests.product import eventually

HIDE = """hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
    document.dispatchEvent(new Event('visibilitychange')); }"""


def asked(page: Page, path: str) -> list[str]:
    """Fills with the page's requests to a path, from now on."""
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url) if f"/api/{path}" in request.url else None)
    return urls


def test_a_page_that_comes_back_is_told_what_it_missed(phone: Phone, opened: Opened) -> None:
    page = opened("?tab=events")
    states = asked(page, "state")
    flood(phone, 1, "seen")
    newest = page.locator(".event-title").first
    expect(newest).to_have_text("seen 0")
    page.evaluate(HIDE, True)
    flood(phone, 3, "missed")
    assert newest.inner_text() == "seen 0"
    page.evaluate(HIDE, False)
    expect(page.locator(".event-title").first).to_have_text("missed 2")
    assert states == []


def test_a_page_that_was_away_too_long_reads_all_anew(phone: Phone, opened: Opened) -> None:
    page = opened("?tab=events")
    page.evaluate(HIDE, True)
    flood(phone, RING + 10, "gap")
    page.evaluate(HIDE, False)
    expect(page.locator(".event-title").first).to_have_text(f"gap {RING + 9}")


def test_a_page_opened_in_the_background_takes_no_connection(phone: Phone, opened: Opened) -> None:
    page = opened("?tab=events")
    page.add_init_script("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    streams = asked(page, "stream")
    page.reload()
    page.wait_for_load_state("networkidle")
    assert streams == []
    page.evaluate(HIDE, False)
    # Without its stream, the page may show the step from the state that it reads first.
    expect(page.locator(".page")).to_have_attribute("data-connection", "live")
    flood(phone, 1, "seen")
    expect(page.locator(".event-title").first).to_have_text("seen 0")
    assert len(streams) == 1


def test_hidden_and_shown_while_it_loads_it_has_one_stream(phone: Phone, opened: Opened) -> None:
    page = opened("?tab=events")
    streams = asked(page, "stream")
    held = hold(page, "**/api/state")
    page.reload()
    for hidden in (True, False):
        eventually(lambda: page.evaluate("1") and held)
        page.evaluate(HIDE, hidden)
    eventually(lambda: page.evaluate("1") and len(held) == 2)
    for route in held:
        route.continue_()
    page.wait_for_load_state("networkidle")
    flood(phone, 1, "once")
    expect(page.locator(".event-title").first).to_have_text("once 0")
    assert len(streams) == 1
