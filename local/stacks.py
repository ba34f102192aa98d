"""The local stacks by name: each has a folder of its own under `.local`; the nameless one is in `.local` itself."""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

from local.artifacts import ROOT
from local.claim import DirectoryTakenError, is_taken
from local.kept import KEPT, UNFIT, KeptStack, UnfitError, set_aside

STACKS = ROOT / ".local"
_RESERVED = {"work", "owner", "sam", KEPT, UNFIT}  # what a stack in STACKS itself keeps there, and `make sam`


class UsageError(Exception):
    """Something the user asked for cannot be. The text is one line that says why and what to do."""


def running_stack(name: str) -> dict[str, Any]:
    """What the stack.json of the running stack says.

    Raises:
        UsageError: none is running.
    """
    directory = directory_of(name)
    description = directory / "stack.json"
    if not description.exists() or not is_taken(directory):
        raise UsageError("no stack is running: start one with `make run`" + (f" STACK={name}" if name else ""))
    found: dict[str, Any] = json.loads(description.read_text())
    return found


def directory_of(name: str) -> Path:
    """Where the stack of that name lives; the nameless one in .local itself.

    Raises:
        UsageError: the name cannot be a folder's.
    """
    if name and (name in _RESERVED or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name)):
        raise UsageError(
            f"STACK={name}: use small letters, digits and hyphens (and none of: {', '.join(sorted(_RESERVED))})"
        )
    return STACKS / name


def start_stack(exits: contextlib.ExitStack, name: str, *, anew: bool = False) -> KeptStack:
    """Start the named stack. Without a name: in .local, or under a number if another one runs there.

    It goes on with what was kept there, unless it shall begin anew; one that only has a number keeps nothing.

    Raises:
        DirectoryTakenError: a stack of that name runs already.
    """
    if name:
        return _go_on(exits, directory_of(name), anew=anew)
    with contextlib.suppress(DirectoryTakenError):
        return _go_on(exits, STACKS, anew=anew)
    number = 2
    while True:
        try:
            stack = exits.enter_context(KeptStack(STACKS / str(number), keeps=False))
        except DirectoryTakenError:
            number += 1
            continue
        print(f"A stack is running already; this one is number {number}, begins empty and keeps nothing: "
              f"say STACK={number} to `make invoke`.")  # fmt: skip
        return stack


def _go_on(exits: contextlib.ExitStack, directory: Path, *, anew: bool) -> KeptStack:
    try:
        return exits.enter_context(KeptStack(directory, anew=anew))
    except UnfitError as error:
        print(f"What the last run kept does not fit: {error}. It lies in {set_aside(directory)} now; we begin anew.")
        return exits.enter_context(KeptStack(directory))
