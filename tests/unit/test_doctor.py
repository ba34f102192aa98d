"""The doctor's looks at AWS, one by one: what AWS answers, and what the doctor makes of it."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from whatsapp.adapters.twilio.credentials import TwilioSecret

from commands import doctor, twilio_setup
from commands.doctor import Finding, Level, Site, examine
from commands.target import Target

DEV = Target(
    name="clinic-dev",
    region="ap-south-1",
    account="123456789012",
    stage="dev",
    is_local=False,
    status="UPDATE_COMPLETE",
    outputs={
        "SendFunctionName": "clinic-dev-send",
        "AlertTopicArn": "arn:aws:sns:ap-south-1:123456789012:alerts",
        "SendDeadLetterQueueUrl": "https://sqs.ap-south-1.amazonaws.com/123456789012/dead",
    },
    parameters={"SenderAddress": "+919812345678", "AlertEmail": "on-call@clinic.in"},
)


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, dict[str, Any]]]:
    """What AWS answers to each operation; what is not in it is denied."""
    answers: dict[str, dict[str, Any]] = {}

    def answer(_: BaseClient, operation: str, __: dict[str, Any]) -> dict[str, Any]:
        if operation not in answers:
            error = {"Code": "AccessDenied", "Message": f"you may not {operation}"}
            raise ClientError({"Error": error}, operation)  # type: ignore[typeddict-item]  # as botocore raises it
        return answers[operation]

    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(BaseClient, "_make_api_call", answer)
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "ap-south-1"}
    with patch.dict(os.environ, keys):
        yield answers


def site(**changed: Any) -> Site:
    found = Site(replace(DEV, **changed))
    found.app = SimpleNamespace(settings=SimpleNamespace(send_concurrency=5))  # type: ignore[assignment]  # all of it that is looked at
    return found


def limits(total: int, free: int) -> dict[str, Any]:
    return {"AccountLimit": {"ConcurrentExecutions": total, "UnreservedConcurrentExecutions": free}}


@pytest.mark.parametrize(
    ("free", "level"), [(24, Level.WARNING), (25, Level.OK), (10, Level.WARNING), (1000, Level.OK)]
)
def test_concurrency(free: int, level: Level, aws: dict[str, dict[str, Any]]) -> None:
    aws["GetAccountSettings"] = limits(1000, free)
    assert doctor.concurrency(site())[0] is level


@pytest.mark.parametrize(
    ("changed", "level"),
    [
        ({"status": "CREATE_COMPLETE"}, Level.OK),
        ({"status": "UPDATE_IN_PROGRESS"}, Level.WARNING),
        ({"status": "UPDATE_ROLLBACK_COMPLETE"}, Level.FAILED),
        ({"parameters": {"SenderAddress": "+12025550123"}}, Level.FAILED),
        ({"parameters": {"SenderAddress": "+12025550123"}, "is_local": True}, Level.OK),
        ({"parameters": {**DEV.parameters, "AlertEmail": "alerts@example.com"}}, Level.FAILED),
    ],
)
def test_stack(changed: dict[str, Any], level: Level) -> None:
    assert doctor.stack(site(**changed))[0] is level


@pytest.mark.parametrize(
    ("ago", "deployed_ago", "level"),
    [(30, 3600, Level.OK), (None, 3600, Level.FAILED), (None, 60, Level.WARNING)],
)
def test_sweep(ago: int | None, deployed_ago: int, level: Level, aws: dict[str, dict[str, Any]]) -> None:
    deployed = datetime.now(UTC) - timedelta(seconds=deployed_ago)
    aws["GetFunctionConfiguration"] = {
        "LoggingConfig": {"LogGroup": "/aws/lambda/clinic-dev-send"},
        "LastModified": deployed.strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
    }
    aws["FilterLogEvents"] = {"events": [{"timestamp": int((time.time() - ago) * 1000)}] if ago else []}
    verdict = doctor.sweep(site())
    assert verdict[0] is level, verdict


@pytest.mark.parametrize(
    ("subscriptions", "level", "says"),
    [
        ([("email", "on-call@clinic.in", "arn:aws:sns:…:1")], Level.OK, "1 by email"),
        ([("email", "on-call@clinic.in", "PendingConfirmation")], Level.FAILED, "not confirmed"),
        ([("email", "alerts@example.com", "arn:aws:sns:…:1")], Level.FAILED, "placeholder"),
        ([], Level.FAILED, "nobody is told"),
    ],
)
def test_alerts(
    subscriptions: list[tuple[str, str, str]], level: Level, says: str, aws: dict[str, dict[str, Any]]
) -> None:
    aws["ListSubscriptionsByTopic"] = {
        "Subscriptions": [{"Protocol": a, "Endpoint": b, "SubscriptionArn": c} for a, b, c in subscriptions]
    }
    verdict = doctor.alerts(site())
    assert (verdict[0], says in verdict[1]) == (level, True), verdict
    assert "clinic.in" not in " ".join(verdict)


def test_dead_letters_are_shown_by_a_command_for_the_same_stack(aws: dict[str, dict[str, Any]]) -> None:
    counts = {"ApproximateNumberOfMessages": "2", "ApproximateNumberOfMessagesNotVisible": "1"}
    aws["GetQueueAttributes"] = {"Attributes": counts}
    finding = Finding("dead letters", *doctor.dead_letters(site()))
    assert str(finding) == (
        "warning  dead letters    3 wait -> .venv/bin/python -m commands.dead_letters list --stage dev"
    )


def test_secret_as_cloudformation_made_it_is_empty(aws: dict[str, dict[str, Any]]) -> None:
    """It has no value at all, which Secrets Manager calls not found. The embedded one answers an empty one instead."""

    class NoValue:
        def get_secret_value(self, **_: str) -> dict[str, str]:
            error = {"Code": "ResourceNotFoundException", "Message": "can't find the value for AWSCURRENT"}
            raise ClientError({"Error": error}, "GetSecretValue")  # type: ignore[typeddict-item]  # as botocore raises it

    found = site()
    found.app = SimpleNamespace(twilio_secret=TwilioSecret(NoValue(), "twilio"))  # type: ignore[assignment,arg-type]  # all that is looked at
    level, what = doctor.secret(found)[:2]
    assert level is Level.FAILED
    assert "Twilio's credentials are missing (account_sid, auth_token)" in what
    assert twilio_setup.secret(found).what == "secret: fill in the credentials, once Twilio accepts them"


def test_what_aws_denies_is_a_finding_of_that_check_alone(aws: dict[str, dict[str, Any]]) -> None:
    aws["GetAccountSettings"] = limits(1000, 1000)
    with patch.object(doctor, "CHECKS", (doctor.concurrency, doctor.alerts)):
        ok, denied = examine(site())
    assert (ok.level, denied.level) == (Level.OK, Level.FAILED)
    assert denied.said == "AWS does not allow it: you may not ListSubscriptionsByTopic"
