"""Checks catalog files and reports all problems at once, each with file, line, rule and remedy."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import yaml
from pydantic import ValidationError
from whatsapp.domain.receiving.safety import phrases_in
from whatsapp.domain.templates.catalog import read_yaml

from local.templates import form, rules
from local.templates.rules import Finding


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A broken rule of WhatsApp, of Twilio or of ours."""

    file: Path
    line: int
    rule: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}\n    → {self.remedy}"


def check_phrases(file: Path) -> list[Problem]:
    """What is wrong with the list of phrases for danger to life: the first line that cannot be read."""
    try:
        with file.open(encoding="utf-8") as lines:
            phrases_in(lines)
    except ValueError as error:
        return [Problem(file, 1, str(error), "Correct the line; the head of the file says how lines look")]
    return []


def check_catalog(directory: Path) -> list[Problem]:
    """All problems of all files in `directory`, by file and line."""
    problems = []
    for file in sorted(directory.iterdir()):
        if file.suffix == ".yaml":
            problems += check_file(file)
        else:
            problems.append(Problem(file, 1, "not a template: only *.yaml is read", "Rename or remove it"))
    if not problems and not any(directory.iterdir()):
        problems.append(Problem(directory, 1, "there is no template here", "Name the catalog's directory"))
    return problems


def check_file(file: Path) -> list[Problem]:
    """All problems of one file, by line."""
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
        raw = read_yaml(file)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return [_unreadable(file, error)]
    if not isinstance(root, yaml.MappingNode):
        return [Problem(file, 1, "there is no template in this file", "Begin with name: and the file's name")]
    lines = _Lines(root)
    found = [*_form_findings(raw), *rules.findings(raw)]
    if raw.get("name", file.stem) != file.stem:
        found.append(Finding(("name",), "the name is not the file's", f"Write name: {file.stem}"))
    problems = {Problem(file, lines.of(f), f.rule, f.remedy) for f in found}
    problems |= {
        Problem(file, line, f"{key} stands here twice, only one would count", "Remove one of them")
        for key, line in _duplicates(root)
    }
    return sorted(problems)


def _unreadable(file: Path, error: yaml.YAMLError | UnicodeDecodeError) -> Problem:
    if mark := getattr(error, "problem_mark", None):
        remedy = "Check indentation and quotes there; a text with ': ' or ' #' inside needs quotes"
        return Problem(file, mark.line + 1, f"this is not YAML: {getattr(error, 'problem', error)}", remedy)
    if isinstance(error, UnicodeDecodeError):
        before, what = file.read_bytes()[: error.start].decode(), "a byte"
    else:
        before, what = file.read_text(encoding="utf-8")[: getattr(error, "position", 0)], "a character"
    rule = f"this is not YAML: it holds {what} that is not allowed there"
    return Problem(file, before.count("\n") + 1, rule, "Type the words there anew, and save the file as UTF-8")


def _form_findings(raw: object) -> Iterator[Finding]:
    """Broken rules of the form: keys, types and limits of values."""
    try:
        form.TemplateForm.model_validate(raw)
    except ValidationError as error:
        for item in error.errors():
            path = tuple(step for step in item["loc"] if step not in form.SAMPLE_FORMS)
            yield _form_finding(item["type"], item["msg"], path)


def _form_finding(kind: str, message: str, path: rules.Path) -> Finding:
    key = str(path[-1])
    if kind == "missing":
        return Finding(path, f"{key} is missing", f"Add {key}: {form.advice(path)}")
    if kind == "extra_forbidden":
        known = list(form.schema_at(path[:-1]).get("properties", {}))
        guess = get_close_matches(key, known, 1)
        remedy = f"Did you mean {guess[0]}?" if guess else f"Remove it; there may be {', '.join(known)}"
        return Finding(path, f"{key} is not known here", remedy)
    rule = "is not of the right form" if kind == "string_pattern_mismatch" else f"{message[0].lower()}{message[1:]}"
    if key == "[key]":  # the name is wrong, not the value: the advice above it lists the allowed names
        return Finding(path[:-1], f"{path[-2]}: {rule}", form.advice(path[:-2]))
    return Finding(path, f"{key}: {rule}", form.advice(path))


class _Lines:
    """Finds the line of a finding."""

    def __init__(self, root: yaml.Node) -> None:
        self._root = root

    def of(self, finding: Finding) -> int:
        """The line, from 1; inside a body written with `|`, the exact line."""
        node, line = self._root, self._root.start_mark.line
        for step in finding.path:
            if isinstance(node, yaml.MappingNode):
                entry = next(((k, v) for k, v in node.value if k.value == step), None)
                if entry is None:
                    break
                line, node = entry[0].start_mark.line, entry[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
                node = node.value[step]
                line = node.start_mark.line
            else:
                break
        if finding.at is not None and isinstance(node, yaml.ScalarNode) and node.style == "|":
            line = node.start_mark.line + 1 + node.value[: finding.at].count("\n")
        return int(line) + 1


def _duplicates(node: yaml.Node) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield str(key.value), key.start_mark.line + 1
            seen.add(key.value)
            yield from _duplicates(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _duplicates(value)
