"""`make bench`: each thing beside what it is compared with, in one run; the last line is one JSON object of ratios.
`python -m tests.performance send` runs one suite (`cold`, `warm`, `send`, `rush`).

Nothing here asserts a time: the machine may be busy. Rounds are interleaved and shuffled, and ratios are taken of
medians, so that a slow minute strikes all alike.
"""

import io
import json
import random
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import certifi
import httpx

from local.artifacts import LAMBDA_PYTHON, ROOT
from local.sample_events import prepare
from local.stack import Stack
from local.twilio.callbacks import sign
from tests.performance.sandbox import HERE, Sandbox, cpu_seconds

ROUNDS = 15
SENDERS = 20
REQUESTS_EACH = 10
TWILIO_TAKES_S = 0.1
RUSH = 2_000

Request = tuple[str, dict[str, str]]
"""Body and headers."""


def main() -> None:
    """Run the suites that the arguments name, or all."""
    with tempfile.TemporaryDirectory() as directory, Stack(Path(directory, "stack")) as stack:
        stack.sync_templates()
        sandbox = Sandbox(Path(directory, "sandbox"), stack)
        suites: dict[str, Callable[[], dict[str, float]]] = {
            "cold": lambda: cold_webhook(stack, sandbox),
            "warm": lambda: warm_webhook(stack),
            "send": lambda: batch(sandbox),
            "rush": rush,
        }
        ratios = {name: ratio for suite in sys.argv[1:] or suites for name, ratio in suites[suite]().items()}
    print(json.dumps({name: round(ratio, 2) for name, ratio in ratios.items()}))


# --- cold start --------------------------------------------------------------------------------------------------


def cold_webhook(stack: Stack, sandbox: Sandbox) -> dict[str, float]:
    """CPU of a fresh process that imports the webhook and serves one message, less that of an empty process."""
    rivals = {
        "ours": ("functions.webhook.handler", True),
        "naive": ("naive_webhook", True),
        "naive, bytecode ignored": ("naive_webhook", False),
        "floor": ("floor_webhook", True),
    }
    environments = {name: sandbox.environment("Webhook", bytecode=bytecode) for name, (_, bytecode) in rivals.items()}
    event_file = stack.directory / "event.json"
    taken: dict[str, list[float]] = {name: [] for name in ("empty", *rivals)}
    for number in range(ROUNDS):
        for name in random.sample(sorted(taken), len(taken)):
            if name == "empty":
                taken[name].append(cpu_seconds(["-c", "pass"], environments["ours"]))
                continue
            event_file.write_text(json.dumps(inbound_event(stack, f"{number}{name}")))
            program = [str(HERE / "first_request.py"), rivals[name][0], str(event_file)]
            taken[name].append(cpu_seconds(program, environments[name]))
    requests = []
    for number in range(ROUNDS):
        event_file.write_text(json.dumps(inbound_event(stack, f"{number}first")))
        measured = run(environments["ours"], "first_request.py", "functions.webhook.handler", str(event_file))
        requests.append(measured["request"])
    event_file.unlink()
    own = {name: statistics.median(times) - statistics.median(taken["empty"]) for name, times in taken.items()}
    print(f"cold webhook, CPU of imports and first request, median of {ROUNDS}:")
    for name in rivals:
        print(f"  {name:25} {own[name] * 1000:6.0f} ms")
    print(f"  {'ours, after INIT':25} {statistics.median(requests) * 1000:6.0f} ms")
    return {
        "first_request_of_cold": statistics.median(requests) / own["ours"],
        "cold_webhook_vs_naive": own["ours"] / own["naive"],
        "cold_webhook_vs_naive_bytecode_ignored": own["ours"] / own["naive, bytecode ignored"],
        "cold_webhook_vs_floor": own["ours"] / own["floor"],
    }


def inbound_event(stack: Stack, seed: str) -> Any:
    """The sample text message under a sid of its own, signed for the stack."""
    form = inbound_form(stack, seed)
    sample = json.loads((ROOT / "events" / "webhook" / "text.json").read_text())
    sample["body"] = b64encode(urlencode(form).encode()).decode()
    return prepare(sample, stack.describe())


def inbound_form(stack: Stack, seed: str) -> dict[str, str]:
    """A text message's form; the same seed gives the same sid."""
    numbers = random.Random(seed)
    sid = f"SM{numbers.getrandbits(128):032x}"
    patient = f"+9196{numbers.randrange(10**8):08}"
    return {
        "MessageSid": sid,
        "SmsSid": sid,
        "AccountSid": stack.account_sid,
        "From": f"whatsapp:{patient}",
        "To": f"whatsapp:{stack.describe()['from_address']}",
        "Body": "Can I come an hour later?",
        "NumMedia": "0",
        "ProfileName": "Asha",
        "WaId": patient[1:],
    }


# --- warm --------------------------------------------------------------------------------------------------------


def warm_webhook(stack: Stack) -> dict[str, float]:
    """Answers to 20 senders at once through the HTTP API, ours beside a handler that does nothing."""
    url = stack.api_url + "/twilio/inbound"
    add_nothing(stack)

    def signed(seed: str) -> Request:
        form = inbound_form(stack, seed)
        return urlencode(form), {"X-Twilio-Signature": sign(stack.auth_token, url, form)}

    paths: dict[str, str] = {"ours": url, "nothing": stack.api_url + "/nothing"}
    taken: dict[str, list[float]] = {name: [] for name in paths}
    for number in range(4):  # the first is for warming up
        for name, path in random.sample(sorted(paths.items()), len(paths)):
            times = besiege(path, [signed(f"{number}{name}{n}") for n in range(SENDERS * REQUESTS_EACH)])
            taken[name] += times if number else []
    figures = {name: quantiles(times) for name, times in taken.items()}
    print(f"warm webhook, {SENDERS} senders at once, {len(taken['ours'])} requests each:")
    for name, (median, worst) in figures.items():
        print(f"  {name:25} p50 {median * 1000:6.1f} ms   p99 {worst * 1000:6.1f} ms")
    return {
        "warm_webhook_p50_vs_nothing": figures["ours"][0] / figures["nothing"][0],
        "warm_webhook_p99_vs_nothing": figures["ours"][1] / figures["nothing"][1],
    }


def besiege(url: str, requests: list[Request]) -> list[float]:
    """Post these from many senders at once; the seconds each took."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    with httpx.Client(trust_env=False, timeout=60, limits=httpx.Limits(max_connections=SENDERS)) as http:

        def post(one: Request) -> float:
            start = time.perf_counter()
            http.post(url, content=one[0], headers=kind | one[1]).raise_for_status()
            return time.perf_counter() - start

        with ThreadPoolExecutor(SENDERS) as senders:
            return list(senders.map(post, requests))


def quantiles(times: list[float]) -> tuple[float, float]:
    """Median and 99th percentile."""
    cuts = statistics.quantiles(times, n=100)
    return cuts[49], cuts[98]


def add_nothing(stack: Stack) -> None:
    """Add a function that does nothing to the stack's API, at `POST /nothing`."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("nothing.py", "def handler(event, context):\n    return {'statusCode': 204}\n")
    role = stack.aws("lambda").get_function_configuration(FunctionName=stack.outputs["WebhookFunctionName"])["Role"]
    function = stack.aws("lambda").create_function(
        FunctionName="nothing",
        Runtime="python3.13",
        Handler="nothing.handler",
        Role=role,
        Code={"ZipFile": code.getvalue()},
    )
    api, api_id = stack.aws("apigatewayv2"), stack.api_url.rpartition("/")[2]
    integration = api.create_integration(
        ApiId=api_id,
        IntegrationType="AWS_PROXY",
        IntegrationUri=function["FunctionArn"],
        PayloadFormatVersion="2.0",
    )
    api.create_route(ApiId=api_id, RouteKey="POST /nothing", Target=f"integrations/{integration['IntegrationId']}")


# --- send --------------------------------------------------------------------------------------------------------


class SlowTwilio(BaseHTTPRequestHandler):
    """Takes every message, after a while."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(TWILIO_TAKES_S)
        body = json.dumps({"sid": f"SM{random.getrandbits(128):032x}", "status": "queued"}).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Silence."""


@contextmanager
def slow_twilio(directory: Path) -> Iterator[dict[str, str]]:
    """Twilio over TLS, its root among as many as there really are; the environment of what shall reach it."""
    key, root, bundle = directory / "key.pem", directory / "root.pem", directory / "bundle.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=twilio", "-days", "2"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(root)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    bundle.write_text(Path(certifi.where()).read_text() + root.read_text())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(root, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), SlowTwilio)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"https://127.0.0.1:{server.server_port}"
        yield {"TWILIO_BASE_URL": url, "REQUESTS_CA_BUNDLE": str(bundle)}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def batch(sandbox: Sandbox) -> dict[str, float]:
    """A batch of ten from the send queue, beside one after the other and a loop over the SDK; Twilio takes 100 ms."""
    ours, naive = list[dict[str, float]](), list[dict[str, float]]()
    with tempfile.TemporaryDirectory() as directory, slow_twilio(Path(directory)) as twilio:
        # Faster than any sender: what is measured is what the code can do.
        environment = sandbox.environment("Send", SENDS_PER_SECOND="1000") | twilio
        for number in range(5):
            ours.append(run(environment, "ten_messages.py", str(10_000_000 + 100 * number)))
            naive.append(run(environment, "naive_send.py"))
    at_once, in_turn, cpu = (statistics.median(one[name] for one in ours) for name in ("at_once", "in_turn", "cpu"))
    loop, loop_cpu = (statistics.median(one[name] for one in naive) for name in ("seconds", "cpu"))
    print(f"send, ten messages over TLS, Twilio takes {TWILIO_TAKES_S * 1000:.0f} ms:")
    print(f"  {'as one batch':25} {10 / at_once:6.1f} messages/s   CPU {cpu * 100:5.1f} ms a message")
    print(f"  {'one after the other':25} {10 / in_turn:6.1f} messages/s")
    print(f"  {'naive loop':25} {10 / loop:6.1f} messages/s   CPU {loop_cpu * 100:5.1f} ms a message")
    return {
        "batch_speedup": in_turn / at_once,
        "batch_vs_naive_loop": loop / at_once,
        "batch_cpu_vs_naive_loop": cpu / loop_cpu,
    }


def rush() -> dict[str, float]:
    """One sweep over reminders that all become due at once."""
    command = [sys.executable, "-m", "tests.performance.rush", str(RUSH)]
    swept = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    per_second: float = swept["acted"] / swept["seconds"]
    print(f"sweep, {RUSH} reminders due at once, one pass:")
    print(f"  {swept['acted']} in {swept['seconds']:.1f} s: {per_second:.0f} messages/s")
    print(f"  CPU {swept['cpu'] / swept['acted'] * 1000:.1f} ms a message")
    return {"sweep_per_second": per_second}


def run(environment: Mapping[str, str], program: str, *arguments: str) -> dict[str, float]:
    """What a program of this folder measured in a sandbox."""
    command = [str(LAMBDA_PYTHON), "-P", str(HERE / program), *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


if __name__ == "__main__":
    main()
