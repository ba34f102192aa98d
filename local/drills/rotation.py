"""Twilio's token is rotated while messages are sent and patients write: none is lost.

In the order of docs/operations.md: the secondary token into the secret, 15 minutes of waiting, then it is promoted.
"""

import json
import secrets
import threading
import time
from collections import Counter
from itertools import count
from typing import Any

import httpx
from botocore.exceptions import BotoCoreError

from local.drills.drill import Drill, follow_up
from local.stack import StackError

TITLE = "Drill: a rotation of Twilio's token"
PARAMETERS: dict[str, str] = {}
_CACHED_S = 900
_BEFORE_S, _AFTER_S = 20, 60
_PAUSE_S = 1.0
_TRIES = 4


def play(drill: Drill) -> None:
    """Rotate under load, and count what failed."""
    old, new = drill.stack.auth_token, secrets.token_hex(16)
    with Load(drill) as load:
        time.sleep(_BEFORE_S)
        drill.say("load", f"runs: {load}")
        drill.twilio.post("configure", json={"secondary_token": new})
        _store(drill, auth_token=new, previous_auth_token=old)
        drill.say(
            "on call", "the secondary token is made; the secret has it as auth_token, the old as previous_auth_token"
        )
        time.sleep(_CACHED_S)
        drill.say("load", f"15 minutes later: {load}")
        drill.twilio.post("configure", json={"auth_token": new, "secondary_token": None})
        drill.say("on call", "the secondary token is promoted; the old one no longer works")
        time.sleep(_AFTER_S)
        _store(drill, auth_token=new)
        drill.say("on call", "previous_auth_token is removed")
        time.sleep(_AFTER_S)
    drill.say("load", f"ended: {load}")
    drill.check("0 failed, no login and no signature was refused", load.failed == 0 and not load.refused)
    took = load.sent.total()
    drill.wait("each message is delivered, or read", lambda: _all_arrived(drill, took), seconds=120)
    drill.check("Twilio has each once", len(drill.sent()) == len({m["to"] for m in drill.sent()}) == took)
    drill.wait("each message of a patient is stored", lambda: drill.received() == drill.written(), seconds=600)


def _all_arrived(drill: Drill, took: int) -> bool:
    statuses = drill.statuses()
    return statuses["delivered"] + statuses["read"] == statuses.total() == took


class Load:
    """Messages to new patients, and messages of patients, until it is left."""

    def __init__(self, drill: Drill) -> None:
        self.sent: Counter[str] = Counter()
        self.heard: Counter[str] = Counter()
        self.asked_again = self.failed = 0
        self._drill = drill
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(work,)) for work in (self._send, self._write)]

    @property
    def refused(self) -> bool:
        """Whether something was not just slow, as a busy machine makes a send or a webhook."""
        return not (
            self.sent.keys() <= {"sent", "retrying", "delivered", "read"} and self.heard.keys() <= {"200", "None"}
        )

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def __str__(self) -> str:
        return (
            f"sends {dict(self.sent)}, patients' messages {dict(self.heard)}, "
            f"asked again {self.asked_again}, failed {self.failed}"
        )

    def _run(self, work: Any) -> None:
        numbers = count()
        while not self._ended.wait(_PAUSE_S):
            number = next(numbers)
            for _ in range(_TRIES):
                try:
                    work(number)
                except (StackError, httpx.HTTPError, BotoCoreError):
                    self.asked_again += 1  # a caller that gets no answer asks again, with the same key
                else:
                    break
            else:
                self.failed += 1

    def _send(self, number: int) -> None:
        request = follow_up(f"+91981236{number:04d}")
        self.sent[self._drill.send({**request, "idempotency_key": f"rotation-{number}"})["status"]] += 1

    def _write(self, number: int) -> None:
        answer = self._drill.twilio.post("inbound", json={"from": f"+91981237{number:04d}", "body": "hello"})
        self.heard[str(answer.json()["http_status"])] += 1


def _store(drill: Drill, **tokens: str) -> None:
    secret = json.dumps({"account_sid": drill.stack.account_sid, **tokens})
    drill.stack.aws("secretsmanager").put_secret_value(
        SecretId=drill.stack.outputs["TwilioSecretArn"], SecretString=secret
    )
