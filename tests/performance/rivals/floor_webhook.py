"""The least that someone would still maintain: urllib3 and botocore's own signer, two calls, no secret fetched.

It checks the signature, stores the message and publishes it. It promises nothing beyond that.
"""

import base64
import hmac
import json
import os
import ssl
from typing import Any
from urllib.parse import parse_qsl

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
REGION = os.environ["AWS_DEFAULT_REGION"]
TOKEN = "token"
PUBLIC_URL = os.environ["RIVALS_PUBLIC_URL"]
CREDENTIALS = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
HTTP = urllib3.PoolManager(ssl_context=ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"]))


def call(service: str, target: str, request: dict[str, Any]) -> dict[str, Any]:
    version = "1.0" if service == "dynamodb" else "1.1"
    headers = {"Content-Type": f"application/x-amz-json-{version}", "X-Amz-Target": target}
    signed = AWSRequest("POST", ENDPOINT + "/", headers=headers, data=json.dumps(request))
    SigV4Auth(CREDENTIALS, service, REGION).add_auth(signed)
    answer = HTTP.request("POST", ENDPOINT + "/", body=signed.data, headers=dict(signed.headers.items()))
    content = json.loads(answer.data or b"{}")
    if answer.status != 200:
        raise RuntimeError(content)
    return dict(content)


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    form = dict(parse_qsl(base64.b64decode(event["body"]).decode(), keep_blank_values=True))
    text = PUBLIC_URL + "/twilio/inbound" + "".join(name + form[name] for name in sorted(form))
    expected = base64.b64encode(hmac.digest(TOKEN.encode(), text.encode(), "sha1")).decode()
    if not hmac.compare_digest(expected, event["headers"]["x-twilio-signature"]):
        return {"statusCode": 403}
    item = {"message_id": {"S": form["MessageSid"]}, "entry": {"S": "floor"}, "text": {"S": form["Body"]}}
    call("dynamodb", "DynamoDB_20120810.PutItem", {"TableName": os.environ["MESSAGES_TABLE"], "Item": item})
    detail = json.dumps({"message_id": form["MessageSid"]})
    entry = {"Source": "floor", "DetailType": "m", "Detail": detail, "EventBusName": os.environ["BUS_NAME"]}
    call("events", "AWSEvents.PutEvents", {"Entries": [entry]})
    return {"statusCode": 200, "headers": {"content-type": "text/xml"}, "body": "<Response/>"}
