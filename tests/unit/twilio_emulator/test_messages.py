"""The Messages API as Twilio's own SDK drives it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tests.unit.twilio_emulator import shapes
from tests.unit.twilio_emulator.kit import (
    ACCOUNT_SID,
    API_KEY,
    API_SECRET,
    FROM,
    MESSAGES,
    TO,
    Door,
    Emulator,
    eventually,
)

SERVICE = "MG" + "3" * 32


def test_created_message_has_every_field_of_twilios_schema(emulator: Emulator, client: Client) -> None:
    template = emulator.template(client)
    answer = emulator.create_message(ContentSid=template, ContentVariables=json.dumps({"1": "रवि"}))
    assert answer.status_code == 201
    message = answer.json()
    shapes.check(message, shapes.MESSAGE)
    assert (message["status"], message["body"], message["num_media"]) == ("queued", "", "0")
    assert (message["to"], message["from"], message["direction"]) == (TO, FROM, "outbound-api")


def test_fetch_follows_the_message(emulator: Emulator, client: Client) -> None:
    sid = client.messages.create(to=TO, from_=FROM, content_sid=emulator.template(client)).sid
    eventually(lambda: client.messages(sid).fetch().status == "read")
    fetched = client.messages(sid).fetch()
    assert fetched.date_sent >= fetched.date_created
    assert fetched.error_code is None
    shapes.check(emulator.call("GET", f"{MESSAGES[:-5]}/{sid}.json").json(), shapes.MESSAGE)


def test_list_pages_through_everything_newest_first(emulator: Emulator, client: Client) -> None:
    emulator.open_window()
    sids = [client.messages.create(to=TO, from_=FROM, body=f"{number}").sid for number in range(7)]
    assert [message.sid for message in client.messages.list(page_size=3)] == sids[::-1]
    page = emulator.call("GET", MESSAGES, params={"PageSize": 3}).json()
    shapes.check(page, shapes.page_2010("messages", shapes.MESSAGE))
    assert (page["start"], page["end"], page["page_size"], page["previous_page_uri"]) == (0, 2, 3, None)


def test_page_stays_where_it_was_when_new_messages_arrive(emulator: Emulator, client: Client) -> None:
    emulator.open_window()
    sids = [client.messages.create(to=TO, from_=FROM, body=f"{number}").sid for number in range(4)]
    first = client.messages.page(page_size=2)
    client.messages.create(to=TO, from_=FROM, body="later")
    second = first.next_page()
    assert [message.sid for message in second] == [sids[1], sids[0]]
    assert [message.sid for message in second.previous_page()] == [sids[3], sids[2]]


def test_page_goes_on_although_the_message_beside_it_was_deleted(emulator: Emulator, client: Client) -> None:
    emulator.open_window()
    sids = [client.messages.create(to=TO, from_=FROM, body=f"{number}").sid for number in range(5)]
    first = client.messages.page(page_size=2)
    assert client.messages(sids[3]).delete()
    second = first.next_page()
    assert [message.sid for message in second] == [sids[2], sids[1]]
    assert client.messages(sids[2]).delete()
    assert [message.sid for message in second.previous_page()] == [sids[4]]


def test_list_filters_by_address_and_date(emulator: Emulator, client: Client) -> None:
    other = "whatsapp:+919900000001"
    emulator.control("configure", {"status_delays_ms": {"sent": 0}})
    mine = client.messages.create(to=TO, from_=FROM, content_sid=emulator.template(client)).sid
    theirs = client.messages.create(to=other, from_=FROM, content_sid=emulator.template(client)).sid
    assert [message.sid for message in client.messages.list(to=other)] == [theirs]
    assert [message.sid for message in client.messages.list(from_=TO)] == []
    eventually(lambda: client.messages(theirs).fetch().date_sent and client.messages(mine).fetch().date_sent)
    today, tomorrow = datetime.now(UTC).date(), datetime.now(UTC).date() + timedelta(days=1)
    assert len(client.messages.list(date_sent=today)) == 2
    assert client.messages.list(date_sent_after=tomorrow) == []
    assert len(client.messages.list(date_sent_before=datetime.now(UTC) + timedelta(seconds=1))) == 2


def test_message_not_yet_sent_passes_no_date_filter(emulator: Emulator, client: Client) -> None:
    emulator.control("configure", {"status_delays_ms": {"sent": 60_000}})
    client.messages.create(to=TO, from_=FROM, content_sid=emulator.template(client))
    assert len(client.messages.list(to=TO)) == 1
    assert client.messages.list(date_sent_after=datetime.now(UTC) - timedelta(days=1)) == []


def test_redaction_empties_the_body_but_not_the_ledger(emulator: Emulator, client: Client) -> None:
    emulator.open_window()
    sid = client.messages.create(to=TO, from_=FROM, body="about my mood").sid
    assert client.messages(sid).update(body="").body == ""
    assert client.messages(sid).fetch().body == ""
    assert emulator.ledger()[0]["body"] == "about my mood"


def test_deleted_message_is_gone_from_twilio_but_not_from_the_ledger(emulator: Emulator, client: Client) -> None:
    emulator.open_window()
    sid = client.messages.create(to=TO, from_=FROM, body="hello").sid
    assert client.messages(sid).delete()
    with pytest.raises(TwilioRestException) as failure:
        client.messages(sid).fetch()
    assert (failure.value.status, failure.value.code) == (404, 20404)
    assert client.messages.list() == []
    assert [entry["sid"] for entry in emulator.ledger()] == [sid]


def test_scheduled_message_waits_for_its_hour(emulator: Emulator, client: Client, door: Door) -> None:
    emulator.control("configure", {"messaging_services": {SERVICE: ["+14155550100"]}})
    message = client.messages.create(
        to=TO,
        messaging_service_sid=SERVICE,
        content_sid=emulator.template(client),
        schedule_type="fixed",
        send_at=datetime.now(UTC) + timedelta(minutes=20),
        status_callback=door.url,
    )
    assert (message.status, message.from_) == ("scheduled", None)
    assert door.received == []
    emulator.control("clock", {"advance_seconds": 1201})
    eventually(lambda: door.heard("queued", "sent", "delivered", "read"))
    assert client.messages(message.sid).fetch().from_ == FROM


def test_scheduled_message_can_be_canceled(emulator: Emulator, client: Client, door: Door) -> None:
    emulator.control("configure", {"messaging_services": {SERVICE: ["+14155550100"]}})
    message = client.messages.create(
        to=TO,
        messaging_service_sid=SERVICE,
        content_sid=emulator.template(client),
        schedule_type="fixed",
        send_at=datetime.now(UTC) + timedelta(minutes=20),
        status_callback=door.url,
    )
    assert client.messages(message.sid).update(status="canceled").status == "canceled"
    emulator.control("clock", {"advance_seconds": 1201})
    eventually(lambda: door.heard("canceled"))


def test_sent_message_cannot_be_canceled(emulator: Emulator, client: Client) -> None:
    sid = client.messages.create(to=TO, from_=FROM, content_sid=emulator.template(client)).sid
    eventually(lambda: client.messages(sid).fetch().status == "read")
    with pytest.raises(TwilioRestException) as failure:
        client.messages(sid).update(status="canceled")
    assert failure.value.status == 400


def test_messaging_service_accepts_first_and_chooses_a_sender(emulator: Emulator, client: Client, door: Door) -> None:
    emulator.control("configure", {"messaging_services": {SERVICE: ["+14155550100"]}})
    message = client.messages.create(
        to=TO, messaging_service_sid=SERVICE, content_sid=emulator.template(client), status_callback=door.url
    )
    assert (message.status, message.from_, message.messaging_service_sid) == ("accepted", None, SERVICE)
    eventually(lambda: door.heard("queued", "sent", "delivered", "read"))
    assert {request.form["MessagingServiceSid"] for request in door.received} == {SERVICE}


def test_messaging_service_with_a_named_sender_has_nothing_to_choose(
    emulator: Emulator, client: Client, door: Door
) -> None:
    emulator.control("configure", {"messaging_services": {SERVICE: ["+14155550100"]}})
    both = {"to": TO, "from_": FROM, "messaging_service_sid": SERVICE, "content_sid": emulator.template(client)}
    message = client.messages.create(**both, status_callback=door.url)
    assert (message.status, message.from_, message.messaging_service_sid) == ("queued", FROM, SERVICE)
    eventually(lambda: door.heard("sent", "delivered", "read"))
    soon = datetime.now(UTC) + timedelta(minutes=20)
    scheduled = client.messages.create(**both, schedule_type="fixed", send_at=soon)
    assert (scheduled.status, scheduled.from_) == ("scheduled", FROM)


def test_unknown_messaging_service_is_refused_although_the_sender_is_named(emulator: Emulator) -> None:
    answer = emulator.create_message(MessagingServiceSid=SERVICE, Body="hi")
    assert (answer.status_code, answer.json()["code"]) == (400, 21701)


def test_api_key_is_as_good_as_the_auth_token(emulator: Emulator) -> None:
    assert emulator.client(API_KEY, API_SECRET, ACCOUNT_SID).messages.list() == []


def test_another_accounts_messages_are_not_found(emulator: Emulator) -> None:
    answer = emulator.call("GET", MESSAGES.replace(ACCOUNT_SID, "AC" + "9" * 32))
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)


def test_unknown_path_answers_in_twilios_shape(emulator: Emulator) -> None:
    answer = emulator.call("GET", "/api/2010-04-01/Nowhere.json")
    assert answer.status_code == 404
    shapes.check(answer.json(), shapes.ERROR)
    assert "/2010-04-01/Nowhere.json" in answer.json()["message"]
