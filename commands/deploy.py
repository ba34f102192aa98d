"""Deploys a stage to AWS: refuses placeholders, builds, deploys, looks whether all is well, says what comes next.

    make deploy STAGE=dev                 from this tree
    make deploy STAGE=prod REF=v1.4       from that commit or tag: how to go back to an earlier version
    make deploy STAGE=prod YES=1          without questions, for CI

If CloudFormation refuses a change, it goes back to the version before by itself, and this says what it refused. Stack,
region and parameters are those of samconfig.toml as it is now, credentials those of the AWS environment or profile.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

from commands import doctor
from commands.target import Stage, lead_to, one_line_errors, placeholders, read_stage, stack_called
from local.artifacts import ROOT
from local.stacks import STACKS, UsageError

_CANNOT_BE_UPDATED = {
    "ROLLBACK_COMPLETE": "its first deployment failed, and nothing of it runs: delete it, then deploy again",
    "ROLLBACK_FAILED": "its first deployment failed: delete it, then deploy again",
    "DELETE_FAILED": "it could not be deleted: delete it in the console, which asks what to keep",
    "UPDATE_ROLLBACK_FAILED": "its way back failed: aws cloudformation continue-update-rollback --stack-name {stack}",
}


@one_line_errors("deploy")
def main(arguments: Sequence[str]) -> int:
    """Deploy one stage; the exit status is 0 if it stands and the doctor finds no failure."""
    parser = argparse.ArgumentParser(
        prog="python -m commands.deploy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stage", required=True, help="dev or prod, as samconfig.toml describes it")
    parser.add_argument("--ref", default="", help="a commit or tag to deploy, in place of this tree")
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    given = parser.parse_args(arguments)
    stage = read_stage(given.stage)
    check(stage)
    if given.ref:
        STACKS.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=STACKS) as scratch:
            deploy(stage, checked_out(given.ref, Path(scratch)), is_silent=given.yes)
    else:
        print(f"deploying {described()} to {stage.stack} in {stage.region}", flush=True)
        deploy(stage, ROOT, is_silent=given.yes)
    print("\nDeployed. Is all well?\n", flush=True)
    status = doctor.main(["--stage", stage.name])
    print(f"\nNext: {next_step(stage, status)}")
    return 0 if status < doctor.EXIT[doctor.Level.FAILED] else 1


def check(stage: Stage) -> None:
    """Refuse what cannot come to a good end, before anything is built.

    Raises:
        UsageError: placeholders, or a stack in a state that cannot be updated.
    """
    if found := placeholders(stage.parameters):
        raise UsageError(f"samconfig.toml, {stage.name}: {'; '.join(found)}. Put in your own")
    lead_to(stage)
    account = boto3.client("sts").get_caller_identity()["Account"]
    state = state_of(stage)
    if state in _CANNOT_BE_UPDATED:
        raise UsageError(f"{stage.stack} is {state}: {_CANNOT_BE_UPDATED[state].format(stack=stage.stack)}")
    if state.endswith("_IN_PROGRESS"):
        raise UsageError(f"{stage.stack} is {state}: another deployment is on its way")
    print(f"account {account}, {stage.stack} in {stage.region}: {state or 'new'}", flush=True)


def state_of(stage: Stage) -> str:
    """CloudFormation's state of the stack; empty if there is none."""
    stack = stack_called(stage.stack)
    return str(stack["StackStatus"]) if stack else ""


def deploy(stage: Stage, tree: Path, *, is_silent: bool) -> None:
    """Build and deploy what is in the tree, with samconfig.toml as it is here.

    Raises:
        UsageError: the build or CloudFormation failed; the reasons.
    """
    architecture = stage.parameters.get("Architecture", "arm64")
    if run(["make", "--no-print-directory", "build", f"ARCHITECTURE={architecture}", f"TREE={tree}"]) != 0:
        raise UsageError("the build failed: see above. Nothing was deployed")
    begun = datetime.now(UTC)
    sam = [str(ROOT / ".venv-sam/bin/sam"), "deploy", "--config-env", stage.name]
    sam += ["--config-file", str(ROOT / "samconfig.toml"), *(["--no-confirm-changeset"] if is_silent else [])]
    if run(sam) != 0:
        refused = reasons(stage, begun)
        after = f"{stage.stack} is {state_of(stage) or 'not there'}"
        raise UsageError(f"not deployed; {after}. {refused or 'See above'} (docs/deploy.md#when-a-step-is-refused)")


def run(command: Sequence[str]) -> int:
    """Run a command in the project's folder, in sight; its exit status."""
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def reasons(stage: Stage, since: datetime) -> str:
    """What CloudFormation refused since then, the first cause first; what failed only because of it is left out."""
    pages = boto3.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stage.stack)
    found = []
    try:
        for event in (event for page in pages for event in page["StackEvents"]):
            if event["Timestamp"] < since:
                break
            reason = event.get("ResourceStatusReason", "")
            if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason:
                found.append(f"{event['LogicalResourceId']}: {reason}")
    except ClientError:  # there is no stack: what SAM said is all there is
        return ""
    return "; ".join(reversed(found))


def checked_out(ref: str, folder: Path) -> Path:
    """The tree of a commit, in a folder of its own.

    Raises:
        UsageError: git knows no such commit.
    """
    archive = subprocess.run(["git", "archive", ref], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode != 0:
        raise UsageError(f"REF={ref}: git knows no such commit or tag")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    print(f"deploying {ref}", flush=True)
    return folder


def described() -> str:
    """This tree's commit, and whether there is more in it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--tags", "--dirty= with changes that are not committed"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() or "this tree"


def next_step(stage: Stage, status: int) -> str:
    """What to do now."""
    if status == doctor.EXIT[doctor.Level.OK]:
        return "connect the orchestrator: README.md#send-a-message"
    return f"what the doctor says; for Twilio, make twilio-setup STAGE={stage.name}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
