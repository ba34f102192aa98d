"""One stack a directory, told by locks: a killed process leaves none behind.

Two of them. The directory's own is held by the stack *and its servers*: free means that all of them are gone. That on
the file `owner` is held by the stack alone: free means that whoever started those servers is gone, and they are ending.
"""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_SECONDS_FOR_ORPHANS = 8.0


class DirectoryTakenError(Exception):
    """Another stack lives in this directory."""


class Claim:
    """Holds a directory. Pass `descriptor` on to the servers, so that the lock lasts as long as they do.

    Entering raises:
        DirectoryTakenError: its holder is alive. (A killed holder's servers are given time to end.)
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.descriptor = -1
        self._owner = -1

    def __enter__(self) -> Self:
        deadline = time.monotonic() + _SECONDS_FOR_ORPHANS
        while not self._try():
            if is_taken(self._directory) or time.monotonic() > deadline:
                raise DirectoryTakenError(f"another stack is running in {self._directory}")
            time.sleep(0.1)
        # What a killed stack left. Its servers are gone, or the lock would not be ours.
        (self._directory / "stack.json").unlink(missing_ok=True)
        self._owner = os.open(self._directory / "owner", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._owner, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        (self._directory / "owner").unlink()
        if not any(self._directory.iterdir()):
            self._directory.rmdir()
        os.close(self._owner)
        os.close(self.descriptor)

    def _try(self) -> bool:
        self._directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._directory, os.O_RDONLY)
        # The last holder may have removed the directory between our two calls.
        if _lock(descriptor) and _is_still(descriptor, self._directory):
            self.descriptor = descriptor
            return True
        os.close(descriptor)
        return False


def is_taken(directory: Path) -> bool:
    """Whether a stack lives there now. (Not one that was killed and whose servers are still ending.)"""
    try:
        descriptor = os.open(directory / "owner", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
