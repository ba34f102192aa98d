"""The SDK's HTTP client, as the worker threads of one batch use it."""

from whatsapp.adapters.twilio.credentials import TwilioCredentials
from whatsapp.adapters.twilio.http import client

CREDENTIALS = TwilioCredentials("AC" + "1" * 32, "a" * 32)


def test_two_messages_never_share_an_http_client() -> None:
    """The SDK returns a response from an attribute of its HTTP client: a thread could read another one's there."""
    one, other = client(CREDENTIALS), client(CREDENTIALS)
    assert one is not other
    assert one.http_client is not other.http_client
