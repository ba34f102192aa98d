"""Twilio's credentials, read from Secrets Manager and cached."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import MessagingError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


NO_CREDENTIALS = (MessagingError, ClientError, BotoCoreError)
"""Errors of reading the secret: it is not filled in, or Secrets Manager does not answer."""


def why_no_credentials(error: Exception) -> str:
    """Why there are no credentials. Our own error says what to do."""
    return error.detail if isinstance(error, MessagingError) else f"no credentials for Twilio ({type(error).__name__})"


@dataclass(frozen=True, slots=True)
class TwilioCredentials:
    """The secret's content. `repr` hides its secret parts."""

    account_sid: str
    auth_token: str = field(repr=False)
    previous_auth_token: str | None = field(default=None, repr=False)
    """Accepted on webhooks too, while the token is being rotated."""
    api_key_sid: str | None = None
    api_key_secret: str | None = field(default=None, repr=False)
    webhook_shared_keys: tuple[str, ...] = field(default=(), repr=False)
    """The secrets of Twilio's shared keys, which sign webhooks in place of the token once they are switched on.
    Source: www.twilio.com/docs/usage/webhooks/webhook-shared-keys (public beta)."""

    @property
    def webhook_tokens(self) -> tuple[str, ...]:
        """The tokens that may have signed a webhook. API keys never sign."""
        return (self.auth_token, *((self.previous_auth_token,) if self.previous_auth_token else ()))


class TwilioSecret:
    """The secret, cached."""

    def __init__(
        self, client: "SecretsManagerClient", name: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._name = name
        self._monotonic = monotonic
        self._read_at = float("-inf")
        self._credentials: TwilioCredentials | None = None
        self._reading = threading.Lock()

    def get(self, *, refresh: bool = False) -> TwilioCredentials:
        """The credentials; with `refresh`, read again unless they were read a moment ago.

        Raises:
            MessagingError: `account_problem`, if the secret is not filled in.
        """
        with self._reading:  # the threads of a cold batch read it once, not once each
            age = self._monotonic() - self._read_at
            if self._credentials is None or age > periods.SECRET_KEPT_S or (refresh and age > periods.SECRET_REFRESH_S):
                self._read_at = self._monotonic()
                self._credentials = self._read()
            return self._credentials

    def _read(self) -> TwilioCredentials:
        """The secret as it is now. If it cannot be read, the cached one, which may still be valid."""
        try:
            return parse_credentials(self._text(), self._name)
        except NO_CREDENTIALS:
            if self._credentials is None:
                raise
            return self._credentials

    def _text(self) -> str:
        """The secret's text. A new stack's secret has none: Secrets Manager says that it finds no such version."""
        try:
            return self._client.get_secret_value(SecretId=self._name)["SecretString"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return ""
            raise


def parse_credentials(text: str, name: str) -> TwilioCredentials:
    """Read the secret's JSON.

    Raises:
        MessagingError: `account_problem`, with the secret's name and the missing keys, never with a value.
    """
    try:
        values = json.loads(text)
        missing = [key for key in ("account_sid", "auth_token") if not values.get(key)]
    except (ValueError, AttributeError):
        values, missing = {}, ["account_sid", "auth_token"]
    if missing:
        how = f"fill in the secret {name} with make twilio-setup (docs/deploy.md)"
        raise MessagingError(
            "account_problem",
            f"Twilio's credentials are missing ({', '.join(missing)}): {how}",
            retryable=True,
        )
    optional = {key: values.get(key) or None for key in ("previous_auth_token", "api_key_sid", "api_key_secret")}
    shared_keys = values.get("webhook_shared_keys") or []
    if not isinstance(shared_keys, list) or not all(isinstance(key, str) and key for key in shared_keys):
        raise MessagingError(
            "account_problem",
            f"webhook_shared_keys in the secret {name} must be a list of the shared keys' secrets, such as "
            '["…"]: mend it with aws secretsmanager put-secret-value',
            retryable=True,
        )
    return TwilioCredentials(
        account_sid=values["account_sid"],
        auth_token=values["auth_token"],
        webhook_shared_keys=tuple(shared_keys),
        **optional,
    )
