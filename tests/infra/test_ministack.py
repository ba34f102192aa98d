"""One test a mend of local/ministack.py. Each fails when its mend is taken out."""

import io
import json
import subprocess
import sys
import time
import zipfile
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from botocore.exceptions import ClientError

from local.alarms import Recorded
from local.artifacts import LAMBDA_PYTHON
from local.aws import REGION, name_alone
from local.drills.drill import Drill
from local.http import SignedHttp
from local.stack import STACK_NAME, Stack
from tools import permissions

# Answers with what it is asked for: an expression's value.
PROBE = "import os, sys\ndef handler(event, context):\n    return eval(event['python'])\n"


def status_of(stack: Stack, verb: str, path: str, headers: dict[str, str] | None = None) -> int:
    return httpx.request(verb, f"{stack.api_url}{path}", headers=headers, trust_env=False, timeout=20).status_code


@pytest.fixture(scope="module")
def ask(stack: Stack) -> Callable[[str], Any]:
    """Evaluates a Python expression inside a Lambda that has the stack's own layers."""
    functions = stack.aws("lambda")
    model = functions.get_function_configuration(FunctionName=stack.outputs["SendFunctionName"])
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("probe.py", PROBE)
    functions.create_function(
        FunctionName="probe",
        Runtime="python3.13",
        Handler="probe.handler",
        Role=model["Role"],
        Layers=[layer["Arn"] for layer in model["Layers"]],
        Code={"ZipFile": archive.getvalue()},
    )

    def ask(python: str) -> Any:
        response = functions.invoke(FunctionName="probe", Payload=json.dumps({"python": python}))
        return json.loads(response["Payload"].read())

    return ask


def test_routes_of_the_sam_api_are_served(stack: Stack) -> None:
    assert status_of(stack, "POST", "/twilio/inbound") == 403, "the webhook's own no: there is no signature"
    assert status_of(stack, "GET", "/nothing/here") == 404


def test_routes_with_iam_refuse_unsigned_calls(stack: Stack) -> None:
    assert status_of(stack, "GET", "/messages/none") == 403
    assert status_of(stack, "GET", "/messages/none", {"Authorization": "anything passes here"}) == 404


@pytest.mark.parametrize(
    ("how", "headers"),
    [
        ("a page of another site", {"Origin": "https://evil.example"}),
        ("a page in a sandbox", {"Origin": "null"}),
        ("a page of another port", {"Origin": "http://127.0.0.1:1"}),
        ("an image's address, which has no Origin", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}),
        ("a link", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}),
        ("a name that was rebound to 127.0.0.1", {"Host": "evil.example"}),
    ],
)
def test_no_web_page_can_call_the_embedded_aws(stack: Stack, how: str, headers: dict[str, str]) -> None:
    """It runs code: whoever may create a function runs what he likes on this machine."""
    for verb, path in [
        ("POST", "/2015-03-31/functions"),
        ("OPTIONS", "/2015-03-31/functions"),
        ("GET", "/?Action=ListQueues"),
        ("POST", "/_ministack/reset"),
        ("POST", urlsplit(stack.api_url).path + "/twilio/inbound"),
    ]:
        answer = httpx.request(verb, stack.aws_endpoint + path, headers=headers, trust_env=False, timeout=20)
        assert (answer.status_code, answer.text) == (403, "wrong Host or Origin"), (how, verb, path)
        assert not any("access-control" in name for name in answer.headers)
    buses = stack.aws("events").list_event_buses()["EventBuses"]
    assert stack.outputs["BusName"] in [bus["Name"] for bus in buses], "nothing was reset"


def test_api_address_is_on_127_0_0_1(stack: Stack) -> None:
    assert stack.api_url.startswith("http://127.0.0.1:")
    parameter = stack.aws("ssm").get_parameter(Name=stack.outputs["ApiUrlParameterName"])
    assert parameter["Parameter"]["Value"] == stack.api_url


@pytest.mark.parametrize("table", ["MessagesTableName", "ContactsTableName", "TemplatesTableName"])
def test_tables_forget_by_ttl(stack: Stack, table: str) -> None:
    found = stack.aws("dynamodb").describe_time_to_live(TableName=stack.outputs[table])
    assert found["TimeToLiveDescription"] == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}


def test_secret_is_referred_to_by_arn(stack: Stack) -> None:
    assert stack.outputs["TwilioSecretArn"].startswith(f"arn:aws:secretsmanager:{REGION}:")


def test_parameters_reach_the_functions(stack: Stack) -> None:
    configuration = stack.aws("lambda").get_function_configuration(FunctionName=stack.outputs["SendFunctionName"])
    assert configuration["Environment"]["Variables"]["RATE_LIMIT_SECONDS"] == "77"


def test_a_change_of_a_parameter_publishes_a_version(tmp_path: Path) -> None:
    """Without SAM being shown the parameters, the alias would stay with the old one."""
    with Stack(tmp_path / "stack", {"RateLimitSeconds": "77"}) as stack:
        functions, name = stack.aws("lambda"), name_alone(stack.outputs["SendFunctionName"])

        def live() -> tuple[str, str]:
            version = functions.get_function_configuration(FunctionName=f"{name}:live")
            return version["Version"], version["Environment"]["Variables"]["RATE_LIMIT_SECONDS"]

        assert live() == ("1", "77")
        stack.change({"RateLimitSeconds": "78"})
        assert live() == ("2", "78")
        stack.change({"MessagesTableName": stack.outputs["MessagesTableName"]})
        assert live() == ("3", "78")


def test_what_a_function_needs_of_its_role_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = tmp_path / "used"
    monkeypatch.setenv("PERMISSIONS_USED", str(used))
    with Stack(tmp_path / "stack") as stack:
        stack.invoke("TemplateSyncFunctionName", {"task": "sync"})
    grants = permissions.used(used.read_text().splitlines())
    assert ("TemplateSyncFunctionRole", "Templates", "dynamodb:PutItem", 0) in grants
    assert {role for role, *_ in grants} == {"TemplateSyncFunctionRole"}, "nobody else was asked for anything"


def test_queue_reaches_the_function(stack: Stack) -> None:
    """With the concurrency as text the poller dies, and no message is ever taken."""
    (mapping,) = stack.aws("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 5}
    sqs, queue = stack.aws("sqs"), stack.outputs["SendQueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="not even JSON")
    deadline = time.monotonic() + 20
    while waiting(sqs, queue) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not waiting(sqs, queue)


def waiting(sqs: Any, queue: str) -> int:
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])
    return int(attributes["Attributes"]["ApproximateNumberOfMessages"])


def test_functions_run_on_an_interpreter_of_their_own(ask: Callable[[str], Any]) -> None:
    prefix = [str(LAMBDA_PYTHON), "-c", "import sys; print(sys.prefix)"]
    assert ask("sys.prefix") == subprocess.run(prefix, capture_output=True, text=True).stdout.strip()
    assert ask("__import__('importlib.util').util.find_spec('ministack')") is None
    assert ask("__import__('whatsapp').__name__") == "whatsapp"


def test_functions_know_nothing_of_the_users_environment(ask: Callable[[str], Any]) -> None:
    """Only what the server was given: no token or profile of whoever started the stack gets into a function."""
    names = set(ask("sorted(os.environ)"))
    assert not names & {"VIRTUAL_ENV", "PYTHONPATH", "SSH_AUTH_SOCK", "PYTEST_CURRENT_TEST", "AWS_PROFILE", "USER"}
    assert ask("os.environ['AWS_CONFIG_FILE']") == "/dev/null"


def test_layers_are_unpacked_once(stack: Stack, ask: Callable[[str], Any]) -> None:
    layers = ask("os.environ['_LAMBDA_LAYERS_DIRS']").split(":")
    assert len(set(layers)) == 2
    unpacked = stack.directory / "work" / "tmp"
    assert {str(folder) for folder in unpacked.glob("layer-*")} == set(layers)
    assert not list(unpacked.glob("ministack-lambda-*/layer_*"))


def test_schedules_are_looked_at_every_second_and_silence_costs_nothing() -> None:
    """In a process of its own: a mend changes ministack for good."""
    look = (
        "import os, local.ministack as mended\n"
        "mended.be_quick()\n"
        "from ministack.services import eventbridge as e\n"
        "from ministack.core.lambda_runtime import Worker as w\n"
        "import inspect\n"
        "defaults = inspect.signature(w._drain_stderr_bounded).parameters\n"
        "print(e._SCHEDULER_TICK_INTERVAL, defaults['first_line_wait'].default)\n"
    )
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)
    assert found.stdout.split() == ["1", "0.002"], found.stderr


def test_policies_are_enforced(stack: Stack, ask: Callable[[str], Any]) -> None:
    """The probe has send's role: what that does not allow fails here as it would on AWS."""
    boto3 = "__import__('boto3')"
    event = {"Source": "test", "DetailType": "test", "Detail": "{}", "EventBusName": STACK_NAME}
    assert "AccessDenied" in ask(f"{boto3}.client('s3').list_buckets()")["errorMessage"]
    assert ask(f"{boto3}.client('events').put_events(Entries=[{event}])['FailedEntryCount']") == 0


def test_who_may_send_a_message_may_send_a_batch(stack: Stack, ask: Callable[[str], Any]) -> None:
    queue, boto3 = stack.outputs["SendQueueUrl"], "__import__('boto3')"
    entries = [{"Id": "1", "MessageBody": '{"message_id": "nobody"}', "DelaySeconds": 900}]
    sent = ask(f"{boto3}.client('sqs').send_message_batch(QueueUrl={queue!r}, Entries={entries})['Successful']")
    assert [one["Id"] for one in sent] == ["1"]


def test_alarms_on_metric_math_are_made_and_embedded_metrics_counted(stack: Stack) -> None:
    found = stack.aws("cloudwatch").describe_alarms(AlarmNamePrefix=STACK_NAME)["MetricAlarms"]
    assert any(alarm["Namespace"] == "metric math" for alarm in found)
    stack.invoke("SendFunctionName", {"task": "sweep"})
    now = time.time()
    counted = stack.aws("cloudwatch").get_metric_statistics(
        Namespace="WhatsApp",
        MetricName="DueStale",
        Dimensions=[{"Name": "service", "Value": f"{STACK_NAME}-send"}],
        StartTime=now - 3600,
        EndTime=now + 60,
        Period=60,
        Statistics=["SampleCount"],
    )
    assert sum(point["SampleCount"] for point in counted["Datapoints"]) >= 1
    lines = Recorded().log(Drill(stack, Namespace()).counted())
    assert lines.points["WhatsApp", "DueStale", frozenset({("service", f"{STACK_NAME}-send")})]
    answer = SignedHttp(stack.api_url).get("/metrics")  # the function may read them
    assert (answer.status_code, answer.json()["rate_limit_violations"]) == (200, 0)


def test_a_tables_maximum_is_obeyed_and_what_it_refuses_counted(stack: Stack) -> None:
    dynamodb, cloudwatch = stack.aws("dynamodb"), stack.aws("cloudwatch")
    key = {"AttributeName": "id", "KeyType": "HASH"}
    dynamodb.create_table(
        TableName="narrow",
        KeySchema=[key],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        OnDemandThroughput={"MaxWriteRequestUnits": 1},
    )
    item = {"TableName": "narrow", "Item": {"id": {"S": "1"}}}
    put = partial(dynamodb.put_item, **item)
    writes = [partial(dynamodb.transact_write_items, TransactItems=[{"Put": item}])] * 10  # boto3 retries the others
    refused = [_refusal(write) for write in writes].count("TransactionCanceledException")
    assert {_refusal(put) for _ in range(3)} <= {None, "ThrottlingException"}
    now = time.time()
    found = cloudwatch.get_metric_statistics(
        Namespace="AWS/DynamoDB",
        MetricName="WriteThrottleEvents",
        Dimensions=[{"Name": "TableName", "Value": "narrow"}],
        StartTime=now - 3600,
        EndTime=now + 60,
        Period=3600,
        Statistics=["Sum"],
    )
    assert sum(point["Sum"] for point in found["Datapoints"]) >= refused > 0
    dynamodb.update_table(TableName="narrow", OnDemandThroughput={"MaxWriteRequestUnits": -1})
    assert {_refusal(write) for write in [*writes, put]} == {None}
    dynamodb.delete_table(TableName="narrow")


def _refusal(write: Callable[[], Any]) -> str | None:
    try:
        write()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None
