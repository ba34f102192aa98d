"""For the tests of an orchestrator: events as the bus delivers them, and webhooks as Twilio signs them.

    from whatsapp.bus_events import MessageReceived
    from whatsapp.testing import sample, sqs_batch

    def test_a_patient_confirms():
        tap = {"text": "Confirm", "payload": "agent:scheduling:confirm"}
        batch = sqs_batch(sample(MessageReceived, kind="button", text="Confirm", button=tap))
        assert lambda_handler(batch, None) == {"batchItemFailures": []}

It needs `bus_events.py` beside it.
"""

import hmac
import json
import uuid
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any
from urllib.parse import urlencode

from whatsapp.bus_events import Event

_VALUES: dict[str, Any] = {
    "address": "+919812345678",
    "agent": "scheduling",
    "answer_by": "2026-11-24T12:00:00+05:30",
    "contact_id": "c5b1d0a84e1f4a27",
    "content_sid": "HX" + "0" * 32,
    "index": 0,
    "kind": "text",
    "language": "en",
    "occurred_at": "2026-11-24T12:00:00+05:30",
    "template": "session_reminder",
    "template_version": "en#0a1b2c3d",
    "text": "Hello",
    "window_expires_at": "2026-11-25T12:00:00+05:30",
}
_STATUS = {
    "message.media_stored": "stored",
    "message.status_changed": "delivered",
    "template.status_changed": "approved",
}


def sample(event: type[Event], **values: Any) -> dict[str, Any]:
    """An event of EventBridge, with the given fields in its `detail`, and plausible ones for what must be there.

    Each is another event, with an `event_id` and `message_id` of its own, unless you say which.

    Raises:
        TypeError: the event has no such field.
    """
    sid = f"SM{uuid.uuid4().hex}"
    known = {**_VALUES, "event_id": sid, "message_id": sid, "status": _STATUS.get(event.detail_type)}
    detail: dict[str, Any] = {}
    for field in fields(event):
        if field.name in values:
            detail[field.name] = values.pop(field.name)
        elif field.name in ("address", "agent", "contact_id") or field.default is field.default_factory is MISSING:
            detail[field.name] = known[field.name]
        else:
            detail[field.name] = field.default if field.default is not MISSING else []
    if values:
        raise TypeError(f"{event.__name__} has no field {', '.join(values)}")
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": event.detail_type,
        "source": "whatsapp",
        "account": "123456789012",
        "time": "2026-11-24T06:30:00Z",
        "region": "ap-south-1",
        "resources": [],
        "detail": detail,
    }


def sqs_batch(*events: Mapping[str, Any]) -> dict[str, Any]:
    """A batch as Lambda gets it from the queue to which a rule brings these events."""
    records = [
        {"messageId": str(uuid.uuid4()), "body": json.dumps(event), "eventSource": "aws:sqs"} for event in events
    ]
    return {"Records": records}


def sign(key: str, url: str, form: Mapping[str, str], algorithm: str = "sha1") -> str:
    """X-Twilio-Signature of a form: base64 of an HMAC over the URL and every parameter in order of its name.

    `key`: the auth token, or with `sha256` the secret of a shared key.

    Source: www.twilio.com/docs/usage/webhooks/webhooks-security.
    """
    text = url + "".join(name + form[name] for name in sorted(form))
    return b64encode(hmac.digest(key.encode(), text.encode(), algorithm)).decode()


def signed_webhook(auth_token: str, url: str, form: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
    """Headers and body of a POST to `url` (`…/twilio/inbound`) that the webhook function takes for Twilio's."""
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "X-Twilio-Signature": sign(auth_token, url, form),
    }
    return headers, urlencode(form).encode()
