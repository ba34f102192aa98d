"""A patient writes: the message is taken in, the sender's webhook is called, and its answer is obeyed."""

import time
from base64 import b64decode
from typing import Any

from local.twilio.delivery import Delivery
from local.twilio.state import CHANNEL, Account, Medium, Message, bare, new_sid, now
from local.twilio.twiml import UnreadableAnswerError, replies
from local.twilio.webhook_form import webhook_form
from local.twilio.webhooks import Webhooks
from local.twilio.whatsapp_rules import SANDBOX_SENDER

OPT_OUT_WORDS = {
    "STOP": {"stop", "stopall", "unsubscribe", "cancel", "end", "quit"},
    "START": {"start", "yes", "unstop"},
    "HELP": {"help", "info"},
}
"""Advanced Opt-Out's default keywords; some of them collide with answers about appointments."""


class Inbound:
    def __init__(self, account: Account, webhooks: Webhooks, delivery: Delivery) -> None:
        self._account = account
        self._webhooks = webhooks
        self._delivery = delivery

    async def receive(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take in a message as WhatsApp would, call the sender's webhook, and say what it answered.

        Raises:
            ValueError: `from` is missing, `to` is no sender of this account, or a medium is not base64.
        """
        message = self._message(body)
        message.params = webhook_form(self._account, message, body)
        self._settle(message)
        self._account.open_window(message.patient, message.sender)
        self._account.accept(message)
        return await self._call_webhook(message)

    def _message(self, body: dict[str, Any]) -> Message:
        address = bare(body.get("from") or "")
        sender = bare(body.get("to") or next(iter(self._account.senders)))
        if not address:
            raise ValueError("from is missing")
        if sender not in self._account.senders:
            raise ValueError(f"{sender} is no sender of this account")
        media = [Medium(each["content_type"], b64decode(each["base64"])) for each in body.get("media") or ()]
        if card := body.get("contact"):
            media.append(Medium("text/vcard", _vcard(card).encode()))
        return Message(
            sid=(body.get("params") or {}).get("MessageSid") or new_sid("MM" if media else "SM"),
            direction="inbound",
            to=CHANNEL + sender,
            from_=CHANNEL + address,
            body=body.get("body") or "",
            status="received",
            media=media,
            sent=now(),
        )

    def _settle(self, message: Message) -> None:
        """Let the message agree with its form, and let Twilio and the sandbox read it first."""
        message.body = message.params["Body"]
        patient, word = self._account.patient(message.patient), message.body.strip().lower()
        if message.sender == SANDBOX_SENDER and word.startswith("join "):
            patient.joined_sandbox = self._account.whatsapp_now()
        if self._account.settings.advanced_opt_out:
            kind = next((kind for kind, words in OPT_OUT_WORDS.items() if word in words), None)
            if kind:
                message.params["OptOutType"] = kind
                patient.opted_out = {"STOP": True, "START": False}.get(kind, patient.opted_out)

    async def _call_webhook(self, message: Message) -> dict[str, Any]:
        webhook = self._account.senders[message.sender].webhook
        url = webhook.get("callback_url")
        report: dict[str, Any] = {"message_sid": message.sid, "http_status": None, "ms": 0}
        if not url:
            return report | {"error": "no inbound_url is configured"}
        start = time.perf_counter()
        answer = await self._webhooks.send(message, url, message.params, "received")
        report |= {
            "http_status": answer.status_code if answer is not None else None,
            "ms": round((time.perf_counter() - start) * 1000),
        }
        try:
            texts = replies(answer, message.callbacks[-1].error if message.callbacks else None)
        except UnreadableAnswerError as error:
            self._account.warn(error.code, message, url)
            if error.calls_fallback and (fallback := webhook.get("fallback_url")):
                await self._webhooks.send(message, fallback, message.params, "received")
            return report
        for text in texts:
            self._reply(message, text)
        return report

    def _reply(self, answered: Message, text: str) -> None:
        """Send what the webhook's answer says. It passes by every limit of ours: the ledger shows it."""
        message = Message(
            sid=new_sid("SM"),
            direction="outbound-reply",
            to=answered.from_,
            from_=answered.to,
            body=text,
            status="queued",
            rendered={"type": "twilio/text", "body": text, "media": []},
        )
        self._account.accept(message)
        self._delivery.start(message)


def _vcard(card: dict[str, str]) -> str:
    return f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{card['name']}\r\nTEL:{card['phone']}\r\nEND:VCARD\r\n"
