"""`python -m local.dlq list|redrive [--yes]`: the send queue's dead letters, in the running local stack or on AWS.

    python -m local.dlq list                                   the running local stack (STACK=name for another)
    python -m local.dlq redrive --function whatsapp-prod-send  on AWS, with your profile and region: a dry run
    python -m local.dlq redrive --function whatsapp-prod-send --yes

On AWS it needs lambda:GetFunctionConfiguration, the two queues, and read and write on the messages table.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from whatsapp.bootstrap import App
from whatsapp.domain.address import Address
from whatsapp.domain.ports import NotTold
from whatsapp.domain.schedule import iso
from whatsapp.settings import ConfigurationError, Settings
from whatsapp.use_cases.redrive_dead_letters import Action, DeadLetter, Plan, RedriveDeadLetters

from local.__main__ import UsageError, running_stack
from local.aws import server_environment

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

HOLD_S = 120
"""How long a letter that is being looked at is hidden from others who look."""


@dataclass(frozen=True, slots=True)
class Held:
    """A letter in our hands, until it is deleted or put back."""

    letter: DeadLetter
    receipt: str
    sent_at: int


class DeadLetterQueue:
    """The queue itself."""

    def __init__(self, sqs: "SQSClient", url: str) -> None:
        self._sqs = sqs
        self._url = url

    def take_all(self) -> list[Held]:
        """Every letter, the oldest first, hidden from others for a while."""
        held = {one.letter.queue_message_id: one for one in self._take()}
        return sorted(held.values(), key=lambda one: one.sent_at)

    def _take(self) -> Iterator[Held]:
        while batch := self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=HOLD_S,
            WaitTimeSeconds=1,
            MessageSystemAttributeNames=["SentTimestamp"],
        ).get("Messages"):
            for m in batch:
                letter = DeadLetter(m["MessageId"], m["Body"])
                yield Held(letter, m["ReceiptHandle"], int(m.get("Attributes", {}).get("SentTimestamp", 0)))

    def delete(self, held: Held) -> None:
        """It is done with."""
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=held.receipt)

    def put_back(self, held: Held) -> None:
        """Let others see it again at once."""
        self._sqs.change_message_visibility(QueueUrl=self._url, ReceiptHandle=held.receipt, VisibilityTimeout=0)


def main(arguments: Sequence[str]) -> int:
    """Carry out one command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m local.dlq")
    parser.add_argument("command", choices=["list", "redrive"])
    parser.add_argument("--yes", action="store_true", help="redrive in earnest; without it, nothing is changed")
    parser.add_argument("--function", help="the send function on AWS; without it, the running local stack")
    given = parser.parse_args(arguments)
    try:
        return work(given.command, settings_of(given.function), in_earnest=given.command == "redrive" and given.yes)
    except (UsageError, ConfigurationError, ClientError, BotoCoreError, NotTold) as error:
        print(f"dlq: {error}", file=sys.stderr)
        return 1


def settings_of(function: str | None) -> Settings:
    """The settings that the send function runs with: they name the queues and tables."""
    if function is None:
        stack = running_stack(os.environ.get("STACK", ""))
        os.environ.update(server_environment(AWS_ENDPOINT_URL=stack["aws_endpoint"]))
        function = str(stack["outputs"]["SendFunctionName"])
    configuration = boto3.client("lambda").get_function_configuration(FunctionName=function)
    return Settings.from_environ(configuration.get("Environment", {}).get("Variables", {}))


def work(command: str, settings: Settings, *, in_earnest: bool) -> int:
    """List every letter with what a redrive would do; in earnest, do it."""
    app, sqs = App(settings), boto3.client("sqs")

    def put_on_queue(body: dict[str, Any]) -> None:
        sqs.send_message(QueueUrl=settings.send_queue_url, MessageBody=json.dumps(body))

    redrive = RedriveDeadLetters(
        messages=app.messages, continue_message=app.continue_message, clock=app.clock, put_on_queue=put_on_queue
    )
    queue = DeadLetterQueue(sqs, settings.send_dead_letter_queue_url)
    letters = queue.take_all()
    print(f"{len(letters)} dead letter{'' if len(letters) == 1 else 's'}")
    for held in letters:
        plan = redrive.plan(held.letter)
        print(describe(held, plan))
        if in_earnest and redrive.carry_out(plan):
            queue.delete(held)
        else:
            queue.put_back(held)
    if letters and command == "redrive":
        print("done" if in_earnest else "dry run: nothing was changed; `redrive --yes` does it")
    return 0


def describe(held: Held, plan: Plan) -> str:
    """One letter in a few lines, fit to be read at night: the number is masked, the text is not here."""
    message = plan.message
    lines = [f"\n{iso(held.sent_at)}  message {plan.message_id or '?'}  queue id {held.letter.queue_message_id}"]
    if message:
        whom = Address(message.to).masked if message.to else "erased"
        what = message.template or "free-form message"
        lines.append(f"  {what} to {whom}, {message.status.face} after {message.attempts} attempts")
        if message.error:
            twilio = f" (Twilio {message.error.twilio_code})" if message.error.twilio_code else ""
            lines.append(f"  failed by {message.error.code}{twilio}: {message.error.detail}")
    lines.append(f"  {_WILL[plan.action]}: {plan.why}")
    return "\n".join(lines)


_WILL = {
    Action.NUDGE: "redrive nudges it",
    Action.RENEW: "redrive sends it as a new record",
    Action.REQUEUE: "redrive puts it back on the send queue",
    Action.DROP: "redrive drops the letter",
    Action.LEAVE: "redrive leaves it",
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
