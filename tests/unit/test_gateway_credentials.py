"""Without credentials nothing goes to Twilio: a message is certainly not sent, and a question has no answer."""

import pytest
from botocore.exceptions import ClientError
from twilio.rest import Client
from whatsapp.adapters.twilio.gateway import TwilioGateway
from whatsapp.domain.address import Address
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import NotSent, OutgoingPost, TwilioUnavailable

EMPTY = MessagingError("account_problem", "Twilio's credentials are missing: fill in the secret whatsapp-twilio")
DOWN = ClientError({"Error": {"Code": "InternalServiceError"}}, "GetSecretValue")


@pytest.mark.parametrize(
    ("error", "why"), [(EMPTY, "fill in the secret whatsapp-twilio"), (DOWN, "no credentials for Twilio (ClientError)")]
)
def test_no_credentials(error: Exception, why: str) -> None:
    def client() -> Client:
        raise error

    gateway = TwilioGateway(client, Address("+14155550100"), "https://us.example")
    posted = gateway.prepare(OutgoingPost(to="+919812345678", body="hello", status_path="/twilio/status/m/a"))()
    assert isinstance(posted, NotSent)
    assert why in posted.detail
    with pytest.raises(TwilioUnavailable) as raised:
        gateway.list_sent_to("+919812345678", 0)
    assert why in str(raised.value)
