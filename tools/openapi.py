"""The HTTP API as OpenAPI 3.1 and the bus and the send queue as AsyncAPI 3, made from the routes and the models.

`python -m tools.schemas write` writes `openapi.json` and `asyncapi.json` with the other schemas.
"""

import tomllib
from collections.abc import Mapping
from typing import Any, get_type_hints

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from whatsapp.domain.events import EVENTS
from whatsapp.domain.sending.request import SendAnswer

from functions.send.http import success_statuses
from functions.send.routes import ROUTES, Route
from local.artifacts import ROOT

Schema = dict[str, Any]

_IAM = {
    "type": "apiKey",
    "name": "Authorization",
    "in": "header",
    "description": "AWS Signature Version 4 for the service `execute-api`.",
    "x-amazon-apigateway-authtype": "awsSigv4",
}
_MEANING = {"200": "Done.", "202": "Taken; it waits, or goes on."}
_REFUSED = "Refused; `error` says why. The status follows `error.code`."
_FLAG: Schema = {"type": "string", "enum": ["true", "false"], "default": "false"}
_TEMPLATE_ROUTES: dict[str, Any] = {
    "/templates": {"get": ("list_templates", "Show every version of every template, and what happens next.", ())},
    "/templates/sync": {"post": ("sync_templates", "Sync the templates with Twilio now.", ("dry_run", "recreate"))},
}
"""Those of the template sync function."""


def openapi(generator: type[GenerateJsonSchema]) -> Schema:
    """The HTTP API but for Twilio's own two routes."""
    components: dict[str, Schema] = {}
    paths: dict[str, dict[str, Any]] = {}

    def schema_of(what: Any, mode: Any) -> Schema:
        template = "#/components/schemas/{model}"
        made = TypeAdapter(what).json_schema(mode=mode, ref_template=template, schema_generator=generator)
        components.update(made.pop("$defs", {}))
        if "title" not in made:
            return made
        components[made["title"]] = made
        return {"$ref": template.format(model=made["title"])}

    refusal = {"description": _REFUSED, "content": _json(schema_of(SendAnswer, "serialization"))}
    for name, route in ROUTES.items():
        answer = {"content": _json(schema_of(get_type_hints(route.serve)["return"], "serialization"))}
        responses = {str(s): {"description": _MEANING[str(s)], **answer} for s in success_statuses(name)}
        operation = {
            "operationId": name,
            "summary": (route.serve.__doc__ or "").partition("\n")[0],
            **_asked(route, schema_of, generator),
            "responses": {**responses, "default": refusal},
        }
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    for path, operations in _TEMPLATE_ROUTES.items():
        for method, (name, summary, flags) in operations.items():
            parameters = [{"name": flag, "in": "query", "schema": _FLAG} for flag in flags]
            done = {"description": _MEANING["200"], "content": _json({"type": "object"})}
            one = {"operationId": name, "summary": summary, "parameters": parameters, "responses": {"200": done}}
            paths.setdefault(path, {})[method] = one
    return {
        "openapi": "3.1.0",
        "info": _info("The HTTP API, at the stack's output `ApiUrl`. docs/api.md tells of direct invokes."),
        "servers": [{"url": "https://{host}", "variables": {"host": {"default": "api.example"}}}],
        "security": [{"iam": []}],
        "paths": paths,
        "components": {"schemas": dict(sorted(components.items())), "securitySchemes": {"iam": _IAM}},
    }


def asyncapi(schemas: Mapping[str, Schema]) -> Schema:
    """What the bus brings and what the send queue takes, for these schemas by the names of their files."""
    messages = {event.detail_type: _bus_message(event.detail_type, schemas) for event in EVENTS}
    messages["SendRequest"] = {
        "contentType": "application/json",
        "summary": schemas["SendRequest.json"]["description"],
        "payload": {"$ref": "SendRequest.json"},
    }
    refs = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    return {
        "asyncapi": "3.0.0",
        "info": _info("The bus that brings events, and the queue that takes requests."),
        "defaultContentType": "application/json",
        "channels": {
            "bus": {
                "description": "An EventBridge bus, output `BusName`. An event may come twice and out of order.",
                "messages": {name: ref for name, ref in refs.items() if name != "SendRequest"},
            },
            "sendQueue": {
                "description": "An SQS queue, output `SendQueueUrl`. What became of a request comes on the bus.",
                "messages": {"SendRequest": refs["SendRequest"]},
            },
        },
        "operations": {
            "hear": {"action": "receive", "channel": {"$ref": "#/channels/bus"}},
            "send": {"action": "send", "channel": {"$ref": "#/channels/sendQueue"}},
        },
        "components": {"messages": messages},
    }


def _asked(route: Route, schema_of: Any, generator: type[GenerateJsonSchema]) -> Schema:
    """What a route takes: fields of the path, then of the query or the body."""
    fields = route.asks.model_json_schema(schema_generator=generator)["properties"]
    in_path = [name for name in fields if f"{{{name}}}" in route.path]
    parameters = [{"name": n, "in": "path", "required": True, "schema": fields[n]} for n in in_path]
    others = [name for name in fields if name not in in_path]
    if route.method in ("GET", "DELETE"):
        parameters += [{"name": name, "in": "query", "schema": fields[name]} for name in others]
        return {"parameters": parameters}
    body = {"requestBody": {"required": True, "content": _json(schema_of(route.asks, "validation"))}} if others else {}
    return {"parameters": parameters, **body}


def _bus_message(detail_type: str, schemas: Mapping[str, Schema]) -> Schema:
    return {
        "name": detail_type,
        "summary": schemas[f"{detail_type}.json"]["description"],
        "payload": {
            "type": "object",
            "required": ["source", "detail-type", "detail"],
            "properties": {
                "source": {"const": "whatsapp"},
                "detail-type": {"const": detail_type},
                "detail": {"$ref": f"{detail_type}.json"},
            },
        },
    }


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _info(description: str) -> Schema:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {
        "title": "WhatsApp messaging",
        "version": project["version"],
        "description": description,
        "license": {"name": project["license"]},
    }
