"""Product time, by which the soak's servers and functions live."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.performance.soak import ProductTime

_TELL = "import datetime as d, time; print(time.time(), d.datetime.now(d.UTC).timestamp(), time.monotonic())"


@pytest.mark.parametrize("minute", [0, 90])
def test_a_process_lives_by_it(tmp_path: Path, minute: int) -> None:
    clock = ProductTime(tmp_path / "ahead")
    clock.advance(minute)
    told = subprocess.run(
        [sys.executable, "-c", _TELL], env=clock.environment, capture_output=True, text=True, check=True
    ).stdout
    by_time, by_datetime, monotonic = map(float, told.split())
    expected = clock.began_ns / 1e9 + minute * 60
    assert expected - 0.1 < by_time < expected + 60
    assert abs(by_datetime - by_time) < 1
    assert abs(monotonic - time.monotonic()) < 60


def test_it_never_goes_back(tmp_path: Path) -> None:
    clock = ProductTime(tmp_path / "ahead")
    clock.advance(90)
    ahead = clock.file.read_bytes()
    clock.advance(30)
    assert clock.file.read_bytes() == ahead


def test_minutes_are_those_of_the_sweep_that_finds_it(tmp_path: Path) -> None:
    clock = ProductTime(tmp_path / "ahead")
    began_ms = clock.began_ns // 10**6
    assert [clock.minute_of(began_ms + after) for after in (0, 1, 60_000, 60_001)] == [0, 1, 1, 2]
