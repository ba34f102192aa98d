"""The environment variables a function reads, checked once, before any work is done."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, field, fields
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.schedule import QuietHours


class ConfigurationError(Exception):
    """An environment variable is missing or wrong. The text says which one and what it should hold."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What differs between deployments. Field `messages_table` is read from `MESSAGES_TABLE`, and so on.

    Secrets are not here: `twilio_secret` and `contact_key_secret` are *names* in Secrets Manager.
    """

    messages_table: str
    contacts_table: str
    templates_table: str
    media_bucket: str
    bus_name: str
    alert_topic_arn: str
    send_queue_url: str
    send_dead_letter_queue_url: str
    twilio_secret: str
    """Its JSON: account_sid, auth_token; optionally previous_auth_token, api_key_sid, api_key_secret,
    webhook_shared_keys."""
    contact_key_secret: str
    """Secret whose string is the key of `contact_id`'s hash. Never rotate it: every contact would get a new id."""
    api_url_parameter: str
    """SSM parameter that holds the API's own base URL."""
    sender_address: str
    """Our WhatsApp sender, `+E164`."""
    stack_name: str
    """The name of the CloudFormation stack: its numbers are counted under it, and alerts name it."""
    stage: str = field(default="dev")
    """What the stack is for, such as `prod`. Alerts name it."""
    runbook_url: str = field(default="docs/operations.md")
    """Where `docs/operations.md` can be read. Alerts link there."""
    public_url: str = field(default="")
    """The base URL that Twilio calls and signs, if it is a custom domain and not the API's own URL."""
    twilio_base_url: str = field(default="")
    """Empty for Twilio itself; the emulator's URL in the local stack."""
    rate_limit_seconds: int = field(default=3600)
    """Minimum time between two proactive acceptances for one contact."""
    replies_per_inbound: int = field(default=3)
    default_agent: str = field(default="scheduling")
    quiet_hours: str = field(default="")
    """`21:00-08:00` in `quiet_hours_zone`; empty means none."""
    quiet_hours_zone: str = field(default="Asia/Kolkata")
    retention_days: int = field(default=400)
    """How long messages are kept: longer than any redelivery, which must still find its record."""
    send_concurrency: int = field(default=5)
    """How many batches of the send queue are worked at once."""
    sends_per_second: int = field(default=80)
    """The pace of the send queue: what Twilio takes from one sender."""
    due_shards: int = field(default=4)
    """Over how many partitions of the `due` index what waits is spread (`domain/sending/message.py` reads it)."""
    safety_acknowledge_minutes: int = field(default=10)
    """How long an alert about danger to life waits to be acknowledged before it comes again."""
    send_to_business_scoped_ids: int = field(default=1)
    """1: send to WhatsApp ids whose number is not known, until Twilio refuses one. It does not document them."""
    delete_media_at_twilio: int = field(default=0)
    """1: delete a patient's file at Twilio once it is in our bucket."""
    use_boto3: int = field(default=0)
    """1: call AWS by boto3 alone, in place of our own client for the services that speak JSON."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Read and check all variables.

        Raises:
            ConfigurationError: with every variable that is missing or wrong, and what it should hold; no value.
        """
        values: dict[str, str | int] = {}
        problems: list[str] = []
        for f in fields(cls):
            variable = f.name.upper()
            raw = environ.get(variable, "").strip()
            if not raw:
                if f.default is MISSING:
                    problems.append(f"{variable} is not set")
                continue
            fits, what = _CHECKS.get(f.name, _ANY)
            if not fits(raw):
                problems.append(f"{variable} must be {what}")
                continue
            values[f.name] = int(raw) if f.type is int else raw
        settings = None if problems else cls(**values)  # type: ignore[arg-type]  # converted to its field's type above
        if settings and settings.sends_per_second < settings.send_concurrency:
            # At less than one a second for each worker, a batch of ten would outlast the function.
            problems.append("SENDS_PER_SECOND must be at least SEND_CONCURRENCY")
        if settings is None or problems:
            raise _error(problems)
        return settings

    def check_sender(self) -> None:
        """Check that the sender is a valid number. For those who post: it loads the metadata of all numbers.

        Raises:
            ConfigurationError: it is not; no value.
        """
        from whatsapp.domain.address import Address
        from whatsapp.domain.errors import MessagingError

        try:
            is_valid = Address.parse(self.sender_address).value == self.sender_address
        except MessagingError:
            is_valid = False
        if not is_valid:
            raise _error([f"SENDER_ADDRESS must be {_A_SENDER}"])


def _error(problems: Sequence[str]) -> ConfigurationError:
    return ConfigurationError("; ".join(problems) + " (template.yaml sets them; see docs/configuration.md)")


def _is_zone(text: str) -> bool:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _is_base_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    bare = not (parts.query or parts.fragment or parts.username) and not text.endswith("/") and " " not in text
    return parts.scheme in ("https", "http") and bool(host) and port != 0 and bare


def _is_quiet_hours(text: str) -> bool:
    try:
        return QuietHours.parse(text, "UTC") is not None
    except ValueError:
        return False


def _is_number(least: int, most: int) -> Callable[[str], bool]:
    return lambda text: re.fullmatch("[0-9]{1,9}", text) is not None and least <= int(text) <= most


_ANY: tuple[Callable[[str], bool], str] = (bool, "set")
_SWITCH = (_is_number(0, 1), "0 or 1")
_A_SENDER = "our WhatsApp sender as +E164, such as +14155238886"
_MANY = 10**9
_BASE_URL = (_is_base_url, "a URL such as https://example.com, without a slash at its end")
_CHECKS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    # Whether the number is valid is `check_sender`'s: a cold webhook has no use for the metadata of all numbers.
    "sender_address": (
        lambda text: re.fullmatch(r"\+91[0-9]{10}|\+(?!91)[1-9][0-9]{6,14}", text) is not None,
        _A_SENDER,
    ),
    "public_url": _BASE_URL,
    "twilio_base_url": _BASE_URL,
    "rate_limit_seconds": (_is_number(1, _MANY), "a whole number of seconds, at least 1"),
    "replies_per_inbound": (_is_number(1, _MANY), "a whole number, at least 1"),
    "send_concurrency": (_is_number(2, 1000), "a whole number from 2 to 1000"),
    "due_shards": (_is_number(4, 64), "a whole number from 4 to 64"),
    "sends_per_second": (_is_number(1, _MANY), "a whole number, at least 1"),
    "default_agent": (
        lambda text: re.fullmatch("[a-z0-9_]{1,64}", text) is not None,
        "an agent's name: lower-case letters, digits and _",
    ),
    "quiet_hours": (_is_quiet_hours, "two times such as 21:00-08:00"),
    "quiet_hours_zone": (_is_zone, "a time zone such as Asia/Kolkata"),
    "retention_days": (
        _is_number(35, _MANY),
        "a whole number of days, at least 35: a redelivered send must still find its record",
    ),
    "safety_acknowledge_minutes": (_is_number(1, 99), "a whole number from 1 to 99"),
    "send_to_business_scoped_ids": _SWITCH,
    "delete_media_at_twilio": _SWITCH,
    "use_boto3": _SWITCH,
}
"""What each setting that people write has to be. The others are names and ARNs that CloudFormation fills in."""
