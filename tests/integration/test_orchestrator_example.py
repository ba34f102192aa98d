"""The orchestrator that people copy, deployed as it stands, beside the product's own stack."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.artifacts import ROOT
from local.aws import REGION
from local.deploy import delete, read_template
from tests.product import Product, eventually

EXAMPLE = ROOT / "examples" / "orchestrator"
SHARED = ROOT / "layers" / "shared" / "whatsapp"
STACK = "orchestrator"


def copied() -> dict[str, Path]:
    """The files that its README says to copy."""
    ours = ("__init__", "client", "consumer", "bus_events", "testing")
    return {"orchestrator.py": EXAMPLE / "orchestrator.py"} | {f"whatsapp/{n}.py": SHARED / f"{n}.py" for n in ours}


def test_readme_copies_these_files() -> None:
    assert "whatsapp/{__init__,client,consumer,bus_events,testing}.py" in (EXAMPLE / "README.md").read_text()


@pytest.fixture
def orchestrator(product: Product) -> Iterator[dict[str, str]]:
    """The example's stack; its outputs."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        for name, file in copied().items():
            archive.write(file, name)
    s3, cloudformation = product.stack.aws("s3"), product.stack.aws("cloudformation")
    s3.create_bucket(Bucket=STACK, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=STACK, Key="code.zip", Body=code.getvalue())
    template = read_template(EXAMPLE / "template.yaml")
    template["Resources"]["Function"]["Properties"]["CodeUri"] = {"Bucket": STACK, "Key": "code.zip"}
    parameters = {name: product.stack.outputs[name] for name in template["Parameters"]}
    cloudformation.create_stack(
        StackName=STACK,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    waiter = cloudformation.get_waiter("stack_create_complete")
    waiter.wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    yield {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    delete(cloudformation, STACK)


def test_it_answers_each_event_once(product: Product, patient: str, orchestrator: dict[str, str]) -> None:
    sid = product.write(patient, "Can I come later?")["message_sid"]
    (event,) = eventually(lambda: product.events(event_id=sid))
    answer = eventually(lambda: [m for m in product.ledger(patient) if m["body"].startswith("Thank you")])
    sqs = product.stack.aws("sqs")
    for _ in range(2):  # as the bus may
        sqs.send_message(QueueUrl=orchestrator["QueueUrl"], MessageBody=json.dumps(event))
    other = product.new_patient()
    product.write(other, "Hello")  # is answered after those
    eventually(lambda: product.ledger(other))
    assert [m["sid"] for m in product.ledger(patient)] == [answer[0]["sid"]]
    messages = product.api("GET", f"/contacts/{event['detail']['contact_id']}/conversation").json()["messages"]
    assert messages[-1]["in_reply_to"] == sid
    dead = sqs.get_queue_attributes(
        QueueUrl=orchestrator["DeadLetterQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    assert dead["Attributes"]["ApproximateNumberOfMessages"] == "0"
