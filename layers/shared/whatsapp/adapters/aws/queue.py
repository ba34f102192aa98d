"""The send queue and its dead-letter queue in SQS."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from whatsapp.domain import periods
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import ASKED_AT, CALLERS_ASKED_AT, Letter, PublishFailed, asked_at
from whatsapp.domain.sending.message import Message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SendQueue:
    """The `Queue` port. Every method raises `PublishFailed` if SQS does not take the message."""

    def __init__(self, client: Callable[[], "SQSClient"], url: str, dead_letter_url: str) -> None:
        self._client = client
        self._url = url
        self._dead_letter_url = dead_letter_url

    def nudge(self, message_id: str, delay_seconds: int = 0) -> None:
        """Ask for a record to be looked at, after a delay of at most SQS's 15 minutes."""
        self._send(self._url, {"message_id": message_id}, min(delay_seconds, periods.SQS_LONGEST_DELAY_S))

    def nudge_many(self, nudges: Sequence[tuple[str, int]]) -> None:
        """Nudge up to ten records in one call: their ids, each with its delay in seconds.

        Raises:
            PublishFailed: the queue did not take all of them.
        """
        entries: list[Any] = [
            {"Id": str(n), "MessageBody": json.dumps({"message_id": message_id}), "DelaySeconds": delay_seconds}
            for n, (message_id, delay_seconds) in enumerate(nudges)
        ]
        with _failing_to_publish():
            answer = self._client().send_message_batch(QueueUrl=self._url, Entries=entries)
        if failed := answer.get("Failed"):
            raise PublishFailed(f"the queue did not take {len(failed)} of {len(entries)} nudges")

    def backlog(self) -> int:
        """About how many queue messages wait to be worked, those with a delay included.

        Raises:
            PublishFailed: the queue did not answer.
        """
        names: list[Any] = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]
        with _failing_to_publish():
            answer = self._client().get_queue_attributes(QueueUrl=self._url, AttributeNames=names)
        return sum(int(number) for number in answer["Attributes"].values())

    def enqueue(self, request: Mapping[str, Any], asked_at: int) -> None:
        """Put a request to send on the queue again. `asked_at`: when it first was (epoch ms)."""
        self._send(self._url, request, asked_at=asked_at)

    def dead_letter(self, message: Message) -> None:
        """Write a failed message's id and error to the dead-letter queue. It has no address and no text."""
        error = message.error
        why = {"code": error.code, "twilio_code": error.twilio_code, "detail": error.detail} if error else None
        body = {
            "message_id": message.message_id,
            "contact_id": message.contact_id,
            "attempts": message.attempts,
            "error": why,
        }
        self._send(self._dead_letter_url, body)

    def dead_letter_unreadable(
        self, body: str, queue_message_id: str, error: MessagingError, asked_at: int | None = None
    ) -> None:
        """Write a queue message that cannot be read to the dead-letter queue, unchanged, with its id and the error.

        `asked_at`: when it was first put on a queue (epoch ms). An erasure since then deletes it.
        """
        why = {"code": error.code, "detail": error.detail}
        self._send(
            self._dead_letter_url,
            {"poison": body, "queue_message_id": queue_message_id, "error": why},
            asked_at=asked_at,
        )

    def put_back(self, receipt_handle: str, delay_seconds: int) -> None:
        """Let a queue message come again after a delay. On failure, it comes after the queue's visibility timeout."""
        with _failing_to_publish():
            self._client().change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt_handle, VisibilityTimeout=delay_seconds
            )

    def dead_letters(self) -> Iterator[Letter]:
        """Each dead letter. Others see it again after `DEAD_LETTER_HIDDEN_S`."""
        seen: set[str] = set()
        while True:
            with _failing_to_publish():
                answer = self._client().receive_message(
                    QueueUrl=self._dead_letter_url,
                    MaxNumberOfMessages=10,
                    VisibilityTimeout=periods.DEAD_LETTER_HIDDEN_S,
                    WaitTimeSeconds=1,
                    MessageSystemAttributeNames=["SentTimestamp"],
                    MessageAttributeNames=[ASKED_AT, CALLERS_ASKED_AT],
                )
            letters = [one for one in answer.get("Messages", []) if one["MessageId"] not in seen]
            if not letters:
                return
            seen.update(one["MessageId"] for one in letters)
            yield from (Letter(one["Body"], one["ReceiptHandle"], asked_at_of(one)) for one in letters)

    def delete_dead_letter(self, receipt_handle: str) -> None:
        """Delete a dead letter for good."""
        with _failing_to_publish():
            self._client().delete_message(QueueUrl=self._dead_letter_url, ReceiptHandle=receipt_handle)

    def _send(self, url: str, body: Mapping[str, object], delay_seconds: int = 0, asked_at: int | None = None) -> None:
        said: Any = {ASKED_AT: {"DataType": "Number", "StringValue": str(asked_at)}} if asked_at else {}
        with _failing_to_publish():
            self._client().send_message(
                QueueUrl=url, MessageBody=json.dumps(body), DelaySeconds=delay_seconds, MessageAttributes=said
            )


def asked_at_of(received: Mapping[str, Any]) -> int:
    """When a message that SQS's `ReceiveMessage` gave was asked for (epoch ms)."""
    attributes = {name: one.get("StringValue", "") for name, one in received.get("MessageAttributes", {}).items()}
    return asked_at(attributes, int(received["Attributes"]["SentTimestamp"]))


@contextmanager
def _failing_to_publish() -> Iterator[None]:
    """Translate an error of SQS. Its text is left out: it may quote the message."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise PublishFailed(f"the queue did not take it, or did not answer ({type(error).__name__})") from None
