"""Alerts for whoever is paged at night: SNS. What, who (masked), why, what to do; never a message's text."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from whatsapp.domain.address import Address
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.lifecycle import Status
from whatsapp.domain.message import Message
from whatsapp.domain.ports import NotTold
from whatsapp.domain.template_plan import what_to_do
from whatsapp.domain.template_version import PROBLEM, TemplateVersion

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

_SUBJECT_LIMIT = 100

_WHAT_TO_DO = {
    "account_problem": "Mend the account or its set-up (docs/codes.md), then redrive the dead-letter queue.",
    "twilio_unavailable": "See Twilio's status page. When it is well, redrive the dead-letter queue.",
    "throttled": "We send faster than Twilio or Meta lets us. See docs/operations.md, throttling.",
    "template_not_approved": "GET /templates tells the reason; reword the template or wait for its review.",
    "invalid_variables": "The template's variables and the request disagree: tell the orchestrator's authors.",
    "unknown_error": "A code we do not know: look it up at Twilio, then add a row to the table of codes.",
}
_IN_DOUBT = (
    "Look in Twilio's console whether the message went out. If it did not and still matters, send it with a new "
    "idempotency_key, or phone the patient."
)


class SnsAlerts:
    """The `Alerts` port."""

    def __init__(self, client: Callable[[], "SNSClient"], topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def about(self, message: Message) -> None:
        """Alert about a message's present status.

        Raises:
            NotTold: SNS did not take it.
        """
        what = message.template or "free-form message"
        self._send(f"WhatsApp {what} {message.status.face}", text_about(message))

    def about_template(self, version: TemplateVersion, news: str, serving: TemplateVersion | None) -> None:
        """Alert about what WhatsApp, or somebody at Twilio's console, did to a template.

        Raises:
            NotTold: SNS did not take it.
        """
        what = f"template {version.template} ({version.language})"
        self._send(f"WhatsApp {what}: {news.replace('_', ' ')}", text_about_template(version, news, serving))

    def poison(self, queue_message_id: str, error: MessagingError) -> None:
        """Alert about a queue message that can never become a WhatsApp message.

        Raises:
            NotTold: SNS did not take it.
        """
        lines = [
            "What:     a request on the send queue is unusable; nothing was sent",
            f"Why:      {error.code}: {error.detail}",
            f"Queue id: {queue_message_id}",
            "To do:    It lies in the dead-letter queue. Have its sender mend it, and send it anew.",
        ]
        self._send("WhatsApp request unusable", "\n".join(lines))

    def _send(self, subject: str, text: str) -> None:
        try:
            self._client().publish(TopicArn=self._topic_arn, Subject=subject[:_SUBJECT_LIMIT], Message=text)
        except (ClientError, BotoCoreError) as error:
            raise NotTold(f"the topic did not take it ({type(error).__name__})") from None


def text_about_template(version: TemplateVersion, news: str, serving: TemplateVersion | None) -> str:
    """The alert's text. `serving` is the wording that goes out now, if any."""
    why = version.problem if news == PROBLEM else version.reason
    if serving is None:
        effect = "nothing goes out in this language: sends are refused as template_not_approved"
    elif serving.version == version.version:
        effect = "it goes out as before"
    else:
        effect = f"an earlier wording goes out instead ({serving.version})"
    lines = [
        f"What:     template {version.template} ({version.language}): {news.replace('_', ' ')}",
        f"Why:      {why or 'WhatsApp gave no reason'}",
        f"Effect:   {effect}",
        f"Version:  {version.version}, {version.content_sid}, category {version.category or 'unknown'}",
        f"To do:    {what_to_do(news)}",
    ]
    return "\n".join(lines)


def text_about(message: Message) -> str:
    """The alert's text: readable at 3 am, and without a word that is the patient's."""
    error = message.error
    code = error.code if error else "none"
    to_do = _IN_DOUBT if message.status is Status.UNKNOWN_FINAL else _WHAT_TO_DO.get(code, "See docs/operations.md.")
    twilio = f", Twilio code {error.twilio_code}" if error and error.twilio_code else ""
    lines = [
        f"What:     {message.template or 'free-form message'} is {message.status.face}",
        f"To:       {Address(message.to).masked if message.to else 'erased'} (contact {message.contact_id})",
        f"Why:      {code}{twilio}: {error.detail if error else 'no reason known'}",
        f"Attempts: {message.attempts}",
        f"Message:  {message.message_id}" + (f", Twilio sid {message.twilio_sid}" if message.twilio_sid else ""),
        f"Caller:   {message.agent or 'no agent'}",
        f"To do:    {to_do}",
    ]
    return "\n".join(lines)
