"""What goes into the layers and functions: as shipped to Lambda, and as built for this machine."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.artifacts import LAMBDA_PYTHON, ROOT, BuildError, artifacts, build_for_this_machine
from local.deploy import read_template
from tools.shipped import main, megabytes, native_files, problems

UV = ROOT / ".venv" / "bin" / "uv"
REQUIREMENTS = ROOT / "layers" / "dependencies" / "requirements.txt"
HANDLERS = ["functions.send.handler", "functions.webhook.handler", "functions.template_sync.handler"]


def make(folder: Path, target: str, into: Path, **variables: str) -> None:
    settings = {"ARTIFACTS_DIR": into, "UV": UV, "PYTHON": LAMBDA_PYTHON} | variables
    arguments = [f"{name}={value}" for name, value in settings.items()]
    subprocess.run(["make", "--silent", f"build-{target}", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(autouse=True)
def bytecode_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine may have no Python 3.13."""
    monkeypatch.setenv("BYTECODE", "optional")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sam build` would ship to arm64."""
    build = tmp_path_factory.mktemp("shipped")
    for artifact in artifacts(read_template()):
        make(artifact.source, artifact.logical_id, build / artifact.logical_id)
    return build


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the local stack runs, all in one folder."""
    folder = tmp_path_factory.mktemp("built")
    for artifact in artifacts(read_template()):
        with zipfile.ZipFile(build_for_this_machine(artifact)) as archive:
            archive.extractall(folder)
    return folder


def on_lambda_python(code: str, *paths: Path) -> str:
    """What the code prints on the interpreter that has boto3 and what is in `paths`, and nothing else."""
    head = f"import sys; sys.path[:0] = {[str(path) for path in paths]!r}\n"
    run = subprocess.run([LAMBDA_PYTHON, "-I", "-c", head + code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


# --- as shipped ----------------------------------------------------------------------------------


def pinned(requirements: str) -> list[tuple[str, str]]:
    """Each package and its version, as an export of the lock names them."""
    return re.findall(r"^([a-z0-9-]+)==(\S+)", requirements, re.MULTILINE)


def test_what_is_tested_is_what_ships() -> None:
    ships = dict(pinned(REQUIREMENTS.read_text()))
    assert {name: importlib.metadata.version(name) for name in ships} == ships


@pytest.mark.parametrize("groups", [["--no-dev"], ["--group", "dev", "--group", "mutation"]], ids=["shipped", "all"])
def test_every_python_has_the_same_versions(groups: list[str]) -> None:
    """A package with two versions, by Python's, would be tested in one and shipped in the other."""
    export = ["export", "--frozen", *groups, "--no-emit-project", "--no-hashes", "--quiet"]
    lock = subprocess.run([UV, *export], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    versions = Counter(name for name, _ in pinned(lock))
    assert len(versions) > 20
    assert [name for name, count in versions.items() if count > 1] == []


@pytest.mark.skipif("PYTHON" in os.environ, reason="somebody chose another Python")
def test_tests_run_on_lambdas_python_where_it_is_to_be_had() -> None:
    shown = "print('python%d.%d' % sys.version_info[:2])"
    runtime = read_template()["Globals"]["Function"]["Runtime"]
    if on_lambda_python(shown) != runtime:
        pytest.skip(f"no {runtime} here")
    assert f"python{sys.version_info.major}.{sys.version_info.minor}" == runtime


def test_requirements_are_those_of_the_lock() -> None:
    export = ["export", "--frozen", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate", "--quiet"]
    fresh = subprocess.run([UV, *export], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert fresh == REQUIREMENTS.read_text(), "run `make requirements`"


def test_requirements_are_pinned_by_hash_and_hold_no_boto3() -> None:
    text = REQUIREMENTS.read_text()
    packages = [line.split("==")[0] for line in text.splitlines() if "==" in line]
    assert len(packages) > 10
    assert text.count("--hash=sha256:") >= len(packages)
    assert not {"boto3", "botocore"} & set(packages)


def test_shipped_code_is_for_arm64(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert problems(shipped, "arm64") == []
    assert len(native_files(shipped)) > 5, "the check looked at something"
    assert main(shipped, "arm64") == 0
    assert "all for arm64 and Python 3.13" in capsys.readouterr().out


def test_shipped_code_holds_no_environment_and_no_rubbish(shipped: Path) -> None:
    names = {path.name for path in shipped.rglob("*")}
    assert not names & {".venv", ".git", ".lock", "Makefile", "requirements.txt", ".pytest_cache"}
    assert {path.name for path in (shipped / "WebhookFunction" / "functions").iterdir()} - {"__pycache__"} == {
        "__init__.py",
        "webhook",
    }
    assert all(megabytes(folder) < 1 for folder in shipped.glob("*Function"))


def test_shipped_layer_for_the_other_processor(tmp_path: Path) -> None:
    make(ROOT / "layers" / "dependencies", "DependenciesLayer", tmp_path / "DependenciesLayer", TARGET="x86_64")
    about_the_layer = [p for p in problems(tmp_path, "x86_64") if "has no" not in p]
    assert about_the_layer == []


@pytest.fixture
def spoilt(shipped: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy to do harm to. Hard links: 27 packages are big."""
    shutil.copytree(shipped, tmp_path / "build", copy_function=_link)
    yield tmp_path / "build"
    shutil.rmtree(tmp_path / "build")


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def test_build_without_bytecode_is_refused_unless_told_otherwise(spoilt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in spoilt.rglob("*.pyc"):
        file.unlink()
    assert problems(spoilt, "arm64") == []
    monkeypatch.delenv("BYTECODE")
    (problem,) = problems(spoilt, "arm64")
    assert problem.startswith("no bytecode, because there is no Python 3.13 here")


def spoil(file: Path, content: bytes) -> None:
    file.unlink(missing_ok=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def test_check_finds_a_library_for_another_processor(spoilt: Path) -> None:
    library = native_files(spoilt)[0]
    spoil(library, b"\x7fELF\x02\x01\x01" + bytes(11) + b"\x3e\x00")
    (problem,) = problems(spoilt, "arm64")
    assert "is for ELF machine 62, not 183" in problem


@pytest.mark.parametrize(
    "tag", ["cp313-cp313-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_17_aarch64", "cp313-cp313-macosx_11_0_arm64"]
)
def test_check_finds_a_wheel_for_something_else(spoilt: Path, tag: str) -> None:
    (wheel,) = spoilt.glob("DependenciesLayer/python/pydantic_core-*.dist-info/WHEEL")
    spoil(wheel, f"Wheel-Version: 1.0\nTag: {tag}\n".encode())
    (problem,) = problems(spoilt, "arm64")
    assert tag in problem


def test_check_finds_bytecode_that_lambda_ignores(spoilt: Path) -> None:
    folder = spoilt / "SharedLayer" / "python" / "__pycache__"
    spoil(folder / "dated.cpython-313.pyc", b"\xf3\x0d\x0d\x0a" + bytes(12))
    spoil(folder / "older.cpython-311.pyc", b"\xa7\x0d\x0d\x0a\x01" + bytes(11))
    found = " ".join(problems(spoilt, "arm64"))
    assert "dated.cpython-313.pyc is bytecode that goes by dates" in found
    assert "older.cpython-311.pyc is bytecode of another Python" in found


def test_check_finds_boto3_and_missing_handlers_and_size(
    spoilt: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(spoilt / "DependenciesLayer" / "python" / "boto3" / "__init__.py", b"")
    shutil.rmtree(spoilt / "SendFunction" / "functions" / "send")
    monkeypatch.setattr("tools.shipped._MOST_MEGABYTES", 10)
    assert main(spoilt, "arm64") == 1
    found = capsys.readouterr().err
    assert "boto3 is in the layer" in found
    assert "has no functions/send/handler.py" in found
    assert "over our 10 MB" in found


# --- for this machine ----------------------------------------------------------------------------


def test_interpreter_for_functions_has_boto3_and_nothing_of_ours() -> None:
    look = "from importlib.util import find_spec as f\nprint([n for n in {names} if f(n)])"
    names = ["boto3", "botocore", "pydantic", "twilio", "jinja2", "aws_lambda_powertools", "whatsapp", "local"]
    assert on_lambda_python(look.format(names=names)) == "['boto3', 'botocore']"


@pytest.mark.parametrize("handler", HANDLERS)
def test_handler_needs_nothing_beyond_its_layers(built: Path, handler: str) -> None:
    code = f"import {handler} as h; print(callable(h.lambda_handler), h.__file__)"
    called, file = on_lambda_python(code, built, built / "python").split()
    assert called == "True"
    assert file.startswith(str(built))


def test_everything_in_our_layer_can_be_imported(built: Path) -> None:
    """Handlers import lazily: what they reach for later must be there too."""
    code = (
        "import importlib, pkgutil, whatsapp\n"
        "names = [m.name for m in pkgutil.walk_packages(whatsapp.__path__, 'whatsapp.')]\n"
        "[importlib.import_module(name) for name in names]\n"
        "print(len(names))"
    )
    assert int(on_lambda_python(code, built, built / "python")) > 10


def test_list_of_safety_ships_and_is_read_from_the_layer(shipped: Path, built: Path) -> None:
    shared = Path("whatsapp/domain/receiving/safety_phrases.tsv")
    assert (shipped / "SharedLayer" / "python" / shared).read_bytes() == (ROOT / "layers/shared" / shared).read_bytes()
    code = "from whatsapp.domain.receiving import safety as s; print(s.FILE, s.safety_of(['kill myself']).phrase_id)"
    file, phrase_id = on_lambda_python(code, built, built / "python").split()
    assert (file, phrase_id) == (str(built / "python" / shared), "suicide")


def test_nothing_is_built_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    function = next(a for a in artifacts(read_template()) if a.logical_id == "SendFunction")
    first = build_for_this_machine(function)
    monkeypatch.setattr("local.artifacts._make", lambda *_: pytest.fail("built again"))
    assert build_for_this_machine(function) == first


def test_failed_build_says_why(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("build-X:\n\t@echo this is why >&2; exit 1\n")
    artifact: Any = artifacts(read_template())[0]
    broken = type(artifact)("X", "CodeUri", tmp_path)
    with pytest.raises(BuildError, match="building X failed:\nthis is why"):
        build_for_this_machine(broken)
