"""`make templates`: every problem with its file and line, all at once, and the preview."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from whatsapp.domain.templates.catalog import load_catalog

from local.templates.__main__ import main
from local.templates.check import Problem, check_catalog, check_file
from local.templates.preview import preview

GOOD = """\
name: note
purpose: Tells a patient something.
agent: scheduling
category: UTILITY
default_language: en
expires_after: 4h
free_form: false
variables:
  patient_name:
    type: name
    description: The patient's name.
    sample: Asha
quick_replies:
  - payload: agent:scheduling:confirm
    titles: {en: Confirm}
languages:
  en:
    body: |-
      Hello {{ patient_name }},

      this is a note for you.
"""


def check(tmp_path: Path, text: str) -> list[Problem]:
    file = tmp_path / "note.yaml"
    file.write_text(text, encoding="utf-8")
    return check_file(file)


def test_a_good_file_has_no_problem(tmp_path: Path) -> None:
    assert check(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "rule", "remedy"),
    [
        ("name: note", "name: other", 1, "the name is not the file's", "name: note"),
        ("name: note", "name: Note", 1, "name: is not of the right form", "lower-case"),
        (
            "purpose: Tells a patient something.\n",
            "",
            1,
            "purpose is missing",
            "Add purpose: What the message is",
        ),
        ("agent: scheduling\n", "agnet: scheduling\n", 3, "agnet is not known here", "Did you mean agent?"),
        (
            "category: UTILITY",
            "category: OTP",
            4,
            "category: input should be 'UTILITY' or",
            "MARKETING for all",
        ),
        ("default_language: en", "default_language: hi", 5, "default language hi has no body", "one of en"),
        (
            "expires_after: 4h",
            "expires_after: 4 hours",
            6,
            "expires_after: is not of the right form",
            "45m, 4h",
        ),
        (
            "free_form: false",
            "free_form: no",
            7,
            "free_form: input should be a valid boolean",
            "true or false",
        ),
        ("free_form: false", "expires_with: session", 7, "session is not among the variables", "Name the variable"),
        ("free_form: false", "expires_with: patient_name", 7, "is a name, which", "Name a date or time or datetime"),
        ("free_form: false", "expires_with: [it]", 7, "expires_with: input should be a valid string", "The variable"),
        ("free_form: false", "agent: mood", 7, "agent stands here twice", "Remove one"),
        ("  patient_name:\n", "  1/0:\n", 9, "1/0: is not of the right form", "lower-case letters"),
        ("  patient_name:\n", "  Patient:\n", 9, "Patient: is not of the right form", "lower-case letters"),
        ("type: name", "type: nmae", 10, "type: input should be 'name', 'date'", "date, time"),
        ("sample: Asha", "sample: Asha\n    sample: Ravi", 13, "sample stands here twice", "Remove one"),
        ("titles: {en: Confirm}", "titles: {en: Yes I do, en: Confirm}", 15, "en stands here twice", "Remove one"),
        ("sample: Asha", "sample: [Asha]", 12, "sample: input should be a valid string", "one for all"),
        (
            "sample: Asha",
            "sample: {fr: Asha, en: A}",
            12,
            "fr: input should be 'en'",
            "for WhatsApp's reviewer",
        ),
        ("sample: Asha", "sample: Asha\n    max_length: 256", 13, "less than or equal to 255", "1 to 255"),
        ("agent:scheduling:confirm", "confirm", 14, "payload: is not of the right form", "agent:scheduling"),
        ("en: Confirm", "en: Confirm that I am coming", 15, "at most 20 characters", "1 to 20"),
        ("en: Confirm", "en: CANCEL", 15, "CANCEL would be taken for the keyword", "other words"),
        ("  en:\n", "  xx:\n", 17, "xx: input should be 'en'", "en, hi, ta, bn"),
        (
            "Hello {{ patient_name }},",
            "{{ patient_name }},",
            19,
            "starts with a variable",
            "Begin with a word",
        ),
        ("a note for you.", "from {{ doctor }} now", 21, "{{ doctor }} is not among", "Describe doctor"),
        ("a note for you.", "a {{ patient_name | upper }} x", 21, "not a plain {{ name }}", "no filter"),
    ],
)
def test_a_problem_names_line_rule_and_remedy(
    tmp_path: Path, old: str, new: str, line: int, rule: str, remedy: str
) -> None:
    assert old in GOOD
    problems = check(tmp_path, GOOD.replace(old, new, 1))
    assert [p for p in problems if p.line == line and rule in p.rule and remedy in p.remedy], problems
    assert str(problems[0]).startswith(f"{tmp_path / 'note.yaml'}:{problems[0].line}: ")


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    bad = GOOD.replace("UTILITY", "OTP").replace("4h", "soon").replace("Confirm}", "👍}")
    problems = check(tmp_path, bad.replace("Hello {{ patient_name }}", "{{ patient_name }} {{ patient_name }}"))
    assert [problem.line for problem in problems] == [4, 6, 15, 19, 19]


@pytest.mark.parametrize(
    ("content", "line", "rule"),
    [
        (b"", 1, "no template in this file"),
        (b"- name: note", 1, "no template in this file"),
        (b"name: note\npurpose: [", 2, "not YAML: expected the node content"),
        (b"name: note\npurpose: a: b", 2, "not YAML: mapping values are not allowed"),
        (b"\xff\xfe\x00", 1, "not YAML"),
        (b"name: note\npurpose: \xff", 2, "holds a byte"),
        (b'name: "\x07"', 1, "not YAML"),
        (b"name: note\r\npurpose: x\r\n\x00", 3, "holds a character"),
        (b"? [a]\n: b", 1, "not YAML: found unhashable key"),
    ],
)
def test_what_is_no_template(tmp_path: Path, content: bytes, line: int, rule: str) -> None:
    file = tmp_path / "note.yaml"
    file.write_bytes(content)
    (problem,) = check_file(file)
    assert problem.line == line
    assert rule in problem.rule


def test_a_file_that_would_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "note.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "other.yml").write_text(GOOD, encoding="utf-8")
    (problem,) = check_catalog(tmp_path)
    assert problem.file.name == "other.yml"
    assert "only *.yaml is read" in problem.rule


def test_an_empty_directory_is_no_catalog(tmp_path: Path) -> None:
    (problem,) = check_catalog(tmp_path)
    assert "no template here" in problem.rule


def test_the_preview_shows_each_language_with_its_buttons() -> None:
    shown = preview(load_catalog().get("session_reminder"))
    bubbles = shown.split("\n\n")
    assert len(bubbles) == 4
    assert "session_reminder · hi · UTILITY · reminders" in shown
    assert "│ Time: Tuesday, 24 November, 5:30 pm" in shown
    assert "│ समय: मंगलवार, 24 नवंबर, शाम 5:30" in shown
    assert shown.count("(agent:scheduling:reschedule)") == 4
    assert "{{" not in shown


def test_the_command_shows_what_is_good_and_tells_what_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "note.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "bad.yaml").write_text(GOOD, encoding="utf-8")
    assert main(["show", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "│ Hello Asha," in out
    assert out.endswith("templates: 2 checked, 1 problem\n")
    assert err.startswith(f"{tmp_path / 'bad.yaml'}:1: the name is not the file's\n")


def test_the_findings_stand_at_the_end_where_one_looks(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "note.yaml").write_text(GOOD, encoding="utf-8")
    with contextlib.redirect_stderr(sys.stdout):
        main(["show", str(tmp_path)])
    shown, _, findings = capfd.readouterr().out.rpartition("╰")
    assert "│ Hello Asha," in shown
    assert "bad.yaml:1: the name is not the file's" in findings


def test_a_directory_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "no/such/directory"]) == 1
    assert "is no directory" in capsys.readouterr().err


def test_the_command_as_make_runs_it() -> None:
    run = subprocess.run([sys.executable, "-m", "local.templates", "check"], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "templates: 4 checked, no problems\n", "")
