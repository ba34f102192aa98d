"""`python -m commands.templates plan` and `sync`: what people read."""

import json
from io import BytesIO
from typing import Any

import boto3
import pytest

from commands import templates
from commands.target import Target
from commands.templates import main

ANSWER = {
    "dry_run": True,
    "templates": [{"template": "mood", "language": "hi", "status": "approved", "next": "It goes out."}],
    "steps": [
        {"template": "mood", "language": "hi", "version": "hi#1", "do": "keep", "why": "approved"},
        {"template": "mood", "language": "en", "version": "en#2", "do": "create", "why": "new wording"},
    ],
    "problems": [],
}


TARGET = Target(
    name="clinic",
    region="ap-south-1",
    account="123456789012",
    stage="prod",
    is_local=False,
    status="UPDATE_COMPLETE",
    outputs={"TemplateSyncFunctionName": "clinic-template-sync"},
    parameters={},
)


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "target_of", lambda _: TARGET)


class Lambda:
    """Lambda, as far as it is invoked here."""

    def __init__(self, answer: dict[str, Any], **more: str) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._answer = answer
        self._more = more

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self.asked.append((FunctionName, json.loads(Payload)))
        return {"Payload": BytesIO(json.dumps(self._answer).encode()), **self._more}


@pytest.mark.parametrize(
    ("arguments", "event"),
    [
        (["plan"], {"task": "sync", "dry_run": True, "recreate": False}),
        (["sync"], {"task": "sync", "dry_run": False, "recreate": False}),
        (["sync", "--recreate"], {"task": "sync", "dry_run": False, "recreate": True}),
    ],
)
def test_asks_the_function(arguments: list[str], event: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Lambda(ANSWER)
    monkeypatch.setattr(boto3, "client", lambda _: aws)
    assert main([*arguments, "--stage", "prod"]) == 0
    assert aws.asked == [("clinic-template-sync", event)]


def test_shows_what_is_to_do_and_no_more(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(boto3, "client", lambda _: Lambda(ANSWER))
    main(["plan"])
    assert capsys.readouterr().out.splitlines() == [
        "clinic in ap-south-1, account 123456789012",
        "To do:",
        "  create    mood (en) en#2: new wording",
        "The catalog's wordings:",
        "  approved    mood (hi): It goes out.",
        "1 wordings: 1 approved",
    ]


@pytest.mark.parametrize(
    ("aws", "says"),
    [
        (Lambda({**ANSWER, "problems": ["mood (en): Twilio answered 500"]}), "mood (en): Twilio answered 500"),
        (Lambda({"errorMessage": "no table"}, FunctionError="Unhandled"), "clinic-template-sync failed: no table"),
    ],
)
def test_a_problem_is_an_exit_status(
    aws: Lambda, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(boto3, "client", lambda _: aws)
    assert main(["sync"]) == 1
    printed = capsys.readouterr()
    assert says in printed.out + printed.err
