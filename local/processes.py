"""Servers as processes of their own that never outlive the one who started them.

`start(module, …)` runs `python -m local.processes MODULE …`, which holds the other end of a pipe: when the
parent ends, however it ends, the pipe closes and the child ends itself.
"""

import contextlib
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class ServerError(Exception):
    """A server ended, or stayed silent before it was ready. The text bears the end of its log."""


class Server:
    """A running server process."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait for `ready()`.

        Raises:
            ServerError: the process ended first, or the time is over.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise self._complaint(f"was not ready within {seconds:.0f} s")
            time.sleep(0.02)

    def check(self) -> None:
        """See that the process still runs.

        Raises:
            ServerError: it ended.
        """
        if self._process.poll() is not None:
            raise self._complaint("ended")

    def _complaint(self, what: str) -> ServerError:
        tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
        return ServerError(f"{self.name} {what}. The end of {self._log}:\n{tail}")

    def stop(self) -> None:
        """End the server and all that it started. Safe to call twice."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


def start(
    module: str, arguments: Sequence[str], *, env: Mapping[str, str], log: Path, keep_open: int | None = None
) -> Server:
    """Start `python -m MODULE ARGUMENTS…`, its output going to `log`.

    `keep_open` is a file descriptor that the child holds for as long as it lives: a lock on it is free only
    when the child is gone too.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.processes", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            pass_fds=() if keep_open is None else (keep_open,),
            start_new_session=True,  # Ctrl-C is for us, and it ends with all of its own group
        )
    return Server(module, process, log)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_with_parent() -> None:
    """Wait for the parent's end of the pipe to close, then end at once, with everything that we started.

    There is nothing to tidy up: what a server of ours knows is for one stack's life, and its files go with the stack.
    """
    while os.read(0, 4096):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
