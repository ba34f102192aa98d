"""What `make run` keeps from one run to the next: tables, queues, files, keys, the emulated Twilio, and the page.

It lies in `kept/state.json` of the stack's directory, for its owner's eyes only, and is written at a clean end. It is
put into a stack that is deployed anew, so the code may change in between.
"""

import contextlib
import json
import shutil
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from whatsapp.adapters.aws.queue import asked_at_of
from whatsapp.domain.ports import ASKED_AT, CALLERS_ASKED_AT

from local.aws import files, scan
from local.stack import Stack, StackError

VERSION = 1
"""Raise it when what is kept changes its shape: what an earlier version kept is then set aside."""
KEPT, UNFIT = "kept", "kept-unfit"
# In this order they are filled: a sweep in between must not find a message without what it knows of its contact.
_TABLES = ("TemplatesTableName", "ContactsTableName", "MessagesTableName")
_QUEUES = ("SendDeadLetterQueueUrl", "SendQueueUrl")
_SECRETS = ("ContactKeySecretArn", "TwilioSecretArn")
_LOOKS, _BETWEEN_LOOKS_S = 15, 0.3
_AT_ONCE = 25  # DynamoDB takes no more

Kept = dict[str, Any]


class UnfitError(StackError):
    """What was kept cannot be used. The text says why, in one line."""


class KeptStack(Stack):
    """A stack that goes on with what `keep` kept of an earlier one in the same directory.

    Args:
        directory: where it keeps its files.
        anew: forget what was kept.
        keeps: False for one that begins empty and keeps nothing.

    Entering raises, beside what a Stack's does:
        UnfitError: what was kept does not fit: `set_aside` it and begin anew.
    """

    def __init__(self, directory: Path, *, anew: bool = False, keeps: bool = True) -> None:
        super().__init__(directory)
        self._anew = anew
        self._keeps = keeps
        self.page: Kept | None = None
        """What the page showed; None for a stack that begins anew."""

    def keep(self, page: Kept) -> None:
        """Keep all that there is, once nothing moves any more. The stack is at its end: its queue is read empty.

        Raises:
            StackError: a part did not answer; what was kept before stays.
        """
        if not self._keeps:
            return
        try:
            _write(self.directory, self._read(page))
        except (BotoCoreError, ClientError, OSError) as error:
            raise StackError(f"the state could not be kept ({type(error).__name__})") from error

    def _start(self) -> None:
        if self._anew:
            shutil.rmtree(self.directory / KEPT, ignore_errors=True)
        kept = _load(self.directory) if self._keeps else None
        if kept is None:
            super()._start()
            return
        try:
            self.account_sid, self.auth_token = kept["account_sid"], kept["auth_token"]
            self._start_aws()
            self._start_twilio()
            # Before the functions are there: whoever has read another key makes other contact ids.
            key = self.aws("secretsmanager").create_secret(
                Name="kept-contact-key", SecretString=kept["secrets"]["ContactKeySecretArn"]
            )
            self.deploy({"ContactKeySecretArn": key["ARN"]})
            self._fill(json.loads(json.dumps(kept).replace(kept["api_url"], self.api_url)))
        except (BotoCoreError, ClientError, OSError, LookupError, TypeError, ValueError) as error:
            raise UnfitError(f"{type(error).__name__} when it was put back") from error

    def _read(self, page: Kept) -> Kept:
        """Everything, as soon as two looks see the same; what moves for ever is in doubt later, as after a crash."""
        seen = self._depths(), self._look()
        for _ in range(_LOOKS):
            time.sleep(_BETWEEN_LOOKS_S)
            before, seen = seen, (self._depths(), self._look())
            if before == seen:
                break
        return {
            "version": VERSION,
            "account_sid": self.account_sid,
            "auth_token": self.auth_token,
            "api_url": self.api_url,
            "secrets": {each: self._secret(each) for each in _SECRETS},
            **seen[1],
            "objects": list(self._objects()),
            "queues": {each: list(self._queued(each)) for each in _QUEUES},
            "page": page,
        }

    def _look(self) -> Kept:
        """The tables before Twilio: what happens in between is in doubt, and found at Twilio; never sent again."""
        dynamodb = self.aws("dynamodb")
        tables = {each: list(scan(dynamodb, self.outputs[each])) for each in _TABLES}
        return {"tables": tables, "twilio": json.loads(self.ask_twilio("GET", "kept"))}

    def _depths(self) -> list[str]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.aws("sqs").get_queue_attributes(QueueUrl=self.outputs["SendQueueUrl"], AttributeNames=names)
        return [answer["Attributes"][name] for name in names]

    def _secret(self, output: str) -> str:
        found = self.aws("secretsmanager").get_secret_value(SecretId=self.outputs[output])
        return str(found["SecretString"])

    def _objects(self) -> Iterator[Kept]:
        s3, bucket = self.aws("s3"), self.outputs["MediaBucketName"]
        for key in files(s3, bucket):
            found = s3.get_object(Bucket=bucket, Key=key)
            about = {name: found[name] for name in ("ContentType", "ContentDisposition") if name in found}
            yield {"Key": key, **about, "Body": b64encode(found["Body"].read()).decode()}

    def _queued(self, output: str) -> Iterator[Kept]:
        """A queue's messages, taken from it, each with when it was asked for. What is being worked on stays there."""
        sqs, url = self.aws("sqs"), self.outputs[output]
        while batch := sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=[ASKED_AT, CALLERS_ASKED_AT],
        ).get("Messages"):
            for message in batch:
                yield {"body": message["Body"], "asked_at": asked_at_of(message)}

    def _fill(self, kept: Kept) -> None:
        self.ask_twilio("PUT", "kept", kept["twilio"])
        secret = kept["secrets"]["TwilioSecretArn"]
        self.aws("secretsmanager").put_secret_value(SecretId=self.outputs["TwilioSecretArn"], SecretString=secret)
        for each in kept["objects"]:
            given = {**each, "Body": b64decode(each["Body"])}
            self.aws("s3").put_object(Bucket=self.outputs["MediaBucketName"], **given)
        for output in _TABLES:
            self._put(self.outputs[output], kept["tables"][output])
        for output in _QUEUES:
            for message in kept["queues"][output]:
                asked_at = {ASKED_AT: {"DataType": "Number", "StringValue": str(message["asked_at"])}}
                self.aws("sqs").send_message(
                    QueueUrl=self.outputs[output], MessageBody=message["body"], MessageAttributes=asked_at
                )
        self.page = kept["page"]

    def _put(self, table: str, items: list[Kept]) -> None:
        dynamodb = self.aws("dynamodb")
        for start in range(0, len(items), _AT_ONCE):
            puts = [{"PutRequest": {"Item": item}} for item in items[start : start + _AT_ONCE]]
            if dynamodb.batch_write_item(RequestItems={table: puts}).get("UnprocessedItems"):
                raise ValueError("the embedded AWS did not take every item")


def set_aside(directory: Path) -> Path:
    """Put away what does not fit; where it lies now."""
    shutil.rmtree(directory / UNFIT, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        (directory / KEPT).rename(directory / UNFIT)
    return directory / UNFIT


def _load(directory: Path) -> Kept | None:
    """What was kept in this directory, if anything was.

    Raises:
        UnfitError: it cannot be read, or another version wrote it.
    """
    try:
        kept = json.loads((directory / KEPT / "state.json").read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UnfitError(f"it cannot be read ({type(error).__name__})") from error
    version = kept.get("version") if isinstance(kept, dict) else None
    if version != VERSION:
        raise UnfitError(f"it is of version {version}, and this is version {VERSION}")
    return dict(kept)


def _write(directory: Path, kept: Kept) -> None:
    """Write it as a whole or not at all."""
    folder = directory / KEPT
    folder.mkdir(mode=0o700, exist_ok=True)
    draft = folder / "state.json.new"
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(kept))
    draft.replace(folder / "state.json")
