"""A patient writes: the webhook that Twilio sends for it, signed.

Source: https://www.twilio.com/docs/messaging/guides/webhook-request, with the extra fields seen in captures.
"""

import json
import time
from base64 import b64decode
from datetime import UTC, datetime
from typing import Any

from local.twilio.callbacks import Caller
from local.twilio.state import API_VERSION, CHANNEL, Account, Medium, Message, bare, new_sid


class Inbound:
    def __init__(self, account: Account, caller: Caller) -> None:
        self._account = account
        self._caller = caller

    async def receive(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take in a message as WhatsApp would, call the sender's webhook, and say what it answered.

        Raises:
            ValueError: `from` is missing, or `to` is no sender of this account.
        """
        message = self._message(body)
        self._account.open_window(message.patient, message.sender)
        self._account.accept(message)
        url = self._account.senders[message.sender].webhook.get("callback_url")
        if not url:
            return {
                "message_sid": message.sid,
                "http_status": None,
                "ms": 0,
                "error": "no inbound_url is set",
            }
        start = time.perf_counter()
        attempts, response = await self._caller.call(url, message.params, "received")
        message.callbacks += attempts
        for attempt in attempts:
            self._account.events.publish("webhook", sid=message.sid, **vars(attempt))
        return {
            "message_sid": message.sid,
            "http_status": response.status_code if response is not None else None,
            "ms": round((time.perf_counter() - start) * 1000),
            "attempts": len(attempts),
            "error": attempts[-1].error,
        }

    def _message(self, body: dict[str, Any]) -> Message:
        address = bare(body.get("from") or "")
        if not address:
            raise ValueError("from is missing")
        sender = bare(body.get("to") or next(iter(self._account.senders)))
        if sender not in self._account.senders:
            raise ValueError(f"{sender} is no sender of this account")
        media = [Medium(part["content_type"], b64decode(part["base64"])) for part in body.get("media") or ()]
        extra = {name: str(value) for name, value in (body.get("params") or {}).items()}
        message = Message(
            sid=extra.get("MessageSid") or new_sid("MM" if media else "SM"),
            direction="inbound",
            to=CHANNEL + sender,
            from_=CHANNEL + address,
            body=body.get("body") or "",
            status="received",
            media=media,
            sent=datetime.now(UTC),
        )
        message.params = self._params(message) | extra
        return message

    def _params(self, message: Message) -> dict[str, str]:
        patient = self._account.patient(message.patient)
        context = {"WaId": message.patient.lstrip("+"), "ProfileName": patient.profile_name}
        return {
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "SmsMessageSid": message.sid,
            "AccountSid": self._account.sid,
            "ApiVersion": API_VERSION,
            "From": message.from_,
            "To": message.to,
            "Body": message.body,
            "NumMedia": str(len(message.media)),
            "NumSegments": "1",
            "ReferralNumMedia": "0",
            "SmsStatus": "received",
            "MessageType": "text",
            **context,
            "ChannelMetadata": json.dumps({"type": "whatsapp", "data": {"context": context}}),
        }
