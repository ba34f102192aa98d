#!/bin/sh
# Powertools: an HTTP API's query parameter typed as a list is split at commas that belong to its value.
#
# aws-lambda-powertools 3.37.0. API Gateway's payload 2.0 joins repeated parameters by commas in `queryStringParameters`
# and keeps them apart in `rawQueryString`. Powertools reads the first: one value that holds a percent-encoded comma
# arrives as two. For a parameter typed `str` the comma stays, unless the value was sent twice: then 422.
#
# Seen:
#   ?name=Rao%2C%20Asha as list[str]: ["Rao", " Asha"]
#   ?name=Rao%2C%20Asha as str: "Rao, Asha"
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check aws-lambda-powertools==3.37.0 pydantic==2.13.5
cd "$dir"
venv/bin/python - <<'PROGRAM'
import json
from typing import Annotated

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.params import Query

app = APIGatewayHttpResolver(enable_validation=True)


@app.get("/many")
def many(name: Annotated[list[str], Query()]):
    return {"name": name}


@app.get("/one")
def one(name: Annotated[str, Query()]):
    return {"name": name}


class Context:
    aws_request_id = function_name = "x"


def ask(path):
    event = {
        "version": "2.0",
        "routeKey": f"GET {path}",
        "rawPath": path,
        "rawQueryString": "name=Rao%2C%20Asha",
        "queryStringParameters": {"name": "Rao, Asha"},
        "headers": {},
        "requestContext": {"stage": "$default", "requestId": "1", "http": {"method": "GET", "path": path}},
        "isBase64Encoded": False,
    }
    return json.dumps(json.loads(app.resolve(event, Context())["body"])["name"])


print(f"?name=Rao%2C%20Asha as list[str]: {ask('/many')}")
print(f"?name=Rao%2C%20Asha as str: {ask('/one')}")
assert json.loads(ask("/many")) == ["Rao", " Asha"]
assert json.loads(ask("/one")) == "Rao, Asha"
PROGRAM
