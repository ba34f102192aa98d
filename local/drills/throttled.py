"""The messages table takes two writes a second for five minutes, while messages are due and patients write.

A maximum throughput of the table stands for a table that has not grown yet. Each of the five stretches stands for a
minute: what DynamoDB refused in it, and the sweeps that failed by that, are judged at its time. What the queue could
not hand over comes again after 30 s instead of 180.
"""

import time
from collections import Counter

from local.drills.drill import Drill, follow_up
from local.stack import StackError

TITLE = "Drill: a table is throttled"
PARAMETERS = {"SendsPerSecond": "2", "SendConcurrency": "2"}
_MINUTES, _STRETCH_S, _MOST = 5, 6, 2
_AGAIN_AFTER_S = 30
"""The queue shows a message again after this long: 180 s on AWS."""


def play(drill: Drill) -> None:
    """Throttle the table, send and write for five minutes, let it grow, and count."""
    drill.hear_alerts()
    drill.hear_bus()
    drill.stack.aws("sqs").set_queue_attributes(
        QueueUrl=drill.stack.outputs["SendQueueUrl"], Attributes={"VisibilityTimeout": str(_AGAIN_AFTER_S)}
    )
    drill.stack.tell_twilio(read_receipts=False)
    _limit(drill, _MOST)
    drill.say("DynamoDB", f"the messages table takes {_MOST} writes a second")
    patients, refused = [], 0
    for minute in range(_MINUTES):
        patients += [f"+9198123500{minute}{number}" for number in range(2)]
        drill.enqueue({**follow_up(to), "idempotency_key": f"throttled-{to}"} for to in patients[-2:])
        drill.twilio.post("inbound", json={"from": f"+9198123501{minute:02}", "body": "hello"})
        failed = int(_sweep_fails(drill))
        time.sleep(_STRETCH_S)
        before, refused = refused, _refused(drill)
        events = refused - before
        drill.say("operator", f"{events} writes were refused in this minute; records: {dict(drill.statuses())}")
        drill.passes(
            60,
            ("AWS/DynamoDB", "WriteThrottleEvents", events, {"TableName": "MessagesTable"}),
            ("AWS/Lambda", "Errors", failed, {"FunctionName": "SendFunction"}),
        )
    rung = drill.rung()
    drill.check("the table's alarm pages, and at most that of the sweep beside it",
                rung[0] == "TableThrottlesAlarm" and set(rung[1:]) <= {"SendErrorsAlarm"})  # fmt: skip
    drill.runbook("TableThrottlesAlarm")
    _limit(drill, -1)
    drill.say("DynamoDB", "the table has grown")
    told: list[str] = []

    def all_settled() -> bool:
        time.sleep(5)  # the stack's own schedules sweep
        drill.stack.invoke("WebhookFunctionName", {"task": "reconcile"})
        told.extend(e["detail"]["event_id"] for e in drill.events() if e["detail-type"] == "message.received")
        delivered = drill.statuses()["delivered"] == len(patients)
        return delivered and drill.received() == drill.written() == len(set(told))

    drill.wait("all is delivered, and what patients wrote is stored and published", all_settled, seconds=200)
    times = Counter(message["to"] for message in drill.sent())
    drill.check("each message once", (len(times), set(times.values())) == (len(patients), {1}))
    drill.say(
        "operator", f"events of what patients wrote: {len(set(told))}, {len(told) - len(set(told))} of them came again"
    )
    for _ in range(_MINUTES + 1):
        drill.passes(60)
    drill.check("nothing pages any more", drill.rung() == [])
    drill.check("no alert by mail", drill.alerts() == [])
    drill.say("operator", f"records: {dict(drill.statuses())}, {drill.received()} messages of patients")


def _limit(drill: Drill, most: int) -> None:
    drill.stack.aws("dynamodb").update_table(
        TableName=drill.stack.outputs["MessagesTableName"], OnDemandThroughput={"MaxWriteRequestUnits": most}
    )


def _sweep_fails(drill: Drill) -> bool:
    try:
        drill.sweep()
    except StackError:
        return True
    return False


def _refused(drill: Drill) -> int:
    """How many writes the table has refused so far."""
    now = time.time()
    found = drill.stack.aws("cloudwatch").get_metric_statistics(
        Namespace="AWS/DynamoDB",
        MetricName="WriteThrottleEvents",
        Dimensions=[{"Name": "TableName", "Value": drill.stack.outputs["MessagesTableName"]}],
        StartTime=now - 3600,
        EndTime=now + 60,
        Period=3600,
        Statistics=["Sum"],
    )
    return int(sum(point["Sum"] for point in found["Datapoints"]))
