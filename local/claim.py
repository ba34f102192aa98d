"""One stack a directory: a lock on the directory itself, which a killed stack cannot leave behind."""

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
    """Holds a directory. The servers of the stack inherit `descriptor`, so the lock lasts as long as they do.

    Entering raises:
        DirectoryTakenError: its holder is alive. (A killed holder's servers are given time to end.)
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._owner = directory / "owner"
        self.descriptor = -1

    def __enter__(self) -> Self:
        deadline = time.monotonic() + _SECONDS_FOR_ORPHANS
        while not self._try():
            if _owner_lives(self._directory) or time.monotonic() > deadline:
                raise DirectoryTakenError(f"another stack is running in {self._directory}")
            time.sleep(0.1)
        # What a killed stack left. Its servers are gone, or the lock would not be ours.
        (self._directory / "stack.json").unlink(missing_ok=True)
        self._owner.write_text(str(os.getpid()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owner.unlink(missing_ok=True)
        if not any(self._directory.iterdir()):
            self._directory.rmdir()
        os.close(self.descriptor)

    def _try(self) -> bool:
        self._directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The last holder may have removed the directory between our two calls.
            if os.path.samestat(os.fstat(descriptor), self._directory.stat()):
                self.descriptor = descriptor
                return True
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(descriptor)
        return False


def is_taken(directory: Path) -> bool:
    """Whether a stack lives there now. (Not one that was killed and whose servers are still ending.)"""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _owner_lives(directory)
    finally:
        os.close(descriptor)
    return False


def _owner_lives(directory: Path) -> bool:
    try:
        os.kill(int((directory / "owner").read_text()), 0)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return False
    except PermissionError:
        pass  # somebody else's process: alive
    return True
