"""Both tables are restored to an earlier moment, while reminders wait that have gone out since, and a STOP has come.

The stack is pointed at the restored tables, which send nothing by themselves; `commands.restore` settles them by
Twilio's lists, and releases sending. The embedded AWS restores no point in time truly, so a backup that was taken at
the moment stands for it. Twilio's list may be 25 minutes late: the wait for it is shortened to two minutes.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from whatsapp.domain import periods

from commands import restore
from local.drills.drill import Drill, follow_up

TITLE = "Drill: a restore"
PARAMETERS: dict[str, str] = {}
_LIST_LAG_S = 130
_GOES_SOON, _GOES_LATER, _STOPS, _NEW = "+919812345301", "+919812345302", "+919812345303", "+919812345304"
_OUTPUTS = {"MessagesTableName": "whatsapp-messages-restored", "ContactsTableName": "whatsapp-contacts-restored"}
_AT_TWILIO = ("sent", "delivered", "read")


def play(drill: Drill) -> None:
    """Send, back up, send on, restore, point the stack at the restored tables, recover, release."""
    now = datetime.now(UTC)
    soon = _remind(drill, _GOES_SOON, now + timedelta(seconds=40))
    later = _remind(drill, _GOES_LATER, now + timedelta(seconds=90))
    stopped = _remind(drill, _STOPS, now + timedelta(seconds=90))
    drill.sweep()
    drill.say("orchestrator", "three reminders wait")
    since, backups = datetime.now(UTC), {}
    dynamodb = drill.stack.aws("dynamodb")
    for output in _OUTPUTS:
        table = drill.stack.outputs[output]
        backups[output] = dynamodb.create_backup(TableName=table, BackupName=output)["BackupDetails"]["BackupArn"]
    drill.say("AWS", "this is the moment that will be restored")
    time.sleep(3)

    def goes(message: dict[str, Any]) -> bool:
        drill.sweep()
        return drill.message(message["message_id"])["status"] in _AT_TWILIO

    new = drill.send(follow_up(_NEW))
    drill.wait("after it, the first reminder goes out, and a new message", lambda: goes(soon) and goes(new))
    drill.patient_writes(_STOPS, "STOP")
    refused = drill.send(follow_up(_STOPS))
    drill.check("nothing is sent to them", refused["error"]["code"] == "opted_out")

    held = drill.api.request("PUT", "/hold")
    drill.say("on call", f"PUT /hold: {held.text}")
    for output, restored in _OUTPUTS.items():
        dynamodb.restore_table_from_backup(TargetTableName=restored, BackupArn=backups[output])
        drill.wait(f"{restored} is there", lambda name=restored: _is_active(dynamodb, name))  # type: ignore[misc]  # mypy cannot infer a lambda with defaults
    drill.stack.change(_OUTPUTS)
    drill.say("on call", f"the stack is deployed with {' '.join(f'{k}={v}' for k, v in _OUTPUTS.items())}")
    drill.say("operator", f"the restored record of the first reminder is {_status(drill, soon)}; the new one's is lost")
    released = drill.api.request("DELETE", "/hold")
    drill.say("on call", f"DELETE /hold: {released.text}")
    drill.check("restored tables stay held all the same", released.json() == {"held": True})
    time.sleep(max(0.0, (now + timedelta(seconds=95) - datetime.now(UTC)).total_seconds()))
    drill.sweep()
    drill.check("all three are due by now, and nothing goes", len(drill.sent()) == 2)

    moment = since.isoformat(timespec="seconds")
    with patch.object(periods, "RECONCILE_DOUBT", _LIST_LAG_S * periods.SECOND):
        drill.command(restore.main, "commands.restore", "--since", moment)
        drill.command(restore.main, "commands.restore", "--since", moment, "--yes")
        drill.check("the first reminder is known to have gone out", _status(drill, soon) in _AT_TWILIO)
        time.sleep(_LIST_LAG_S + 1)
        drill.command(restore.main, "commands.restore", "--since", moment, "--yes")

    drill.wait("the second reminder goes out", lambda: goes(later), seconds=400)
    drill.check("the third does not: the STOP binds again", _status(drill, stopped) == "failed")
    drill.check("no reminder went out twice", sorted(m["to"][-2:] for m in drill.sent()) == ["01", "02", "04"])
    again = drill.send({**follow_up(_NEW), "idempotency_key": "restore-again"})
    drill.check("the hour counts from the message without a record", again["error"]["code"] == "rate_limited")


def _remind(drill: Drill, to: str, at: datetime) -> dict[str, Any]:
    answer = drill.send({**follow_up(to), "send_at": at.isoformat(timespec="seconds")})
    drill.check(f"a reminder for {at:%H:%M:%S} UTC is stored", answer["status"] == "deferred")
    return answer


def _status(drill: Drill, message: dict[str, Any]) -> str:
    return str(drill.message(message["message_id"])["status"])


def _is_active(dynamodb: Any, table: str) -> bool:
    return bool(dynamodb.describe_table(TableName=table)["Table"]["TableStatus"] == "ACTIVE")
