"""The local stack: the embedded AWS with our template deployed to it, beside an emulated Twilio.

    with Stack(Path(".local")) as stack:
        stack.aws("lambda").invoke(FunctionName=stack.outputs["SendFunctionName"], Payload=b"…")

Several stacks run side by side, each in a directory of its own.
"""

import contextlib
import json
import platform
import secrets
import shutil
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.artifacts import LAMBDA_PYTHON
from local.aws import REGION, client, server_environment
from local.claim import Claim
from local.deploy import deploy
from local.processes import free_port, start

STACK_NAME = "whatsapp"
FROM_ADDRESS = "+12025550123"
_SECONDS_TO_START = 30.0


class Stack:
    """One running stack. Enter it to start it, leave it to stop it: nothing stays behind.

    Args:
        directory: where it keeps its files. One stack a directory.
        parameters: template parameters that differ from the template's defaults, such as
            `{"RateLimitSeconds": "20"}`.

    Entering raises:
        DirectoryTakenError: a stack lives there already.
        ServerError, BuildError, DeployError: it could not start. The text says why.
    """

    def __init__(self, directory: Path, parameters: Mapping[str, str] | None = None) -> None:
        self.directory = directory.resolve()
        self.account_sid = f"AC{secrets.token_hex(16)}"
        self.auth_token = secrets.token_hex(16)
        self.aws_endpoint = ""
        self.twilio_url = ""
        self.outputs: dict[str, str] = {}
        self._parameters = dict(parameters or {})
        self._exits = contextlib.ExitStack()

    @property
    def api_url(self) -> str:
        """Base URL of the HTTP API; also the public URL that Twilio signs."""
        return self.outputs["ApiUrl"]

    def aws(self, service: str) -> Any:
        """A boto3 client of the embedded AWS."""
        return client(service, self.aws_endpoint)

    def __enter__(self) -> Self:
        with self._exits:
            claim = self._exits.enter_context(Claim(self.directory))
            self._work = self.directory / "work"
            shutil.rmtree(self._work, ignore_errors=True)
            self._exits.callback(shutil.rmtree, self._work, ignore_errors=True)
            (self._work / "tmp").mkdir(parents=True)
            self._start_aws(claim)
            self._start_twilio(claim)
            self.outputs = deploy(
                self.aws("cloudformation"), self.aws("s3"), STACK_NAME, self._all_parameters()
            )
            self._introduce_twilio()
            self._exits = self._exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def announce(self, phone_url: str | None = None) -> Path:
        """Write stack.json: all is ready. It goes when the stack stops."""
        target = self.directory / "stack.json"
        description = {
            "api_url": self.api_url,
            "public_url": self.api_url,
            "aws_endpoint": self.aws_endpoint,
            "region": REGION,
            "stack_name": STACK_NAME,
            "outputs": self.outputs,
            "twilio_url": self.twilio_url,
            "phone_url": phone_url,
            "account_sid": self.account_sid,
            "auth_token": self.auth_token,
            "from_address": FROM_ADDRESS,
        }
        draft = self._work / "stack.json"
        draft.write_text(json.dumps(description, indent=2) + "\n")
        draft.rename(target)
        self._exits.callback(target.unlink, missing_ok=True)
        return target

    def _start_aws(self, claim: Claim) -> None:
        port = free_port()
        self.aws_endpoint = f"http://127.0.0.1:{port}"
        environment = server_environment(
            GATEWAY_PORT=str(port),
            BIND_HOST="127.0.0.1",
            MINISTACK_REGION=REGION,
            LAMBDA_PYTHON=str(LAMBDA_PYTHON),
            HOME=str(self._work),
            TMPDIR=str(self._work / "tmp"),
            S3_DATA_DIR=str(self._work / "s3"),
            STATE_DIR=str(self._work / "state"),
            SFTP_ENABLED="0",
            IOT_MTLS_ENABLED="0",
        )
        server = start(
            "local.ministack", [], env=environment, log=self._work / "aws.log", keep_open=claim.descriptor
        )
        self._exits.callback(server.stop)
        server.wait_until(lambda: _answers(f"{self.aws_endpoint}/_ministack/health"), _SECONDS_TO_START)

    def _start_twilio(self, claim: Claim) -> None:
        announcement = self._work / "twilio.json"
        arguments = ["--port", "0", "--account-sid", self.account_sid, "--auth-token", self.auth_token]
        arguments += ["--from", FROM_ADDRESS, "--announce", str(announcement)]
        environment = server_environment(HOME=str(self._work), TMPDIR=str(self._work / "tmp"))
        server = start(
            "local.twilio",
            arguments,
            env=environment,
            log=self._work / "twilio.log",
            keep_open=claim.descriptor,
        )
        self._exits.callback(server.stop)
        server.wait_until(announcement.exists, _SECONDS_TO_START)
        self.twilio_url = json.loads(announcement.read_text())["url"]

    def _all_parameters(self) -> dict[str, str]:
        machine = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
        own = {"SenderAddress": FROM_ADDRESS, "TwilioBaseUrl": self.twilio_url, "Architecture": machine}
        return own | self._parameters

    def _introduce_twilio(self) -> None:
        """Give our functions Twilio's credentials, and Twilio our address."""
        credentials = json.dumps({"account_sid": self.account_sid, "auth_token": self.auth_token})
        self.aws("secretsmanager").put_secret_value(
            SecretId=self.outputs["TwilioSecretArn"], SecretString=credentials
        )
        settings = json.dumps({"inbound_url": f"{self.api_url}/twilio/inbound", "auto_approve": True})
        request = urllib.request.Request(  # noqa: S310  # our own server's URL
            f"{self.twilio_url}/_emulator/configure",
            settings.encode(),
            {"Content-Type": "application/json"},
        )
        _no_proxy.open(request, timeout=10).close()


_no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _answers(url: str) -> bool:
    try:
        _no_proxy.open(url, timeout=1).close()
    except OSError:
        return False
    return True
