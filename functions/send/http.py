"""The HTTP API over the table of routes (IAM auth is the API's)."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Deadline
from whatsapp.domain.sending.request import SendAnswer, refusal
from whatsapp.observability import logger

from functions.send.routes import ROUTES, Answer, Invocation, Route, ask

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

api = APIGatewayHttpResolver(debug=False)  # whatever the environment says: debugging prints requests
_STATUS = {
    "opted_out": 403,
    "no_consent": 403,
    "not_found": 404,
    "idempotency_conflict": 409,
    "too_late_to_cancel": 409,
    "rate_limited": 429,
    "account_problem": 503,
    "metrics_unavailable": 503,
    "internal_error": 500,
}
"""By our error codes. 400 for the others: the caller can mend the request."""


def resolve(event: dict[str, Any], context: "LambdaContext", deadline: Deadline) -> dict[str, Any]:
    """Answer one HTTP request."""
    api.append_context(deadline=deadline)  # type: ignore[no-untyped-call]  # Powertools leaves it untyped
    return api.resolve(event, context)


def status_of(answer: SendAnswer) -> int:
    """200 where Twilio has it or it is a duplicate, 202 where it waits or another record continues it; else the
    error's own.
    """
    if answer.duplicate:
        return 200
    if answer.error and answer.status in ("failed", "undelivered", "refused"):
        return 202 if answer.continued_as else _STATUS.get(answer.error.code, 400)
    return 202 if answer.status in ("pending", "deferred", "retrying", "sending", "unknown") else 200


def success_statuses(action: str) -> tuple[int, ...]:
    """The HTTP statuses of what is not refused."""
    return {"send_message": (200, 202), "erase_contact": (202,)}.get(action, (200,))


def _status(action: str, answer: Answer) -> int:
    if action == "send_message" and isinstance(answer, SendAnswer):
        return status_of(answer)
    return success_statuses(action)[0]


def _serve(action: str, route: Route) -> Callable[..., Response[Any]]:
    def serve(**path: str) -> Response[Any]:
        event = api.current_event
        invocation = Invocation(event.request_context.request_id, api.context["deadline"])
        given = _json() if route.method in ("POST", "PUT") else event.query_string_parameters or {}
        fields = {**given, **path} if isinstance(given, dict) else given
        answer = ask(action, fields, invocation)
        return _response(answer, _status(action, answer))

    serve.__name__ = action
    return serve


for _action, _route in ROUTES.items():
    api.route(_route.path.replace("{", "<").replace("}", ">"), method=_route.method)(_serve(_action, _route))


@api.exception_handler(MessagingError)  # type: ignore[untyped-decorator]  # Powertools leaves it untyped
def refused(error: MessagingError) -> Response[Any]:
    """Every refusal in one shape."""
    logger.info("refused", code=error.code)
    return _response(refusal(error), _STATUS.get(error.code, 400))


def _json() -> object:
    if not api.current_event.body:
        return {}  # a route without fields of its own, such as `PUT /hold`
    try:
        return api.current_event.json_body
    except (ValueError, TypeError):
        raise MessagingError("invalid_request", "the body is not JSON") from None


def _response(answer: Answer, status: int) -> Response[Any]:
    body = answer.model_dump_json() if isinstance(answer, SendAnswer) else json.dumps(answer)
    return Response(status_code=status, content_type="application/json", body=body)
