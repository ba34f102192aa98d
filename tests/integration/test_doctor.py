"""`make doctor` on the whole stack: well as it stands, and each fault is found by its check alone."""

import json
import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from whatsapp.bootstrap import App

from commands import doctor, target
from commands.doctor import Finding, Level, Site, examine
from commands.target import Target
from local.aws import server_environment
from local.stack import FROM_ADDRESS, STACK_NAME
from tests.product import Product, eventually, running

PROFILE = {
    "name": "Clinic",
    "about": "We listen",
    "address": "1 MG Road, Bengaluru",
    "description": "Psychotherapy",
    "vertical": "Medical and Health",
    "logo_url": "https://example.com/logo.png",
}


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A stack of its own: the doctor looks at all of it, and other tests leave dead letters and paused templates."""
    with running(tmp_path_factory.mktemp("doctor")) as product:
        yield product


@pytest.fixture
def stack(product: Product) -> Iterator[Target]:
    """The stack as a target, with a sender whose profile is filled in."""
    with patch.dict(os.environ), patch.object(boto3, "DEFAULT_SESSION", None):
        with patch.object(target, "running_stack", lambda _: product.stack.describe()):
            found = target.target_of(Namespace(stage="", stack=""))
        product.twilio("senders", {"address": FROM_ADDRESS, "status": "ONLINE", "profile": PROFILE})
        yield found


def of(check: str, target: Target) -> Finding:
    return next(finding for finding in examine(Site(target)) if finding.check == check)


def test_all_is_well(stack: Target, product: Product) -> None:
    product.sweep()
    eventually(lambda: of("sweep", stack).level is Level.OK)  # its log comes a moment later
    before = product.stack.aws("dynamodb").scan(TableName=stack.outputs["MessagesTableName"], Select="COUNT")["Count"]
    findings = list(examine(Site(stack)))
    assert [str(finding) for finding in findings if finding.level is not Level.OK] == []
    assert len(findings) == len(doctor.CHECKS)
    after = product.stack.aws("dynamodb").scan(TableName=stack.outputs["MessagesTableName"], Select="COUNT")["Count"]
    assert after == before, "it changes nothing"
    text = "\n".join(map(str, findings))
    assert product.stack.auth_token not in text


def senders(**changed: Any) -> Callable[[Product], None]:
    return lambda product: product.twilio("senders", {"address": FROM_ADDRESS, "status": "ONLINE", **changed})


def configure(**settings: Any) -> Callable[[Product], None]:
    return lambda product: product.twilio("configure", settings)


OFFLINE = [{"code": "63051", "message": "locked", "more_info": "https://www.twilio.com/docs/errors/63051"}]
WELL = [
    configure(account_type="Full", account_status="active", balance="100.00"),
    senders(offline_reasons=None, profile=PROFILE),
]


@pytest.mark.parametrize(
    ("make", "check", "level", "says"),
    [
        (configure(account_type="Trial"), "account", Level.WARNING, "a trial"),
        (configure(account_status="suspended"), "account", Level.FAILED, "suspended"),
        (configure(balance="4.20"), "account", Level.WARNING, "4.20 USD"),
        (configure(balance="-0.10"), "account", Level.FAILED, "-0.10 USD"),
        (senders(status="OFFLINE", offline_reasons=OFFLINE), "sender", Level.FAILED, "OFFLINE: 63051 locked"),
        (senders(profile={"logo_url": None}), "profile", Level.WARNING, "without logo_url"),
        (senders(webhook={"callback_url": "https://other.example/in"}), "webhook", Level.FAILED, "not this stack's"),
        (senders(webhook={"callback_url": ""}), "webhook", Level.FAILED, "none is set"),
    ],
)
def test_what_is_wrong_at_twilio_is_found(
    make: Callable[[Product], None], check: str, level: Level, says: str, stack: Target, product: Product
) -> None:
    url = product.twilio("state")["senders"][0]["webhook"]["callback_url"]
    try:
        make(product)
        finding = of(check, stack)
        assert (finding.level, says in finding.said) == (level, True), finding
        assert finding.do
    finally:
        for restore in (*WELL, configure(inbound_url=url)):
            restore(product)


def test_url_without_its_retries_is_a_warning(stack: Target, product: Product) -> None:
    url = product.twilio("state")["senders"][0]["webhook"]["callback_url"]
    try:
        product.twilio("configure", {"inbound_url": url.partition("#")[0]})
        assert of("webhook", stack).level is Level.WARNING
    finally:
        product.twilio("configure", {"inbound_url": url})


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"auth_token": ""}, "missing (auth_token)"),
        ({"auth_token": "mine"}, "no account sid"),
        ({"auth_token": "f" * 32}, "Twilio refuses the auth token (401)"),
        ({"api_key_sid": "SK" + "0" * 32, "api_key_secret": "x"}, "Twilio refuses the API key (401)"),
    ],
)
def test_wrong_secret_is_found_and_what_rests_on_it_is_skipped(
    changed: dict[str, str], says: str, stack: Target, product: Product
) -> None:
    """In a secret of its own, because the functions read the stack's."""
    well = {"account_sid": product.stack.account_sid, "auth_token": product.stack.auth_token}
    name = f"secret-{'-'.join(changed)}-{len(changed.get('auth_token', ''))}"
    product.stack.aws("secretsmanager").create_secret(Name=name, SecretString=json.dumps(well | changed))
    site = Site(stack)
    site.app = App(replace(site.app.settings, twilio_secret=name))
    findings = {finding.check: finding for finding in examine(site)}
    assert (findings["secret"].level, says in findings["secret"].said) == (Level.FAILED, True), findings["secret"]
    assert (findings["account"].level is Level.SKIPPED) is ("auth_token" in changed)
    assert all(value not in str(one) for value in changed.values() if len(value) > 4 for one in findings.values())


def test_sandbox_is_a_warning_and_its_settings_are_out_of_sight(stack: Target) -> None:
    site = Site(stack)
    site.app = App(replace(site.app.settings, sender_address=doctor.SANDBOX))
    levels = {finding.check: finding.level for finding in examine(site)}
    assert levels["sender"] is Level.WARNING
    assert {levels[check] for check in ("webhook", "templates", "profile")} == {Level.SKIPPED}
    assert levels["signed webhook"] is Level.OK


def test_twilio_that_does_not_answer_is_a_finding(stack: Target) -> None:
    site = Site(stack)
    site.app = App(replace(site.app.settings, twilio_base_url="http://127.0.0.1:1"))
    findings = {finding.check: finding for finding in examine(site)}
    assert findings["secret"].level is Level.FAILED
    assert findings["secret"].said == "Twilio does not answer (NewConnectionError): is the network up?"
    assert findings["account"].level is Level.SKIPPED


def test_public_url_that_is_not_ours_is_found(stack: Target) -> None:
    site = Site(stack)
    site.public_url = "http://127.0.0.1:1"
    level, said, *_ = doctor.signed_webhook(site)
    assert (level, said) == (Level.FAILED, "http://127.0.0.1:1 does not answer (ConnectError)")


def test_as_json_from_the_command_line(
    stack: Target, product: Product, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    os.environ.update(server_environment(AWS_ENDPOINT_URL=product.stack.aws_endpoint))
    product.sweep()
    eventually(lambda: of("sweep", stack).level is Level.OK)
    assert doctor.main(["--stack", STACK_NAME, "--json"]) == 2, "the sender is samconfig's placeholder"
    told = json.loads(capsys.readouterr().out)
    assert (told["stack"], told["worst"]) == ("whatsapp in ap-south-1, account 000000000000", "failed")
    (failed,) = [one for one in told["findings"] if one["level"] == "failed"]
    assert (failed["check"], "no WhatsApp sender of yours" in failed["said"]) == ("stack", True)
