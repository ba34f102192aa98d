"""What callers may ask of the send function. Each route of the HTTP API is an action of a direct invoke too.

`{"action": "get_message", "message_id": "…"}` is `GET /messages/{message_id}`. An action is named like its function
here. Its fields are those of the route's path, query and body in one object; its answer is the route's body.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from whatsapp import bootstrap
from whatsapp.domain.answers import (
    CanceledGroup,
    ContactAcknowledged,
    ContactErasing,
    ContactKnown,
    ContactStored,
    Conversation,
    Hold,
    ShownGroup,
)
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import Deadline
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.request import (
    ContactLookup,
    ContactUpdate,
    GroupName,
    SendAnswer,
    SendRequest,
    answer_for,
    parse,
)

from functions.send.serve import serve


@dataclass(frozen=True, slots=True)
class Invocation:
    """`request_id`: the idempotency key of a message that has none. `deadline`: when the answer must be out."""

    request_id: str
    deadline: Deadline


Answer = SendAnswer | Mapping[str, Any]
Serve = Callable[[Any, Invocation], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """A route: `asks` is what it takes, from the path (`/messages/{message_id}`), the query and the body together."""

    method: str
    path: str
    asks: type[BaseModel]
    serve: Serve


ROUTES: dict[str, Route] = {}
"""Every route, by the name of its action."""


def route(method: str, path: str, asks: type[BaseModel]) -> Callable[[Serve], Serve]:
    """Put a function into the table."""

    def put(serves: Serve) -> Serve:
        ROUTES[serves.__name__] = Route(method, path, asks, serves)
        return serves

    return put


def ask(action: object, fields: object, invocation: Invocation) -> Answer:
    """Serve one action.

    Raises:
        MessagingError: the request is refused.
    """
    found = ROUTES.get(action) if isinstance(action, str) else None
    if found is None:
        raise MessagingError("invalid_request", f"action: unknown; there are {', '.join(sorted(ROUTES))}")
    return found.serve(parse(found.asks, fields), invocation)


class _Asked(BaseModel):
    # Built when it is first asked: a cold start sends, as a rule.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class NoFields(_Asked):
    """Nothing has to be said."""


class OneMessage(_Asked):
    """A message."""

    message_id: Annotated[str, Field(min_length=1)]


class OneContact(_Asked):
    """A contact. `POST /contacts/lookup` gives the contact_id of an address."""

    contact_id: Annotated[str, Field(min_length=1)]


class ConversationPage(OneContact):
    """A page of a conversation: the newest `limit` messages, or those before `next_before` of the page after."""

    limit: Annotated[int | None, Field(description="1 to 200; else 50.")] = None
    before: str | None = None


class ExportPage(OneContact):
    """All of a contact, or the older part that is asked for by `next_before`."""

    before: str | None = None


class OneGroup(_Asked):
    """A group of messages."""

    group: GroupName


class Span(_Asked):
    """A span of time; ISO 8601 with an offset. The last 24 hours if neither is given."""

    from_: Annotated[str | None, Field(alias="from")] = None
    to: str | None = None


@route("POST", "/messages", SendRequest)
def send_message(asked: SendRequest, invocation: Invocation) -> SendAnswer:
    """Send a message."""
    return serve(asked, invocation.request_id, invocation.deadline)


@route("GET", "/messages/{message_id}", OneMessage)
def get_message(asked: OneMessage, _: Invocation) -> SendAnswer:
    """Show a message's record."""
    app = bootstrap.app()
    message = app.messages.find(asked.message_id, app.message_ids)
    if message is None:
        raise MessagingError("not_found", "no outgoing message has this id")
    return answer_for(message)


@route("DELETE", "/messages/{message_id}", OneMessage)
def cancel_message(asked: OneMessage, _: Invocation) -> SendAnswer:
    """Call a message off."""
    return bootstrap.app().cancel_message(asked.message_id)


@route("POST", "/contacts/lookup", ContactLookup)
def lookup_contact(asked: ContactLookup, _: Invocation) -> ContactKnown:
    """Give an address's contact_id."""
    return bootstrap.app().manage_contacts.lookup(asked.address)


@route("PUT", "/contacts", ContactUpdate)
def put_contact(asked: ContactUpdate, _: Invocation) -> ContactStored:
    """Note who a number is."""
    return bootstrap.app().manage_contacts.put(asked.address, asked.values())


@route("GET", "/contacts/{contact_id}/conversation", ConversationPage)
def get_conversation(asked: ConversationPage, _: Invocation) -> Conversation:
    """Read a conversation, the newest page first."""
    return bootstrap.app().manage_contacts.conversation(asked.contact_id, asked.limit, asked.before)


@route("GET", "/contacts/{contact_id}/export", ExportPage)
def export_contact(asked: ExportPage, invocation: Invocation) -> dict[str, Any]:
    """Show all that is kept of a person."""
    return bootstrap.app().export_contact(asked.contact_id, asked.before, invocation.deadline)


@route("POST", "/contacts/{contact_id}/acknowledge", OneContact)
def acknowledge_contact(asked: OneContact, _: Invocation) -> ContactAcknowledged:
    """Say that somebody looks after a patient whose words may mean danger to life."""
    return bootstrap.app().manage_contacts.acknowledge(asked.contact_id)


@route("DELETE", "/contacts/{contact_id}", OneContact)
def erase_contact(asked: OneContact, invocation: Invocation) -> ContactErasing:
    """Forget a person."""
    return bootstrap.app().erase_contact(asked.contact_id, invocation.deadline)


@route("GET", "/groups/{group}", OneGroup)
def get_group(asked: OneGroup, _: Invocation) -> ShownGroup:
    """Show a group's messages, in the order in which they were stored."""
    return bootstrap.app().manage_groups.show(asked.group)


@route("DELETE", "/groups/{group}", OneGroup)
def cancel_group(asked: OneGroup, _: Invocation) -> CanceledGroup:
    """Cancel a group's messages that wait, and those asked for before that are still on the queue."""
    return bootstrap.app().manage_groups.cancel(asked.group)


@route("GET", "/metrics", Span)
def get_metrics(asked: Span, _: Invocation) -> dict[str, Any]:
    """Give the mission's numbers of a span of time (docs/metrics.md)."""
    return bootstrap.app().report_metrics(asked.from_, asked.to)


@route("PUT", "/hold", NoFields)
def hold_sending(_: NoFields, __: Invocation) -> Hold:
    """Hold all sending: everything is stored and waits."""
    app = bootstrap.app()
    return {"held": True, "since": iso(app.senders.hold(app.clock.now()))}


@route("DELETE", "/hold", NoFields)
def release_sending(_: NoFields, __: Invocation) -> Hold:
    """Release the hold: waiting messages go within minutes. Restored tables stay held until they are settled."""
    return {"held": bootstrap.app().senders.release().is_held}
