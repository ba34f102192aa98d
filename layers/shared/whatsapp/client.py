"""For the orchestrator's authors: send a WhatsApp message once, however often it is retried; cancel, look up, erase.

    from datetime import datetime, timedelta
    from whatsapp.client import send_whatsapp_message

    begins = datetime.now().astimezone() + timedelta(days=1)
    answer = send_whatsapp_message(
        "+919812345678",
        "session_reminder",
        {"patient_name": "Asha", "session_time": begins, "therapist_name": "Dr. Rao"},
        idempotency_key="appt-8831-reminder-24h",
    )

An answer means that the message is at Twilio or will go there. Everything else is an exception: a subclass of
`WhatsAppError`, or ValueError where the call itself makes no sense.

The functions block, for up to a minute or two when AWS fails. In async code:

    answer = await asyncio.to_thread(send_whatsapp_message, "+919812345678", "mood_checkin", {…}, idempotency_key="…")

It needs only boto3: copy this file, or attach the shared layer.
"""

import hashlib
import json
import os
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own name
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    NoRegionError,
)

TRIES = 4
READ_TIMEOUT_S = 35
"""More than the send function's own 30 s: when we stop waiting, the function has ended."""
LONGEST_KEY = 256
_FAILED = frozenset({"failed", "undelivered", "expired", "canceled"})


class Failure(TypedDict):
    """Why: `code` is a stable word to branch on, `detail` says what to do."""

    code: str
    detail: str
    twilio_code: int | None
    retryable: bool


class Answer(TypedDict):
    """A message's record, as in events/schemas/SendAnswer.json. Times are ISO 8601 with offset."""

    message_id: str | None
    contact_id: str | None
    status: str
    twilio_sid: str | None
    duplicate: bool
    scheduled_for: str | None
    will_expire: bool
    continues: str | None
    continued_as: str | None
    error: Failure | None


class Choice(TypedDict):
    """What the patient may tap: your `id`, at most 128 characters; what they read: a `title` of at most 24 characters
    (20 on a button), and perhaps a `description` of at most 72."""

    id: str
    title: str
    description: NotRequired[str]


class WhatsAppError(Exception):
    """The message was not accepted, or perhaps not. This error contains no number, no name and no text of the message.

    RequestRefused         correct the request
      MessageRefused       the same of a message: nothing was stored
    MessageFailed          it will not go out: phone the patient, or send another message
    MessageInDoubt         it may have gone out: wait for the event
    MessagingUnavailable   no answer: call again with the same key
    WrongSetup             no region, credentials or permission, or no such function or queue
    """


class WrongSetup(WhatsAppError):
    """AWS did not take the call, and will not take it again as it is: nothing was stored."""


class RequestRefused(WhatsAppError):
    """The request was refused.

    Attributes:
        code: our own error code, such as `invalid_address`, `not_found`, `too_late_to_cancel`, `opted_out`,
            `window_closed`, `rate_limited`, `too_late` (the session has begun), `no_consent`, `number_hidden` (a
            WhatsApp id that cannot be sent to: ask for the number).
        retryable: whether the same request may succeed later.
        answer: the whole answer.
    """

    def __init__(self, answer: Mapping[str, Any]) -> None:
        error = answer["error"]
        super().__init__(f"{error['code']}: {error['detail']}")
        self.code: str = error["code"]
        self.retryable: bool = error["retryable"]
        self.answer = dict(answer)


class MessageRefused(RequestRefused):
    """The message was refused. Nothing was stored, and its idempotency key is still free."""


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
    """No try got an answer: the request may have been accepted or not.

    Call again, now or tomorrow: with the same `idempotency_key` a message is never sent twice. What is no message has
    no key (None), and may be asked again as it is.
    """

    def __init__(self, idempotency_key: str | None, cause: str) -> None:
        how = "call again" if idempotency_key is None else "call again with the same idempotency_key"
        super().__init__(f"no answer after {TRIES} tries ({cause}); {how}")
        self.idempotency_key = idempotency_key


def send_whatsapp_message(
    to: str,
    template: str | None = None,
    variables: Mapping[str, str | datetime] | None = None,
    *,
    text: str | None = None,
    media_url: str | None = None,
    choices: Sequence[Choice] | None = None,
    choices_label: str | None = None,
    language: str | None = None,
    idempotency_key: str | None = None,
    user_id: str | None = None,
    agent: str | None = None,
    in_reply_to: str | None = None,
    group: str | None = None,
    unless: Literal["answered", "delivered", "read"] | None = None,
    answer_by: datetime | str | None = None,
    send_at: datetime | str | None = None,
    expires_at: datetime | str | None = None,
    on_rate_limit: Literal["defer", "reject"] | None = None,
    on_unknown: Literal["hold", "resend"] | None = None,
    function_name: str | None = None,
    queue_url: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Send one WhatsApp message, at most once.

    Args:
        to: `+E164`; a national number is read as Indian.
        template: name of a template, with its `variables`; or None, with `text` or `media_url`.
        variables: the template's; a time as a datetime with its offset, or as ISO 8601.
        text: free-form text, inside the patient's 24-hour window.
        media_url: an https:// URL of a file; with `text` a picture only.
        choices: up to ten things to tap, with the `text` of a reply: up to three without descriptions become buttons,
            else a list. What is tapped comes back as `choice` in `message.received`, with your id.
        choices_label: on the button that opens the list, such as `See times`; None: `Choose`.
        language: such as `hi`; without it the contact's own, else the template's.
        idempotency_key: your name for this message, such as `appt-8831-reminder-24h`. The same key never sends a
            second message, today or next month. None: a new key covers this call and its own retries only.
        user_id: your id of the person; it comes back in every event.
        agent: which of your agents gets the answer, such as `scheduling`.
        in_reply_to: the `message_id` of the `message.received` that this answers: then it is under no rate limit.
        group: your name for what it is about, such as `appt-8831`: its messages are shown and canceled together.
        unless: dropped at its time if another message of its `group` was answered, delivered or read.
        answer_by: if nobody answered by then, the bus brings `message.unanswered`; a datetime or ISO 8601.
        send_at: not before this time; a datetime with its offset, or ISO 8601.
        expires_at: not after this time; likewise.
        on_rate_limit: whether it waits for its hour (`defer`, also where None) or is refused (`reject`).
        on_unknown: what becomes of it if nobody can say whether it went out: `hold` (perhaps lost) or `resend`
            (perhaps twice); None: as the template says.
        function_name: the send function; without it, `WHATSAPP_SEND_FUNCTION` of the environment. You get the
            message's real status.
        queue_url: the send queue instead, for bulk or if you cannot wait. The answer is always `pending`, and events
            on the bus report the rest, a refusal too. Without either, `WHATSAPP_SEND_QUEUE_URL` of the environment.
        sleep: waits between tries, in seconds.

    Returns:
        Twilio has the message (`sent`), or it waits and will go out. Look at `status`: `deferred` goes out at
        `scheduled_for`; with `will_expire`, phone the patient instead. With `continued_as`, another record carries on
        for it.

    Raises:
        MessageRefused: correct the request, or do not write to this contact.
        MessageFailed: it will not go out.
        MessageInDoubt: it may have gone out.
        MessagingUnavailable: try again later with the same key.
        WrongSetup: AWS did not take the call.
        WhatsAppError: what answered is not the send function.
        ValueError: an empty or too long `idempotency_key`; a datetime without its offset; both a function and a queue,
            or neither, or an empty one.
    """
    key = str(uuid.uuid4()) if idempotency_key is None else _checked(idempotency_key)
    function_name, queue_url = _door(function_name, queue_url)
    request = {
        "to": to,
        "template": template,
        "variables": dict(variables) if variables else None,
        "text": text,
        "media_url": media_url,
        "choices": list(choices) if choices else None,
        "choices_label": choices_label,
        "language": language,
        "idempotency_key": key,
        "user_id": user_id,
        "agent": agent,
        "in_reply_to": in_reply_to,
        "group": group,
        "unless": unless,
        "answer_by": answer_by,
        "send_at": send_at,
        "expires_at": expires_at,
        "on_rate_limit": on_rate_limit,
        "on_unknown": on_unknown,
    }
    body = _json({name: value for name, value in request.items() if value is not None})
    if function_name:
        return _answered(_retrying(lambda: _invoke(function_name, body), key, sleep))
    # SQS's own redrive of a dead letter keeps the attributes of a message and nothing else of its time.
    asked_at = {"callers_asked_at": {"DataType": "Number", "StringValue": str(int(time.time() * 1000))}}
    _retrying(
        lambda: _client("sqs").send_message(QueueUrl=queue_url, MessageBody=body, MessageAttributes=asked_at),
        key,
        sleep,
    )
    return _queued(key)


class ContactValues(TypedDict, total=False):
    """What you know of a contact. What is not given stays as it is; None removes it."""

    user_id: str | None
    language: str | None
    agent: str | None
    opted_in_at: datetime | str | None
    opt_in_source: str | None


class Conversation(TypedDict):
    """A page of a conversation, in order of time. `next_before` asks for the page before it; None: there is none."""

    contact_id: str
    user_id: str | None
    opted_out: bool
    messages: list[dict[str, Any]]
    next_before: str | None


def get_message(message_id: str, *, function_name: str | None = None) -> Answer:
    """A message's record, whatever became of it: no status is an exception here. `message_id_of` gives the id of a key.

    Raises, like each function below:
        RequestRefused: `not_found`, or the request makes no sense.
        MessagingUnavailable: no answer; ask again.
        WrongSetup: AWS did not take the call.
    """
    return cast("Answer", _ask("get_message", function_name, {"message_id": message_id}))


def cancel_message(message_id: str, *, function_name: str | None = None) -> Answer:
    """Call off a message that has not gone out, or that has not even been asked for yet.

    Raises:
        RequestRefused: `too_late_to_cancel`: it went out.
    """
    return cast("Answer", _ask("cancel_message", function_name, {"message_id": message_id}))


class Group(TypedDict):
    """A group's messages in the order in which they were stored, each as `get_message` shows it."""

    group: str
    messages: list[Answer]


class CanceledGroup(TypedDict):
    """The ids of the messages that do not go, and of those that went or may have gone."""

    canceled: list[str]
    too_late: list[str]


def get_group(group: str, *, function_name: str | None = None) -> Group:
    """The messages of a group."""
    return cast("Group", _ask("get_group", function_name, {"group": group}))


def cancel_group(group: str, *, function_name: str | None = None) -> CanceledGroup:
    """Cancel all of a group that waits, or was asked for before and is still on the queue. It takes four seconds.

    What you ask for after the answer goes: an appointment that moves is one cancel and new sends.
    """
    return cast("CanceledGroup", _ask("cancel_group", function_name, {"group": group}))


def contact_id_of(address: str, *, function_name: str | None = None) -> str:
    """The pseudonym of a number: the other functions take it, and it may stand in logs."""
    return str(_ask("lookup_contact", function_name, {"address": address})["contact_id"])


def put_contact(address: str, *, function_name: str | None = None, **values: Unpack[ContactValues]) -> str:
    """Note who a number is, before its first message or later. Returns its contact_id."""
    return str(_ask("put_contact", function_name, {"address": address, **values})["contact_id"])


def get_conversation(
    contact_id: str, *, limit: int | None = None, before: str | None = None, function_name: str | None = None
) -> Conversation:
    """The newest messages of both directions (50, or `limit` up to 200), or those `before` a page."""
    asked = {"contact_id": contact_id, "limit": limit, "before": before}
    return cast("Conversation", _ask("get_conversation", function_name, asked))


def acknowledge_contact(contact_id: str, *, function_name: str | None = None) -> bool:
    """Somebody looks after a patient of whom `message.received` says `safety`: the alert does not come again.

    Returns whether one waited to be acknowledged.
    """
    return bool(_ask("acknowledge_contact", function_name, {"contact_id": contact_id})["was_open"])


def erase_contact(contact_id: str, *, function_name: str | None = None) -> None:
    """Forget a person: messages, files, names, the number, Twilio's copies too. It begins now and ends within hours."""
    _ask("erase_contact", function_name, {"contact_id": contact_id})


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


def _json(request: Mapping[str, Any]) -> str:
    return json.dumps(request, allow_nan=False, default=_iso)


def _iso(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"a {type(value).__name__} cannot be sent: give text, or a datetime for a time")
    if value.utcoffset() is None:
        raise ValueError("a datetime has no offset, so nobody knows which hour it means: give it a time zone")
    return value.isoformat()


def _ask(action: str, function_name: str | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Another action of the send function. Each may be repeated, so it is retried like a message."""
    name = os.environ.get("WHATSAPP_SEND_FUNCTION") if function_name is None else function_name
    if not name:
        raise ValueError("say which function_name, or set WHATSAPP_SEND_FUNCTION: a queue gives no answers")
    answer = _retrying(lambda: _invoke(name, _json({"action": action, **fields})), None, time.sleep)
    if not isinstance(answer, dict) or not {"status", "contact_id"} & answer.keys():
        raise WhatsAppError("this is no answer of the send function: is function_name right?")
    if answer.get("status") == "refused":
        raise RequestRefused(answer)
    return answer


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


def _answered(answer: object) -> Answer:
    """The answer, if the message is at Twilio or will go there."""
    if not isinstance(answer, dict) or not isinstance(answer.get("status"), str):
        raise WhatsAppError("this is no answer of the send function: is function_name right?")
    if answer["status"] == "refused":
        raise MessageRefused(answer)
    if answer["status"] in _FAILED and not answer.get("continued_as"):
        raise MessageFailed(answer)
    if answer["status"] == "unknown":
        raise MessageInDoubt(answer)
    return cast("Answer", answer)


def _queued(key: str) -> Answer:
    """The answer for a message in the queue. Its `message_id` is a handle: only the send function can make the id."""
    return {
        "message_id": message_id_of(key),
        "contact_id": None,
        "status": "pending",
        "twilio_sid": None,
        "duplicate": False,
        "scheduled_for": None,
        "will_expire": False,
        "continues": None,
        "continued_as": None,
        "error": None,
    }


def _retrying(call: Callable[[], Any], key: str | None, sleep: Callable[[float], None]) -> Any:
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
                raise WrongSetup(f"AWS refuses the call: {cause}: {error.response['Error'].get('Message')}") from error
        except _Unanswered as error:
            cause = str(error)
        except (ConnectionError, HTTPClientError, IncompleteReadError) as error:
            cause = type(error).__name__
        except NoRegionError as error:
            raise WrongSetup("no AWS region: set AWS_REGION, such as ap-south-1, or a profile that has one") from error
        except NoCredentialsError as error:
            raise WrongSetup("no AWS credentials: give this program a role, or sign in and set AWS_PROFILE") from error
        except BotoCoreError as error:
            raise WrongSetup(f"AWS cannot be called: {error}") from error
    raise MessagingUnavailable(key, cause)


def _is_temporary(error: ClientError) -> bool:
    """Whether the error is temporary: AWS is throttling or failing."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return status >= 500 or status == 429 or "Throttl" in error.response["Error"]["Code"]


@lru_cache
def _client(service: str) -> Any:
    config = Config(
        connect_timeout=3,
        read_timeout=READ_TIMEOUT_S,
        retries={"total_max_attempts": 1},  # the retries are ours: a second one inside would wait twice as long
        max_pool_connections=32,  # as many as the threads of asyncio.to_thread
    )
    # A session of its own: boto3's default one is not made for threads.
    return Session().client(service, config=config)  # type: ignore[call-overload]  # the stubs know services by literal
