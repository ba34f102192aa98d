"""What a patient can send, in the shape of Twilio's webhook, and what Twilio makes of the answer."""

import json
from base64 import b64encode
from typing import Any

import pytest
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from local.twilio.whatsapp_rules import SANDBOX_SENDER
from tests.unit.twilio_emulator.kit import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    FROM,
    PATIENT,
    SENDER,
    TO,
    Door,
    Emulator,
    eventually,
)

BUTTONS = {
    "twilio/quick-reply": {
        "body": "See you tomorrow, {{1}}, at the clinic?",
        "actions": [
            {"type": "QUICK_REPLY", "title": "Confirm", "id": "scheduling:confirm"},
            {"type": "QUICK_REPLY", "title": "Cancel", "id": "scheduling:cancel"},
        ],
    }
}

CAPTURED_BUTTON = {
    *("AccountSid", "ApiVersion", "Body", "ButtonPayload", "ButtonText", "ChannelMetadata", "ExternalUserId"),
    *("Forwarded", "FrequentlyForwarded", "From", "MessageSid", "MessageType", "NumMedia", "NumSegments"),
    *("OriginalRepliedMessageSender", "OriginalRepliedMessageSid", "ProfileName", "ReferralNumMedia"),
    *("SmsMessageSid", "SmsSid", "SmsStatus", "To", "WaId"),
}
"""Every field of a captured request about a tapped quick reply."""


@pytest.fixture
def inbox(emulator: Emulator, door: Door) -> Door:
    emulator.control("configure", {"inbound_url": f"{door.url}/inbound"})
    return door


def receive(emulator: Emulator, inbox: Door, **body: Any) -> dict[str, str]:
    """Have the patient send something; the webhook's form, whose signature is right."""
    report = emulator.control("inbound", {"from": PATIENT, **body})
    assert report["http_status"] == 204, report
    request = inbox.received[-1]
    signature = request.headers["X-Twilio-Signature"]
    assert RequestValidator(AUTH_TOKEN).validate(inbox.url + request.path, request.form, signature)
    assert request.form["MessageSid"] == report["message_sid"]
    return request.form


def medium(content_type: str) -> dict[str, str]:
    return {"content_type": content_type, "base64": b64encode(b"data").decode()}


def test_text_has_every_field_of_a_captured_one(emulator: Emulator, inbox: Door) -> None:
    emulator.control("patients", {"address": PATIENT, "profile_name": "Asha"})
    form = receive(emulator, inbox, body="नमस्ते 🙏 +1 & more")
    sid = form["MessageSid"]
    metadata = json.loads(form.pop("ChannelMetadata"))
    assert form == {
        "MessageSid": sid,
        "SmsSid": sid,
        "SmsMessageSid": sid,
        "AccountSid": ACCOUNT_SID,
        "ApiVersion": "2010-04-01",
        "From": TO,
        "To": FROM,
        "Body": "नमस्ते 🙏 +1 & more",
        "NumMedia": "0",
        "NumSegments": "1",
        "ReferralNumMedia": "0",
        "SmsStatus": "received",
        "MessageType": "text",
        "ProfileName": "Asha",
        "WaId": PATIENT.lstrip("+"),
    }
    assert metadata["type"] == "whatsapp"
    assert metadata["data"]["context"]["WaId"] == PATIENT.lstrip("+")


def test_blank_fields_are_sent_and_signed(emulator: Emulator, inbox: Door) -> None:
    form = receive(emulator, inbox)
    assert (form["Body"], form["ProfileName"]) == ("", "")


def test_tapped_button_carries_its_payload_and_the_message_tapped(
    emulator: Emulator, client: Client, inbox: Door
) -> None:
    sent = client.messages.create(to=TO, from_=FROM, content_sid=emulator.template(client, types=BUTTONS))
    form = receive(emulator, inbox, button={"text": "Cancel"})
    assert (form["Body"], form["ButtonText"]) == ("Cancel", "Cancel")
    assert (form["ButtonPayload"], form["MessageType"]) == ("scheduling:cancel", "interactive")
    assert (form["OriginalRepliedMessageSid"], form["OriginalRepliedMessageSender"]) == (sent.sid, FROM)


def test_tapped_button_has_the_fields_of_a_captured_one(emulator: Emulator, client: Client, inbox: Door) -> None:
    emulator.control("patients", {"address": PATIENT, "external_user_id": "IN.13491208655302741918"})
    client.messages.create(to=TO, from_=FROM, content_sid=emulator.template(client, types=BUTTONS))
    form = receive(emulator, inbox, button={"text": "Confirm"})
    assert set(form) == CAPTURED_BUTTON
    assert (form["Forwarded"], form["FrequentlyForwarded"]) == ("false", "false")
    context = json.loads(form["ChannelMetadata"])["data"]["context"]
    assert (context["ButtonText"], context["Forwarded"]) == ("Confirm", "false")


def test_button_can_name_its_payload(emulator: Emulator, inbox: Door) -> None:
    form = receive(emulator, inbox, button={"text": "Yes", "payload": "mood:yes"})
    assert form["ButtonPayload"] == "mood:yes"
    assert "OriginalRepliedMessageSid" not in form


def test_list_reply(emulator: Emulator, inbox: Door) -> None:
    form = receive(emulator, inbox, list_item={"id": "slot-2", "title": "5:30 pm", "description": "Dr. Rao"})
    assert (form["Body"], form["ListId"], form["ListTitle"]) == ("5:30 pm", "slot-2", "5:30 pm")
    assert (form["ListDescription"], form["MessageType"]) == ("Dr. Rao", "interactive")


@pytest.mark.parametrize(
    ("content_type", "message_type"),
    [
        ("image/jpeg", "image"),
        ("audio/ogg", "audio"),
        ("video/mp4", "video"),
        ("application/pdf", "document"),
        ("text/vcard", "contacts"),
    ],
)
def test_medium_is_named_by_a_url_on_twilios_host(
    emulator: Emulator, inbox: Door, content_type: str, message_type: str
) -> None:
    form = receive(emulator, inbox, media=[medium(content_type)], body="a caption")
    assert form["MessageSid"].startswith("MM")
    assert (form["NumMedia"], form["MediaContentType0"]) == ("1", content_type)
    assert (form["MessageType"], form["Body"]) == (message_type, "a caption")
    assert form["MediaUrl0"].startswith(f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/MM")


def test_several_media(emulator: Emulator, inbox: Door) -> None:
    form = receive(emulator, inbox, media=[medium("image/png"), medium("audio/ogg")])
    assert form["NumMedia"] == "2"
    assert (form["MediaContentType0"], form["MediaContentType1"]) == ("image/png", "audio/ogg")
    assert form["MediaUrl0"] != form["MediaUrl1"]


def test_location(emulator: Emulator, inbox: Door) -> None:
    place = {"latitude": 12.9715987, "longitude": 77.594566, "address": "MG Road", "label": "Clinic"}
    form = receive(emulator, inbox, location=place)
    assert (form["Latitude"], form["Longitude"]) == ("12.9715987", "77.594566")
    assert (form["Address"], form["Label"], form["Body"]) == ("MG Road", "Clinic", "")
    assert form["MessageType"] == "location"
    assert "Label" not in receive(emulator, inbox, location={"latitude": 1, "longitude": 2})


def test_answers_of_a_flow(emulator: Emulator, client: Client, inbox: Door) -> None:
    answers = {"flow_token": "t", "why": ["नींद", "काम"], "mood": "3"}
    form = receive(emulator, inbox, flow=answers)
    assert (json.loads(form["FlowData"]), json.loads(form["InteractiveData"])) == (answers, {"flowResponse": answers})
    assert (form["Body"], form["MessageType"]) == ("", "interactive")
    assert [message.body for message in client.messages.list()] == [""]


@pytest.mark.parametrize("emoji", ["👍", ""])
def test_reaction_names_the_message_it_is_about(emulator: Emulator, client: Client, inbox: Door, emoji: str) -> None:
    sent = client.messages.create(to=TO, from_=FROM, content_sid=emulator.template(client))
    form = receive(emulator, inbox, reaction=emoji, reply_to=sent.sid)
    assert (form["Body"], form["MessageType"], form["OriginalRepliedMessageSid"]) == (emoji, "reaction", sent.sid)


def test_contact_card(emulator: Emulator, inbox: Door) -> None:
    form = receive(emulator, inbox, contact={"name": "Dr. Rao", "phone": "+919900000009"})
    assert (form["MessageType"], form["MediaContentType0"]) == ("contacts", "text/vcard")
    path = form["MediaUrl0"].removeprefix("https://api.twilio.com")
    location = emulator.call("GET", f"/api{path}").headers["Location"]
    assert "FN:Dr. Rao\r\nTEL:+919900000009" in emulator.http.get(location).text


def test_reply_names_the_message_for_seven_days(emulator: Emulator, client: Client, inbox: Door) -> None:
    sent = client.messages.create(to=TO, from_=FROM, content_sid=emulator.template(client))
    assert receive(emulator, inbox, body="ok", reply_to=sent.sid)["OriginalRepliedMessageSid"] == sent.sid
    emulator.control("clock", {"advance_seconds": 7 * 24 * 3600 + 60})
    assert "OriginalRepliedMessageSid" not in receive(emulator, inbox, body="ok", reply_to=sent.sid)


def test_forwarded_message(emulator: Emulator, inbox: Door) -> None:
    form = receive(emulator, inbox, body="look", forwarded=True, frequently_forwarded=True)
    assert (form["Forwarded"], form["FrequentlyForwarded"]) == ("true", "true")


def test_message_from_an_advertisement(emulator: Emulator, inbox: Door) -> None:
    referral = {"Headline": "Feel better", "SourceUrl": "https://fb.me/x", "MediaUrl": "https://x", "CtwaClid": "c1"}
    form = receive(emulator, inbox, body="hi", referral=referral)
    assert (form["ReferralHeadline"], form["ReferralSourceUrl"]) == ("Feel better", "https://fb.me/x")
    assert (form["ReferralCtwaClid"], form["ReferralNumMedia"]) == ("c1", "1")


def test_sender_with_number_and_scoped_id(emulator: Emulator, inbox: Door) -> None:
    emulator.control("patients", {"address": PATIENT, "external_user_id": "IN.13491208655302741918"})
    form = receive(emulator, inbox, body="hi")
    assert (form["From"], form["ExternalUserId"]) == (TO, "whatsapp:IN.13491208655302741918")


def test_sender_with_a_username_only(emulator: Emulator, inbox: Door) -> None:
    form = receive(emulator, inbox, **{"from": "IN.13491208655302741918"}, body="hi")
    assert form["From"] == form["ExternalUserId"] == "whatsapp:IN.13491208655302741918"
    assert "WaId" not in form


def test_extra_fields_win(emulator: Emulator, inbox: Door) -> None:
    sid = "SM" + "9" * 32
    form = receive(emulator, inbox, body="hi", params={"Body": "other", "NewField": "x", "MessageSid": sid})
    assert (form["Body"], form["NewField"], form["MessageSid"]) == ("other", "x", sid)
    assert [(entry["sid"], entry["body"]) for entry in emulator.ledger()] == [(sid, "other")]


def test_ledger_and_list_know_inbound_messages_too(emulator: Emulator, client: Client, inbox: Door) -> None:
    sid = receive(emulator, inbox, body="hi")["MessageSid"]
    [entry] = emulator.ledger()
    assert (entry["direction"], entry["from"], entry["to"]) == ("inbound", TO, FROM)
    [message] = client.messages.list(from_=TO)
    assert (message.sid, message.direction, message.status) == (sid, "inbound", "received")


def test_message_is_taken_in_although_nobody_answers(emulator: Emulator, client: Client) -> None:
    emulator.control("configure", {"inbound_url": "http://127.0.0.1:9"})
    report = emulator.control("inbound", {"from": PATIENT, "body": "hi"})
    assert report["http_status"] is None
    assert [message.body for message in client.messages.list()] == ["hi"]
    assert [warning["code"] for warning in emulator.control("state")["warnings"]] == [11205]


def test_silence_is_another_code_than_a_refused_connection(emulator: Emulator, inbox: Door) -> None:
    inbox.delay = 0.5
    emulator.control("configure", {"inbound_url": f"{inbox.url}/inbound#rt=100"})
    assert emulator.control("inbound", {"from": PATIENT, "body": "hi"})["http_status"] is None
    assert [warning["code"] for warning in emulator.control("state")["warnings"]] == [11200]


@pytest.mark.parametrize(
    ("answer", "paths"),
    [
        ((500, "text/plain", ""), ["/inbound", "/fallback"]),
        ((200, "text/xml", "<Response>"), ["/inbound", "/fallback"]),
        ((200, "text/xml", "<Answer/>"), ["/inbound"]),
        ((200, "text/xml", "<Response/>"), ["/inbound"]),
    ],
)
def test_fallback_url_is_called_after_an_error_but_not_after_a_warning(
    emulator: Emulator, inbox: Door, answer: tuple[int, str, str], paths: list[str]
) -> None:
    body = {"webhook": {"fallback_url": f"{inbox.url}/fallback"}}
    sid = emulator.account.senders[SENDER].sid
    emulator.call("POST", f"/messaging/v2/Channels/Senders/{sid}", json=body)
    inbox.answers = [answer]
    assert emulator.control("inbound", {"from": PATIENT, "body": "hi"})["http_status"] == answer[0]
    assert [request.path for request in inbox.received] == paths


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((200, "text/xml", "<Response/>"), None),
        ((200, "application/xml", "<Response></Response>"), None),
        ((204, "text/xml", ""), None),
        ((200, "text/xml", "<Response>"), 12100),
        ((200, "text/xml", "<Answer/>"), 12200),
        ((200, "application/json", "{}"), 12300),
        ((404, "text/plain", ""), 11200),
        ((200, "text/xml", f"<Response>{' ' * 65_536}</Response>"), 11750),
    ],
)
def test_answer_is_read_as_twilio_reads_it(
    emulator: Emulator, inbox: Door, answer: tuple[int, str, str], code: int | None
) -> None:
    inbox.answers = [answer]
    assert emulator.control("inbound", {"from": PATIENT, "body": "hi"})["http_status"] == answer[0]
    warnings = [warning["code"] for warning in emulator.control("state")["warnings"]]
    assert warnings == ([code] if code else [])
    assert len(emulator.ledger()) == 1


@pytest.mark.parametrize(
    "answer",
    [
        (200, "text/xml", "<Response><Message>We will call you</Message></Response>"),
        (200, "text/xml", "<Response><Message><Body>We will call you</Body></Message></Response>"),
        (200, "text/plain", "We will call you"),
    ],
)
def test_answer_with_words_becomes_a_message_in_the_ledger(
    emulator: Emulator, inbox: Door, answer: tuple[int, str, str]
) -> None:
    inbox.answers = [answer]
    emulator.control("inbound", {"from": PATIENT, "body": "hi"})
    reply = emulator.ledger()[-1]
    assert (reply["direction"], reply["to"], reply["body"]) == ("outbound-reply", TO, "We will call you")
    eventually(lambda: emulator.ledger()[-1]["status"] == "read")


def test_advanced_opt_out_stops_and_starts(emulator: Emulator, client: Client, inbox: Door) -> None:
    emulator.control("configure", {"advanced_opt_out": True})
    template = emulator.template(client)
    assert receive(emulator, inbox, body=" Stop ")["OptOutType"] == "STOP"
    sid = client.messages.create(to=TO, from_=FROM, content_sid=template).sid
    eventually(lambda: client.messages(sid).fetch().error_code == 21610)
    assert receive(emulator, inbox, body="START")["OptOutType"] == "START"
    sid = client.messages.create(to=TO, from_=FROM, content_sid=template).sid
    eventually(lambda: client.messages(sid).fetch().status == "read")


def test_stop_is_an_ordinary_word_without_advanced_opt_out(emulator: Emulator, inbox: Door) -> None:
    assert "OptOutType" not in receive(emulator, inbox, body="STOP")


def test_sandbox_is_joined_by_its_word(emulator: Emulator, inbox: Door) -> None:
    receive(emulator, inbox, to=SANDBOX_SENDER, body="join blue-sky")
    [patient] = emulator.control("state")["patients"]
    assert patient["joined_sandbox"] is not None


@pytest.mark.parametrize("body", [{"body": "hi"}, {"from": PATIENT, "to": "+14155550999"}])
def test_impossible_message_is_refused(emulator: Emulator, body: dict[str, str]) -> None:
    assert emulator.http.post(f"{emulator.url}/_emulator/inbound", json=body).status_code == 400
    assert emulator.ledger() == []
