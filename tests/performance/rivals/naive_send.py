"""What most people would write: Twilio's SDK in a loop. Prints how long ten messages take, as JSON."""

import json
import os
import time

from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client


class Stub(TwilioHttpClient):  # type: ignore[misc]  # the SDK ships no types
    """The SDK's own client, with a server of ours in Twilio's place."""

    def request(self, method, url, *args, **kwargs):  # type: ignore[no-untyped-def]  # as the SDK calls it
        return super().request(
            method, url.replace("https://api.twilio.com", os.environ["TWILIO_BASE_URL"]), *args, **kwargs
        )


def send_ten(client: Client) -> None:
    """Ten messages, one after the other."""
    for number in range(10):
        client.messages.create(
            to=f"whatsapp:+9197{10_000_000 + number}",
            from_="whatsapp:+14155550100",
            content_sid="HX" + "0" * 32,
            content_variables=json.dumps({"1": "Asha", "2": "Dr. Rao"}),
        )


if __name__ == "__main__":
    client = Client("AC" + "0" * 32, "token", http_client=Stub())
    send_ten(client)  # warm
    start, cpu = time.perf_counter(), time.process_time()
    send_ten(client)
    print(json.dumps({"ms": (time.perf_counter() - start) * 1000, "cpu": time.process_time() - cpu}))
