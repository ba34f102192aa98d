"""The orchestrator's door: direct invoke, HTTP, the send queue, and the minute's sweep. It decides nothing itself."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from whatsapp import bootstrap
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Deadline, asked_at
from whatsapp.domain.sending.request import SendAnswer, refusal
from whatsapp.observability import logger, metrics
from whatsapp.use_cases.work_queue_message import QueueMessage

from functions.send import http
from functions.send.routes import Invocation, ask

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

bootstrap.prepare(
    lambda app: app.work_queue_message,
    lambda app: app.twilio_secret.get(),
    lambda app: app.twilio_connections,  # reads the root certificates
    lambda app: app.messages.get("nobody"),  # connects, and corrects the clock
)


@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Serve the door that the event's shape shows."""
    deadline = Deadline(bootstrap.app().clock.now() + context.get_remaining_time_in_millis())
    if "Records" in event:
        return _batch(event["Records"], deadline)
    if "requestContext" in event:
        return http.resolve(event, context, deadline)
    if "task" in event:
        return _task(event["task"], deadline)
    return _direct(event, Invocation(context.aws_request_id, deadline))


def _direct(event: dict[str, Any], invocation: Invocation) -> dict[str, Any]:
    """`{"action": "…", …}`; a request without an action is a message to send."""
    try:
        if "action" in event:
            fields = {name: value for name, value in event.items() if name != "action"}
            answer = ask(event["action"], fields, invocation)
        else:
            answer = ask("send_message", event, invocation)
    except MessagingError as error:
        logger.info("refused", code=error.code)
        answer = refusal(error)
    return answer.to_json() if isinstance(answer, SendAnswer) else dict(answer)


def _batch(records: list[dict[str, Any]], deadline: Deadline) -> dict[str, Any]:
    """Work up to ten queue messages at once.

    Returns:
        The ids of those that must come again, as `ReportBatchItemFailures` wants them.
    """
    app = bootstrap.app()
    _ = app.work_queue_message, app.pace  # make the parts before threads share them
    with ThreadPoolExecutor(max_workers=len(records) or 1) as workers:
        done = list(workers.map(partial(_record, deadline=deadline), records))
    failed = [record["messageId"] for record, is_done in zip(records, done, strict=True) if not is_done]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _record(record: dict[str, Any], deadline: Deadline) -> bool:
    received = QueueMessage(record["messageId"], record["receiptHandle"], record["body"], _asked_at(record))
    try:
        bootstrap.app().pace.wait()
        return bootstrap.app().work_queue_message(received, deadline)
    except Exception:  # noqa: BLE001 - one message's error must not fail the batch; SQS brings this one again
        logger.exception("queue message failed", queue_message_id=received.queue_message_id)
        return False


def _asked_at(record: dict[str, Any]) -> int:
    attributes = {name: one.get("stringValue", "") for name, one in record.get("messageAttributes", {}).items()}
    return asked_at(attributes, int(record["attributes"]["SentTimestamp"]))


def _task(name: str, deadline: Deadline) -> dict[str, Any]:
    app = bootstrap.app()
    if name == "measure":
        return dict(app.report_metrics.measure())
    if name != "sweep":
        raise ValueError("unknown task: this function knows `sweep` and `measure`")
    with ExitStack() as later:  # an error of one sweep must not keep the next from its work
        done: dict[str, Any] = {}
        later.callback(lambda: done.update(alerts=app.raise_alerts.sweep(deadline)))
        later.callback(lambda: done.update(unanswered=app.publish_unanswered(deadline)))
        later.callback(lambda: done.update(erased=app.erase_contact.sweep(deadline)))
        done |= app.sweep_due(deadline)
    return done
