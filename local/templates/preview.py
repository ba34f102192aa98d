"""Shows a template in the terminal as it will look on the phone, filled with its samples."""

import textwrap
from collections.abc import Iterator

from whatsapp.domain.templates.template import Template

WIDTH = 44
"""Characters in a line, about as many as on a phone. There is no right border, because terminals disagree on the width
of Indian scripts."""


def preview(template: Template) -> str:
    """All languages of `template`, one bubble each."""
    return "\n\n".join(_bubble(template, language) for language in template.languages)


def _bubble(template: Template, language: str) -> str:
    text = template.render(language, template.sample_values(language)).text
    edge = "─" * WIDTH
    lines = [f"{template.name} · {language} · {template.category} · {template.agent}", f"╭{edge}"]
    lines += [f"│ {line}" for line in _wrapped(text)]
    for reply in template.wording(language).quick_replies:
        lines += [f"├{edge}", f"│ ↩ {reply.title}   ({reply.payload})"]
    return "\n".join([*lines, f"╰{edge}"])


def _wrapped(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield from textwrap.wrap(line, WIDTH) or [""]
