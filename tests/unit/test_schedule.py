"""When a message may go."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from whatsapp.domain.schedule import QuietHours, earliest, iso

IST = "Asia/Kolkata"


def at(text: str, zone: str = IST) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("now", "free_at"),
    [
        ("2026-11-24T20:59:59", "2026-11-24T20:59:59"),
        ("2026-11-24T21:00:00", "2026-11-25T08:00:00"),
        ("2026-11-24T23:59:59", "2026-11-25T08:00:00"),
        ("2026-11-25T00:00:00", "2026-11-25T08:00:00"),
        ("2026-11-25T07:59:59", "2026-11-25T08:00:00"),
        ("2026-11-25T08:00:00", "2026-11-25T08:00:00"),
        ("2026-12-31T22:00:00", "2027-01-01T08:00:00"),
    ],
)
def test_quiet_night(now: str, free_at: str) -> None:
    quiet = QuietHours.parse("21:00-08:00", IST)
    assert quiet is not None
    assert quiet.ends_after(at(now)) == at(free_at)


@pytest.mark.parametrize(
    ("now", "free_at"),
    [("12:59:59", "12:59:59"), ("13:00:00", "15:30:00"), ("15:29:59", "15:30:00"), ("15:30:00", "15:30:00")],
)
def test_quiet_afternoon(now: str, free_at: str) -> None:
    quiet = QuietHours.parse("13:00-15:30", IST)
    assert quiet is not None
    assert quiet.ends_after(at(f"2026-11-24T{now}")) == at(f"2026-11-24T{free_at}")


def test_the_night_the_clocks_change_ends_at_eight_all_the_same() -> None:
    quiet = QuietHours.parse("21:00-08:00", "Europe/Berlin")
    assert quiet is not None
    ends = quiet.ends_after(at("2026-10-24T22:00:00", "Europe/Berlin"))
    assert ends == at("2026-10-25T08:00:00", "Europe/Berlin")
    assert ends - at("2026-10-24T22:00:00", "Europe/Berlin") == 11 * 3_600_000


def test_no_quiet_hours() -> None:
    assert QuietHours.parse("", IST) is None


@pytest.mark.parametrize("span", ["night", "21:00", "25:00-08:00", "21:00-8"])
def test_a_span_that_is_none(span: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        QuietHours.parse(span, IST)


def test_send_at_and_quiet_hours_both_bind() -> None:
    quiet = QuietHours.parse("21:00-08:00", IST)
    noon, evening = at("2026-11-24T12:00:00"), at("2026-11-24T22:00:00")
    assert earliest(noon, None, quiet) == noon
    assert earliest(noon, noon - 1, None) == noon
    assert earliest(noon, evening, None) == evening
    assert earliest(noon, evening, quiet) == at("2026-11-25T08:00:00")


def test_times_are_told_in_indian_time_and_never_too_early() -> None:
    assert iso(at("2026-11-24T12:00:00")) == "2026-11-24T12:00:00+05:30"
    assert iso(at("2026-11-24T12:00:00") + 1) == "2026-11-24T12:00:01+05:30"
