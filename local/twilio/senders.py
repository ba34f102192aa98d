"""Twilio's Senders API, enough to set a WhatsApp sender's webhooks and business profile.

Source: https://www.twilio.com/docs/whatsapp/api/senders
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.twilio.door import Door, json_body
from local.twilio.errors import TwilioError
from local.twilio.paging import Page
from local.twilio.state import CHANNEL, Account, Sender

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


class SendersApi:
    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self, door: Door) -> list[Route]:
        senders = "/messaging/v2/Channels/Senders"
        return [
            door.route("GET", senders, self.list_senders),
            door.route("GET", f"{senders}/{{sid}}", self.fetch),
            door.route("POST", f"{senders}/{{sid}}", self.update),
        ]

    async def list_senders(self, request: Request) -> Response:
        if request.query_params.get("Channel") != "whatsapp":
            raise TwilioError(20001, "Channel must be whatsapp")
        page = Page.of(list(self._account.senders.values()), lambda sender: sender.sid, request.query_params)
        return JSONResponse(page.as_meta("senders", [_resource(sender) for sender in page.items], URL))

    async def fetch(self, request: Request) -> Response:
        return JSONResponse(_resource(self._found(request)))

    async def update(self, request: Request) -> Response:
        sender, body = self._found(request), await json_body(request)
        for name in ("webhook", "profile"):
            if not isinstance(body.get(name) or {}, dict):
                raise TwilioError(20001, f"{name} must be an object")
        for stored, given, known in (
            (sender.webhook, body.get("webhook"), WEBHOOK_FIELDS),
            (sender.profile, body.get("profile"), PROFILE_FIELDS),
        ):
            stored |= {name: value for name, value in (given or {}).items() if name in known}
        self._account.events.publish("sender", sender=vars(sender))
        return JSONResponse(_resource(sender), 202)

    def _found(self, request: Request) -> Sender:
        sid = request.path_params["sid"]
        sender = next((sender for sender in self._account.senders.values() if sender.sid == sid), None)
        if sender is None:
            raise TwilioError.not_found(request.url.path)
        return sender


def _resource(sender: Sender) -> dict[str, Any]:
    return {
        "sid": sender.sid,
        "status": "ONLINE",
        "sender_id": CHANNEL + sender.address,
        "configuration": {
            "waba_id": "12345678912345",
            "verification_method": "sms",
            "verification_code": None,
            "voice_application_sid": None,
            "account_type": None,
        },
        "webhook": dict.fromkeys(WEBHOOK_FIELDS) | sender.webhook,
        "profile": dict.fromkeys(PROFILE_FIELDS) | sender.profile,
        "properties": {"quality_rating": "HIGH", "messaging_limit": "10K Customers/24hr"},
        "offline_reasons": None,
        "compliance": None,
        "url": f"{URL}/{sender.sid}",
    }
