"""The OpenAPI and AsyncAPI documents: valid by the standards' own rules, and about what is deployed."""

import gzip
import json
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from whatsapp.adapters.dynamodb.conversation_store import _SHOWN
from whatsapp.domain.answers import ShownMessage
from whatsapp.domain.events import EVENTS

from local.deploy import read_template
from tools import typescript
from tools.schemas import DIRECTORY, documents

OPENAPI = documents()["openapi.json"]
ASYNCAPI = documents()["asyncapi.json"]
# schemas/3.0.0-without-$id.json of the npm package @asyncapi/specs 6.11.1 (Apache-2.0)
RULES = json.loads(gzip.decompress((Path(__file__).parents[1] / "data" / "asyncapi-3.0.0.json.gz").read_bytes()))


def test_openapi_is_valid() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(OPENAPI).iter_errors()] == []


def test_it_would_be_noticed_if_it_were_not() -> None:
    broken = {**OPENAPI, "paths": {"/messages": {"get": {"responses": {"200": {}}}}}}
    assert list(OpenAPIV31SpecValidator(broken).iter_errors())
    assert list(Draft7Validator(RULES).iter_errors({**ASYNCAPI, "operations": {"hear": {"action": "listen"}}}))


def test_it_has_every_route_but_twilios() -> None:
    functions = [r for r in read_template()["Resources"].values() if r["Type"] == "AWS::Serverless::Function"]
    events = [event for function in functions for event in function["Properties"].get("Events", {}).values()]
    routes = [event["Properties"] for event in events if event["Type"] == "HttpApi"]
    deployed = {(r["Path"], r["Method"].lower()) for r in routes if not r["Path"].startswith("/twilio")}
    assert {(path, method) for path, operations in OPENAPI["paths"].items() for method in operations} == deployed


def test_every_schema_in_it_is_one() -> None:
    for schema in OPENAPI["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_message_of_a_conversation_has_the_fields_that_are_shown() -> None:
    beside = {"status", "error", "flow", "media", "location"}
    assert get_type_hints(ShownMessage).keys() == {*_SHOWN, *beside}


def test_asyncapi_is_valid() -> None:
    assert [error.message for error in Draft7Validator(RULES).iter_errors(ASYNCAPI)] == []


def test_asyncapi_has_every_event() -> None:
    assert ASYNCAPI["channels"]["bus"]["messages"].keys() == {event.detail_type for event in EVENTS}


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [ref for one in value for ref in references(one)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [ref for one in value.values() for ref in references(one)]


@pytest.mark.parametrize("document", [OPENAPI, ASYNCAPI], ids=["openapi", "asyncapi"])
def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    assert references(document)
    for reference in references(document):
        file, _, path = reference.partition("#/")
        found = json.loads((DIRECTORY / file).read_text()) if file else document
        for part in path.split("/") if path else ():
            found = found[part]


def test_types_for_typescript_are_made_from_these() -> None:
    assert typescript.is_current(), "run `python -m tools.typescript`"
