"""AWS's Signature Version 4 of a POST to `/`, as botocore's signer makes it; a test compares the two."""

import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache


def authorization(
    headers: Mapping[str, str], body: bytes, *, service: str, region: str, key_id: str, secret: str
) -> str:
    """The `Authorization` header of a request. `headers`: what is signed, in lower case, with `x-amz-date`."""
    at = headers["x-amz-date"]
    scope = f"{at[:8]}/{region}/{service}/aws4_request"
    signed = ";".join(sorted(headers))
    lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
    request = "\n".join(["POST", "/", "", *lines, "", signed, hashlib.sha256(body).hexdigest()])
    text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(_key(secret, scope), text.encode(), "sha256").hex()
    return f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={signed}, Signature={signature}"


@lru_cache(maxsize=8)
def _key(secret: str, scope: str) -> bytes:
    """The signing key of a day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
