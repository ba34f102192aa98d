from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.deploy import read_template
from local.stack import Stack
from tools.translate import translate

Resources = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    """template.yaml as written."""
    return read_template()


@pytest.fixture(scope="session")
def resources(template: dict[str, Any]) -> Resources:
    """Every resource, as CloudFormation sees it after SAM's transform."""
    translated: Resources = translate(template, {})["Resources"]
    return translated


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack with a rate limit that is not the template's default."""
    directory: Path = tmp_path_factory.mktemp("stack")
    with Stack(directory, {"RateLimitSeconds": "77"}) as running:
        yield running
