"""Restored tables send nothing twice, nothing within the hour, and nothing after a STOP."""

from collections.abc import Callable

import pytest
from whatsapp.adapters.dynamodb.contact_store import ContactStore
from whatsapp.domain.sending.on_restore import Matches
from whatsapp.domain.sending.sender import Sender
from whatsapp.use_cases import recover_after_restore
from whatsapp.use_cases.recover_after_restore import RecoverAfterRestore

from tests.simulation.restoring import RestoringWorld

Patch = Callable[[pytest.MonkeyPatch], None]


def broken(seeds: range) -> list[str]:
    found = []
    for seed in seeds:
        one = RestoringWorld(seed)
        one.play()
        found += [f"seed {seed}: {violation}" for violation in (*one.violations(), *one.world.unexpected)]
    return found


def test_nothing_breaks() -> None:
    assert broken(range(1, 31)) == []


def matches_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recover_after_restore, "match", lambda *given: Matches(unrecorded=list(given[1])))


def blocks_no_slot(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ContactStore, "block_until", lambda *_: None)


def hears_nothing_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RecoverAfterRestore, "_hear_again", lambda *_, **__: None)


def sends_late_copies(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Sender, "may_have_lost", lambda *_: False)


@pytest.mark.parametrize(
    ("defect", "seed", "kind"),
    [
        (matches_nothing, 8, "duplicate"),
        (blocks_no_slot, 60, "rate violation"),
        (hears_nothing_again, 69, "stop"),
        (sends_late_copies, 2060, "duplicate"),
    ],
)
def test_a_deliberate_defect_is_caught(defect: Patch, seed: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeds are found by trying: after a change of the simulation look for others."""
    assert broken(range(seed, seed + 1)) == []
    defect(monkeypatch)
    assert any(kind in violation for violation in broken(range(seed, seed + 1)))
