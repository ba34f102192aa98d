"""The AWS services that speak JSON, without boto3, which takes two thirds of a cold start to load.

It stands in for a boto3 client: the same methods, answers, errors and timeouts, and boto3's "standard" retries. It does
not check parameters, and knows neither proxies nor credentials that are not in the environment.
"""

import http.client
import json
import os
import random
import secrets
import ssl
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import botocore
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)

from whatsapp.adapters.aws.signature import authorization
from whatsapp.domain import periods

SERVICES = {
    "dynamodb": ("DynamoDB_20120810", "1.0", "DYNAMODB"),
    "events": ("AWSEvents", "1.1", "EVENTBRIDGE"),
    "secretsmanager": ("secretsmanager", "1.1", "SECRETS_MANAGER"),
    "sqs": ("AmazonSQS", "1.0", "SQS"),
    "ssm": ("AmazonSSM", "1.1", "SSM"),
}
"""By name: the prefix of `X-Amz-Target`, the version of the protocol, and the end of `AWS_ENDPOINT_URL_…`."""

TRIES = 3
_RETRIED = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_FAILED = 300
_RETRIED_STATUSES = frozenset({500, 502, 503, 504})
_CLOCK_IS_OFF = frozenset(
    {"InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch"}
)


class JsonClient:
    """One service of AWS. Threads may share it."""

    def __init__(self, service: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._service = service
        self._target, self._version, name = SERVICES[service]
        self._region = os.environ.get("AWS_DEFAULT_REGION") or os.environ["AWS_REGION"]  # as boto3; Lambda has both
        given = os.environ.get(f"AWS_ENDPOINT_URL_{name}") or os.environ.get("AWS_ENDPOINT_URL")
        self._url = given or f"https://{service}.{self._region}.amazonaws.com"
        self._host = urlsplit(self._url).netloc
        self._sleep = sleep
        self._idle: list[http.client.HTTPConnection] = []
        self._skew = 0.0
        self._listeners: dict[str, Callable[..., object]] = {}
        self.meta = SimpleNamespace(events=SimpleNamespace(register=self._listeners.__setitem__))
        """As boto3's, for the service's `before-call` and `after-call`, with one listener each."""

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        """An operation by boto3's name for it: `get_item` is `GetItem`."""
        if name.startswith("_"):
            raise AttributeError(name)
        return partial(self._call, name.title().replace("_", ""))

    def _call(self, operation: str, **request: Any) -> dict[str, Any]:
        if operation == "TransactWriteItems":  # one token for all tries: a lost answer is no second transaction
            request.setdefault("ClientRequestToken", secrets.token_hex(16))
        body = json.dumps(request, separators=(",", ":")).encode()
        for attempt in range(1, TRIES + 1):
            try:
                answer = self._exchange(operation, body)
            except BotoCoreError:
                if attempt == TRIES:
                    raise
            else:
                error = answer.get("Error")
                if not error:
                    return answer
                if attempt == TRIES or not self._is_retried(answer):
                    raise ClientError(answer, operation)  # type: ignore[arg-type]  # a service's answer has its own fields
            self._sleep(random.random() * 2 ** (attempt - 1))  # noqa: S311 - jitter, not a secret
        raise AssertionError

    def _exchange(self, operation: str, body: bytes) -> dict[str, Any]:
        """One request and its answer, as boto3 shows them. A kept connection that broke is replaced at once."""
        context: dict[str, Any] = {}
        self._tell("before-call", context=context)
        while True:
            kept = self._kept()
            connection = kept or self._connect()
            try:
                connection.sock.sendall(self._request(operation, body))
                response = http.client.HTTPResponse(connection.sock, method="POST")
                response.begin()
                content = response.read()
            except TimeoutError:
                connection.close()
                raise ReadTimeoutError(endpoint_url=self._url) from None
            except (OSError, http.client.HTTPException):
                connection.close()
                if kept:
                    continue
                raise ConnectionClosedError(endpoint_url=self._url) from None
            if response.will_close:
                connection.close()
            else:
                self._idle.append(connection)
            answer = self._read(response, content)
            self._tell("after-call", context=context, parsed=answer)
            return answer

    def _kept(self) -> http.client.HTTPConnection | None:
        with suppress(IndexError):  # one step: between a look and the pop, another thread may take the last one
            return self._idle.pop()
        return None

    def _connect(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        if self._url.startswith("https:"):
            connection = http.client.HTTPSConnection(self._host, timeout=periods.AWS_CONNECT_S, context=_tls())
        else:
            connection = http.client.HTTPConnection(self._host, timeout=periods.AWS_CONNECT_S)
        try:
            connection.connect()
        except TimeoutError:
            raise ConnectTimeoutError(endpoint_url=self._url) from None
        except ssl.SSLError as error:
            raise SSLError(endpoint_url=self._url, error=error) from None
        except OSError:
            raise EndpointConnectionError(endpoint_url=self._url) from None
        connection.sock.settimeout(periods.AWS_READ_S)
        return connection

    def _request(self, operation: str, body: bytes) -> bytes:
        """The signed request, as one piece: `http.client` sends head and body apart, as two packets.

        The credentials are read anew, because they may have been renewed.
        """
        headers = {
            "content-type": f"application/x-amz-json-{self._version}",
            "host": self._host,
            "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + self._skew)),
            "x-amz-target": f"{self._target}.{operation}",
        }
        if token := os.environ.get("AWS_SESSION_TOKEN"):
            headers["x-amz-security-token"] = token
        headers["authorization"] = authorization(
            headers,
            body,
            service=self._service,
            region=self._region,
            key_id=os.environ["AWS_ACCESS_KEY_ID"],
            secret=os.environ["AWS_SECRET_ACCESS_KEY"],
        )
        headers["content-length"] = str(len(body))
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        return f"POST / HTTP/1.1\r\n{''.join(lines)}\r\n".encode() + body

    def _read(self, response: http.client.HTTPResponse, content: bytes) -> dict[str, Any]:
        checksum = response.headers.get("x-amz-crc32")
        try:
            answer: dict[str, Any] = json.loads(content or b"{}")
        except ValueError:
            answer = {}
            if response.status < _FAILED:
                raise ConnectionClosedError(endpoint_url=self._url) from None
        if checksum and int(checksum) != zlib.crc32(content):
            raise ConnectionClosedError(endpoint_url=self._url)
        headers = {name.lower(): value for name, value in response.headers.items()}
        answer["ResponseMetadata"] = {"HTTPStatusCode": response.status, "HTTPHeaders": headers}
        if response.status >= _FAILED:
            code = answer.pop("__type", "") or headers.get("x-amzn-errortype", "") or str(response.status)
            older = headers.get("x-amzn-query-error", "").split(";")[0]  # SQS's name for it, from before it spoke JSON
            message = answer.get("message") or answer.get("Message") or ""
            answer["Error"] = {"Code": older or code.split("#")[-1].split(":")[0], "Message": message}
        return answer

    def _is_retried(self, answer: dict[str, Any]) -> bool:
        code, about = answer["Error"]["Code"], answer["ResponseMetadata"]
        if code in _CLOCK_IS_OFF and "date" in about["HTTPHeaders"]:
            off = parsedate_to_datetime(about["HTTPHeaders"]["date"]).timestamp() - time.time() - self._skew
            self._skew += off
            return abs(off) > periods.AWS_CLOCK_BELIEVED_S
        return code in _RETRIED or about["HTTPStatusCode"] in _RETRIED_STATUSES

    def _tell(self, event: str, **about: Any) -> None:
        if listener := self._listeners.get(f"{event}.{self._service}"):
            listener(**about)


@cache
def _tls() -> ssl.SSLContext:
    """The sandbox's one context: reading the root certificates takes 15 ms. They are boto3's own, or the user's."""
    roots = os.environ.get("AWS_CA_BUNDLE") or Path(botocore.__file__).with_name("cacert.pem")
    return ssl.create_default_context(cafile=roots)
