"""A role with the stack's managed policies and nothing else: what it may, and what it may not."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.aws import REGION
from tests.product import Product, eventually

POLICIES = ("MayInvokeSendArn", "MayQueueSendsArn", "MayListenArn")  # calls of the API are not enforced here
Client = Callable[[str], Any]


@pytest.fixture(scope="module")
def orchestrator(product: Product) -> Iterator[Client]:
    iam = product.stack.aws("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="an-orchestrator", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    for output in POLICIES:
        iam.attach_role_policy(RoleName="an-orchestrator", PolicyArn=product.stack.outputs[output])
    keys = product.stack.aws("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], REGION)
    yield lambda service: session.client(service, endpoint_url=product.stack.aws_endpoint)  # type: ignore[call-overload]  # for literals
    for output in POLICIES:
        iam.detach_role_policy(RoleName="an-orchestrator", PolicyArn=product.stack.outputs[output])
    iam.delete_role(RoleName="an-orchestrator")


def denied(call: Callable[..., Any], **parameters: Any) -> bool:
    try:
        call(**parameters)
    except ClientError as error:
        return "AccessDenied" in error.response["Error"]["Code"]
    return False


def test_it_sends_by_the_function_and_the_queue(product: Product, orchestrator: Client, patient: str) -> None:
    functions, outputs = orchestrator("lambda"), product.stack.outputs
    answer = functions.invoke(FunctionName=outputs["SendFunctionName"], Payload=json.dumps({"to": "+1"}))
    assert json.loads(answer["Payload"].read())["status"] == "refused"
    assert denied(functions.invoke, FunctionName=outputs["WebhookFunctionName"], Payload="{}")
    assert denied(functions.invoke, FunctionName=outputs["TemplateSyncFunctionName"], Payload="{}")
    queue = orchestrator("sqs")
    queue.send_message(QueueUrl=outputs["SendQueueUrl"], MessageBody=json.dumps({"no field": f"of {patient}"}))
    eventually(lambda: any(f"of {patient}" in letter for letter in product.dead_letters()))
    assert denied(queue.receive_message, QueueUrl=outputs["SendQueueUrl"])
    assert denied(queue.send_message, QueueUrl=outputs["SendDeadLetterQueueUrl"], MessageBody="x")


def test_it_keeps_rules_of_its_own_and_leaves_ours(product: Product, orchestrator: Client) -> None:
    events, bus = orchestrator("events"), product.stack.outputs["BusName"]
    (ours,) = [
        rule["Name"]
        for rule in product.stack.aws("events").list_rules(EventBusName=bus)["Rules"]
        if "MediaPending" in rule["Name"]
    ]
    pattern = json.dumps({"source": ["whatsapp"]})
    events.put_rule(Name="mine", EventBusName=bus, EventPattern=pattern)
    events.delete_rule(Name="mine", EventBusName=bus)
    assert denied(events.put_rule, Name=ours, EventBusName=bus, EventPattern=pattern)
    assert denied(events.delete_rule, Name=ours, EventBusName=bus)
    assert denied(events.put_rule, Name="mine", EventPattern=pattern)
