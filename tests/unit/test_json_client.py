"""Our client of AWS's JSON services against a server that answers as told, and its signature beside botocore's."""

import json
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker
from hypothesis import given
from hypothesis import strategies as st
from whatsapp.adapters.aws import clients, json_client
from whatsapp.adapters.aws.json_client import JsonClient
from whatsapp.adapters.aws.signature import authorization
from whatsapp.adapters.dynamodb.clock import DynamoClock
from whatsapp.domain import periods

from tests.unit.test_twilio_http import certificate

Answer = tuple[int, dict[str, Any], dict[str, str]]
GOOD: Answer = (200, {"Item": {"message_id": {"S": "m"}}}, {})


def failure(code: str, status: int = 400, **more: str) -> Answer:
    return status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no"}, more


class Aws(ThreadingHTTPServer):
    """Gives the answers that it was given, in order, then good ones. Notes every request and connection."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer | Callable[[Handler], None]] = []
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.connections: list[Any] = []
        self.sockets: list[Any] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Aws

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.server.connections.append(self.client_address)
        self.server.sockets.append(self.connection)
        answer = self.server.answers.pop(0) if self.server.answers else GOOD
        if callable(answer):
            answer(self)
            return
        status, content, headers = answer
        payload = json.dumps(content).encode()
        self.send_response_only(status)
        headers = {"Date": formatdate(usegmt=True), "x-amz-crc32": str(zlib.crc32(payload))} | headers
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Silence."""


def hang_up(handler: Handler) -> None:
    """The connection ends without an answer."""
    handler.close_connection = True


def cut_off(handler: Handler) -> None:
    """Half an answer."""
    handler.send_response_only(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"Item"')
    handler.close_connection = True


def hang(handler: Handler) -> None:
    """No answer in time."""
    time.sleep(0.3)
    handler.close_connection = True


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    server = Aws()
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_DEFAULT_REGION": "ap-south-1",
        "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(aws: Aws, pauses: list[float]) -> JsonClient:
    return JsonClient("dynamodb", pauses.append)


def get(client: JsonClient) -> dict[str, Any]:
    return client.get_item(TableName="t", Key={"message_id": {"S": "m"}})


# --- one request -------------------------------------------------------------------------------------------------


def test_request_is_as_the_protocol_wants_it(client: JsonClient, aws: Aws) -> None:
    answer = get(client)
    assert answer["Item"] == {"message_id": {"S": "m"}}
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    ((headers, body),) = aws.requests
    assert headers["x-amz-target"] == "DynamoDB_20120810.GetItem"
    assert headers["content-type"] == "application/x-amz-json-1.0"
    assert json.loads(body) == {"TableName": "t", "Key": {"message_id": {"S": "m"}}}


@given(
    body=st.binary(max_size=200),
    token=st.none() | st.text("abcXYZ/+=", min_size=1),
    secret=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1),
    service=st.sampled_from(sorted(json_client.SERVICES)),
    host=st.sampled_from(["127.0.0.1:4566", "dynamodb.ap-south-1.amazonaws.com"]),
)
def test_signature_is_botocores(body: bytes, token: str | None, secret: str, service: str, host: str) -> None:
    request = AWSRequest("POST", f"https://{host}/", data=body)
    request.headers["X-Amz-Target"] = "Prefix.Operation"
    request.headers["Content-Type"] = "application/x-amz-json-1.0"
    request.headers["Host"] = host
    SigV4Auth(Credentials("AKID", secret, token), service, "ap-south-1").add_auth(request)
    theirs = {name.lower(): value for name, value in request.headers.items()}
    signed = {name: value for name, value in theirs.items() if name != "authorization"}
    ours = authorization(signed, body, service=service, region="ap-south-1", key_id="AKID", secret=secret)
    assert ours == theirs["authorization"]


def test_credentials_that_change_are_used_at_once(
    client: JsonClient, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    get(client)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID2")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    get(client)
    first, second = (headers for headers, _ in aws.requests)
    assert "Credential=AKID/" in first["authorization"]
    assert "Credential=AKID2/" in second["authorization"]
    assert "x-amz-security-token;" in second["authorization"]
    assert (first.get("x-amz-security-token"), second["x-amz-security-token"]) == (None, "token")


def test_large_answer_is_read_whole(client: JsonClient, aws: Aws) -> None:
    """Query answers up to a megabyte, BatchGetItem up to sixteen."""
    text = "ä" * 4_000_000
    aws.answers = [(200, {"Item": {"text": {"S": text}}}, {})]
    assert get(client)["Item"]["text"]["S"] == text


@pytest.mark.parametrize(
    ("service", "variable", "host"),
    [
        ("dynamodb", None, "dynamodb.ap-south-1.amazonaws.com"),
        ("events", None, "events.ap-south-1.amazonaws.com"),
        ("sqs", None, "sqs.ap-south-1.amazonaws.com"),
        ("secretsmanager", None, "secretsmanager.ap-south-1.amazonaws.com"),
        ("ssm", None, "ssm.ap-south-1.amazonaws.com"),
        ("dynamodb", "AWS_ENDPOINT_URL", "own.example:8000"),
        ("dynamodb", "AWS_ENDPOINT_URL_DYNAMODB", "own.example:8000"),
        ("events", "AWS_ENDPOINT_URL_EVENTBRIDGE", "own.example:8000"),
        ("secretsmanager", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "own.example:8000"),
    ],
)
def test_endpoint_is_boto3s(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, service: str, variable: str | None, host: str
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    if variable:
        monkeypatch.setenv(variable, "http://own.example:8000")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    ours, theirs = (clients.client(service, boto3_only=only) for only in (False, True))
    assert isinstance(ours, JsonClient)
    assert ours._url == theirs.meta.endpoint_url.rstrip("/")
    assert ours._host == host


@pytest.mark.parametrize("missing", ["AWS_LAMBDA_FUNCTION_NAME", "AWS_ACCESS_KEY_ID"])
def test_boto3_serves_where_the_environment_has_no_credentials(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """On somebody's own machine, whose profile has them; and with SnapStart, which hands them out by HTTP."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    monkeypatch.delenv(missing)
    assert not isinstance(clients.client("dynamodb", boto3_only=False), JsonClient)


# --- errors and retries --------------------------------------------------------------------------------------------


def test_error_has_its_code_and_what_came_with_it(client: JsonClient, aws: Aws, pauses: list[float]) -> None:
    status, body, _ = failure("ConditionalCheckFailedException")
    aws.answers = [(status, {**body, "Item": {"write_id": {"S": "w"}}}, {})]
    with pytest.raises(ClientError) as raised:
        get(client)
    assert raised.value.response["Error"] == {"Code": "ConditionalCheckFailedException", "Message": "no"}
    assert raised.value.response["Item"] == {"write_id": {"S": "w"}}  # type: ignore[typeddict-item]  # as DynamoDB sends it
    assert raised.value.operation_name == "GetItem"
    assert (len(aws.requests), pauses) == (1, [])


def test_codes_that_are_retried_are_boto3s() -> None:
    throttled: Any = ThrottledRetryableChecker
    passing: Any = TransientRetryableChecker
    standard = {*throttled._THROTTLED_ERROR_CODES, *passing._TRANSIENT_ERROR_CODES}
    assert standard - {"EC2ThrottledException"} == json_client._RETRIED
    assert set(passing._TRANSIENT_STATUS_CODES) == json_client._RETRIED_STATUSES


BROKEN = [
    failure("ThrottlingException"),
    failure("ProvisionedThroughputExceededException"),
    failure("InternalServerError", 500),
    (503, {}, {}),
    (200, {"Item": {}}, {"x-amz-crc32": "1"}),
    hang_up,
    cut_off,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_passing_failure_is_tried_again_after_a_growing_pause(
    client: JsonClient, aws: Aws, pauses: list[float], broken: Any
) -> None:
    aws.answers = [broken, broken]
    assert get(client)["Item"] == {"message_id": {"S": "m"}}
    assert len(aws.requests) == 3
    assert len(pauses) == 2
    assert 0 <= pauses[0] <= 1
    assert 0 <= pauses[1] <= 2


@pytest.mark.parametrize("broken", BROKEN)
def test_after_three_tries_it_is_an_error(client: JsonClient, aws: Aws, broken: Any) -> None:
    aws.answers = [broken] * 4
    with pytest.raises((ClientError, ConnectionClosedError)):
        get(client)
    assert len(aws.requests) == 3


def test_transaction_has_one_token_for_all_tries(client: JsonClient, aws: Aws) -> None:
    aws.answers = [hang_up, failure("ThrottlingException"), (200, {}, {})]
    client.transact_write_items(TransactItems=[])
    client.transact_write_items(TransactItems=[])
    tokens = [json.loads(body)["ClientRequestToken"] for _, body in aws.requests]
    assert len(set(tokens[:3])) == 1
    assert len(set(tokens)) == 2
    assert all(1 <= len(token) <= 36 for token in tokens)


def test_service_that_is_not_there(aws: Aws, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(EndpointConnectionError):
        get(JsonClient("dynamodb", pauses.append))
    assert len(pauses) == 2


def test_service_that_does_not_answer_in_time(
    client: JsonClient, aws: Aws, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(periods, "AWS_READ_S", 0.05)
    aws.answers = [hang] * 3
    with pytest.raises(ReadTimeoutError):
        get(client)
    assert len(pauses) == 2


@pytest.mark.parametrize("skew", [-3_600, -301, 301, 86_400])
def test_clock_that_is_off_is_put_right_once(client: JsonClient, aws: Aws, skew: int) -> None:
    """AWS refuses a request whose time differs from its own by more than five minutes."""
    theirs = time.time() + skew
    refusal = failure("InvalidSignatureException", Date=formatdate(theirs, usegmt=True))
    aws.answers = [refusal]
    get(client)
    get(client)
    signed = [time.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ") for headers, _ in aws.requests]
    first, *corrected = [theirs - (time.mktime(at) - time.timezone) for at in signed]
    assert abs(first) > 250
    assert len(corrected) == 2
    assert all(abs(off) < 3 for off in corrected)


def test_wrong_credentials_are_not_taken_for_a_wrong_clock(client: JsonClient, aws: Aws) -> None:
    aws.answers = [failure("InvalidSignatureException")]
    with pytest.raises(ClientError):
        get(client)
    assert len(aws.requests) == 1


# --- connections -----------------------------------------------------------------------------------------------------


def test_connection_is_kept(client: JsonClient, aws: Aws) -> None:
    for _ in range(3):
        get(client)
    assert len(set(aws.connections)) == 1


def test_another_thread_takes_the_last_kept_connection_first(client: JsonClient, aws: Aws) -> None:
    class Taken(list[Any]):
        """Looks as if it held one; another thread has just taken it."""

        def __bool__(self) -> bool:
            return True

    client._idle = Taken()
    assert client.get_item(TableName="t", Key={})["Item"]


def test_kept_connections_that_broke_are_replaced_without_a_pause(
    client: JsonClient, aws: Aws, pauses: list[float]
) -> None:
    """The sandbox was frozen meanwhile, and the service closed them."""
    barrier = threading.Barrier(3)

    def wait(handler: Handler) -> None:
        barrier.wait(5)
        handler.send_response_only(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    aws.answers = [wait] * 3
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: get(client), range(3)))
    assert len(set(aws.connections)) == 3
    for socket in aws.sockets:
        socket.shutdown(2)
    assert get(client)["Item"] == {"message_id": {"S": "m"}}
    assert pauses == []
    assert len(aws.requests) == 4


def test_threads_share_a_client(client: JsonClient, aws: Aws) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: get(client)["Item"], range(200)))
    assert answers == [{"message_id": {"S": "m"}}] * 200
    assert len(set(aws.connections)) <= 8


def test_clock_hears_each_answer(client: JsonClient, aws: Aws) -> None:
    clock = DynamoClock(client)  # type: ignore[arg-type]  # all that it asks of a client
    aws.answers = [(200, {}, {"Date": formatdate(time.time() + 600, usegmt=True)})]
    get(client)
    assert 597_000 < clock.now() - time.time() * 1000 < 603_000


def test_tls_is_verified(aws: Aws, pauses: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, key = certificate(tmp_path, "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(root, key)
    aws.socket = context.wrap_socket(aws.socket, server_side=True, do_handshake_on_connect=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://127.0.0.1:{aws.server_port}")
    json_client._tls.cache_clear()
    with pytest.raises(SSLError):
        get(JsonClient("dynamodb", pauses.append))
    json_client._tls.cache_clear()
    monkeypatch.setenv("AWS_CA_BUNDLE", str(root))
    assert get(JsonClient("dynamodb", pauses.append))["Item"] == {"message_id": {"S": "m"}}
    json_client._tls.cache_clear()
