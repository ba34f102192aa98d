"""The Senders API: a sender's webhooks and business profile."""

from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client
from twilio.rest.messaging.v2.channels_sender import ChannelsSenderList

from local.twilio.senders import VERIFICATION_CODE, WABA_ID
from tests.unit.twilio_emulator import shapes
from tests.unit.twilio_emulator.kit import FROM, PATIENT, SENDER, Door, Emulator

Update = ChannelsSenderList.MessagingV2ChannelsSenderRequestsUpdate


def test_sender_is_listed_and_fetched_by_its_sid(emulator: Emulator, client: Client) -> None:
    senders = client.messaging.v2.channels_senders.list(channel="whatsapp")
    sender = next(sender for sender in senders if sender.sender_id == FROM)
    assert client.messaging.v2.channels_senders(sender.sid).fetch().status == "ONLINE"
    page = emulator.call("GET", "/messaging/v2/Channels/Senders", params={"Channel": "whatsapp"}).json()
    shapes.check(page, shapes.page_meta("senders", shapes.SENDER))
    assert [sender["sender_id"] for sender in page["senders"]] == [FROM], "the sandbox's number is no sender"


def test_list_needs_its_channel(emulator: Emulator) -> None:
    assert emulator.call("GET", "/messaging/v2/Channels/Senders").status_code == 400


def test_webhook_set_here_receives_what_patients_write(emulator: Emulator, client: Client, door: Door) -> None:
    sid = emulator.account.senders[SENDER].sid
    webhook = {"callback_url": f"{door.url}/inbound", "callback_method": "POST"}
    updated = client.messaging.v2.channels_senders(sid).update(Update({"webhook": webhook}))
    assert updated.webhook["callback_url"] == f"{door.url}/inbound"
    assert emulator.control("inbound", {"from": PATIENT, "body": "hello"})["http_status"] == 204
    assert [request.path for request in door.received] == ["/inbound"]


def test_profile_is_kept_field_by_field(emulator: Emulator, client: Client) -> None:
    senders, sid = client.messaging.v2.channels_senders, emulator.account.senders[SENDER].sid
    senders(sid).update(Update({"profile": {"name": "Clinic", "about": "Mind and body"}}))
    profile = senders(sid).update(Update({"profile": {"about": "We listen"}})).profile
    assert (profile["name"], profile["about"], profile["vertical"]) == ("Clinic", "We listen", None)


def test_unknown_sender_is_not_found(client: Client) -> None:
    with pytest.raises(TwilioRestException) as failure:
        client.messaging.v2.channels_senders("XE" + "0" * 32).fetch()
    assert failure.value.code == 20404


@pytest.mark.parametrize("body", [{"webhook": "https://host.example"}, {"profile": ["Clinic"]}])
def test_unfit_update_is_refused(emulator: Emulator, body: dict[str, Any]) -> None:
    sid = emulator.account.senders[SENDER].sid
    answer = emulator.call("POST", f"/messaging/v2/Channels/Senders/{sid}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


NEW = "whatsapp:+14155550177"
SENDERS = "/messaging/v2/Channels/Senders"


def registration(**changed: Any) -> dict[str, Any]:
    return {"sender_id": NEW, "configuration": {"waba_id": WABA_ID}, "profile": {"name": "Clinic"}} | changed


def statuses(client: Client, sid: str) -> list[str]:
    return [client.messaging.v2.channels_senders(sid).fetch().status for _ in range(3)]


def test_number_of_twilios_is_registered_and_comes_online(emulator: Emulator, client: Client) -> None:
    answer = emulator.call("POST", SENDERS, json=registration())
    assert (answer.status_code, answer.json()["status"]) == (201, "CREATING")
    shapes.check(answer.json(), shapes.SENDER)
    assert statuses(client, answer.json()["sid"]) == ["VERIFYING", "ONLINE", "ONLINE"]


def test_other_number_waits_for_the_code_that_was_sent_to_it(emulator: Emulator, client: Client) -> None:
    emulator.control("configure", {"sender_verification": "code"})
    sid = emulator.call("POST", SENDERS, json=registration()).json()["sid"]
    assert statuses(client, sid) == ["PENDING_VERIFICATION"] * 3

    def tell(code: str) -> int:
        body = {"configuration": {"verification_code": code}}
        return emulator.call("POST", f"{SENDERS}/{sid}", json=body).status_code

    assert tell("654321") == 400
    assert tell(VERIFICATION_CODE) == 202
    assert statuses(client, sid) == ["ONLINE"] * 3


@pytest.mark.parametrize(
    "changed",
    [
        {"sender_id": "+14155550177"},
        {"sender_id": FROM},
        {"profile": {}},
        {"profile": {"name": "Clinic", "vertical": "Health"}},
        {"profile": {"name": "Clinic", "logo_url": "http://127.0.0.1:1/logo.png"}},
        {"configuration": {}},
        {"configuration": {"waba_id": "another"}},
    ],
)
def test_unfit_registration_is_refused(changed: dict[str, Any], emulator: Emulator) -> None:
    answer = emulator.call("POST", SENDERS, json=registration(**changed))
    assert (answer.status_code, answer.json()["code"]) == (400, 63100)


def test_logo_is_fetched_and_has_to_be_a_picture(emulator: Emulator, door: Door) -> None:
    sid = emulator.account.senders[SENDER].sid
    body = {"profile": {"logo_url": f"{door.url}/logo"}}
    answer = emulator.call("POST", f"{SENDERS}/{sid}", json=body)  # the door answers without a picture
    assert (answer.status_code, answer.json()["code"]) == (400, 63100)


def test_sender_is_taken_offline_with_its_reasons(emulator: Emulator, client: Client) -> None:
    reasons = [{"code": "63051", "message": "locked", "more_info": "https://www.twilio.com/docs/errors/63051"}]
    emulator.control("senders", {"address": SENDER, "status": "OFFLINE", "offline_reasons": reasons})
    sender = client.messaging.v2.channels_senders(emulator.account.senders[SENDER].sid).fetch()
    assert (sender.status, sender.offline_reasons) == ("OFFLINE", reasons)
