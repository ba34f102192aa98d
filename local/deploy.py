"""Deploys template.yaml, as it is, through CloudFormation, which carries out SAM's transform itself."""

import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from samtranslator.yaml_helper import yaml_parse

from local.artifacts import ROOT, artifacts, build_for_this_machine
from local.aws import REGION

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client

_BUCKET = "artifacts"
_SECONDS_TO_DEPLOY = 180  # it takes one; a busy machine may take its time


class DeployError(Exception):
    """CloudFormation refused the stack. The text names each resource and its reason."""


def read_template(path: Path = ROOT / "template.yaml") -> dict[str, Any]:
    """template.yaml with its `!Ref`s and `!Sub`s in their long form.

    Raises:
        DeployError: it is not YAML.
    """
    try:
        template: dict[str, Any] = yaml_parse(path.read_text())
    except yaml.YAMLError as error:
        raise DeployError(f"{path.name} is not valid YAML: {error}") from error
    return template


def deploy(
    cloudformation: "CloudFormationClient", s3: "S3Client", stack_name: str, parameters: Mapping[str, str]
) -> dict[str, str]:
    """Build and upload the code, create the stack, and return its outputs.

    Raises:
        DeployError: with every failed resource's reason.
        BuildError: the code could not be built.
    """
    template = read_template()
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):  # of a stack that was deleted
        s3.create_bucket(Bucket=_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    for artifact in artifacts(template):
        built = build_for_this_machine(artifact)
        s3.put_object(Bucket=_BUCKET, Key=built.name, Body=built.read_bytes())
        properties = template["Resources"][artifact.logical_id]["Properties"]
        properties[artifact.code_property] = {"Bucket": _BUCKET, "Key": built.name}
    s3.put_object(Bucket=_BUCKET, Key="template.json", Body=json.dumps(template).encode())
    try:
        cloudformation.create_stack(
            StackName=stack_name,
            TemplateURL=f"{s3.meta.endpoint_url}/{_BUCKET}/template.json",
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
    except cloudformation.exceptions.ClientError as error:
        raise DeployError(str(error)) from error
    return _outputs_when_complete(cloudformation, stack_name)


def change(cloudformation: "CloudFormationClient", stack_name: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """Give a stack other parameters, with the template as it was uploaded, and return its outputs.

    As `sam deploy` does: the previous template would be the one after SAM's transform, with the parameters of that day.

    Raises:
        DeployError: with every failed resource's reason.
    """
    now = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    values = {p["ParameterKey"]: p["ParameterValue"] for p in now.get("Parameters", [])} | dict(parameters)
    cloudformation.update_stack(
        StackName=stack_name,
        TemplateURL=f"{cloudformation.meta.endpoint_url}/{_BUCKET}/template.json",
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in values.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    return _outputs_when_complete(cloudformation, stack_name)


def delete(cloudformation: "CloudFormationClient", stack_name: str) -> None:
    """Delete a stack, and wait until it is gone. What it retains stays."""
    cloudformation.delete_stack(StackName=stack_name)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=stack_name, WaiterConfig={"Delay": 1, "MaxAttempts": _SECONDS_TO_DEPLOY}
    )


def _outputs_when_complete(cloudformation: "CloudFormationClient", stack_name: str) -> dict[str, str]:
    deadline = time.monotonic() + _SECONDS_TO_DEPLOY
    while time.monotonic() < deadline:
        stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
        if stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}
        if "FAILED" in stack["StackStatus"] or "ROLLBACK" in stack["StackStatus"]:
            raise DeployError(_reasons(cloudformation, stack_name) or stack.get("StackStatusReason", "unknown"))
        time.sleep(0.05)
    raise DeployError(f"stack {stack_name} was not complete within {_SECONDS_TO_DEPLOY} s")


def _reasons(cloudformation: "CloudFormationClient", stack_name: str) -> str:
    events = cloudformation.describe_stack_events(StackName=stack_name)["StackEvents"]
    return "; ".join(
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in reversed(events)
        if "FAILED" in event["ResourceStatus"]
    )
