"""The bus takes nothing for an hour, while messages go out and patients write. Then all of it is told, once.

A policy that denies `events:PutEvents` to the two functions stands for the outage. The hour is 12 stretches of a few
seconds, each standing for five minutes: what the functions count is judged at its time.
"""

from collections import Counter
from typing import Any

from local.drills.drill import Drill, follow_up

TITLE = "Drill: the bus is down for an hour"
PARAMETERS: dict[str, str] = {}
_STRETCHES, _STRETCH_S = 12, 300
_FUNCTIONS = ("SendFunctionName", "WebhookFunctionName")


def play(drill: Drill) -> None:
    """Deny the bus, send and write for an hour, allow it, and count the events."""
    drill.hear_bus()
    drill.hear_alerts()
    for function in _FUNCTIONS:
        drill.stack.refuse(function, "events:PutEvents")
    drill.say("AWS", "the bus takes nothing")
    sent = []
    for stretch in range(_STRETCHES):
        sent.append(drill.send(follow_up(f"+9198123470{stretch:02}")))
        drill.patient_writes(f"+9198123471{stretch:02}", "hello")
        drill.sweep()
        drill.passes(_STRETCH_S)
    drill.check("each send was answered as ever", {answer["status"] for answer in sent} == {"sent"})
    drill.check("nothing was told", drill.events() == [])
    drill.check("two alarms page, each once", drill.rung() == ["PublishFailedAlarm", "NotToldAlarm"])
    drill.runbook("PublishFailedAlarm")
    drill.runbook("NotToldAlarm")

    for function in _FUNCTIONS:
        drill.stack.permit(function)
    drill.say("AWS", "the bus takes events again")
    events: list[dict[str, Any]] = []

    def all_told() -> bool:
        drill.sweep()
        events.extend(drill.events())
        return Counter(event["detail-type"] for event in events)["message.received"] == _STRETCHES and {
            event["detail"]["message_id"] for event in events if event["detail-type"] == "message.status_changed"
        } >= {answer["message_id"] for answer in sent}

    drill.wait("within two minutes all that waited is published", all_told, seconds=150)
    for _ in range(4):
        drill.passes(_STRETCH_S)
    drill.check("nothing pages any more", drill.rung() == [])
    ids = [event["detail"]["event_id"] for event in events]
    drill.check("no event came twice", len(ids) == len(set(ids)))
    drill.check("each message of a patient is stored", drill.received() == drill.written() == _STRETCHES)
    drill.check("Twilio got each message once", Counter(m["to"] for m in drill.sent()).most_common(1)[0][1] == 1)
    drill.check("and all of them", len(drill.sent()) == _STRETCHES)
    drill.check("no alert by mail", drill.alerts() == [])
