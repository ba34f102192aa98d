"""The table of codes against the emulated Twilio: every code that the emulator knows, and one of each kind of row.

Each arrives where it does in life, in the answer or by callback, and what follows is what its row says."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from whatsapp.domain.sending.twilio_codes import ROWS, Action, Audience, Binds, Row

from local.twilio.errors import CODES
from tests.product import Product, eventually

MOOD = {"template": "mood_checkin", "variables": {"patient_name": "Asha", "therapist_name": "Dr. Rao"}}
FOLLOW_UP = {
    "template": "follow_up",
    "variables": {"patient_name": "Asha", "therapist_name": "Dr. Rao", "session_date": "2026-11-24"},
}
SPOILS = {
    63040: ("mood_checkin", "hi"),
    63041: ("mood_checkin", "ta"),
    63042: ("mood_checkin", "bn"),
    21655: ("follow_up", "ta"),
    63027: ("follow_up", "bn"),
}
"""These prove something about the template: each spoils a wording that no other test sends."""


def in_the_answer(code: int) -> bool:
    """Where the code arrives, as the emulator has it; as Twilio numbers them, where the emulator does not know it."""
    return CODES[code].refuses if code in CODES else code < 30_000


def kind(row: Row) -> tuple[object, ...]:
    """Rows of one kind do the same."""
    return (row.action, row.error, row.alert, row.suppress, row.template_status, in_the_answer(row.code))


FIRST_OF_KIND = {kind(row): row.code for row in reversed(ROWS.values())}
TRIED = [
    row for row in ROWS.values() if row.code in CODES or row.code in SPOILS or row.code == FIRST_OF_KIND[kind(row)]
]


@dataclass
class Outcome:
    """What became of one message that met one code."""

    patient: str
    answer: dict[str, Any]
    record: dict[str, Any]
    contact: dict[str, Any]


def agrees(product: Product, patient: str) -> None:
    """The mood check-in needs a recorded consent."""
    product.api("PUT", "/contacts", {"address": patient, "opted_in_at": "2026-11-20T10:00:00+05:30"})


def send_into(product: Product, row: Row) -> Outcome:
    patient = product.new_patient()
    template, language = SPOILS.get(row.code, ("mood_checkin", "en"))
    agrees(product, patient)
    request: dict[str, Any] = MOOD if template == "mood_checkin" else FOLLOW_UP
    if row.action is Action.FALL_BACK:
        inbound = product.write(patient, "Hello")  # the window is open for us, and WhatsApp sees it otherwise
        request = {**FOLLOW_UP, "in_reply_to": inbound["message_sid"]}
    product.twilio_answers()
    product.fault("error" if in_the_answer(row.code) else "status_failed", patient, code=row.code)
    answer = product.send(to=patient, language=language, **request)
    wanted = ("failed", "undelivered") if not in_the_answer(row.code) else (answer["status"],)
    record = product.when(answer["message_id"], *wanted)
    return Outcome(patient, answer, record, product.contact(answer["contact_id"]))


@pytest.fixture(scope="module")
def outcomes(product: Product) -> Iterator[dict[int, Outcome]]:
    yield {row.code: send_into(product, row) for row in TRIED}
    product.stack.invoke("TemplateSyncFunctionName", {"task": "sync"})
    product.twilio_answers()


def expected_status(row: Row) -> str:
    if not in_the_answer(row.code):
        known = CODES.get(row.code)
        return "undelivered" if known and known.outcome == "undelivered" else "failed"
    if row.code in CODES and int(CODES[row.code].outcome) >= 500:
        return "unknown"  # an error of Twilio's own proves nothing about the message
    return "retrying" if row.action in (Action.RETRY, Action.WAIT) else "failed"


@pytest.mark.parametrize("row", TRIED, ids=lambda row: str(row.code))
def test_row(product: Product, outcomes: dict[int, Outcome], row: Row) -> None:
    seen = outcomes[row.code]
    status = expected_status(row)
    assert seen.record["status"] == status
    if status != "unknown":
        error = seen.record["error"]
        assert (error["code"], error["twilio_code"], error["retryable"]) == (row.error, row.code, row.retryable)
        assert error["detail"].startswith(row.meaning)
    assert seen.contact.get("suppressed_code") == (str(row.code) if row.suppress else None)
    goes_on = not in_the_answer(row.code) and row.action in (Action.RETRY, Action.WAIT, Action.FALL_BACK)
    assert bool(seen.record["continued_as"]) == goes_on
    assert len(product.ledger(seen.patient)) <= (1 if not goes_on else 2)


@pytest.mark.parametrize("row", TRIED, ids=lambda row: str(row.code))
def test_alert_of_row(product: Product, outcomes: dict[int, Outcome], row: Row) -> None:
    message_id = outcomes[row.code].record["message_id"]
    alerts_if_refused_again = expected_status(row) == "retrying" and row.binds is Binds.NOTHING
    if row.alert is Audience.NOBODY or alerts_if_refused_again:
        assert product.alerts(message_id) == []
    else:
        (alert,) = eventually(lambda: product.alerts(message_id))
        assert f"{row.error}, Twilio code {row.code}: {row.meaning}" in alert


@pytest.mark.parametrize("row", [row for row in TRIED if row.suppress], ids=lambda row: str(row.code))
def test_suppressed_contact_is_refused_until_they_write(
    product: Product, outcomes: dict[int, Outcome], row: Row
) -> None:
    patient = outcomes[row.code].patient
    refused = product.send(to=patient, **MOOD)
    assert (refused["status"], refused["error"]["code"], refused["error"]["twilio_code"]) == (
        "refused",
        row.error,
        row.code,
    )
    inbound = product.write(patient, "I am here")
    assert product.send(to=patient, text="Good", in_reply_to=inbound["message_sid"])["status"] == "sent"


@pytest.mark.parametrize("row", [row for row in TRIED if row.template_status], ids=lambda row: str(row.code))
def test_spoilt_template_serves_no_more(product: Product, outcomes: dict[int, Outcome], row: Row) -> None:
    shown = product.api("GET", "/templates").json()["templates"]
    (status,) = [t["status"] for t in shown if (t["template"], t["language"]) == SPOILS[row.code]]
    assert status == row.template_status


def test_unknown_code_is_not_retried_and_alerts(product: Product, patient: str) -> None:
    agrees(product, patient)
    product.fault("error", patient, code=69_999)
    answer = product.send(to=patient, **MOOD)
    assert (answer["status"], answer["error"]["code"], answer["error"]["retryable"]) == (
        "failed",
        "unknown_error",
        False,
    )
    eventually(lambda: product.alerts(answer["message_id"]))
    assert product.ledger(patient) == []


def test_free_form_refused_late_goes_on_as_the_template_once(product: Product, outcomes: dict[int, Outcome]) -> None:
    first = outcomes[63016].record
    product.twilio_answers()  # the codes of 5xx may stand in a row
    product.sweep()
    eventually(lambda: len(product.ledger(outcomes[63016].patient)) == 2)
    free_form, template = product.ledger(outcomes[63016].patient)
    assert free_form["body"]
    assert template["content_sid"]
    second = product.record(first["continued_as"])
    assert (second["continues"], second["twilio_sid"]) == (first["message_id"], template["sid"])
