"""The SDK's HTTP client, as the worker threads of one batch use it."""

from typing import Any

from whatsapp.adapters.twilio.credentials import TwilioCredentials
from whatsapp.adapters.twilio.http import client


class Secret:
    """The secret, as it is read."""

    def get(self) -> TwilioCredentials:
        return TwilioCredentials("AC" + "1" * 32, "a" * 32)


SECRET: Any = Secret()


def test_two_messages_never_share_an_http_client() -> None:
    """The SDK returns a response from an attribute of its HTTP client: a thread could read another one's there."""
    one, other = client(SECRET), client(SECRET)
    assert one is not other
    assert one.http_client is not other.http_client
