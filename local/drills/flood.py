"""A flood of strangers: 1,200 unsigned requests at Twilio's route, while people nobody knows write by the dozen.

The requests are real, and so is what the gateway refuses; five minutes of product time stand for their stretch.
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx

from local.drills.drill import Drill, follow_up

TITLE = "Drill: a flood of strangers"
PARAMETERS: dict[str, str] = {}
_REQUESTS, _STRANGERS, _STRETCH_S = 1_200, 24, 300
_PATIENT = "+919812360000"


def play(drill: Drill) -> None:
    """Flood, let strangers and a patient write, send to the patient, and count."""
    drill.hear_bus()
    drill.hear_alerts()
    url = f"{drill.stack.api_url}/twilio/inbound"
    with httpx.Client(trust_env=False, timeout=60) as client, ThreadPoolExecutor(2) as pool:
        flood = [pool.submit(_strike, client, url, number) for number in range(_REQUESTS)]
        sent = drill.send(follow_up(_PATIENT))
        for number in range(_STRANGERS):
            drill.patient_writes(f"+9198123601{number:02}", "hello")
        drill.patient_writes(_PATIENT, "Thank you")
        answers = Counter(one.result() for one in flood)
    drill.say("gateway", f"answers to the flood: {dict(answers)}")
    drill.check("each was refused", answers == {403: _REQUESTS})
    drill.check("a message goes out meanwhile", sent["status"] == "sent")
    drill.passes(_STRETCH_S, ("AWS/ApiGateway", "4xx", answers[403], {"ApiId": "Api"}))
    drill.passes(_STRETCH_S)
    drill.check("one alarm pages", drill.rung() == ["FloodAlarm"])
    drill.runbook("FloodAlarm")
    drill.passes(_STRETCH_S)
    drill.check("nothing pages any more", drill.rung() == [])
    drill.check("only what people wrote is stored", drill.received() == drill.written() == _STRANGERS + 1)

    events: list[str] = []

    def all_told() -> bool:
        drill.sweep()
        events.extend(e["detail"]["message_id"] for e in drill.events() if e["detail-type"] == "message.received")
        return len(events) >= _STRANGERS + 1

    drill.wait("and published", all_told, seconds=120)
    drill.check("once each", len(events) == len(set(events)) == _STRANGERS + 1)
    drill.check("Twilio got the one message once", len(drill.sent()) == 1)
    drill.check("no alert by mail", drill.alerts() == [])


def _strike(client: httpx.Client, url: str, number: int) -> int:
    """A stranger knows the URL, and neither our account nor a signature."""
    return client.post(url, data={"From": f"whatsapp:+1202555{number:04}", "Body": "win"}).status_code
