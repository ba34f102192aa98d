"""A deployment breaks the send function: its code cannot be imported. It is rolled back by the runbook's own commands.

The broken version is deployed for real, by CloudFormation, which moves the alias to it. Product time passes by five
minutes at each look; Lambda's errors are those of the invocations that failed here. What the queue could not hand over
comes again after 30 s instead of 180.
"""

import io
import json
import re
import zipfile
from collections import Counter
from typing import Any

from local.aws import name_alone
from local.drills.drill import Drill, DrillFailedError, follow_up
from local.stack import StackError

TITLE = "Drill: a bad deployment is rolled back"
PARAMETERS: dict[str, str] = {}
_QUEUED, _BUCKET, _TEMPLATE = 5, "artifacts", "template.json"
_LOOK_S = 300
_AGAIN_AFTER_S = 30
"""The queue shows a message again after this long: 180 s on AWS."""


def play(drill: Drill) -> None:
    """Send, deploy the broken version, ask, roll back, and count."""
    drill.hear_alerts()
    drill.stack.aws("sqs").set_queue_attributes(
        QueueUrl=drill.stack.outputs["SendQueueUrl"], Attributes={"VisibilityTimeout": str(_AGAIN_AFTER_S)}
    )
    patients = [f"+9198123490{number:02}" for number in range(_QUEUED + 2)]
    first = drill.send(_request(patients[0]))
    drill.check("a message goes out", first["status"] == "sent")
    before = _version(drill)
    _deploy_broken(drill)
    drill.check(f"the alias went from version {before} to {_version(drill)}", _version(drill) != before)

    errors = sum(_fails(drill, event) for event in ({"task": "sweep"}, _request(patients[1])))
    drill.check("the sweep and a send fail", errors == 2)
    drill.enqueue(_request(to) for to in patients[2:])
    drill.patient_writes(patients[0], "Are you there?")
    drill.passes(_LOOK_S, ("AWS/Lambda", "Errors", errors, {"FunctionName": "SendFunction"}))
    drill.passes(_LOOK_S)
    drill.check("one alarm pages", drill.rung() == ["SendErrorsAlarm"])
    drill.runbook("SendErrorsAlarm")
    text = drill.runbook("Go back to the version before")
    if not (commands := re.search(r"```sh\n(.*?)```", text, re.DOTALL)):
        raise DrillFailedError("the runbook has no commands")
    drill.shell(commands[1])
    drill.check(f"the alias is at version {before} again", _version(drill) == before)

    again = drill.send(_request(patients[1]))
    drill.check("who got an error and asks again is served", again["status"] == "sent")
    drill.wait("all that waited on the queue goes out", lambda: len(drill.sent()) == len(patients), seconds=120)
    drill.check("each once", set(Counter(message["to"] for message in drill.sent()).values()) == {1})
    drill.check("what a patient wrote meanwhile is stored", drill.received() == drill.written() == 1)
    drill.passes(_LOOK_S)
    drill.passes(_LOOK_S)
    drill.check("nothing pages any more", drill.rung() == [])
    drill.check("no alert by mail", drill.alerts() == [])


def _request(to: str) -> dict[str, Any]:
    return {**follow_up(to), "idempotency_key": f"rollback-{to}"}


def _version(drill: Drill) -> str:
    send = name_alone(drill.stack.outputs["SendFunctionName"])
    return str(drill.stack.aws("lambda").get_alias(FunctionName=send, Name="live")["FunctionVersion"])


def _fails(drill: Drill, event: dict[str, Any]) -> bool:
    try:
        drill.stack.invoke("SendFunctionName", event)
    except StackError:
        return True
    return False


def _deploy_broken(drill: Drill) -> None:
    """The same template with new code for all three functions; the send function's handler cannot be imported."""
    s3 = drill.stack.aws("s3")
    template = json.loads(s3.get_object(Bucket=_BUCKET, Key=_TEMPLATE)["Body"].read())
    for function in ("SendFunction", "WebhookFunction", "TemplateSyncFunction"):
        code = template["Resources"][function]["Properties"]["CodeUri"]
        sound = s3.get_object(Bucket=_BUCKET, Key=code["Key"])["Body"].read()
        changed = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(sound)) as source, zipfile.ZipFile(changed, "w") as sink:
            for name in source.namelist():
                is_broken = name == "functions/send/handler.py"
                if not name.endswith(".pyc"):
                    sink.writestr(name, b"import nowhere\n" if is_broken else source.read(name))
        code["Key"] = f"{function}-broken.zip"
        s3.put_object(Bucket=_BUCKET, Key=code["Key"], Body=changed.getvalue())
    s3.put_object(Bucket=_BUCKET, Key=_TEMPLATE, Body=json.dumps(template).encode())
    drill.stack.change({})
    drill.say("somebody", "deploys a version whose send function cannot be imported")
