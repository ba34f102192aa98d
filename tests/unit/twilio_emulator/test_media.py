"""Media both ways: inbound ones behind credentials that must not reach the second host, outbound ones fetched."""

from base64 import b64encode
from urllib.parse import urlsplit

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client
from whatsapp.adapters.twilio.gateway import TwilioGateway
from whatsapp.domain.address import Address
from whatsapp.domain.ports import Accepted, OutgoingPost

from tests.unit.twilio_emulator import shapes
from tests.unit.twilio_emulator.kit import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    FROM,
    PATIENT,
    TO,
    Door,
    Emulator,
    eventually,
)

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


def receive_picture(emulator: Emulator) -> tuple[str, str]:
    """A patient sends a picture; the message's sid and the emulator's path for its MediaUrl0."""
    picture = {"content_type": "image/png", "base64": b64encode(PNG).decode()}
    sid = emulator.control("inbound", {"from": PATIENT, "media": [picture]})["message_sid"]
    [message] = emulator.control("state")["messages"]
    url = message["params"]["MediaUrl0"]
    assert url.startswith(f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{sid}/Media/ME")
    return sid, "/api" + urlsplit(url).path


def test_medium_comes_from_another_host_that_sees_no_credentials(emulator: Emulator) -> None:
    _, path = receive_picture(emulator)
    redirect = emulator.call("GET", path)
    assert redirect.status_code == 307
    target = urlsplit(redirect.headers["Location"])
    assert target.netloc != urlsplit(emulator.url).netloc
    fetched = emulator.http.get(redirect.headers["Location"])
    assert (fetched.content, fetched.headers["Content-Type"]) == (PNG, "image/png")
    assert [each["credentials_leaked"] for each in emulator.control("state")["media_requests"]] == [False]


def test_ordinary_client_keeps_credentials_from_the_other_host(emulator: Emulator) -> None:
    _, path = receive_picture(emulator)
    answer = requests.get(emulator.url + path, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5)
    assert answer.content == PNG
    assert [each["credentials_leaked"] for each in emulator.control("state")["media_requests"]] == [False]


def test_leaked_credentials_are_noticed(emulator: Emulator) -> None:
    _, path = receive_picture(emulator)
    location = emulator.call("GET", path).headers["Location"]
    emulator.http.get(location, auth=(ACCOUNT_SID, AUTH_TOKEN))
    assert [each["credentials_leaked"] for each in emulator.control("state")["media_requests"]] == [True]


def test_medium_needs_credentials(emulator: Emulator) -> None:
    _, path = receive_picture(emulator)
    assert emulator.http.get(emulator.url + path).status_code == 401


def test_media_are_listed_fetched_and_deleted(emulator: Emulator, client: Client) -> None:
    sid, path = receive_picture(emulator)
    [medium] = client.messages(sid).media.list()
    assert (medium.content_type, medium.parent_sid) == ("image/png", sid)
    fetched = client.messages(sid).media(medium.sid).fetch()
    assert (fetched.content_type, fetched.parent_sid) == ("image/png", sid)
    shapes.check(emulator.call("GET", f"{path}.json").json(), shapes.MEDIUM)
    base = path.rpartition("/")[0]
    shapes.check(emulator.call("GET", f"{base}.json").json(), shapes.page_2010("media_list", shapes.MEDIUM))
    assert client.messages(sid).fetch().num_media == "1"
    assert client.messages(sid).media(medium.sid).delete()
    with pytest.raises(TwilioRestException) as failure:
        client.messages(sid).media(medium.sid).fetch()
    assert failure.value.code == 20404
    assert emulator.call("GET", path).status_code == 404


def test_medium_outlives_its_message(emulator: Emulator, client: Client) -> None:
    sid, path = receive_picture(emulator)
    client.messages(sid).delete()
    assert emulator.call("GET", path).status_code == 307


def test_page_can_show_a_medium(emulator: Emulator) -> None:
    receive_picture(emulator)
    [message] = emulator.control("state")["messages"]
    shown = emulator.http.get(f"{emulator.url}/_emulator/media/{message['media'][0]['sid']}")
    assert (shown.content, shown.headers["Content-Type"]) == (PNG, "image/png")


def test_outbound_medium_is_fetched_and_kept(emulator: Emulator, client: Client, door: Door) -> None:
    emulator.open_window()
    door.media["/map.png"] = (200, "image/png", PNG)
    message = client.messages.create(to=TO, from_=FROM, media_url=[f"{door.url}/map.png"], body="how to find us")
    assert (message.sid[:2], message.num_media) == ("MM", "1")
    eventually(lambda: client.messages(message.sid).fetch().status == "read")
    assert [medium.content_type for medium in client.messages(message.sid).media.list()] == ["image/png"]


@pytest.mark.parametrize(
    ("content_type", "shown"),
    [("image/png", "how to find us"), ("image/webp", ""), ("application/pdf", ""), ("audio/ogg", "")],
)
def test_words_arrive_beside_a_picture_only(
    emulator: Emulator, client: Client, door: Door, content_type: str, shown: str
) -> None:
    emulator.open_window()
    door.media["/file"] = (200, content_type, PNG)
    message = client.messages.create(to=TO, from_=FROM, media_url=[f"{door.url}/file"], body="how to find us")
    eventually(lambda: client.messages(message.sid).fetch().status == "read")
    [seen] = emulator.control("state")["messages"]
    assert seen["rendered"]["body"] == shown
    assert client.messages(message.sid).fetch().body == "how to find us"


def test_a_file_goes_alone(emulator: Emulator, client: Client, door: Door) -> None:
    emulator.open_window()
    door.media["/note.ogg"] = (200, "audio/ogg", b"OggS")
    post = OutgoingPost(to=PATIENT, media_url=f"{door.url}/note.ogg", status_path="/twilio/status/m/a")
    sent = TwilioGateway(lambda: client, Address(FROM.removeprefix("whatsapp:")), door.url).prepare(post)()
    assert isinstance(sent, Accepted)
    eventually(lambda: client.messages(sent.twilio_sid).fetch().status == "read")
    [medium] = client.messages(sent.twilio_sid).media.list()
    assert medium.content_type == "audio/ogg"


def test_media_template_fills_its_url(emulator: Emulator, client: Client, door: Door) -> None:
    door.media["/map-7.png"] = (200, "image/png", PNG)
    types = {"twilio/media": {"body": "How to find us", "media": [f"{door.url}/map-{{{{1}}}}.png"]}}
    sid = emulator.template(client, types=types, variables={"1": "1"})
    message = client.messages.create(to=TO, from_=FROM, content_sid=sid, content_variables='{"1": "7"}')
    eventually(lambda: client.messages(message.sid).fetch().status == "read")
