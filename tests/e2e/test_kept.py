"""`make run`, ended and started again: it goes on where it was. The real command, as a process of its own."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any

import httpx

from local.__main__ import FIRST_MESSAGE
from local.aws import client
from local.http import ONE_EACH, SignedHttp
from local.phone.watchers import PATIENTS
from tests.product import REMINDER, eventually

ASHA, RAVI = str(FIRST_MESSAGE["to"]), "+919845012345"
RUN = """
import sys
from pathlib import Path
from local import __main__, stacks
stacks.STACKS = Path(sys.argv[1])
sys.exit(__main__.main(["run"]))
"""


class Run:
    """A `make run` that is ready, as somebody beside it sees it."""

    def __init__(self, stack: dict[str, Any], said: list[str]) -> None:
        self.said = said
        self.outputs = stack["outputs"]
        self._stack = stack
        self._api = SignedHttp(stack["api_url"])

    def aws(self, service: str) -> Any:
        return client(service, self._stack["aws_endpoint"])

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        found: dict[str, Any] = self._api.request(method, path, body).json()
        return found

    def twilio(self, control: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        url = f"{self._stack['twilio_url']}/_emulator/{control}"
        with httpx.Client(trust_env=False, timeout=30, limits=ONE_EACH) as http:
            answer = http.request("GET" if body is None else "POST", url, json=body).raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def ledger(self) -> list[tuple[str, str, str]]:
        return [(each["sid"], each["to"], each["status"]) for each in self.twilio("ledger")["messages"]]

    def shown(self, kind: str) -> dict[str, dict[str, Any]]:
        """What the page shows."""
        answer = httpx.get(f"{self._stack['phone_url']}api/state", trust_env=False, timeout=30)
        found: dict[str, dict[str, Any]] = answer.json()["things"][kind]
        return found

    def record(self, message_id: str) -> dict[str, Any]:
        return self.api("GET", f"/messages/{message_id}")

    def when(self, message_id: str, status: str) -> dict[str, Any]:
        return eventually(lambda: (found := self.record(message_id))["status"] == status and found)

    def reset(self) -> None:
        """The page's button."""
        own = {"Origin": self._stack["phone_url"].rstrip("/")}
        httpx.post(f"{self._stack['phone_url']}api/reset", json={}, headers=own, trust_env=False).raise_for_status()

    def scan(self, table: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.aws("dynamodb").scan(TableName=self.outputs[table])["Items"]
        return found

    def conversation(self, contact_id: str) -> list[dict[str, Any]]:
        """What was said, without the links to files, which are made anew each time."""
        messages = self.api("GET", f"/contacts/{contact_id}/conversation")["messages"]
        return [{name: value for name, value in each.items() if name != "media"} for each in messages]

    def dead_letters(self) -> list[str]:
        url = self.outputs["SendDeadLetterQueueUrl"]
        found = self.aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [each["Body"] for each in found.get("Messages", [])]

    def files(self) -> dict[str, bytes]:
        s3, bucket = self.aws("s3"), self.outputs["MediaBucketName"]
        keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


@contextlib.contextmanager
def make_run(directory: Path, how: signal.Signals = signal.SIGINT, **variables: str) -> Iterator[Run]:
    """A run that is ready; it is ended at the end of the block."""
    given = {name: value for name, value in os.environ.items() if name not in {"STACK", "PORT", "FORWARD", "RESET"}}
    command, environment = [sys.executable, "-c", RUN, str(directory)], {**given, **variables}
    with subprocess.Popen(command, env=environment, stdout=PIPE, stderr=STDOUT, text=True) as running:
        try:
            assert running.stdout
            said = []
            for line in running.stdout:
                said.append(line)
                if line.startswith("The phone page:"):
                    break
            assert said[-1].startswith("The phone page:"), "".join(said)
            yield Run(json.loads((directory / "stack.json").read_text()), said)
            running.send_signal(how)
            rest = running.communicate(timeout=120)[0]
            if how != signal.SIGKILL:
                assert (running.returncode, rest) == (0, "stopped\n")
        finally:
            running.kill()


def test_a_run_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    directory = tmp_path / "stacks"
    with make_run(directory) as run:
        [(_, first)] = [(sid, each) for sid, each in eventually(lambda: run.shown("record")).items()]
        run.when(first["message_id"], "read")
        picture = {"content_type": "image/png", "base64": b64encode(b"\x89PNG\r\n\x1a\n" + b"\xff" * 64).decode()}
        run.twilio("inbound", {"from": ASHA, "body": "I'll be there", "media": [picture]})
        contact = run.record(first["message_id"])["contact_id"]
        eventually(run.files)
        again = run.api("POST", "/messages", {"to": ASHA, **REMINDER})
        assert again["status"] == "deferred"
        run.twilio("patients", {"address": RAVI, "phone_on": False})
        waiting = run.api("POST", "/messages", {"to": RAVI, **REMINDER, "idempotency_key": "ravi-1"})
        run.when(waiting["message_id"], "sent")
        run.aws("sqs").send_message(QueueUrl=run.outputs["SendDeadLetterQueueUrl"], MessageBody="poison")
        eventually(lambda: [each["status"] for each in run.conversation(contact)].count("read") == 2)  # and the answer
        before, files, steps = run.ledger(), run.files(), set(run.shown("step"))
        events = {step for step in steps if step.startswith("bus:")}
        talk = run.conversation(contact)
    kept = directory / "kept"
    assert {stat.S_IMODE(each.stat().st_mode) for each in (kept, *kept.iterdir())} == {0o700, 0o600}
    assert [each.name for each in directory.iterdir()] == ["kept"]

    with make_run(directory, signal.SIGTERM) as run:
        assert run.ledger() == before
        assert run.files() == files
        assert run.dead_letters() == ["poison"]
        assert events
        assert events <= set(run.shown("step"))
        assert run.conversation(contact) == talk
        assert set(run.shown("message")) == {sid for sid, _, _ in before}
        assert run.record(again["message_id"])["status"] == "deferred"
        third = run.api("POST", "/messages", {"to": ASHA, **REMINDER})
        assert (third["status"], run.record(third["message_id"])["contact_id"]) == ("deferred", contact)
        same = run.api("POST", "/messages", {"to": RAVI, **REMINDER, "idempotency_key": "ravi-1"})
        assert (same["message_id"], same["duplicate"]) == (waiting["message_id"], True)
        run.twilio("patients", {"address": RAVI, "phone_on": True})
        run.when(waiting["message_id"], "read")
        assert [sid for sid, _, _ in run.ledger()] == [sid for sid, _, _ in before]

    with make_run(directory, signal.SIGKILL) as run:  # what it does is lost, and what was kept before stays
        run.twilio("inbound", {"from": ASHA, "body": "lost"})
    with make_run(directory) as run:
        assert [sid for sid, _, _ in run.ledger()] == [sid for sid, _, _ in before]
        assert run.record(waiting["message_id"])["status"] == "read"

    state = json.loads((kept / "state.json").read_text())
    del state["twilio"]["windows"]
    (kept / "state.json").write_text(json.dumps(state))
    with make_run(directory) as run:
        assert run.said[0].startswith(
            "What the last run kept does not fit: HTTPError when it was put back. It lies in "
        )
        assert run.record(waiting["message_id"])["status"] == "refused"
        fresh = eventually(run.ledger)
    assert (directory / "kept-unfit" / "state.json").exists()

    with make_run(directory, RESET="1") as run:
        [(sid, to, _)] = eventually(run.ledger)
        assert to == f"whatsapp:{ASHA}"
        assert sid not in {each for each, _, _ in [*before, *fresh]}
        read = "message.status_changed: read"
        eventually(lambda: read in [step["title"] for step in run.shown("step").values()])
        run.reset()
        assert run.ledger() == []
        assert run.shown("message") == run.shown("step") == {}
        assert run.scan("MessagesTableName") == run.scan("ContactsTableName") == []
        assert {each["address"] for each in eventually(lambda: run.twilio("state")["patients"])} <= set(PATIENTS)
        sent = run.api("POST", "/messages", {"to": ASHA, **REMINDER})  # the hour before is forgotten too
        run.when(sent["message_id"], "read")
