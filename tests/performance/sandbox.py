"""Our functions as a Lambda sandbox sees them, in processes that can be measured: the built artifacts, the functions'
interpreter and environment, and an AWS and a Twilio of the bench's own."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from local.artifacts import LAMBDA_PYTHON, artifacts, build_for_this_machine
from local.aws import server_environment
from local.deploy import read_template
from tests.performance.outside import PUBLIC_URL, TABLES, Outside

HERE = Path(__file__).parent
IGNORE_BYTECODE = shutil.ignore_patterns("__pycache__")
PERIOD_S, SHARE = 0.02, 0.29
"""Lambda gives a function of 512 MB 29 % of a processor, in portions of 20 ms."""


class Sandbox:
    """Everything unpacked under one directory, bytecode as it ships."""

    def __init__(self, directory: Path, outside: Outside) -> None:
        self._directory = directory
        self._outside = outside
        for artifact in artifacts(read_template()):
            with zipfile.ZipFile(build_for_this_machine(artifact)) as built:
                built.extractall(directory / artifact.logical_id)
        shutil.copytree(HERE / "rivals", directory / "rivals", ignore=IGNORE_BYTECODE)
        compiler = [str(LAMBDA_PYTHON), "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
        subprocess.run([*compiler, str(directory / "rivals")], check=True)
        # As `sam build` leaves it: boto3 in the artifact, and bytecode whose dates are not the sources'.
        self._stale = directory / "stale"
        shutil.copytree(HERE / "rivals", self._stale, ignore=IGNORE_BYTECODE)
        (packages,) = (LAMBDA_PYTHON.parent.parent / "lib").glob("python3*/site-packages")
        for source in (packages, directory / "DependenciesLayer" / "python"):
            shutil.copytree(source, self._stale, ignore=IGNORE_BYTECODE, dirs_exist_ok=True)

    def environment(self, function: str, *, stale: bool = False, **more: str) -> dict[str, str]:
        """What a process needs to be the sandbox of this function ("Webhook", "Send")."""
        layers = [self._directory / f"{function}Function", self._directory / "SharedLayer" / "python"]
        path = [*layers, self._directory / "rivals", self._directory / "DependenciesLayer" / "python"]
        settings = {name.upper(): str(value) for name, value in asdict(TABLES).items()}
        return server_environment(
            **{
                **settings,
                **self._outside.environment,
                "PUBLIC_URL": "",
                "AWS_LAMBDA_FUNCTION_NAME": function,
                "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
                "LAMBDA_TASK_ROOT": str(self._directory),
                "LOG_LEVEL": "INFO",
                "POWERTOOLS_METRICS_NAMESPACE": "bench",
                "POWERTOOLS_SERVICE_NAME": function.lower(),
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONHASHSEED": "0",
                "PYTHONWARNINGS": "ignore",  # the idiom counts nothing, and Powertools says so each time
                "PYTHONPATH": os.pathsep.join(map(str, [self._stale] if stale else path)),
                "RIVALS_PUBLIC_URL": PUBLIC_URL,
                **more,
            }
        )


class Run:
    """One process that serves events: `Run(environment, module, events)` runs it to its end.

    Attributes:
        cpu: user and system time of the whole process (s).
        requests: of each event `cpu` (s), `ms` (by the clock) and what the handler answered.
        imported: the modules it had imported before the first event.
        memory: the most it had resident (bytes).
        log: what it printed.
        asked: what it asked the outside for, in INIT and in the requests.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        module: str,
        events: Sequence[Any],
        *,
        throttled: bool = False,
        under: Sequence[str] = (),
        outside: Outside | None = None,
    ) -> None:
        with tempfile.TemporaryDirectory() as directory:
            results = Path(directory, "results")
            command = [*under, str(LAMBDA_PYTHON), "-P", str(HERE / "serve.py"), module, str(results)]
            with subprocess.Popen(
                command, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ) as process:
                assert process.stdin
                assert process.stdout
                if process.stdout.readline() != b"ready\n":
                    raise RuntimeError(process.stdout.read().decode())
                if outside:
                    outside.asked()
                process.stdin.write(json.dumps(events).encode())
                process.stdin.close()
                if throttled:
                    _throttle(process.pid)
                self.log = process.stdout.read()
                _, status, used = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            if status:
                raise RuntimeError(f"{module} ended with {process.returncode}: {self.log.decode()}")
            self.asked = outside.asked() if outside else {}
            self.cpu = used.ru_utime + used.ru_stime
            found = json.loads(results.read_bytes())
            self.requests: list[dict[str, Any]] = found["requests"]
            self.imported: list[str] = found["imported"]
            self.memory: int = found["memory"]


def _throttle(pid: int) -> None:
    """Let a process run for its share of each period only, until it ends."""
    clock = (~pid << 3) | 2  # Linux's CPU clock of another process
    with suppress(OSError):  # it ended
        while True:
            until, used = time.perf_counter() + PERIOD_S, time.clock_gettime(clock)
            os.kill(pid, 18)  # SIGCONT
            while time.perf_counter() < until and time.clock_gettime(clock) - used < PERIOD_S * SHARE:
                if _has_ended(pid):
                    return
                time.sleep(0.0005)
            os.kill(pid, 19)  # SIGSTOP
            time.sleep(max(0.0, until - time.perf_counter()))


def _has_ended(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"


def instructions(environment: Mapping[str, str], module: str, events: Sequence[Any]) -> int:
    """How many processor instructions a whole process takes, as valgrind counts them: nearly the same each time.

    Everything is made by the first request. INIT ends after some seconds, which are few under valgrind.
    """
    environment = {name: value for name, value in environment.items() if name != "AWS_LAMBDA_INITIALIZATION_TYPE"}
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "valgrind")
        counter = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log}"]
        Run(environment, module, events, under=counter)
        (counted,) = re.findall(r"Collected : (\d+)", log.read_text())
    return int(counted)


def program(environment: Mapping[str, str], name: str, *arguments: str) -> dict[str, float]:
    """What a program of this folder measured of itself in a sandbox."""
    command = [str(LAMBDA_PYTHON), "-P", str(HERE / name), *arguments]
    done = subprocess.run(command, env=dict(environment), stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def has_valgrind() -> bool:
    """Whether instructions can be counted here; says so on stderr if not."""
    if shutil.which("valgrind"):
        return True
    print("valgrind is missing (Debian: apt-get install valgrind): no instructions are counted", file=sys.stderr)
    return False
