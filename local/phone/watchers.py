"""Watches the parts of the stack and tells the world: Twilio, the bus, the alerts, the queues, the functions' logs."""

import asyncio
import json
import re
from typing import Any

import httpx

from local.bus import subscribe
from local.phone.records import Records
from local.phone.world import World, now_ms

STATUS_PATH = re.compile(r"/twilio/status/([0-9a-f]+)/([0-9a-z]+)")
QUEUE_NAME = "phone-page"
PATIENTS = {"+919812345600": "Asha Menon", "+919845012345": "रवि शर्मा", "+919940098765": "மீனா சுந்தரம்"}
"""Who is there when nobody is: an ordinary page has people on it."""


class TwilioWatcher:
    """Follows the emulated Twilio's own stream of events."""

    def __init__(self, world: World, records: Records, http: httpx.AsyncClient) -> None:
        self._world = world
        self._records = records
        self._http = http
        self._last_id = ""

    async def follow(self) -> None:
        """Read the state, then the stream; begin again if Twilio was started anew, or forgot everything."""
        while True:
            try:
                await self._seed_patients()
                await self.read_state()
                await self._follow_stream()
            except httpx.HTTPError:
                await asyncio.sleep(0.3)

    async def _seed_patients(self) -> None:
        state = (await self._http.get("state")).raise_for_status().json()
        named = {patient["address"] for patient in state["patients"] if patient["profile_name"]}
        for address, name in PATIENTS.items():
            if address not in named:
                await self._http.post("patients", json={"address": address, "profile_name": name})

    async def read_state(self) -> None:
        """Take over all that Twilio knows now, and forget what it forgot."""
        state = (await self._http.get("state")).raise_for_status().json()
        self._last_id = state["last_event_id"]
        self._world.replace("patient", {patient["address"]: patient for patient in state["patients"]})
        self._world.replace("template", {template["sid"]: template for template in state["templates"]})
        for sid in set(self._world.of("message")) - {message["sid"] for message in state["messages"]}:
            self._forget(sid)
        self._put("windows", {"open": state["windows"]})
        self._put("faults", {"active": state["faults"]})
        self._put("clock", {"whatsapp_now": state["whatsapp_now"], "at": now_ms()})
        for message in state["messages"]:
            self._message(message, message["accepted_at"])
            for attempt in message["callbacks"]:
                self._callback({"sid": message["sid"], **attempt})

    def _forget(self, sid: str) -> None:
        """A message, what our records say of it, and its story."""
        message_id = (self._world.get("message", sid) or {}).get("message_id")
        for key, step in list(self._world.of("step").items()):
            if step["sid"] == sid or (message_id and step["message_id"] == message_id):
                self._world.drop("step", key)
        self._world.drop("message", sid)
        self._world.drop("record", message_id or "")

    async def _follow_stream(self) -> None:
        """Take in every event until Twilio forgets everything."""
        async with self._http.stream("GET", "events", params={"last_event_id": self._last_id}, timeout=None) as answer:
            data: list[str] = []
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    data.append(line.removeprefix("data: "))
                elif not line and data:
                    event = json.loads("".join(data))
                    data.clear()
                    if event.get("kind") == "reset":
                        return
                    if "kind" in event:
                        await self._event(event)

    async def _event(self, event: dict[str, Any]) -> None:
        match event["kind"]:
            case "message":
                self._message(event["message"], event["at"])
                await self._read_windows(event["message"])
            case "callback":
                self._callback(event)
            case "patient":
                self._world.put("patient", event["patient"]["address"], event["patient"])
            case "template":
                self._world.put("template", event["template"]["sid"], event["template"])
            case "template_deleted":
                self._world.drop("template", event["sid"])
            case "windows":
                self._put("windows", {"open": event["windows"]})
            case "faults":
                self._put("faults", {"active": event["faults"]})
            case "fault":
                self._fault(event)
                self._put("faults", {"active": (await self._http.get("faults")).json()["faults"]})
            case "refusal":
                self._refusal(event)
            case "clock":
                self._put("clock", {"whatsapp_now": event["whatsapp_now"], "at": event["at"]})
                await self._read_windows({"direction": "inbound"})

    async def _read_windows(self, message: dict[str, Any]) -> None:
        if message["direction"] == "inbound":  # it opened a window, and Twilio's event does not say so
            state = (await self._http.get("state")).json()
            self._put("windows", {"open": state["windows"]})
            for patient in state["patients"]:
                self._world.put("patient", patient["address"], patient)

    def _put(self, name: str, value: dict[str, Any]) -> None:
        self._world.put("status", name, value)

    def _message(self, message: dict[str, Any], at: int) -> None:
        inbound = message["direction"] == "inbound"
        path = STATUS_PATH.search(message["status_callback"] or "")
        message_id = message["sid"] if inbound else (path.group(1) if path else None)
        known = self._world.get("message", message["sid"]) or {}
        history = list(known.get("history") or _history(message))
        if not history or history[-1]["status"] != message["status"]:
            history.append({"status": message["status"], "at": at})
        shown = {name: value for name, value in message.items() if name != "callbacks"}
        erased = [what for what in ("redacted", "deleted") if known and message[what] and not known[what]]
        self._world.put("message", message["sid"], {**shown, "message_id": message_id, "history": history})
        if message["patient"] not in self._world.of("patient"):
            self._world.put("patient", message["patient"], {"address": message["patient"], "profile_name": ""})
        for what in erased:
            self._world.step(
                f"{message['sid']}:{what}", "twilio", f"{what.capitalize()} at Twilio", at, end=at, sid=message["sid"],
                message_id=message_id, to=message["patient"],
            )  # fmt: skip
        self._records.mention(message_id)
        self._steps(self._world.of("message")[message["sid"]])

    def _steps(self, message: dict[str, Any]) -> None:
        sid, reached = message["sid"], {entry["status"]: entry["at"] for entry in message["history"]}
        who = {"sid": sid, "message_id": message["message_id"], "to": message["patient"]}
        if message["direction"] == "inbound":
            detail = {"form": message["params"]}
            self._world.step(
                f"{sid}:wrote", "phone", "Patient wrote", message["accepted_at"], end=message["accepted_at"],
                detail=detail, **who,
            )  # fmt: skip
            return
        failed = next((status for status in ("failed", "undelivered") if status in reached), None)
        end = reached.get(failed or "sent") or reached.get("delivered")
        request = {name: message[name] for name in ("to", "from", "content_sid", "content_variables", "body",
                                                    "media_urls", "status_callback")}  # fmt: skip
        answer = {"sid": sid, "status": message["status"], "error_code": message["error_code"],
                  "error_message": message["error_message"]}  # fmt: skip
        self._world.step(
            f"{sid}:twilio", "twilio", f"Accepted, then {failed}" if failed else "Accepted by Twilio",
            message["accepted_at"], end=end, state="bad" if failed else "ok",
            code=str(message["error_code"] or failed) if failed else None,
            detail={"request": {name: value for name, value in request.items() if value}, "answer": answer}, **who,
        )  # fmt: skip
        if "delivered" in reached:
            title = "Delivered, read" if "read" in reached else "Delivered"
            detail = {"shown": message["rendered"] or {"body": message["body"]}, "history": message["history"]}
            self._world.step(f"{sid}:phone", "phone", title, reached["delivered"],
                             end=reached.get("read", reached["delivered"]), detail=detail, **who)  # fmt: skip

    def _callback(self, event: dict[str, Any]) -> None:
        message = self._world.get("message", event["sid"])
        if message is None:
            return
        ok = event["http_status"] is not None and event["http_status"] < 300
        inbound = message["direction"] == "inbound"
        title = "Inbound webhook" if inbound else f"Callback: {event['status']}"
        code = str(event["http_status"] or {"ct": "no connection", "rt": "no answer"}.get(event["error"], "broken"))
        self._world.step(
            f"{event['sid']}:callback:{event['status']}:{event['at']}", "lambda", title, event["at"] - event["ms"],
            end=event["at"], state="ok" if ok else "bad", code=None if ok else code, sid=event["sid"],
            message_id=message["message_id"], to=message["patient"],
            detail={"request": {"url": event["url"], "X-Twilio-Signature": event["signature"]}, "form": event["form"],
                    "answer": {"http_status": event["http_status"], "body": event["answer"], "ms": event["ms"]}},
        )  # fmt: skip
        self._records.mention(message["message_id"])

    def _fault(self, event: dict[str, Any]) -> None:
        self._went_wrong(event, f"Fault: {event['fault'].replace('_', ' ')}", event["code"] or event["fault"])

    def _refusal(self, event: dict[str, Any]) -> None:
        answer = _json_or_text(event["answer"])
        code = answer.get("code") if isinstance(answer, dict) else None
        self._went_wrong(event, "Refused by Twilio", code or event["http_status"])

    def _went_wrong(self, event: dict[str, Any], title: str, code: object) -> None:
        """A request to Twilio, or a callback of Twilio's, that a fault struck or Twilio refused."""
        form = event["form"]
        message = self._world.get("message", event.get("sid") or "") or {}
        path = STATUS_PATH.search(str(form.get("StatusCallback", "")))
        detail = {
            "request": {name: event[name] for name in ("path", "url", "status") if event.get(name)},
            "form": form,
            "answer": {"http_status": event.get("http_status"), "body": _json_or_text(event.get("answer"))},
        }
        self._world.step(
            f"{event['kind']}:{event['at']}:{code}", "twilio", title, event["at"], end=event["at"], state="bad",
            code=str(code), sid=event.get("sid"), to=message.get("patient") or _bare(event.get("to")),
            message_id=message.get("message_id") or (path.group(1) if path else None), detail=detail,
        )  # fmt: skip


def _bare(address: str | None) -> str | None:
    return address.removeprefix("whatsapp:") if address else None


def _json_or_text(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except ValueError:
        return text


def _history(message: dict[str, Any]) -> list[dict[str, Any]]:
    """What became of a message before we looked: Twilio called back for every status but the first."""
    called = [{"status": each["status"], "at": each["at"] - each["ms"]} for each in message["callbacks"]]
    first = [{"status": "queued", "at": message["accepted_at"]}] if message["direction"] != "inbound" else []
    return first + sorted(called, key=lambda entry: entry["at"])


class BusWatcher:
    """Hears the bus and the alert topic through one queue of the page's own."""

    def __init__(self, world: World, records: Records, aws: Any, outputs: dict[str, str]) -> None:
        self._world = world
        self._records = records
        self._sqs = aws("sqs")
        self._url = self._subscribe(aws("events"), aws("sns"), outputs)

    def _subscribe(self, events: Any, sns: Any, outputs: dict[str, str]) -> str:
        senders = {"Service": ["events.amazonaws.com", "sns.amazonaws.com"]}
        allowed = {"Effect": "Allow", "Principal": senders, "Action": "sqs:SendMessage", "Resource": "*"}
        url, arn = subscribe(self._sqs, events, outputs["BusName"], QUEUE_NAME)
        self._sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [allowed]})})
        topic = outputs["AlertTopicArn"]
        subscribed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        if arn not in [each["Endpoint"] for each in subscribed]:
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        return url

    async def follow(self) -> None:
        """Receive for ever."""
        while True:
            answer = await asyncio.to_thread(
                self._sqs.receive_message, QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=1
            )
            for message in answer.get("Messages", []):
                self.hear(message["MessageId"], json.loads(message["Body"]))
                await asyncio.to_thread(
                    self._sqs.delete_message, QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"]
                )

    def hear(self, queue_id: str, body: dict[str, Any]) -> None:
        """Tell of an event of the bus, or an alert."""
        if "detail-type" in body:
            self._event(body)
        else:
            self._alert(queue_id, body)

    def _event(self, event: dict[str, Any]) -> None:
        detail, at = event["detail"], now_ms()
        known = self._world.get("step", f"bus:{detail['event_id']}")
        message_id, status = detail.get("message_id"), detail.get("status")
        what = event["detail-type"] + (f": {status}" if status else "")
        error = detail.get("error") or {}
        self._world.step(
            f"bus:{detail['event_id']}", "bus", what, known["at"] if known else at, end=known["at"] if known else at,
            state="bad" if status in {"failed", "undelivered", "expired", "rejected"} else "ok",
            code=str(error.get("twilio_code") or error["code"]) if error else None, message_id=message_id,
            to=detail.get("address"), template=detail.get("template"), detail={"event": event},
        )  # fmt: skip
        self._records.mention(message_id)

    def _alert(self, queue_id: str, body: dict[str, Any]) -> None:
        text, at = str(body.get("Message", "")), now_ms()
        found = re.search(r"^Message: +(\w+)", text, re.MULTILINE)
        alert = {"id": queue_id, "at": at, "subject": body.get("Subject") or "Alert", "text": text,
                 "message_id": found.group(1) if found else None}  # fmt: skip
        self._world.put("alert", queue_id, alert)
        self._world.step(f"alert:{queue_id}", "bus", f"Alert: {alert['subject']}", at, end=at, state="bad",
                         message_id=alert["message_id"], detail={"alert": text})  # fmt: skip
