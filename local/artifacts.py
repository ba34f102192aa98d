"""The functions and layers, built for this machine by the very recipes that `sam build` uses.

A built artifact is kept in `.build/` under the hash of what it was built from, so nothing is built twice.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LAMBDA_PYTHON = ROOT / ".venv-lambda" / "bin" / "python"
_CACHE = ROOT / ".build"
_CODE_PROPERTY = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the date that SAM gives, so that bytecode is tried as it ships


class BuildError(Exception):
    """An artifact could not be built. The text bears what the build said."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A resource of template.yaml whose code is to be built: a function or a layer."""

    logical_id: str
    code_property: str
    source: Path


def artifacts(template: Mapping[str, Any]) -> list[Artifact]:
    """Everything in the template that has code."""
    found = []
    for logical_id, resource in template["Resources"].items():
        if code_property := _CODE_PROPERTY.get(resource["Type"]):
            source = ROOT / resource["Properties"][code_property]
            found.append(Artifact(logical_id, code_property, source))
    return found


def this_machine() -> str:
    """This machine's processor, as Lambda calls it."""
    return "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"


def build_for_this_machine(artifact: Artifact) -> Path:
    """The artifact's zip, for the functions' interpreter on this machine.

    Raises:
        BuildError: as `build` does.
    """
    return build(artifact, "host")


def build(artifact: Artifact, target: str) -> Path:
    """The artifact's zip, built now if its source has changed since.

    Args:
        target: as the recipes have it: "arm64" or "x86_64" for Lambda's Linux, "host" for this machine.

    Raises:
        BuildError: make said no, or the interpreter for functions is missing.
    """
    if not LAMBDA_PYTHON.exists():
        raise BuildError(f"{LAMBDA_PYTHON.relative_to(ROOT)} is missing. Run `make setup` first.")
    zipped = _CACHE / f"{artifact.logical_id}-{target}-{_fingerprint(artifact.source)}.zip"
    if zipped.exists():
        return zipped
    _CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
        built, draft = Path(scratch, "built"), Path(scratch, "zip")
        _make(artifact, target, built)
        _zip(built, draft)
        draft.rename(zipped)
    for outdated in set(_CACHE.glob(f"{artifact.logical_id}-{target}-*.zip")) - {zipped}:
        outdated.unlink(missing_ok=True)  # missing: another stack that builds the same was quicker
    return zipped


def _make(artifact: Artifact, target: str, into: Path) -> None:
    uv = ROOT / ".venv" / "bin" / "uv"
    variables = {
        "ARTIFACTS_DIR": str(into),
        "TARGET": target,
        "PYTHON": str(LAMBDA_PYTHON),
        "UV": str(uv) if uv.exists() else "uv",
    }
    run = subprocess.run(
        ["make", "--silent", f"build-{artifact.logical_id}", *(f"{k}={v}" for k, v in variables.items())],
        cwd=artifact.source,
        # This make may itself run under `make run`: its flags are not meant for the recipe.
        env={k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise BuildError(f"building {artifact.logical_id} failed:\n{run.stderr.strip() or run.stdout.strip()}")


def _zip(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(str(path.relative_to(folder)), _ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = path.stat().st_mode << 16
            with path.open("rb") as source, archive.open(entry, "w") as sink:
                shutil.copyfileobj(source, sink)


def _fingerprint(source: Path) -> str:
    """Changes with any file of the source, and with the interpreter it is built for."""
    digest = hashlib.sha256(str(LAMBDA_PYTHON.resolve()).encode())
    for path in sorted(source.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"\0{path.relative_to(source)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:20]
