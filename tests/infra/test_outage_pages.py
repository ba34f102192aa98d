"""An hour without Twilio while reminders are due: what reaches the person on call, alerts and alarms together.

The product's own code in virtual time; the alarms are judged over the lines that it logs meanwhile.
"""

from collections import Counter
from datetime import UTC, datetime

import pytest
from whatsapp.adapters.aws.metrics_source import NAMESPACE
from whatsapp.domain.ports import Accepted, InDoubt, Outcome
from whatsapp.domain.sending.lifecycle import Status

from local.alarms import STACK_NAME, Recorded, rings, template_alarms
from tests.app import UnitApp
from tests.fakes import NOON, FrozenClock
from tests.performance.dashboard import FunctionMetrics
from tests.performance.morning import LargeTables
from tests.performance.outside import TABLES
from tests.simulation.dynamodb import Client

REMINDERS, EXPIRING = 60, 5
MINUTE = 60_000
BEGINS, ENDS = NOON + 20 * MINUTE, NOON + 80 * MINUTE
VARIABLES = {"patient_name": "Asha", "therapist_name": "Dr. Rao", "session_time": "2026-11-24T18:30:00+05:30"}


@pytest.mark.filterwarnings("ignore")  # Powertools minds timestamps of another day
def test_an_hours_outage_is_one_alarm_one_alert_of_what_expired_and_one_of_what_is_in_doubt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", NAMESPACE)
    clock = FrozenClock()
    app = UnitApp(TABLES, Client(LargeTables().ask), clock=clock, metrics=FunctionMetrics(STACK_NAME, "send", clock))
    app.approve()
    for number in range(REMINDERS):
        expires = {"expires_at": _iso(BEGINS + 30 * MINUTE)} if number < EXPIRING else {}
        request = {"to": f"+9198123{number:05}", "template": "session_reminder", "variables": VARIABLES, **expires}
        assert app.send(str(number), **request, send_at=_iso(BEGINS)).status == "deferred"

    def outcome() -> Outcome:
        return InDoubt("no answer") if clock.at < ENDS else Accepted(f"SM{len(app.gateway.posts):032x}")

    app.gateway.on_post = lambda: app.gateway.outcomes.append(outcome)
    for at in range(NOON, ENDS + 20 * MINUTE, MINUTE):
        clock.at = at
        app.gateway.down = BEGINS <= at < ENDS
        app.sweep_due(app.deadline)
        app.raise_alerts.sweep(app.deadline)
        nudged = [message_id for message_id, _ in app.queue.nudges]
        app.queue.nudges.clear()
        for message_id in nudged:
            app.send_message.advance(message_id, app.deadline)
            clock.at += 300

    found = Counter(app.record(str(number)).status for number in range(REMINDERS))
    assert found.keys() <= {Status.SENT, Status.EXPIRED, Status.UNRESOLVED}
    assert (found[Status.EXPIRED] <= EXPIRING, found[Status.UNRESOLVED] <= 3) == (True, True)
    recorded = Recorded().log(capsys.readouterr().out.splitlines())
    alarms = {name: alarm for name, alarm in template_alarms().items() if name != "ReconcileBehindAlarm"}  # not played
    mails = rings(alarms, recorded, NOON / 1000, clock.at / 1000)
    later = [(ring.alarm, ring.state) for ring in mails if ring.at * 1000 > BEGINS]
    assert later == [("TwilioDownAlarm", "ALARM"), ("TwilioDownAlarm", "OK")]
    states = [message.status.public_status for message in app.alerts.told] + [one.state for one in app.alerts.incidents]
    assert sorted(states) == ["expired", "unknown"]


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat()
