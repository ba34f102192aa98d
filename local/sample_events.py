"""Makes a sample event fit the stack it is run on: Twilio's webhooks are for one account and signed with its token."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
from whatsapp.testing import sign

PLACEHOLDER = "signed by local/sample_events.py"
"""What stands in a sample for the signature."""


def prepare(event: Any, stack: Mapping[str, Any]) -> Any:
    """The event as Twilio would send it to this stack. What is no sample of a webhook comes back as it is.

    Args:
        event: a sample out of `events/`.
        stack: the stack's description, as in `.local/stack.json`.
    """
    headers = event.get("headers") if isinstance(event, dict) else None
    if not headers or headers.get("x-twilio-signature") != PLACEHOLDER:
        return event
    form = dict(parse_qsl(base64.b64decode(event["body"]).decode(), keep_blank_values=True))
    form["AccountSid"] = stack["account_sid"]
    form["To" if event["rawPath"] == "/twilio/inbound" else "From"] = f"whatsapp:{stack['from_address']}"
    signature = sign(stack["auth_token"], stack["public_url"] + event["rawPath"], form)
    body = base64.b64encode(urlencode(form).encode()).decode()
    return {**event, "headers": {**headers, "x-twilio-signature": signature}, "body": body}


def open_window(event: Any, stack: Mapping[str, Any]) -> None:
    """Tell the emulated Twilio that the patient of this webhook has written. Any other event changes nothing.

    Otherwise Twilio would not know of a message that a sample alone brings, and refuse the answer.
    """
    if not isinstance(event, dict) or event.get("rawPath") != "/twilio/inbound":
        return
    patient = dict(parse_qsl(base64.b64decode(event["body"]).decode()))["From"]
    control = f"{stack['twilio_url']}/_emulator/window"
    httpx.post(control, json={"address": patient, "open": True}, trust_env=False, timeout=10).raise_for_status()
