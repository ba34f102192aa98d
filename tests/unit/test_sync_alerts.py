"""Alerts about a template, and its outlook."""

from dataclasses import replace

import pytest
from whatsapp.adapters.aws.alerts import text_about_template
from whatsapp.domain.templates.plan import Standing, outlook, what_to_do
from whatsapp.domain.templates.version import TemplateVersion

OURS = TemplateVersion(
    template="mood", version="hi#0123456789ab", language="hi", status="rejected", created_at=1, content_sid="HX1",
    category="UTILITY", reason="TAG_CONTENT_MISMATCH. Not Hindi", problem="HX9 bears its name too",
)  # fmt: skip
OLDER = replace(OURS, version="hi#ba9876543210", status="approved", served_at=1, content_sid="HX0")


@pytest.mark.parametrize(
    ("change", "serving", "says"),
    [
        ("rejected", None, ["TAG_CONTENT_MISMATCH. Not Hindi", "refused as template_not_approved"]),
        ("rejected", OLDER, ["an earlier wording goes out instead (hi#ba9876543210)"]),
        ("category_changed", OURS, ["category changed", "goes out as before", "category UTILITY"]),
        ("problem", OURS, ["HX9 bears its name too"]),
        ("paused", None, ["3 h"]),
        ("disabled", None, ["Word it anew"]),
        ("missing", None, ["recreate"]),
    ],
)
def test_an_alert_says_what_why_its_effect_and_what_to_do(
    change: str, serving: TemplateVersion | None, says: list[str]
) -> None:
    text = text_about_template(OURS, change, serving)
    assert [line.partition(":")[0] for line in text.splitlines()] == ["What", "Why", "Effect", "Version", "To do"]
    assert what_to_do(change) in text
    assert [words for words in says if words not in text] == []


@pytest.mark.parametrize(
    ("version", "stands", "says"),
    [
        (replace(OLDER), (True, True, False), "It goes out."),
        (replace(OLDER), (False, True, False), "until the present wording is approved"),
        (replace(OLDER, superseded_at=1), (False, False, True), "is deleted after 1970-01-08T05:30:01+05:30"),
        (replace(OLDER, served_at=None), (False, False, False), "never goes out"),
        (replace(OURS, status="unsubmitted"), (True, False, False), "next sync submits"),
        (replace(OURS, status="unsubmitted"), (False, False, False), "never goes out"),
        (replace(OURS, status="pending"), (True, False, False), "two days"),
        (replace(OURS, status="received"), (True, False, False), "two days"),
        (OURS, (True, False, False), "Reword"),
        (replace(OURS, status="retired", superseded_at=1), (False, False, True), "record stays"),
        (replace(OURS, status="missing"), (True, False, False), "recreate"),
    ],
)
def test_the_outlook_says_what_happens_next(
    version: TemplateVersion, stands: tuple[bool, bool, bool], says: str
) -> None:
    is_current, serves, superseded = stands
    assert says in outlook(version, Standing(is_current=is_current, serves=serves, superseded=superseded))
