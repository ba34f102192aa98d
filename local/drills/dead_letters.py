"""An account that may not send to India yet: six messages are refused by 21408 and become dead letters, one of each.

A seventh letter is of another service's, and cannot be read. Whoever is on call lists them, mends the account, redrives
twice, and drops the seventh. A minute of product time passes at each look. Two sends a second, and not 80, is what one
machine carries that plays all of AWS.
"""

import time
from collections import Counter

from commands import dead_letters
from local.drills.drill import Drill, follow_up

TITLE = "Drill: dead letters"
PARAMETERS = {"RateLimitSeconds": "5", "SendsPerSecond": "2", "SendConcurrency": "2"}
_MESSAGES, _CODE = 6, 21408


def play(drill: Drill) -> None:
    """Have messages refused, list and redrive their letters, drop the one that cannot be read, and count."""
    drill.hear_alerts()
    drill.stack.tell_twilio(read_receipts=False)
    fault = {"kind": "error", "code": _CODE, "times": None}
    drill.twilio.post("faults", json=fault).raise_for_status()
    drill.say("Twilio", f"it refuses every message with {_CODE}: sending to this region is not enabled")
    patients = [f"+9198123480{number:02}" for number in range(_MESSAGES)]
    drill.enqueue({**follow_up(to), "idempotency_key": f"letters-{to}"} for to in patients)
    drill.enqueue([{"source": "another service"}])
    drill.wait("all have failed", lambda: drill.statuses() == {"failed": _MESSAGES}, seconds=120)
    drill.wait("each is a dead letter, and so is the one of another service", lambda: _letters(drill) == _MESSAGES + 1)
    drill.check("Twilio accepted none", drill.sent() == [])
    _minute(drill)
    _minute(drill)
    drill.check("one alarm pages", drill.rung() == ["DeadLettersAlarm"])
    alerts = drill.alerts()
    drill.say("operator", f"alerts by mail: {alerts}")
    drill.check("one alert for each of the two causes", len(alerts) == len(set(alerts)) == 2)
    drill.runbook("DeadLettersAlarm")

    listed = drill.command(dead_letters.main, "commands.dead_letters", "list")
    drill.check("it names no patient", not any(to in listed for to in patients))
    drill.twilio.delete("faults")
    drill.say("on call", "enables sending to India in Twilio's console")
    drill.command(dead_letters.main, "commands.dead_letters", "redrive")
    drill.check("the dry run changed nothing", (_letters(drill), drill.sent()) == (_MESSAGES + 1, []))
    for _ in range(2):
        drill.command(dead_letters.main, "commands.dead_letters", "redrive", "--yes")
    (left,) = (letter for letter in listed.split("\n\n") if "redrive leaves it" in letter)
    drill.say("another service", "its messages go to its own queue from now on")
    queue_id = left.splitlines()[0].split()[-1]
    drill.command(dead_letters.main, "commands.dead_letters", "drop", queue_id, "--yes")
    drill.check("no dead letter is left", _letters(drill) == 0)

    def all_arrived() -> bool:
        time.sleep(3)  # the stack's own schedule sweeps
        return drill.statuses()["delivered"] == _MESSAGES

    drill.wait("all are delivered", all_arrived, seconds=180)
    drill.check("each once", set(Counter(message["to"] for message in drill.sent()).values()) == {1})
    _minute(drill)
    _minute(drill)
    drill.check("nothing pages any more", drill.rung() == [])
    drill.say("operator", f"records: {dict(drill.statuses())}, dead letters: {_letters(drill)}")


def _letters(drill: Drill) -> int:
    attributes = drill.stack.aws("sqs").get_queue_attributes(
        QueueUrl=drill.stack.outputs["SendDeadLetterQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(attributes["Attributes"]["ApproximateNumberOfMessages"])


def _minute(drill: Drill) -> None:
    depth = "ApproximateNumberOfMessagesVisible"
    drill.passes(60, ("AWS/SQS", depth, _letters(drill), {"QueueName": "SendDeadLetterQueue"}))
