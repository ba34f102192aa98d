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
from botocore.exceptions import (
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own name
    HTTPClientError,
    IncompleteReadError,
)

TRIES = 4
READ_TIMEOUT_S = 35
"""More than the send function's own 30 s: when we stop waiting, the function has ended."""
LONGEST_KEY = 256
_FAILED = frozenset({"failed", "undelivered", "expired", "canceled"})


class WhatsAppError(Exception):
    """The message was not accepted, or perhaps not. This error contains no number, no name and no text of the message.

    MessageRefused         nothing was stored: correct the request
    MessageFailed          it will not go out: phone the patient, or send another message
    MessageInDoubt         it may have gone out: wait for the event
    MessagingUnavailable   no answer: call again with the same key
    """


class MessageRefused(WhatsAppError):
    """The request was refused. Nothing was stored, and its idempotency key is still free.

    Attributes:
        code: our own error code, such as `invalid_address`, `opted_out`, `window_closed`, `rate_limited`,
            `too_late` (the session has begun), `no_consent`.
        retryable: whether the same request may succeed later.
        answer: the whole answer.
    """

    def __init__(self, answer: Mapping[str, Any]) -> None:
        error = answer["error"]
        super().__init__(f"{error['code']}: {error['detail']}")
        self.code: str = error["code"]
        self.retryable: bool = error["retryable"]
        self.answer = dict(answer)


class MessageFailed(WhatsAppError):
    """The message of this key is stored and will not go out: it failed, expired or was canceled.

    The key is used up: calling again with it only says the same. What is sent anew needs a new key.

    Attributes:
        code: our own error code, such as `not_on_whatsapp`; the status where there is no error, such as `canceled`.
        answer: the whole answer.
    """

    def __init__(self, answer: Mapping[str, Any]) -> None:
        error = answer.get("error") or {}
        self.code: str = error.get("code") or answer["status"]
        super().__init__(f"{answer['status']}: {error.get('detail') or 'the message does not go out'} ({self.code})")
        self.answer = dict(answer)


class MessageInDoubt(WhatsAppError):
    """Twilio gave no clear answer: the message may have gone out or not. It is not sent twice.

    The bus tells when that is known (`message.status_changed`); `GET /messages/{message_id}` shows it. A new key might
    send the message a second time.

    Attributes:
        answer: the whole answer.
    """

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__(f"message {answer['message_id']} may have gone out or not; wait for its event, use no new key")
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
            second message, today or next month. None: a new key covers this call and its own retries only.
        function_name: the send function; without it, `WHATSAPP_SEND_FUNCTION` of the environment. You get the
            message's real status.
        queue_url: the send queue instead, for bulk or if you cannot wait. The answer is always `pending`, and events
            on the bus report the rest, a refusal too. Without either, `WHATSAPP_SEND_QUEUE_URL` of the environment.
        sleep: waits between tries, in seconds.
        options: the request's other fields, as in events/schemas/SendRequest.json: `text`, `media_url`,
            `language`, `user_id`, `agent`, `in_reply_to`, `send_at`, `expires_at` (ISO 8601 with offset), …

    Returns:
        The answer of events/schemas/SendAnswer.json: Twilio has the message (`sent`), or it waits and will go out.
        Look at `status`: `deferred` goes out at `scheduled_for`; with `will_expire`, phone the patient instead. With
        `continued_as`, another record carries on for it.

    Raises:
        MessageRefused: correct the request, or do not write to this contact.
        MessageFailed: it will not go out.
        MessageInDoubt: it may have gone out.
        MessagingUnavailable: try again later with the same key.
        WhatsAppError: what answered is not the send function.
        botocore.exceptions.ClientError: your configuration is wrong: no such function, no permission.
        ValueError: an empty or too long `idempotency_key`; both a function and a queue, or neither, or an empty one.
    """
    key = str(uuid.uuid4()) if idempotency_key is None else _checked(idempotency_key)
    function_name, queue_url = _door(function_name, queue_url)
    request = {
        "to": to,
        "template": template,
        "variables": dict(variables) if variables else None,
        "idempotency_key": key,
        **options,
    }
    body = json.dumps({name: value for name, value in request.items() if value is not None}, allow_nan=False)
    if function_name:
        return _answered(_retrying(lambda: _invoke(function_name, body), key, sleep))
    _retrying(lambda: _client("sqs").send_message(QueueUrl=queue_url, MessageBody=body), key, sleep)
    return _queued(key)


def message_id_of(idempotency_key: str) -> str:
    """A handle of this key's message: `GET` and `DELETE /messages/{message_id}` take it in place of the id, also before
    the message has come out of the queue. Answers have the id itself; events have that and the `idempotency_key`.
    """
    return hashlib.sha256(b"message:" + idempotency_key.strip().encode()).hexdigest()[:32]


def _checked(key: object) -> str:
    """The key as the send function reads it. An empty one is a mistake: in its place, each call would get a new one."""
    if not isinstance(key, str) or not (stripped := key.strip()):
        raise ValueError("idempotency_key is empty or no text: leave it out, or give the message a name")
    if len(stripped) > LONGEST_KEY:
        raise ValueError(f"idempotency_key has over {LONGEST_KEY} characters")
    return stripped


def _door(function_name: str | None, queue_url: str | None) -> tuple[str | None, str | None]:
    """The function or the queue, as given, else as the environment says. Exactly one of them."""
    if "" in (function_name, queue_url):
        raise ValueError("function_name or queue_url is empty: leave it out, or say which")
    if function_name and queue_url:
        raise ValueError("give either function_name or queue_url, not both")
    if not function_name and not queue_url:
        function_name = os.environ.get("WHATSAPP_SEND_FUNCTION")
        queue_url = None if function_name else os.environ.get("WHATSAPP_SEND_QUEUE_URL")
    if not function_name and not queue_url:
        raise ValueError("say which function_name or queue_url, or set WHATSAPP_SEND_FUNCTION")
    return function_name, queue_url


class _Unanswered(Exception):
    """The function failed, so the result of the request is not known."""


def _invoke(function_name: str, body: str) -> object:
    response = _client("lambda").invoke(FunctionName=function_name, Payload=body.encode())
    try:
        answer = json.loads(response["Payload"].read())
    except ValueError:
        raise _Unanswered("unreadable answer") from None
    if "FunctionError" in response:
        raise _Unanswered(answer.get("errorType", "error") if isinstance(answer, dict) else "error")
    return answer


def _answered(answer: object) -> dict[str, Any]:
    """The answer, if the message is at Twilio or will go there."""
    if not isinstance(answer, dict) or not isinstance(answer.get("status"), str):
        raise WhatsAppError("this is no answer of the send function: is function_name right?")
    if answer["status"] == "refused":
        raise MessageRefused(answer)
    if answer["status"] in _FAILED and not answer.get("continued_as"):
        raise MessageFailed(answer)
    if answer["status"] == "unknown":
        raise MessageInDoubt(answer)
    return answer


def _queued(key: str) -> dict[str, Any]:
    """The answer for a message in the queue. Its `message_id` is a handle: only the send function can make the id."""
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
        except (ConnectionError, HTTPClientError, IncompleteReadError) as error:
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
