"""Twilio's token has leaked: a stranger forges what patients write, until the token is replaced at once.

In the order of docs/operations.md: hold, promote a new token, put it alone into the secret, wait, release.
What is genuine comes in again, and what is forged is refused and pages. A minute of product time passes at each look.
"""

import json
import secrets
import time
import urllib.parse
from collections import Counter
from datetime import UTC, datetime

import httpx
from twilio.request_validator import RequestValidator

from commands import breach
from local.drills.drill import Drill, follow_up
from local.stack import FROM_ADDRESS

TITLE = "Drill: a leaked token"
PARAMETERS: dict[str, str] = {}
_VICTIM, _PATIENTS = "+919812350000", [f"+91981235010{number}" for number in range(4)]
_REFRESHED_S = 31


def play(drill: Drill) -> None:
    """Forge, replace the token, forge again, and count."""
    drill.hear_alerts()
    leaked, new = drill.stack.auth_token, secrets.token_hex(16)
    since = datetime.now(UTC).replace(microsecond=0)
    drill.check("with the leaked token a stranger's message is taken", _forge(drill, leaked, 1) == 200)
    first = drill.send(_request(_PATIENTS[0]))
    drill.check("a message goes out", first["status"] == "sent")
    drill.passes(60)
    drill.check("nothing pages: the product cannot know", drill.rung() == [])
    drill.runbook("The token has leaked")

    drill.say("on call", f"PUT /hold: {drill.api.request('PUT', '/hold').text}")
    drill.twilio.post("configure", json={"auth_token": new, "secondary_token": None})
    drill.say("on call", "a new token is promoted; the leaked one no longer works at Twilio")
    secret = json.dumps({"account_sid": drill.stack.account_sid, "auth_token": new})
    drill.stack.aws("secretsmanager").put_secret_value(
        SecretId=drill.stack.outputs["TwilioSecretArn"], SecretString=secret
    )
    drill.say("on call", "the secret has the new one alone")
    waits = drill.send(_request(_PATIENTS[1]))
    drill.check("a message waits for the release", waits["status"] == "deferred")
    time.sleep(_REFRESHED_S)
    drill.patient_writes(_PATIENTS[2], "hello")
    before = drill.received()
    drill.check("what is forged now is refused", _forge(drill, leaked, 2) == 403)
    drill.check("and nothing of it is stored", drill.received() == before)
    drill.say("on call", f"DELETE /hold: {drill.api.request('DELETE', '/hold').text}")
    for _ in range(6):
        drill.passes(60)
    drill.check("who still forges pages", drill.rung() == ["BadSignaturesAlarm"])

    until = datetime.now(UTC).replace(microsecond=0)
    listed = drill.command(
        breach.main, "commands.breach", "--from", since.isoformat(), "--to", f"{until:%Y-%m-%dT%H:%M:%S}+00:00"
    )
    drill.check("the list of who was touched names no number", _VICTIM not in listed)

    def all_sent() -> bool:
        drill.sweep()
        return len(drill.sent()) == len((first, waits))

    drill.wait("what waited goes out", all_sent, seconds=150)
    drill.check("each once", set(Counter(message["to"] for message in drill.sent()).values()) == {1})
    drill.check("each message of a patient is stored, and the one forged", drill.received() == drill.written() + 1)
    for _ in range(6):
        drill.passes(60)
    drill.check("nothing else pages", drill.rung() == [])
    drill.check("no alert by mail", drill.alerts() == [])


def _request(to: str) -> dict[str, object]:
    return {**follow_up(to), "idempotency_key": f"leaked-{to}"}


def _forge(drill: Drill, token: str, number: int) -> int:
    """A stranger writes as the victim; the answer's status."""
    url = f"{drill.stack.api_url}/twilio/inbound"
    form = {
        "MessageSid": f"SM{number:032x}",
        "AccountSid": drill.stack.account_sid,
        "From": f"whatsapp:{_VICTIM}",
        "To": f"whatsapp:{FROM_ADDRESS}",
        "Body": "hello",
    }
    headers = {
        "X-Twilio-Signature": RequestValidator(token).compute_signature(url, form),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    answer = httpx.post(url, content=urllib.parse.urlencode(form), headers=headers, trust_env=False, timeout=20)
    return answer.status_code
