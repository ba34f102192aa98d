"""A share of what `python -m tests.unit.webhook_fuzz` runs, with other seeds each time; a failure prints its seed."""

import secrets

from tests.unit import webhook_fuzz


def test_everything_legitimate_comes_in() -> None:
    assert webhook_fuzz.legitimate(secrets.randbits(32), 1_000) == []


def test_nothing_malformed_comes_in_or_breaks_anything() -> None:
    wrong, kinds = webhook_fuzz.malformed(secrets.randbits(32), 5_000)
    assert wrong == []
    assert set(kinds) == set(webhook_fuzz.MUTATIONS)
