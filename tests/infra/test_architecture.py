"""The import arrows: functions → use cases → domain ← adapters, and `bootstrap` alone joins the sides.

Use cases know the DynamoDB stores by name: no other store will ever be behind them. All else comes through a port.

Every import counts, also one inside a function or only for types: an arrow is an arrow.
"""

import ast
import base64
import json
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from local.artifacts import LAMBDA_PYTHON, ROOT, artifacts, build_for_this_machine
from local.aws import server_environment
from local.deploy import read_template
from local.stack import FROM_ADDRESS, Stack

SHARED = ROOT / "layers" / "shared"

# Which of our packages each may import. The most specific name counts.
MAY_IMPORT: dict[str, set[str]] = {
    "whatsapp.domain": {"whatsapp.domain"},
    "whatsapp.catalog": {"whatsapp.domain"},
    "whatsapp.use_cases": {"whatsapp.domain", "whatsapp.use_cases", "whatsapp.adapters.dynamodb"},
    "whatsapp.adapters": {"whatsapp.domain", "whatsapp.adapters"},
    "whatsapp.settings": {"whatsapp.domain"},
    "whatsapp.observability": {"whatsapp.domain"},
    "whatsapp.client": set(),  # these five are copied out of here
    "whatsapp.bus_events": set(),
    "whatsapp.consumer": {"whatsapp.client", "whatsapp.bus_events"},
    "whatsapp.testing": {"whatsapp.bus_events"},
    "whatsapp.agent_tools": {"whatsapp.bus_events", "whatsapp.client", "whatsapp.consumer"},
    "whatsapp.bootstrap": {
        "whatsapp.domain",
        "whatsapp.use_cases",
        "whatsapp.adapters",
        "whatsapp.settings",
        "whatsapp.observability",
    },
    "whatsapp": set(),
    # Not adapters: but the door's own words for what came in, and for "no", are where it is parsed.
    "functions": {
        "functions",
        "whatsapp.bootstrap",
        "whatsapp.domain",
        "whatsapp.use_cases",
        "whatsapp.observability",
        "whatsapp.adapters.twilio.webhook",
    },
}
WORKSHOP = {"commands", "examples", "local", "tools", "tests"}
OUTSIDE = {"boto3", "botocore", "twilio", "requests", "urllib3", "aws_lambda_powertools"}
MAY_TOUCH_OUTSIDE = (
    "whatsapp.adapters",
    "whatsapp.bootstrap",
    "whatsapp.client",
    "whatsapp.consumer",
    "whatsapp.observability",
    "functions",
)


def modules() -> Iterator[tuple[str, Path]]:
    for root, package in ((SHARED, "whatsapp"), (ROOT, "functions")):
        for file in sorted((root / package).rglob("*.py")):
            yield ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"), file


def imports_of(file: Path) -> set[str]:
    """Every dotted name that the file imports; `from a import b` counts as a.b."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide the arrow"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def layer_of(module: str) -> str:
    return max((package for package in MAY_IMPORT if within(module, package)), key=len)


@pytest.mark.parametrize(("module", "file"), [pytest.param(*found, id=found[0]) for found in modules()])
def test_arrows_point_inwards(module: str, file: Path) -> None:
    layer = layer_of(module)
    for name in imports_of(file):
        top = name.partition(".")[0]
        if top in {"whatsapp", "functions"}:
            allowed = any(within(name, package) for package in MAY_IMPORT[layer])
            assert allowed, f"{module} ({layer}) imports {name}"
        assert top not in WORKSHOP, f"{module} imports {name}: what ships knows nothing of the workshop"
        if top in OUTSIDE:
            assert layer.startswith(MAY_TOUCH_OUTSIDE), f"{module} ({layer}) imports {name}"


def test_only_twilios_adapters_know_twilio() -> None:
    knowing = {module for module, file in modules() if any(within(n, "twilio") for n in imports_of(file))}
    assert knowing
    assert all(within(module, "whatsapp.adapters.twilio") for module in knowing), knowing


def test_functions_use_none_of_each_other() -> None:
    for module, file in modules():
        if module.startswith("functions."):
            own = ".".join(module.split(".")[:2])
            assert all(within(n, own) for n in imports_of(file) if within(n, "functions")), module


# --- what the webhook loads ----------------------------------------------------------------------

# Runs the handler on each event, as Lambda does, and prints what it answered and what it has loaded of Twilio's.
PROBE = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
from functions.webhook.handler import lambda_handler

class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "probe"
    def get_remaining_time_in_millis(self):
        return 30_000

answers = [lambda_handler(event, Context())["statusCode"] for event in json.loads(sys.argv[2])]
print("\\n" + json.dumps([answers, sorted(sys.modules)]))
"""


def signed(stack: Stack, path: str, form: dict[str, str], **path_parameters: str) -> dict[str, object]:
    """Twilio's webhook as API Gateway hands it on."""
    signature = RequestValidator(stack.auth_token).compute_signature(stack.api_url + path, form)
    return {
        "version": "2.0",
        "rawPath": path,
        "pathParameters": path_parameters,
        "headers": {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature},
        "requestContext": {"http": {"method": "POST", "path": path}, "stage": "$default"},
        "body": base64.b64encode(urlencode(form).encode()).decode(),
        "isBase64Encoded": True,
    }


HEAVY = ("twilio.rest", "boto3", "botocore.client", "requests", "urllib3", "pydantic", "phonenumbers", "jinja2", "yaml")


def test_webhook_loads_nothing_heavy(stack: Stack, tmp_path: Path) -> None:
    """Each of these takes a tenth to a half of a second to import, while Twilio waits."""
    for artifact in artifacts(read_template()):
        with zipfile.ZipFile(build_for_this_machine(artifact)) as archive:
            archive.extractall(tmp_path)
    functions = stack.aws("lambda")
    configuration = functions.get_function_configuration(FunctionName=stack.outputs["WebhookFunctionName"])
    in_lambda = server_environment(AWS_ENDPOINT_URL=stack.aws_endpoint, AWS_LAMBDA_FUNCTION_NAME="probe")
    environment = in_lambda | configuration["Environment"]["Variables"]
    sid, known, attempt = "SM" + "0" * 32, "0" * 32, "0" * 12
    common = {"AccountSid": stack.account_sid, "MessageSid": sid}
    inbound = {"From": "whatsapp:+919812345678", "To": f"whatsapp:{FROM_ADDRESS}", "Body": "hello", "NumMedia": "0"}
    events = [
        signed(stack, "/twilio/inbound", {**common, **inbound, "WaId": "919812345678"}),
        signed(
            stack,
            f"/twilio/status/{known}/{attempt}",
            {**common, "MessageStatus": "read"},
            message_id=known,
            attempt=attempt,
        ),
    ]
    paths = [str(tmp_path), str(tmp_path / "python")]
    run = subprocess.run(
        [LAMBDA_PYTHON, "-I", "-c", PROBE, json.dumps(paths), json.dumps(events)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    answers, loaded = json.loads(run.stdout.splitlines()[-1])
    assert answers == [200, 204]
    assert "twilio.request_validator" in loaded
    assert not [name for name in loaded if any(within(name, heavy) for heavy in HEAVY)]
