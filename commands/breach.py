"""Lists whose messages were touched between two times: sent, received, or changed in status. For a breach's notices.

    python -m commands.breach --from 2026-11-24T09:00:00+05:30 --to 2026-11-24T18:00:00+05:30
    python -m commands.breach --from … --to … --stage prod               on AWS
    python -m commands.breach --from … --to … --stage prod --addresses   with the numbers

One line of CSV a person: contact_id, user_id, messages to them and from them, first and last time. With `--addresses`
also the address: such a list is personal data itself, so keep it where such data may be. An erased person has none. On
AWS it needs cloudformation:DescribeStacks, lambda:GetFunctionConfiguration, dynamodb:Scan and BatchGetItem on the
messages table, which it reads through, and dynamodb:GetItem on the contacts table.
"""

import argparse
import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from whatsapp.adapters.dynamodb.items import MESSAGE_ENTRY, message_key
from whatsapp.adapters.dynamodb.notation import load
from whatsapp.bootstrap import App
from whatsapp.domain.schedule import iso

from commands.target import add_options, moment, one_line_errors, target_of

_TIMES = ("at", "t0", "accepted_at", "status_at", "noted_at")
"""When a message was asked for or came in, was claimed, accepted, last changed its status; when a callback came."""
_SHOWN = ("message_id", "entry", "contact_id", "direction", "to", "address")


@dataclass
class Person:
    """One contact, under all their contact_ids."""

    contact_id: str
    user_id: str = ""
    address: str = ""
    sent: int = 0
    received: int = 0
    first: int = sys.maxsize
    last: int = 0


@one_line_errors("breach")
def main(arguments: Sequence[str]) -> int:
    """Run it once; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m commands.breach", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="since", type=moment, required=True, help="ISO 8601 with an offset")
    parser.add_argument("--to", dest="until", type=moment, required=True, help="the same; included")
    parser.add_argument("--addresses", action="store_true", help="show the addresses too")
    add_options(parser)
    given = parser.parse_args(arguments)
    if given.until < given.since:
        parser.error("--to is before --from")
    target = target_of(given)
    print(target, file=sys.stderr)
    people = touched(target.app(), given.since, given.until)
    print(as_csv(people, addresses=given.addresses), end="")
    print(f"{len(people)} people", file=sys.stderr)
    return 0


def touched(app: App, since: int, until: int) -> list[Person]:
    """Everyone whose messages were touched in that span (epoch ms, both ends included), in order of the first time."""
    messages: dict[str, dict[str, Any]] = {}
    times: dict[str, list[int]] = {}
    for item in _entries(app, since, until):
        if item["entry"] == MESSAGE_ENTRY:
            messages[item["message_id"]] = item
        span = times.setdefault(item["message_id"], [])
        span += [item[name] for name in _TIMES if since <= item.get(name, 0) <= until]
    others = [message_key(message_id) for message_id in times if message_id not in messages]
    messages |= {item["message_id"]: item for item in app.db.get_many(app.settings.messages_table, others)}
    people: dict[str, Person] = {}
    of_id: dict[str, Person] = {}
    for message_id, item in messages.items():
        contact_id = item.get("contact_id")
        if contact_id is None:  # canceled before it was asked for
            continue
        person = of_id.get(contact_id) or of_id.setdefault(contact_id, _person(app, contact_id, people))
        is_ours = item["direction"] == "outbound"
        person.sent, person.received = person.sent + is_ours, person.received + (not is_ours)
        person.address = person.address or item.get("to" if is_ours else "address", "")
        person.first, person.last = min(person.first, *times[message_id]), max(person.last, *times[message_id])
    return sorted(people.values(), key=lambda person: person.first)


def _person(app: App, contact_id: str, people: dict[str, Person]) -> Person:
    """Whose contact_id this is: an alias leads to the contact's own."""
    contact = app.contacts.get(contact_id)
    if contact is None:
        return people.setdefault(contact_id, Person(contact_id))
    person = people.setdefault(contact.contact_id, Person(contact.contact_id))
    person.user_id, person.address = contact.user_id or "", contact.address or ""
    return person


def _entries(app: App, since: int, until: int) -> Iterator[dict[str, Any]]:
    """Messages and status callbacks. No index has them by time alone, so the whole table is read."""
    times = {f"#t{n}": name for n, name in enumerate(_TIMES)}
    shown = {f"#s{n}": name for n, name in enumerate(_SHOWN)}
    pages = (
        app.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=app.settings.messages_table,
            FilterExpression="(#s1 = :message OR begins_with(#s1, :callback)) AND ("
            + " OR ".join(f"{name} BETWEEN :since AND :until" for name in times)
            + ")",
            ProjectionExpression=", ".join([*times, *shown]),
            ExpressionAttributeNames={**times, **shown},
            ExpressionAttributeValues={
                ":message": {"S": MESSAGE_ENTRY},
                ":callback": {"S": "status#"},
                ":since": {"N": str(since)},
                ":until": {"N": str(until)},
            },
        )
    )
    for page in pages:
        yield from map(load, page["Items"])


def as_csv(people: Iterable[Person], *, addresses: bool) -> str:
    """A head line, then a line a person."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["contact_id", "user_id", "to_them", "from_them", "first", "last", *(["address"] * addresses)])
    for one in people:
        address = [one.address] * addresses
        lines.writerow([one.contact_id, one.user_id, one.sent, one.received, iso(one.first), iso(one.last), *address])
    return text.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
