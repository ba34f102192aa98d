"""Twilio's door: verify the signature, then read the form. Whatever comes, it answers with a value or `Forbidden`.

Source of the signature's algorithm: www.twilio.com/docs/usage/security#validating-requests.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from twilio.request_validator import RequestValidator

from whatsapp.domain.address import Address
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.events import Kind, Location
from whatsapp.domain.inbound import InboundForm, InboundMedium, kind_of
from whatsapp.domain.ports import StatusUpdate

MAX_BODY_BYTES = 64 * 1024
MAX_FIELDS = 200
MAX_MEDIA = 10

_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
_ADDRESS = re.compile(r"(whatsapp:)?(\+\d{5,18}|[A-Z]{2}\.[A-Za-z0-9._-]{1,128})")
_MESSAGE_ID = re.compile(r"[0-9a-f]{32}")
_ATTEMPT = re.compile(r"[0-9a-f]{12}")
_WORD = re.compile(r"[a-z_]{1,32}")


class Forbidden(Exception):
    """Not a request of Twilio's. `ours` if it bears our AccountSid: then our own set-up may be at fault."""

    def __init__(self, why: str, *, ours: bool = False) -> None:
        super().__init__(why)
        self.ours = ours


class TwilioDoor:
    """Lets Twilio's requests in, and nobody else's.

    Args:
        public_url: base of the URL that Twilio signs. Never taken from a request's headers.
        account_sid: ours.
        tokens: gives the auth tokens that may have signed: the present one, and the previous during a rotation.
            Called with True after a failure, to fetch them anew at a bounded rate.
    """

    def __init__(self, public_url: str, account_sid: str, tokens: Callable[[bool], tuple[str, ...]]) -> None:
        self._public_url = public_url.rstrip("/")
        self._account_sid = account_sid
        self._tokens = tokens

    def inbound(self, request: Mapping[str, Any]) -> InboundForm:
        """An inbound message's webhook.

        Raises:
            Forbidden: not signed by Twilio, or not a message for us.
        """
        form = self._verified(request, "/twilio/inbound")
        if not _ADDRESS.fullmatch(form.get("From", "")) or not _ADDRESS.fullmatch(form.get("To", "")):
            raise Forbidden("From or To is not an address", ours=True)
        sid = form.get("MessageSid") or form.get("SmsMessageSid") or form.get("SmsSid") or ""
        if not _SID.fullmatch(sid):
            raise Forbidden("no message sid", ours=True)
        wa_id = form.get("WaId", "")
        if wa_id.isdigit() and _is_number(form["From"]) and not _same_number(wa_id, form["From"]):
            raise Forbidden("WaId and From disagree", ours=True)
        return read_inbound(sid, form)

    def status(self, request: Mapping[str, Any], message_id: str, attempt: str) -> StatusUpdate:
        """A status callback.

        Raises:
            Forbidden: not signed by Twilio, or not a status.
        """
        if not _MESSAGE_ID.fullmatch(message_id) or not _ATTEMPT.fullmatch(attempt):
            raise Forbidden("no path of ours")
        form = self._verified(request, f"/twilio/status/{message_id}/{attempt}")
        sid = form.get("MessageSid") or form.get("SmsSid") or ""
        status = (form.get("MessageStatus") or form.get("SmsStatus") or "").lower()
        if not _SID.fullmatch(sid) or not _WORD.fullmatch(status):
            raise Forbidden("no message sid or no status", ours=True)
        failed = status in ("failed", "undelivered")
        code = form.get("ErrorCode", "") if failed else ""
        return StatusUpdate(
            message_id=message_id,
            attempt=attempt,
            twilio_sid=sid,
            status=status,
            error_code=int(code) if code.isascii() and code.isdigit() and len(code) < 8 else None,
        )

    def _verified(self, request: Mapping[str, Any], path: str) -> dict[str, str]:
        form = read_form(request)
        ours = form.get("AccountSid") == self._account_sid
        headers = {str(name).lower(): value for name, value in (request.get("headers") or {}).items()}
        signature = headers.get("x-twilio-signature")
        if not isinstance(signature, str) or not signature:
            raise Forbidden("no signature", ours=ours)
        url = self._public_url + path
        if not self._signed(url, form, signature, refresh=False) and not self._signed(
            url, form, signature, refresh=True
        ):
            raise Forbidden("the signature does not match", ours=ours)
        if not ours:
            raise Forbidden("another account's")
        return form

    def _signed(self, url: str, form: dict[str, str], signature: str, *, refresh: bool) -> bool:
        try:
            return any(bool(RequestValidator(token).validate(url, form, signature)) for token in self._tokens(refresh))
        except (
            TypeError,
            ValueError,
            AttributeError,
        ):  # the validator raises on shapes it does not expect: not Twilio's
            return False


def read_form(request: Mapping[str, Any]) -> dict[str, str]:
    """The form of an HTTP API event, blank fields kept: Twilio signs them too.

    Raises:
        Forbidden: no form, too large, or a key that stands twice.
    """
    headers = {str(name).lower(): str(value) for name, value in (request.get("headers") or {}).items()}
    if not headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
        raise Forbidden("not a form")
    body = request.get("body") or ""
    if not isinstance(body, str) or len(body) > MAX_BODY_BYTES * 2:
        raise Forbidden("no body, or one too large")
    try:
        text = base64.b64decode(body, validate=True).decode("utf-8") if request.get("isBase64Encoded") else body
        pairs = (
            parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
            if len(text) <= MAX_BODY_BYTES
            else None
        )
    except (binascii.Error, ValueError):
        raise Forbidden("unreadable body") from None
    if not pairs:
        raise Forbidden("no body, or one too large")
    form = dict(pairs)
    if len(form) != len(pairs):
        raise Forbidden("a key stands twice")
    return form


def read_inbound(sid: str, form: Mapping[str, str]) -> InboundForm:
    """Read a verified form. A field that is missing or makes no sense costs that field, never the message."""
    text = form.get("Body", "").replace("\x00", "")
    media = _media(form)
    location = _location(form)
    button_text = form.get("ButtonText") or form.get("ListTitle") or None
    button_payload = form.get("ButtonPayload") or form.get("ListId") or None
    return InboundForm(
        twilio_sid=sid,
        from_=Address.parse(form["From"]),
        to=form["To"],
        text=text,
        kind=_kind(form, media, location, button_text or button_payload),
        button_text=button_text or (text if button_payload else None),
        button_payload=button_payload,
        media=media,
        location=location,
        profile_name=form.get("ProfileName", "").replace("\x00", "") or None,
        replied_to_sid=_matching(_SID, form.get("OriginalRepliedMessageSid")),
        external_user_id=_address(form.get("ExternalUserId")),
        opt_out_type=form.get("OptOutType") or None,
        more={key: value for key, value in form.items() if key not in _KNOWN and value},
    )


_KNOWN = frozenset(
    {
        "MessageSid",
        "SmsSid",
        "SmsMessageSid",
        "AccountSid",
        "From",
        "To",
        "Body",
        "NumMedia",
        "NumSegments",
        "WaId",
        "ButtonText",
        "ButtonPayload",
        "ListId",
        "ListTitle",
        "ProfileName",
        "OriginalRepliedMessageSid",
        "OriginalRepliedMessageSender",
        "ExternalUserId",
        "OptOutType",
        "Latitude",
        "Longitude",
        "Address",
        "Label",
        "SmsStatus",
        "ApiVersion",
        "MessageType",
        "ChannelMetadata",
        *(f"Media{part}{n}" for part in ("Url", "ContentType") for n in range(MAX_MEDIA)),
    }
)


def _kind(
    form: Mapping[str, str], media: tuple[InboundMedium, ...], location: Location | None, button: str | None
) -> Kind:
    if button:
        return "button"
    if location:
        return "location"
    if media:
        return kind_of(media[0].content_type)
    if form.get("MessageType", "text") in ("text", "interactive", "button", "") or form.get("Body"):
        return "text"
    return "unknown"


def _media(form: Mapping[str, str]) -> tuple[InboundMedium, ...]:
    """By the URLs themselves: `NumMedia` may be missing or wrong."""
    found = ((form.get(f"MediaUrl{n}"), form.get(f"MediaContentType{n}", "")) for n in range(MAX_MEDIA))
    return tuple(
        InboundMedium(url=url, content_type=kind.lower() or "application/octet-stream") for url, kind in found if url
    )


def _location(form: Mapping[str, str]) -> Location | None:
    try:
        latitude, longitude = float(form["Latitude"]), float(form["Longitude"])
    except (KeyError, ValueError):
        return None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    return Location(
        latitude=latitude,
        longitude=longitude,
        label=form.get("Label") or None,
        address=form.get("Address") or None,
    )


def _address(text: str | None) -> Address | None:
    try:
        return Address.parse(text) if text else None
    except MessagingError:
        return None


def _matching(pattern: re.Pattern[str], text: str | None) -> str | None:
    return text if text and pattern.fullmatch(text) else None


def _is_number(address: str) -> bool:
    return "+" in address


def _same_number(wa_id: str, from_: str) -> bool:
    """Equal, or equal in the one spelling of a country that has two."""
    return Address(f"+{wa_id}").canonical == Address(from_.removeprefix("whatsapp:")).canonical
