"""The send queue: a batch is worked concurrently; only what must come again is reported as failed."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from whatsapp import bootstrap
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.events import EventError, MessageStatusChanged
from whatsapp.domain.ports import Deadline, PublishFailed
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, message_id_of
from whatsapp.observability import logger

from functions.send.serve import send

POISON = frozenset(
    {
        "invalid_request",
        "invalid_address",
        "invalid_variables",
        "unknown_template",
        "unknown_language",
        "idempotency_conflict",
        "not_found",
    }
)
"""Errors that no waiting mends: into the dead-letter queue at once, with an alert."""


def work_batch(records: list[dict[str, Any]], deadline: Deadline) -> dict[str, Any]:
    """Work up to ten queue messages at once.

    Returns:
        The ids of those that must come again, as `ReportBatchItemFailures` wants them.
    """
    bootstrap.app().send_message  # noqa: B018 - make the parts before threads share them
    with ThreadPoolExecutor(max_workers=len(records) or 1) as workers:
        done = list(workers.map(lambda record: _work(record, deadline), records))
    failed = [record["messageId"] for record, is_done in zip(records, done, strict=True) if not is_done]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _work(record: dict[str, Any], deadline: Deadline) -> bool:
    """Work one. True if the queue may forget it."""
    try:
        message = _advance(record, deadline)
        return message is None or not _comes_again(message, record)
    except MessagingError as error:
        return _refused(record, error)
    except Exception:  # noqa: BLE001 - see below
        # One message's trouble must not take the batch along; SQS brings this one again.
        logger.exception("queue message failed", queue_message_id=record["messageId"])
        return False


def _advance(record: dict[str, Any], deadline: Deadline) -> Message | None:
    app = bootstrap.app()
    try:
        body = json.loads(record["body"])
    except ValueError:
        raise MessagingError("invalid_request", "the queue message is not JSON") from None
    if isinstance(body, dict) and body.keys() == {"message_id"}:  # a nudge; a request has no such field
        return app.send_message.advance(str(body["message_id"]), deadline)
    answer = send(body, record["messageId"], deadline)
    return (
        app.messages.get(answer.message_id) if answer.message_id and answer.status in ("pending", "retrying") else None
    )


def _comes_again(message: Message, record: dict[str, Any]) -> bool:
    """Whether SQS is to bring the nudge again: deferred and doubtful messages are the sweep's."""
    if message.status not in (Status.PENDING, Status.RETRYING) or message.next_try_at is None:
        return False
    app = bootstrap.app()
    delay_s = max(1, -(-(message.next_try_at - app.clock.now()) // 1000))
    try:
        if message.throttled_since is None:
            app.queue.put_back(record["receiptHandle"], min(delay_s, 43_200))
            return True
        # Throttling is not counted, but receives are: a fresh nudge, lest the queue give up on this one.
        app.queue.nudge(message.message_id, delay_s)
    except PublishFailed:
        logger.warning("no nudge; the sweep will look", message_id=message.message_id)
    return False


def _refused(record: dict[str, Any], error: MessagingError) -> bool:
    """Nobody waits for an answer here: tell the dead-letter queue and people, or the orchestrator."""
    app = bootstrap.app()
    logger.warning("refused", code=error.code, queue_message_id=record["messageId"])
    try:
        if error.code in POISON:
            app.queue.dead_letter_poison(record["body"], error)
            app.alerts.poison(record["messageId"], error)
        elif error.code == "account_problem":
            return False
        else:
            app.bus.publish([_refusal_event(record, error)])
    except PublishFailed:
        return False
    return True


def _refusal_event(record: dict[str, Any], error: MessagingError) -> MessageStatusChanged:
    body = json.loads(record["body"])
    message_id = message_id_of(body.get("idempotency_key") or record["messageId"])
    why = EventError(code=error.code, detail=error.detail, twilio_code=error.twilio_code, retryable=error.retryable)
    return MessageStatusChanged(
        event_id=f"{message_id}#refused#{error.code}",
        occurred_at=iso(bootstrap.app().clock.now()),
        message_id=message_id,
        status="failed",
        user_id=body.get("user_id"),
        agent=body.get("agent"),
        template=body.get("template"),
        error=why,
    )
