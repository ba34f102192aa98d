"""`make demo`: a scripted conversation over real HTTP, printed as a transcript. Exit status 0 only if every step held.

It starts a stack of its own with a limit of a few seconds in place of the hour, and talks to it as the world does: the
orchestrator by direct invoke and HTTP, the patient and WhatsApp's reviewer through the emulated Twilio.
"""

import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from local.aws import client
from local.http import SignedHttp
from local.orchestrator import Orchestrator
from local.stack import FROM_ADDRESS, Stack

ASHA = "+919812345678"
LIMIT_S = 20
PATIENCE_S = 20.0
CONFIRMATION = {
    "to": ASHA,
    "template": "appointment_confirmation",
    "variables": {
        "patient_name": "Asha",
        "therapist_name": "Dr. Rao",
        "appointment_date": "2026-11-24",
        "appointment_time": "17:30",
    },
    "user_id": "user-42",
    "idempotency_key": "appt-8831-confirmation",
}
REMINDER = {
    "to": ASHA,
    "template": "session_reminder",
    "variables": {"patient_name": "Asha", "therapist_name": "Dr. Rao", "session_time": "5:30 pm"},
    "user_id": "user-42",
    "idempotency_key": "appt-8831-reminder-24h",
}


class StepFailedError(Exception):
    """A step of the demo did not hold. The text says which and why."""


class Demo:
    """The script and what it needs to run."""

    def __init__(self, stack: Stack, orchestrator: Orchestrator) -> None:
        self._stack = stack
        self._orchestrator = orchestrator
        self._lambda = client("lambda", stack.aws_endpoint)
        self._api = SignedHttp(stack.api_url)
        self._twilio = httpx.Client(base_url=f"{stack.twilio_url}/_emulator/", trust_env=False, timeout=30)
        self.steps = 0
        self._contact_id = ""

    def play(self) -> None:
        """All steps, in order.

        Raises:
            StepFailedError: the first that did not hold.
        """
        self._templates()
        self._confirmation()
        self._patient_confirms()
        self._limit()
        self._refusals()
        self._conversation()

    def sweep(self) -> None:
        """What the schedules do once a minute, with their own inputs."""
        self._invoke("SendFunctionName", {"task": "sweep"})
        self._invoke("WebhookFunctionName", {"task": "publish"})

    # --- the steps -------------------------------------------------------------------------------------------------

    def _templates(self) -> None:
        answer = self._invoke("TemplateSyncFunctionName", {"task": "sync"})
        self._check("templates created at Twilio and submitted", not answer["problems"] and answer["templates"])
        for template in answer["templates"]:
            self._twilio.post(f"templates/{template['content_sid']}/review", json={"status": "approved"})
        answer = self._invoke("TemplateSyncFunctionName", {"task": "sync"})
        approved = sum(template["status"] == "approved" for template in answer["templates"])
        self._say("WhatsApp", f"approves {approved} wordings")
        self._check("every template approved", approved == len(answer["templates"]))

    def _confirmation(self) -> None:
        answer = self._send(CONFIRMATION)
        self._contact_id = answer["contact_id"]
        self._check("confirmation accepted by Twilio", answer["status"] == "sent" and answer["twilio_sid"])
        self._wait("delivered and read", lambda: self._message(answer["message_id"])["status"] == "read")
        wanted = ["sent", "delivered", "read"]
        self._wait("sent, delivered, read on the bus", lambda: self._heard_statuses(answer["message_id"]) == wanted)

    def _patient_confirms(self) -> None:
        sid = self._ledger()[0]["sid"]
        received = self._write("Confirm", ButtonPayload="agent:scheduling:confirm", ButtonText="Confirm",
                               OriginalRepliedMessageSid=sid, OriginalRepliedMessageSender=FROM_ADDRESS)  # fmt: skip
        event = self._wait("the reply on the bus", lambda: self._received(received["message_sid"]))
        self._check("with its agent and user", (event["agent"], event["user_id"]) == ("scheduling", "user-42"))
        self._check("with the message it answers", event["in_reply_to"]["template"] == "appointment_confirmation")
        answer = self._wait("the agent's answer at Twilio", lambda: self._answer_to("Thank you"))
        self._say("scheduling", answer["body"])

    def _limit(self) -> None:
        first = self._ledger()[0]["accepted_at"]
        answer = self._send(REMINDER)
        self._check("a second proactive message within the limit is deferred", answer["status"] == "deferred")
        self._say("send", f"earliest at {_clock(datetime.fromisoformat(answer['scheduled_for']))}")
        self._wait("sent when the limit is over", lambda: self._message(answer["message_id"])["twilio_sid"])
        sent = [m for m in self._ledger() if m["content_sid"]]
        gap = (sent[-1]["accepted_at"] - first) / 1000
        self._check(f"once, {gap:.1f} s after the first (the limit is {LIMIT_S} s)", len(sent) == 2 and gap >= LIMIT_S)
        again = self._send(REMINDER)
        same = again["duplicate"] and again["message_id"] == answer["message_id"]
        self._check("the same request again is a duplicate", same)
        self._check("and no second message", len([m for m in self._ledger() if m["content_sid"]]) == 2)

    def _refusals(self) -> None:
        before = len(self._ledger())
        answer = self._api.post("/messages", {**REMINDER, "to": "98", "idempotency_key": "demo-bad-number"})
        self._say("POST /messages", f"{answer.status_code} {answer.json()['error']['detail']}")
        self._check("an invalid number is refused", answer.json()["error"]["code"] == "invalid_address")
        forged = self._twilio.post(
            f"{self._stack.api_url}/twilio/inbound",
            headers={"X-Twilio-Signature": "Zm9yZ2Vk"},
            data={"From": f"whatsapp:{ASHA}", "Body": "forged", "AccountSid": self._stack.account_sid},
        )
        self._check("a forged webhook is refused", forged.status_code == 403)
        self._check("and nothing was sent for either", len(self._ledger()) == before)

    def _conversation(self) -> None:
        page = self._api.get(f"/contacts/{self._contact_id}/conversation").json()["messages"]
        told = [(m["direction"], m.get("template") or m.get("kind") or "text") for m in page]
        wanted = [("outbound", "appointment_confirmation"), ("inbound", "button"), ("outbound", "text"),
                  ("outbound", "session_reminder")]  # fmt: skip
        self._check("the conversation reads in order", told == wanted)
        for message in page:
            who = "Asha" if message["direction"] == "inbound" else message["agent"]
            first_line = message["text"].splitlines()[0]
            print(f"              {message['at'][11:19]}  {who}: {first_line} ({message['status']})")

    # --- how the script acts and looks -----------------------------------------------------------------------------

    def _send(self, request: dict[str, Any]) -> dict[str, Any]:
        self._say("orchestrator", f"send {request['template']} to {request['variables']['patient_name']}")
        return self._invoke("SendFunctionName", request)

    def _write(self, text: str, **fields: str) -> dict[str, Any]:
        self._say("Asha", text)
        message = {"from": ASHA, "body": text, "params": {"ProfileName": "Asha", **fields}}
        answer = self._twilio.post("inbound", json=message)
        received: dict[str, Any] = answer.json()
        self._check(f"the webhook took it ({received['ms']} ms)", received["http_status"] == 200)
        return received

    def _invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        answer = self._lambda.invoke(FunctionName=self._stack.outputs[function], Payload=json.dumps(event))
        payload: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise StepFailedError(f"{function} raised {payload.get('errorType')}: {payload.get('errorMessage')}")
        return payload

    def _message(self, message_id: str) -> dict[str, Any]:
        message: dict[str, Any] = self._api.get(f"/messages/{message_id}").json()
        return message

    def _ledger(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self._twilio.get("ledger").json()["messages"]
        return [message for message in messages if message["direction"] != "inbound"]

    def _answer_to(self, beginning: str) -> dict[str, Any] | None:
        return next((m for m in self._ledger() if (m["body"] or "").startswith(beginning)), None)

    def _received(self, message_sid: str) -> dict[str, Any] | None:
        heard = (e["detail"] for e in self._orchestrator.events if e["detail-type"] == "message.received")
        return next((detail for detail in heard if detail["message_id"] == message_sid), None)

    def _heard_statuses(self, message_id: str) -> list[str]:
        heard = (e["detail"] for e in self._orchestrator.events if e["detail-type"] == "message.status_changed")
        return [detail["status"] for detail in heard if detail["message_id"] == message_id]

    def _wait(self, what: str, look: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_S + LIMIT_S
        while not (found := look()):
            if time.monotonic() > deadline:
                raise StepFailedError(f"{what}: not seen within {PATIENCE_S + LIMIT_S:.0f} s")
            time.sleep(0.1)
        self._check(what, found)
        return found

    def _check(self, what: str, held: Any) -> None:
        if not held:
            raise StepFailedError(what)
        self.steps += 1
        print(f"{_clock()}  {'✓':>12}  {what}", flush=True)

    def _say(self, who: str, what: str) -> None:
        print(f"{_clock()}  {who:>12}  {what}", flush=True)


class Schedules:
    """Stands in for the schedules, which fire once a minute: every two seconds, with their own inputs."""

    def __init__(self, sweep: Callable[[], None]) -> None:
        self._sweep = sweep
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="schedules", daemon=True)

    def __enter__(self) -> "Schedules":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(2):
            self._sweep()


def _clock(at: datetime | None = None) -> str:
    return (at or datetime.now(UTC)).astimezone(ZoneInfo("Asia/Kolkata")).strftime("%H:%M:%S")


def main() -> int:
    """Play the demo on a stack of its own; its exit status."""
    print("demo: starting a stack of its own …", flush=True)
    with tempfile.TemporaryDirectory(prefix="whatsapp-demo-") as directory, \
            Stack(Path(directory), {"RateLimitSeconds": str(LIMIT_S)}) as stack, \
            Orchestrator(stack.aws_endpoint, stack.outputs) as orchestrator:  # fmt: skip
        demo = Demo(stack, orchestrator)
        try:
            with Schedules(demo.sweep):
                demo.play()
        except (StepFailedError, httpx.HTTPError) as error:
            print(f"demo: step {demo.steps + 1} failed: {error}", file=sys.stderr)
            return 1
    print(f"demo: ok, {demo.steps} steps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
