"""boto3 clients for the embedded AWS, deaf to the user's own AWS profile, credentials and proxies."""

import os
from collections.abc import Iterator
from typing import Any, Final

import boto3
import botocore.session
from botocore.config import Config

REGION: Final = "ap-south-1"
# Never anybody's real credentials: the embedded AWS takes these for the account's root.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def server_environment(**variables: str) -> dict[str, str]:
    """The whole environment of a server: nothing of the user's but the search path."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": REGION,
        **CREDENTIALS,
        **variables,
    }


def session() -> boto3.Session:
    """A session that reads none of the user's AWS files and settings."""
    files = {"config_file": os.devnull, "credentials_file": os.devnull, "profile": None}
    deaf = botocore.session.Session({name: (None, None, value, None) for name, value in files.items()})
    return boto3.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
        botocore_session=deaf,
    )


def name_alone(function: str) -> str:
    """A function's name without the alias that outputs bear: what is not asked of a version wants it so."""
    return function.partition(":")[0]


def client(service: str, endpoint: str) -> Any:
    """A client of `service` ("lambda", "sqs", …) at the embedded AWS.

    Typed `Any`: boto3-stubs types only clients named by a literal. Annotate where you use it.
    """
    return session().client(
        service,  # type: ignore[call-overload]  # the overloads are for literals
        endpoint_url=endpoint,
        config=Config(proxies={}, retries={"total_max_attempts": 1}, read_timeout=150),
    )


def scan(dynamodb: Any, table: str) -> Iterator[dict[str, Any]]:
    """Every item of a table, as it is stored."""
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]


def files(s3: Any, bucket: str) -> Iterator[str]:
    """The key of every file in a bucket."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        yield from (each["Key"] for each in page.get("Contents", []))
