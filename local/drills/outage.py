"""Twilio is out of reach: first nobody listens, then it answers 503. Ten reminders are due meanwhile.

Three POSTs go unanswered; after these nothing is posted, and all that is asked for waits. When Twilio answers again, a
worker notices within a minute or two, and what waits goes out once.
"""

import time

from local.drills.drill import Drill

TITLE = "Drill: an outage of Twilio's"
PARAMETERS = {"RateLimitSeconds": "5"}
_TEMPLATE = {"template": "follow_up", "variables": {"patient_name": "Asha"}}
_PATIENTS = [f"+9198123451{n:02d}" for n in range(10)]
_OUTAGE_S = 20


def play(drill: Drill) -> None:
    """Close Twilio's port, send, wait for the end, and count."""
    drill.twilio.post("faults", json={"kind": "refuse", "seconds": _OUTAGE_S})
    began = time.monotonic()
    drill.say("Twilio", f"its port is closed for {_OUTAGE_S} s")
    answers = [drill.send({"to": to, **_TEMPLATE, "idempotency_key": f"outage-{to}"}) for to in _PATIENTS]
    told = [a["status"] for a in answers]
    drill.say("orchestrator", f"ten requests: {told.count('retrying')} retrying, {told.count('deferred')} deferred")
    drill.check("three were tried, the others wait without a POST", told == ["retrying"] * 3 + ["deferred"] * 7)
    drill.check("nothing failed", all(a["error"]["code"] == "twilio_unavailable" for a in answers))
    time.sleep(max(0.0, _OUTAGE_S + 1 - (time.monotonic() - began)))
    drill.say("Twilio", "its port is open again")

    def all_sent() -> bool:
        drill.sweep()
        return all(drill.message(a["message_id"])["status"] in ("sent", "delivered", "read") for a in answers)

    drill.wait("all ten went out within ten minutes of its end", all_sent, seconds=600)
    drill.check("each once", sorted(m["to"].removeprefix("whatsapp:") for m in drill.sent()) == _PATIENTS)
