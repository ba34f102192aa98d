"""Twilio's forms: inbound messages and status callbacks. `docs/inbound.md` says what becomes of every field.

Sources: www.twilio.com/docs/messaging/guides/webhook-request and …/track-outbound-message-status; captured requests
show more than these pages.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from whatsapp.domain.address import Address
from whatsapp.domain.events import Choice, Kind, Location, Reaction, Referral
from whatsapp.domain.ports import StatusUpdate
from whatsapp.domain.receiving.inbound import (
    InboundForm,
    InboundMedium,
    business_scoped,
    cleaned,
    kind_of,
    media_type,
    sender_of,
)

MAX_FORM_BYTES = 256 * 1024
"""Of names and values together, in UTF-8. WhatsApp lets a person write 65 536 characters: in Hindi, 192 KB."""
_MAX_BODY = MAX_FORM_BYTES * 4
"""Characters of the body: percent-encoding needs three for a byte, base64 four for three."""
MAX_DEPTH = 32
"""Levels of a flow's answers: their readers may recurse."""
MAX_FIELDS = 200
MAX_MEDIA = 10
NAME, BUTTON, PLACE = 256, 1024, 1000
"""The most characters kept of a name, of a button's or list item's text and id, of a place or an advertisement. They
are far over WhatsApp's own limits; longer values are cut, so that no field can make an event too large for the bus."""

_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
_TO = re.compile(r"(whatsapp:)?\+[0-9]{5,18}")
_STATUS = re.compile(r"[a-z_]{1,32}")
_CODE = re.compile(r"[0-9]{1,7}")
_SIDS = ("MessageSid", "SmsMessageSid", "SmsSid")
# The signature covers names and values in one string without separators, so an attacker can move characters from a
# value into its field's name: `From=whatsapp:…` becomes `Fromw=hatsapp:…`. A name that continues like such a value is
# refused, and no other, because Twilio adds fields without notice, such as `Topic`.
_RE_SPLIT = re.compile(
    r"(MessageSid|SmsMessageSid|SmsSid)(S|M|[SM]M.*)|AccountSid(A|AC.*)|WaId[0-9].*"
    r"|ExternalUserId(w|wh.*|[A-Z]{1,2}|[A-Z]{2}\..*)|From[^A-Z].*|To(w|wh.*|\+.*)",
    re.DOTALL,
)
_SENDER = "Fromwhatsapp:"

_REFERRAL = {
    "ReferralBody": ("body", PLACE),
    "ReferralHeadline": ("headline", NAME),
    "ReferralSourceId": ("source_id", NAME),
    "ReferralSourceType": ("source_type", NAME),
    "ReferralSourceUrl": ("source_url", PLACE),
    "ReferralMediaId": ("media_id", NAME),
    "ReferralMediaContentType": ("media_content_type", NAME),
    "ReferralMediaUrl": ("media_url", PLACE),
    "ReferralCtwaClid": ("ctwa_clid", PLACE),
}
_ABOUT_THE_MESSAGE = frozenset(
    {"From", "To", "Body", "AccountSid", *_SIDS, "ExternalUserId", "ProfileName", "OriginalRepliedMessageSid"}
    | {"OptOutType"}
)
_CONTENT = frozenset(
    {"ButtonText", "ButtonPayload", "ListTitle", "ListId", "Latitude", "Longitude", "Label", "Address"}
    | {"MessageType", "FlowData", "InteractiveData", "Forwarded", "FrequentlyForwarded", *_REFERRAL}
    | {f"Media{part}{n}" for part in ("Url", "ContentType") for n in range(MAX_MEDIA)}
)
_SAYS_NOTHING_NEW = frozenset(
    {"ApiVersion", "ChannelMetadata", "NumMedia", "NumSegments", "OriginalRepliedMessageSender", "ReferralNumMedia"}
    | {"SmsStatus"}
)
_WORDS = ("", "text", "interactive", "button")
"""The values of `MessageType` whose `Body` is what the patient wrote or tapped."""


class Forbidden(Exception):
    """Not a request to accept. `ours`: it names our AccountSid, so our own set-up may be wrong."""

    def __init__(self, why: str, *, ours: bool = False) -> None:
        super().__init__(why)
        self.ours = ours


def read_form(request: Mapping[str, Any]) -> dict[str, str]:
    """The form of an HTTP API event that names our account. Blank fields are kept, because Twilio signs them too.

    Raises:
        Forbidden: no form, too large, or a key that occurs twice.
    """
    headers = {str(name).lower(): str(value) for name, value in (request.get("headers") or {}).items()}
    if not headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
        raise Forbidden("not a form", ours=True)
    body = request.get("body")
    if not isinstance(body, str) or len(body) > _MAX_BODY:
        raise Forbidden("no body, or one too large", ours=True)
    try:
        text = base64.b64decode(body, validate=True).decode("utf-8") if request.get("isBase64Encoded") else body
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
        size = sum(len(part.encode()) for pair in pairs for part in pair)
    except (binascii.Error, ValueError):
        raise Forbidden("unreadable body", ours=True) from None
    if size > MAX_FORM_BYTES:
        raise Forbidden("a form too large", ours=True)
    form = dict(pairs)
    if len(form) != len(pairs):
        raise Forbidden("a key occurs twice", ours=True)
    return form


def names_account(request: Mapping[str, Any], account_sid: str) -> bool:
    """Whether the body names that AccountSid. It is not parsed for that: a stranger's request must cost nothing."""
    body = request.get("body")
    if not isinstance(body, str):
        return False
    try:
        text = base64.b64decode(body) if request.get("isBase64Encoded") else body.encode("utf-8", "replace")
    except ValueError:
        return False
    return f"AccountSid={account_sid}".encode() in text


def read_inbound(form: Mapping[str, str]) -> InboundForm:
    """Read a verified form. An optional field that is missing or makes no sense is dropped; the message is kept.

    Raises:
        Forbidden: its message sid, sender or `To` is missing, unreadable or contradictory.
    """
    scoped_id = business_scoped(form.get("ExternalUserId", ""))
    sender = sender_of(form.get("From", ""), scoped_id)
    if "From" not in form or sender is None or not _TO.fullmatch(form.get("To", "")):
        raise Forbidden("From or To is not an address", ours=True)
    if _text(form).count(_SENDER) > form["From"].startswith("whatsapp:"):
        raise Forbidden("a second sender: a piece of another field", ours=True)
    sid = _sid(form)
    told = {name: cleaned(value) for name, value in form.items() if name != "WaId" or not _is_number_of(sender, value)}
    return _inbound(sid, sender, scoped_id, told)


def read_status(form: Mapping[str, str], message_id: str, attempt: str) -> StatusUpdate:
    """Read a verified status callback.

    Raises:
        Forbidden: its message sid or status is missing, unreadable or contradictory.
    """
    status = (form.get("MessageStatus") or form.get("SmsStatus") or "").lower()
    if not _STATUS.fullmatch(status):
        raise Forbidden("no status", ours=True)
    failed = status in ("failed", "undelivered")
    code = form.get("ErrorCode", "") if failed else ""  # with any other status it means nothing
    return StatusUpdate(
        message_id=message_id,
        attempt=attempt,
        twilio_sid=_sid(form),
        status=status,
        error_code=int(code) if _CODE.fullmatch(code) else None,
    )


def _sid(form: Mapping[str, str]) -> str:
    """Twilio's id of the message, which is in up to three fields."""
    if any(_RE_SPLIT.fullmatch(name) for name in form):
        raise Forbidden("a field name that continues like a value", ours=True)
    given = {form[name] for name in _SIDS if form.get(name)}
    if len(given) != 1 or not _SID.fullmatch(sid := given.pop()):
        raise Forbidden("no message sid, or two", ours=True)
    return sid


def _inbound(sid: str, sender: Address, scoped_id: Address | None, form: dict[str, str]) -> InboundForm:
    text = form.get("Body", "")
    button_text = form.get("ButtonText", "")[:BUTTON]
    button_payload = form.get("ButtonPayload", "")[:BUTTON]
    choice = _choice(form)
    replied_to = form.get("OriginalRepliedMessageSid", "")
    frequently_forwarded = _is_true(form, "FrequentlyForwarded")
    read = InboundForm(
        twilio_sid=sid,
        from_=sender,
        to=form["To"].removeprefix("whatsapp:"),
        text=text,
        button_text=button_text or (text[:BUTTON] if button_payload else None),
        button_payload=button_payload or None,
        choice=choice,
        # Of WhatsApp's interactive answers, a flow's is the one that is neither a button nor an item of a list.
        flow=None if button_text or button_payload or choice else _flow(form),
        reaction=Reaction(emoji=text[:NAME] or None) if _message_type(form) == "reaction" else None,
        media=_media(form),
        location=_location(form),
        forwarded=frequently_forwarded or _is_true(form, "Forwarded"),
        frequently_forwarded=frequently_forwarded,
        referral=_referral(form),
        profile_name=form.get("ProfileName", "")[:NAME] or None,
        replied_to_sid=replied_to if _SID.fullmatch(replied_to) else None,
        external_user_id=scoped_id,
        opt_out_type=form.get("OptOutType") or None,
    )
    kind = _kind(form, read)
    is_understood = kind != "unknown" and read.reaction != Reaction(emoji=None)
    known = _ABOUT_THE_MESSAGE | _CONTENT | _SAYS_NOTHING_NEW if is_understood else _ABOUT_THE_MESSAGE
    return replace(read, kind=kind, more={n: value for n, value in form.items() if value and n not in known})


def _kind(form: Mapping[str, str], read: InboundForm) -> Kind:
    """A kind is only ever told with its content: a text has words, a picture its file, a flow its answers."""
    message_type = _message_type(form)
    found: tuple[tuple[Kind, object], ...] = (
        ("button", read.button_text or read.button_payload),
        ("choice", read.choice),
        ("flow", read.flow is not None),
        ("reaction", read.reaction),
        ("location", read.location),
        (kind_of(read.media[0].content_type, message_type) if read.media else "unknown", read.media),
        # The body beside a flow's answers, here unreadable, is WhatsApp's own word ("Sent").
        ("text", read.text and message_type in _WORDS and not (message_type == "interactive" and _has_flow(form))),
    )
    return next((kind for kind, is_there in found if is_there), "unknown")


def _message_type(form: Mapping[str, str]) -> str:
    return form.get("MessageType", "").lower()


def _is_true(form: Mapping[str, str], name: str) -> bool:
    return form.get(name, "").lower() == "true"


def _choice(form: Mapping[str, str]) -> Choice | None:
    item, title = form.get("ListId", "")[:BUTTON], form.get("ListTitle", "")[:BUTTON]
    return Choice(id=item or None, title=title or form.get("Body", "")[:BUTTON]) if item or title else None


def _referral(form: Mapping[str, str]) -> Referral | None:
    """Twilio sends `ReferralNumMedia` with every message, so that alone is no advertisement."""
    given = {attribute: form[name][:limit] for name, (attribute, limit) in _REFERRAL.items() if form.get(name)}
    return Referral(**given) if given else None


def _has_flow(form: Mapping[str, str]) -> bool:
    return bool(form.get("FlowData") or form.get("InteractiveData"))


def _flow(form: Mapping[str, str]) -> dict[str, Any] | None:
    """The answers of a WhatsApp Flow, which is a form that the patient fills in.

    `FlowData` is what WhatsApp sent; `InteractiveData` holds the same under `flowResponse`. Sources:
    www.twilio.com/docs/messaging/guides/webhook-request and …/docs/content/whatsapp-flows.
    """
    answers = _json_object(form.get("FlowData", ""))
    if answers is None and (interactive := _json_object(form.get("InteractiveData", ""))):
        answers = interactive.get("flowResponse", interactive)
    return answers if isinstance(answers, dict) else None


def _json_object(text: str) -> dict[str, Any] | None:
    """The object, if it is one that every store and every reader of the bus takes."""
    try:
        value = _storable(json.loads(text))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _storable(value: Any, depth: int = 0) -> Any:
    """A JSON value without what JSON or a store does not take.

    Raises:
        ValueError: too deep, or a number that JSON does not have.
    """
    if depth > MAX_DEPTH or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError
    if isinstance(value, dict):
        return {cleaned(name): _storable(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_storable(item, depth + 1) for item in value]
    return cleaned(value) if isinstance(value, str) else value


def _media(form: Mapping[str, str]) -> tuple[InboundMedium, ...]:
    """Found by their URLs, because `NumMedia` may be missing or wrong."""
    found = ((form.get(f"MediaUrl{n}"), form.get(f"MediaContentType{n}")) for n in range(MAX_MEDIA))
    return tuple(InboundMedium(url=url, content_type=media_type(told)) for url, told in found if url)


def _location(form: Mapping[str, str]) -> Location | None:
    try:
        latitude, longitude = float(form["Latitude"]), float(form["Longitude"])
    except (KeyError, ValueError):
        return None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):  # also false for what is not a number
        return None
    return Location(
        latitude=latitude,
        longitude=longitude,
        label=form.get("Label", "")[:PLACE] or None,
        address=form.get("Address", "")[:PLACE] or None,
    )


def _text(form: Mapping[str, str]) -> str:
    """What Twilio signs of a form. A sender that a patient wrote into a text is in it beside the real one."""
    return "".join(name + form[name] for name in sorted(form))


def _is_number_of(sender: Address, wa_id: str) -> bool:
    """Whether `WaId` is the sender's number in one of its spellings."""
    return Address(f"+{wa_id}").canonical == sender.canonical
