"""The catalog's files as they are now: each language as the patient will read it, and what is wrong with the words."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import yaml
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.templates.catalog import read_yaml, template_from

from local.phone.world import World
from local.templates.check import check_file

LOOK_EVERY_S = 0.5


async def watch(world: World, catalog: Path) -> None:
    """Tell of the files whenever one was saved, for ever."""
    seen = None
    while True:
        with contextlib.suppress(FileNotFoundError):  # an editor is putting a new file in the old one's place
            saved = [(file, file.stat().st_mtime_ns) for file in sorted(catalog.glob("*.yaml"))]
            if saved != seen:
                files = [await asyncio.to_thread(view_of, file) for file, _ in saved]
                world.put("status", "wording", {"directory": str(catalog), "files": files})
                seen = saved
        await asyncio.sleep(LOOK_EVERY_S)


def view_of(file: Path) -> dict[str, Any]:
    """One file: its findings by line, and each language's text and buttons.

    A text that cannot be filled in yet stands as it is written.
    """
    problems = [{"line": each.line, "rule": each.rule, "remedy": each.remedy} for each in check_file(file)]
    try:
        raw = read_yaml(file)
        wordings = {language: _rendered(raw, language) for language in raw["languages"]}
    except (yaml.YAMLError, UnicodeDecodeError, LookupError, TypeError, AttributeError):
        wordings = {}  # the findings say why
    return {"name": file.stem, "file": file.name, "problems": problems, "wordings": wordings}


def _rendered(raw: dict[str, Any], language: str) -> dict[str, Any]:
    try:
        template = template_from(raw)
        text = template.render(language, template.sample_values(language)).text
        buttons = [reply.title for reply in template.wording(language).quick_replies]
    except (MessagingError, LookupError, TypeError, AttributeError, ValueError):
        text, buttons = str(raw["languages"][language]["body"]).strip(), []
    return {"text": text, "buttons": buttons}
