"""Composing as the orchestrator: one request in three views, and commands that do what the button does."""

import json
import re
import shlex
import shutil
import subprocess

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.phone.conftest import Opened, new_patient, query
from tests.product import Product, eventually


def compose(page: Page) -> None:
    page.keyboard.press("n")
    expect(page.get_by_role("form", name="Send as the orchestrator")).to_be_visible()


def words_of(page: Page) -> list[str]:
    """The command, as a shell reads it."""
    return shlex.split(page.locator(".compose pre").inner_text().replace("\\\n", ""))


def view(page: Page, name: str) -> None:
    page.get_by_role("group", name="View").get_by_role("button", name=name).click()


def test_the_form_changes_bubble_json_and_command(opened: Opened, asha: str) -> None:
    page = opened(query(asha))
    compose(page)
    page.locator("[name=template]").select_option("session_reminder")
    expect(page.locator(".preview .bubble")).to_contain_text("Hello Asha")
    page.get_by_label("Therapist name").fill("Dr. Venkatasubramanian Iyer")
    expect(page.locator(".preview .bubble")).to_contain_text("Dr. Venkatasubramanian Iyer")
    expect(page.locator(".preview mark")).to_have_text("Dr. Venkatasubramanian Iyer")
    page.locator("[name=language]").select_option("ta")
    expect(page.locator(".preview .text")).to_have_attribute("lang", "ta")
    page.get_by_label("Patient name").fill("")
    expect(page.locator(".preview .hint.bad")).to_contain_text("patient_name is empty")
    page.get_by_label("Patient name").fill("O'Brien")
    view(page, "JSON")
    request = json.loads(page.locator("textarea.code").input_value())
    assert (request["to"], request["language"], request["variables"]["patient_name"]) == (asha, "ta", "O'Brien")
    request["variables"]["patient_name"] = "Meera"
    page.locator("textarea.code").fill(json.dumps(request))
    view(page, "Form")
    expect(page.get_by_label("Patient name")).to_have_value("Meera")
    view(page, "Command")
    words = words_of(page)
    assert json.loads(words[words.index("--payload") + 1]) == request


@pytest.mark.parametrize("door", ["direct invoke", "POST /messages", "the send queue"])
def test_every_door_sends(clinic: Product, opened: Opened, asha: str, door: str) -> None:
    page = opened(query(asha))
    compose(page)
    page.locator("[name=through]").select_option(label=door)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#headline")).to_contain_text("to Asha")
    expect(page.locator(".rail .state-word")).to_have_text("Read")
    assert len(clinic.ledger(asha)) == 1
    titles = {
        "direct invoke": "Direct invoke",
        "POST /messages": "POST /messages",
        "the send queue": "Put on the queue",
    }
    expect(page.locator(".step-title", has_text=titles[door])).to_be_visible()


def test_the_pasted_commands_reproduce_the_send(clinic: Product, opened: Opened, asha: str) -> None:
    page = opened(query(asha))
    compose(page)
    view(page, "Command")
    words = words_of(page)
    assert words[2:5] == ["aws", "lambda", "invoke"]
    given = dict(zip(words[5::2], words[6::2], strict=False))
    assert given["--endpoint-url"] == clinic.stack.aws_endpoint
    name, payload = given["--function-name"], given["--payload"]
    answer = clinic.stack.aws("lambda").invoke(FunctionName=name, Payload=payload.encode())
    first = json.loads(answer["Payload"].read())
    assert first["status"] == "sent"
    if not shutil.which("curl"):
        pytest.skip("no curl here")
    page.locator("[name=through]").select_option(label="POST /messages")
    command = page.locator(".compose pre").inner_text()
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    again = json.loads(done.stdout)
    assert (again["message_id"], again["duplicate"]) == (first["message_id"], True)
    page.locator("[name=through]").select_option(label="the send queue")
    words = words_of(page)
    body = words[words.index("--message-body") + 1]
    assert json.loads(body) == json.loads(payload)
    assert len(clinic.ledger(asha)) == 1


def test_a_refusal_is_said_where_one_looks(clinic: Product, opened: Opened, asha: str) -> None:
    page = opened(query(asha))
    compose(page)
    page.locator("[name=template]").select_option("text")
    page.locator(".compose").get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".result.bad")).to_contain_text("window_closed")
    page.get_by_role("tab", name="Events").click()
    expect(page.locator(".event").first).to_contain_text("window_closed")
    assert clinic.ledger(asha) == []


def test_a_send_that_waits_says_until_when(clinic: Product, opened: Opened, asha: str) -> None:
    clinic.remind(asha)
    page = opened(query(asha))
    compose(page)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".result.wait")).to_have_text(re.compile(r"^… deferred, not before \d\d:\d\d \(rate_limited"))


@pytest.mark.parametrize("text", ["null", "5", "[]", "{"])
def test_what_is_no_request_does_not_become_one(opened: Opened, asha: str, text: str) -> None:
    page = opened(query(asha))
    compose(page)
    view(page, "JSON")
    page.locator("textarea.code").fill(text)
    expect(page.locator(".compose .hint.bad")).to_be_visible()
    view(page, "Form")
    expect(page.locator("[name=to]")).to_have_value(asha)


def test_one_button_fills_an_empty_phone(clinic: Product, opened: Opened) -> None:
    number = new_patient(clinic, "Asha Rao")
    page = opened(query(number))
    page.get_by_role("button", name="Send Asha a reminder").click()
    expect(page.locator(".bubble.in")).to_contain_text("Hello Asha")
    expect(page.locator("#headline")).to_contain_text("Session reminder to Asha: delivered in")
    assert len(eventually(lambda: clinic.ledger(number))) == 1


def test_the_patients_language_is_taken(clinic: Product, opened: Opened) -> None:
    number = new_patient(clinic, "रवि शर्मा")
    page = opened(query(number))
    compose(page)
    expect(page.locator("[name=language]")).to_have_value("hi")
    expect(page.get_by_label("Patient name")).to_have_value("रवि")
