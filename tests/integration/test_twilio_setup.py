"""`make twilio-setup` against the emulated Twilio: the plan, carrying it out, again, and what it refuses."""

import json
import os
import struct
import threading
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from whatsapp.bootstrap import App
from whatsapp.domain.address import Address

from commands import target, twilio_setup
from commands.doctor import SANDBOX, Site, twilio_client
from commands.target import Target
from commands.twilio_setup import PROFILE, VARIABLES, read_profile, secret, sender, steps, webhook_and_profile
from local.stacks import UsageError
from local.twilio.senders import VERIFICATION_CODE
from local.twilio.server import running
from local.twilio.state import Account
from tests.product import Product, eventually

NEW = "+14155550177"


@pytest.fixture(autouse=True)
def local(product: Product) -> Iterator[None]:
    """The product's stack is the running local one."""
    with (
        patch.dict(os.environ),
        patch.object(boto3, "DEFAULT_SESSION", None),
        patch.object(target, "running_stack", lambda _: product.stack.describe()),
    ):
        yield


@pytest.fixture
def stack() -> Target:
    return target.target_of(Namespace(stage="", stack=""))


def site_with(stack: Target, **settings: Any) -> Site:
    """The stack with other settings, which its functions do not have."""
    site = Site(stack)
    site.app = App(replace(site.app.settings, **settings))
    return site


def our_sender(product: Product) -> dict[str, Any]:
    found: dict[str, Any] = product.twilio("state")["senders"][0]
    return found


def test_plan_then_done_then_nothing_to_do(product: Product, capsys: pytest.CaptureFixture[str]) -> None:
    hook = our_sender(product)["webhook"]
    product.twilio("senders", {"address": product.stack.describe()["from_address"], "webhook": {"callback_url": "x"}})

    assert twilio_setup.main([]) == 0
    plan = capsys.readouterr().out
    assert "todo  webhook: http://127.0.0.1:" in plan
    assert "(now: x)" in plan
    assert "todo  profile: name, about, address, description, vertical, websites, emails, logo_url" in plan
    assert "nothing was changed" in plan
    assert our_sender(product)["webhook"]["callback_url"] == "x"

    assert twilio_setup.main(["--yes"]) == 0
    found = our_sender(product)
    assert found["webhook"] == hook
    assert found["profile"]["vertical"] == "Medical and Health"
    assert "/profile/" in found["profile"]["logo_url"]

    capsys.readouterr()
    assert twilio_setup.main([]) == 0
    again = capsys.readouterr().out
    assert "todo" not in again
    assert "5 done before, 0 to do" in again
    assert product.stack.auth_token not in plan + again


def test_message_arrives_and_is_answered(product: Product, patient: str, capsys: pytest.CaptureFixture[str]) -> None:
    def answer() -> None:
        eventually(lambda: [one for one in product.ledger(patient) if one["status"] in ("delivered", "read")])
        product.write(patient, "yes")

    phone = threading.Thread(target=answer)
    phone.start()
    try:
        assert twilio_setup.main(["--yes", "--to", patient]) == 0
    finally:
        phone.join()
    told = capsys.readouterr().out
    assert " is delivered" in told or " is read" in told
    assert "an answer came" in told
    assert patient not in told


def test_phone_without_whatsapp_is_told(product: Product, patient: str, capsys: pytest.CaptureFixture[str]) -> None:
    product.twilio("patients", {"address": patient, "on_whatsapp": False})
    assert twilio_setup.main(["--yes", "--to", patient]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "63024" in line or "not_on_whatsapp" in line
    assert patient not in line


# --- the sender ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verification", ["automatic", "code"])
def test_second_sender_is_registered(
    verification: str, product: Product, stack: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = f"{NEW[:-1]}{len(verification)}"
    site = site_with(stack, sender_address=number)
    twilio = site.twilio
    profile = read_profile(is_real=False)
    monkeypatch.setattr("builtins.input", lambda _: VERIFICATION_CODE)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    product.twilio("configure", {"sender_verification": verification})
    try:
        step = sender(site, twilio, profile)
        assert "register" in step.what
        assert step.act
        step.act()
    finally:
        product.twilio("configure", {"sender_verification": "automatic"})
    assert sender(site, twilio, profile).act is None, "the second time it is there"
    assert [step.act is None for step in webhook_and_profile(site, twilio, profile)] == [False, False]


def test_first_sender_of_an_account_is_twilios_consoles(stack: Target) -> None:
    account = Account("AC" + "5" * 32, "b" * 32, [])
    with running(account) as server:
        site = site_with(stack, twilio_base_url=server.url)
        twilio = twilio_client(site.app, account.sid, account.auth_token)
        with pytest.raises(
            UsageError, match="this account's first WhatsApp sender, which only Twilio's console registers"
        ):
            sender(site, twilio, read_profile(is_real=False))


def test_sandbox_is_explained_and_not_touched(stack: Target, capsys: pytest.CaptureFixture[str]) -> None:
    planned = list(steps(site_with(stack, sender_address=SANDBOX), Address.parse("+919812345678")))
    assert [step.what.partition(":")[0] for step in planned] == ["secret", "test"]
    told = capsys.readouterr().out
    assert 'send the words "join ..."' in told
    assert "/twilio/inbound#rc=3" in told


# --- the secret ------------------------------------------------------------------------------------------------------


@pytest.fixture
def empty(product: Product, stack: Target, request: pytest.FixtureRequest) -> Site:
    """A stack on AWS whose secret is not filled in."""
    name = f"empty-{abs(hash(request.node.name))}"
    product.stack.aws("secretsmanager").create_secret(Name=name, SecretString="{}")
    return site_with(replace(stack, is_local=False, stage="dev"), twilio_secret=name)


def stored(site: Site) -> dict[str, str]:
    text = boto3.client("secretsmanager").get_secret_value(SecretId=site.app.settings.twilio_secret)["SecretString"]
    found: dict[str, str] = json.loads(text)
    return found


def test_secret_is_filled_from_the_environment_and_a_former_token_kept(product: Product, empty: Site) -> None:
    sid, token = product.stack.account_sid, product.stack.auth_token
    os.environ.update({VARIABLES["account_sid"]: sid, VARIABLES["auth_token"]: token})
    step = secret(empty)
    assert token not in step.what
    assert step.act
    step.act()
    assert stored(empty) == {"account_sid": sid, "auth_token": token}

    site = site_with(empty.target, twilio_secret=empty.app.settings.twilio_secret)
    assert secret(site).act is None, "the second time it is there"
    product.twilio("configure", {"secondary_token": "c" * 32})
    try:
        os.environ[VARIABLES["auth_token"]] = "c" * 32
        step = secret(site)
        assert step.act
        step.act()
    finally:
        product.twilio("configure", {"secondary_token": None})
    assert stored(empty) == {"account_sid": sid, "auth_token": "c" * 32, "previous_auth_token": token}


def test_secret_is_asked_for_and_never_shown(
    product: Product, empty: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([product.stack.account_sid, product.stack.auth_token])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))
    step = secret(empty)
    assert step.act
    step.act()
    assert stored(empty)["auth_token"] == product.stack.auth_token
    assert product.stack.auth_token not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("token", "says"),
    [("f" * 32, r"Twilio does not accept them \(401\): nothing was stored"), ("", "set TWILIO_AUTH_TOKEN")],
)
def test_wrong_or_missing_credentials_store_nothing(token: str, says: str, product: Product, empty: Site) -> None:
    os.environ.update({VARIABLES["account_sid"]: product.stack.account_sid, VARIABLES["auth_token"]: token})
    step = secret(empty)
    assert step.act
    with pytest.raises(UsageError, match=says):
        step.act()
    assert stored(empty) == {}


def test_key_that_is_stored_stays(product: Product, empty: Site) -> None:
    values = {"account_sid": product.stack.account_sid, "auth_token": product.stack.auth_token}
    key = {"api_key_sid": "SK" + "1" * 32, "api_key_secret": "s"}
    name = empty.app.settings.twilio_secret
    boto3.client("secretsmanager").put_secret_value(SecretId=name, SecretString=json.dumps(values | key))
    os.environ.update({VARIABLES["account_sid"]: values["account_sid"], VARIABLES["auth_token"]: values["auth_token"]})
    assert secret(empty).act is None
    os.environ[VARIABLES["api_key_secret"]] = "t"
    step = secret(empty)
    assert step.act
    step.act()
    assert stored(empty) == {**values, **key, "api_key_secret": "t"}


def test_local_stack_does_not_see_the_readers_own_account(stack: Target) -> None:
    os.environ.update({VARIABLES["account_sid"]: "AC" + "9" * 32, VARIABLES["auth_token"]: "9" * 32})
    assert secret(Site(stack)).act is None


# --- the profile -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "Sample Clinic"', 'name = ""', "name is missing"),
        ('vertical = "Medical and Health"', "", "vertical is missing"),
        ('about = "', f'about = "{"x" * 139}', "139 at most"),
        ('logo = "logo.png"', 'logo = "other.png"', "logo: other.png is no PNG or JPEG there"),
    ],
)
def test_profile_that_cannot_be_is_refused(old: str, new: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "profile.toml"
    (tmp_path / "logo.png").write_bytes(b"")
    file.write_text(PROFILE.read_text().replace(old, new))
    with pytest.raises(UsageError, match=says):
        read_profile(file, is_real=False)


def test_sample_profile_is_for_no_real_sender() -> None:
    with pytest.raises(UsageError, match=r"^profile/profile.toml: it is still the sample$"):
        read_profile(is_real=True)


def test_logo_fits_whatsapp() -> None:
    logo = read_profile(is_real=False)["logo"].read_bytes()
    width, height, _, colour = struct.unpack(">IIBB", logo[16:26])
    assert 192 <= width == height <= 640
    assert colour == 2, "no transparency, which WhatsApp shows as black"
    assert len(logo) < 5 * 1024 * 1024
