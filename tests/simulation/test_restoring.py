"""Restored tables send nothing twice, nothing within the hour, and nothing after a STOP."""

from collections.abc import Callable, Iterator

import pytest
from whatsapp.domain.sending.on_restore import Matches
from whatsapp.use_cases import recover_after_restore
from whatsapp.use_cases.recover_after_restore import RecoverAfterRestore

from tests.simulation.restoring import RestoringWorld

Patch = Callable[[pytest.MonkeyPatch], None]


def broken(seeds: range) -> Iterator[str]:
    for seed in seeds:
        one = RestoringWorld(seed)
        one.play()
        yield from (f"seed {seed}: {violation}" for violation in one.violations())


def test_nothing_breaks() -> None:
    assert list(broken(range(1, 31))) == []


def matches_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recover_after_restore, "match", lambda *given: Matches(unrecorded=list(given[1])))


def hears_nothing_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RecoverAfterRestore, "_hear_again", lambda *_, **__: None)


@pytest.mark.parametrize(
    ("defect", "kind"),
    [(matches_nothing, "duplicate"), (hears_nothing_again, "stop")],
)
def test_a_deliberate_defect_is_caught(defect: Patch, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    defect(monkeypatch)
    assert any(kind in violation for violation in broken(range(1, 301)))
