"""The embedded AWS: ministack, with its gaps mended.

Run as `python -m local.ministack`; the environment says the rest (`GATEWAY_PORT`, `LAMBDA_PYTHON`). Each mend
touches ministack's private parts, hence the exact pin in pyproject.toml and one test a mend in
tests/infra/test_ministack.py. When a new version makes a mend needless, its test still passes without it.
"""

# ruff: noqa: SLF001  # mending private parts is what this file is for

import hashlib
import io
import json
import os
import tempfile
import threading
import time
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import cloudwatch, dynamodb, eventbridge, lambda_svc
from ministack.services.cloudformation import changesets, engine, handlers, provisioners
from samtranslator.translator import transform as sam

from local.alarms import Recorded
from local.guard import NoForeignPages

Properties = Mapping[str, Any]


def take_routes_from_body() -> None:
    """SAM writes an HTTP API's routes as OpenAPI in `Api.Body`, which ministack ignores: all are 404.

    `*.execute-api.localhost`, which it gives as the API's address, does not resolve everywhere either: the
    address becomes a path on 127.0.0.1.
    """
    api = provisioners._apigw_v2
    create, update = provisioners._apigw_v2_api_create, provisioners._apigw_v2_api_update

    def complete(api_id: str, properties: Properties, stack: str) -> tuple[str, dict[str, str]]:
        api._routes[api_id], api._integrations[api_id] = {}, {}
        for path, operations in properties.get("Body", {}).get("paths", {}).items():
            for verb, operation in operations.items():
                _add_route(api_id, verb, path, operation, stack)
        endpoint = f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}/_aws/execute-api/{api_id}"
        api._apis[api_id]["apiEndpoint"] = endpoint
        return api_id, {"ApiId": api_id, "ApiEndpoint": endpoint}

    def create_api(logical_id: str, properties: Properties, stack: str) -> tuple[str, dict[str, str]]:
        return complete(create(logical_id, properties, stack)[0], properties, stack)

    def update_api(
        api_id: str, old: Properties, new: Properties, stack: str, logical_id: str | None = None
    ) -> tuple[str, dict[str, str]]:
        return complete(update(api_id, old, new, stack, logical_id)[0], new, stack)

    provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"].update(create=create_api, update=update_api)


def _add_route(api_id: str, verb: str, path: str, operation: Mapping[str, Any], stack: str) -> None:
    integration = operation["x-amazon-apigateway-integration"]
    integration_id, _ = provisioners._apigw_v2_integration_create(
        "",
        {
            "ApiId": api_id,
            "IntegrationType": integration["type"].upper(),
            "IntegrationUri": integration["uri"],
            "PayloadFormatVersion": integration["payloadFormatVersion"],
        },
        stack,
    )
    needs_iam = any("AWS_IAM" in scheme for scheme in operation.get("security", []))
    provisioners._apigw_v2_route_create(
        "",
        {
            "ApiId": api_id,
            "RouteKey": f"{verb.upper()} {path}",
            "Target": f"integrations/{integration_id}",
            "AuthorizationType": "AWS_IAM" if needs_iam else "NONE",
        },
        stack,
    )


def keep_time_to_live() -> None:
    """CloudFormation's `TimeToLiveSpecification` of a table is dropped."""
    create = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]["create"]

    def create_table(logical_id: str, properties: Properties, stack: str) -> tuple[str, dict[str, str]]:
        table, attributes = create(logical_id, properties, stack)
        if ttl := properties.get("TimeToLiveSpecification"):
            enabled = str(ttl["Enabled"]).lower() == "true"
            specification = {"Enabled": enabled, "AttributeName": ttl["AttributeName"]}
            provisioners._dynamodb._update_ttl({"TableName": table, "TimeToLiveSpecification": specification})
        return table, attributes

    provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]["create"] = create_table


def refer_to_secrets_by_arn() -> None:
    """`!Ref` of a secret is its ARN on AWS, and its name here: policies that name it would allow nothing."""
    create = provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]["create"]

    def create_secret(logical_id: str, properties: Properties, stack: str) -> tuple[str, dict[str, str]]:
        _name, attributes = create(logical_id, properties, stack)
        return attributes["Arn"], attributes

    provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]["create"] = create_secret


def read_concurrency_as_number() -> None:
    """A `MaximumConcurrency` from a template parameter arrives as text: the queue's poller trips over it."""
    handler = provisioners._RESOURCE_HANDLERS["AWS::Lambda::EventSourceMapping"]
    create = handler["create"]

    def create_mapping(logical_id: str, properties: Properties, stack: str) -> tuple[str, dict[str, str]]:
        scaling = {k: int(v) for k, v in properties.get("ScalingConfig", {}).items()}
        given: tuple[str, dict[str, str]] = create(logical_id, {**properties, "ScalingConfig": scaling}, stack)
        return given

    handler["create"] = create_mapping


def show_sam_the_parameters() -> None:
    """SAM's transform is told no parameter's value here. On AWS it puts them into the descriptions of layers."""
    apply, transform = engine._apply_transforms, sam.transform
    one_at_a_time = threading.Lock()

    def apply_with_parameters(template: Properties, provided: Any = None, previous: Any = None) -> Any:
        values = engine._transform_parameters(template, provided, previous)
        with one_at_a_time:
            sam.transform = lambda fragment, _, loader: transform(fragment, values, loader)
            return apply(template, provided, previous)

    for module in (engine, changesets, handlers):
        module._apply_transforms = apply_with_parameters


def unpack_layers_once() -> None:
    """Each cold start unpacks each layer anew, some 2 s: here all of them share one copy."""
    spawn = lambda_runtime.Worker._spawn
    unpacking = threading.Lock()

    def unpacked(layer: Any) -> str:
        content: bytes = lambda_svc._resolve_layer_zip(layer)
        folder = Path(tempfile.gettempdir(), f"layer-{hashlib.sha256(content).hexdigest()[:20]}")
        with unpacking:
            if not folder.exists():
                zipfile.ZipFile(io.BytesIO(content)).extractall(folder)
        return str(folder)

    def spawn_on_shared_layers(worker: Any) -> None:
        config = worker.config
        folders = os.pathsep.join(unpacked(layer) for layer in config.get("Layers", []))
        variables = {**config.get("Environment", {}).get("Variables", {}), "_LAMBDA_LAYERS_DIRS": folders}
        worker.config = {**config, "Layers": [], "Environment": {"Variables": variables}}
        try:
            spawn(worker)
        finally:
            worker.config = config

    lambda_runtime.Worker._spawn = spawn_on_shared_layers


def run_lambdas_on(python: str) -> None:
    """`Runtime` is ignored: functions run on ministack's own interpreter and see its packages.

    They get one that has nothing but boto3, as on AWS, so that a package missing in the layer shows.
    """
    detect = lambda_runtime._detect_runtime_binary

    def interpreter_for(runtime: str) -> tuple[str, str]:
        binary, worker = detect(runtime)
        return (python if runtime.startswith("python") else binary), worker

    lambda_runtime._detect_runtime_binary = interpreter_for


def send_batches_by_the_permission_to_send() -> None:
    """`SendMessageBatch` is asked for as an action of its own. On AWS `sqs:SendMessage` allows it.

    Source: "Amazon SQS API permissions: Actions and resource reference" in the SQS developer guide.
    """
    action_of = iam_actions.extract_iam_action

    def as_on_aws(*request: Any) -> str | None:
        action = action_of(*request)
        return "sqs:SendMessage" if action == "sqs:SendMessageBatch" else action

    iam_actions.extract_iam_action = as_on_aws


def note_what_is_used_of_the_policies(file: Path) -> None:
    """Append each grant of a role's policy that a request could not do without: `role sid action resource-number`.

    What is never noted while everything is tried is superfluous: `python -m tools.permissions`.
    """
    evaluate, asked = iam_evaluator.evaluate, set[tuple[str, str, str]]()

    def evaluate_and_note(ctx: Any, policies: Any, *limits: Any) -> Any:
        question = (ctx.principal_arn, ctx.action, ctx.resource_arn)
        if ":assumed-role/" in ctx.principal_arn and question not in asked:
            asked.add(question)
            note(ctx, policies)
        return evaluate(ctx, policies, *limits)

    def note(ctx: Any, policies: Any) -> None:
        grants = [
            f"{ctx.principal_arn} {statement.sid} {ctx.action} {number}"
            for policy in policies
            for statement in policy
            for number, resource in enumerate(statement.resources)
            if iam_evaluator._first_match(ctx, [replace(statement, resources=[resource])], "Allow")
        ]
        if len(grants) == 1:  # of two that allow the same, one can be done without
            with file.open("a") as notes:
                notes.write(f"{grants[0]}\n")

    iam_evaluator.evaluate = evaluate_and_note


def take_alarms_on_metric_math() -> None:
    """A template with one is refused. Here it is an alarm on a metric that nobody counts: `local.alarms` judges it."""
    record = provisioners._cw_metric_alarm_record

    def record_any(name: str, properties: Properties) -> Any:
        if "Metrics" in properties:
            properties = {**properties, "Metrics": None, "Namespace": "metric math", "MetricName": name}
        return record(name, properties)

    provisioners._cw_metric_alarm_record = record_any


def count_embedded_metrics() -> None:
    """A line in CloudWatch's embedded metric format makes no metric, so `GET /metrics` would find none."""
    emit = lambda_svc._emit_lambda_logs

    def emit_and_count(function: Properties, request_id: str, log_text: str, *rest: Any, **more: Any) -> None:
        emit(function, request_id, log_text, *rest, **more)
        for (namespace, name, dimensions), points in Recorded().log(log_text.splitlines()).points.items():
            for at, value in points:
                cloudwatch._store_datum(namespace, name, dict(dimensions), at, "None", value, None, None, None)

    lambda_svc._emit_lambda_logs = emit_and_count


def refuse_writes_beyond_the_maximum() -> None:
    """A table's `MaxWriteRequestUnits` is kept, and not obeyed: here a write of each unit, and a transaction's of two.

    A write that begins below the maximum of its second is made whole. What is refused is counted as on AWS.
    Source: "Throttling due to on-demand maximum throughput" in the DynamoDB developer guide.
    """
    spent: dict[str, tuple[int, int]] = {}
    """Of each table: a second, and the units that were written in it."""

    def throttled(table: str, units: int) -> bool:
        most = dynamodb._tables.get(table, {}).get("OnDemandThroughput", {}).get("MaxWriteRequestUnits", -1)
        if most < 0:
            return False
        now = time.time()
        second, so_far = spent.get(table, (0, 0))
        so_far = so_far if second == int(now) else 0
        spent[table] = int(now), so_far if so_far >= most else so_far + units
        if so_far >= most:
            names = {"TableName": table}
            cloudwatch._store_datum("AWS/DynamoDB", "WriteThrottleEvents", names, now, "Count", 1, None, None, None)
        return bool(so_far >= most)

    def limited(write: Any) -> Any:
        def write_or_refuse(request: Properties) -> Any:
            if throttled(request["TableName"], 1):
                why = "Throughput exceeds the maximum OnDemandThroughput configured on table or index"
                return dynamodb.error_response_json("ThrottlingException", why, 400)
            return write(request)

        return write_or_refuse

    def limited_transaction(request: Properties) -> Any:
        items = [next(iter(item.values())) for item in request["TransactItems"]]
        refused = [throttled(item["TableName"], 2) for item in items]
        if any(refused):
            reasons = [{"Code": "ThrottlingError" if one else "None"} for one in refused]
            kind = "TransactionCanceledException"
            body = json.dumps({"__type": kind, "message": kind, "CancellationReasons": reasons}).encode()
            return 400, {"Content-Type": "application/x-amz-json-1.0", "x-amzn-errortype": kind}, body
        return transact(request)

    transact = dynamodb._transact_write_items
    dynamodb._transact_write_items = limited_transaction
    for name in ("_put_item", "_update_item", "_delete_item"):
        setattr(dynamodb, name, limited(getattr(dynamodb, name)))


def be_quick() -> None:
    """Schedules are looked at every 10 s, and a handler that logs nothing is waited for for 50 ms."""
    eventbridge._SCHEDULER_TICK_INTERVAL = 1
    lambda_runtime.Worker._drain_stderr_bounded.__defaults__ = (0.002, 0.002, 0.25)


def mend() -> None:
    """Apply all mends. Before ministack starts."""
    take_routes_from_body()
    keep_time_to_live()
    refer_to_secrets_by_arn()
    read_concurrency_as_number()
    show_sam_the_parameters()
    unpack_layers_once()
    send_batches_by_the_permission_to_send()
    take_alarms_on_metric_math()
    count_embedded_metrics()
    refuse_writes_beyond_the_maximum()
    run_lambdas_on(os.environ["LAMBDA_PYTHON"])
    be_quick()
    if file := os.environ.get("PERMISSIONS_USED"):
        note_what_is_used_of_the_policies(Path(file))


if __name__ == "__main__":
    from ministack import app

    mend()
    app.app = NoForeignPages(app.app, int(os.environ["GATEWAY_PORT"]))
    app.main()
