"""The Senders API: a sender's webhooks and business profile."""

from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client
from twilio.rest.messaging.v2.channels_sender import ChannelsSenderList

from tests.unit.twilio_emulator import shapes
from tests.unit.twilio_emulator.kit import FROM, PATIENT, SENDER, Door, Emulator

Update = ChannelsSenderList.MessagingV2ChannelsSenderRequestsUpdate


def test_sender_is_listed_and_fetched_by_its_sid(emulator: Emulator, client: Client) -> None:
    senders = client.messaging.v2.channels_senders.list(channel="whatsapp")
    sender = next(sender for sender in senders if sender.sender_id == FROM)
    assert client.messaging.v2.channels_senders(sender.sid).fetch().status == "ONLINE"
    page = emulator.call("GET", "/messaging/v2/Channels/Senders", params={"Channel": "whatsapp"}).json()
    shapes.check(page, shapes.page_meta("senders", shapes.SENDER))


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
