"""Restored tables send nothing twice, nothing within the hour, and nothing after a STOP."""

import pytest
from whatsapp.domain.sending.on_restore import Matches
from whatsapp.use_cases import recover_after_restore
from whatsapp.use_cases.recover_after_restore import RecoverAfterRestore

from tests.simulation.restoring import RestoringWorld


def broken(seeds: range) -> list[str]:
    found = []
    for seed in seeds:
        one = RestoringWorld(seed)
        one.play()
        found += [f"seed {seed}: {violation}" for violation in (*one.violations(), *one.world.unexpected)]
    return found


def test_nothing_breaks() -> None:
    assert broken(range(1, 16)) == []


@pytest.mark.parametrize(
    ("defect", "kind"), [("nothing is matched", "duplicate"), ("no slot", "rate violation"), ("no STOP", "stop")]
)
def test_each_deliberate_defect_is_caught(defect: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if defect == "nothing is matched":
        monkeypatch.setattr(
            recover_after_restore, "match", lambda _, listed, since: Matches(unrecorded=[*listed]) if since else None
        )
    elif defect == "no slot":
        monkeypatch.setattr("whatsapp.adapters.dynamodb.contact_store.ContactStore.block_until", lambda *_: None)
    else:
        monkeypatch.setattr(RecoverAfterRestore, "_hear_again", lambda *_, **__: None)
    assert any(kind in violation for violation in broken(CAUGHT[defect]))


CAUGHT = {"nothing is matched": range(1, 2), "no slot": range(1, 2), "no STOP": range(1, 2)}
"""Seeds that catch each."""
