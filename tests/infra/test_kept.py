"""What `make run` kept and cannot use: one line, and it begins anew. Nothing is started here."""

import contextlib
from pathlib import Path

import pytest

from local import stacks as named_stacks
from local.claim import Claim
from local.kept import VERSION, KeptStack
from local.stack import Stack


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for stacks, which start no servers."""
    monkeypatch.setattr(named_stacks, "STACKS", tmp_path / "stacks")
    monkeypatch.setattr(Stack, "_start", lambda _self: None)
    return named_stacks.STACKS


def left_by_the_last_run(directory: Path, text: str) -> Path:
    file = directory / "kept" / "state.json"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


def start(name: str = "", *, anew: bool = False) -> KeptStack:
    """Start it and end it."""
    with contextlib.ExitStack() as exits:
        return named_stacks.start_stack(exits, name, anew=anew)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"version": 1', "it cannot be read (JSONDecodeError)"),
        ("[]", f"it is of version None, and this is version {VERSION}"),
        (f'{{"version": {VERSION + 1}}}', f"it is of version {VERSION + 1}, and this is version {VERSION}"),
        (f'{{"version": {VERSION}}}', "KeyError when it was put back"),
    ],
)
@pytest.mark.parametrize("name", ["", "mine"])
def test_what_does_not_fit_is_set_aside(
    name: str, text: str, why: str, stacks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = left_by_the_last_run(stacks / name, text)
    assert start(name).page is None
    aside = file.parents[1] / "kept-unfit"
    assert capsys.readouterr().out == (
        f"What the last run kept does not fit: {why}. It lies in {aside} now; we begin anew.\n"
    )
    assert (aside / "state.json").read_text() == text
    assert not file.exists()


def test_what_does_not_fit_takes_the_place_of_what_did_not_before(stacks: Path) -> None:
    for text in ("[1]", "[2]"):
        left_by_the_last_run(stacks, text)
        start()
    assert (stacks / "kept-unfit" / "state.json").read_text() == "[2]"


def test_reset_forgets(stacks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = left_by_the_last_run(stacks, "[]")
    assert start(anew=True).page is None
    assert not file.exists()
    assert not capsys.readouterr().out


def test_the_second_at_once_begins_empty_and_keeps_nothing(stacks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = left_by_the_last_run(stacks, "[]"), left_by_the_last_run(stacks / "2", "[]")
    with Claim(stacks):
        stack = start(anew=True)
        stack.keep({})
    assert stack.directory == stacks / "2"
    assert (first.read_text(), second.read_text()) == ("[]", "[]")
    assert "begins empty and keeps nothing" in capsys.readouterr().out
