"""Brings an edited catalog into the functions of a running local stack, as a deployment does on AWS."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from whatsapp.domain.templates.catalog import DIRECTORY

from local.templates.check import Problem, check_catalog

_FUNCTIONS = ("SendFunctionName", "WebhookFunctionName", "TemplateSyncFunctionName")
_PLACE = "python/whatsapp/catalog/"


class CatalogError(Exception):
    """The catalog has problems, so nothing was changed. `make check` refuses it too."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def reload_catalog(aws_lambda: Any, outputs: Mapping[str, str], directory: Path = DIRECTORY) -> bool:
    """Bring the catalog's files into the stack's functions; False if they have them already.

    The files go into a new version of the functions' layer, which is otherwise unchanged. The next invocation of each
    function uses them; Twilio gets them with the next sync.

    Args:
        aws_lambda: a client of the stack's Lambda.
        outputs: the stack's outputs, which name the functions.
        directory: the catalog's directory.

    Raises:
        CatalogError: with every problem of every file.
    """
    if problems := check_catalog(directory):
        raise CatalogError(problems)
    layers = [
        one["Arn"] for one in aws_lambda.get_function_configuration(FunctionName=outputs[_FUNCTIONS[0]])["Layers"]
    ]
    *others, ours = layers  # the template puts our own code last
    old = _content_of(aws_lambda, ours)
    files = {f"{_PLACE}{file.name}": file.read_bytes() for file in sorted(directory.glob("*.yaml"))}
    if {name: old.read(name) for name in old.namelist() if name.startswith(_PLACE)} == files:
        return False
    layer = ours.split(":")[6]
    fresh = aws_lambda.publish_layer_version(LayerName=layer, Content={"ZipFile": _with_files(old, files)})
    for function in _FUNCTIONS:
        name, _, alias = outputs[function].partition(":")
        aws_lambda.update_function_configuration(FunctionName=name, Layers=[*others, fresh["LayerVersionArn"]])
        version = aws_lambda.publish_version(FunctionName=name)["Version"]
        aws_lambda.update_alias(FunctionName=name, Name=alias, FunctionVersion=version)
    return True


def _content_of(aws_lambda: Any, layer: str) -> zipfile.ZipFile:
    where = aws_lambda.get_layer_version_by_arn(Arn=layer)["Content"]["Location"]
    answer = httpx.get(where, trust_env=False, timeout=30).raise_for_status()
    return zipfile.ZipFile(io.BytesIO(answer.content))


def _with_files(old: zipfile.ZipFile, files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in old.infolist():
            if not entry.filename.startswith(_PLACE):
                archive.writestr(entry, old.read(entry))
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()
