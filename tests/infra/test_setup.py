"""The set-up on machines that lack something: one clear line, before anything is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone, as far as the set-up looks at it."""
    (tmp_path / "clone" / "local").mkdir(parents=True)
    shutil.copy(ROOT / "local" / "setup.sh", tmp_path / "clone" / "local")
    shutil.copy(ROOT / "uv.lock", tmp_path / "clone")
    return tmp_path / "clone"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A search path with the plainest tools and no Python."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "cmp", "cp", "dirname", "echo"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    return tools


def python_that_says(tools: Path, name: str, version: str, *, venv: bool = True) -> None:
    """A Python of that version; or one that Debian took venv out of."""
    modules = "" if venv else '*"import ensurepip"*) exit 1;;'
    script = f'#!/bin/sh\ncase "$2" in *version_info*) echo {version};; {modules} esac\n'
    (tools / name).write_text(script)
    (tools / name).chmod(0o755)


def line_from_setup(clone: Path, path: Path, **variables: str) -> str:
    run = subprocess.run(
        ["/bin/sh", "local/setup.sh"],
        cwd=clone,
        env={"PATH": str(path), "HOME": str(clone), **variables},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1, run
    assert not (clone / ".venv" / "made-from.lock").exists()
    (line,) = run.stderr.splitlines()
    return line


def test_no_python(clone: Path, path: Path) -> None:
    assert "setup: no Python found. Install 3.11, 3.12 or 3.13" in line_from_setup(clone, path)


@pytest.mark.parametrize("version", ["3.10", "3.14", "2.7"])
def test_wrong_python(clone: Path, path: Path, version: str) -> None:
    python_that_says(path, "python3", version)
    assert f"setup: Python {version} does not fit. Install 3.11" in line_from_setup(clone, path)


def test_chosen_python_is_not_there(clone: Path, path: Path) -> None:
    python_that_says(path, "python3", "3.12")
    assert "no Python found at /no/python" in line_from_setup(clone, path, PYTHON="/no/python")


def test_chosen_python_is_wrong(clone: Path, path: Path) -> None:
    python_that_says(path, "python3", "3.12")
    python_that_says(path, "old", "3.8")
    assert "Python 3.8 does not fit" in line_from_setup(clone, path, PYTHON=str(path / "old"))


def test_python_without_venv(clone: Path, path: Path) -> None:
    python_that_says(path, "python3.11", "3.11", venv=False)
    assert (
        line_from_setup(clone, path) == "setup: python3.11 has no venv module (Debian: apt-get install python3-venv)."
    )


def test_command_that_only_looks_like_python_is_passed_over(clone: Path, path: Path) -> None:
    """pyenv leaves a python3.13 that only complains when no such version is switched on."""
    (path / "python3.13").write_text("#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2\nexit 127\n")
    (path / "python3.13").chmod(0o755)
    python_that_says(path, "python3.12", "3.12", venv=False)
    assert "python3.12 has no venv module" in line_from_setup(clone, path)


def test_lambdas_version_is_taken_where_it_is_to_be_had(clone: Path, path: Path) -> None:
    """Installed by pyenv, but not switched on: an older one that is on the path is not what ships."""
    python_that_says(path, "python3.11", "3.11")
    pyenv = clone / ".pyenv" / "versions" / "3.13.0" / "bin"
    pyenv.mkdir(parents=True)
    python_that_says(pyenv, "python", "3.13", venv=False)
    assert line_from_setup(clone, path).startswith(f"setup: {pyenv}/python has no venv module")


def test_environment_of_another_version_is_made_anew(clone: Path, path: Path) -> None:
    made = clone / ".venv" / "bin"
    made.mkdir(parents=True)
    python_that_says(made, "python", "3.11")
    python_that_says(path, "python3.13", "3.13", venv=False)
    assert line_from_setup(clone, path).startswith("setup: python3.13 has no venv module")
    assert line_from_setup(clone, path, PYTHON="python3.13").startswith("setup: python3.13 has no venv module")


def test_no_network_is_said(clone: Path) -> None:
    """In a clone whose downloads go to a port at which nobody listens."""
    nobody = "http://127.0.0.1:9"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", clone / ".venv"], check=True)
    (clone / ".venv" / "bin" / "uv").symlink_to(ROOT / ".venv" / "bin" / "uv")
    shutil.copy(ROOT / "pyproject.toml", clone)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(clone), "PYTHON": sys.executable, "UV_CACHE_DIR": str(clone / "cache"),
        "UV_HTTP_RETRIES": "0", "ALL_PROXY": nobody, "UV_DEFAULT_INDEX": f"{nobody}/simple",
    }  # fmt: skip
    run = subprocess.run(["sh", "local/setup.sh"], cwd=clone, env=environment, capture_output=True, text=True)
    assert run.returncode == 1, run
    assert run.stderr.splitlines()[-1].startswith("setup: no network: the package index did not answer, so .venv")


def test_nothing_is_done_twice() -> None:
    """In this very environment, which the set-up made: at once, and without a word."""
    lock = (ROOT / "uv.lock").read_bytes()
    made_from = [ROOT / folder / "made-from.lock" for folder in (".venv", ".venv-lambda")]
    if not all(made.exists() and made.read_bytes() == lock for made in made_from):
        pytest.skip("`make setup` is due: it must not happen here, beside other tests")
    environment = {"PATH": os.environ["PATH"], "HOME": str(Path.home())}
    run = subprocess.run(
        ["sh", "local/setup.sh"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=20
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
