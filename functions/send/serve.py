"""One request whose caller waits for the answer: direct invoke and HTTP."""

from whatsapp import bootstrap
from whatsapp.domain.ports import Deadline
from whatsapp.domain.sending.request import SendAnswer, SendRequest
from whatsapp.observability import logger


def serve(request: SendRequest, default_key: str, deadline: Deadline) -> SendAnswer:
    """Send a message, under its own key or the door's. If it has to be retried, it is put on the queue.

    Raises:
        MessagingError: refused before anything was stored.
    """
    send_message = bootstrap.app().send_message
    answer = send_message(request, request.idempotency_key or default_key, deadline)
    logger.info("send", message_id=answer.message_id, status=answer.status, duplicate=answer.duplicate)
    if not send_message.nudge(answer):
        logger.warning("not nudged; the sweep finds it", message_id=answer.message_id)
    return answer
