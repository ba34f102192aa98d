#!/bin/sh
# Twilio's Python SDK writes an aware datetime with its own clock's hour and a Z behind it.
#
# twilio 9.13.0. `send_at`, and every filter by time such as `messages.list(date_sent_after=…)`, pass through
# twilio.base.serialize, which formats the datetime as it stands and appends "Z". 09:30 in Kolkata becomes 09:30 UTC:
# a message scheduled so goes out five and a half hours late. Convert to UTC before the call.
#
# Seen:
#   2027-01-05 09:30:00+05:30 is sent as 2027-01-05T09:30:00Z
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check twilio==9.13.0
cd "$dir"
venv/bin/python - <<'PROGRAM'
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qs

from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

posted = {}


class Record(HttpClient):
    def __init__(self):
        pass

    def request(self, method, url, params=None, data=None, *args, **kwargs):
        posted.update(data or params)
        return Response(201, '{"sid": "SM' + "0" * 32 + '", "date_created": null}')


at = datetime(2027, 1, 5, 9, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
client = Client("AC" + "0" * 32, "token", http_client=Record())
client.messages.create(
    to="whatsapp:+910000000000",
    messaging_service_sid="MG" + "0" * 32,
    content_sid="HX" + "0" * 32,
    schedule_type="fixed",
    send_at=at,
)
print(f"{at} is sent as {posted['SendAt']}")
assert posted["SendAt"] == "2027-01-05T09:30:00Z"
assert at.astimezone(UTC).strftime("%H:%M") == "04:00"
PROGRAM
