"""The webhook function: inbound messages and status callbacks from Twilio, and the scheduled tasks of receiving."""

from typing import TYPE_CHECKING, Any

from whatsapp import bootstrap
from whatsapp.adapters.twilio.webhook import Forbidden
from whatsapp.domain.ports import Deadline
from whatsapp.observability import logger, metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
"""Never a message in TwiML: it would bypass every limit."""

bootstrap.prepare(
    lambda app: app.receive_message,
    lambda app: app.record_status,
    lambda app: app.door(),
    lambda app: app.messages.get("nobody"),  # connects, and corrects the clock
)


@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """A webhook, a scheduled task, or an event from the bus."""
    if "requestContext" in event:
        return _webhook(event)
    deadline = Deadline(bootstrap.app().clock.now() + context.get_remaining_time_in_millis())
    return _task(event, deadline)


def _webhook(request: dict[str, Any]) -> dict[str, Any]:
    """Answer Twilio. A failure to store is raised: the 5xx makes Twilio retry."""
    try:
        path = request.get("pathParameters") or {}
        if "message_id" in path:
            return _status(request, path["message_id"], path.get("attempt", ""))
        return _inbound(request)
    except Forbidden as refused:
        logger.warning("forbidden", why=str(refused))
        if refused.ours:
            bootstrap.app().metrics.count("BadSignatures")
        return {"statusCode": 403, "body": ""}


def _inbound(request: dict[str, Any]) -> dict[str, Any]:
    app = bootstrap.app()
    inbound = app.receive_message(app.door().inbound(request))
    logger.info(
        "received",
        message_id=inbound.message_id,
        contact_id=inbound.contact_id,
        kind=inbound.kind,
        agent=inbound.agent,
    )
    return {"statusCode": 200, "headers": {"content-type": "text/xml"}, "body": EMPTY_TWIML}


def _status(request: dict[str, Any], message_id: str, attempt: str) -> dict[str, Any]:
    app = bootstrap.app()
    update = app.door().status(request, message_id, attempt)
    app.record_status(update)
    logger.info("status", message_id=message_id, status=update.status, twilio_code=update.error_code)
    return {"statusCode": 204, "body": ""}


def _task(event: dict[str, Any], deadline: Deadline) -> dict[str, Any]:
    app = bootstrap.app()
    if event.get("task") == "publish":
        return dict(app.publish_waiting(deadline))
    if event.get("task") == "reconcile":
        found: dict[str, Any] = app.reconcile(deadline)
        logger.info("reconcile", **found)
        return found
    if event.get("task") == "media":
        return {"stored": app.store_media.sweep(deadline)}
    if event.get("detail-type") == "message.received":  # the bus's rule: this message has media
        return {"stored": app.store_media(event["detail"]["message_id"], deadline)}
    raise ValueError("unknown event: this function knows webhooks, messages with media, and three tasks")
