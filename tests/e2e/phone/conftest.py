"""One stack, one page server and one browser for all tests of the page; each test writes to patients of its own."""

import itertools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from local.phone.server import Phone, serving
from local.phone.world import now_ms
from local.stack import Stack
from tests.product import Product

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WIDE = {"width": 1280, "height": 860}
TABS = ("story", "events", "templates", "queue", "alerts", "faults")
OUTSIDE = (Path(__file__).parent / "outside.js").read_text()
"""Evaluates to what the page shows beyond the screen or a box that hides it, and what lies over a control."""
PATIENCE_MS = 20_000
"""How long the page may take to show what the stack does: the machine may be busy with other tests."""

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="package")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A stack of these tests' own: they turn faults on and reject templates."""
    with Stack(tmp_path_factory.mktemp("phone"), {"RateLimitSeconds": "60"}) as stack:
        stack.sync_templates()
        product = Product(stack)
        with product.http:
            yield product


@pytest.fixture(scope="package")
def phone(clinic: Product) -> Iterator[Phone]:
    """The page's server."""
    with serving(clinic.stack.describe()) as running:
        yield running


@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Debian's Chromium. Without it these tests fail in CI, and are skipped elsewhere."""
    if not CHROMIUM.exists():
        message = f"no browser at {CHROMIUM}: apt-get install chromium, or say CHROMIUM=/path/to/it"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        # Chromium leaves a folder of its sound system's in TMPDIR: one that pytest clears away.
        environment: dict[str, str | float | bool] = {**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("chromium"))}
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, env=environment)
        yield launched
        launched.close()


Opened = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, phone: Phone) -> Iterator[Opened]:
    """Opens the page: `opened("?tab=events", width=390, color_scheme="dark")`. Console errors fail the test."""
    contexts, errors = [], []

    def open_page(query: str = "", *, width: int = 1280, height: int = 860, url: str = "", **options: Any) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, permissions=["clipboard-read", "clipboard-write"], **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((url or phone.url) + query)
        expect(page.locator(".page")).to_have_attribute("data-connection", "live")
        return page

    open_page.errors = errors  # type: ignore[attr-defined]  # for the test that kills the server
    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


_numbers = itertools.count(20_000_001)


@pytest.fixture
def asha(clinic: Product) -> str:
    """The number of a patient nobody wrote to yet, called Asha."""
    return new_patient(clinic, "Asha Menon")


def new_patient(clinic: Product, name: str) -> str:
    """A patient nobody wrote to yet."""
    number = f"+9197{next(_numbers)}"
    clinic.twilio("patients", {"address": number, "profile_name": name})
    return number


def query(patient: str, **more: str) -> str:
    """The page's URL for one patient."""
    parts = {"patient": patient.replace("+", "%2B"), **more}
    return "?" + "&".join(f"{name}={value}" for name, value in parts.items())


def hold(page: Page, url: str) -> list[Route]:
    """Keeps the page's requests to this address waiting: the list fills with them, to be answered."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(url, keep)
    return held


def go_to(page: Page, tab: str) -> None:
    """Open a tab, which on a narrow page lies behind the places at the bottom."""
    place = page.get_by_role("navigation", name="Places").get_by_role(
        "button", name=tab.title() if tab in TABS[:2] else "More"
    )
    if place.is_visible():
        place.click()
    if tab not in TABS[:2] or not place.is_visible():
        page.get_by_role("tab", name=tab.title()).click()
    expect(page.locator("#panel > *").first).to_be_visible()


def put(phone: Phone, kind: str, key: str, value: dict[str, Any]) -> None:
    """Tell the page of one thing."""
    assert phone.loop
    phone.loop.call_soon_threadsafe(phone.world.put, kind, key, value)


def put_steps(phone: Phone, message_id: str, patient: str, steps: list[tuple[str, str, int, int]]) -> None:
    """Tell the page of a message whose steps are these: id, lane, from, to (ms). In the queue it waits."""

    def tell() -> None:
        for step_id, lane, at, end in steps:
            phone.world.step(f"{message_id}:{step_id}", lane, step_id, at, end=end,
                             state="wait" if lane == "queue" else "ok", message_id=message_id, to=patient)  # fmt: skip

    assert phone.loop
    phone.loop.call_soon_threadsafe(tell)


def flood(phone: Phone, count: int, name: str) -> None:
    """Tell the page of many steps at once, newer than all others: `name 0`, `name 1`, …"""

    def tell() -> None:
        since = max([now_ms(), *(step["at"] for step in phone.world.of("step").values())]) + 1
        for n in range(count):
            phone.world.step(f"{name}:{n}", "bus", f"{name} {n}", since + n, end=since + n, to="+910000000000")

    assert phone.loop
    phone.loop.call_soon_threadsafe(tell)


def px(page: Page, selector: str) -> list[dict[str, float]]:
    """Where the elements are, in px."""
    script = "all => all.map(e => e.getBoundingClientRect()).map(r => ({x: r.x, y: r.y, w: r.width, h: r.height}))"
    boxes: list[dict[str, float]] = page.locator(selector).evaluate_all(script)
    return boxes


def milliseconds(text: str) -> float:
    """`3 h 45 m`, `9.2 s` or `149 ms` as milliseconds."""
    units = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+) (ms|s|m|h|d)\b", text))
