"""The local stack: the embedded AWS with our template deployed to it, beside an emulated Twilio.

    with Stack(Path(".local")) as stack:
        stack.aws("lambda").invoke(FunctionName=stack.outputs["SendFunctionName"], Payload=b"…")

Several stacks run side by side, each in a directory of its own.
"""

import contextlib
import json
import os
import secrets
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from whatsapp.adapters.twilio.webhook import CALLBACK_OVERRIDES

from local.artifacts import LAMBDA_PYTHON, this_machine
from local.aws import REGION, client, name_alone, server_environment
from local.claim import Claim
from local.deploy import change, delete, deploy
from local.processes import Server, free_port, start

STACK_NAME = "whatsapp"
FROM_ADDRESS = "+12025550123"
_SECONDS_TO_START = 90.0  # a busy machine: CI runs several stacks on two cores
_MOST_SYNCS = 5
_REFUSED = "refused"  # the policy by which a function is refused something


class StackError(Exception):
    """The stack runs, but one of its parts did not do its work."""


class Stack:
    """One running stack. Enter it to start it, leave it to stop it: nothing stays behind.

    Args:
        directory: where it keeps its files. One stack a directory.
        parameters: template parameters that differ from the template's defaults, such as
            `{"RateLimitSeconds": "20"}`.
        environment: variables that its servers, and so the functions, get beside their own.

    Entering raises:
        DirectoryTakenError: a stack lives there already.
        ServerError, BuildError, DeployError: it could not start. The text says why.
    """

    def __init__(
        self,
        directory: Path,
        parameters: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self._work = self.directory / "work"
        self.account_sid = f"AC{secrets.token_hex(16)}"
        self.auth_token = secrets.token_hex(16)
        self.aws_endpoint = ""
        self.twilio_url = ""
        self.twilio_media_url = ""
        self.outputs: dict[str, str] = {}
        self._parameters = dict(parameters or {})
        self._environment = dict(environment or {})
        self._servers: list[Server] = []
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
            self._claim = self._exits.enter_context(Claim(self.directory))
            shutil.rmtree(self._work, ignore_errors=True)
            self._exits.callback(shutil.rmtree, self._work, ignore_errors=True)
            (self._work / "tmp").mkdir(parents=True)
            self._start()
            self._exits = self._exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def wait(self) -> None:
        """Wait as long as the servers run: for ever, if nothing happens.

        Raises:
            ServerError: one of them ended. What the embedded AWS knew is lost with it.
        """
        while True:
            for server in self._servers:
                server.check()
            time.sleep(0.5)

    def sync_templates(self) -> None:
        """Submit the whole catalog and have WhatsApp approve it.

        Raises:
            StackError: a template did not get there.
        """
        self.tell_twilio(auto_approve=True)
        try:
            for _ in range(_MOST_SYNCS):
                answer = self.invoke("TemplateSyncFunctionName", {"task": "sync"})
                waiting = [
                    f"{t['template']} ({t['language']})" for t in answer["templates"] if t["status"] != "approved"
                ]
                if not waiting and not answer["problems"]:
                    return
        finally:
            self.tell_twilio(auto_approve=False)
        raise StackError(f"templates not approved: {', '.join(waiting)} {'; '.join(answer['problems'])}")

    def invoke(self, function_output: str, event: Mapping[str, Any]) -> Any:
        """Run a function, named by its output ("SendFunctionName", …), and return its answer.

        Raises:
            StackError: it raised. The text says what.
        """
        name = self.outputs[function_output]
        response = self.aws("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
        answer = json.loads(response["Payload"].read())
        if "FunctionError" in response:
            raise StackError(f"{name} failed: {answer.get('errorMessage', answer)}")
        return answer

    def refuse(self, function_output: str, action: str) -> None:
        """From now on AWS refuses a function this action, such as `events:PutEvents`, until `permit`."""
        deny = {"Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}]}
        self.aws("iam").put_role_policy(
            RoleName=self._role(function_output), PolicyName=_REFUSED, PolicyDocument=json.dumps(deny)
        )

    def permit(self, function_output: str) -> None:
        """AWS refuses it nothing any more but what its role lacks."""
        self.aws("iam").delete_role_policy(RoleName=self._role(function_output), PolicyName=_REFUSED)

    def _role(self, function_output: str) -> str:
        name = name_alone(self.outputs[function_output])
        role = self.aws("lambda").get_function_configuration(FunctionName=name)["Role"]
        return str(role).rpartition("/")[2]

    def change(self, parameters: Mapping[str, str]) -> None:
        """Deploy the same template with other parameters."""
        self.outputs = change(self.aws("cloudformation"), STACK_NAME, parameters)

    def delete(self) -> None:
        """Delete what CloudFormation made; what it retains stays, and so does the embedded AWS."""
        delete(self.aws("cloudformation"), STACK_NAME)

    def deploy(self, parameters: Mapping[str, str] | None = None) -> None:
        """Deploy the template, with these parameters beside the stack's own, and tell it and Twilio of each other."""
        cloudformation, s3 = self.aws("cloudformation"), self.aws("s3")
        self.outputs = deploy(cloudformation, s3, STACK_NAME, self._all_parameters() | dict(parameters or {}))
        self._introduce_twilio()

    def tell_twilio(self, **settings: Any) -> None:
        """Change settings of the emulated Twilio."""
        self.ask_twilio("POST", "configure", settings)

    def ask_twilio(self, method: str, control: str, body: Any = None) -> bytes:
        """Call one of the emulated Twilio's own controls; its answer's bytes.

        Raises:
            OSError: it refused, or does not answer.
        """
        request = urllib.request.Request(  # noqa: S310  # our own server's URL
            f"{self.twilio_url}/_emulator/{control}",
            json.dumps(body).encode() if body is not None else None,
            {"Content-Type": "application/json"},
            method=method,
        )
        with _no_proxy.open(request, timeout=30) as answer:
            return bytes(answer.read())

    def serve(self, module: str, *arguments: str) -> dict[str, str]:
        """Start one of our servers for as long as the stack runs, and return what it announces.

        The server is told `--announce FILE`, and writes `{"url": …}` there when it is ready.

        Raises:
            ServerError: it did not get ready.
        """
        announcement = self._work / f"{module}.json"
        environment = server_environment(HOME=str(self._work), TMPDIR=str(self._work / "tmp"))
        server = self._serve(module, [*arguments, "--announce", str(announcement)], environment)
        server.wait_until(announcement.exists, _SECONDS_TO_START)
        announced: dict[str, str] = json.loads(announcement.read_text())
        return announced

    def describe(self, phone_url: str | None = None) -> dict[str, Any]:
        """Where everything is."""
        return {
            "api_url": self.api_url,
            "public_url": self.api_url,
            "aws_endpoint": self.aws_endpoint,
            "region": REGION,
            "stack_name": STACK_NAME,
            "outputs": self.outputs,
            "twilio_url": self.twilio_url,
            "twilio_media_url": self.twilio_media_url,
            "phone_url": phone_url,
            "account_sid": self.account_sid,
            "auth_token": self.auth_token,
            "from_address": FROM_ADDRESS,
        }

    def announce(self, phone_url: str | None = None) -> Path:
        """Write stack.json: all is ready. It goes when the stack stops."""
        target = self.directory / "stack.json"
        draft = self._work / "stack.json"
        draft.write_text(json.dumps(self.describe(phone_url), indent=2) + "\n")
        draft.rename(target)
        self._exits.callback(target.unlink, missing_ok=True)
        return target

    def _start(self) -> None:
        self._start_aws()
        self._start_twilio()
        self.deploy()

    def _start_aws(self) -> None:
        port = free_port()
        self.aws_endpoint = f"http://127.0.0.1:{port}"
        environment = server_environment(
            GATEWAY_PORT=str(port),
            BIND_HOST="127.0.0.1",
            AUTH="true",  # a function may do what its policy says, and nothing else
            MINISTACK_REGION=REGION,
            LAMBDA_PYTHON=str(LAMBDA_PYTHON),
            HOME=str(self._work),
            TMPDIR=str(self._work / "tmp"),
            S3_DATA_DIR=str(self._work / "s3"),
            STATE_DIR=str(self._work / "state"),
            MINISTACK_WORKER_THREADS="256",  # a function's calls come in while the call that runs it waits
            SFTP_ENABLED="0",
            IOT_MTLS_ENABLED="0",
            PERMISSIONS_USED=os.environ.get("PERMISSIONS_USED", ""),
        )
        server = self._serve("local.ministack", [], environment)
        server.wait_until(lambda: _answers(f"{self.aws_endpoint}/_ministack/health"), _SECONDS_TO_START)

    def _serve(self, module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Server:
        log = self._work / f"{module}.log"
        server = start(
            module, arguments, env={**environment, **self._environment}, log=log, keep_open=self._claim.descriptor
        )
        self._exits.callback(server.stop)
        self._servers.append(server)
        return server

    def _start_twilio(self) -> None:
        account = ["--account-sid", self.account_sid, "--auth-token", self.auth_token]
        twilio = self.serve("local.twilio", "--port", "0", *account, "--from", FROM_ADDRESS)
        self.twilio_url, self.twilio_media_url = twilio["url"], twilio["media_url"]

    def _all_parameters(self) -> dict[str, str]:
        own = {"SenderAddress": FROM_ADDRESS, "TwilioBaseUrl": self.twilio_url, "Architecture": this_machine()}
        return own | self._parameters

    def _introduce_twilio(self) -> None:
        """Give our functions Twilio's credentials, and Twilio our address."""
        credentials = json.dumps({"account_sid": self.account_sid, "auth_token": self.auth_token})
        self.aws("secretsmanager").put_secret_value(SecretId=self.outputs["TwilioSecretArn"], SecretString=credentials)
        self.tell_twilio(inbound_url=f"{self.api_url}/twilio/inbound{CALLBACK_OVERRIDES}")


_no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _answers(url: str) -> bool:
    try:
        _no_proxy.open(url, timeout=1).close()
    except OSError:
        return False
    return True
