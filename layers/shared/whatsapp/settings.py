"""The environment variables a function reads, checked once, before any work is done."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields


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
    """Its JSON: account_sid, auth_token; optionally previous_auth_token, api_key_sid, api_key_secret."""
    contact_key_secret: str
    """Secret whose string is the key of `contact_id`'s hash. Never rotate it: every contact would get a new id."""
    api_url_parameter: str
    """SSM parameter that holds the API's own base URL."""
    sender_address: str
    """Our WhatsApp sender, `+E164`."""
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
    """How long messages are kept. At least 35: a redelivered send must still find its record."""
    send_concurrency: int = field(default=5)
    """How many batches of the send queue are worked at once."""
    sends_per_second: int = field(default=80)
    """The pace of the send queue: what Twilio takes from one sender."""
    send_to_business_scoped_ids: int = field(default=0)
    """1: send to WhatsApp ids whose number is not known. Twilio does not document whether it accepts them as `To`."""
    delete_media_at_twilio: int = field(default=0)
    """1: delete a patient's file at Twilio once it is in our bucket."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Read and check all variables.

        Raises:
            ConfigurationError: with every variable that is missing or not of its type.
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
            if f.type is int:
                if not raw.isdigit():
                    problems.append(f"{variable} must be a whole number")
                    continue
                values[f.name] = int(raw)
            else:
                values[f.name] = raw
        if int(values.get("retention_days", 400)) < 35:
            problems.append("RETENTION_DAYS must be at least 35: a redelivered send must still find its record")
        if problems:
            raise ConfigurationError("; ".join(problems) + " (template.yaml sets them; see docs/configuration.md)")
        return cls(**values)  # type: ignore[arg-type]  # each value was converted to its field's type above
