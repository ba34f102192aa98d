"""The docs that are generated from the code, so that they cannot drift: `python -m tools.docs` writes them."""

from collections.abc import Callable, Iterable
from pathlib import Path

from whatsapp.domain import periods
from whatsapp.domain.sending.lifecycle import IN_FLIGHT, STEPS, WAITING, Slot, Status
from whatsapp.domain.sending.twilio_codes import FAMILIES, ROWS, Action, Row

from functions.send.routes import ROUTES, Route

DOCS = Path(__file__).parents[1] / "docs"
GENERATED = "<!-- Generated from the code by `.venv/bin/python -m tools.docs`. Edit the code, not this page. -->"

OUTGOING = [status for status in Status if status not in (Status.REFUSED, Status.RECEIVED)]

LIFECYCLE = """# The life of an outgoing message

One record stands for **at most one message at Twilio**. A worker commits the intent, claims the contact's slot,
writes the fence, looks once more at the contact, POSTs **once**, and settles by what Twilio proves. What is in doubt
is held, never posted again: a status callback or Twilio's list settles it, or an operator does.

What is tried again after Twilio took a message, or in lasting doubt, is a new record that `continues` the old one.

```mermaid
stateDiagram-v2
{diagram}
```

`waiting` in the diagram is any of {waiting}. Callers see `claimed` as `sending`, `unknown_final` as `unknown`.

## Every step

Each step is one conditional write: it holds only from the statuses it names, and only for the attempt that was read.
Where the contact's slot takes part, both rows change in one transaction.

{steps}

*The slot* says what the step does to the contact's row, if this message is in flight ({in_flight}):

{slots}

A reply has a slot of its own: `reply_inflight`, which ends with the worker's lease, and a place in the inbound
message's `replied_by`. It neither reads nor moves `next_allowed_at`.

The conditions are proved by simulation: `.venv/bin/python -m tests.simulation 1000`.
"""

CODES = """# What each Twilio code does

{count} codes, in one table: `domain/sending/twilio_codes.py`. Each leads to its page in Twilio's error dictionary.
A code that comes late, by callback, goes through the same table.

A code that is not here alerts the operator, once an hour at most. If it came with HTTP 401, 403 or 429, or is of one of
the families below, it is about the account, and is waited out. Otherwise it is not tried again. What was refused by it,
or by another code that fails and alerts the operator as `account_problem`, is a dead letter: redrive it when the cause
is mended.

{actions}

*suppressed*: the code proves that this address cannot be reached. Nothing is sent to it until the patient writes, a
message arrives after all, the days that the table names have passed, or
`PUT /contacts` vouches for it. *template*: what the code proves about the template, which stops serving at once.

**21211 of a WhatsApp id** (`IN.134…` in place of a number) says that Twilio takes no ids as `To`, if the patient has
written to us under it. The message goes to their number if that is known by then, else it fails as `number_hidden`. For
a day no other id is posted: a request to one is refused with `number_hidden`, which also is the answer where
`SendToBusinessScopedIds` is 0. Ask the patient for the number, and send to that.

{tables}

## Families

{families}
"""

API = """# What the send function serves

Each row can be asked in two ways, with the same fields and the same answer:

- **Over HTTP** (IAM auth; the base URL is the stack's output `ApiUrl`). The path shows which fields it takes; the
  others go into the query of a GET or DELETE, and into the JSON body of a POST or PUT.
- **By direct invoke** of the send function, with one JSON object: `{{"action": "get_message", "message_id": "…"}}`. A
  request without an `action` is `send_message`.

Whoever may invoke the function may ask all of this; IAM tells routes apart only over HTTP (`execute-api:Invoke` on
`…/POST/messages`, say). Give an agent that shall only send the send queue, or that one route.

{routes}

A refusal is the answer of [SendAnswer.json](../events/schemas/SendAnswer.json) with `"status": "refused"` and its
`error`; over HTTP the status says it too. By direct invoke, look at `status`: a refusal is no function error.

[openapi.json](../events/schemas/openapi.json) says the same for tools, with every answer;
[examples/typescript](../examples/typescript) has the types for TypeScript.

The template sync function serves `GET /templates` and `POST /templates/sync`; by direct invoke `{{"task": "sync"}}`.
"""


def api_page() -> str:
    """docs/api.md."""
    rows = (
        (f"`{name}`", f"`{route.method} {route.path}`", _fields(route), _first_line(route))
        for name, route in ROUTES.items()
    )
    return _page(API.format(routes=_table(("action", "route", "fields", "what it does"), rows)))


def lifecycle_page() -> str:
    """docs/lifecycle.md."""
    steps = ((f"`{s.name}`", _statuses(s.sources), f"`{s.target}`", s.slot, s.meaning) for s in STEPS)
    return _page(
        LIFECYCLE.format(
            diagram="\n".join(_diagram()),
            waiting=_statuses(WAITING),
            steps=_table(("step", "from", "to", "the slot", "meaning"), steps),
            in_flight=_statuses(IN_FLIGHT),
            slots="\n".join(f"- *{slot}*: {meaning}" for slot, meaning in _SLOTS.items()),
        )
    )


def codes_page() -> str:
    """docs/codes.md."""
    actions = "\n".join(f"- **{action}**: {_ACTIONS[action]}" for action in Action)
    tables = "\n\n".join(f"## {action.capitalize()}\n\n{_codes(action)}" for action in Action)
    families = _table(("codes", "about"), ((f"{codes[0]}–{codes[-1]}", about) for codes, about in FAMILIES))
    return _page(CODES.format(count=len(ROWS), actions=actions, tables=tables, families=families))


_SLOTS = {
    Slot.UNTOUCHED: "as it is.",
    Slot.TAKEN: "`inflight` names the message; `next_allowed_at` lies the rate limit and a guard ahead.",
    Slot.REFUNDED: "both are as before the claim: certainly nothing was sent.",
    Slot.OPENS_LATER: "`next_allowed_at` is the acceptance and the rate limit; `inflight` goes.",
    Slot.RELEASED: "`inflight` goes; `next_allowed_at` stays, since something may have been sent.",
}
_ACTIONS = {
    Action.RETRY: "certainly not sent, and likely to pass: up to three counted attempts, then the dead-letter queue. "
    "If it comes late, a new record continues it.",
    Action.WAIT: "certainly not sent, and it will pass: wait, not counted, until it expires or for four hours. Who is "
    "named is alerted from the second refusal on.",
    Action.FAIL: "the message can never go as it is.",
    Action.FALL_BACK: "outside the window: a new record continues it once, with the approved template.",
}

PAGES: dict[str, Callable[[], str]] = {"api.md": api_page, "lifecycle.md": lifecycle_page, "codes.md": codes_page}


def _fields(route: Route) -> str:
    """The names of the fields, those that are required in bold."""
    fields = {field.alias or name: field.is_required() for name, field in route.asks.model_fields.items()}
    return ", ".join(f"**{name}**" if required else name for name, required in fields.items())


def _first_line(route: Route) -> str:
    return (route.serve.__doc__ or "").split("\n")[0]


def _codes(action: Action) -> str:
    rows = sorted((row for row in ROWS.values() if row.action is action), key=lambda row: row.code)
    return _table(("code", "meaning", "error code", "alerts", "also"), map(_code, rows))


def _code(row: Row) -> tuple[str, ...]:
    besides = (
        [f"suppressed for {row.lapses // periods.DAY} days" if row.lapses else "suppressed"] if row.suppress else []
    )
    besides += [f"template {row.template_status}"] if row.template_status else []
    return f"[{row.code}]({row.source})", row.meaning, f"`{row.error}`", row.alert, ", ".join(besides)


def _diagram() -> Iterable[str]:
    """One arrow from each status, or from `waiting` as a whole, to each that a step leads to."""
    yield "    [*] --> waiting"
    arrows: dict[tuple[str, str], list[str]] = {}
    for step in STEPS:
        sources = {"waiting"} if step.sources >= WAITING else {str(status) for status in step.sources}
        target = "waiting" if step.target in WAITING else str(step.target)
        for source in sorted(sources):
            arrows.setdefault((source, target), []).append(step.name)
    for (source, target), names in sorted(arrows.items()):
        yield f"    {source} --> {target}: {', '.join(names)}"


def _statuses(statuses: Iterable[Status]) -> str:
    return ", ".join(f"`{status}`" for status in OUTGOING if status in set(statuses))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _page(text: str) -> str:
    return f"{GENERATED}\n\n{text}"


if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
        print(f"docs/{name}")
