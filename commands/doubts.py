"""Settles every message whose status is `unknown` by Twilio's list.

    python -m commands.doubts --stage prod             settle what the list settles
    python -m commands.doubts --stage prod --resend    and send again what the list certainly lacks

Without --stage or --stack NAME: the running local stack.
A message is sent again, as a new record that continues it, if it was posted 76 minutes ago or more, has not expired,
was not canceled, and Twilio's list has nothing that may be it. On AWS it needs what `commands.restore` needs, and
dynamodb:Scan on the messages table, which it reads through.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from whatsapp.bootstrap import App
from whatsapp.domain.sending.lifecycle import IN_DOUBT

from commands.target import add_options, one_line_errors, target_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@one_line_errors("doubts")
def main(arguments: Sequence[str]) -> int:
    """Run it once; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m commands.doubts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--resend", action="store_true", help="send again what Twilio's list certainly lacks")
    add_options(parser)
    given = parser.parse_args(arguments)
    target = target_of(given)
    print(target)
    print(work(target.app(), resend=given.resend))
    return 0


def work(app: App, *, resend: bool) -> str:
    """Settle all doubts; returns what became of each."""
    found = in_doubt(app.client("dynamodb"), app.settings.messages_table)
    done = app.settle_doubts(found, resend=resend)
    lines = [f"{len(done.settled):5}  settled by Twilio's list"]
    lines += [f"         {message_id}  {status}" for message_id, status in done.settled.items()]
    lines += [f"{len(done.resent):5}  sent again: Twilio's list lacks them"]
    lines += [f"         {message_id}  continued as {new}" for message_id, new in done.resent.items()]
    lines += [f"{len(done.young):5}  too young: Twilio's list may not show them yet"]
    lines += [f"         {message_id}" for message_id in done.young]
    lines += [f"{len(done.open):5}  still in doubt" + ("" if resend else ": --resend sends again what the list lacks")]
    lines += [f"         {message_id}" for message_id in done.open]
    return "\n".join(lines)


def in_doubt(dynamodb: "DynamoDBClient", table: str) -> Iterator[str]:
    """The ids of all messages in doubt. No index has those whose doubt has ended, so the whole table is read."""
    statuses = {f":{n}": {"S": status} for n, status in enumerate(sorted(IN_DOUBT))}
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression=f"#entry = :message AND #status IN ({', '.join(statuses)})",
        ProjectionExpression="message_id",
        ExpressionAttributeNames={"#status": "status", "#entry": "entry"},
        ExpressionAttributeValues={":message": {"S": "message"}, **statuses},
    )
    for page in pages:
        yield from (item["message_id"]["S"] for item in page["Items"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
