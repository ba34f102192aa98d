"""Twilio is out of reach for an hour while 500 reminders are due: nobody listens, then it answers 503, then it hangs.

Each lasts a third of the time. Three POSTs go unanswered; after these nothing is posted, and one worker a minute asks
whether Twilio answers again. A twentieth of the reminders expires meanwhile. Two a second, and not 80, is what one
machine carries that plays all of AWS. `--minutes` and `--reminders` make it shorter.
"""

import time
from argparse import ArgumentParser
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from local.drills.drill import Drill

TITLE = "Drill: an outage of Twilio's"
PARAMETERS = {"SendsPerSecond": "2", "SendConcurrency": "2"}
_DELIVERED = {"delivered", "read"}
_ENDED_WITHIN_S = 600


def add_arguments(parser: ArgumentParser) -> None:
    """How long the outage lasts, and how many reminders are due."""
    parser.add_argument("--minutes", type=float, default=60, help="how long the outage lasts")
    parser.add_argument("--reminders", type=int, default=500, help="how many reminders are due when it begins")


def play(drill: Drill) -> None:
    """Store the reminders, close Twilio's port when they are due, let it answer 503 and hang, and count."""
    reminders: int = drill.arguments.reminders
    expiring, phase_s = reminders // 20, drill.arguments.minutes * 60 / 3
    stored_within_s = 40 + 0.55 * reminders
    drill.hear_alerts()
    drill.stack.tell_twilio(read_receipts=False)
    due = datetime.now(UTC) + timedelta(seconds=stored_within_s)
    ends = [due + (n + 1) / expiring * timedelta(seconds=2 * phase_s) for n in range(expiring)]
    drill.enqueue(_reminder(n, due, ends[n] if n < expiring else None) for n in range(reminders))
    drill.say("orchestrator", f"{reminders} reminders on the send queue, due in {stored_within_s:.0f} s")
    drill.wait("all are stored and wait", lambda: drill.statuses() == {"deferred": reminders}, seconds=stored_within_s)
    time.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds() - 5))

    began = time.monotonic()
    _strike(drill, "http_503")
    drill.twilio.post("faults", json={"kind": "refuse", "seconds": phase_s})
    drill.say("Twilio", f"its port is closed for {phase_s:.0f} s")
    time.sleep(phase_s + 1)
    drill.say("Twilio", f"its port is open, and it answers 503 for {phase_s:.0f} s")
    time.sleep(phase_s)
    drill.twilio.delete("faults")
    _strike(drill, "hang")
    drill.say("Twilio", f"it takes every question and answers none for {phase_s:.0f} s")
    time.sleep(phase_s)
    during = drill.statuses()
    drill.say("operator", f"records: {_told(during)}")
    drill.check("Twilio took nothing", drill.sent() == [])
    drill.check("nothing is in doubt, nothing failed", not {"unknown", "sending", "failed"} & during.keys())
    drill.twilio.delete("faults")
    ended = time.monotonic()
    drill.say("Twilio", f"it answers again, after {ended - began:.0f} s")

    def all_settled() -> bool:
        time.sleep(5)
        return sum(drill.statuses()[status] for status in {*_DELIVERED, "expired"}) == reminders

    drill.wait("every reminder is delivered or had expired", all_settled, seconds=_ENDED_WITHIN_S)
    drill.say("operator", f"{time.monotonic() - ended:.0f} s after its end: {_told(drill.statuses())}")
    times = Counter(message["to"] for message in drill.sent())
    drill.check("none went out twice", max(times.values()) == 1)
    expired = drill.statuses()["expired"]
    drill.check("only those expired whose time passed during the outage", expired <= expiring)
    drill.check(f"the {reminders - expired} others were delivered once each", len(times) == reminders - expired)
    alerts = drill.alerts()
    drill.say("operator", f"alerts by mail: {len(alerts)} {sorted(set(alerts))}; on AWS TwilioDownAlarm is one more")
    drill.check("three alerts at most, with the alarm", len(alerts) + 1 <= 3)


def _strike(drill: Drill, kind: str) -> None:
    """From now on every question about messages meets this fault."""
    fault = {"kind": kind, "times": None, "match": {"path": "/Messages"}}
    drill.twilio.post("faults", json=fault).raise_for_status()


def _reminder(number: int, due: datetime, expires_at: datetime | None) -> dict[str, Any]:
    to = f"+91981235{number:04d}"
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
    return request | ({"expires_at": expires_at.isoformat(timespec="seconds")} if expires_at else {})


def _told(statuses: Counter[str]) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
