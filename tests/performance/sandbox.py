"""Our functions as a Lambda sandbox sees them, in processes that can be measured: the built artifacts, the functions'
interpreter, the deployed environment, and the embedded AWS as their AWS."""

import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.artifacts import LAMBDA_PYTHON, artifacts, build_for_this_machine
from local.aws import server_environment
from local.deploy import read_template
from local.stack import Stack

HERE = Path(__file__).parent


class Sandbox:
    """Everything unpacked under one directory, bytecode as it ships."""

    def __init__(self, directory: Path, stack: Stack) -> None:
        self._directory = directory
        self._stack = stack
        for artifact in artifacts(read_template()):
            with zipfile.ZipFile(build_for_this_machine(artifact)) as built:
                built.extractall(directory / artifact.logical_id)
        rivals = directory / "rivals"
        rivals.mkdir()
        for module in ("naive_webhook", "floor_webhook"):
            shutil.copy(HERE / f"{module}.py", rivals)
        compiler = [str(LAMBDA_PYTHON), "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(rivals)]
        subprocess.run(compiler, check=True)
        self.without_bytecode = directory / "without-bytecode"
        shutil.copytree(
            directory / "DependenciesLayer", self.without_bytecode, ignore=shutil.ignore_patterns("__pycache__")
        )

    def environment(self, function: str, *, bytecode: bool = True, **more: str) -> dict[str, str]:
        """What a process needs to be the sandbox of this function ("Webhook", "Send")."""
        name = self._stack.outputs[f"{function}FunctionName"]
        deployed = self._stack.aws("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        dependencies = self._directory / "DependenciesLayer" if bytecode else self.without_bytecode
        code = [self._directory / f"{function}Function", self._directory / "rivals"]
        path = [*code, self._directory / "SharedLayer" / "python", dependencies / "python"]
        return server_environment(
            AWS_ENDPOINT_URL=self._stack.aws_endpoint,
            AWS_LAMBDA_FUNCTION_NAME=name,
            AWS_LAMBDA_INITIALIZATION_TYPE="on-demand",
            LAMBDA_TASK_ROOT=str(self._directory),
            PYTHONDONTWRITEBYTECODE="1",
            PYTHONWARNINGS="ignore",  # the naive one counts nothing, and Powertools says so each time
            PYTHONPATH=os.pathsep.join(map(str, path)),
            **{**deployed, "LOG_LEVEL": "ERROR", **more},
        )


def cpu_seconds(program: Sequence[str], environment: Mapping[str, str]) -> float:
    """Run a program of the functions' interpreter to its end; the CPU time it took, user and system.

    Raises:
        RuntimeError: it failed.
    """
    arguments = [str(LAMBDA_PYTHON), "-P", *program]  # a sandbox has no folder of the program on its path
    process = os.posix_spawn(arguments[0], arguments, dict(environment), file_actions=_QUIET)
    _pid, status, used = os.wait4(process, 0)
    if status:
        raise RuntimeError(f"{' '.join(program)} ended with {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime


_QUIET = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
