"""Twilio's credentials: read seldom, and clear about what is missing."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from botocore.exceptions import ClientError
from whatsapp.adapters.twilio.credentials import (
    TwilioCredentials,
    TwilioSecret,
    parse_credentials,
)
from whatsapp.domain import periods
from whatsapp.domain.errors import MessagingError

GOOD = {"account_sid": "AC1", "auth_token": "canary-token"}


class Secrets:
    """Secrets Manager with one secret, and a count of who asked."""

    def __init__(self) -> None:
        self.text = json.dumps(GOOD)
        self.down = False
        self.error = "InternalServiceError"
        self.reads = 0

    def get_secret_value(self, SecretId: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        self.reads += 1
        if self.down:
            raise ClientError({"Error": {"Code": self.error}}, "GetSecretValue")
        return {"SecretString": self.text}


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("", "account_sid, auth_token"),
        ("not JSON canary-token", "account_sid, auth_token"),
        ("[]", "account_sid, auth_token"),
        ("{}", "account_sid, auth_token"),
        ('{"account_sid": "AC1", "auth_token": ""}', "auth_token"),
        ('{"auth_token": "canary-token"}', "account_sid"),
    ],
)
def test_missing_credentials_are_named_with_how_to_set_them(text: str, lacks: str) -> None:
    with pytest.raises(MessagingError) as raised:
        parse_credentials(text, "prod/twilio")
    assert (raised.value.code, raised.value.failure.retryable) == ("account_problem", True)
    assert f"missing ({lacks})" in raised.value.detail
    assert "prod/twilio" in raised.value.detail
    assert "canary" not in str(raised.value)


def test_secret_of_a_new_stack_is_named_with_how_to_fill_it_in() -> None:
    secrets = Secrets()
    secrets.down, secrets.error = (
        True,
        "ResourceNotFoundException",
    )  # what Secrets Manager says of one without a version
    with pytest.raises(MessagingError, match="fill in the secret prod/twilio"):
        TwilioSecret(secrets, "prod/twilio").get()  # type: ignore[arg-type]  # a stand-in


def test_repr_shows_no_secret() -> None:
    everything = TwilioCredentials("AC1", "canary-1", "canary-2", "SK1", "canary-3", ("canary-4",))
    assert "canary" not in repr(everything)


def test_both_tokens_sign_while_one_is_being_rotated() -> None:
    rotating = parse_credentials(json.dumps({**GOOD, "previous_auth_token": "old"}), "s")
    assert rotating.webhook_tokens == ("canary-token", "old")
    assert parse_credentials(json.dumps(GOOD), "s").webhook_tokens == ("canary-token",)


def test_shared_keys_are_a_list() -> None:
    shared = parse_credentials(json.dumps({**GOOD, "webhook_shared_keys": ["new", "old"]}), "s")
    assert shared.webhook_shared_keys == ("new", "old")
    assert parse_credentials(json.dumps(GOOD), "s").webhook_shared_keys == ()


@pytest.mark.parametrize("wrong", ["canary-key", {"id": "canary-key"}, [1], [""], [["canary-key"]]])
def test_shared_keys_of_another_form_are_named_without_their_value(wrong: Any) -> None:
    with pytest.raises(MessagingError, match="webhook_shared_keys in the secret prod/twilio must be a list") as raised:
        parse_credentials(json.dumps({**GOOD, "webhook_shared_keys": wrong}), "prod/twilio")
    assert "canary" not in str(raised.value)


def test_secret_is_read_once_then_kept_then_read_again() -> None:
    secrets, time = Secrets(), Time()
    secret = TwilioSecret(secrets, "s", time)  # type: ignore[arg-type]  # a stand-in
    for _ in range(3):
        secret.get()
    assert secrets.reads == 1
    time.now += periods.SECRET_KEPT_S + 1
    secret.get()
    assert secrets.reads == 2


def test_refresh_is_bounded_so_that_forgers_cannot_make_us_ask() -> None:
    secrets, time = Secrets(), Time()
    secret = TwilioSecret(secrets, "s", time)  # type: ignore[arg-type]  # a stand-in
    for _ in range(100):
        secret.get(refresh=True)
    assert secrets.reads == 1
    time.now += periods.SECRET_REFRESH_S + 1
    secrets.text = json.dumps({**GOOD, "auth_token": "new"})
    assert secret.get(refresh=True).auth_token == "new"


def test_what_served_serves_on_while_secrets_manager_is_away() -> None:
    secrets, time = Secrets(), Time()
    secret = TwilioSecret(secrets, "s", time)  # type: ignore[arg-type]  # a stand-in
    secret.get()
    secrets.down = True
    time.now += periods.SECRET_KEPT_S + 1
    assert secret.get().auth_token == "canary-token"


def test_threads_of_a_cold_batch_read_the_secret_once() -> None:
    class SlowSecrets(Secrets):
        def get_secret_value(self, SecretId: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
            found = super().get_secret_value(SecretId)
            time.sleep(0.05)
            return found

    secrets, start = SlowSecrets(), Barrier(10)
    secret = TwilioSecret(secrets, "prod/twilio")  # type: ignore[arg-type]

    def read(_: int) -> str:
        start.wait()
        return secret.get().auth_token

    with ThreadPoolExecutor(10) as threads:
        assert set(threads.map(read, range(10))) == {"canary-token"}
    assert secrets.reads == 1
