"""Settings: all of them are checked before any work, each problem names its variable, and no value is repeated."""

from dataclasses import MISSING, fields

import pytest
from whatsapp.bootstrap import App
from whatsapp.settings import ConfigurationError, Settings

GOOD = {f.name.upper(): "x" for f in fields(Settings) if f.default is MISSING} | {"SENDER_ADDRESS": "+14155238886"}
CANARY = "zebulon"


@pytest.mark.parametrize(
    ("variable", "value", "read"),
    [
        ("SENDER_ADDRESS", "+919812345678", "+919812345678"),
        ("SENDER_ADDRESS", " +919812345678\n", "+919812345678"),
        ("RATE_LIMIT_SECONDS", "1", 1),
        ("REPLIES_PER_INBOUND", "10", 10),
        ("DEFAULT_AGENT", "front_desk", "front_desk"),
        ("QUIET_HOURS", "21:00-08:00", "21:00-08:00"),
        ("QUIET_HOURS_ZONE", "Europe/Berlin", "Europe/Berlin"),
        ("RETENTION_DAYS", "35", 35),
        ("SEND_TO_BUSINESS_SCOPED_IDS", "1", 1),
        ("DELETE_MEDIA_AT_TWILIO", "0", 0),
        ("PUBLIC_URL", "https://clinic.example", "https://clinic.example"),
        ("PUBLIC_URL", "https://clinic.example/whatsapp", "https://clinic.example/whatsapp"),
        ("TWILIO_BASE_URL", "http://127.0.0.1:8010", "http://127.0.0.1:8010"),
    ],
)
def test_good_value_is_read(variable: str, value: str, read: str | int) -> None:
    assert getattr(Settings.from_environ({**GOOD, variable: value}), variable.lower()) == read


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(("SENDER_ADDRESS", value) for value in ("x", "+1", "98123 45678", "whatsapp:+919812345678", "+0123456789")),
        *(("SENDER_ADDRESS", value) for value in ("IN.1342", "+91981234567", "+9198123456789", "+919812345678,+1")),
        *(("RATE_LIMIT_SECONDS", value) for value in ("0", "-1", "1.5", "an hour", "²", "٣", "9" * 5_000)),
        *(("REPLIES_PER_INBOUND", value) for value in ("0", "many", "+3")),
        *(("DEFAULT_AGENT", value) for value in ("Front Desk", "x" * 65, "agent:x")),
        *(("QUIET_HOURS", value) for value in ("21-08", "21:00", "9pm-8am", "21:00-24:00", "21:00+05:30-08:00")),
        *(("QUIET_HOURS_ZONE", value) for value in ("IST/India", "Asia", "../../etc/passwd", "/etc/passwd")),
        *(("RETENTION_DAYS", value) for value in ("34", "0", "a year")),
        *(("SEND_TO_BUSINESS_SCOPED_IDS", value) for value in ("2", "yes", "true", "01x")),
        ("DELETE_MEDIA_AT_TWILIO", "2"),
        *(
            ("PUBLIC_URL", value)
            for value in ("clinic.example", "https://", "https://clinic.example/", "ftp://c.example")
        ),
        *(
            ("PUBLIC_URL", value)
            for value in ("https://c.example?x=1", "https://c.example#rc=3", "https://u:p@c.example")
        ),
        ("TWILIO_BASE_URL", "http://[::1"),
        ("TWILIO_BASE_URL", "http://c.example:99999"),
    ],
)
def test_wrong_value_is_an_error_of_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{variable} must be ") as raised:
        Settings.from_environ({**GOOD, variable: value})
    assert str(raised.value).count(" must be ") == 1
    assert len(str(raised.value)) < 250


@pytest.mark.parametrize("value", ["", "  "])
def test_missing_one_is_named(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^BUS_NAME is not set"):
        Settings.from_environ({**GOOD, "BUS_NAME": value})


def test_all_problems_are_told_at_once_and_no_value_is_repeated() -> None:
    wrong = {"SENDER_ADDRESS": CANARY, "QUIET_HOURS": CANARY, "RETENTION_DAYS": CANARY, "MESSAGES_TABLE": ""}
    with pytest.raises(ConfigurationError) as raised:
        Settings.from_environ({**GOOD, **wrong})
    assert all(variable in str(raised.value) for variable in wrong)
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize("value", ["+12025550", "+123456789"])
def test_sender_that_is_no_valid_number_posts_nothing(value: str) -> None:
    settings = Settings.from_environ({**GOOD, "SENDER_ADDRESS": value})
    with pytest.raises(ConfigurationError, match=r"^SENDER_ADDRESS must be "):
        _ = App(settings).gateway


@pytest.mark.parametrize(("pace", "workers"), [("4", ""), ("79", "80")])
def test_each_worker_sends_at_least_one_a_second_or_a_batch_outlasts_the_function(pace: str, workers: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^SENDS_PER_SECOND must be at least SEND_CONCURRENCY"):
        Settings.from_environ({**GOOD, "SENDS_PER_SECOND": pace, "SEND_CONCURRENCY": workers})
    assert Settings.from_environ({**GOOD, "SENDS_PER_SECOND": pace, "SEND_CONCURRENCY": "4"}).send_concurrency == 4


def test_every_setting_that_is_not_given_has_its_default() -> None:
    settings = Settings.from_environ(GOOD)
    assert all(getattr(settings, f.name) == f.default for f in fields(Settings) if f.default is not MISSING)
