"""The send queue and its dead-letter queue: SQS."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from whatsapp.domain import periods
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import PublishFailed
from whatsapp.domain.sending.message import Message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SendQueue:
    """The `Queue` port."""

    def __init__(self, client: Callable[[], "SQSClient"], url: str, dead_letter_url: str) -> None:
        self._client = client
        self._url = url
        self._dead_letter_url = dead_letter_url

    def nudge(self, message_id: str, delay_seconds: int = 0) -> None:
        """Ask for a message to be looked at. If SQS does not take it, the sweep looks all the same."""
        self._send(self._url, {"message_id": message_id}, min(delay_seconds, periods.SQS_LONGEST_DELAY_S))

    def dead_letter(self, message: Message) -> None:
        """Put a nudge of a message that failed where people look, with its id and why.

        Raises:
            NotTold: SQS did not take it.
        """
        error = message.error
        why = {"code": error.code, "twilio_code": error.twilio_code, "detail": error.detail} if error else None
        body = {
            "message_id": message.message_id,
            "contact_id": message.contact_id,
            "attempts": message.attempts,
            "error": why,
        }
        self._send(self._dead_letter_url, body, 0)

    def dead_letter_poison(self, body: str, error: MessagingError) -> None:
        """Keep a queue message that can never become a WhatsApp message, whole and with the reason.

        Raises:
            NotTold: SQS did not take it.
        """
        self._send(self._dead_letter_url, {"poison": body, "error": {"code": error.code, "detail": error.detail}}, 0)

    def put_back(self, receipt_handle: str, delay_seconds: int) -> None:
        """Have a queue message come again after a while.

        Raises:
            NotTold: SQS did not take it; then it comes again after the queue's own time.
        """
        try:
            self._client().change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt_handle, VisibilityTimeout=delay_seconds
            )
        except (ClientError, BotoCoreError) as error:
            raise PublishFailed(f"the queue did not take it ({type(error).__name__})") from None

    def _send(self, url: str, body: dict[str, object], delay_seconds: int) -> None:
        try:
            self._client().send_message(QueueUrl=url, MessageBody=json.dumps(body), DelaySeconds=delay_seconds)
        except (ClientError, BotoCoreError) as error:
            raise PublishFailed(f"the queue did not take it ({type(error).__name__})") from None
