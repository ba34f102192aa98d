"""A client for each AWS service."""

import os
import threading
from typing import Any

from whatsapp.adapters.aws.json_client import SERVICES, JsonClient
from whatsapp.domain import periods

_MAKING_CLIENT = threading.Lock()
"""boto3's session is not for several threads (its guide, "Session")."""
_IN_LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME", "AWS_ACCESS_KEY_ID"}


def client(service: str, *, boto3_only: bool) -> Any:
    """Our own client for what speaks JSON, where Lambda's environment holds region and credentials; else boto3's."""
    if service in SERVICES and not boto3_only and os.environ.keys() >= _IN_LAMBDA:
        return JsonClient(service)
    return _boto3(service)


def _boto3(service: str) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=periods.AWS_CONNECT_S,
        read_timeout=periods.AWS_READ_S,
        retries={"mode": "standard", "total_max_attempts": 3},
    )
    if service == "s3":
        # Else a medium's link names S3's global host: that redirects on a bucket's first day, and breaks the signature.
        config = config.merge(Config(signature_version="s3v4", s3={"addressing_style": "virtual"}))
    with _MAKING_CLIENT:
        return boto3.client(service, config=config)  # type: ignore[call-overload]  # the stubs know each service by its literal name
