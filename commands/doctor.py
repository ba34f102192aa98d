"""Looks at a deployed stack and its Twilio account, and says what is wrong and what to do. It changes nothing.

    make doctor                 the running local stack
    make doctor STAGE=prod      on AWS, with the real Twilio account
    python -m commands.doctor --stage prod --json

One line a check. The exit status is that of the worst: 0 all is well, 1 warnings, 2 something fails (make itself ends
with 2 for both).
On AWS it reads: CloudFormation, Lambda's configurations and limits, the send function's log, the topic's
subscriptions, the dead-letter queue's length, Twilio's secret, the templates' table. At Twilio it reads the account and
its senders.
"""

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

import boto3
import httpx
from twilio.base.exceptions import TwilioException
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from urllib3.exceptions import HTTPError
from whatsapp.adapters.twilio.credentials import TwilioCredentials
from whatsapp.adapters.twilio.http import Connections, HttpClient
from whatsapp.adapters.twilio.webhook import CALLBACK_OVERRIDES
from whatsapp.bootstrap import App
from whatsapp.domain import periods
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.templates.version import PENDING, RECEIVED, UNSUBMITTED, serving_version
from whatsapp.use_cases.record_status import NO_MESSAGE

from commands.target import OUTSIDE, Target, add_options, placeholders, status_of, target_of, told

SANDBOX = "+14155238886"
"""Twilio's shared sandbox. Source: www.twilio.com/docs/whatsapp/sandbox."""
PROFILE = ("name", "about", "address", "description", "vertical", "logo_url")
"""What patients see of us: the fields of a sender's business profile that we fill in."""
_FOR_WEBHOOKS = 20
"""Executions at once that webhooks and schedules need beside the send queue's workers: 80 messages a second bring 240
callbacks of 30 ms each, with room for cold starts. A new AWS account has 10 in all."""
_SWEEP_SILENT_S = 600
"""As long as SweepSilentAlarm waits."""
_LOW_BALANCE = 10.0
NOT_SYNCED = "not synced"
_UNDECIDED = {NOT_SYNCED, UNSUBMITTED, RECEIVED, PENDING}
"""Statuses of a wording that WhatsApp has not decided on yet."""


class Level(StrEnum):
    """How bad a finding is, in this order."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    FAILED = "failed"


EXIT = {Level.OK: 0, Level.SKIPPED: 0, Level.WARNING: 1, Level.FAILED: 2}
"""The exit status, by the worst finding."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `do` is what helps, if anything is wrong."""

    check: str
    level: Level
    said: str
    do: str = ""

    def __str__(self) -> str:
        line = f"{self.level:<8} {self.check:<15} {self.said}"
        return f"{line} -> {self.do}" if self.do else line


class SkippedError(Exception):
    """What this check would look at is out of reach; another check says why."""


Verdict = tuple[Level, str] | tuple[Level, str, str]


class Site:
    """The stack and its Twilio account. Each part is looked at once.

    A part raises SkippedError if what it rests on is missing, which the check before it has told.
    """

    def __init__(self, target: Target) -> None:
        self.target = target

    @cached_property
    def app(self) -> App:
        return self.target.app()

    @cached_property
    def public_url(self) -> str:
        return self.app.settings.public_url or self.app.api_url

    @cached_property
    def credentials(self) -> TwilioCredentials:
        try:
            return self.app.twilio_secret.get()
        except OUTSIDE as error:
            raise SkippedError("no credentials") from error

    @cached_property
    def twilio(self) -> Client:
        """By the auth token: a Standard API key may not see the account."""
        return twilio_client(self.app, self.credentials.account_sid, self.credentials.auth_token)

    @cached_property
    def account(self) -> Any:
        try:
            return self.twilio.api.v2010.accounts(self.credentials.account_sid).fetch()
        except (TwilioException, HTTPError) as error:
            raise SkippedError("Twilio does not accept the credentials") from error

    @cached_property
    def sender(self) -> Any:
        _ = self.account
        if self.app.settings.sender_address == SANDBOX:
            raise SkippedError("the sandbox's settings are in Twilio's console only")
        found = find_sender(self.twilio, self.app.settings.sender_address)
        if found is None:
            raise SkippedError("no such sender")
        return found


def twilio_client(app: App, user: str, password: str, account_sid: str | None = None) -> Client:
    """The SDK's client, as the product uses it, for these credentials."""
    http = HttpClient(Connections(app.clock), app.settings.twilio_base_url)
    return Client(user, password, account_sid, http_client=http)


def find_sender(twilio: Client, address: str) -> Any:
    """The WhatsApp sender with that number, or None."""
    senders = twilio.messaging.v2.channels_senders.list(channel="whatsapp")
    return next((sender for sender in senders if sender.sender_id == f"whatsapp:{address}"), None)


# --- AWS -------------------------------------------------------------------------------------------------------------


def identity(site: Site) -> Verdict:
    """Who asks, and where."""
    arn = boto3.client("sts").get_caller_identity()["Arn"]
    said = f"{arn}, in {site.target.region}"
    if arn.endswith(":root") and not site.target.is_local:
        return Level.WARNING, f"{said}: the account's root", "use a role or SSO: docs/deploy.md"
    return Level.OK, said


def concurrency(site: Site) -> Verdict:
    """Whether the account lets enough functions run at once."""
    limits = boto3.client("lambda").get_account_settings()["AccountLimit"]
    free, workers = limits["UnreservedConcurrentExecutions"], site.app.settings.send_concurrency
    said = f"{free} of {limits['ConcurrentExecutions']} executions at once are free, the send queue uses {workers}"
    if free < workers + _FOR_WEBHOOKS:
        quota = "Service Quotas, Lambda, Concurrent executions (L-B99A9384)"
        return Level.WARNING, f"{said}: webhooks may be throttled", f"ask for 1,000 under {quota}"
    return Level.OK, said


def stack(site: Site) -> Verdict:
    """Whether the last deployment went through, with your own values."""
    target = site.target
    if found := [] if target.is_local else placeholders(target.parameters):
        return Level.FAILED, "; ".join(found), f"edit samconfig.toml, then {_deploy(target)}"
    if target.status.endswith("_IN_PROGRESS"):
        return Level.WARNING, f"{target.status}: a deployment is on its way", "look again when it has ended"
    if target.status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        return Level.FAILED, target.status, "the last deployment failed: docs/deploy.md#when-a-step-is-refused"
    return Level.OK, target.status


def sweep(site: Site) -> Verdict:
    """Whether the minute's sweep runs: each one logs its metrics, DueStale among them."""
    function = boto3.client("lambda").get_function_configuration(FunctionName=site.target.outputs["SendFunctionName"])
    now = time.time()
    pages = (
        boto3.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=function["LoggingConfig"]["LogGroup"],
            startTime=int((now - _SWEEP_SILENT_S) * 1000),
            filterPattern='"DueStale"',
        )
    )
    times = [event["timestamp"] for page in pages for event in page["events"]]
    if times:
        return Level.OK, f"the last one ended {now - max(times) / 1000:.0f} s ago"
    silent = f"none has ended for {_SWEEP_SILENT_S // 60} minutes"
    deployed = _seconds_since(function["LastModified"])
    if deployed < 3 * periods.MINUTE / periods.SECOND:
        return Level.WARNING, f"none has ended; deployed {deployed:.0f} s ago", "look again in three minutes"
    return Level.FAILED, silent, "docs/operations.md#sweepsilentalarm"


def alerts(site: Site) -> Verdict:
    """Whether somebody gets the alerts."""
    topic = site.target.outputs["AlertTopicArn"]
    pages = boto3.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    found = [one for page in pages for one in page["Subscriptions"]]
    if any(re.search(r"@example\.(com|net|org)$", one["Endpoint"]) for one in found):
        return (
            Level.FAILED,
            "they go to a placeholder",
            f"set AlertEmail in samconfig.toml, then {_deploy(site.target)}",
        )
    confirmed = [one for one in found if one["SubscriptionArn"].startswith("arn:")]
    if not found:
        return Level.FAILED, "nobody is told", f"set AlertEmail in samconfig.toml, then {_deploy(site.target)}"
    if not confirmed:
        return Level.FAILED, "the subscription is not confirmed", "open the mail from AWS Notifications, and confirm it"
    counted = Counter(one["Protocol"] for one in confirmed)
    return Level.OK, "confirmed: " + ", ".join(f"{number} by {protocol}" for protocol, number in counted.items())


def dead_letters(site: Site) -> Verdict:
    """Whether sends were given up."""
    url = site.target.outputs["SendDeadLetterQueueUrl"]
    found = boto3.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    count = int(found["ApproximateNumberOfMessages"]) + int(found["ApproximateNumberOfMessagesNotVisible"])
    if count:
        look = f".venv/bin/python -m commands.dead_letters list{site.target.option}"
        return Level.WARNING, f"{count} wait{'s' if count == 1 else ''}", look
    return Level.OK, "none"


# --- Twilio ----------------------------------------------------------------------------------------------------------


def secret(site: Site) -> Verdict:
    """Whether the secret holds credentials that Twilio takes, both the token's and the key's."""
    fill = f"make twilio-setup{_stage(site.target)} fills it in"
    try:
        credentials = site.app.twilio_secret.get()
    except MessagingError as error:
        return Level.FAILED, told(error), fill
    if not re.fullmatch("AC[0-9a-f]{32}", credentials.account_sid) or not re.fullmatch(
        "[0-9a-f]{32}", credentials.auth_token
    ):
        return Level.FAILED, "no account sid (AC and 32 hex digits) with an auth token (32 hex digits)", fill
    try:
        site.twilio.api.v2010.accounts(credentials.account_sid).fetch()
    except TwilioException as error:
        if status_of(error) != 401:
            raise
        return Level.FAILED, "Twilio refuses the auth token (401)", f"was it rotated? {fill}"
    if not credentials.api_key_sid:
        return Level.OK, f"{credentials.account_sid}, by its auth token"
    key = twilio_client(site.app, credentials.api_key_sid, credentials.api_key_secret or "", credentials.account_sid)
    try:
        key.messages.list(limit=1)
    except TwilioException as error:
        if status_of(error) not in (401, 403):
            raise
        return Level.FAILED, f"Twilio refuses the API key ({status_of(error)})", f"make a Standard key; {fill}"
    return Level.OK, f"{credentials.account_sid}, by an API key and the auth token"


def account(site: Site) -> Verdict:
    """Whether the account may send to everybody."""
    found = site.account
    if found.status != "active":
        return Level.FAILED, f"{found.status}", "Twilio's console says why; ask its support"
    if found.type == "Trial":
        level = Level.FAILED if site.target.stage == "prod" else Level.WARNING
        return level, "a trial: 50 messages a day, and no sender of your own", "upgrade it in Twilio's console"
    if found.owner_account_sid != found.sid:
        return Level.OK, "active; a subaccount, whose parent pays"
    money = site.twilio.api.v2010.accounts(found.sid).balance.fetch()
    said = f"active; {money.balance} {money.currency}"
    if float(money.balance) < _LOW_BALANCE:
        level = Level.FAILED if float(money.balance) <= 0 else Level.WARNING
        return level, said, "recharge it in Twilio's console, or set auto-recharge"
    return Level.OK, said


def sender(site: Site) -> Verdict:
    """Whether our WhatsApp sender is online."""
    _ = site.account
    address = site.app.settings.sender_address
    if address == SANDBOX:
        what = "the sandbox: only who has joined it, for three days, gets anything"
        return Level.WARNING, what, "good for trying: docs/deploy.md#the-sandbox"
    found = find_sender(site.twilio, address)
    if found is None:
        return (
            Level.FAILED,
            f"{address} is no WhatsApp sender of this account",
            f"make twilio-setup{_stage(site.target)}",
        )
    if found.status not in ("ONLINE", "ONLINE:UPDATING"):
        reasons = "; ".join(f"{one['code']} {one['message']}" for one in found.offline_reasons or ())
        return (
            Level.FAILED,
            f"{found.status}{f': {reasons}' if reasons else ''}",
            "docs/deploy.md#when-a-step-is-refused",
        )
    properties = found.properties or {}
    quality, limit = properties.get("quality_rating"), properties.get("messaging_limit")
    level = Level.WARNING if quality == "LOW" else Level.OK
    return level, f"{address} {found.status}, quality {quality}, {limit}"


def webhook(site: Site) -> Verdict:
    """Whether what patients write comes to this stack, with Twilio's retries on."""
    wanted = webhook_url(site)
    hook = site.sender.webhook or {}
    url, do = hook.get("callback_url") or "", f"make twilio-setup{_stage(site.target)}"
    if url == wanted and (hook.get("callback_method") or "POST") == "POST":
        return Level.OK, url
    if not url:
        return Level.FAILED, "none is set: what patients write goes nowhere", do
    if url.partition("#")[0] != wanted.partition("#")[0] or url == wanted:
        return Level.FAILED, f"{hook.get('callback_method')} {url} is not this stack's", do
    return Level.WARNING, f"without {CALLBACK_OVERRIDES} Twilio tries once only", do


def webhook_url(site: Site) -> str:
    """Where Twilio has to bring what patients write."""
    return f"{site.public_url}/twilio/inbound{CALLBACK_OVERRIDES}"


def signed_webhook(site: Site) -> Verdict:
    """Whether the stack answers what Twilio signs: a status of no message, which it does not store."""
    credentials = site.credentials
    url = f"{site.public_url}/twilio/status/{NO_MESSAGE}/{'0' * 12}"
    form = {"AccountSid": credentials.account_sid, "MessageSid": f"SM{'0' * 32}", "MessageStatus": "queued"}
    signature = RequestValidator(credentials.auth_token).compute_signature(url, form)
    try:
        with httpx.Client(timeout=20, trust_env=not site.target.is_local) as http:
            answer = http.post(url, data=form, headers={"X-Twilio-Signature": signature})
    except httpx.HTTPError as error:
        return (
            Level.FAILED,
            f"{site.public_url} does not answer ({type(error).__name__})",
            "is PublicUrl right, and its DNS?",
        )
    if answer.status_code == httpx.codes.NO_CONTENT:
        return Level.OK, f"answered in {answer.elapsed.total_seconds() * 1000:.0f} ms"
    if answer.status_code == httpx.codes.FORBIDDEN:
        return Level.FAILED, "the stack refuses what the auth token signs", "docs/operations.md#badsignaturesalarm"
    return Level.FAILED, f"HTTP {answer.status_code}", "docs/operations.md#webhookerrorsalarm"


def templates(site: Site) -> Verdict:
    """Whether each wording of the catalog can be sent."""
    if site.app.settings.sender_address == SANDBOX:
        raise SkippedError("the sandbox sends none of ours")
    states: dict[str, Counter[str]] = {}
    waiting: list[str] = []
    refused: list[str] = []
    for template in site.app.catalog:
        versions = site.app.templates.versions(template.name)
        for language in template.languages:
            current = template.version(language)
            status = next((one.status for one in versions if one.version == current), NOT_SYNCED)
            states.setdefault(language, Counter())[status] += 1
            if serving_version(template, language, versions) is None:
                (waiting if status in _UNDECIDED else refused).append(f"{template.name} ({language})")
    said = "; ".join(
        f"{language} " + ", ".join(f"{number} {status}" for status, number in counted.items())
        for language, counted in states.items()
    )
    look = f".venv/bin/python -m commands.templates plan{site.target.option}"
    if refused:
        return Level.FAILED, f"{said}. Cannot be sent: {', '.join(refused)}", look
    if waiting:
        return Level.WARNING, f"{said}. Not sent before WhatsApp approves them: {', '.join(waiting)}", look
    return Level.OK, said


def profile(site: Site) -> Verdict:
    """Whether patients see who writes to them."""
    filled = site.sender.profile or {}
    if missing := [name for name in PROFILE if not filled.get(name)]:
        return Level.WARNING, f"without {', '.join(missing)}", f"make twilio-setup{_stage(site.target)}"
    return Level.OK, f"{filled['name']}, {filled['vertical']}"


CHECKS: tuple[Callable[[Site], Verdict], ...] = (
    identity,
    concurrency,
    stack,
    sweep,
    alerts,
    dead_letters,
    secret,
    account,
    sender,
    webhook,
    signed_webhook,
    templates,
    profile,
)


def examine(site: Site) -> Iterator[Finding]:
    """Every check's finding, in order. What a check cannot find out is a failure of that check alone."""
    for check in CHECKS:
        name = check.__name__.replace("_", " ")
        try:
            yield Finding(name, *check(site))
        except SkippedError as skipped:
            yield Finding(name, Level.SKIPPED, str(skipped))
        except OUTSIDE as error:
            yield Finding(name, Level.FAILED, told(error))


def main(arguments: Sequence[str]) -> int:
    """Look at everything; the exit status is that of the worst finding."""
    parser = argparse.ArgumentParser(
        prog="python -m commands.doctor", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object in place of lines")
    add_options(parser)
    given = parser.parse_args(arguments)
    findings: list[Finding] = []
    heading = ""
    try:
        target = target_of(given)
        heading = str(target)
        if not given.json:
            print(heading, flush=True)
        for finding in examine(Site(target)):
            findings.append(finding)
            if not given.json:
                print(finding, flush=True)
    except OUTSIDE as error:
        findings.append(Finding("stack", Level.FAILED, told(error)))
        if not given.json:
            print(findings[-1])
    worst = max((finding.level for finding in findings), key=list(Level).index)
    if given.json:
        print(json.dumps({"stack": heading, "worst": worst, "findings": [asdict(one) for one in findings]}, indent=2))
    else:
        counted = Counter(finding.level for finding in findings)
        print(
            f"{len(findings)} check{'' if len(findings) == 1 else 's'}: "
            + ", ".join(f"{counted[level]} {level}" for level in Level if counted[level])
        )
    return EXIT[worst]


def _stage(target: Target) -> str:
    return f" STAGE={target.stage}" if target.stage else ""


def _deploy(target: Target) -> str:
    return f"make deploy{_stage(target)}"


def _seconds_since(text: str) -> float:
    """Lambda's LastModified, such as 2026-11-29T09:00:00.000+0000."""
    return (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
