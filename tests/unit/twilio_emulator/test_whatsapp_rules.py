"""What WhatsApp lets through, seen from the patient's side and from the window's."""

import pytest
from twilio.rest import Client

from local.twilio.whatsapp_rules import SANDBOX_SENDER
from tests.unit.twilio_emulator.kit import FROM, PATIENT, SENDER, TO, Door, Emulator, eventually

BUTTONS = {
    "twilio/quick-reply": {
        "body": "See you tomorrow, {{1}}?",
        "actions": [{"type": "QUICK_REPLY", "title": "Yes", "id": "scheduling:yes"}],
    }
}
CALL = {"twilio/call-to-action": {"body": "Call us", "actions": [{"type": "URL", "title": "Go", "url": "https://x"}]}}
PLACE = {"twilio/location": {"latitude": 12.9, "longitude": 77.6, "label": "Clinic"}}


def final_status(client: Client, sid: str) -> tuple[str, int | None]:
    eventually(lambda: client.messages(sid).fetch().status in ("read", "failed", "undelivered"))
    message = client.messages(sid).fetch()
    return message.status, message.error_code


def test_inbound_message_opens_the_window_for_a_day(emulator: Emulator, client: Client) -> None:
    emulator.control("inbound", {"from": PATIENT, "body": "hello"})
    assert final_status(client, client.messages.create(to=TO, from_=FROM, body="hi").sid) == ("read", None)
    emulator.control("clock", {"advance_seconds": 24 * 3600 - 60})
    assert final_status(client, client.messages.create(to=TO, from_=FROM, body="hi").sid) == ("read", None)
    emulator.control("clock", {"advance_seconds": 120})
    assert final_status(client, client.messages.create(to=TO, from_=FROM, body="hi").sid) == ("failed", 63016)


def test_window_is_one_patients_with_one_sender(emulator: Emulator, client: Client) -> None:
    emulator.control("inbound", {"from": PATIENT, "to": SANDBOX_SENDER, "body": "join blue-sky"})
    other = client.messages.create(to="whatsapp:+919900000001", from_=FROM, body="hi").sid
    same = client.messages.create(to=TO, from_=FROM, body="hi").sid
    sandbox = client.messages.create(to=TO, from_=f"whatsapp:{SANDBOX_SENDER}", body="hi").sid
    assert final_status(client, other) == ("failed", 63016)
    assert final_status(client, same) == ("failed", 63016)
    assert final_status(client, sandbox) == ("read", None)


def test_window_can_be_opened_and_closed_by_hand(emulator: Emulator, client: Client) -> None:
    emulator.open_window()
    [window, _] = emulator.control("state")["windows"]
    assert (window["address"], window["sender"]) == (PATIENT, SENDER)
    emulator.control("window", {"address": f"whatsapp:{PATIENT}", "open": False})
    assert emulator.control("state")["windows"] == []


@pytest.mark.parametrize(
    ("types", "status", "window_open", "outcome"),
    [
        (BUTTONS, "approved", False, ("read", None)),
        (BUTTONS, "pending", False, ("failed", 63016)),
        (BUTTONS, "pending", True, ("read", None)),
        (BUTTONS, "rejected", False, ("failed", 63040)),
        (BUTTONS, "rejected", True, ("read", None)),
        (BUTTONS, "paused", True, ("failed", 63041)),
        (BUTTONS, "disabled", True, ("failed", 63042)),
        (CALL, "pending", True, ("failed", 63016)),
        (CALL, "approved", False, ("read", None)),
    ],
)
def test_template_goes_by_approval_and_window(
    emulator: Emulator,
    client: Client,
    types: dict[str, object],
    status: str,
    window_open: bool,
    outcome: tuple[str, int | None],
) -> None:
    sid = emulator.content(client, types=types)
    emulator.submit(client, sid)
    emulator.control(f"templates/{sid}/review", {"status": status, "reason": "INVALID_FORMAT"})
    emulator.control("window", {"address": PATIENT, "open": window_open})
    assert final_status(client, client.messages.create(to=TO, from_=FROM, content_sid=sid).sid) == outcome


@pytest.mark.parametrize(("window_open", "outcome"), [(True, ("read", None)), (False, ("failed", 63016))])
def test_location_goes_inside_a_conversation_only(
    emulator: Emulator, client: Client, window_open: bool, outcome: tuple[str, int | None]
) -> None:
    emulator.control("window", {"address": PATIENT, "open": window_open})
    sid = emulator.content(client, types=PLACE)
    assert final_status(client, client.messages.create(to=TO, from_=FROM, content_sid=sid).sid) == outcome


def test_missing_variable_falls_back_to_its_sample(emulator: Emulator, client: Client) -> None:
    client.messages.create(to=TO, from_=FROM, content_sid=emulator.template(client))
    [message] = emulator.control("state")["messages"]
    assert message["rendered"]["body"] == "Dear Asha, your session is tomorrow."


def test_phone_shows_the_filled_template(emulator: Emulator, client: Client) -> None:
    sid = emulator.template(client, types=BUTTONS)
    client.messages.create(to=TO, from_=FROM, content_sid=sid, content_variables='{"1": "ரவி"}')
    [message] = emulator.control("state")["messages"]
    assert message["rendered"]["body"] == "See you tomorrow, ரவி?"
    assert message["rendered"]["actions"][0]["id"] == "scheduling:yes"


def test_blocked_sender_stays_at_sent(emulator: Emulator, client: Client, door: Door) -> None:
    emulator.control("patients", {"address": PATIENT, "blocked": True})
    sid = client.messages.create(to=TO, from_=FROM, content_sid=emulator.template(client), status_callback=door.url).sid
    eventually(lambda: door.heard("sent"))
    emulator.control("patients", {"address": PATIENT, "blocked": False})
    eventually(lambda: door.heard("sent", "delivered", "read"))
    assert final_status(client, sid) == ("read", None)


def test_phone_that_is_off_gets_it_when_it_is_on(emulator: Emulator, client: Client, door: Door) -> None:
    emulator.control("patients", {"address": PATIENT, "phone_on": False, "read_receipts": False})
    client.messages.create(to=TO, from_=FROM, content_sid=emulator.template(client), status_callback=door.url)
    eventually(lambda: door.heard("sent"))
    emulator.control("patients", {"address": PATIENT, "phone_on": True})
    eventually(lambda: door.heard("sent", "delivered"))


def test_read_receipts_can_be_off_for_everybody(emulator: Emulator, client: Client, door: Door) -> None:
    emulator.control("configure", {"read_receipts": False})
    client.messages.create(to=TO, from_=FROM, content_sid=emulator.template(client), status_callback=door.url)
    eventually(lambda: door.heard("sent", "delivered"))
    [message] = emulator.control("state")["messages"]
    assert message["status"] == "delivered"


def test_sandbox_membership_ends_after_three_days(emulator: Emulator, client: Client) -> None:
    sandbox = f"whatsapp:{SANDBOX_SENDER}"
    emulator.control("patients", {"address": PATIENT, "joined_sandbox": True})
    template = emulator.template(client)
    sid = client.messages.create(to=TO, from_=sandbox, content_sid=template).sid
    assert final_status(client, sid) == ("read", None)
    emulator.control("clock", {"advance_seconds": 3 * 24 * 3600 + 1})
    sid = client.messages.create(to=TO, from_=sandbox, content_sid=template).sid
    assert final_status(client, sid) == ("failed", 63015)


def test_marketing_limit_spares_utility_and_ends_after_a_day(emulator: Emulator, client: Client) -> None:
    emulator.control("configure", {"marketing_per_day": 0})
    marketing, utility = emulator.template(client, "MARKETING"), emulator.template(client)
    sent = [client.messages.create(to=TO, from_=FROM, content_sid=sid).sid for sid in (marketing, utility)]
    assert final_status(client, sent[0]) == ("undelivered", 63049)
    assert final_status(client, sent[1]) == ("read", None)


def test_conversation_limit_counts_patients_of_the_last_day(emulator: Emulator, client: Client) -> None:
    emulator.control("configure", {"new_conversations_per_day": 1})
    template = emulator.template(client)
    other = "whatsapp:+919900000001"
    first = client.messages.create(to=TO, from_=FROM, content_sid=template).sid
    again = client.messages.create(to=TO, from_=FROM, content_sid=template).sid
    second = client.messages.create(to=other, from_=FROM, content_sid=template).sid
    assert [final_status(client, sid)[1] for sid in (first, again, second)] == [None, None, 63018]
    emulator.control("clock", {"advance_seconds": 24 * 3600 + 1})
    tomorrow = client.messages.create(to=other, from_=FROM, content_sid=template).sid
    assert final_status(client, tomorrow) == ("read", None)


def test_scoped_id_is_no_address_unless_configured(emulator: Emulator, client: Client) -> None:
    template = emulator.template(client)
    scoped = "IN.13491208655302741918"
    assert emulator.create_message(To=f"whatsapp:{scoped}", ContentSid=template).json()["code"] == 21211
    emulator.control("configure", {"messages_to_scoped_ids": True})
    emulator.control("patients", {"address": PATIENT, "external_user_id": scoped})
    sid = client.messages.create(to=f"whatsapp:{scoped}", from_=FROM, content_sid=template).sid
    assert final_status(client, sid) == ("read", None)
