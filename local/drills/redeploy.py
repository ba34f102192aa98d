"""The stack is deleted and deployed anew. What it retains is named by parameters, so it knows everyone again."""

from typing import Any

from local.drills.drill import Drill, as_json, follow_up

TITLE = "Drill: a stack deleted and deployed anew"
PARAMETERS: dict[str, str] = {}
_STOPPED, _REACHED = "+919812345401", "+919812345402"
_RETAINED = (
    "MessagesTableName",
    "ContactsTableName",
    "TemplatesTableName",
    "MediaBucketName",
    "ContactKeySecretArn",
)
"""Outputs of the old stack that are parameters of the new one."""


def play(drill: Drill) -> None:
    """Send, hear a STOP, delete, deploy with what was retained, and look whether all is known."""
    sent = drill.send(_request(_REACHED))
    drill.check("a message goes out", sent["status"] == "sent")
    drill.patient_writes(_STOPPED, "STOP")
    drill.check("a STOP binds", drill.send(_request(_STOPPED))["error"]["code"] == "opted_out")
    contact_id = _contact_id(drill, _STOPPED)
    retained = {name: drill.stack.outputs[name] for name in _RETAINED}
    for name, value in retained.items():
        drill.say("outputs", f"{name}={value}")

    drill.stack.delete()
    drill.say("AWS", "the stack is deleted")
    tables = drill.stack.aws("dynamodb").list_tables()["TableNames"]
    drill.check("its tables are still there", {v for k, v in retained.items() if k.endswith("TableName")} <= {*tables})
    drill.stack.deploy(retained)
    drill.say("on call", "deployed anew, with these five as parameters and Twilio's credentials in the new secret")
    drill.check("it made no tables of its own", drill.stack.aws("dynamodb").list_tables()["TableNames"] == tables)

    drill.reconnect()
    drill.check("the contact has the same id", _contact_id(drill, _STOPPED) == contact_id)
    refused = drill.send(_request(_STOPPED))
    drill.say("orchestrator", f"a message to who wrote STOP: {as_json(refused['error'])}")
    drill.check("the STOP binds still", refused["error"]["code"] == "opted_out")
    again = drill.send(_request(_REACHED))
    same = (again["duplicate"], again["message_id"]) == (True, sent["message_id"])
    drill.check("a request that is asked for again finds its record", same)
    other = drill.send({**_request(_REACHED), "idempotency_key": "redeploy-other"})
    drill.check("the hour counts on", other["error"]["code"] == "rate_limited")
    drill.patient_writes(_REACHED, "Thank you")
    drill.check("Twilio got one message in all", len(drill.sent()) == 1)


def _request(to: str) -> dict[str, Any]:
    return {**follow_up(to), "idempotency_key": f"redeploy-{to}"}


def _contact_id(drill: Drill, address: str) -> str:
    return str(drill.api.post("/contacts/lookup", {"address": address}).json()["contact_id"])
