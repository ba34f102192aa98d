"""The message templates as files: one YAML file each, in all languages (docs/templates.md describes the form).

A file is read when its template is first needed, because the webhook needs one template's buttons at most. It is not
checked here: `make check` did that before the deployment.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from whatsapp.domain.errors import MessagingError
from whatsapp.domain.templates.template import QuickReply, Template, Wording
from whatsapp.domain.templates.variables import DEFAULT_MAX_LENGTH, Variable

DIRECTORY = Path(__file__).parents[2] / "catalog"


class Catalog:
    """All templates of one directory, by name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(path.stem for path in self.directory.glob("*.yaml")))

    @cache  # noqa: B019 - a catalog lives as long as its process
    def get(self, name: str) -> Template:
        """The template of that name, read once.

        Raises:
            MessagingError: `unknown_template`, with the names that exist.
        """
        if name not in self.names:
            raise MessagingError("unknown_template", f"no such template; there are {', '.join(self.names)}")
        return template_from(read_yaml(self.directory / f"{name}.yaml"))

    def __iter__(self) -> Iterator[Template]:
        return map(self.get, self.names)

    def __len__(self) -> int:
        return len(self.names)


def load_catalog(directory: Path | None = None) -> Catalog:
    """The product's own catalog, or that of another directory. Each directory is read once per process."""
    return _load(directory or DIRECTORY)


_load = cache(Catalog)


def read_yaml(path: Path) -> dict[str, Any]:
    """The file with every scalar as text, so that `no` stays a language and `5:30` a time."""
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # the C loader is ten times as fast, where there is one
    with path.open(encoding="utf-8") as file:
        found: dict[str, Any] = yaml.load(file, Loader=loader)  # it makes only text  # noqa: S506  # nosec B506
    return found


def template_from(raw: Mapping[str, Any]) -> Template:
    """The template that a well-formed file describes."""
    languages = list(raw["languages"])
    replies = raw.get("quick_replies", ())
    return Template(
        name=raw["name"],
        purpose=raw["purpose"],
        agent=raw["agent"],
        category=raw["category"],
        default_language=raw["default_language"],
        languages={
            language: Wording(
                wording["body"].strip(),
                tuple(QuickReply(reply["titles"][language], reply["payload"]) for reply in replies),
            )
            for language, wording in raw["languages"].items()
        },
        variables={name: _variable(name, v, languages) for name, v in raw.get("variables", {}).items()},
        expires_after=duration(raw["expires_after"]) if "expires_after" in raw else None,
        quiet_hours_exempt=raw.get("quiet_hours_exempt", "false") == "true",
        on_unknown=raw.get("on_unknown", "hold"),
        free_form=raw.get("free_form", "false") == "true",
        expires_with=raw.get("expires_with"),
        requires_opt_in=raw.get("requires_opt_in", "false") == "true",
        priority=raw.get("priority", "normal"),
    )


def _variable(name: str, raw: Mapping[str, Any], languages: list[str]) -> Variable:
    sample = raw["sample"]
    return Variable(
        name=name,
        type=raw["type"],
        description=raw["description"],
        samples={language: sample if isinstance(sample, str) else sample[language] for language in languages},
        max_length=int(raw.get("max_length", DEFAULT_MAX_LENGTH[raw["type"]])),
    )


def duration(text: str) -> timedelta:
    """`45m`, `4h` or `2d`.

    Raises:
        ValueError: it is none of these.
    """
    if not (found := re.fullmatch(r"([1-9]\d*)([mhd])", text, re.ASCII)):
        raise ValueError("write a duration as 45m, 4h or 2d")
    unit = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}[found[2]]
    return int(found[1]) * unit
