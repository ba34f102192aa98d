"""The shipped catalog, and how a catalog is read."""

import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
import yaml
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.templates.catalog import DIRECTORY, duration, load_catalog, read_yaml, template_from
from whatsapp.domain.templates.localisation import LANGUAGES
from whatsapp.domain.templates.variables import VARIABLE_TYPES

from local.templates import form
from local.templates.check import check_catalog, check_file

FILES = sorted(DIRECTORY.glob("*.yaml"))

SMALLEST = """
name: smallest
purpose: Shows what may be left out.
agent: scheduling
category: UTILITY
default_language: en
languages:
  en: {body: Good morning to you}
"""
FULLEST = """
name: fullest
purpose: Uses all there is.
agent: mood
category: MARKETING
default_language: hi
expires_after: 45m
expires_with: day
requires_opt_in: true
priority: urgent
quiet_hours_exempt: true
on_unknown: resend
free_form: true
variables:
  note: {type: text, description: A note., sample: well, max_length: 9}
  day: {type: date, description: A day., sample: "2026-11-24"}
quick_replies:
  - {payload: agent:mood:score:1, titles: {hi: ठीक}}
languages:
  hi: {body: "  नमस्ते {{ note }} जी {{ day }} को\\n"}
"""


def test_the_four_templates_in_four_languages() -> None:
    catalog = load_catalog()
    assert catalog.names == ("appointment_confirmation", "follow_up", "mood_checkin", "session_reminder")
    assert [template.name for template in catalog] == list(catalog.names)
    assert len(catalog) == 4
    for template in catalog:
        assert list(template.languages) == ["en", "hi", "ta", "bn"]
        assert template.category == "UTILITY"


def test_the_shipped_catalog_has_no_problem() -> None:
    assert check_catalog(DIRECTORY) == []


def test_every_wording_makes_content_of_its_own() -> None:
    contents = [template.content(language) for template in load_catalog() for language in template.languages]
    names = {content["friendly_name"] for content in contents}
    assert len(names) == len(contents) == 16
    for name in names:
        assert re.fullmatch(r"[a-z0-9_]{1,512}", name)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_editors_find_the_shipped_files_valid(file: Path) -> None:
    found = yaml.safe_load(file.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(form.json_schema()).validate(found)
    first_line = file.read_text(encoding="utf-8").partition("\n")[0]
    schema = first_line.removeprefix("# yaml-language-server: $schema=")
    assert (file.parent / schema).resolve() == form.SCHEMA_FILE


def test_the_schema_for_editors_is_current() -> None:
    assert form.SCHEMA_FILE.read_text(encoding="utf-8") == form.json_schema_text(), (
        "run: python -m local.templates schema"
    )


def test_every_key_of_the_form_is_described() -> None:
    schema = form.json_schema()
    for described in [schema, *schema["$defs"].values()]:
        for key, value in described["properties"].items():
            assert value.get("description"), key


def test_the_form_has_the_languages_that_we_have_words_for() -> None:
    names = form.json_schema()["properties"]["languages"]["propertyNames"]["enum"]
    assert names == list(LANGUAGES)


def test_the_page_for_those_who_word_them_is_complete() -> None:
    page = (Path(__file__).parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")
    wording, _, _ = page.partition("## Versions and the sync")
    rows = {line.split("`")[1] for line in wording.splitlines() if line.startswith("| `")}
    assert rows == {*load_catalog().names, *form.TemplateForm.model_fields, *VARIABLE_TYPES}


def test_the_example_on_the_page_is_a_good_template(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")
    file = tmp_path / "session_reminder.yaml"
    file.write_text(page.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    assert check_file(file) == []


def read(tmp_path: Path, text: str) -> dict[str, object]:
    file = tmp_path / "some.yaml"
    file.write_text(text, encoding="utf-8")
    return read_yaml(file)


def test_what_may_be_left_out(tmp_path: Path) -> None:
    raw = read(tmp_path, SMALLEST)
    form.TemplateForm.model_validate(raw)
    template = template_from(raw)
    assert template.expires_after is None
    assert template.expires_with is None
    assert not template.quiet_hours_exempt
    assert template.on_unknown == "hold"
    assert not template.free_form
    assert not template.requires_opt_in
    assert template.priority == "normal"
    assert template.variables == {}
    assert template.render("en", {}).text == "Good morning to you"


def test_every_key_of_the_form_reaches_the_template(tmp_path: Path) -> None:
    raw = read(tmp_path, FULLEST)
    filled = form.TemplateForm.model_validate(raw)
    assert filled.model_fields_set == set(form.TemplateForm.model_fields)
    template = template_from(raw)
    assert (template.name, template.agent, template.category) == ("fullest", "mood", "MARKETING")
    assert template.purpose == "Uses all there is."
    assert template.default_language == "hi"
    assert template.expires_after == timedelta(minutes=45)
    assert template.expires_with == "day"
    assert template.quiet_hours_exempt
    assert template.on_unknown == "resend"
    assert template.free_form
    assert template.requires_opt_in
    assert template.priority == "urgent"
    note = template.variables["note"]
    assert (note.type, note.description, note.samples, note.max_length) == (
        "text",
        "A note.",
        {"hi": "well"},
        9,
    )
    reply = template.wording("hi").quick_replies[0]
    assert (reply.title, reply.payload) == ("ठीक", "agent:mood:score:1")
    assert template.wording("hi").body == "नमस्ते {{ note }} जी {{ day }} को"


def test_values_stay_as_they_were_written(tmp_path: Path) -> None:
    assert read(tmp_path, "a: no\nb: 5:30\nc: 2026-11-24\nd: 007") == {
        "a": "no",
        "b": "5:30",
        "c": "2026-11-24",
        "d": "007",
    }


@pytest.mark.parametrize("name", ["nope", "../catalog/follow_up", "", "follow_up.yaml"])
def test_a_template_that_there_is_not(name: str) -> None:
    with pytest.raises(MessagingError, match="appointment_confirmation, follow_up, mood_checkin") as refused:
        load_catalog().get(name)
    assert refused.value.code == "unknown_template"


def test_a_catalog_is_read_once() -> None:
    assert load_catalog() is load_catalog()
    assert load_catalog() is load_catalog(DIRECTORY)
    assert load_catalog().get("follow_up") is load_catalog().get("follow_up")


def test_a_broken_neighbour_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "smallest.yaml").write_text(SMALLEST, encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("name: [", encoding="utf-8")
    assert load_catalog(tmp_path).get("smallest").name == "smallest"


@pytest.mark.parametrize(
    ("text", "span"),
    [("45m", timedelta(minutes=45)), ("4h", timedelta(hours=4)), ("2d", timedelta(days=2))],
)
def test_durations(text: str, span: timedelta) -> None:
    assert duration(text) == span


@pytest.mark.parametrize("text", ["", "4", "0h", "4 h", "h", "-1h", "1w", "٤h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="45m, 4h or 2d"):
        duration(text)


def test_the_webhook_is_spared_heavy_imports() -> None:
    """It needs a template's buttons on its cold path; rendering and validation are others' work."""
    program = """
import json, sys
from whatsapp.domain.templates.catalog import load_catalog
payload = load_catalog().get("mood_checkin").quick_reply("So-so").payload
print(json.dumps([payload, sorted({"jinja2", "pydantic", "twilio", "boto3"} & set(sys.modules))]))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == ["agent:mood:score:2", []]
