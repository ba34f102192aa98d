"""The orchestrator's door: direct invoke, HTTP, the send queue, and the minute's sweep. It decides nothing itself."""

from typing import TYPE_CHECKING, Any

from whatsapp import bootstrap
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Deadline
from whatsapp.domain.sending.request import refusal
from whatsapp.observability import logger, metrics

from functions.send import http, queue
from functions.send.serve import serve

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Tell the doors apart by the shape of the event."""
    deadline = Deadline(bootstrap.app().clock.now() + context.get_remaining_time_in_millis())
    if "Records" in event:
        return queue.work_batch(event["Records"], deadline)
    if "requestContext" in event:
        return http.resolve(event, context, deadline)
    if "task" in event:
        return _task(event["task"], deadline)
    return _direct(event, context.aws_request_id, deadline)


def _direct(event: dict[str, Any], request_id: str, deadline: Deadline) -> dict[str, Any]:
    try:
        return serve(event, request_id, deadline).to_json()
    except MessagingError as error:
        logger.info("refused", code=error.code)
        return refusal(error).to_json()


def _task(name: str, deadline: Deadline) -> dict[str, Any]:
    if name != "sweep":
        raise ValueError(f"unknown task {name!r}: this function knows `sweep`")
    app = bootstrap.app()
    try:
        swept = app.sweep_due(deadline)
    finally:  # an error here must not keep anybody from being erased
        erased = app.erase_contact.sweep(deadline)
    return {**swept, "erased": erased}
