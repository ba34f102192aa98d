"""What the doors share: one request in, one answer out."""

from whatsapp import bootstrap
from whatsapp.domain.ports import Deadline, PublishFailed
from whatsapp.domain.sending.request import SendAnswer, parse_request
from whatsapp.observability import logger


def send(body: object, default_key: str, deadline: Deadline) -> SendAnswer:
    """Send a message, under its own key or the door's.

    Raises:
        MessagingError: refused before anything was stored.
    """
    request = parse_request(body)
    answer = bootstrap.app().send_message(request, request.idempotency_key or default_key, deadline)
    logger.info("send", message_id=answer.message_id, status=answer.status, duplicate=answer.duplicate)
    return answer


def serve(body: object, default_key: str, deadline: Deadline) -> SendAnswer:
    """Send a message; if it has to be tried again, see that the queue does.

    Raises:
        MessagingError: refused before anything was stored.
    """
    app = bootstrap.app()
    answer = send(body, default_key, deadline)
    if answer.status in ("pending", "retrying") and answer.message_id and answer.scheduled_for:
        delay_s = max(0, int(answer.scheduled_for.timestamp() - app.clock.now() / 1000))
        try:
            app.queue.nudge(answer.message_id, delay_s)
        except PublishFailed:
            logger.warning("no nudge; the sweep will look", message_id=answer.message_id)
    return answer
