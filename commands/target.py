"""Which stack a command works on, one form for all commands, and how what goes wrong outside is told.

    (nothing)         the running local stack; STACK=name in the environment for another one
    --stage prod      on AWS: the stack and the region that samconfig.toml names for this stage
    --stack NAME      on AWS: any stack, in the region of the AWS environment or profile

Credentials are those of the AWS environment or profile.
"""

import argparse
import os
import re
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)
from twilio.base.exceptions import TwilioException, TwilioRestException
from urllib3.exceptions import HTTPError
from whatsapp.bootstrap import App
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.ports import PublishFailed, TwilioUnavailable
from whatsapp.domain.schedule import epoch_ms
from whatsapp.settings import ConfigurationError, Settings

from local.artifacts import ROOT
from local.aws import server_environment
from local.stacks import UsageError, running_stack

Main = Callable[[Sequence[str]], int]
SAMCONFIG = ROOT / "samconfig.toml"
OUTSIDE = (
    UsageError,
    ConfigurationError,
    ClientError,
    BotoCoreError,
    PublishFailed,
    TwilioUnavailable,
    MessagingError,
    TwilioException,
    HTTPError,
)
"""What goes wrong outside of a command: it is told in one line, without a traceback."""
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_INVALID = {"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException"}
_DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException"}


@dataclass(frozen=True, slots=True)
class Target:
    """A deployed stack, found. `stage` is empty unless it was named by one."""

    name: str
    region: str
    account: str
    stage: str
    is_local: bool
    status: str
    """CloudFormation's, such as UPDATE_COMPLETE."""
    outputs: Mapping[str, str] = field(repr=False)
    parameters: Mapping[str, str] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.name} in {'the local stack' if self.is_local else f'{self.region}, account {self.account}'}"

    @property
    def option(self) -> str:
        """How a command is told this stack again."""
        if self.is_local:
            return ""
        return f" --stage {self.stage}" if self.stage else f" --stack {self.name}"

    def app(self) -> App:
        """The product, joined by the send function's own settings, which name the queues and tables.

        Raises:
            ConfigurationError: the function lacks a setting.
        """
        function = self.outputs["SendFunctionName"]
        configuration = boto3.client("lambda").get_function_configuration(FunctionName=function)
        variables = configuration.get("Environment", {}).get("Variables", {})
        os.environ["DUE_SHARDS"] = variables.get("DUE_SHARDS", "")  # `domain/sending/message.py` reads it there
        return App(Settings.from_environ(variables))


@dataclass(frozen=True, slots=True)
class Stage:
    """What samconfig.toml says of one stage."""

    name: str
    stack: str
    region: str
    parameters: Mapping[str, str]


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--stage` and `--stack`."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--stage", default="", help="on AWS: dev or prod, as samconfig.toml describes it")
    which.add_argument("--stack", default="", help="on AWS: the name of a stack, in your environment's region")


def target_of(given: argparse.Namespace) -> Target:
    """Find the stack. From here on, boto3 leads to its account and region.

    Raises:
        UsageError: there is no such stage or stack, or no local stack is running.
    """
    if given.stage:
        stage = read_stage(given.stage)
        lead_to(stage)
        name, missing = stage.stack, f"deploy it: make deploy STAGE={stage.name}"
    elif given.stack:
        name, missing = given.stack, "is it in another region or account?"
    else:
        name, missing = _local(), "start it again: make run"
    boto3.setup_default_session()  # one that was made before does not know of the change
    stack = stack_called(name)
    if stack is None:
        region = boto3.session.Session().region_name
        raise UsageError(f"there is no stack {name} in {region}: {missing}")
    _, _, _, region, account, _ = stack["StackId"].split(":", 5)
    return Target(
        name=name,
        region=region,
        account=account,
        stage=given.stage,
        is_local=not (given.stage or given.stack),
        status=stack["StackStatus"],
        outputs={o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])},
        parameters={p["ParameterKey"]: p.get("ParameterValue", "") for p in stack.get("Parameters", [])},
    )


def stack_called(name: str) -> Any:
    """CloudFormation's description of a stack; None if there is none."""
    try:
        return boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def moment(text: str) -> int:
    """An option's time, as epoch milliseconds."""
    if (at := epoch_ms(text)) is None:
        raise argparse.ArgumentTypeError("write an ISO 8601 time with an offset, such as 2026-11-24T09:00:00+05:30")
    return at


def lead_to(stage: Stage) -> None:
    """Lead boto3 and the SAM CLI to the stage's region."""
    os.environ["AWS_DEFAULT_REGION"] = os.environ["AWS_REGION"] = stage.region


def _local() -> str:
    """Lead boto3 to the running local stack; its name."""
    try:
        stack = running_stack(os.environ.get("STACK", ""))
    except UsageError as error:
        raise UsageError(f"{error}, or say --stage dev or --stage prod for the one on AWS") from None
    for name in [n for n in os.environ if n.startswith("AWS_") or n.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ.update(server_environment(AWS_ENDPOINT_URL=stack["aws_endpoint"]))
    return str(stack["stack_name"])


def read_stage(name: str, path: Path | None = None) -> Stage:
    """What samconfig.toml deploys for this stage.

    Raises:
        UsageError: samconfig.toml has no such stage.
    """
    config = tomllib.loads((path or SAMCONFIG).read_text())
    stages = {
        key: value["deploy"]["parameters"] for key, value in config.items() if key != "version" and "deploy" in value
    }
    if name not in stages:
        raise UsageError(f"samconfig.toml has no stage {name!r}: say {' or '.join(stages)}")
    overrides = (pair.split("=", 1) for pair in stages[name].get("parameter_overrides", []))
    return Stage(name, stages[name]["stack_name"], stages[name]["region"], dict(overrides))


def placeholders(parameters: Mapping[str, str]) -> list[str]:
    """Which parameters still hold what samconfig.toml came with.

    Numbers 555-0100 to 0199 are nobody's (NANPA), and neither are the domains example.com, .net and .org (RFC 2606).
    """
    sender, mail = parameters.get("SenderAddress", ""), parameters.get("AlertEmail", "")
    found = []
    if not sender or "YOUR_" in sender or re.fullmatch(r"\+1[0-9]{3}55501[0-9]{2}", sender):
        found.append(f"SenderAddress is {sender or 'missing'}, no WhatsApp sender of yours")
    if "YOUR_" in mail or re.search(r"@example\.(com|net|org)$", mail):
        found.append(f"AlertEmail is {mail}, nobody's mailbox")
    return found


def told(error: Exception) -> str:
    """One line on what went wrong outside, and what to do. Never a secret, never a number."""
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    match error:
        case NoCredentialsError():
            return "no AWS credentials: set AWS_PROFILE, or run `aws login`, or `aws sso login` for a profile of SSO"
        case NoRegionError():
            return "no AWS region: say --stage, or set AWS_DEFAULT_REGION=ap-south-1"
        case ProfileNotFound():
            return f"{error}: `aws configure list-profiles` shows those there are"
        case EndpointConnectionError():
            return f"no connection to AWS ({error}): is the network up, and the region right?"
        case ClientError() if code in _EXPIRED:
            return "the AWS credentials have expired: sign in again (`aws sso login`)"
        case ClientError() if code in _INVALID:
            return f"AWS does not know these credentials ({code}): is it the right profile?"
        case ClientError() if code in _DENIED:
            return f"AWS does not allow it: {error.response['Error']['Message']}"
        case TwilioRestException():
            return f"Twilio answered {error.status} ({error.code}): {error.msg}"
        case TwilioException():
            return f"Twilio answered {status_of(error)}"
        case HTTPError():
            return f"Twilio does not answer ({type(error).__name__}): is the network up?"
    return str(error)


def status_of(error: TwilioException) -> int:
    """The HTTP status. A list of the SDK's raises the bare kind, with the response beside its text (9.13.0)."""
    return int(error.status if isinstance(error, TwilioRestException) else getattr(error.args[-1], "status_code", 0))


def one_line_errors(name: str) -> Callable[[Main], Main]:
    """Wrap a command's main: what goes wrong outside of it is one line on stderr, and exit status 1."""

    def wrap(main: Main) -> Main:
        @wraps(main)
        def run(arguments: Sequence[str]) -> int:
            try:
                return main(arguments)
            except OUTSIDE as error:
                print(f"{name}: {told(error)}", file=sys.stderr)
                return 1

        return run

    return wrap
