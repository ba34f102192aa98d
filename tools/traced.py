"""Runs in a process of its own: hands a Lambda handler two events and prints, as JSON, what the second one entered.

`python traced.py TREE MODULE EVENT EVENT`. It imports nothing of this project, so TREE may be any version of it.
"""

import importlib
import json
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

Step = dict[str, Any]


class Context:
    """As much of Lambda's context as handlers look at."""

    function_name = "trace"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:ap-south-1:123456789012:function:trace"
    aws_request_id = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


class Trace:
    """Every call of a product's function, every call to AWS and to Twilio, in order, with its depth."""

    def __init__(self, tree: Path) -> None:
        self.steps: list[Step] = []
        self._roots = {f"{tree}/functions/": "functions/", f"{tree}/layers/shared/whatsapp/": ""}
        self._stack: list[tuple[FrameType, str]] = []
        tables = ("MESSAGES_TABLE", "CONTACTS_TABLE", "TEMPLATES_TABLE")
        self._tables = {os.environ[name]: name.removesuffix("_TABLE").capitalize() for name in tables}

    def profile(self, frame: FrameType, event: str, _argument: object) -> None:
        """For `sys.setprofile`. A comprehension or a lambda counts as the function that it stands in."""
        if event == "return" and self._stack and self._stack[-1][0] is frame:
            self._stack.pop()
        path = frame.f_code.co_filename
        root = next((root for root in self._roots if path.startswith(root)), None)
        # A dataclass's own methods do not count, as the standard library's do not.
        if event != "call" or root is None or path.endswith("/domain/dataclass.py"):
            return
        file = path.replace(root, self._roots[root])
        function = re.sub(r"(\.<locals>)?\.<\w+>", "", frame.f_code.co_qualname)
        if not self._stack or self._stack[-1][1] != file + function:
            self._stack.append((frame, file + function))
            self._note(file=file, function=function)

    def aws(self, service: str, operation: str, parameters: dict[str, Any]) -> None:
        """A call to AWS, with the tables that it reads or writes."""
        tables = sorted(self._tables[name] for name in _tables_in(parameters))
        self._note(aws=f"{service} {operation} {'+'.join(tables)}".strip())

    def twilio(self, method: str, url: str) -> None:
        """A call to Twilio."""
        self._note(twilio=f"{method} {urlsplit(url).path.rpartition('/')[2]}")

    def _note(self, **what: str) -> None:
        self.steps.append({"depth": len(self._stack), **what})


def _tables_in(parameters: dict[str, Any]) -> set[str]:
    if "TransactItems" in parameters:
        return {one["TableName"] for item in parameters["TransactItems"] for one in item.values()}
    return {parameters["TableName"]} if "TableName" in parameters else set(parameters.get("RequestItems", ()))


def listen(trace: Trace) -> None:
    """Report every call to AWS and to Twilio from now on."""
    import botocore.client
    import requests
    import urllib3

    base_client: Any = botocore.client.BaseClient
    pools: Any = urllib3.PoolManager  # boto3 goes past it
    session: Any = requests.Session  # as older trees reach Twilio
    ask, send, fetch = base_client._make_api_call, session.send, pools.urlopen  # noqa: SLF001 - every call passes here
    with suppress(ImportError):  # older trees have boto3 alone
        _listen_to_own_client(trace)

    def ask_traced(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        trace.aws(client.meta.service_model.service_id, operation, parameters)
        return ask(client, operation, parameters)

    def send_traced(own: Any, request: Any, **options: Any) -> Any:
        trace.twilio(request.method, request.url)
        return send(own, request, **options)

    def fetch_traced(own: Any, method: str, url: str, **options: Any) -> Any:
        trace.twilio(method, url)
        return fetch(own, method, url, **options)

    base_client._make_api_call, session.send, pools.urlopen = ask_traced, send_traced, fetch_traced  # noqa: SLF001


def _listen_to_own_client(trace: Trace) -> None:
    own: Any = importlib.import_module("whatsapp.adapters.aws.json_client").JsonClient
    call = own._call  # noqa: SLF001 - every call passes here

    def call_traced(client: Any, operation: str, **parameters: Any) -> Any:
        names = {"dynamodb": "DynamoDB", "events": "EventBridge", "sqs": "SQS", "secretsmanager": "Secrets Manager"}
        service = client._service  # noqa: SLF001
        trace.aws(names.get(service, service.upper()), operation, parameters)
        return call(client, operation, **parameters)

    own._call = call_traced  # noqa: SLF001


def main(tree: str, module: str, *events: str) -> None:
    """The second event finds the process warm: modules imported, clients made, secrets read."""
    out, sys.stdout = sys.stdout, sys.stderr  # the product logs to standard output
    handler = importlib.import_module(module).lambda_handler
    first, second = (json.loads(event) for event in events)
    handler(first, Context())
    trace = Trace(Path(tree))
    listen(trace)
    sys.setprofile(trace.profile)
    answer = handler(second, Context())
    sys.setprofile(None)
    json.dump({"answer": answer, "steps": trace.steps}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
