"""What a patient's message brings about, on the embedded stack: media, erasing, and what Twilio is asked for."""

import base64
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from whatsapp.adapters.twilio.credentials import TwilioCredentials
from whatsapp.adapters.twilio.gateway import TwilioGateway
from whatsapp.adapters.twilio.http import Connections, client
from whatsapp.domain.address import Address
from whatsapp.domain.ports import TwilioUnavailable

from local.artifacts import ROOT
from tests.fakes import FrozenClock
from tests.product import Product, eventually

PICTURE = (ROOT / "local" / "phone" / "samples" / "picture.png").read_bytes()
MEDIA = [{"content_type": "image/png", "base64": base64.b64encode(PICTURE).decode()}]


@pytest.fixture
def gateway(product: Product) -> TwilioGateway:
    """The real adapter, towards the emulated Twilio."""
    stack = product.stack.describe()
    credentials = TwilioCredentials(stack["account_sid"], stack["auth_token"])
    sender = Address.parse(stack["from_address"])
    secret: Any = SimpleNamespace(get=lambda: credentials)
    connections = Connections(FrozenClock())
    return TwilioGateway(lambda: client(secret, connections, stack["twilio_url"]), sender, stack["public_url"])


def test_medium_reaches_the_bucket_and_its_link_reads_it(product: Product, patient: str) -> None:
    sid = product.write(patient, "my arm", media=MEDIA)["message_sid"]
    (stored,) = eventually(lambda: product.events(event_id=f"{sid}#media#0"))
    assert (stored["detail"]["status"], stored["detail"]["content_type"]) == ("stored", "image/png")
    (received,) = product.events(event_id=sid)
    assert received["detail"]["to"] == product.stack.describe()["from_address"]
    page = product.api("GET", f"/contacts/{stored['detail']['contact_id']}/conversation").json()
    (message,) = page["messages"]
    assert httpx.get(message["media"][0]["url"]).content == PICTURE
    assert patient not in message["media"][0]["url"]
    seen = product.twilio("state")["media_requests"]
    assert seen
    assert not any(request["credentials_leaked"] for request in seen)


def test_erased_everywhere(product: Product, patient: str, gateway: TwilioGateway) -> None:
    sid = product.write(patient, "my arm hurts", media=MEDIA)["message_sid"]
    (stored,) = eventually(lambda: product.events(event_id=f"{sid}#media#0"))
    contact_id = stored["detail"]["contact_id"]
    answer = product.api("DELETE", f"/contacts/{contact_id}")
    assert (answer.status_code, answer.json()["status"]) == (202, "erasing")
    (left,) = product.api("GET", f"/contacts/{contact_id}/conversation").json()["messages"]
    assert (left["message_id"], left.get("text"), left["media"]) == (sid, None, [])
    assert "address" not in product.contact(contact_id)
    assert gateway.fetch(sid) is None
    assert gateway.media_of(sid) == []  # the emulated Twilio keeps a deleted message's media, as one of its pages says
    bucket = product.stack.outputs["MediaBucketName"]
    assert product.stack.aws("s3").list_objects_v2(Bucket=bucket, Prefix=f"media/{contact_id}/").get("KeyCount") == 0


def test_reconcile_finds_nothing_where_nothing_is_missing(product: Product, patient: str) -> None:
    product.write(patient, "hello")
    found = product.stack.invoke("WebhookFunctionName", {"task": "reconcile"})
    assert (found["backfilled"], found["unanswered"]) == (0, 0)


def test_what_patients_wrote_is_listed_newest_first_and_what_we_sent_is_not(
    product: Product, patient: str, gateway: TwilioGateway
) -> None:
    sent = product.remind(patient)["twilio_sid"]
    sids = [product.write(patient, text)["message_sid"] for text in ("one", "two 👍")]
    listed = [one for one in gateway.list_received(0) if one.from_ == patient]
    assert [one.twilio_sid for one in listed] == sids[::-1]
    assert (listed[0].body, listed[0].direction) == ("two 👍", "inbound")
    assert sent not in [one.twilio_sid for one in gateway.list_received(0)]
    assert list(gateway.list_received(listed[0].date_created + 60_000)) == []


def test_media_of_a_message_go_with_it(product: Product, patient: str, gateway: TwilioGateway) -> None:
    sid = product.write(patient, "", media=MEDIA)["message_sid"]
    (medium,) = gateway.media_of(sid)
    assert medium.content_type == "image/png"
    assert medium.url is not None
    assert medium.url.startswith("https://api.twilio.com/2010-04-01/Accounts/")
    gateway.delete(sid)
    gateway.delete(sid)
    assert gateway.fetch(sid) is None
    assert gateway.media_of(sid) == []


def test_twilio_that_answers_wrong_is_unavailable_and_its_error_names_no_number(
    product: Product, patient: str, gateway: TwilioGateway
) -> None:
    sid = product.write(patient, "hello")["message_sid"]
    product.twilio("faults", {"kind": "http_500", "times": 1, "match": {"path": sid}})
    with pytest.raises(TwilioUnavailable) as told:
        gateway.fetch(sid)
    assert patient not in repr(told.value)
    assert told.value.__suppress_context__


def test_two_patients_share_a_phone(product: Product, patient: str) -> None:
    """A tap is its message's patient's, although another one of the household was written to since."""
    rohan = product.remind(patient, user_id="rohan", agent="reminders")
    sid = product.when(rohan["message_id"], "read")["twilio_sid"]
    asked = product.write(patient, "And my own session?")["message_sid"]
    product.send(to=patient, text="Yours is at six", in_reply_to=asked, user_id="meera", agent="scheduling")
    tap = {"text": "Confirm", "payload": "confirm"}
    tapped = product.write(patient, "Confirm", button=tap, reply_to=sid)["message_sid"]
    (event,) = eventually(lambda: product.events(event_id=tapped))
    assert (event["detail"]["user_id"], event["detail"]["agent"]) == ("rohan", "reminders")
    assert event["detail"]["in_reply_to"]["message_id"] == rohan["message_id"]


def test_household_that_answers_no_message_is_listed(product: Product, patient: str) -> None:
    product.remind(patient, user_id="rohan")
    asked = product.write(patient, "Whose is that?")["message_sid"]
    product.send(to=patient, text="Rohan's", in_reply_to=asked, user_id="meera")
    said = product.write(patient, "Fine")["message_sid"]
    (event,) = eventually(lambda: product.events(event_id=said))
    assert (event["detail"]["user_id"], event["detail"]["user_ids"]) == (None, ["meera", "rohan"])


def test_patient_whose_number_is_hidden_is_answered_where_twilio_takes_ids(product: Product, patient: str) -> None:
    hidden = f"IN.134{patient[1:]}"
    product.twilio("patients", {"address": patient, "external_user_id": hidden})
    asked = product.write(hidden, "Is it at five?")["message_sid"]
    try:
        product.twilio("configure", {"messages_to_scoped_ids": True})
        assert product.send(to=hidden, text="Yes", in_reply_to=asked)["status"] == "sent"
        product.twilio("configure", {"messages_to_scoped_ids": False})
        refused = product.send(to=hidden, text="At five", in_reply_to=asked)
        assert (refused["status"], refused["error"]["code"]) == ("failed", "number_hidden")
        assert refused["error"]["twilio_code"] == 21211
        again = product.api("POST", "/messages", {"to": hidden, "text": "At five", "in_reply_to": asked})
        assert (again.status_code, again.json()["error"]["code"]) == (400, "number_hidden")
        assert [one["body"] for one in product.ledger(hidden) if one["direction"] != "inbound"] == ["Yes"]
    finally:
        product.twilio("configure", {"messages_to_scoped_ids": False})
        product.twilio_answers()


def test_words_of_danger_alert_until_somebody_acknowledges(product: Product, patient: str) -> None:
    sid = product.write(patient, "I want to end my life")["message_sid"]
    (received,) = eventually(lambda: product.events(event_id=sid))
    assert received["detail"]["safety"] == {"phrase_id": "suicide", "language": "en"}
    (alert,) = eventually(lambda: product.alerts(sid))
    contact_id = received["detail"]["contact_id"]
    assert f"Contact:  {contact_id}" in alert
    assert "end my life" not in alert
    assert patient not in alert
    for was_open in (True, False):
        answer = product.api("POST", f"/contacts/{contact_id}/acknowledge")
        assert (answer.status_code, answer.json()) == (200, {"contact_id": contact_id, "was_open": was_open})
