"""The webhook as most would write it: Powertools' resolver, pydantic, boto3's resource, Twilio's validator.

It checks the signature, stores the message and publishes it, in two calls. It fetches no secret, and promises no more.
"""

import base64
import os
from typing import Any
from urllib.parse import parse_qsl

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from pydantic import BaseModel
from twilio.request_validator import RequestValidator

logger, metrics = Logger(), Metrics()
app = APIGatewayHttpResolver()
table = boto3.resource("dynamodb").Table(os.environ["MESSAGES_TABLE"])
events = boto3.client("events")
validator = RequestValidator("token")
public_url = os.environ["RIVALS_PUBLIC_URL"]


class InboundMessage(BaseModel):
    MessageSid: str
    From: str
    To: str
    Body: str = ""
    ProfileName: str | None = None


@app.post("/twilio/inbound")
def inbound() -> Response[str]:
    body = base64.b64decode(app.current_event.body or "").decode()
    form = dict(parse_qsl(body, keep_blank_values=True))
    signature = app.current_event.headers.get("x-twilio-signature", "")
    if not validator.validate(public_url + "/twilio/inbound", form, signature):
        return Response(status_code=403)
    message = InboundMessage.model_validate(form)
    table.put_item(Item={"message_id": message.MessageSid, "entry": "idiom", **message.model_dump()})
    entry = {
        "Source": "idiom",
        "DetailType": "message",
        "Detail": message.model_dump_json(),
        "EventBusName": os.environ["BUS_NAME"],
    }
    events.put_events(Entries=[entry])  # type: ignore[list-item]  # as most would write it: a plain dict
    logger.info("received", message_id=message.MessageSid)
    return Response(status_code=200, content_type="text/xml", body="<Response/>")


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
