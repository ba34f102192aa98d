"""What template.yaml promises, looked at after SAM's transform: what CloudFormation will really make."""

import json
import re
import subprocess
from dataclasses import MISSING, fields
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from whatsapp.settings import Settings

from tools.translate import translate

Resources = dict[str, dict[str, Any]]
FUNCTIONS = ["SendFunction", "WebhookFunction", "TemplateSyncFunction"]
DATA = [
    "MessagesTable",
    "ContactsTable",
    "TemplatesTable",
    "MediaBucket",
    "TwilioSecret",
    "ContactKeySecret",
    "SendDeadLetterQueue",
]
ENV_BESIDE_SETTINGS = {"LOG_LEVEL", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME"}
TWILIO_ROUTES = {("/twilio/inbound", "post"), ("/twilio/status/{message_id}/{attempt}", "post")}
OUR_ROUTES = {
    ("/messages", "post"): "SendFunction",
    ("/messages/{message_id}", "get"): "SendFunction",
    ("/messages/{message_id}", "delete"): "SendFunction",
    ("/contacts", "put"): "SendFunction",
    ("/contacts/lookup", "post"): "SendFunction",
    ("/contacts/{contact_id}", "delete"): "SendFunction",
    ("/contacts/{contact_id}/conversation", "get"): "SendFunction",
    ("/hold", "put"): "SendFunction",
    ("/hold", "delete"): "SendFunction",
    ("/metrics", "get"): "SendFunction",
    ("/templates", "get"): "TemplateSyncFunction",
    ("/templates/sync", "post"): "TemplateSyncFunction",
}


def of_type(resources: Resources, kind: str) -> Resources:
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}


def properties(resources: Resources, name: str) -> dict[str, Any]:
    found: dict[str, Any] = resources[name]["Properties"]
    return found


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def branches(value: Any) -> list[Any]:
    """What an `Fn::If` may be, or the value itself."""
    return value["Fn::If"][1:] if isinstance(value, dict) and "Fn::If" in value else [value]


# --- functions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
def test_environment_is_exactly_what_settings_reads(resources: Resources, function: str) -> None:
    variables = properties(resources, function)["Environment"]["Variables"]
    assert set(variables) - ENV_BESIDE_SETTINGS == {f.name.upper() for f in fields(Settings)}
    assert set(variables) >= ENV_BESIDE_SETTINGS


def test_settings_accept_the_parameters_defaults(template: dict[str, Any]) -> None:
    """The defaults of the template and those of Settings are the same numbers, written down twice."""
    parameters = {n: str(p["Default"]) for n, p in template["Parameters"].items() if "Default" in p}
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    environ = {name: parameters.get(v.get("Ref", ""), "x") for name, v in variables.items() if isinstance(v, dict)}
    environ["SENDER_ADDRESS"] = "+14155238886"  # the one without a default that is checked
    given = Settings.from_environ(environ)
    for field in fields(Settings):
        if field.name.upper() in environ and field.default is not MISSING:
            assert getattr(given, field.name) == field.default, field.name


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_has_a_log_group_that_forgets(resources: Resources, function: str) -> None:
    group = properties(resources, function)["LoggingConfig"]["LogGroup"]["Ref"]
    assert properties(resources, group)["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    # MiniStack and older tools go by the name alone
    name = properties(resources, function)["FunctionName"]["Fn::Sub"]
    assert properties(resources, group)["LogGroupName"]["Fn::Sub"] == f"/aws/lambda/{name}"


def test_functions_run_on_python_3_13_and_the_chosen_processor(resources: Resources, template: dict[str, Any]) -> None:
    assert template["Parameters"]["Architecture"]["Default"] == "arm64"
    for function in FUNCTIONS:
        assert properties(resources, function)["Runtime"] == "python3.13"
        assert properties(resources, function)["Architectures"] == [{"Ref": "Architecture"}]


# --- queue ---------------------------------------------------------------------------------------


def test_queue_gives_a_function_six_times_its_timeout(resources: Resources) -> None:
    timeout = properties(resources, "SendFunction")["Timeout"]
    assert properties(resources, "SendQueue")["VisibilityTimeout"] >= 6 * timeout


def test_queue_gives_up_after_five_receives(resources: Resources) -> None:
    redrive = properties(resources, "SendQueue")["RedrivePolicy"]
    assert redrive["maxReceiveCount"] == 5
    assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": ["SendDeadLetterQueue", "Arn"]}


def test_dead_letters_outlive_the_queue_they_come_from(resources: Resources) -> None:
    """SQS keeps the first date of a message: one that waited long in the queue expires soon in the other."""
    kept = {
        name: properties(resources, name)["MessageRetentionPeriod"] for name in ("SendQueue", "SendDeadLetterQueue")
    }
    assert kept["SendDeadLetterQueue"] == 14 * 86400
    assert kept["SendQueue"] < kept["SendDeadLetterQueue"]


def test_one_bad_message_does_not_bring_back_its_batch(resources: Resources) -> None:
    (mapping,) = of_type(resources, "AWS::Lambda::EventSourceMapping").values()
    assert mapping["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["Properties"]["BatchSize"] == 10
    assert mapping["Properties"]["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "SendConcurrency"}}


# --- API -----------------------------------------------------------------------------------------


def test_every_route_but_twilios_asks_for_iam(resources: Resources) -> None:
    paths = properties(resources, "Api")["Body"]["paths"]
    secured = {(path, verb): op.get("security") for path, ops in paths.items() for verb, op in ops.items()}
    assert set(secured) == set(OUR_ROUTES) | TWILIO_ROUTES
    assert {route for route, security in secured.items() if security != [{"AWS_IAM": []}]} == TWILIO_ROUTES
    assert {json.dumps(secured[route]) for route in TWILIO_ROUTES} <= {"null", '[{"NONE": []}]', "[]"}


def test_routes_reach_their_function(resources: Resources) -> None:
    paths = properties(resources, "Api")["Body"]["paths"]
    for (path, verb), function in (OUR_ROUTES | dict.fromkeys(TWILIO_ROUTES, "WebhookFunction")).items():
        uri = json.dumps(paths[path][verb]["x-amazon-apigateway-integration"]["uri"])
        assert f"${{{function}.Arn}}" in uri, (path, verb)


def test_twilio_is_not_throttled_as_we_are(resources: Resources) -> None:
    (stage,) = of_type(resources, "AWS::ApiGatewayV2::Stage").values()
    routes = stage["Properties"]["RouteSettings"]
    assert set(routes) == {f"{verb.upper()} {path}" for path, verb in TWILIO_ROUTES}
    assert all(route["ThrottlingRateLimit"] == 1000 for route in routes.values())
    assert stage["Properties"]["DefaultRouteSettings"]["ThrottlingRateLimit"] <= 100


def test_access_log_names_no_path(resources: Resources) -> None:
    (stage,) = of_type(resources, "AWS::ApiGatewayV2::Stage").values()
    logged = set(re.findall(r"\$context\.(\w+)", stage["Properties"]["AccessLogSettings"]["Format"]["Fn::Sub"]))
    assert logged == {"requestId", "routeKey", "status", "responseLatency", "integrationErrorMessage"}


# --- schedules -----------------------------------------------------------------------------------


def test_schedules_have_names_and_inputs_of_their_own(resources: Resources) -> None:
    rules = of_type(resources, "AWS::Events::Rule").values()
    schedules = [rule["Properties"] for rule in rules if "ScheduleExpression" in rule["Properties"]]
    names = [schedule["Name"]["Fn::Sub"] for schedule in schedules]
    assert len(set(names)) == len(names)
    found = {(s["ScheduleExpression"], json.loads(s["Targets"][0]["Input"])["task"]) for s in schedules}
    assert found == {
        ("rate(1 minute)", "sweep"),
        ("rate(1 hour)", "measure"),
        ("rate(1 minute)", "publish"),
        ("rate(5 minutes)", "reconcile"),
        ("rate(5 minutes)", "media"),
        ("rate(15 minutes)", "sync"),
    }


def test_pending_media_come_back_to_the_webhook_and_nothing_else_does(resources: Resources) -> None:
    rules = [
        r["Properties"] for r in of_type(resources, "AWS::Events::Rule").values() if "EventPattern" in r["Properties"]
    ]
    (rule,) = rules
    assert rule["EventBusName"] == {"Ref": "Bus"}
    assert rule["EventPattern"] == {
        "source": ["whatsapp"],
        "detail-type": ["message.received"],
        "detail": {"media": {"status": ["pending"]}},
    }
    assert rule["Targets"][0]["Arn"] == {"Fn::GetAtt": ["WebhookFunction", "Arn"]}


# --- policies ------------------------------------------------------------------------------------


def statements(resources: Resources) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, role in of_type(resources, "AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            found += [(name, statement) for statement in listed(policy["PolicyDocument"]["Statement"])]
    return found


def test_policies_name_actions_and_resources(resources: Resources) -> None:
    assert len(statements(resources)) > 10
    for role, statement in statements(resources):
        assert statement["Effect"] == "Allow", role
        for action in listed(statement["Action"]):
            assert "*" not in action, (role, action)
        for resource in chain.from_iterable(map(branches, listed(statement["Resource"]))):
            if listed(statement["Action"]) == ["cloudwatch:GetMetricData"]:
                continue  # it has no resources (AWS's "Actions, resources, and condition keys for Amazon CloudWatch")
            assert resource != "*", (role, statement["Sid"])
            assert "*" not in json.dumps(resource).removesuffix('/index/*"}').removesuffix('/*"}'), (role, resource)


def test_roles_have_the_basic_managed_policy_only(resources: Resources) -> None:
    for name, role in of_type(resources, "AWS::IAM::Role").items():
        (managed,) = role["Properties"]["ManagedPolicyArns"]
        assert "service-role/AWSLambdaBasicExecutionRole" in json.dumps(managed), name


def test_only_send_may_put_on_the_send_queue(resources: Resources) -> None:
    may_send = {
        role
        for role, statement in statements(resources)
        if "sqs:SendMessage" in listed(statement["Action"]) and '"SendQueue"' in json.dumps(statement["Resource"])
    }
    assert may_send == {"SendRole"}


def test_no_secret_is_written_in_the_template(resources: Resources) -> None:
    for name, secret in of_type(resources, "AWS::SecretsManager::Secret").items():
        assert "SecretString" not in secret["Properties"], name
    assert "GenerateSecretString" in properties(resources, "ContactKeySecret")


# --- data ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DATA)
def test_data_outlives_the_stack(resources: Resources, name: str) -> None:
    assert resources[name]["DeletionPolicy"] == "Retain"
    assert resources[name]["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("name", ["MessagesTable", "ContactsTable", "TemplatesTable"])
def test_tables_are_encrypted_recoverable_and_forget(resources: Resources, name: str) -> None:
    table = properties(resources, name)
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    for index in table.get("GlobalSecondaryIndexes", []):
        assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}, index["IndexName"]


def test_bucket_is_closed(resources: Resources) -> None:
    bucket = properties(resources, "MediaBucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]
    (statement,) = properties(resources, "MediaBucketPolicy")["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"


# --- the whole -----------------------------------------------------------------------------------


def lint(template: dict[str, Any], file: Path) -> str:
    file.write_text(json.dumps(template))
    return subprocess.run([Path(".venv/bin/cfn-lint").absolute(), file], capture_output=True, text=True).stdout


def test_translated_template_passes_cfn_lint(template: dict[str, Any], tmp_path: Path) -> None:
    assert lint(translate(template, {}), tmp_path / "translated.json") == ""


def test_cfn_lint_sees_the_circle_that_sam_does_not(template: dict[str, Any], tmp_path: Path) -> None:
    """Why the API URL's parameter goes by name: `!Ref` closes a circle."""
    variables = {"API_URL_PARAMETER": {"Ref": "ApiUrlParameter"}}
    environment = {"Variables": template["Globals"]["Function"]["Environment"]["Variables"] | variables}
    function = template["Globals"]["Function"] | {"Environment": environment}
    circular = template | {"Globals": template["Globals"] | {"Function": function}}
    assert "E3004" in lint(translate(circular, {}), tmp_path / "circular.json")


def test_outputs_are_those_of_the_contract(template: dict[str, Any]) -> None:
    assert set(template["Outputs"]) >= {
        "SendFunctionName",
        "WebhookFunctionName",
        "TemplateSyncFunctionName",
        "ApiUrl",
        "SendQueueUrl",
        "SendDeadLetterQueueUrl",
        "BusName",
        "AlertTopicArn",
        "MessagesTableName",
    }
