"""For the orchestrator's authors: one function that sends a WhatsApp message once, however often it is retried.

    from datetime import datetime, timedelta
    from whatsapp.client import send_whatsapp_message

    begins = datetime.now().astimezone() + timedelta(days=1)
    answer = send_whatsapp_message(
        "+919812345678",
        "session_reminder",
        {"patient_name": "Asha", "session_time": begins.isoformat(), "therapist_name": "Dr. Rao"},
        idempotency_key="appt-8831-reminder-24h",
    )

It needs only boto3: copy this file, or attach the shared layer.
"""

import hashlib
import json
import os
import random
import time
import uuid
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's own name

TRIES = 4
READ_TIMEOUT_S = 35
"""More than the send function's own 30 s: when we stop waiting, the function has ended."""


class WhatsAppError(Exception):
    """The message was not accepted. This error contains no number, no name and no text of the message."""


class MessageRefused(WhatsAppError):
    """The request was refused. Nothing was stored, and its idempotency key is still free.

    Attributes:
        code: our own error code, such as `invalid_address`, `opted_out`, `window_closed`, `rate_limited`,
            `too_late` (the session has begun).
        retryable: whether the same request may succeed later.
        answer: the whole answer.
    """

    def __init__(self, answer: Mapping[str, Any]) -> None:
        error = answer["error"]
        super().__init__(f"{error['code']}: {error['detail']}")
        self.code: str = error["code"]
        self.retryable: bool = error["retryable"]
        self.answer = dict(answer)


class MessagingUnavailable(WhatsAppError):
    """No try got an answer: the message may have been accepted or not.

    Call again with the same `idempotency_key`, now or tomorrow: the message is never sent twice.
    """

    def __init__(self, idempotency_key: str, cause: str) -> None:
        super().__init__(f"no answer after {TRIES} tries ({cause}); call again with the same idempotency_key")
        self.idempotency_key = idempotency_key


def send_whatsapp_message(
    to: str,
    template: str | None = None,
    variables: Mapping[str, str] | None = None,
    *,
    idempotency_key: str | None = None,
    function_name: str | None = None,
    queue_url: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
    **options: Any,
) -> dict[str, Any]:
    """Send one WhatsApp message, at most once.

    Args:
        to: `+E164`; a national number is read as Indian.
        template: name of a template, with its `variables`; or None, with `text=` or `media_url=` (options).
        idempotency_key: your name for this message, such as `appt-8831-reminder-24h`. The same key never sends a
            second message, today or next month. Without one, a new key covers this call and its own retries only.
        function_name: the send function; without it, `WHATSAPP_SEND_FUNCTION` of the environment. You get the
            message's real status.
        queue_url: the send queue instead, for bulk or if you cannot wait. The answer is always `pending`, and events
            on the bus report the rest. Without either, `WHATSAPP_SEND_QUEUE_URL` of the environment.
        sleep: waits between tries, in seconds.
        options: the request's other fields, as in events/schemas/SendRequest.json: `text`, `media_url`,
            `language`, `user_id`, `agent`, `in_reply_to`, `send_at`, `expires_at` (ISO 8601 with offset), …

    Returns:
        The answer of events/schemas/SendAnswer.json. Look at `status`: `deferred` goes out at `scheduled_for`;
        with `will_expire`, phone the patient instead.

    Raises:
        MessageRefused: correct the request, or do not write to this contact.
        MessagingUnavailable: try again later with the same key.
        botocore.exceptions.ClientError: your configuration is wrong: no such function, no permission.
        ValueError: neither a function nor a queue is given.
    """
    key = idempotency_key or str(uuid.uuid4())
    request = {
        "to": to,
        "template": template,
        "variables": dict(variables) if variables else None,
        "idempotency_key": key,
        **options,
    }
    body = json.dumps({name: value for name, value in request.items() if value is not None})
    function_name = function_name or (None if queue_url else os.environ.get("WHATSAPP_SEND_FUNCTION"))
    queue_url = queue_url or os.environ.get("WHATSAPP_SEND_QUEUE_URL")
    if function_name:
        return _answered(_retrying(lambda: _invoke(function_name, body), key, sleep))
    if queue_url:
        _retrying(lambda: _client("sqs").send_message(QueueUrl=queue_url, MessageBody=body), key, sleep)
        return _queued(key)
    raise ValueError("say which function_name or queue_url, or set WHATSAPP_SEND_FUNCTION")


def message_id_of(idempotency_key: str) -> str:
    """The id under which `GET /messages/{message_id}` and the bus know the message of this key."""
    return hashlib.sha256(b"message:" + idempotency_key.encode()).hexdigest()[:32]


class _Unanswered(Exception):
    """The function failed, so the result of the request is not known."""


def _invoke(function_name: str, body: str) -> dict[str, Any]:
    response = _client("lambda").invoke(FunctionName=function_name, Payload=body.encode())
    answer = json.loads(response["Payload"].read())
    if "FunctionError" in response:
        raise _Unanswered(answer.get("errorType", "the function failed"))
    return dict(answer)


def _answered(answer: dict[str, Any]) -> dict[str, Any]:
    if answer["status"] == "refused":
        raise MessageRefused(answer)
    return answer


def _queued(key: str) -> dict[str, Any]:
    """The answer for a message in the queue."""
    unknown = ("contact_id", "twilio_sid", "scheduled_for", "continues", "continued_as", "error")
    known = {"message_id": message_id_of(key), "status": "pending", "duplicate": False, "will_expire": False}
    return {**known, **dict.fromkeys(unknown)}


def _retrying(call: Callable[[], Any], key: str, sleep: Callable[[float], None]) -> Any:
    """Try the same request until there is an answer; wait longer each time (0.5 to 4 s, with jitter)."""
    cause = ""
    for attempt in range(TRIES):
        if attempt:
            sleep(random.uniform(0.5, 1) * 2 ** (attempt - 1))  # noqa: S311 - jitter, not a secret
        try:
            return call()
        except ClientError as error:
            cause = error.response["Error"]["Code"]
            if not _is_temporary(error):
                raise
        except _Unanswered as error:
            cause = str(error)
        except (ConnectionError, HTTPClientError) as error:
            cause = type(error).__name__
    raise MessagingUnavailable(key, cause)


def _is_temporary(error: ClientError) -> bool:
    """Whether the error is temporary: AWS is throttling or failing."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return status >= 500 or status == 429 or "Throttl" in error.response["Error"]["Code"]


@lru_cache
def _client(service: str) -> Any:
    # One try, because the retries are ours: a second one inside botocore would wait twice as long.
    config = Config(connect_timeout=3, read_timeout=READ_TIMEOUT_S, retries={"total_max_attempts": 1})
    return boto3.client(service, config=config)  # type: ignore[call-overload]  # the stubs know services by literal
