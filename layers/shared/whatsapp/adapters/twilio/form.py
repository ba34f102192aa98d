"""Twilio's forms: inbound messages and status callbacks. `docs/inbound.md` says what becomes of every field.

Sources: www.twilio.com/docs/messaging/guides/webhook-request and …/track-outbound-message-status; captured requests
show more than these pages.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from whatsapp.domain.address import Address
from whatsapp.domain.events import Kind, Location
from whatsapp.domain.ports import StatusUpdate
from whatsapp.domain.receiving.inbound import InboundForm, InboundMedium, business_scoped, cleaned, kind_of, sender_of

MAX_BODY_BYTES = 64 * 1024
MAX_FIELDS = 200
MAX_MEDIA = 10
NAME, BUTTON, PLACE = 256, 1024, 1000
"""The most characters kept of a name, of a button's text and payload, of a place's label and address. They are far over
WhatsApp's own limits; longer values are cut, so that no field can make an event too large for the bus."""

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

_READ = frozenset(
    {"From", "To", "Body", "AccountSid", *_SIDS, "ExternalUserId", "ProfileName", "OriginalRepliedMessageSid"}
    | {"ButtonText", "ButtonPayload", "ListTitle", "ListId", "Latitude", "Longitude", "Label", "Address"}
    | {"MessageType", "OptOutType"}
    | {f"Media{part}{n}" for part in ("Url", "ContentType") for n in range(MAX_MEDIA)}
)
_SAYS_NOTHING_NEW = frozenset(
    {"ApiVersion", "ChannelMetadata", "NumMedia", "NumSegments", "OriginalRepliedMessageSender", "SmsStatus"}
)


class Forbidden(Exception):
    """Not a request to accept. `ours`: it names our AccountSid, so our own set-up may be wrong."""

    def __init__(self, why: str, *, ours: bool = False) -> None:
        super().__init__(why)
        self.ours = ours


def read_form(request: Mapping[str, Any]) -> dict[str, str]:
    """The form of an HTTP API event. Blank fields are kept, because Twilio signs them too.

    Raises:
        Forbidden: no form, too large, or a key that occurs twice.
    """
    headers = {str(name).lower(): str(value) for name, value in (request.get("headers") or {}).items()}
    if not headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
        raise Forbidden("not a form")
    body = request.get("body")
    if not isinstance(body, str) or len(body) > MAX_BODY_BYTES * 2:
        raise Forbidden("no body, or one too large")
    try:
        text = base64.b64decode(body, validate=True).decode("utf-8") if request.get("isBase64Encoded") else body
        if len(text) > MAX_BODY_BYTES:
            raise Forbidden("a body too large")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except (binascii.Error, ValueError):
        raise Forbidden("unreadable body") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise Forbidden("a key occurs twice")
    return form


def names_account(request: Mapping[str, Any], account_sid: str) -> bool:
    """Whether an unreadable body names that AccountSid: it may be Twilio's all the same."""
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
    media = _media(form)
    location = _location(form)
    button_text = (form.get("ButtonText") or form.get("ListTitle") or "")[:BUTTON]
    button_payload = (form.get("ButtonPayload") or form.get("ListId") or "")[:BUTTON]
    replied_to = form.get("OriginalRepliedMessageSid", "")
    return InboundForm(
        twilio_sid=sid,
        from_=sender,
        to=form["To"].removeprefix("whatsapp:"),
        text=text,
        kind=_kind(form, media, location, button_text or button_payload),
        button_text=button_text or (text[:BUTTON] if button_payload else None),
        button_payload=button_payload or None,
        media=media,
        location=location,
        profile_name=form.get("ProfileName", "")[:NAME] or None,
        replied_to_sid=replied_to if _SID.fullmatch(replied_to) else None,
        external_user_id=scoped_id,
        opt_out_type=form.get("OptOutType") or None,
        more={name: value for name, value in form.items() if name not in _READ | _SAYS_NOTHING_NEW and value},
    )


def _kind(form: Mapping[str, str], media: tuple[InboundMedium, ...], location: Location | None, button: str) -> Kind:
    if button:
        return "button"
    if location:
        return "location"
    if media:
        return kind_of(media[0].content_type)
    if form.get("Body") or form.get("MessageType", "text") in ("text", "interactive", "button", ""):
        return "text"
    return "unknown"


def _media(form: Mapping[str, str]) -> tuple[InboundMedium, ...]:
    """Found by their URLs, because `NumMedia` may be missing or wrong."""
    found = ((form.get(f"MediaUrl{n}"), form.get(f"MediaContentType{n}", "")) for n in range(MAX_MEDIA))
    return tuple(
        InboundMedium(url=url, content_type=content_type.lower()[:NAME] or "application/octet-stream")
        for url, content_type in found
        if url
    )


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
