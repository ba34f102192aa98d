"""The events that are measured, signed as Twilio signs them."""

import json
import random
import time
from base64 import b64encode
from typing import Any
from urllib.parse import urlencode, urlsplit

from local.artifacts import ROOT
from local.sample_events import prepare
from tests.app import SENDER
from tests.performance.outside import ACCOUNT_SID, AUTH_TOKEN, PUBLIC_URL

STACK = {"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN, "public_url": PUBLIC_URL, "from_address": SENDER}


def inbound(seed: str) -> Any:
    """A text message of a patient's; the same seed gives the same sid and number."""
    sid, patient = _identity(seed)
    form = {
        "MessageSid": sid,
        "SmsSid": sid,
        "From": f"whatsapp:{patient}",
        "Body": "Can I come an hour later?",
        "NumMedia": "0",
        "ProfileName": "Asha",
        "WaId": patient[1:],
    }
    return _webhook("text", form)


def callback(url: str, twilio_sid: str, status: str) -> Any:
    """A status callback to the URL that our POST named."""
    form = {"MessageSid": twilio_sid, "SmsSid": twilio_sid, "MessageStatus": status, "SmsStatus": status}
    path = urlsplit(url).path
    event = _webhook("status_delivered", form | {"To": "whatsapp:+919600000000"}, rawPath=path)
    message_id, attempt = path.split("/")[-2:]
    return event | {"pathParameters": {"message_id": message_id, "attempt": attempt}}


def request(seed: str) -> Any:
    """A follow-up, invoked directly."""
    _, patient = _identity(seed)
    variables = {"patient_name": "Asha", "therapist_name": "Dr. Rao", "session_date": "2026-11-24"}
    return {"to": patient, "template": "follow_up", "variables": variables, "idempotency_key": seed}


def batch(seed: str, size: int = 10) -> Any:
    """Queue messages, each to somebody else."""
    return {"Records": [_queue_message(request(f"{seed}-{number}")) for number in range(size)]}


def _queue_message(body: Any) -> Any:
    attributes = {"SentTimestamp": str(int(time.time() * 1000))}
    key = body["idempotency_key"]
    return {"messageId": key, "receiptHandle": "none", "body": json.dumps(body), "attributes": attributes}


def _identity(seed: str) -> tuple[str, str]:
    numbers = random.Random(seed)
    return f"SM{numbers.getrandbits(128):032x}", f"+9196{numbers.randrange(10**8):08}"


def _webhook(sample: str, form: dict[str, str], **more: str) -> Any:
    event = json.loads((ROOT / "events" / "webhook" / f"{sample}.json").read_text())
    return prepare(event | {"body": b64encode(urlencode(form).encode()).decode()} | more, STACK)
