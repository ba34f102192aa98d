"""HTTP calls to the API as its callers make them: signed with AWS credentials."""

import json
from typing import Any

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.aws import CREDENTIALS, REGION

ONE_EACH = httpx.Limits(max_keepalive_connections=0)
"""A connection for each request: a server may close a kept one, after 5 s as httpx does, just as it is used again."""


class SignedHttp:
    """A client of the HTTP API's IAM routes."""

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url.rstrip("/")
        self._http = httpx.Client(trust_env=False, timeout=40, limits=ONE_EACH)
        keys = Credentials(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
        self._signer = SigV4Auth(keys, "execute-api", REGION)

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """Make one signed request."""
        content = json.dumps(body).encode() if body is not None else b""
        signed = AWSRequest(method, self._api_url + path, data=content, headers={"Content-Type": "application/json"})
        self._signer.add_auth(signed)
        return self._http.request(method, self._api_url + path, content=content, headers=dict(signed.headers.items()))

    def get(self, path: str) -> httpx.Response:
        """GET."""
        return self.request("GET", path)

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """POST a JSON body."""
        return self.request("POST", path, body)
