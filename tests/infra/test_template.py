"""What template.yaml promises, looked at after SAM's transform: what CloudFormation will really make."""

import copy
import json
import re
import subprocess
import tomllib
from dataclasses import MISSING, fields
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from whatsapp.settings import Settings

from local.artifacts import ROOT
from local.stack import FROM_ADDRESS
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
    ("/contacts/{contact_id}/export", "get"): "SendFunction",
    ("/contacts/{contact_id}/acknowledge", "post"): "SendFunction",
    ("/groups/{group}", "get"): "SendFunction",
    ("/groups/{group}", "delete"): "SendFunction",
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


# --- deployments ---------------------------------------------------------------------------------

DESCRIPTION_LIMIT = 256  # of a layer's and of a version's. Source: PublishVersion, PublishLayerVersion in Lambda's API


def test_everybody_calls_the_alias(resources: Resources) -> None:
    """A call of the function itself would run what a deployment is just changing."""
    calls = {
        name: json.dumps(resource["Properties"])
        for name, resource in resources.items()
        if resource["Type"] in ("AWS::Lambda::Permission", "AWS::Lambda::EventSourceMapping", "AWS::Events::Rule")
    }
    rules_with_permissions = 2 * 7
    assert len(calls) == len(OUR_ROUTES) + len(TWILIO_ROUTES) + len(["queue"]) + rules_with_permissions
    for name, call in calls.items():
        assert re.search(r'"Ref": "\w+FunctionAliaslive"', call), name
        assert not re.search(rf'"({"|".join(FUNCTIONS)})"', call), name


@pytest.mark.parametrize("function", FUNCTIONS)
def test_asynchronous_calls_are_neither_repeated_nor_kept(resources: Resources, function: str) -> None:
    config = properties(resources, f"{function}EventInvokeConfig")
    assert (config["Qualifier"], config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]) == ("live", 0, 60)


def test_rules_do_not_pile_up_what_could_not_be_delivered(resources: Resources) -> None:
    for name, rule in of_type(resources, "AWS::Events::Rule").items():
        (target,) = rule["Properties"]["Targets"]
        assert target["RetryPolicy"] == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}, name


def versions(template: dict[str, Any]) -> set[str]:
    return set(of_type(translate(template, {})["Resources"], "AWS::Lambda::Version"))


@pytest.mark.parametrize("layer", ["SharedLayer", "DependenciesLayer"])
def test_a_change_of_a_layer_alone_publishes_all_functions(template: dict[str, Any], layer: str) -> None:
    changed = copy.deepcopy(template)
    changed["Resources"][layer]["Properties"]["CompatibleRuntimes"] = ["python3.13", "python3.14"]
    assert len(versions(template)) == 3
    assert not versions(template) & versions(changed)


def test_a_change_of_any_parameter_that_functions_see_publishes_them(template: dict[str, Any]) -> None:
    """A version whose description changes is published anew; SAM itself looks at no parameter's value."""
    seen = parameters_in(template["Globals"]["Function"]["Environment"], template)
    layers = {n: template["Resources"][n]["Properties"]["Description"] for n in ("SharedLayer", "DependenciesLayer")}
    for function in FUNCTIONS:
        version = template["Resources"][function]["Properties"]["VersionDescription"]
        assert all(f'"{layer}"' in json.dumps(version) for layer in layers), "their numbers tell of their descriptions"
        assert parameters_in([version, layers], template) == seen, function


def test_descriptions_never_grow_too_long(template: dict[str, Any]) -> None:
    """One that does would halt a deployment, on the day of a restore."""
    texts = [r["Properties"]["VersionDescription"] for n, r in template["Resources"].items() if n in FUNCTIONS]
    texts += [template["Resources"][n]["Properties"]["Description"] for n in ("SharedLayer", "DependenciesLayer")]
    for text in texts:
        separator, parts = text["Fn::Join"]
        longest = [longest_of(template["Parameters"][p["Ref"]]) if "Ref" in p else len("99999") for p in parts]
        assert sum(longest) + len(separator) * (len(parts) - 1) <= DESCRIPTION_LIMIT


def parameters_in(part: Any, template: dict[str, Any]) -> set[str]:
    return set(re.findall(r'"Ref": "(\w+)"', json.dumps(part))) & set(template["Parameters"])


def longest_of(parameter: dict[str, Any]) -> int:
    if "AllowedValues" in parameter:
        return max(len(str(value)) for value in parameter["AllowedValues"])
    if "MaxValue" in parameter:
        return len(str(parameter["MaxValue"]))
    return int(parameter.get("MaxLength") or LONGEST_BY_PATTERN[parameter["AllowedPattern"]])


LONGEST_BY_PATTERN = {
    r"^\+[1-9][0-9]{6,14}$": len("+123456789012345"),
    "^$|^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$": len("21:00-08:00"),
}


def test_samconfig_deploys_nothing_before_its_placeholders_are_filled_in(template: dict[str, Any]) -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    for stage, placeholders in {"dev": {"SenderAddress"}, "prod": {"SenderAddress", "AlertEmail"}}.items():
        given = dict(one.split("=", 1) for one in config[stage]["deploy"]["parameters"]["parameter_overrides"])
        patterns = {name: template["Parameters"][name].get("AllowedPattern", "") for name in given}
        assert {name for name, value in given.items() if not re.search(patterns[name], value)} == placeholders


def test_the_local_stacks_sender_is_refused_where_twilio_is_real(template: dict[str, Any]) -> None:
    rule = template["Rules"]["RealSender"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "TwilioBaseUrl"}, ""]}
    (assertion,) = rule["Assertions"]
    assert assertion["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "SenderAddress"}, FROM_ADDRESS]}]}


@pytest.mark.parametrize(
    ("mailbox", "taken"),
    [("", True), ("on-call@clinic.in", True), ("alerts@example.com", False), ("nobody", False), ("a@b", False)],
)
def test_mailbox_for_alerts(template: dict[str, Any], mailbox: str, taken: bool) -> None:
    assert bool(re.search(template["Parameters"]["AlertEmail"]["AllowedPattern"], mailbox)) == taken


def test_webhooks_have_concurrency_of_their_own_if_one_says_so(resources: Resources, template: dict[str, Any]) -> None:
    assert properties(resources, "WebhookFunction")["ReservedConcurrentExecutions"] == {
        "Fn::If": ["ReservesWebhooks", {"Ref": "WebhookReservedConcurrency"}, {"Ref": "AWS::NoValue"}]
    }
    assert template["Parameters"]["WebhookReservedConcurrency"]["Default"] == 0


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
        assert f"${{{function}Aliaslive}}" in uri, (path, verb)


def test_twilio_is_not_throttled_as_we_are(resources: Resources) -> None:
    (stage,) = of_type(resources, "AWS::ApiGatewayV2::Stage").values()
    routes = stage["Properties"]["RouteSettings"]
    assert set(routes) == {f"{verb.upper()} {path}" for path, verb in TWILIO_ROUTES}
    assert {json.dumps(route["ThrottlingRateLimit"]) for route in routes.values()} == {
        '{"Ref": "TwilioRequestsPerSecond"}'
    }
    assert stage["Properties"]["DefaultRouteSettings"]["ThrottlingRateLimit"] <= 100


def test_twilios_routes_take_each_messages_three_callbacks_and_no_flood(template: dict[str, Any]) -> None:
    """Sent, delivered and read of every message at full pace; and no more than a clinic ever needs."""
    parameters = template["Parameters"]
    callbacks = 3 * parameters["SendsPerSecond"]["Default"]
    assert callbacks < parameters["TwilioRequestsPerSecond"]["Default"] < 2 * callbacks


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
    assert rule["Targets"][0]["Arn"] == {"Ref": "WebhookFunctionAliaslive"}


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


# What the embedded AWS does not ask for, held here on what CloudFormation makes.


def test_lambda_may_take_messages_off_the_send_queue(resources: Resources) -> None:
    """The poller of the queue acts as send's role. Source: "Using Lambda with Amazon SQS", Lambda's developer guide."""
    assert resources["SendFunctionQueue"]["Properties"]["EventSourceArn"] == {"Fn::GetAtt": ["SendQueue", "Arn"]}
    may = {
        action
        for role, statement in statements(resources)
        if role == "SendRole" and statement["Resource"] == {"Fn::GetAtt": ["SendQueue", "Arn"]}
        for action in listed(statement["Action"])
    }
    assert may >= {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}


def test_every_rule_and_the_api_may_invoke_and_nobody_else(resources: Resources) -> None:
    permissions = [p["Properties"] for p in of_type(resources, "AWS::Lambda::Permission").values()]
    assert {permission["Action"] for permission in permissions} == {"lambda:InvokeFunction"}
    by_rules = {
        (json.dumps(permission["FunctionName"]), permission["SourceArn"]["Fn::GetAtt"][0])
        for permission in permissions
        if permission["Principal"] == "events.amazonaws.com"
    }
    rules = of_type(resources, "AWS::Events::Rule")
    assert by_rules == {
        (json.dumps(target["Arn"]), name) for name, rule in rules.items() for target in rule["Properties"]["Targets"]
    }
    by_api = {
        (permission["FunctionName"]["Ref"], permission["SourceArn"]["Fn::Sub"][0].split("${__Stage__}/")[1])
        for permission in permissions
        if permission["Principal"] == "apigateway.amazonaws.com"
    }
    routes = OUR_ROUTES | dict.fromkeys(TWILIO_ROUTES, "WebhookFunction")
    assert by_api == {
        (f"{function}Aliaslive", verb.upper() + re.sub(r"\{\w+\}", "*", path))
        for (path, verb), function in routes.items()
    }
    assert len(permissions) == len(by_rules) + len(by_api)


def test_resource_policies_want_tls_and_this_account(resources: Resources) -> None:
    """Of the services that take plain HTTP. Lambda, the API, the bus, secrets and parameters take TLS only."""
    kinds = ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy")
    policies = {name: resource for name, resource in resources.items() if resource["Type"] in kinds}
    guarded = {
        json.dumps(p["Properties"].get("Queues") or p["Properties"].get("Topics") or [p["Properties"].get("Bucket")])
        for p in policies.values()
    }
    kept = [n for n, r in resources.items() if r["Type"] in ("AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SNS::Topic")]
    assert guarded == {json.dumps([{"Ref": name}]) for name in kept}
    for name, policy in policies.items():
        denied = {s["Sid"]: s for s in policy["Properties"]["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"}
        assert {one["Principal"] for one in denied.values()} == {"*"}, name
        assert denied["OnlyOverTls"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert denied["OnlyThisAccount"]["Condition"] == {
            "StringNotEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}},
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
        }


def test_alarms_may_publish_and_no_other_service(resources: Resources) -> None:
    allowed = [
        s for s in properties(resources, "AlertTopicPolicy")["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"
    ]
    (alarms,) = allowed
    assert (alarms["Principal"], alarms["Action"]) == ({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish")
    assert alarms["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


OPERATORS_ROUTES = {
    ("/contacts/{contact_id}", "delete"),
    ("/hold", "put"),
    ("/hold", "delete"),
    ("/templates/sync", "post"),
}


def test_orchestrators_may_call_every_route_but_the_operators(resources: Resources) -> None:
    (statement,) = properties(resources, "MayCallApi")["PolicyDocument"]["Statement"]
    patterns = [arn["Fn::Sub"].split("${Api}/")[1] for arn in statement["Resource"]]
    for path, verb in OUR_ROUTES:
        asked = f"$default/{verb.upper()}" + re.sub(r"{\w+}", "abc", path)
        assert any(fnmatchcase(asked, pattern) for pattern in patterns) == ((path, verb) not in OPERATORS_ROUTES), asked


def test_policies_for_orchestrators_are_outputs(resources: Resources, template: dict[str, Any]) -> None:
    values = [output["Value"] for output in template["Outputs"].values()]
    for name in of_type(resources, "AWS::IAM::ManagedPolicy"):
        assert {"Ref": name} in values


def test_no_secret_is_written_in_the_template(resources: Resources) -> None:
    for name, secret in of_type(resources, "AWS::SecretsManager::Secret").items():
        assert "SecretString" not in secret["Properties"], name
    assert "GenerateSecretString" in properties(resources, "ContactKeySecret")


# --- data ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DATA)
def test_data_outlives_the_stack_and_goes_with_a_failed_first_deployment(resources: Resources, name: str) -> None:
    """Not the tables: one that is protected from deletion cannot be rolled back, and would leave ROLLBACK_FAILED."""
    protected = resources[name]["Properties"].get("DeletionProtectionEnabled")
    assert protected == (True if name.endswith("Table") else None)
    assert resources[name]["DeletionPolicy"] == ("Retain" if protected else "RetainExceptOnCreate")
    assert resources[name]["UpdateReplacePolicy"] == "Retain"


def test_key_of_the_contact_ids_is_never_generated_anew(resources: Resources) -> None:
    """CloudFormation makes a new key if any of this is edited: every contact a stranger, every STOP forgotten."""
    key = resources["ContactKeySecret"]
    assert key["Properties"].keys() == {"Description", "GenerateSecretString"}
    assert key["Properties"]["GenerateSecretString"] == {"PasswordLength": 64, "ExcludePunctuation": True}


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
