"""A request to create a message, read and checked as Twilio does before it accepts.

Source: https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import FormData

from local.twilio.errors import TwilioError
from local.twilio.state import CHANNEL, E164, SCOPED_ID, Account, Content, bare
from local.twilio.whatsapp_rules import fill

TEXT_LIMIT = 1600
MEDIA_LIMIT = 10
CONTENT_SID = re.compile(r"HX[0-9a-fA-F]{32}")
EARLIEST_SCHEDULE, LATEST_SCHEDULE = timedelta(minutes=15), timedelta(days=35)


@dataclass
class CreateRequest:
    to: str
    sender: str
    sender_named: bool
    """By `From`; otherwise the Messaging Service chooses."""
    body: str
    media_urls: list[str]
    content: Content | None
    content_variables: str | None
    variables: dict[str, str]
    messaging_service_sid: str | None
    status_callback: str | None
    send_at: datetime | None

    @classmethod
    def read(cls, account: Account, form: FormData) -> "CreateRequest":
        """Read the form.

        Raises:
            TwilioError: the request is refused; the codes are those of the table.
        """
        service = _text(form, "MessagingServiceSid") or None
        to, sender = _addresses(account, form, service)
        content = _content(account, form)
        variables = _variables(form, content)
        media_urls = [] if content else _media_urls(form)
        return cls(
            to=to,
            sender=sender,
            sender_named=bool(_text(form, "From")),
            body="" if content else _body(form, media_urls),
            media_urls=fill(content.types.get("twilio/media", {}).get("media", []), variables)
            if content
            else media_urls,
            content=content,
            content_variables=_text(form, "ContentVariables") or None,
            variables=variables,
            messaging_service_sid=service,
            status_callback=_status_callback(form),
            # Without a Messaging Service Twilio drops the schedule and sends at once.
            send_at=_send_at(account, form) if service else None,
        )

    @property
    def initial_status(self) -> str:
        if self.send_at:
            return "scheduled"
        return "queued" if self.sender_named else "accepted"

    def rendered(self) -> dict[str, Any]:
        """What the patient will see."""
        if self.content is None:
            kind = "twilio/media" if self.media_urls else "twilio/text"
            return {"type": kind, "body": self.body, "media": self.media_urls}
        kind, layout = next(iter(self.content.types.items()))
        return {"type": kind, **fill(layout, self.variables)}


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _addresses(account: Account, form: FormData, service: str | None) -> tuple[str, str]:
    to = _text(form, "To")
    if not to:
        raise TwilioError(21604)
    chosen = _service_sender(account, service, to) if service else ""
    sender = _text(form, "From") or chosen
    if not sender:
        raise TwilioError(21603)
    if to.startswith(CHANNEL) != sender.startswith(CHANNEL):
        raise TwilioError(21910)
    scoped = account.settings.messages_to_scoped_ids and SCOPED_ID.fullmatch(bare(to))
    if not (E164.fullmatch(bare(to)) or scoped):
        raise TwilioError(21211, f"The 'To' number {to} is not a valid phone number.")
    if bare(sender) not in account.senders or not sender.startswith(CHANNEL):
        raise TwilioError(63007)
    if to == sender:
        raise TwilioError(63031)
    if account.patient(to).opted_out and not account.settings.advanced_opt_out:
        raise TwilioError(21610)
    return to, sender


def _service_sender(account: Account, service: str, to: str) -> str:
    senders = account.settings.messaging_services.get(service)
    if senders is None:
        raise TwilioError(21701)
    if not senders:
        raise TwilioError(21703)
    return (CHANNEL if to.startswith(CHANNEL) else "") + bare(senders[0])


def _content(account: Account, form: FormData) -> Content | None:
    sid = _text(form, "ContentSid")
    if not sid:
        if _text(form, "ContentVariables"):
            raise TwilioError(21654)
        return None
    content = account.contents.get(sid)
    if not CONTENT_SID.fullmatch(sid) or content is None:
        raise TwilioError(21655)
    return content


def _variables(form: FormData, content: Content | None) -> dict[str, str]:
    try:
        given = json.loads(_text(form, "ContentVariables") or "{}")
    except ValueError:
        raise TwilioError(21656) from None
    if not isinstance(given, dict) or not all(isinstance(value, str) and value for value in given.values()):
        raise TwilioError(21656)
    if any(len(value) > TEXT_LIMIT for value in given.values()):
        raise TwilioError(21658)
    return (content.variables if content else {}) | given


def _media_urls(form: FormData) -> list[str]:
    urls = [url for url in form.getlist("MediaUrl") if isinstance(url, str) and url]
    if len(urls) > MEDIA_LIMIT:
        raise TwilioError(21623)
    if not all(_is_http(url) for url in urls):
        raise TwilioError(21620)
    return urls


def _body(form: FormData, media_urls: list[str]) -> str:
    body = _text(form, "Body")
    if not body and not media_urls:
        raise TwilioError(21602)
    if len(body) > TEXT_LIMIT:
        raise TwilioError(21617)
    return body


def _status_callback(form: FormData) -> str | None:
    url = _text(form, "StatusCallback")
    if url and (not _is_http(url) or "_" in (urlsplit(url).hostname or "")):
        raise TwilioError(21609, f"The 'StatusCallback' URL {url} is not a valid URL.")
    return url or None


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _send_at(account: Account, form: FormData) -> datetime | None:
    """When a scheduled message goes; None sends at once."""
    if _text(form, "ScheduleType") != "fixed":
        return None
    try:
        send_at = datetime.fromisoformat(_text(form, "SendAt"))
    except ValueError:
        raise TwilioError(35114) from None
    send_at = send_at if send_at.tzinfo else send_at.replace(tzinfo=UTC)
    if not EARLIEST_SCHEDULE <= send_at - account.whatsapp_now() <= LATEST_SCHEDULE:
        raise TwilioError(35114)
    return send_at
