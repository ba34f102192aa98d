"""A message's way from acceptance to the phone, with a status callback at each step.

Source: https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks.
No callback is sent for a message's first status, and their order is not guaranteed: each goes out on its own.
"""

import asyncio
from datetime import UTC, datetime

import httpx

from local.twilio.callbacks import Caller
from local.twilio.errors import CODES, final_status
from local.twilio.state import API_VERSION, Account, Medium, Message
from local.twilio.tasks import Tasks
from local.twilio.webhooks import Webhooks
from local.twilio.whatsapp_rules import PICTURES, judge, judge_medium

POLL_SECONDS = 0.02


class Delivery:
    def __init__(self, account: Account, webhooks: Webhooks, caller: Caller, tasks: Tasks) -> None:
        self._account = account
        self._webhooks = webhooks
        self._caller = caller
        self._tasks = tasks

    def start(self, message: Message) -> None:
        self._tasks.spawn(self._deliver(message))

    def go_on(self, message: Message) -> None:
        """Take up a message of an earlier process where it stood. What came to rest stays as it is."""
        if message.direction == "inbound":
            return
        if message.status in ("accepted", "scheduled", "queued"):
            self.start(message)
        elif message.status == "sent":
            self._tasks.spawn(self._reach_the_phone(message))

    async def _deliver(self, message: Message) -> None:
        if not await self._leave_the_queue(message):
            return
        code = await self._failure_code(message)
        if code and final_status(code) == "failed":
            await self._step(message, "failed", code)
            return
        await self._step(message, "sent")
        if code:
            await self._step(message, "undelivered", code)
            return
        await self._reach_the_phone(message)

    async def _leave_the_queue(self, message: Message) -> bool:
        """Wait for a scheduled message's hour; False if it was canceled meanwhile."""
        while message.send_at and self._account.whatsapp_now() < message.send_at and message.status == "scheduled":
            await asyncio.sleep(POLL_SECONDS)
        if message.status in ("accepted", "scheduled"):
            await self._step(message, "queued")
        return message.status != "canceled"

    async def _failure_code(self, message: Message) -> int | None:
        fault = self._account.faults.for_message(message.patient)
        if fault:
            return fault.code
        return await self._fetch_media(message) or judge(self._account, message)

    async def _fetch_media(self, message: Message) -> int | None:
        """Fetch what MediaUrl names, as Twilio does before it hands a message on; the code if it cannot."""
        for url in message.media_urls:
            try:
                answer = await self._caller.fetch(url)
            except httpx.HTTPError:
                return 63019
            content_type = answer.headers.get("Content-Type", "").partition(";")[0]
            if code := judge_medium(content_type, len(answer.content)):
                return code
            message.media.append(Medium(content_type, answer.content))
            if not message.content_sid and content_type not in PICTURES:
                message.rendered["body"] = ""  # Body is ignored beside a document, a sound, a video, a sticker, a card
        return None

    async def _reach_the_phone(self, message: Message) -> None:
        """A phone that is off, or whose owner blocked us, leaves the message at `sent`."""
        patient = self._account.patient(message.patient)
        while patient.blocked or not patient.phone_on:
            await asyncio.sleep(POLL_SECONDS)
        await self._step(message, "delivered")
        if patient.read_receipts and self._account.settings.read_receipts:
            await self._step(message, "read")

    async def _step(self, message: Message, status: str, code: int | None = None) -> None:
        await asyncio.sleep(self._account.settings.delay(status))
        if message.status != "canceled":
            self.set_status(message, status, code)

    def set_status(self, message: Message, status: str, code: int | None = None) -> None:
        """Move a message to a status and tell the product."""
        message.status, message.updated = status, datetime.now(UTC)
        if status == "sent":
            message.sent = message.updated
        if code:
            message.error_code = code
            message.error_message = CODES[code].message if code in CODES else None
        self._account.tell(message)
        sender = self._account.senders.get(message.sender)
        url = message.status_callback or (sender.webhook.get("status_callback_url") if sender else None)
        if url:
            self._tasks.spawn(self._notify(message, url, status))

    async def _notify(self, message: Message, url: str, status: str) -> None:
        await self._webhooks.send(message, url, self.callback_params(message, status), status)

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
