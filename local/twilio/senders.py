"""Twilio's Senders API: registering a WhatsApp sender, its webhooks and its business profile.

Sources: https://www.twilio.com/docs/whatsapp/api/senders, …/docs/whatsapp/register-senders-using-api and the docstrings
of the SDK's `messaging.v2.channels_sender`. The sandbox's number is no sender here: Twilio's console sets its webhook.
"""

import re
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.twilio.callbacks import Caller
from local.twilio.door import Door, json_body
from local.twilio.errors import TwilioError
from local.twilio.paging import Page
from local.twilio.state import CHANNEL, Account, Sender, bare
from local.twilio.whatsapp_rules import IMAGE_LIMIT, PICTURES, SANDBOX_SENDER

URL = "https://messaging.twilio.com/v2/Channels/Senders"
WEBHOOK_FIELDS = (
    "callback_url",
    "callback_method",
    "fallback_url",
    "fallback_method",
    "status_callback_url",
    "status_callback_method",
)
PROFILE_FIELDS = (
    "name",
    "about",
    "address",
    "description",
    "logo_url",
    "banner_url",
    "privacy_url",
    "terms_of_service_url",
    "accent_color",
    "vertical",
    "websites",
    "emails",
    "phone_numbers",
)
VERTICALS = frozenset(
    {"Alcohol", "Automotive", "Beauty, Spa and Salon", "Clothing and Apparel", "Education", "Entertainment"}
    | {"Event Planning and Service", "Finance and Banking", "Food and Grocery", "Hotel and Lodging"}
    | {"Matrimony Service", "Medical and Health", "Non-profit", "Online Gambling", "OTC Drugs", "Other"}
    | {"Physical Gambling", "Professional Services", "Public Service", "Restaurant", "Shopping and Retail"}
    | {"Travel and Transportation"}
)
WABA_ID = "12345678912345"
VERIFICATION_CODE = "123456"
"""What Meta sends to every number that is registered here."""


class SendersApi:
    def __init__(self, account: Account, caller: Caller) -> None:
        self._account = account
        self._caller = caller

    def routes(self, door: Door) -> list[Route]:
        senders = "/messaging/v2/Channels/Senders"
        return [
            door.route("GET", senders, self.list_senders),
            door.route("POST", senders, self.create),
            door.route("GET", f"{senders}/{{sid}}", self.fetch),
            door.route("POST", f"{senders}/{{sid}}", self.update),
        ]

    async def list_senders(self, request: Request) -> Response:
        if request.query_params.get("Channel") != "whatsapp":
            raise TwilioError(20001, "Channel must be whatsapp")
        page = Page.of(self._registered(), lambda sender: sender.sid, request.query_params)
        return JSONResponse(page.as_meta("senders", [_resource(sender) for sender in page.items], URL))

    async def create(self, request: Request) -> Response:
        """Register a number in the account's WhatsApp Business Account, which its first sender, made by Twilio's
        Self Sign-up, has brought."""
        body = await json_body(request)
        sender_id = str(body.get("sender_id"))
        if not re.fullmatch(r"whatsapp:\+[1-9][0-9]{6,14}", sender_id):
            raise TwilioError(63100, "senderId must be whatsapp:<E.164_PHONE_NUMBER>")
        if not (body.get("profile") or {}).get("name"):
            raise TwilioError(63100, "profile.name is required")
        if bare(sender_id) in self._account.senders:
            raise TwilioError(63100, "the number is registered already")
        waba_ids = {WABA_ID} if self._registered() else set()
        if (body.get("configuration") or {}).get("waba_id") not in waba_ids:
            raise TwilioError(63100, "wabaId is not this account's: its first sender is made by Self Sign-up")
        sender = Sender(bare(sender_id), status="CREATING")
        await self._change(sender, body)
        self._account.senders[sender.address] = sender
        return self._told(sender, 201)

    async def fetch(self, request: Request) -> Response:
        sender = self._found(request)
        if sender.status == "CREATING":  # each look finds it one step on
            waits = self._account.settings.sender_verification == "code"
            sender.status = "PENDING_VERIFICATION" if waits else "VERIFYING"
        elif sender.status == "VERIFYING":
            sender.status = "ONLINE"
        return JSONResponse(_resource(sender))

    async def update(self, request: Request) -> Response:
        sender, body = self._found(request), await json_body(request)
        await self._change(sender, body)
        if code := (body.get("configuration") or {}).get("verification_code"):
            if code != VERIFICATION_CODE:
                raise TwilioError(63100, "the verification code is not the one that was sent")
            sender.status = "VERIFYING"
        return self._told(sender, 202)

    async def _change(self, sender: Sender, body: dict[str, Any]) -> None:
        for name in ("webhook", "profile", "configuration"):
            if not isinstance(body.get(name) or {}, dict):
                raise TwilioError(20001, f"{name} must be an object")
        webhook, profile = body.get("webhook") or {}, body.get("profile") or {}
        if (vertical := profile.get("vertical")) and vertical not in VERTICALS:
            raise TwilioError(63100, f"vertical: {vertical!r} is not supported")
        if logo := profile.get("logo_url"):
            await self._check_logo(logo)
        sender.webhook |= {name: value for name, value in webhook.items() if name in WEBHOOK_FIELDS}
        sender.profile |= {name: value for name, value in profile.items() if name in PROFILE_FIELDS}

    async def _check_logo(self, url: str) -> None:
        """WhatsApp takes a JPEG or PNG up to 5 MB."""
        try:
            answer = await self._caller.fetch(url)
        except httpx.HTTPError:
            raise TwilioError(63100, "logoUrl: it cannot be fetched") from None
        is_picture = answer.headers.get("Content-Type", "").partition(";")[0] in PICTURES
        if not is_picture or len(answer.content) > IMAGE_LIMIT:
            raise TwilioError(63100, "logoUrl: it is no JPEG or PNG of up to 5 MB")

    def _told(self, sender: Sender, status: int) -> Response:
        self._account.events.publish("sender", sender=vars(sender))
        return JSONResponse(_resource(sender), status)

    def _registered(self) -> list[Sender]:
        return [sender for sender in self._account.senders.values() if sender.address != SANDBOX_SENDER]

    def _found(self, request: Request) -> Sender:
        sid = request.path_params["sid"]
        sender = next((sender for sender in self._registered() if sender.sid == sid), None)
        if sender is None:
            raise TwilioError.not_found(request.url.path)
        return sender


def _resource(sender: Sender) -> dict[str, Any]:
    return {
        "sid": sender.sid,
        "status": sender.status,
        "sender_id": CHANNEL + sender.address,
        "configuration": {
            "waba_id": WABA_ID,
            "verification_method": "sms",
            "verification_code": None,
            "voice_application_sid": None,
            "account_type": None,
        },
        "webhook": dict.fromkeys(WEBHOOK_FIELDS) | sender.webhook,
        "profile": dict.fromkeys(PROFILE_FIELDS) | sender.profile,
        "properties": {"quality_rating": "HIGH", "messaging_limit": "10K Customers/24hr"},
        "offline_reasons": sender.offline_reasons,
        "compliance": None,
        "url": f"{URL}/{sender.sid}",
    }
