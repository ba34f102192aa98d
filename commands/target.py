"""Which deployment a command works on: the running local stack, or a send function on AWS."""

import os

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from whatsapp.bootstrap import App
from whatsapp.domain.ports import PublishFailed, TwilioUnavailable
from whatsapp.settings import ConfigurationError, Settings

from local.aws import server_environment
from local.stacks import UsageError, running_stack

ERRORS = (UsageError, ConfigurationError, ClientError, BotoCoreError, PublishFailed, TwilioUnavailable)
"""What goes wrong outside of a command: it is told in one line, without a traceback."""
HELP = "the send function on AWS; without it, the running local stack"


def published(function: str) -> str:
    """The function's version that everybody calls: by its alias, unless another one was asked for."""
    return function if ":" in function else f"{function}:live"


def app_of(function: str | None) -> App:
    """The product, joined by the send function's own settings, which name the queues and tables.

    Raises:
        UsageError: no local stack is running.
        ConfigurationError: the function lacks a setting.
    """
    if function is None:
        stack = running_stack(os.environ.get("STACK", ""))
        os.environ.update(server_environment(AWS_ENDPOINT_URL=stack["aws_endpoint"]))
        function = str(stack["outputs"]["SendFunctionName"])
    configuration = boto3.client("lambda").get_function_configuration(FunctionName=published(function))
    variables = configuration.get("Environment", {}).get("Variables", {})
    os.environ["DUE_SHARDS"] = variables.get("DUE_SHARDS", "")  # `domain/sending/message.py` reads it there
    return App(Settings.from_environ(variables))
