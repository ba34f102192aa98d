"""The shortest way through everything: a template is approved, sent, delivered, read and answered."""

from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.rest.content.v1.content import ContentList
from twilio.rest.content.v1.content.approval_create import ApprovalCreateList

from tests.unit.twilio_emulator.kit import AUTH_TOKEN, FROM, PATIENT, TO, Door, Emulator, eventually


def test_template_is_approved_sent_read_and_answered(emulator: Emulator, client: Client, door: Door) -> None:
    content = client.content.v1.contents.create(
        ContentList.ContentCreateRequest(
            {
                "friendly_name": "hello",
                "language": "en",
                "variables": {"1": "Asha"},
                "types": {"twilio/text": {"body": "Hello {{1}}, see you soon."}},
            }
        )
    )
    client.content.v1.contents(content.sid).approval_create.create(
        ApprovalCreateList.ContentApprovalRequest({"name": "hello", "category": "UTILITY"})
    )
    emulator.control(f"templates/{content.sid}/review", {"status": "approved"})
    approval = client.content.v1.contents(content.sid).approval_fetch().fetch()
    assert approval.whatsapp["status"] == "approved"

    message = client.messages.create(
        to=TO,
        from_=FROM,
        content_sid=content.sid,
        content_variables='{"1": "Ravi"}',
        status_callback=f"{door.url}/status",
    )
    assert (message.status, message.body) == ("queued", "")
    eventually(lambda: door.statuses() == ["sent", "delivered", "read"])
    callback = door.received[-1]
    assert RequestValidator(AUTH_TOKEN).validate(
        f"{door.url}/status", callback.form, callback.headers["X-Twilio-Signature"]
    )
    assert client.messages(message.sid).fetch().status == "read"

    emulator.control("configure", {"inbound_url": f"{door.url}/inbound"})
    answer = emulator.control("inbound", {"from": PATIENT, "body": "நன்றி 🙏"})
    assert answer["http_status"] == 204
    assert door.received[-1].form["Body"] == "நன்றி 🙏"
    assert client.messages.create(to=TO, from_=FROM, body="You are welcome").status == "queued"
    assert [entry["direction"] for entry in emulator.ledger()] == ["outbound-api", "inbound", "outbound-api"]
