"""Signed webhooks of every kind, as HTTP API hands them to the function; and a door whose every port is counted."""

import base64
import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, quote_plus

from twilio.request_validator import RequestValidator
from whatsapp import bootstrap
from whatsapp.adapters.twilio.credentials import TwilioCredentials
from whatsapp.adapters.twilio.webhook import TwilioDoor
from whatsapp.domain.address import Address

from functions.webhook import handler

PUBLIC_URL = "https://hooks.clinic.example"
ACCOUNT = "AC" + "0a" * 16
TOKEN = "f" * 32
SENDER = "whatsapp:+14155550100"
MESSAGE_ID, ATTEMPT = "ab" * 16, "cd" * 6
STATUS_PATH = f"/twilio/status/{MESSAGE_ID}/{ATTEMPT}"
Form = dict[str, str]
Request = dict[str, Any]
_numbers = itertools.count(1)


def sid(prefix: str = "SM") -> str:
    """A new id of Twilio's form."""
    return f"{prefix}{next(_numbers):032x}"


def message(**more: str) -> Form:
    """A plain message's form; `more` wins."""
    of_message = more.get("MessageSid") or sid()
    form = {
        "SmsMessageSid": of_message,
        "NumMedia": "0",
        "ProfileName": "Asha",
        "MessageType": "text",
        "SmsSid": of_message,
        "WaId": "919812345678",
        "SmsStatus": "received",
        "Body": "Namaste",
        "To": SENDER,
        "NumSegments": "1",
        "ReferralNumMedia": "0",
        "MessageSid": of_message,
        "AccountSid": ACCOUNT,
        "ChannelMetadata": '{"type":"whatsapp","data":{"context":{"ProfileName":"Asha","WaId":"919812345678"}}}',
        "From": "whatsapp:+919812345678",
        "ApiVersion": "2010-04-01",
    }
    return form | more


def status(**more: str) -> Form:
    """A status callback's form."""
    form = {
        "ChannelPrefix": "whatsapp",
        "ApiVersion": "2010-04-01",
        "MessageStatus": "delivered",
        "SmsSid": "SM" + "1" * 32,
        "SmsStatus": "delivered",
        "ChannelInstallSid": "XE" + "2" * 32,
        "To": "whatsapp:+919812345678",
        "From": SENDER,
        "MessageSid": "SM" + "1" * 32,
        "StructuredMessage": "false",
        "AccountSid": ACCOUNT,
        "ChannelToAddress": "+91981234XXXX",
        "EventType": "DELIVERED",
    }
    return form | more


def signature(form: Form, path: str = "/twilio/inbound", *, token: str = TOKEN, base: str = PUBLIC_URL) -> str:
    """What Twilio puts into X-Twilio-Signature."""
    return str(RequestValidator(token).compute_signature(base + path, form))


def shared_signed(form: Form, path: str = "/twilio/inbound", *, key: str, algorithm: str = "HMAC_SHA256") -> Request:
    """The webhook as Twilio sends it once shared keys are switched on. `algorithm`: what the header says."""
    event = request(encode(form), RequestValidator(key).compute_signature(PUBLIC_URL + path, form, "HMAC_SHA256"), path)
    event["headers"]["x-twilio-webhooks-signature-settings"] = f"key=webhooks_sharedkey_1,algorithm={algorithm}"
    return event


def encode(form: Form, *, plus: bool = True) -> str:
    """The form's body: a blank as `+`, or as `%20`."""
    escape = quote_plus if plus else quote
    return "&".join(f"{escape(name, safe='')}={escape(value, safe='')}" for name, value in form.items())


def request(body: str, signed: str | None, path: str = "/twilio/inbound", *, is_base64: bool = False) -> Request:
    """The event of API Gateway's HTTP API."""
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8", "user-agent": "TwilioProxy/1.1"}
    if signed is not None:
        headers["x-twilio-signature"] = signed
    event: Request = {
        "version": "2.0",
        "headers": headers,
        "requestContext": {"http": {"method": "POST", "path": path}, "domainName": "abc.execute-api.example"},
        "body": base64.b64encode(body.encode("utf-8", "surrogatepass")).decode() if is_base64 else body,
        "isBase64Encoded": is_base64,
    }
    if path.startswith("/twilio/status/"):
        message_id, attempt = path.removeprefix("/twilio/status/").split("/")
        event["pathParameters"] = {"message_id": message_id, "attempt": attempt}
    return event


def signed(form: Form, path: str = "/twilio/inbound", *, plus: bool = True, is_base64: bool = False) -> Request:
    """The webhook as Twilio sends it."""
    return request(encode(form, plus=plus), signature(form, path), path, is_base64=is_base64)


@dataclass
class Recording:
    """Stands where the product's App is: everything that a webhook may cause, counted."""

    tokens: list[tuple[str, ...]] = field(default_factory=lambda: [(TOKEN,)])
    """What the secret holds: the first at first, each refresh takes the next, the last stays."""
    shared_keys: tuple[str, ...] = ()
    public_url: str = PUBLIC_URL
    own_urls: tuple[str, ...] = ()
    """The API's own, where the public one is another."""
    sender: str = SENDER
    calls: Counter[str] = field(default_factory=Counter)
    received: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.metrics = SimpleNamespace(count=lambda name, value=1: self.calls.update({name: value}))

    def door(self) -> TwilioDoor:
        """A real one."""
        return TwilioDoor((self.public_url, *self.own_urls), ACCOUNT, self._credentials, Address.parse(self.sender))

    def _credentials(self, refresh: bool) -> TwilioCredentials:
        self.calls["refreshes"] += refresh
        if refresh and len(self.tokens) > 1:
            self.tokens.pop(0)
        return TwilioCredentials(
            ACCOUNT,
            auth_token=self.tokens[0][0],
            previous_auth_token=(*self.tokens[0], None)[1],
            webhook_shared_keys=self.shared_keys,
        )

    def receive_message(self, form: Any) -> Any:
        """Where storing begins."""
        self.calls["writes"] += 1
        self.received.append(form)
        return SimpleNamespace(message_id=form.twilio_sid, contact_id="c", kind=form.kind, agent="a")

    def record_status(self, update: Any) -> None:
        """Where storing begins."""
        self.calls["writes"] += 1
        self.received.append(update)

    def answer(self, event: Request) -> int:
        """The real handler's answer to a webhook."""
        with self.in_place():
            return int(handler._webhook(event)["statusCode"])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The handler's App is this one, and it logs nothing."""
        quiet = SimpleNamespace(info=lambda *_, **__: None, warning=lambda *_, **__: None)
        with patch.object(bootstrap, "app", lambda: self), patch.object(handler, "logger", quiet):
            yield


_TEXTS = (
    *("", " ", "Namaste", "नमस्ते, कल मिलते हैं", "நன்றி", "ধন্যবাদ", "شكراً", "ok 👍🏽👨‍👩‍👧 see you", "a+b = c & d=e; 100%"),
    *(
        "line one\nline two\r\n",
        "  two  blanks  ",
        "tab\there",
        'it\'s "quoted" <b>',
        "%2B%20+ %",
        "x" * 1600,
        "\u200bजी\u200d",
    ),
    *("\x00nul", "é e\u0301", "=&=&", "https://ex.am/ple?a=b&c=d#e", "STOP", "#", "?", "日本語", "😀" * 300),
)


def any_message(rng: random.Random) -> Form:
    """A legitimate inbound form of a random kind, with random optional fields."""
    form = message(Body=rng.choice(_TEXTS), ProfileName=rng.choice(_TEXTS)[:60])
    number = f"91{rng.randint(6_000_000_000, 9_999_999_999)}"
    form |= {"From": f"whatsapp:+{number}", "WaId": number}
    kind = rng.choice(
        (
            *("text", "button", "list", "flow", "reaction", "media", "place", "reply"),
            *("referral", "forwarded", "sparse", "hidden"),
        )
    )
    form |= _kind(kind, form, rng)
    if rng.random() < 0.3:
        form["ExternalUserId"] = f"whatsapp:IN.{rng.getrandbits(60)}"
    if rng.random() < 0.2:
        form[f"New{rng.choice(('Thing', 'Field', 'Id2'))}"] = rng.choice(_TEXTS)
    for name in ("WaId", "NumMedia", "ProfileName", "ChannelMetadata", "SmsSid", "MessageType", "NumSegments"):
        if rng.random() < 0.1:
            form.pop(name, None)
    names = list(form)
    rng.shuffle(names)
    return {name: form[name] for name in names}


def _kind(kind: str, form: Form, rng: random.Random) -> Form:
    match kind:
        case "button":
            more = {
                "ButtonText": "Confirm",
                "ButtonPayload": rng.choice(("agent:scheduling:confirm", '{"a": "b c"}', "")),
            }
            return {**more, "Body": "Confirm", "MessageType": "interactive", "OriginalRepliedMessageSid": sid("MM")}
        case "list":
            return {"ListId": "slot-1", "ListTitle": "5:30 pm", "ListDescription": "Dr. Rao", "Body": "5:30 pm"}
        case "flow":
            answers = json.dumps({"why": rng.choice(_TEXTS), "mood": rng.choice((3, 7.5, None, ["a", "b"]))})
            more = {
                "FlowData": rng.choice((answers, answers[:-1])),
                "InteractiveData": f'{{"flowResponse": {answers}}}',
            }
            return {**more, "Body": rng.choice(("", "Sent")), "MessageType": "interactive"}
        case "reaction":
            return {"Body": rng.choice(("👍", "")), "MessageType": "reaction", "OriginalRepliedMessageSid": sid("SM")}
        case "media":
            of_message = sid("MM")
            more = dict.fromkeys(("MessageSid", "SmsSid", "SmsMessageSid"), of_message)
            for n in range(rng.randint(1, 3)):
                base = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages/{of_message}/Media/"
                more |= {
                    f"MediaUrl{n}": base + sid("ME"),
                    f"MediaContentType{n}": rng.choice(("image/jpeg", "audio/ogg")),
                }
            return {**more, "NumMedia": "1", "Body": "", "MessageType": "image"}
        case "place":
            return {
                "Latitude": "25.018766403198",
                "Longitude": "-77.395950317383",
                "Label": "Café",
                "Address": "1 Main St",
            }
        case "reply":
            return {"OriginalRepliedMessageSid": sid("SM"), "OriginalRepliedMessageSender": SENDER}
        case "referral":
            return {
                "ReferralBody": "Book now!",
                "ReferralSourceUrl": "https://fb.me/x?y=z",
                "ReferralCtwaClid": "Aff+/=",
            }
        case "forwarded":
            return {"Forwarded": "true", "FrequentlyForwarded": rng.choice(("true", "false"))}
        case "hidden":
            hidden = f"whatsapp:IN.{rng.getrandbits(60)}"
            return {"From": hidden, "ExternalUserId": hidden, "WaId": ""}
        case "sparse":
            return {name: "" for name in ("NumMedia", "MessageType", "ProfileName", "SmsStatus") if name in form}
        case _:
            return {}
