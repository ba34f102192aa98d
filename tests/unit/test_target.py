"""Which stack a command works on, and one line for each thing that is missing."""

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from commands import breach, dead_letters, doubts, restore, target, templates, twilio_setup
from commands.target import Target, add_options, one_line_errors, read_stage, target_of
from local import stacks
from local.stacks import UsageError

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An AWS environment that holds nothing; no session is kept from before."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(stacks, "STACKS", tmp_path)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "STACK"))}
    files = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    with patch.dict(os.environ, {**kept, **files, "AWS_EC2_METADATA_DISABLED": "true"}, clear=True):
        yield


def found(*arguments: str) -> Target:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return target_of(parser.parse_args(arguments))


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Name and region of each stack on AWS; CloudFormation answers for them."""
    stacks_there: set[tuple[str, str]] = set()

    def answer(client: BaseClient, operation: str, given: dict[str, str]) -> dict[str, object]:
        name, region = given["StackName"], client.meta.region_name
        if (name, region) not in stacks_there:
            error = {"Code": "ValidationError", "Message": f"Stack with id {name} does not exist"}
            raise ClientError({"Error": error}, operation)  # type: ignore[typeddict-item]  # as botocore raises it
        stack_id = f"arn:aws:cloudformation:{region}:123456789012:stack/{name}/1"
        outputs = [{"OutputKey": "BusName", "OutputValue": "bus"}]
        return {"Stacks": [{"StackId": stack_id, "StackStatus": "CREATE_COMPLETE", "Outputs": outputs}]}

    monkeypatch.setattr(BaseClient, "_make_api_call", answer)
    return stacks_there


def test_a_stage_is_the_stack_and_region_of_samconfig(deployed: set[tuple[str, str]]) -> None:
    deployed.add(("whatsapp-dev", "ap-south-1"))
    os.environ.update(KEYS, AWS_DEFAULT_REGION="eu-west-1")  # the reader's own
    dev = found("--stage", "dev")
    assert str(dev) == "whatsapp-dev in ap-south-1, account 123456789012"
    assert (dev.outputs, dev.status, dev.option) == ({"BusName": "bus"}, "CREATE_COMPLETE", " --stage dev")


def test_a_stack_is_named_in_the_environments_region(deployed: set[tuple[str, str]]) -> None:
    deployed.add(("mine", "eu-west-1"))
    os.environ.update(KEYS, AWS_DEFAULT_REGION="eu-west-1")
    assert str(found("--stack", "mine")) == "mine in eu-west-1, account 123456789012"


def test_samconfig_has_a_stack_for_each_stage() -> None:
    assert (read_stage("dev").stack, read_stage("prod").stack) == ("whatsapp-dev", "whatsapp-prod")


DAY = ["--from", "2026-11-29T09:00:00+05:30", "--to", "2026-11-29T18:00:00+05:30"]
COMMANDS = [
    (breach.main, DAY),
    (dead_letters.main, ["list"]),
    (doubts.main, []),
    (restore.main, ["--since", "2026-11-29T09:00:00+05:30"]),
    (templates.main, ["plan"]),
    (twilio_setup.main, []),
]


@pytest.mark.parametrize(("main", "given"), COMMANDS)
@pytest.mark.parametrize(
    ("which", "variables", "says"),
    [
        ([], {}, "no stack is running: start one with `make run`, or say --stage dev or --stage prod"),
        (["--stage", "staging"], KEYS, "samconfig.toml has no stage 'staging': say dev or prod"),
        (["--stage", "prod"], {}, "no AWS credentials: set AWS_PROFILE"),
        (["--stack", "mine"], KEYS, "no AWS region: say --stage, or set AWS_DEFAULT_REGION"),
        (["--stage", "prod"], {"AWS_PROFILE": "gone"}, "(gone) could not be found: `aws configure list-profiles`"),
    ],
)
def test_what_is_missing_is_one_line(
    main: "target.Main",
    given: list[str],
    which: list[str],
    variables: dict[str, str],
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    os.environ.update(variables)
    assert main([*given, *which]) == 1
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert says in line
    assert not printed.out


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(
    ("which", "says"),
    [
        (["--stage", "prod"], "there is no stack whatsapp-prod in ap-south-1: deploy it: make deploy STAGE=prod"),
        (["--stack", "mine"], "there is no stack mine in eu-west-1: is it in another region or account?"),
    ],
)
def test_a_stack_that_is_not_there_is_one_line(which: list[str], says: str) -> None:
    os.environ.update(KEYS, AWS_DEFAULT_REGION="eu-west-1")
    with pytest.raises(UsageError) as raised:
        found(*which)
    assert str(raised.value) == says


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("ExpiredToken", "expired: sign in again"),
        ("InvalidClientTokenId", "does not know these credentials"),
        ("AccessDenied", "AWS does not allow it: User x"),
        ("Throttling", "User x"),
    ],
)
def test_what_aws_says_is_one_line(code: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    @one_line_errors("list")
    def fails(_: Sequence[str]) -> int:
        raise ClientError({"Error": {"Code": code, "Message": "User x is not …"}}, "DescribeStacks")

    assert fails([]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("list: ")
    assert says in line
