"""`python -m local.templates [show|check|schema] [DIRECTORY]`: what `make templates` and `make check` run."""

import argparse
import sys
from pathlib import Path

from whatsapp.domain.receiving import safety
from whatsapp.domain.templates.catalog import DIRECTORY, Catalog

from local.templates import form
from local.templates.check import check_catalog, check_phrases
from local.templates.preview import preview


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 1 if the catalog has problems."""
    parser = argparse.ArgumentParser(prog="python -m local.templates", description=__doc__)
    parser.add_argument(
        "command",
        nargs="?",
        default="show",
        choices=["show", "check", "schema"],
        help="show checks and previews, check only checks, schema writes the JSON Schema for editors",
    )
    here = Path.cwd()
    ours = DIRECTORY.relative_to(here) if DIRECTORY.is_relative_to(here) else DIRECTORY
    parser.add_argument("directory", nargs="?", type=Path, default=ours, help=f"default: {ours}")
    given = parser.parse_args(arguments)
    if given.command == "schema":
        form.SCHEMA_FILE.write_text(form.json_schema_text(), encoding="utf-8")
        print(f"wrote {form.SCHEMA_FILE}")
        return 0
    return _check_and_show(given.directory, show=given.command == "show")


def _check_and_show(directory: Path, *, show: bool) -> int:
    if not directory.is_dir():
        print(f"{directory} is no directory", file=sys.stderr)
        return 1
    problems = check_catalog(directory)
    faulty = {problem.file.stem for problem in problems}
    problems += check_phrases(safety.FILE)
    catalog = Catalog(directory)
    if show:
        for template in (catalog.get(name) for name in catalog.names if name not in faulty):
            print(f"{preview(template)}\n", flush=True)
    for problem in problems:  # last, where one looks
        print(problem, file=sys.stderr, flush=True)
    number = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}" if problems else "no problems"
    print(f"templates: {len(catalog)} checked, {number}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
