"""`make demo`: a scripted conversation over real HTTP, printed as a transcript. Exit status 0 only if every step held.

It starts a stack of its own with a limit of a few seconds in place of the hour, and talks to it as the world does: the
orchestrator by direct invoke and HTTP, the patient and WhatsApp's reviewer through the emulated Twilio.
"""

import base64
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from whatsapp.bus_events import MessageStatusChanged

from local.artifacts import ROOT
from local.aws import client
from local.http import ONE_EACH, SignedHttp
from local.orchestrator import Orchestrator
from local.stack import FROM_ADDRESS, Stack

ASHA = "+919812345678"
MEERA = "+919812345679"
"""The phone of a mother. Her children, `rohan` and `tara`, are patients too."""
VIKRAM = "+919812345680"
"""He answers nothing."""
APPOINTMENT, MOVED = "appt-9001", "appt-9001-moved"
CHOICES = [{"id": f"slot-{hour}", "title": f"{hour} pm"} for hour in (3, 4, 5, 6)]
LIMIT_S = 20
PATIENCE_S = 20.0
SILENCE_S = 1.0
"""After so long, a wait says what it waits for."""
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
    "variables": {
        "patient_name": "Asha",
        "therapist_name": "Dr. Rao",
        "session_time": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    },
    "user_id": "user-42",
    "idempotency_key": "appt-8831-reminder-24h",
}


SAMPLES = ROOT / "local" / "phone" / "samples"
MEDIA = (("picture.png", "image/png", "image"), ("voice.ogg", "audio/ogg", "audio"))


class StepFailedError(Exception):
    """A step of the demo did not hold. The text says which and why."""


class Demo:
    """The script and what it needs to run."""

    def __init__(self, stack: Stack, orchestrator: Orchestrator) -> None:
        self._stack = stack
        self._orchestrator = orchestrator
        self._lambda = client("lambda", stack.aws_endpoint)
        self._api = SignedHttp(stack.api_url)
        self._twilio = httpx.Client(
            base_url=f"{stack.twilio_url}/_emulator/", trust_env=False, timeout=30, limits=ONE_EACH
        )
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
        self._media()
        self._limit()
        self._refusals()
        self._opt_out()
        self._conversation()
        self._plan()
        self._choices()
        self._move()
        self._siblings()
        self._unanswered()
        self._crisis()
        self._paused_sender()

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
        wanted = {"sent", "read"}  # `delivered` says nothing new if `read` overtook it
        self._wait("sent and read on the bus", lambda: self._heard_statuses(answer["message_id"]) >= wanted)

    def _patient_confirms(self) -> None:
        sid = self._ledger()[0]["sid"]
        received = self._write("Confirm", ButtonPayload="agent:scheduling:confirm", ButtonText="Confirm",
                               OriginalRepliedMessageSid=sid, OriginalRepliedMessageSender=FROM_ADDRESS)  # fmt: skip
        event = self._wait("the reply on the bus", lambda: self._received(received["message_sid"]))
        self._check("with its agent and user", (event["agent"], event["user_id"]) == ("scheduling", "user-42"))
        self._check("with the message it answers", event["in_reply_to"]["template"] == "appointment_confirmation")
        answers = self._wait("the agent's answer at Twilio", lambda: self._answers("Thank you"))
        self._say("scheduling", answers[0]["body"])

    def _media(self) -> None:
        for number, (name, content_type, kind) in enumerate(MEDIA, 1):
            content = (SAMPLES / name).read_bytes()
            file = {"content_type": content_type, "base64": base64.b64encode(content).decode()}
            received = self._write("", what=f"sends {name}", media=[file])
            sid = received["message_sid"]
            event = self._wait(f"the {kind} on the bus", lambda sid=sid: self._received(sid))  # type: ignore[misc]  # mypy cannot infer a lambda with defaults
            self._check("as what it is", (event["kind"], event["media"][0]["status"]) == (kind, "pending"))
            stored = self._wait("stored", lambda sid=sid: self._heard("message.media_stored", sid))  # type: ignore[misc]  # as above
            self._check(
                "with the type of its bytes", (stored["status"], stored["content_type"]) == ("stored", content_type)
            )
            page = self._api.get(f"/contacts/{self._contact_id}/conversation").json()["messages"]
            (medium,) = next(m["media"] for m in page if m["message_id"] == sid)
            self._check("and its link in the conversation reads it", httpx.get(medium["url"]).content == content)
            self._wait("answered", lambda n=number: len(self._answers("Thank you for your message")) == n)  # type: ignore[misc]  # as above

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

    def _opt_out(self) -> None:
        stop = self._write("STOP")["message_sid"]
        self._wait("contact.opted_out on the bus", lambda: self._heard("contact.opted_out", stop))
        before = len(self._ledger())
        answer = self._send({**REMINDER, "idempotency_key": "demo-after-stop"})
        self._say("send", f"{answer['status']}: {answer['error']['detail']}")
        self._check("every send is refused", (answer["status"], answer["error"]["code"]) == ("refused", "opted_out"))
        self._check("and nothing goes out, not even a goodbye", len(self._ledger()) == before)
        start = self._write("START")["message_sid"]
        self._wait("contact.opted_in on the bus", lambda: self._heard("contact.opted_in", start))
        self._wait("answered again", lambda: len(self._answers("Thank you for your message")) == len(MEDIA) + 1)

    def _conversation(self) -> None:
        page = self._api.get(f"/contacts/{self._contact_id}/conversation").json()["messages"]
        told = [(m["direction"], m.get("template") or m.get("kind") or "text") for m in page]
        wanted = [("outbound", "appointment_confirmation"), ("inbound", "button"), ("outbound", "text"),
                  ("inbound", "image"), ("outbound", "text"), ("inbound", "audio"), ("outbound", "text"),
                  ("outbound", "session_reminder"),
                  ("inbound", "text"), ("inbound", "text"), ("outbound", "text")]  # fmt: skip
        self._check("the conversation reads in order", told == wanted)
        for message in page:
            who = "Asha" if message["direction"] == "inbound" else message["agent"]
            first_line = (message["text"] or f"({message['kind']})").splitlines()[0]
            print(f"              {message['at'][11:19]}  {who}: {first_line} ({message['status']})")

    # --- the second act: an appointment that is planned, moved and answered ------------------------------------------

    def _plan(self) -> None:
        self._say("orchestrator", f"plans {APPOINTMENT}: confirmation, reminder, and a nudge for who has not answered")
        ahead = {"send_at": (datetime.now(UTC) + timedelta(hours=20)).isoformat()}
        self._check(
            "the confirmation goes at once", self._ask("appt-9001-confirmation", CONFIRMATION)["status"] == "sent"
        )
        for name, more in (("reminder", {}), ("nudge", {"unless": "answered"})):
            answer = self._ask(f"appt-9001-{name}", {**REMINDER, **ahead, **more})
            self._check(f"the {name} waits for its time", answer["status"] == "deferred")
        shown = self._api.get(f"/groups/{APPOINTMENT}").json()["messages"]
        self._check("the group shows all three", [m["status"] for m in shown][1:] == ["deferred", "deferred"])

    def _choices(self) -> None:
        sid = self._write("Could we take another time?", who=MEERA)["message_sid"]
        self._wait("her question on the bus", lambda: self._received(sid))
        self._say("scheduling", f"offers {len(CHOICES)} times as a list")
        offer = {"to": MEERA, "text": "When suits you?", "in_reply_to": sid, "choices": CHOICES,
                 "choices_label": "See times", "idempotency_key": "appt-9001-offer"}  # fmt: skip
        answer = self._invoke("SendFunctionName", offer)
        self._check("Twilio takes the list", answer["status"] == "sent" and answer["twilio_sid"])
        tapped = self._write("", who=MEERA, what="taps 5 pm in the list", list_item=CHOICES[2])["message_sid"]
        event = self._wait("the tap on the bus", lambda: self._received(tapped))
        self._check("with the caller's own id", (event["choice"] or {}).get("id") == "slot-5")

    def _move(self) -> None:
        canceled = self._invoke("SendFunctionName", {"action": "cancel_group", "group": APPOINTMENT})
        self._say("orchestrator", f"cancels the group {APPOINTMENT}: the appointment moves")
        self._check("what waited is canceled", len(canceled["canceled"]) == 2)
        answer = self._ask("appt-9001-confirmation-2", CONFIRMATION, group=MOVED)
        self._check("the new confirmation keeps to the limit", answer["status"] == "deferred")
        self._wait("and goes when it is over", lambda: self._message(answer["message_id"])["twilio_sid"])

    def _siblings(self) -> None:
        self._say("orchestrator", "reminds Meera of Tara's session, too")
        answer = self._ask("tara-reminder", REMINDER, group="appt-9002", user_id="tara")
        self._wait("it goes", lambda: self._message(answer["message_id"])["twilio_sid"])
        sid = self._write("We will be ten minutes late", who=MEERA)["message_sid"]
        event = self._wait("her message on the bus", lambda: self._received(sid))
        users = (event["user_id"], sorted(event["user_ids"]))
        self._check("it may be about either child, and says so", users == (None, ["rohan", "tara"]))
        ours = next(m["sid"] for m in reversed(self._ledger()) if m["to"].endswith(MEERA) and m["content_sid"])
        replied = {"OriginalRepliedMessageSid": ours, "OriginalRepliedMessageSender": FROM_ADDRESS}
        sid = self._write("Tara is fine now", who=MEERA, **replied)["message_sid"]
        event = self._wait("her answer to a message on the bus", lambda: self._received(sid))
        self._check("is about the child of that message", event["user_id"] == "tara" and not event["user_ids"])

    def _unanswered(self) -> None:
        soon = datetime.now(UTC) + timedelta(seconds=5)
        answer = self._ask(
            "appt-9003-confirmation", CONFIRMATION, to=VIKRAM, group="appt-9003", answer_by=soon.isoformat()
        )
        self._say("Vikram", "says nothing")
        self._wait("message.unanswered on the bus", lambda: self._heard("message.unanswered", answer["message_id"]))

    def _crisis(self) -> None:
        before = len(self._ledger())
        sid = self._write("I want to end my life", who=MEERA)["message_sid"]
        event = self._wait("her words on the bus", lambda: self._received(sid))
        self._check("marked as danger to life", event["safety"]["phrase_id"] == "suicide")
        told = self._invoke("SendFunctionName", {"action": "acknowledge_contact", "contact_id": event["contact_id"]})
        self._say("clinic", "calls her, and acknowledges the alert")
        self._check("it was out, and does not come again", told["was_open"])
        self._check("no form letter answers her", len(self._ledger()) == before)

    def _paused_sender(self) -> None:
        self._twilio.post("faults", json={"kind": "error", "code": 63018, "times": 1})
        self._say("WhatsApp", "refuses: too many messages from this number")
        phones = [f"+9198123457{n:02d}" for n in range(3)]
        answers = [self._ask(f"rush-{n}", REMINDER, to=phone, group="rush") for n, phone in enumerate(phones)]
        self._check("none is lost", {a["status"] for a in answers} <= {"deferred", "retrying"})
        self._check(
            "and only the first asked Twilio", not any(m["to"].endswith(p) for m in self._ledger() for p in phones)
        )
        self._wait(
            "one of them tries again, and is sent",
            lambda: any(self._message(a["message_id"])["twilio_sid"] for a in answers),
        )
        self._say("send", "the others look again within five minutes: this demo ends before")

    def _ask(self, key: str, request: dict[str, Any], **more: Any) -> dict[str, Any]:
        """A request to Meera's phone about Rohan, unless `more` says otherwise."""
        mine = {"to": MEERA, "user_id": "rohan", "group": APPOINTMENT, "idempotency_key": key}
        return self._invoke("SendFunctionName", {**request, **mine, **more})

    # --- how the script acts and looks -----------------------------------------------------------------------------

    def _send(self, request: dict[str, Any]) -> dict[str, Any]:
        self._say("orchestrator", f"send {request['template']} to {request['variables']['patient_name']}")
        return self._invoke("SendFunctionName", request)

    def _write(
        self, text: str, *, who: str = ASHA, what: str = "", media: Sequence[dict[str, str]] = (),
        list_item: dict[str, str] | None = None, **fields: str,
    ) -> dict[str, Any]:  # fmt: skip
        name = "Asha" if who == ASHA else "Meera"
        self._say(name, what or text)
        message = {"from": who, "body": text, "media": media, "params": {"ProfileName": name, **fields}}
        message |= {"list_item": list_item} if list_item else {}
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

    def _answers(self, beginning: str) -> list[dict[str, Any]]:
        return [message for message in self._ledger() if (message["body"] or "").startswith(beginning)]

    def _heard(self, detail_type: str, message_id: str) -> dict[str, Any] | None:
        heard = (asdict(event) for event in self._orchestrator.events if event.detail_type == detail_type)
        return next((detail for detail in heard if detail["message_id"] == message_id), None)

    def _received(self, message_sid: str) -> dict[str, Any] | None:
        return self._heard("message.received", message_sid)

    def _heard_statuses(self, message_id: str) -> set[str]:
        heard = (event for event in self._orchestrator.events if isinstance(event, MessageStatusChanged))
        return {event.status for event in heard if event.message_id == message_id}

    def _wait(self, what: str, look: Callable[[], Any]) -> Any:
        began = time.monotonic()
        deadline, told = began + PATIENCE_S + LIMIT_S, False
        while not (found := look()):
            if not told and time.monotonic() > began + SILENCE_S:
                print(f"{_clock()}  {'…':>12}  waiting: {what}", flush=True)
                told = True
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
    print("demo: waiting for a stack of its own to start, about half a minute …", flush=True)
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
