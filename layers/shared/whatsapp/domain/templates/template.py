"""A message template: its wordings and variables, and how they become what Twilio takes and patients read."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Literal

from whatsapp.domain.errors import MessagingError
from whatsapp.domain.templates.variables import InvalidValueError, Variable

if TYPE_CHECKING:
    import jinja2

Category = Literal["UTILITY", "MARKETING"]
"""AUTHENTICATION is left out: WhatsApp words those itself, and we send no passcodes."""

MAX_TEXT = 1024
"""Characters of a rendered template: WhatsApp's limit of a body, and Twilio's of `twilio/quick-reply`."""

PLACEHOLDER = re.compile(r"\{\{ *([A-Za-z_][A-Za-z0-9_]*) *\}\}")
"""All of Jinja2 that a body may use: `{{ name }}`."""


@dataclass(frozen=True, slots=True)
class QuickReply:
    """A button: what the patient reads, and what comes back when it is tapped."""

    title: str
    payload: str


@dataclass(frozen=True, slots=True)
class Wording:
    """A template in one language."""

    body: str
    """Jinja2 source."""
    quick_replies: tuple[QuickReply, ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    """One message, ready to send."""

    text: str
    """What the patient reads."""
    content_variables: Mapping[str, str]
    """Twilio's `ContentVariables`, by number."""


@dataclass(frozen=True, slots=True)
class Template:
    """One message layout of the catalog, in all its languages."""

    name: str
    purpose: str
    agent: str
    category: Category
    default_language: str
    languages: Mapping[str, Wording]
    variables: Mapping[str, Variable]
    expires_after: timedelta | None
    """How long after the request a message is still worth sending, unless the request says `expires_at`."""
    quiet_hours_exempt: bool
    on_unknown: Literal["hold", "resend"]
    """Whether a send of unknown fate is sent anew at the end: with `resend` it may arrive twice."""
    free_form: bool
    """Whether the text may go without the template inside the window. It would lose quick replies."""

    def wording(self, language: str) -> Wording:
        """Its wording in `language`.

        Raises:
            MessagingError: `unknown_language`, naming those it has.
        """
        try:
            return self.languages[language]
        except KeyError:
            has = ", ".join(sorted(self.languages))
            raise MessagingError("unknown_language", f"{self.name} is worded in {has} only") from None

    def language_for(self, *wanted: str | None) -> str:
        """The first of `wanted` that it is worded in, else its default language."""
        found = (self.closest_language(tag) for tag in filter(None, wanted))
        return next(filter(None, found), self.default_language)

    def closest_language(self, tag: str) -> str | None:
        """The language it is worded in that a BCP 47 tag means: `hi-IN` and `HI` find `hi`."""
        candidates = (tag, re.split("[-_]", tag)[0].lower())
        return next((language for language in candidates if language in self.languages), None)

    def quick_reply(self, title: str) -> QuickReply | None:
        """The button that reads `title` in any language: Twilio's message list tells a tap by that only."""
        wanted = title.strip().casefold()
        replies = (reply for wording in self.languages.values() for reply in wording.quick_replies)
        return next((reply for reply in replies if reply.title.casefold() == wanted), None)

    def render(self, language: str, variables: Mapping[str, str]) -> Rendered:
        """The message that `variables` make in `language`.

        Raises:
            MessagingError: `invalid_variables`, naming every variable that is missing, not known or breaks
                its rule; `unknown_language`; `template_not_approved`, when this is an older wording that still
                serves, and it uses a variable that the catalog no longer has.
        """
        body = self.wording(language).body
        values = self._checked(language, variables)
        if gone := [name for name in placeholders(body) if name not in values]:
            raise MessagingError(
                "template_not_approved",
                f"{self.name}: the wording that serves until the new one is approved still uses {', '.join(gone)}",
                retryable=True,
            )
        text = _compiled(body).render(values)
        if len(text) > MAX_TEXT:
            raise MessagingError(
                "invalid_variables", f"{self.name}: the whole text is longer than {MAX_TEXT} characters"
            )
        return Rendered(text, {str(n): values[name] for n, name in enumerate(placeholders(body), 1)})

    def content(self, language: str) -> dict[str, Any]:
        """The JSON body of Twilio's `POST /v1/Content`."""
        return {"friendly_name": friendly_name(self.name, self.version(language)), **self._layout(language)}

    def version(self, language: str) -> str:
        """`en#1f0c93a2b7de`: changes with all that a reviewer sees, and with nothing else."""
        seen = {"category": self.category, **self._layout(language)}
        canonical = json.dumps(seen, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return f"{language}#{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"

    def sample_values(self, language: str) -> dict[str, str]:
        """The samples as a caller would give them."""
        return {name: variable.samples[language] for name, variable in self.variables.items()}

    def _layout(self, language: str) -> dict[str, Any]:
        wording = self.wording(language)
        body = numbered(wording.body)
        samples = self.render(language, self.sample_values(language)).content_variables
        if not wording.quick_replies:
            types: dict[str, Any] = {"twilio/text": {"body": body}}
        else:
            actions = [
                {"type": "QUICK_REPLY", "title": reply.title, "id": reply.payload} for reply in wording.quick_replies
            ]
            types = {"twilio/quick-reply": {"body": body, "actions": actions}}
        return {"language": language, "variables": samples, "types": types}

    def _checked(self, language: str, variables: Mapping[str, str]) -> dict[str, str]:
        problems = [f"{name} is missing" for name in self.variables if name not in variables]
        for name in variables.keys() - self.variables.keys():
            shown = name if name.isidentifier() else "a variable whose name is not a name"
            problems.append(f"{shown} is not known")
        values = {}
        for name in self.variables.keys() & variables.keys():
            try:
                values[name] = self.variables[name].text(variables[name], language)
            except InvalidValueError as rule:
                problems.append(f"{name} {rule}")
        if problems:
            takes = ", ".join(self.variables) or "no variables"
            detail = f"{self.name} takes {takes}: {'; '.join(sorted(problems))}"
            raise MessagingError("invalid_variables", detail)
        return values


def friendly_name(template: str, version: str) -> str:
    """A version's name at Twilio and in WhatsApp's review, which take small letters, digits and `_` only.

    It holds the wording's hash, so that a copy whose sid was never noted is found again.
    """
    return re.sub("[^a-z0-9_]", "_", f"{template}_{version}".lower())


def placeholders(body: str) -> list[str]:
    """The variables of `body`, in order of first appearance: the nth is `{{n}}` at Twilio."""
    return list(dict.fromkeys(PLACEHOLDER.findall(body)))


def numbered(body: str) -> str:
    """`body` as Twilio takes it: `{{ patient_name }}` becomes `{{1}}`."""
    numbers = {name: n for n, name in enumerate(placeholders(body), 1)}
    return PLACEHOLDER.sub(lambda found: f"{{{{{numbers[found[1]]}}}}}", body)


@cache
def _environment() -> "jinja2.Environment":
    """Sandboxed although only our own files are source: whoever words a message shall not reach Python.

    Imported here because the webhook knows templates but renders none.
    """
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)  # text, not HTML


@lru_cache(maxsize=128)
def _compiled(body: str) -> "jinja2.Template":
    return _environment().from_string(body)
