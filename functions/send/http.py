"""The HTTP routes of the send function (IAM auth is the API's)."""

import json
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from whatsapp import bootstrap
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Deadline
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.request import ContactLookup, ContactUpdate, SendAnswer, answer_for, parse, refusal
from whatsapp.observability import logger

from functions.send.serve import serve

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


@api.post("/messages")
def send() -> Response[Any]:
    """Send a message."""
    answer = serve(_json(), api.current_event.request_context.request_id, api.context["deadline"])
    return _answer(answer, status_of(answer))


@api.get("/messages/<message_id>")
def get(message_id: str) -> Response[Any]:
    """Show a message's record."""
    app = bootstrap.app()
    message = app.messages.find(message_id, app.message_ids)
    if message is None:
        raise MessagingError("not_found", "no outgoing message has this id")
    return _answer(answer_for(message), 200)


@api.delete("/messages/<message_id>")
def cancel(message_id: str) -> Response[Any]:
    """Call a message off."""
    return _answer(bootstrap.app().cancel_message(message_id), 200)


@api.post("/contacts/lookup")
def lookup() -> dict[str, Any]:
    """Give an address's contact_id."""
    return bootstrap.app().manage_contacts.lookup(parse(ContactLookup, _json()).address)


@api.put("/contacts")
def put_contact() -> dict[str, Any]:
    """Note who a number is."""
    update = parse(ContactUpdate, _json())
    return bootstrap.app().manage_contacts.put(update.address, update.values())


@api.get("/contacts/<contact_id>/conversation")
def conversation(contact_id: str) -> dict[str, Any]:
    """Read a conversation, the newest page first."""
    query = api.current_event.query_string_parameters or {}
    limit = query.get("limit")
    if limit is not None and not limit.isdecimal():
        raise MessagingError("invalid_request", "limit: not a number")
    return bootstrap.app().manage_contacts.conversation(contact_id, int(limit) if limit else None, query.get("before"))


@api.get("/contacts/<contact_id>/export")
def export(contact_id: str) -> dict[str, Any]:
    """Show all that is kept of a person."""
    query = api.current_event.query_string_parameters or {}
    return bootstrap.app().export_contact(contact_id, query.get("before"), api.context["deadline"])


@api.delete("/contacts/<contact_id>")
def erase(contact_id: str) -> Response[Any]:
    """Forget a person."""
    erasing = bootstrap.app().erase_contact(contact_id, api.context["deadline"])
    return Response(status_code=202, content_type="application/json", body=json.dumps(erasing))


@api.get("/groups/<group>")
def get_group(group: str) -> dict[str, Any]:
    """Show a group's messages."""
    return bootstrap.app().manage_groups.show(group)


@api.delete("/groups/<group>")
def cancel_group(group: str) -> dict[str, Any]:
    """Cancel a group's messages that wait."""
    return bootstrap.app().manage_groups.cancel(group)


@api.put("/hold")
def hold() -> dict[str, Any]:
    """Hold all sending: everything is stored and waits."""
    app = bootstrap.app()
    return {"held": True, "since": iso(app.senders.hold(app.clock.now()))}


@api.delete("/hold")
def release() -> dict[str, Any]:
    """Release the hold: waiting messages go within minutes. Restored tables stay held until they are settled."""
    return {"held": bootstrap.app().senders.release().is_held}


@api.get("/metrics")
def metrics() -> dict[str, Any]:
    """The mission's numbers of a span of time."""
    query = api.current_event.query_string_parameters or {}
    return bootstrap.app().report_metrics(query.get("from"), query.get("to"))


@api.exception_handler(MessagingError)  # type: ignore[untyped-decorator]  # Powertools leaves it untyped
def refused(error: MessagingError) -> Response[Any]:
    """Every refusal in one shape."""
    logger.info("refused", code=error.code)
    return _answer(refusal(error), _STATUS.get(error.code, 400))


def status_of(answer: SendAnswer) -> int:
    """200 where Twilio has it or it is a duplicate, 202 where it waits or another record continues it; else the
    error's own.
    """
    if answer.duplicate:
        return 200
    if answer.error and answer.status in ("failed", "undelivered", "refused"):
        return 202 if answer.continued_as else _STATUS.get(answer.error.code, 400)
    return 202 if answer.status in ("pending", "deferred", "retrying", "sending", "unknown") else 200


def _json() -> object:
    try:
        return api.current_event.json_body
    except (ValueError, TypeError):
        raise MessagingError("invalid_request", "the body is not JSON") from None


def _answer(answer: SendAnswer, status: int) -> Response[Any]:
    return Response(status_code=status, content_type="application/json", body=answer.model_dump_json())
