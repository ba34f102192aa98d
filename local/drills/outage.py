"""Twilio is out of reach while a hundred reminders are due: first nobody listens, then it answers 503, then it hangs.

The hour of such an outage is shortened to some six minutes; the product's own times are as they are. Three POSTs go
unanswered; after these nothing is posted, and one worker a minute asks whether Twilio answers again. Five of the
reminders expire meanwhile. A hundred, at two a second and not 80, is what one machine carries that plays all of AWS.
"""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from local.drills.drill import Drill

TITLE = "Drill: an outage of Twilio's"
PARAMETERS = {"SendsPerSecond": "2", "SendConcurrency": "2"}
_REMINDERS, _EXPIRING = 100, 5
_STORED_WITHIN_S = 100
_REFUSED_S, _HANGS_S = 130, 70
_ASKED_503 = 2
_DELIVERED = {"delivered", "read"}
_ENDED_WITHIN_S = 600


def play(drill: Drill) -> None:
    """Store the reminders, close Twilio's port when they are due, let it answer 503 and hang, and count."""
    drill.hear_alerts()
    drill.stack.tell_twilio(read_receipts=False)
    due = datetime.now(UTC) + timedelta(seconds=_STORED_WITHIN_S)
    patients = [f"+91981235{number:04d}" for number in range(_REMINDERS)]
    drill.enqueue(_reminder(to, due, expires=n < _EXPIRING) for n, to in enumerate(patients))
    drill.say("orchestrator", f"{_REMINDERS} reminders on the send queue, due in {_STORED_WITHIN_S} s")
    drill.wait(
        "all are stored and wait", lambda: drill.statuses() == {"deferred": _REMINDERS}, seconds=_STORED_WITHIN_S
    )
    time.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds() - 5))

    drill.twilio.post("faults", json={"kind": "http_503", "times": _ASKED_503, "match": {"path": "/Messages"}})
    drill.twilio.post("faults", json={"kind": "hang", "times": None, "match": {"path": "/Messages"}})
    drill.twilio.post("faults", json={"kind": "refuse", "seconds": _REFUSED_S})
    began = time.monotonic()
    drill.say("Twilio", f"its port is closed for {_REFUSED_S} s")
    time.sleep(_REFUSED_S + 2)
    drill.say("Twilio", f"its port is open, and the next {_ASKED_503} questions are answered by 503")
    drill.wait("and from then on nothing is answered at all", lambda: _kinds(drill) == ["hang"], seconds=360)
    time.sleep(_HANGS_S)
    during = drill.statuses()
    drill.say("operator", f"records: {_told(during)}")
    drill.check("Twilio took nothing", drill.sent() == [])
    drill.check("nothing is in doubt, nothing failed", not {"unknown", "sending", "failed"} & during.keys())
    drill.twilio.delete("faults")
    ended = time.monotonic()
    drill.say("Twilio", f"it answers again, after {ended - began:.0f} s")

    def all_settled() -> bool:
        time.sleep(5)
        return (
            sum(count for status, count in drill.statuses().items() if status in {*_DELIVERED, "expired"}) == _REMINDERS
        )

    drill.wait("every reminder is delivered or had expired", all_settled, seconds=_ENDED_WITHIN_S)
    drill.say("operator", f"{time.monotonic() - ended:.0f} s after its end: {_told(drill.statuses())}")
    times = Counter(message["to"] for message in drill.sent())
    drill.check("none went out twice", max(times.values()) == 1)
    expired = drill.statuses()["expired"]
    drill.check("only those expired whose time passed during the outage", expired <= _EXPIRING)
    drill.check(f"the {_REMINDERS - expired} others were delivered once each", len(times) == _REMINDERS - expired)
    alerts = drill.alerts()
    drill.say("operator", f"alerts by mail: {len(alerts)} {sorted(set(alerts))}; on AWS TwilioDownAlarm is one more")
    drill.check("three alerts at most, with the alarm", len(alerts) + 1 <= 3)


def _reminder(to: str, due: datetime, *, expires: bool) -> dict[str, Any]:
    variables = {
        "patient_name": "Asha",
        "therapist_name": "Dr. Rao",
        "session_time": (due + timedelta(hours=4)).isoformat(timespec="seconds"),
    }
    request: dict[str, Any] = {
        "to": to,
        "template": "session_reminder",
        "variables": variables,
        "idempotency_key": f"outage-{to}",
        "send_at": due.isoformat(timespec="seconds"),
    }
    return request | ({"expires_at": (due + timedelta(seconds=90)).isoformat(timespec="seconds")} if expires else {})


def _kinds(drill: Drill) -> list[str]:
    return [fault["kind"] for fault in drill.twilio.get("faults").json()["faults"]]


def _told(statuses: Counter[str]) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
