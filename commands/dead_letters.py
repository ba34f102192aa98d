"""The send queue's dead letters.

    python -m commands.dead_letters list --stage prod              what waits, and what a redrive does with it
    python -m commands.dead_letters redrive --stage prod           a dry run
    python -m commands.dead_letters redrive --stage prod --yes     do it
    python -m commands.dead_letters drop QUEUE_ID --stage prod --yes   delete one that cannot be redriven

Without --stage or --stack NAME: the running local stack. On AWS it needs cloudformation:DescribeStacks,
lambda:GetFunctionConfiguration, the two queues, and read and write on the messages table.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from whatsapp.adapters.aws.queue import asked_at_of
from whatsapp.domain.address import Address
from whatsapp.domain.ports import ASKED_AT, CALLERS_ASKED_AT
from whatsapp.domain.schedule import iso
from whatsapp.use_cases.redrive_dead_letters import Action, DeadLetter, Plan

from commands.target import Target, add_options, one_line_errors, target_of

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

HOLD_S = 120
"""Visibility timeout of a letter that this command has received."""
_TOO_LATE = ("MessageNotInflight", "ReceiptHandleIsInvalid", "InvalidParameterValue")
"""SQS's error codes when a letter's visibility timeout has passed: it is visible again already."""


@dataclass(frozen=True, slots=True)
class Held:
    """A letter that was received, and not yet deleted or put back."""

    letter: DeadLetter
    receipt: str
    sent_at: int


class DeadLetterQueue:
    """The dead-letter queue."""

    def __init__(self, sqs: "SQSClient", url: str) -> None:
        self._sqs = sqs
        self._url = url

    def take(self) -> Iterator[Held]:
        """Receive every letter once."""
        seen: set[str] = set()
        while batch := self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=HOLD_S,
            WaitTimeSeconds=1,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=[ASKED_AT, CALLERS_ASKED_AT],
        ).get("Messages"):
            for m in batch:
                if m["MessageId"] in seen:  # its visibility timeout has passed: the queue was read once
                    return
                seen.add(m["MessageId"])
                letter = DeadLetter(m["MessageId"], m["Body"], asked_at_of(m))
                yield Held(letter, m["ReceiptHandle"], int(m["Attributes"]["SentTimestamp"]))

    def delete(self, held: Held) -> None:
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=held.receipt)

    def put_back(self, held: Held) -> None:
        """Make the letter visible again at once."""
        try:
            self._sqs.change_message_visibility(QueueUrl=self._url, ReceiptHandle=held.receipt, VisibilityTimeout=0)
        except ClientError as error:
            if not error.response["Error"]["Code"].endswith(_TOO_LATE):
                raise


@one_line_errors("dead_letters")
def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m commands.dead_letters",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=["list", "redrive", "drop"])
    parser.add_argument("queue_id", nargs="?", help="of the letter to drop, as `list` shows it")
    parser.add_argument("--yes", action="store_true", help="do it; without it, nothing is changed")
    add_options(parser)
    given = parser.parse_args(arguments)
    if (given.command == "drop") != bool(given.queue_id):
        parser.error("`drop` takes the queue id of one letter, the other commands take none")
    return work(given.command, given.queue_id, target_of(given), dry_run=not given.yes)


def work(command: str, queue_id: str | None, target: Target, *, dry_run: bool) -> int:
    """Show each letter with what a redrive does with it; unless it is a dry run, redrive them, or drop the one."""
    print(target)
    app = target.app()
    redrive = app.redrive_dead_letters
    queue = DeadLetterQueue(app.client("sqs"), app.settings.send_dead_letter_queue_url)
    left: list[Held] = []
    actions: Counter[Action] = Counter()
    gone = seen = 0
    for held in queue.take():
        seen += 1
        if queue_id not in (None, held.letter.queue_message_id):
            left.append(held)
            continue
        plan = redrive.plan(held.letter)
        actions[plan.action] += 1
        print(describe(held, plan))
        if not dry_run and (command == "drop" or (command == "redrive" and redrive.carry_out(plan))):
            queue.delete(held)
            gone += 1
        else:
            left.append(held)
    for held in left:  # only now, because a letter that is put back would be received again
        queue.put_back(held)
    if queue_id and not actions:
        where = f"`python -m commands.dead_letters list{target.option}` shows them"
        print(f"\nno dead letter has the queue id {queue_id} (of {seen} there): {where}", file=sys.stderr)
        return 1
    print(f"\n{summary(actions)}")
    if actions and command != "list":
        left_over = actions.total() - gone
        done = f"done: {gone} {'dropped' if command == 'drop' else 'redriven'}, {left_over} left"
        print(f"dry run: nothing was changed; `{command}` does it with --yes" if dry_run else done)
    return 0


def summary(actions: "Counter[Action]") -> str:
    """How many letters there are, and what a redrive does with how many."""
    total = actions.total()
    parts = ", ".join(f"{number} to {_COUNTED[action]}" for action, number in actions.items())
    return f"{total} dead letter{'' if total == 1 else 's'}" + (f": {parts}" if parts else "")


def describe(held: Held, plan: Plan) -> str:
    """One letter in a few lines. The number is masked, and there is no text."""
    message = plan.message
    lines = [f"\n{iso(held.sent_at)}  message {plan.message_id or '?'}  queue id {held.letter.queue_message_id}"]
    if message:
        to = Address(message.to).masked if message.to else "erased"
        what = message.template or "free-form message"
        lines.append(f"  {what} to {to}, {message.status.public_status} after {message.attempts} attempts")
        if message.error:
            twilio = f" (Twilio {message.error.twilio_code})" if message.error.twilio_code else ""
            lines.append(f"  failed by {message.error.code}{twilio}: {message.error.detail}")
    if said := [f"{name} {value}" for name, value in plan.labels or () if value is not None]:
        lines.append(f"  a request: {', '.join(said)}")
    lines.append(f"  {_WILL[plan.action]}: {plan.why}")
    return "\n".join(lines)


_WILL = {
    Action.NUDGE: "redrive nudges it",
    Action.RENEW: "redrive sends it as a new record",
    Action.REQUEUE: "redrive puts it back on the send queue",
    Action.DROP: "redrive drops the letter",
    Action.LEAVE: "redrive leaves it",
}

_COUNTED = {
    Action.NUDGE: "nudge",
    Action.RENEW: "send anew",
    Action.REQUEUE: "put back on the send queue",
    Action.DROP: "drop",
    Action.LEAVE: "leave",
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
