"""Alerts for the person on call, through SNS: what happened, why, what to do. Never a full number, never a text."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from whatsapp.domain.address import Address
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import Failure, MessagingError
from whatsapp.domain.incident import Incident
from whatsapp.domain.ports import Clock, PublishFailed
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.twilio_codes import Audience, row_for

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

    from whatsapp.domain.templates.version import TemplateVersion

_SUBJECT_LIMIT = 100
_FIRST_IDS = 20

_REDRIVE = (
    "redrive the dead-letter queue. If it does not list this message, Twilio had accepted it before it failed: send "
    "it with a new idempotency_key, or phone the patient."
)
_WHAT_TO_DO = {
    "account_problem": f"Repair the account or its settings (docs/codes.md), then {_REDRIVE}",
    "twilio_unavailable": f"See Twilio's status page. When the outage is over, {_REDRIVE}",
    "throttled": f"We send faster than Twilio or Meta allows (docs/operations.md, throttling). Later, {_REDRIVE}",
    "template_not_approved": "GET /templates shows the reason. Reword the template, or wait for its review.",
    "sender_paused": (
        "Without a Twilio code, someone holds all sending: DELETE /hold releases it. With one, a limit of Twilio's or "
        "Meta's binds our sender (docs/operations.md, throttling). Who still has to hear of it: phone them."
    ),
    "invalid_variables": "The request does not fit the template's variables: inform the orchestrator's authors.",
    "invalid_request": "Our request to Twilio was wrong: inform the developers of this code (docs/codes.md).",
    "window_closed": "WhatsApp took an approved template for free text: compare GET /templates with Twilio's console.",
    "unknown_media_host": (
        "Ask Twilio whether the host is theirs (docs/operations.md, MediaWaitingAlarm). The files stay at Twilio, and "
        "are tried again for a day."
    ),
    "safety": (
        "Read GET /contacts/{contact_id}/conversation and call the patient now. Emergency: 112; Tele-MANAS: 14416. "
        "Then POST /contacts/{contact_id}/acknowledge: until somebody does, this comes again. "
        "The words were matched by a list (docs/safety.md): it may be a false alarm."
    ),
    "unknown_error": f"Look the code up at Twilio, mend its cause, add a row to the table of codes. Then {_REDRIVE}",
}
_RUNBOOK = "alerts-about-messages"
"""The heading in docs/operations.md."""
_ON_CALL = "whoever is on call"
_NO_REASON = Failure(code="none", detail="no reason known")
_AUDIENCES = {
    Audience.AUTHORS: "those who word the templates",
    Audience.DEVELOPERS: "the developers",
}
_IN_DOUBT = (
    "Look in Twilio's console whether the message went out. If it did not and still matters, send it with a new "
    "idempotency_key, or phone the patient."
)
_UNREADABLE = "It is in the dead-letter queue, whole. Its sender has to correct it and send it again."
_LOOK_UP = "Look the code up in docs/codes.md."
_RESENT = (
    "Nothing. If Twilio's list does not show it 76 minutes after the attempt, it is sent anew by itself. To "
    "prevent that: DELETE /messages/{message_id}."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an alert comes from, and where it is explained."""

    stack: str
    stage: str
    region: str
    runbook_url: str


class SnsAlerts:
    """The `Alerts` port. Every method raises `PublishFailed` if SNS does not take the alert.

    A subject begins with `PAGE` where a patient waits for somebody to act, with `LOOK` where it has time until morning.
    """

    def __init__(self, client: Callable[[], "SNSClient"], topic_arn: str, place: Place, clock: Clock) -> None:
        self._client = client
        self._topic_arn = topic_arn
        self._place = place
        self._clock = clock

    def about(self, message: Message) -> None:
        """Alert about a message in its current status."""
        what = message.template or "free-form message"
        urgency = _urgency(message.error or _NO_REASON)
        self._send(urgency, f"WhatsApp {what} {message.status.public_status}", text_about(message))

    def about_template(self, version: "TemplateVersion", change: str, serving: "TemplateVersion | None") -> None:
        """Alert about a change of a template, by WhatsApp or by hand at Twilio's console."""
        what = f"template {version.template} ({version.language})"
        self._send(
            "LOOK", f"WhatsApp {what}: {change.replace('_', ' ')}", text_about_template(version, change, serving)
        )

    def unreadable(self, queue_message_id: str, error: MessagingError) -> None:
        """Alert about a queue message that cannot be read."""
        lines = [
            "What:     a message on the send queue cannot be read; nothing was sent",
            f"Why:      {error.code}: {error.detail}",
            f"Queue id: {queue_message_id}",
            f"To do:    {_UNREADABLE}",
        ]
        self._send("LOOK", "WhatsApp request unreadable", "\n".join(lines))

    def about_incident(self, incident: Incident) -> None:
        """Alert about all that one cause struck since the last alert about it."""
        is_ours = incident.state in ("unreadable", "not fetched")
        urgency = "LOOK" if is_ours else _urgency(incident.failure)
        self._send(urgency, f"WhatsApp: {_count(incident)} {incident.state}", text_about_incident(incident))

    def _send(self, urgency: str, what: str, text: str) -> None:
        place = self._place
        where = [
            f"Where:    stack {place.stack}, stage {place.stage}, {place.region}",
            f"When:     {iso(self._clock.now())}",
            f"Runbook:  {place.runbook_url}#{_RUNBOOK}",
        ]
        subject = f"{urgency} {place.stage}: {what}"[:_SUBJECT_LIMIT]
        try:
            self._client().publish(TopicArn=self._topic_arn, Subject=subject, Message="\n".join([text, *where]))
        except (ClientError, BotoCoreError) as error:
            raise PublishFailed(f"the topic did not take it ({type(error).__name__})") from None


def text_about_template(version: "TemplateVersion", change: str, serving: "TemplateVersion | None") -> str:
    """The alert's text. `serving` is the version that is sent now, if there is one."""
    from whatsapp.domain.templates.plan import what_to_do
    from whatsapp.domain.templates.version import PROBLEM

    why = version.problem if change == PROBLEM else version.reason
    if serving is None:
        effect = "nothing goes out in this language: sends are refused as template_not_approved"
    elif serving.version == version.version:
        effect = "it goes out as before"
    else:
        effect = f"an earlier wording goes out instead ({serving.version})"
    lines = [
        f"What:     template {version.template} ({version.language}): {change.replace('_', ' ')}",
        f"Why:      {why or 'WhatsApp gave no reason'}",
        f"Effect:   {effect}",
        f"Version:  {version.version}, {version.content_sid}, category {version.category or 'unknown'}",
        f"To do:    {what_to_do(change)}",
    ]
    return "\n".join(lines)


def text_about_incident(incident: Incident) -> str:
    """The alert's text: how many, why, which, and what to do."""
    lines = [
        f"What:     {_count(incident)} {incident.state}, of one cause, since the last alert about it",
        f"Why:      {_why(incident.failure)}",
        f"For:      {_whom(incident.failure)}",
        f"To do:    {_to_do_about(incident)}",
        *([f"Contact:  {incident.about}"] if incident.about else []),
        *(f"Id:       {one}" for one in sorted(incident.ids)[:_FIRST_IDS]),
        *([f"          and {more} more"] if (more := len(incident.ids) - _FIRST_IDS) > 0 else []),
    ]
    return "\n".join(lines)


def _why(error: Failure) -> str:
    twilio = f", Twilio code {error.twilio_code}" if error.twilio_code else ""
    return f"{error.code}{twilio}: {error.detail}"


def _urgency(error: Failure) -> str:
    return "PAGE" if _whom(error) == _ON_CALL else "LOOK"


def _whom(error: Failure) -> str:
    return _AUDIENCES.get(row_for(error.twilio_code).alert, _ON_CALL)


def _count(incident: Incident) -> str:
    return f"{len(incident.ids)}{' or more' if incident.is_longer else ''}"


def _to_do_about(incident: Incident) -> str:
    if incident.state == Status.UNRESOLVED.public_status:
        return _IN_DOUBT
    if incident.state == "unreadable":
        return _UNREADABLE
    return _WHAT_TO_DO.get(incident.failure.code, _LOOK_UP)


def text_about(message: Message) -> str:
    """The alert's text. It contains no name, no full number and no text of the message."""
    error = message.error or _NO_REASON
    lines = [
        f"What:     {message.template or 'free-form message'} is {message.status.public_status}",
        f"To:       {Address(message.to).masked if message.to else 'erased'} (contact {message.contact_id})",
        f"Why:      {_why(error)}",
        f"Attempts: {message.attempts}",
        f"Message:  {message.message_id}" + (f", Twilio sid {message.twilio_sid}" if message.twilio_sid else ""),
        f"Caller:   {message.agent or 'no agent'}",
        f"For:      {_whom(error)}",
        f"To do:    {_to_do(message, error.code)}",
    ]
    return "\n".join(lines)


def _to_do(message: Message, code: str) -> str:
    if message.status is not Status.UNRESOLVED:
        return _WHAT_TO_DO.get(code, _LOOK_UP)
    if message.on_unknown == "resend" and not message.stop:
        return _RESENT.format(message_id=message.message_id)
    return _IN_DOUBT
