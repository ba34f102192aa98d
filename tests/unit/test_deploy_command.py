"""`make deploy`: what it refuses, what it runs, and what it says of a deployment that CloudFormation refused."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from commands import deploy, doctor, target
from local.artifacts import ROOT

SAMCONFIG = """
version = 0.1
[dev.deploy.parameters]
region = "ap-south-1"
stack_name = "clinic-dev"
parameter_overrides = ["SenderAddress=SENDER", "AlertEmail=MAIL", "Architecture=x86_64"]
"""


@dataclass
class World:
    """AWS, the commands that are run, and what the doctor says."""

    state: str = "UPDATE_COMPLETE"
    fails: str = ""
    doctor_says: int = 0
    ran: list[Sequence[str]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def run(self, command: Sequence[str]) -> int:
        self.ran.append(command)
        return int(bool(self.fails) and self.fails in command)

    def answer(self, operation: str) -> dict[str, Any]:
        if operation == "GetCallerIdentity":
            return {"Account": "123456789012"}
        if operation == "DescribeStackEvents":
            return {"StackEvents": self.events}
        if not self.state:
            error = {"Code": "ValidationError", "Message": "Stack with id clinic-dev does not exist"}
            raise ClientError({"Error": error}, operation)  # type: ignore[typeddict-item]  # as botocore raises it
        return {"Stacks": [{"StackStatus": self.state}]}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World()
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(BaseClient, "_make_api_call", lambda _, operation, __: world.answer(operation))
    monkeypatch.setattr(deploy, "run", world.run)
    monkeypatch.setattr(doctor, "main", lambda _: world.doctor_says)
    with patch.dict(os.environ, {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}):
        yield world


@pytest.fixture(autouse=True)
def samconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "samconfig.toml"
    file.write_text(SAMCONFIG.replace("SENDER", "+919812345678").replace("MAIL", "on-call@clinic.in"))
    monkeypatch.setattr(target, "SAMCONFIG", file)
    return file


def test_builds_deploys_and_runs_the_doctor(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy.main(["--stage", "dev", "--yes"]) == 0
    (build, sam) = world.ran
    assert build[-3:] == ["build", "ARCHITECTURE=x86_64", f"TREE={ROOT}"]
    assert sam[1:] == [
        "deploy",
        "--config-env",
        "dev",
        "--config-file",
        str(ROOT / "samconfig.toml"),
        "--no-confirm-changeset",
    ]
    told = capsys.readouterr().out
    assert "account 123456789012, clinic-dev in ap-south-1: UPDATE_COMPLETE" in told
    assert "Next: connect the orchestrator" in told


@pytest.mark.parametrize(("says", "status"), [(0, 0), (1, 0), (2, 1)])
def test_is_well_only_if_the_doctor_finds_no_failure(says: int, status: int, world: World) -> None:
    world.doctor_says = says
    assert deploy.main(["--stage", "dev"]) == status


def test_asks_where_samconfig_says_so(world: World) -> None:
    deploy.main(["--stage", "dev"])
    assert "--no-confirm-changeset" not in world.ran[-1]


@pytest.mark.parametrize(
    ("sender", "mail", "says"),
    [
        ("+12025550123", "on-call@clinic.in", "SenderAddress is +12025550123, no WhatsApp sender of yours"),
        ("", "on-call@clinic.in", "SenderAddress is missing"),
        ("+919812345678", "alerts@example.com", "AlertEmail is alerts@example.com, nobody's mailbox"),
    ],
)
def test_refuses_placeholders_before_anything_else(
    sender: str, mail: str, says: str, world: World, samconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samconfig.write_text(SAMCONFIG.replace("SENDER", sender).replace("MAIL", mail))
    assert deploy.main(["--stage", "dev"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert world.ran == []


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_what_the_repository_comes_with_is_refused(
    stage: str, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(target, "SAMCONFIG", ROOT / "samconfig.toml")
    assert deploy.main(["--stage", stage]) == 1
    assert "SenderAddress is YOUR_SENDER" in capsys.readouterr().err
    assert world.ran == []


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("ROLLBACK_COMPLETE", "delete it, then deploy again"),
        ("UPDATE_IN_PROGRESS", "another deployment is on its way"),
        ("UPDATE_ROLLBACK_FAILED", "aws cloudformation continue-update-rollback --stack-name clinic-dev"),
    ],
)
def test_refuses_a_stack_that_cannot_be_updated(
    state: str, says: str, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.state = state
    assert deploy.main(["--stage", "dev"]) == 1
    assert says in capsys.readouterr().err
    assert world.ran == []


def test_failed_build_deploys_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.fails = "build"
    assert deploy.main(["--stage", "dev"]) == 1
    assert "the build failed: see above. Nothing was deployed" in capsys.readouterr().err
    assert len(world.ran) == 1


def test_says_what_cloudformation_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(UTC) + timedelta(hours=1)
    told = [
        ("Other", "UPDATE_FAILED", "Resource update cancelled", now),
        ("SendQueue", "UPDATE_FAILED", "no permission", now),
        ("Bus", "UPDATE_COMPLETE", "", now),
        ("Old", "UPDATE_FAILED", "long ago", now - timedelta(hours=2)),
    ]
    world.events = [
        {"LogicalResourceId": a, "ResourceStatus": b, "ResourceStatusReason": c, "Timestamp": d} for a, b, c, d in told
    ]
    world.fails, world.state = "deploy", "UPDATE_ROLLBACK_COMPLETE"
    assert deploy.main(["--stage", "dev"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "deploy: not deployed; clinic-dev is UPDATE_ROLLBACK_COMPLETE. SendQueue: no permission (docs/"
    )


def test_an_earlier_version_is_built_from_its_commit(world: World) -> None:
    seen: list[bool] = []

    def run(command: Sequence[str]) -> int:
        if "build" in command:
            tree = Path(command[-1].removeprefix("TREE="))
            seen.append(
                tree != ROOT and (tree / "template.yaml").exists() and (tree / "functions" / "Makefile").exists()
            )
        return world.run(command)

    with patch.object(deploy, "run", run):
        assert deploy.main(["--stage", "dev", "--ref", "HEAD"]) == 0
    assert seen == [True]
    assert not Path(world.ran[0][-1].removeprefix("TREE=")).exists(), "nothing stays behind"


def test_unknown_commit_is_one_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy.main(["--stage", "dev", "--ref", "no-such-tag"]) == 1
    assert capsys.readouterr().err == "deploy: REF=no-such-tag: git knows no such commit or tag\n"
    assert world.ran == []
