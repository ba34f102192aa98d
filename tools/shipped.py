"""Checks what `sam build` made before it is shipped: `python -m tools.shipped .aws-sam/build arm64`.

The layer is for another Python and often another processor than this machine's: it cannot be tried by import.
Without a Python 3.13 no bytecode is built, and each cold start compiles everything: that is refused, unless BYTECODE is
`optional`, as on a machine that checks and does not deploy.
"""

import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from local.deploy import read_template

# The processor, as wheel tags and as ELF headers name it (e_machine in elf.h).
_PLATFORMS = {"arm64": ("aarch64", 183), "x86_64": ("x86_64", 62)}
# AWS refuses a function that is over 250 MB unzipped, with its layers. Far below, cold starts stay short.
_MOST_MEGABYTES = 150
_UNCHECKED_HASH = 0b01  # PEP 552: the flags of a .pyc that is used without a look at its source


def problems(build: Path, architecture: str) -> list[str]:
    """What must not be shipped, and why. Empty when all is well."""
    wheel_platform, machine = _PLATFORMS[architecture]
    layer = build / "DependenciesLayer" / "python"
    return [
        *_missing(build),
        *_wrong_wheels(layer, wheel_platform),
        *_wrong_native_files(layer, machine),
        *_brought_by_lambda(layer),
        *_missing_bytecode(build),
        *_stale_bytecode(build),
        *_too_big(build),
    ]


def megabytes(folder: Path) -> float:
    """Size of all files in the folder."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1_000_000


def native_files(folder: Path) -> list[Path]:
    """Every shared library in the folder."""
    return sorted(f for f in folder.rglob("*") if f.is_file() and f.open("rb").read(4) == b"\x7fELF")


def _missing(build: Path) -> Iterator[str]:
    for logical_id, resource in read_template()["Resources"].items():
        folder = build / logical_id
        if resource["Type"] == "AWS::Serverless::Function":
            handler = resource["Properties"]["Handler"].rpartition(".")[0].replace(".", "/") + ".py"
            if not (folder / handler).is_file():
                yield f"{folder} has no {handler}"
        elif resource["Type"] == "AWS::Serverless::LayerVersion" and not (folder / "python").is_dir():
            yield f"{folder} has no folder named python, where Lambda looks"


def _wrong_wheels(layer: Path, wheel_platform: str) -> Iterator[str]:
    for wheel in layer.glob("*.dist-info/WHEEL"):
        tags = [line.removeprefix("Tag: ") for line in wheel.read_text().splitlines() if line.startswith("Tag: ")]
        if not any(_fits(tag, wheel_platform) for tag in tags):
            yield f"{wheel.parent.name} is built for {', '.join(tags)}"


def _fits(tag: str, wheel_platform: str) -> bool:
    python, abi, platform = tag.split("-")
    if platform == "any":
        return abi == "none" and "py3" in python
    return (python == "cp313" or abi == "abi3") and "linux" in platform and platform.endswith(wheel_platform)


def _wrong_native_files(layer: Path, machine: int) -> Iterator[str]:
    for file in native_files(layer):
        # e_machine: two bytes at 18, in the byte order that byte 5 tells (1 is little-endian)
        header = file.open("rb").read(20)
        (found,) = struct.unpack("<H" if header[5] == 1 else ">H", header[18:20])
        if found != machine:
            yield f"{file.relative_to(layer)} is for ELF machine {found}, not {machine}"


def _brought_by_lambda(layer: Path) -> Iterator[str]:
    for package in ("boto3", "botocore"):
        if (layer / package).exists():
            yield f"{package} is in the layer: Lambda brings its own, and two kinds of it do not mix"


def _missing_bytecode(build: Path) -> Iterator[str]:
    if not list(build.rglob("*.pyc")) and os.environ.get("BYTECODE") != "optional":
        yield (
            "no bytecode, because there is no Python 3.13 here: a cold start would take 1.4 times as long. "
            "Install Python 3.13, or say BYTECODE=optional where nothing is deployed from"
        )


def _stale_bytecode(build: Path) -> Iterator[str]:
    for file in build.rglob("*.pyc"):
        if ".cpython-313." not in file.name:
            yield f"{file.relative_to(build)} is bytecode of another Python"
        elif struct.unpack("<I", file.open("rb").read(8)[4:])[0] != _UNCHECKED_HASH:
            yield f"{file.relative_to(build)} is bytecode that goes by dates, and SAM dates every file 1980"


def _too_big(build: Path) -> Iterator[str]:
    layers = sum(megabytes(f) for f in build.glob("*Layer"))
    largest = max((megabytes(f) for f in build.glob("*Function")), default=0.0)
    if layers + largest > _MOST_MEGABYTES:
        yield f"{layers + largest:.0f} MB unzipped with all layers, over our {_MOST_MEGABYTES} MB"


def main(build: Path, architecture: str) -> int:
    """Print what is wrong, or what was looked at."""
    found = problems(build, architecture)
    for problem in found:
        print(f"shipped: {problem}", file=sys.stderr)
    if found:
        return 1
    layer = build / "DependenciesLayer" / "python"
    packages, native = len(list(layer.glob("*.dist-info"))), len(native_files(layer))
    bytecode = "with bytecode" if list(build.rglob("*.pyc")) else "WITHOUT bytecode (no python3.13 here)"
    print(
        f"shipped: {packages} packages and {native} native files, all for {architecture} and Python 3.13, "
        f"{megabytes(build):.0f} MB unzipped, {bytecode}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
