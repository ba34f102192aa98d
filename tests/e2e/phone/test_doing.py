"""What one can do to a message, a patient and time; and that what comes twice changes nothing."""

import json
import os
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from local.artifacts import ROOT
from tests.e2e.phone.conftest import Opened, go_to, hold, query
from tests.product import Product, eventually


def test_a_waiting_message_is_called_off(clinic: Product, opened: Opened, asha: str) -> None:
    clinic.remind(asha)
    waiting = clinic.remind(asha)
    assert waiting["status"] == "deferred"
    page = opened(query(asha, message=waiting["message_id"], tab="story"))
    page.get_by_role("button", name="Cancel it").click()
    expect(page.locator(".rail .state-word", has_text="Canceled")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel it")).to_have_count(0)
    assert clinic.record(waiting["message_id"])["status"] == "canceled"


def test_a_patient_is_erased_after_a_second_look(clinic: Product, opened: Opened, asha: str) -> None:
    message = clinic.when(clinic.remind(asha)["message_id"], "read")
    page = opened(query(asha))
    page.get_by_role("button", name="Switches of this phone").click()
    page.get_by_role("button", name="Erase …").click()
    page.get_by_role("button", name="Erase for good").click()
    expect(page.locator(".notice")).to_contain_text("Erased")
    contact = f"/contacts/{message['contact_id']}/conversation"
    eventually(lambda: "Asha" not in clinic.api("GET", contact).text)


def test_reset_asks_once(opened: Opened, asha: str) -> None:
    """What it does to a stack is seen in tests/e2e/test_kept.py: this one is shared."""
    page = opened(query(asha, tab="queue"))
    asked = hold(page, "**/api/reset")
    page.get_by_role("button", name="Reset …").click()
    page.get_by_role("button", name="Keep it").click()
    page.get_by_role("button", name="Reset …").click()
    assert not asked
    page.get_by_role("button", name="Forget everything").click()
    expect(page.get_by_role("button", name="Reset …")).to_be_visible()
    asked[0].fulfill(json={})
    expect(page.locator(".notice")).to_contain_text("Reset")
    assert len(asked) == 1


def test_an_hour_passes_and_what_waited_goes(clinic: Product, opened: Opened, asha: str) -> None:
    clinic.when(clinic.remind(asha)["message_id"], "read")
    waiting = clinic.remind(asha)["message_id"]
    page = opened(query(asha, message=waiting))
    page.get_by_role("button", name="Switches of this phone").click()
    page.get_by_role("button", name="1 h on", exact=True).click()
    eventually(lambda: len(clinic.ledger(asha)) == 2)
    page.keyboard.press("Escape")
    expect(page.locator(".rail .state-word")).to_have_text(["Read", "Read"])
    violations = page.locator(".health > div", has_text="Violations").locator("dd").first
    expect(violations).to_have_text("0")


def test_what_comes_twice_changes_nothing(clinic: Product, opened: Opened, asha: str) -> None:
    sid = clinic.write(asha, "I'll be there")["message_sid"]
    page = opened(query(asha, message=sid, tab="story"))
    page.locator(".steps li > button", has_text="Inbound webhook").click()
    page.get_by_role("button", name="Send it again").click()
    expect(page.locator(".notice")).to_contain_text("The webhook answered 200")
    page.locator(".steps li > button", has_text="message.received").click()
    page.get_by_role("button", name="Publish it again").click()
    expect(page.locator(".notice")).to_contain_text("on the bus again")

    def heard() -> list[str]:
        return [e["detail"]["event_id"] for e in clinic.bus.messages() if e["detail"].get("message_id") == sid]

    assert len(set(eventually(lambda: len(heard()) >= 2 and heard()))) == 1


def test_the_form_sends_later_answers_and_expires(clinic: Product, opened: Opened, asha: str) -> None:
    sid = clinic.write(asha, "Is it confirmed?")["message_sid"]
    page = opened(query(asha))
    page.keyboard.press("n")
    page.locator("[name=template]").select_option("text")
    page.locator("[name=in_reply_to]").select_option(sid)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".result.ok")).to_contain_text("sent")
    page.locator("[name=in_reply_to]").select_option("")
    page.locator("[name=template]").select_option("follow_up")
    page.locator("[name=send_at]").fill("2026-12-20T09:30")
    page.locator("[name=expires_at]").fill("2026-12-19T09:30")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".result.bad")).to_contain_text("`expires_at` must be later than `send_at`")


@pytest.mark.parametrize("through", ["direct invoke", "the send queue"])
def test_the_pasted_program_sends(clinic: Product, opened: Opened, asha: str, through: str) -> None:
    page = opened(query(asha))
    page.keyboard.press("n")
    page.locator("[name=template]").select_option("session_reminder")
    page.get_by_label("Therapist name").fill('Dr. "O\'Brien"')
    page.locator("[name=through]").select_option(label=through)
    page.get_by_role("group", name="View").get_by_role("button", name="Python").click()
    program = page.get_by_label("Python", exact=True).inner_text()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "layers" / "shared")}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    (sent,) = eventually(lambda: clinic.ledger(asha))
    assert 'Dr. "O\'Brien"' in json.loads(sent["content_variables"]).values()


@pytest.mark.parametrize("width", [1440, 390])
def test_each_number_says_what_it_counts(opened: Opened, width: int) -> None:
    page = opened("", width=width)
    assert all(page.locator(".health > div").evaluate_all("all => all.map(each => each.title.length > 20)"))
    go_to(page, "queue")
    assert all(page.locator(".figures > div").evaluate_all("all => all.map(each => each.title.length > 20)"))
