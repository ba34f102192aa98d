"""The webhook URL in Twilio's console is wrong for a day: every message of a patient gets 404.

The day is 24 stretches of 2 s, each standing for an hour: what the functions count is judged at its hour. In each a
patient writes, and the reconcile fetches from Twilio's list what was written two minutes before. Whoever is on call is
paged, but mends the URL only when the day is over.
"""

import time

from whatsapp.adapters.twilio.webhook import CALLBACK_OVERRIDES

from local.drills.drill import Drill

TITLE = "Drill: a wrong webhook URL for a day"
PARAMETERS: dict[str, str] = {}
_HOURS, _HOUR_S, _LISTED_AFTER_S = 24, 2, 125


def play(drill: Drill) -> None:
    """Break the URL, write once an hour, mend it, and count."""
    drill.hear_bus()
    drill.hear_alerts()
    right = f"{drill.stack.api_url}/twilio/inbound{CALLBACK_OVERRIDES}"
    drill.stack.tell_twilio(inbound_url=right.replace("/inbound", "/inbuond"))
    drill.say("Twilio", "somebody mistypes the webhook URL in the console")
    began, written, fetched = time.monotonic(), [0] * _HOURS, 0
    for second in range(0, _LISTED_AFTER_S + _HOURS * _HOUR_S, _HOUR_S):
        time.sleep(max(0.0, began + second - time.monotonic()))
        hour = second // _HOUR_S
        if hour < _HOURS:
            answer = drill.twilio.post("inbound", json={"from": f"+9198123460{hour:02}", "body": "hello"}).json()
            written[hour] = answer["http_status"]
        if second >= _LISTED_AFTER_S:
            fetched += drill.stack.invoke("WebhookFunctionName", {"task": "reconcile"})["backfilled"]
            drill.passes(3600, _refused(1))
    drill.check("each webhook of the day got 404", set(written) == {404})
    drill.say("operator", f"{fetched} messages fetched by this reconcile, {drill.received()} stored")
    drill.check("it paged, and once only", drill.rung() == ["WebhooksLostAlarm"])
    drill.runbook("WebhooksLostAlarm")
    drill.stack.tell_twilio(inbound_url=right)
    drill.say("on call", "the URL in the console is ApiUrl and /twilio/inbound again")
    for hour in range(3):
        drill.patient_writes(f"+9198123461{hour:02}", "hello")
        drill.passes(3600)
    for _ in range(6):
        drill.passes(3600)
    drill.check("nothing pages any more", drill.rung() == [])
    drill.check(f"each of {_HOURS + 3} messages is stored", drill.received() == drill.written() == _HOURS + 3)
    published = [e["detail"]["message_id"] for e in drill.events() if e["detail-type"] == "message.received"]
    drill.check("and published once", len(published) == len(set(published)) == _HOURS + 3)
    drill.check("no alert by mail", drill.alerts() == [])


def _refused(number: int) -> tuple[str, str, float, dict[str, str]]:
    """The gateway counts these."""
    return "AWS/ApiGateway", "4xx", number, {"ApiId": "Api"}
