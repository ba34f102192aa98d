"""What every drill acts and looks with: the stack, its Twilio, its schedules, and the transcript."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx

from local.http import ONE_EACH, SignedHttp
from local.stack import Stack

_PATIENCE_S = 60.0


class DrillFailedError(Exception):
    """Something did not hold. The text says what."""


class Drill:
    """A running stack and a transcript. A drill's `play(drill)` is its script.

    Attributes:
        stack: the stack; `stack.aws("dynamodb")` and so on are its clients.
        api: the HTTP API, signed as the orchestrator signs.
        twilio: the emulated Twilio's own controls, such as `twilio.post("faults", json=…)` (docs/emulator.md).
        transcript: the lines so far.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.api = SignedHttp(stack.api_url)
        self.twilio = httpx.Client(
            base_url=f"{stack.twilio_url}/_emulator/", trust_env=False, timeout=30, limits=ONE_EACH
        )
        self.transcript: list[str] = []
        self._began = time.monotonic()

    def say(self, who: str, what: str) -> None:
        """One line of the transcript: who did or saw what."""
        line = f"{time.monotonic() - self._began:7.1f} s  {who:>12}  {what}"
        self.transcript.append(line)
        print(line, flush=True)

    def check(self, what: str, held: Any) -> None:
        """Note that it held.

        Raises:
            DrillFailedError: it did not.
        """
        if not held:
            raise DrillFailedError(what)
        self.say("✓", what)

    def wait(self, what: str, look: Callable[[], Any], seconds: float = _PATIENCE_S) -> Any:
        """Look until there is something to see, and return it.

        Raises:
            DrillFailedError: there was nothing in time.
        """
        deadline = time.monotonic() + seconds
        while not (found := look()):
            if time.monotonic() > deadline:
                raise DrillFailedError(f"{what}: not seen within {seconds:.0f} s")
            time.sleep(0.2)
        self.check(what, found)
        return found

    def send(self, request: dict[str, Any]) -> dict[str, Any]:
        """A send by direct invoke: the answer."""
        answer: dict[str, Any] = self.stack.invoke("SendFunctionName", request)
        return answer

    def sweep(self) -> None:
        """What the schedules do once a minute, with their own inputs."""
        self.stack.invoke("SendFunctionName", {"task": "sweep"})
        self.stack.invoke("WebhookFunctionName", {"task": "publish"})

    def sent(self) -> list[dict[str, Any]]:
        """What Twilio accepted from us, oldest first."""
        messages = self.twilio.get("ledger").json()["messages"]
        return [message for message in messages if message["direction"] != "inbound"]

    def message(self, message_id: str) -> dict[str, Any]:
        """`GET /messages/{message_id}`."""
        message: dict[str, Any] = self.api.get(f"/messages/{message_id}").json()
        return message


def document(title: str, story: str, transcript: list[str]) -> str:
    """A page of docs/drills: what was played, and the transcript of one run."""
    day = datetime.now(UTC).date().isoformat()
    return f"# {title}\n\n{story.strip()}\n\nPlayed on {day}:\n\n```\n" + "\n".join(transcript) + "\n```\n"


def as_json(value: Any) -> str:
    """For the transcript: one line, keys sorted."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
