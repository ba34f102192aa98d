"""A message's way from acceptance to the phone, with a status callback at each step.

Source: https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks.
No callback is sent for a message's first status, and their order is not guaranteed: each goes out on its own.
"""

import asyncio
from datetime import UTC, datetime

from local.twilio.callbacks import Caller
from local.twilio.errors import CODES
from local.twilio.faults import Fault
from local.twilio.state import API_VERSION, Account, Message, message_view
from local.twilio.tasks import Tasks
from local.twilio.whatsapp_rules import judge

PHONE_POLL_SECONDS = 0.05
HELD_CALLBACK_SECONDS = 2.0


class Delivery:
    def __init__(self, account: Account, caller: Caller, tasks: Tasks) -> None:
        self._account = account
        self._caller = caller
        self._tasks = tasks
        self._held: dict[str, str] = {}
        """Statuses whose callback `callbacks_reorder` holds back until the message's next one has gone."""

    def start(self, message: Message) -> None:
        self._tasks.spawn(self._deliver(message))

    async def _deliver(self, message: Message) -> None:
        if message.status == "accepted":
            await self._step(message, "queued")
        code = self._failure_code(message)
        outcome = (CODES[code].outcome if code in CODES else "undelivered") if code else None
        if outcome == "failed":
            await self._step(message, "failed", code)
            return
        await self._step(message, "sent")
        if outcome:
            await self._step(message, "undelivered", code)
            return
        patient = self._account.patient(message.patient)
        while patient.blocked or not patient.phone_on:
            await asyncio.sleep(PHONE_POLL_SECONDS)
        await self._step(message, "delivered")
        if patient.read_receipts and self._account.settings.read_receipts:
            await self._step(message, "read")

    def _failure_code(self, message: Message) -> int | None:
        fault = self._account.faults.for_message(
            ("status_failed",), message.to, message.status_callback or ""
        )
        return fault.code if fault else judge(self._account, message)

    async def _step(self, message: Message, status: str, code: int | None = None) -> None:
        delays = self._account.settings.status_delays_ms
        await asyncio.sleep(delays.get(status, delays["sent"]) / 1000)
        self.set_status(message, status, code)

    def set_status(self, message: Message, status: str, code: int | None = None) -> None:
        """Move a message to a status and tell the product."""
        message.status, message.updated = status, datetime.now(UTC)
        if status == "sent":
            message.sent = message.updated
        if code:
            message.error_code = code
            message.error_message = CODES[code].message if code in CODES else None
        self._account.events.publish("message", message=message_view(message))
        sender = self._account.senders.get(message.sender)
        url = message.status_callback or (sender.webhook.get("status_callback_url") if sender else None)
        if url:
            self._tasks.spawn(self._notify(message, status, url))

    async def _notify(self, message: Message, status: str, url: str) -> None:
        """Send one status callback, or do with it what a fault says."""
        fault = self._account.faults.for_message(
            ("callbacks_drop", "callbacks_double", "callbacks_reorder", "callbacks_delay"), message.to, url
        )
        if fault:
            self._account.events.publish("fault", fault=fault.kind, to=message.to, status=status)
            if fault.kind == "callbacks_drop":
                return
            if fault.kind == "callbacks_delay":
                await asyncio.sleep(fault.seconds or 1.0)
        await self._in_turn(message, status, url, fault)

    async def _in_turn(self, message: Message, status: str, url: str, fault: Fault | None) -> None:
        if fault and fault.kind == "callbacks_reorder":
            self._held[message.sid] = status
            await asyncio.sleep(HELD_CALLBACK_SECONDS)
            if self._held.pop(message.sid, None):
                await self._call(message, status, url)
            return
        for _ in range(2 if fault and fault.kind == "callbacks_double" else 1):
            await self._call(message, status, url)
        if held := self._held.pop(message.sid, None):
            await self._call(message, held, url)

    async def _call(self, message: Message, status: str, url: str) -> None:
        attempts, _ = await self._caller.call(url, self.callback_params(message, status), status)
        message.callbacks += attempts
        for attempt in attempts:
            self._account.events.publish("callback", sid=message.sid, **vars(attempt))

    def callback_params(self, message: Message, status: str) -> dict[str, str]:
        """The form of a WhatsApp status callback, as captured ones look: `read` has no ChannelInstallSid,
        ErrorMessage is empty, and the number in ChannelToAddress is masked."""
        params = {
            "AccountSid": self._account.sid,
            "ApiVersion": API_VERSION,
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "MessageStatus": status,
            "SmsStatus": status,
            "From": message.from_,
            "To": message.to,
            "ChannelPrefix": "whatsapp",
            "ChannelToAddress": f"{message.patient[:-4]}XXXX",
            "StructuredMessage": "false",
        }
        sender = self._account.senders.get(message.sender)
        if sender and status != "read":
            params["ChannelInstallSid"] = sender.sid
        if status in ("delivered", "read"):
            params["EventType"] = status.upper()
        if message.messaging_service_sid:
            params["MessagingServiceSid"] = message.messaging_service_sid
        if status in ("failed", "undelivered") and message.error_code:
            params |= {
                "ErrorCode": str(message.error_code),
                "ErrorMessage": "",
                "ChannelStatusMessage": message.error_message or "",
            }
        return params
