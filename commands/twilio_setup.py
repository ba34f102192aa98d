"""Sets up a stack's side of Twilio: secret, sender, webhook, profile and templates; then sends a test message.

    make twilio-setup                            the running local stack and its emulated Twilio: a dry run
    make twilio-setup STAGE=dev                  a dry run: the plan
    make twilio-setup STAGE=dev YES=1            do it; again, it does what is still to do
    make twilio-setup STAGE=dev YES=1 TO=+91…    and send that phone a message, and wait for its delivery and an answer

The credentials come from TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN (with a key also TWILIO_API_KEY_SID and
TWILIO_API_KEY_SECRET), or are asked for; never from arguments, which other users of the machine can read. The profile
is that of profile/.
"""

import argparse
import getpass
import hashlib
import json
import os
import sys
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError
from twilio.base.exceptions import TwilioException
from twilio.rest import Client
from whatsapp.adapters.twilio.credentials import TwilioSecret
from whatsapp.domain.address import Address
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.templates.version import serving_version

from commands.doctor import SANDBOX, Site, find_sender, twilio_client, webhook_url
from commands.target import Target, add_options, one_line_errors, status_of, target_of
from commands.templates import report, sync
from local.artifacts import ROOT
from local.stacks import UsageError

PROFILE = ROOT / "profile" / "profile.toml"
SENDERS = "https://messaging.twilio.com/v2/Channels/Senders"
LIMITS = {"name": 100, "about": 139, "address": 256, "description": 512}
"""The most characters of each text; Meta's, of its business profile."""
VARIABLES = {
    "account_sid": "TWILIO_ACCOUNT_SID",
    "auth_token": "TWILIO_AUTH_TOKEN",
    "api_key_sid": "TWILIO_API_KEY_SID",
    "api_key_secret": "TWILIO_API_KEY_SECRET",
}
"""Where each credential is in the environment. The first two are the Twilio SDK's own names."""
REGISTERED_WITHIN_S = 300
ARRIVES_WITHIN_S = 60
ANSWERED_WITHIN_S = 300
THE_SANDBOX = f"""\
{SANDBOX} is Twilio's sandbox, which many accounts share.
  It can: exchange free text, media and buttons within 24 hours of a message from the phone.
  It cannot: send our templates, bear our name, or write to a phone that has not joined in the last three days.
  By hand, because Twilio has no API for it (console: Messaging, Try it out, Send a WhatsApp message):
  1. Sandbox settings, "When a message comes in": {{url}}, method POST
  2. on each phone, send the words "join ..." that the console shows to {SANDBOX}; again every three days"""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do; `act` is None if it is done already."""

    what: str
    act: Callable[[], None] | None = None

    def __str__(self) -> str:
        return f"  {'todo' if self.act else 'done'}  {self.what}"


@one_line_errors("twilio-setup")
def main(arguments: Sequence[str]) -> int:
    """Show the plan; with --yes, carry it out."""
    parser = argparse.ArgumentParser(
        prog="python -m commands.twilio_setup",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--yes", action="store_true", help="do it; without it, only the plan is shown")
    parser.add_argument("--to", default="", help="a phone of yours, which gets a test message")
    add_options(parser)
    given = parser.parse_args(arguments)
    to = Address.parse(given.to) if given.to else None
    target = target_of(given)
    print(target)
    done = todo = 0
    for step in steps(Site(target), to):  # each is planned when those before it are done
        print(step, flush=True)
        if step.act is None:
            done += 1
            continue
        todo += 1
        if given.yes:
            step.act()
    rest = "done now" if given.yes else "to do; nothing was changed: YES=1 (--yes) does it"
    print(f"{done} done before, {todo} {rest}")
    return 0


def steps(site: Site, to: Address | None) -> Iterator[Step]:
    """What there is to do, in order. A dry run sees as far as the stored credentials lead."""
    yield secret(site)
    try:
        credentials = TwilioSecret(boto3.client("secretsmanager"), site.app.settings.twilio_secret).get()
    except (MessagingError, ClientError):
        yield Step("the rest is planned once the secret is filled in", lambda: None)
        return
    twilio = twilio_client(site.app, credentials.account_sid, credentials.auth_token)
    if site.app.settings.sender_address == SANDBOX:
        print(THE_SANDBOX.format(url=webhook_url(site)))
    else:
        profile = read_profile(is_real=not site.target.is_local)
        yield sender(site, twilio, profile)
        yield from webhook_and_profile(site, twilio, profile)
        yield templates(site.target)
    if to:
        yield Step(f"test: a message to {to.masked}, and an answer", lambda: converse(site, to))


# --- the secret ------------------------------------------------------------------------------------------------------


def secret(site: Site) -> Step:
    """Fill the secret in, from the environment or by asking, unless it holds the same already."""
    stored = _stored(site)
    names = {} if site.target.is_local else VARIABLES  # the local stack has nothing to do with your own account
    given = {key: os.environ[name] for key, name in names.items() if os.environ.get(name)}
    if stored and given.get("account_sid", stored["account_sid"]) == stored["account_sid"]:
        if given.items() <= stored.items():
            return Step(f"secret: {stored['account_sid']}")
        given = stored | given
        if given["auth_token"] != stored["auth_token"]:
            given["previous_auth_token"] = stored["auth_token"]  # Twilio signs by it until the new one is primary
    return Step("secret: fill in the credentials, once Twilio accepts them", lambda: _fill(site, given))


def _stored(site: Site) -> dict[str, str] | None:
    """What the secret holds; None while it is empty."""
    try:
        found = site.app.twilio_secret.get()
    except MessagingError:
        return None
    return {key: value for key, value in asdict(found).items() if value}


def _fill(site: Site, values: dict[str, str]) -> None:
    for key in ("account_sid", "auth_token"):
        if not values.get(key):
            if not sys.stdin.isatty():
                raise UsageError(f"set {VARIABLES[key]} in the environment: there is no terminal to ask at")
            values[key] = getpass.getpass(f"{VARIABLES[key]} (not shown): ").strip()
    twilio = twilio_client(site.app, values["account_sid"], values["auth_token"])
    try:
        twilio.api.v2010.accounts(values["account_sid"]).fetch()
    except TwilioException as error:
        raise UsageError(f"Twilio does not accept them ({status_of(error)}): nothing was stored") from None
    name = site.app.settings.twilio_secret
    boto3.client("secretsmanager").put_secret_value(SecretId=name, SecretString=json.dumps(values))


# --- the sender ------------------------------------------------------------------------------------------------------


def sender(site: Site, twilio: Client, profile: Mapping[str, Any]) -> Step:
    """The stack's sender, registered if it is not yet.

    Raises:
        UsageError: it would be the account's first, which Twilio registers in its console only.
    """
    address = site.app.settings.sender_address
    found = find_sender(twilio, address)
    if found and found.status.startswith("ONLINE"):
        return Step(f"sender: {address} {found.status}")
    if found:
        return Step(f"sender: {address} is {found.status}: bring it online", lambda: _bring_online(twilio, found.sid))
    others = twilio.messaging.v2.channels_senders.list(channel="whatsapp")
    waba_id = next((one.configuration["waba_id"] for one in others if (one.configuration or {}).get("waba_id")), None)
    if waba_id is None:
        raise UsageError(
            f"{address} would be this account's first WhatsApp sender, which only Twilio's console registers: "
            "Messaging, Senders, WhatsApp senders (docs/deploy.md#the-sender). Then run this again"
        )

    def register() -> None:
        body = {
            "sender_id": f"whatsapp:{address}",
            "configuration": {"waba_id": waba_id, "verification_method": "sms"},
            "profile": {"name": profile["name"]},
        }
        _bring_online(twilio, _tell(twilio, SENDERS, body)["sid"])

    known = ", ".join(one.sender_id.removeprefix("whatsapp:") for one in others)
    return Step(f"sender: register {address} beside {known}", register)


def _bring_online(twilio: Client, sid: str) -> None:
    """Wait until it is online; ask for the code that Meta sends to a number that is not Twilio's.

    Raises:
        UsageError: it is not, within five minutes.
    """

    def status() -> str | None:
        found = str(twilio.messaging.v2.channels_senders(sid).fetch().status)
        if found == "PENDING_VERIFICATION":
            if not sys.stdin.isatty():
                raise UsageError("the number got a code by SMS: run this again in a terminal, which asks for it")
            code = input("the code that the number got by SMS: ").strip()
            _tell(twilio, f"{SENDERS}/{sid}", {"configuration": {"verification_code": code}})
        return found if found.startswith("ONLINE") or found == "OFFLINE" else None

    found = _eventually(status, REGISTERED_WITHIN_S, "the sender is not online yet: run this again later")
    if found == "OFFLINE":
        raise UsageError("the sender is OFFLINE: docs/deploy.md#when-a-step-is-refused")


def webhook_and_profile(site: Site, twilio: Client, profile: Mapping[str, Any]) -> Iterator[Step]:
    """The sender's webhook and business profile, field by field where they differ."""
    address, wanted = site.app.settings.sender_address, webhook_url(site)
    found = find_sender(twilio, address)
    if found is None:
        yield Step(f"webhook and profile of {address}, once it is registered", lambda: None)
        return

    def tell(body: Mapping[str, Any]) -> None:
        _tell(twilio, f"{SENDERS}/{found.sid}", body)  # 202: Twilio passes it on to Meta

    hook = found.webhook or {}
    if (hook.get("callback_url"), hook.get("callback_method")) == (wanted, "POST"):
        yield Step(f"webhook: {wanted}")
    else:
        now = hook.get("callback_url") or "none"
        body = {"webhook": {"callback_url": wanted, "callback_method": "POST"}}
        yield Step(f"webhook: {wanted} (now: {now})", lambda: tell(body))
    stored = found.profile or {}
    changed = {name: value for name, value in profile.items() if name != "logo" and not _same(stored.get(name), value)}
    logo: Path = profile["logo"]
    key = f"profile/{hashlib.sha256(logo.read_bytes()).hexdigest()[:20]}{logo.suffix}"
    if key not in (stored.get("logo_url") or ""):
        changed["logo_url"] = key
    if not changed:
        yield Step("profile: as in profile/")
        return

    def tell_profile() -> None:
        if "logo_url" in changed:  # Twilio fetches it from our bucket, by a link that ends in 15 minutes
            kind = "image/png" if logo.suffix == ".png" else "image/jpeg"
            site.app.media_store.put(key, logo.read_bytes(), kind)
            changed["logo_url"] = site.app.media_store.url(key)
        tell({"profile": changed})

    yield Step(f"profile: {', '.join(changed)}", tell_profile)


def _same(stored: Any, wanted: Any) -> bool:
    """Lists may come back with labels and in another order."""
    if isinstance(wanted, list):
        return {json.dumps(one, sort_keys=True) for one in stored or ()} == {
            json.dumps(one, sort_keys=True) for one in wanted
        }
    return bool(stored == wanted)


def _tell(twilio: Client, url: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """POST a change of a sender. Not by the SDK's own method: that names every field, and null may clear one.

    Raises:
        UsageError: Twilio refused it; its code and words.
    """
    answer = twilio.request("POST", url, data=body, headers={"Content-Type": "application/json"})
    told: dict[str, Any] = json.loads(answer.text)
    if answer.status_code >= 400:
        refused = f"{told.get('code')} {told.get('message')}"
        raise UsageError(f"Twilio refused it: {refused} (docs/deploy.md#when-a-step-is-refused)")
    return told


def read_profile(path: Path = PROFILE, *, is_real: bool) -> dict[str, Any]:
    """The business profile as Twilio takes it, with the logo's path.

    Raises:
        UsageError: a field is missing or too long, the sample is still there, or the logo is none.
    """
    found = tomllib.loads(path.read_text())
    where = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    problems = [f"{name} is missing" for name in (*LIMITS, "vertical", "logo") if not found.get(name)]
    problems += [
        f"{name} has {len(found[name])} characters, {most} at most"
        for name, most in LIMITS.items()
        if len(found.get(name) or "") > most
    ]
    if is_real and "Sample" in found.get("name", ""):
        problems.append("it is still the sample")
    logo = path.parent / found.get("logo", "")
    if found.get("logo") and not (logo.is_file() and logo.suffix in (".png", ".jpg", ".jpeg")):
        problems.append(f"logo: {logo.name} is no PNG or JPEG there")
    if problems:
        raise UsageError(f"{where}: {'; '.join(problems)}")
    profile = {name: found[name] for name in (*LIMITS, "vertical")}
    profile["websites"] = [{"website": url, "label": "Website"} for url in found.get("websites", [])]
    profile["emails"] = [{"email": address, "label": "Email"} for address in found.get("emails", [])]
    return {**profile, "logo": logo}


# --- templates and test ----------------------------------------------------------------------------------------------


def templates(target: Target) -> Step:
    """Bring the catalog to Twilio and into WhatsApp's review, unless it is there."""
    plan = sync(target, dry_run=True)
    changes = [one for one in plan["steps"] if one["do"] != "keep"]
    if not changes and not plan["problems"]:
        return Step(f"templates: {len(plan['templates'])} wordings as in the catalog")

    def work() -> None:
        answer = sync(target, dry_run=False)
        print(report(answer))
        if answer["problems"]:
            raise UsageError("the template sync had problems: see above")

    return Step(f"templates: {len(changes)} steps of a sync", work)


def converse(site: Site, to: Address) -> None:
    """Send the phone a message, wait until it is delivered, then for an answer; in the sandbox the other way round.

    Raises:
        UsageError: it was not delivered, or nothing came back.
    """
    begun = site.app.clock.now()
    if site.app.settings.sender_address == SANDBOX:
        print(f"  write anything from that phone to {SANDBOX}", flush=True)
        message_id = _answer(site, to, begun)
        _arrives(site, {"to": to.value, "text": "It works: this is our answer.", "in_reply_to": message_id})
        return
    _arrives(site, {"to": to.value, **_sample(site)})
    print("  answer it on that phone", flush=True)
    _answer(site, to, begun)


def _sample(site: Site) -> dict[str, Any]:
    """The first template that may go out, with its own sample values.

    Raises:
        UsageError: WhatsApp has approved none yet.
    """
    for template in site.app.catalog:
        language = template.default_language
        if serving_version(template, language, site.app.templates.versions(template.name)):
            return {"template": template.name, "variables": template.sample_values(language), "language": language}
    raise UsageError("WhatsApp has approved no template yet (minutes to two days): run this again later")


def _arrives(site: Site, request: Mapping[str, Any]) -> None:
    asked = {**request, "idempotency_key": f"twilio-setup-{uuid.uuid4().hex}"}
    name = site.target.outputs["SendFunctionName"]
    response = boto3.client("lambda").invoke(FunctionName=name, Payload=json.dumps(asked).encode())
    answer = json.loads(response["Payload"].read())
    message_id = answer.get("message_id")
    if not message_id:
        raise UsageError(f"the send function refused it: {(answer.get('error') or answer).get('detail', answer)}")

    def status() -> str | None:
        message = site.app.messages.get(message_id)
        if message is None:
            return None
        now = message.status.public_status
        if now in ("failed", "undelivered", "refused", "expired", "canceled"):
            why = f"{message.error.code}: {message.error.detail}" if message.error else "no reason is known"
            raise UsageError(f"{message_id} is {now}: {why} (docs/codes.md)")
        return now if now in ("delivered", "read") else None

    late = f"{message_id} has not arrived yet; GET /messages/{message_id} shows why"
    now = _eventually(status, ARRIVES_WITHIN_S, late)
    print(f"  {message_id} is {now}", flush=True)


def _answer(site: Site, to: Address, since: int) -> str:
    """Wait for a message from that phone; its id."""
    contacts = site.app.manage_contacts
    contact_id = contacts.lookup(to.value)["contact_id"]

    def latest() -> str | None:
        contact = site.app.contacts.get(contact_id)
        if contact is None or (contact.last_inbound_at or 0) < since:
            return None
        newest_first = reversed(contacts.conversation(contact_id, 10, None)["messages"])
        return next((one["message_id"] for one in newest_first if one["direction"] == "inbound"), None)

    found = _eventually(latest, ANSWERED_WITHIN_S, "nothing came from that phone within five minutes: make doctor")
    print("  an answer came", flush=True)
    return found


def _eventually(look: Callable[[], str | None], seconds: float, otherwise: str) -> str:
    """Look until there is something to see.

    Raises:
        UsageError: there never was.
    """
    deadline, pause = time.monotonic() + seconds, 0.2
    while (seen := look()) is None:
        if time.monotonic() > deadline:
            raise UsageError(otherwise)
        time.sleep(pause)
        pause = min(pause * 1.5, 5)
    return seen


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
