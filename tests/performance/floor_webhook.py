"""The least that can be done: the same four calls to AWS by the standard library alone, signed by hand.

Nobody should maintain this. It shows how much of a cold start is not ours to save.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

ENDPOINT = urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc
REGION = os.environ["AWS_DEFAULT_REGION"]
CONNECTION = http.client.HTTPConnection(ENDPOINT)


def _sign(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _authorization(service: str, body: bytes, headers: dict[str, str]) -> str:
    names = ";".join(sorted(headers))
    canonical = "\n".join(f"{name}:{headers[name]}" for name in sorted(headers))
    request = f"POST\n/\n\n{canonical}\n\n{names}\n{hashlib.sha256(body).hexdigest()}"
    at = headers["x-amz-date"]
    scope = f"{at[:8]}/{REGION}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in scope.split("/"):
        key = _sign(key, part)
    credential = f"{os.environ['AWS_ACCESS_KEY_ID']}/{scope}"
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={_sign(key, text).hex()}"


def call(service: str, target: str, request: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps(request).encode()
    version = "1.0" if service == "dynamodb" else "1.1"
    headers = {
        "content-type": f"application/x-amz-json-{version}",
        "host": ENDPOINT,
        "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
        "x-amz-target": target,
    }
    headers["authorization"] = _authorization(service, body, headers)
    CONNECTION.request("POST", "/", body, headers)
    answer = CONNECTION.getresponse()
    content = json.loads(answer.read() or b"{}")
    if answer.status != 200:
        raise RuntimeError(content)
    return dict(content)


SECRET = json.loads(
    call("secretsmanager", "secretsmanager.GetSecretValue", {"SecretId": os.environ["TWILIO_SECRET"]})["SecretString"]
)
PUBLIC_URL = call("ssm", "AmazonSSM.GetParameter", {"Name": os.environ["API_URL_PARAMETER"]})["Parameter"]["Value"]


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    form = dict(parse_qsl(base64.b64decode(event["body"]).decode(), keep_blank_values=True))
    text = PUBLIC_URL + "/twilio/inbound" + "".join(name + form[name] for name in sorted(form))
    expected = base64.b64encode(hmac.digest(SECRET["auth_token"].encode(), text.encode(), "sha1")).decode()
    if not hmac.compare_digest(expected, event["headers"]["x-twilio-signature"]):
        return {"statusCode": 403}
    item = {"message_id": {"S": form["MessageSid"]}, "entry": {"S": "floor"}, "text": {"S": form["Body"]}}
    call("dynamodb", "DynamoDB_20120810.PutItem", {"TableName": os.environ["MESSAGES_TABLE"], "Item": item})
    detail = json.dumps({"message_id": form["MessageSid"]})
    entry = {"Source": "floor", "DetailType": "m", "Detail": detail, "EventBusName": os.environ["BUS_NAME"]}
    call("events", "AWSEvents.PutEvents", {"Entries": [entry]})
    return {"statusCode": 200, "headers": {"content-type": "text/xml"}, "body": "<Response/>"}
