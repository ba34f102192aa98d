"""`make twilio-setup`, part by part: the secret in moto's Secrets Manager, the sender at the emulated Twilio."""

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import boto3
import pytest
from moto import mock_aws
from whatsapp.bootstrap import App
from whatsapp.domain.address import Address

from commands.doctor import SANDBOX, Site
from commands.target import Target
from commands.twilio_setup import PROFILE, VARIABLES, read_profile, secret, sender, steps, webhook_and_profile
from local.aws import server_environment
from local.stacks import UsageError
from local.twilio.senders import VERIFICATION_CODE
from local.twilio.server import running
from local.twilio.state import Account
from tests.app import SETTINGS

SID, TOKEN = f"AC{'1' * 32}", "a" * 32
FIRST, NEW = "+14155550100", "+14155550177"
DEV = Target(
    name="clinic-dev",
    region="ap-south-1",
    account="123456789012",
    stage="dev",
    is_local=False,
    status="CREATE_COMPLETE",
    outputs={},
    parameters={},
)


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    """An AWS account whose secret is as CloudFormation made it: without a value."""
    with patch.dict(os.environ, server_environment()), patch.object(boto3, "DEFAULT_SESSION", None), mock_aws():
        boto3.client("secretsmanager").create_secret(Name="secret")
        yield


@pytest.fixture
def account() -> Account:
    return Account(SID, TOKEN, [FIRST])


@pytest.fixture
def twilio_url(account: Account) -> Iterator[str]:
    with running(account) as server:
        yield server.url


@pytest.fixture
def site(twilio_url: str) -> Site:
    return site_of(twilio_url)


def site_of(twilio_url: str, **settings: str) -> Site:
    site = Site(DEV)
    site.app = App(replace(SETTINGS, twilio_base_url=twilio_url, **settings))  # type: ignore[arg-type]  # text only, here
    return site


def store(**values: str) -> None:
    boto3.client("secretsmanager").put_secret_value(SecretId="secret", SecretString=json.dumps(values))


def stored() -> dict[str, str]:
    client = boto3.client("secretsmanager")
    try:
        found: dict[str, str] = json.loads(client.get_secret_value(SecretId="secret")["SecretString"])
    except client.exceptions.ResourceNotFoundException:
        return {}
    return found


def set_environment(**values: str) -> None:
    os.environ.update({VARIABLES[key]: value for key, value in values.items()})


# --- the secret ------------------------------------------------------------------------------------------------------


def test_secret_is_filled_from_the_environment_and_a_former_token_kept(account: Account, site: Site) -> None:
    set_environment(account_sid=SID, auth_token=TOKEN)
    step = secret(site)
    assert TOKEN not in step.what
    assert step.act
    step.act()
    assert stored() == {"account_sid": SID, "auth_token": TOKEN}

    site = site_of(site.app.settings.twilio_base_url)
    assert secret(site).act is None, "the second time it is there"
    account.secondary_token = "c" * 32
    set_environment(auth_token="c" * 32)
    step = secret(site)
    assert step.act
    step.act()
    assert stored() == {"account_sid": SID, "auth_token": "c" * 32, "previous_auth_token": TOKEN}


def test_secret_is_asked_for_and_never_shown(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([SID, TOKEN])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))
    step = secret(site)
    assert step.act
    step.act()
    assert stored() == {"account_sid": SID, "auth_token": TOKEN}
    assert TOKEN not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("token", "says"),
    [("f" * 32, r"Twilio does not accept them \(401\): nothing was stored"), ("", "set TWILIO_AUTH_TOKEN")],
)
def test_wrong_or_missing_credentials_store_nothing(token: str, says: str, site: Site) -> None:
    set_environment(account_sid=SID, auth_token=token)
    step = secret(site)
    assert step.act
    with pytest.raises(UsageError, match=says):
        step.act()
    assert stored() == {}


def test_key_that_is_stored_stays(site: Site) -> None:
    values = {"account_sid": SID, "auth_token": TOKEN, "api_key_sid": f"SK{'1' * 32}", "api_key_secret": "s"}
    store(**values)
    set_environment(account_sid=SID, auth_token=TOKEN)
    assert secret(site).act is None
    set_environment(api_key_secret="t")
    step = secret(site)
    assert step.act
    step.act()
    assert stored() == {**values, "api_key_secret": "t"}


def test_another_account_takes_nothing_over(account: Account, site: Site) -> None:
    store(account_sid=f"AC{'2' * 32}", auth_token="b" * 32, api_key_sid=f"SK{'1' * 32}", api_key_secret="s")
    set_environment(account_sid=SID, auth_token=TOKEN)
    step = secret(site)
    assert step.act
    step.act()
    assert stored() == {"account_sid": SID, "auth_token": TOKEN}


def test_local_stack_does_not_see_the_readers_own_account() -> None:
    store(account_sid=SID, auth_token=TOKEN)
    set_environment(account_sid=f"AC{'9' * 32}", auth_token="9" * 32)
    local = Site(replace(DEV, is_local=True))
    local.app = App(SETTINGS)
    assert secret(local).act is None


def test_plan_ends_at_a_secret_that_is_empty(site: Site) -> None:
    assert [step.act is not None for step in steps(site, None)] == [True, True]
    assert stored() == {}


# --- the sender ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verification", ["automatic", "code"])
def test_second_sender_is_registered(
    verification: str, account: Account, twilio_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(account_sid=SID, auth_token=TOKEN)
    site, profile = site_of(twilio_url, sender_address=NEW), read_profile(is_real=False)
    account.settings.sender_verification = verification
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: VERIFICATION_CODE)
    step = sender(site, site.twilio, profile)
    assert step.what == f"sender: register {NEW} beside {FIRST}"
    assert step.act
    step.act()
    assert account.senders[NEW].status == "ONLINE"
    assert sender(site, site.twilio, profile).act is None, "the second time it is there"
    assert [step.act is None for step in webhook_and_profile(site, site.twilio, profile)] == [False, False]


def test_code_is_asked_for_in_a_terminal_only(account: Account, twilio_url: str) -> None:
    store(account_sid=SID, auth_token=TOKEN)
    account.settings.sender_verification = "code"
    site = site_of(twilio_url, sender_address=NEW)
    step = sender(site, site.twilio, read_profile(is_real=False))
    assert step.act
    with pytest.raises(UsageError, match="run this again in a terminal"):
        step.act()


def test_first_sender_of_an_account_is_twilios_consoles(account: Account, twilio_url: str) -> None:
    store(account_sid=SID, auth_token=TOKEN)
    account.senders.clear()
    site = site_of(twilio_url, sender_address=NEW)
    with pytest.raises(UsageError, match="first WhatsApp sender, which only Twilio's console registers"):
        sender(site, site.twilio, read_profile(is_real=False))


def test_sandbox_is_explained_and_not_touched(twilio_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    store(account_sid=SID, auth_token=TOKEN)
    planned = list(steps(site_of(twilio_url, sender_address=SANDBOX), Address.parse("+919812345678")))
    assert [step.what.partition(":")[0] for step in planned] == ["secret", "test"]
    told = capsys.readouterr().out
    assert 'send the words "join ..."' in told
    assert "https://api.example/twilio/inbound#rc=3" in told


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
