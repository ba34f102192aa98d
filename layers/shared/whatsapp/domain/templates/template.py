"""A message template: its wordings and variables, rendered for patients and laid out for Twilio."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Literal

from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import MessagingError, named
from whatsapp.domain.templates.variables import InvalidValueError, Variable

if TYPE_CHECKING:
    import jinja2

Category = Literal["UTILITY", "MARKETING"]
"""AUTHENTICATION is left out, because we send no passcodes."""

MAX_TEXT = 1024
_MOST_UNKNOWN = 10
"""Unknown variables that an error names: its text has to fit into an event."""
"""Characters of a rendered template: WhatsApp's limit for a body, and Twilio's for `twilio/quick-reply`."""

PLACEHOLDER = re.compile(r"\{\{ *([A-Za-z_][A-Za-z0-9_]*) *\}\}")
"""The only Jinja2 expression that a body may use: `{{ name }}`."""


@dataclass(frozen=True, slots=True)
class QuickReply:
    """A button: the title that the patient reads, and the payload that comes back when it is tapped."""

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
    content_variables: Mapping[str, str]
    """Twilio's `ContentVariables`, by number."""


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity, so that `version` can be cached
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
    """How long after the request a message can still be sent, unless the request has an `expires_at`."""
    quiet_hours_exempt: bool
    on_unknown: Literal["hold", "resend"]
    """What happens to an unresolved message. With `resend` it may arrive twice."""
    free_form: bool
    """Whether the text may be sent without the template inside the window, where it has no quick replies."""
    expires_with: str | None = None
    """The variable that names the moment the message is about, such as the session's beginning: it never goes later."""
    requires_opt_in: bool = False
    """Whether it may go only to contacts whose consent is recorded (`opted_in_at`)."""
    priority: Literal["urgent", "normal", "low"] = "normal"
    """Which goes first where several wait: of one contact for the slot, of all for a place in the queue."""

    def wording(self, language: str) -> Wording:
        """Its wording in `language`.

        Raises:
            MessagingError: `unknown_language`, with the languages that it has.
        """
        try:
            return self.languages[language]
        except KeyError:
            has = ", ".join(sorted(self.languages))
            raise MessagingError("unknown_language", f"{self.name} is worded in {has} only") from None

    def language_for(self, *wanted: str | None) -> str:
        """The first of `wanted` that it has a wording in, else its default language."""
        found = (self.closest_language(tag) for tag in filter(None, wanted))
        return next(filter(None, found), self.default_language)

    def closest_language(self, tag: str) -> str | None:
        """Its language for a BCP 47 tag: `hi-IN` and `HI` find `hi`."""
        candidates = (tag, re.split("[-_]", tag)[0].lower())
        return next((language for language in candidates if language in self.languages), None)

    def quick_reply(self, title: str) -> QuickReply | None:
        """The button with this title in any language. Twilio's message list shows of a tap only the title."""
        wanted = title.strip().casefold()
        replies = (reply for wording in self.languages.values() for reply in wording.quick_replies)
        return next((reply for reply in replies if reply.title.casefold() == wanted), None)

    def render(self, language: str, variables: Mapping[str, str], body: str | None = None) -> Rendered:
        """The message with these variables in `language`; `body` is an older wording that is still serving.

        Raises:
            MessagingError: `invalid_variables`, with every variable that is missing, not known or breaks its rule;
                `unknown_language`; `template_not_approved`, if the older wording uses a variable that the catalog
                no longer has.
        """
        body = body or self.wording(language).body
        values = self._checked(language, variables)
        if removed := [name for name in placeholders(body) if name not in values]:
            raise MessagingError(
                "template_not_approved",
                f"{self.name}: the wording that serves until the new one is approved still uses {', '.join(removed)}",
                retryable=True,
            )
        text = _compiled(body).render(values)
        if len(text) > MAX_TEXT:
            raise MessagingError(
                "invalid_variables", f"{self.name}: the whole text is longer than {MAX_TEXT} characters"
            )
        return Rendered(text, {str(n): values[name] for n, name in enumerate(placeholders(body), 1)})

    def moment(self, variables: Mapping[str, str], reference: datetime) -> datetime | None:
        """When the moment that the message is about comes, as far as the variables tell it.

        `reference`: when the message is to go. A time of day without its day is understood from there.
        """
        if self.expires_with is None or self.expires_with not in variables:
            return None
        return self.variables[self.expires_with].moment(variables[self.expires_with], reference)

    def content(self, language: str) -> dict[str, Any]:
        """The JSON body of Twilio's `POST /v1/Content`."""
        return {"friendly_name": friendly_name(self.name, self.version(language)), **self._layout(language)}

    @cache  # noqa: B019 - a template lives as long as its process
    def version(self, language: str) -> str:
        """`en#1f0c93a2b7de`: the language and a hash of everything that a reviewer sees."""
        seen = {"category": self.category, **self._layout(language)}
        canonical = json.dumps(seen, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return f"{language}#{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"

    def sample_values(self, language: str) -> dict[str, str]:
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
        unknown = sorted({named(name) for name in variables.keys() - self.variables.keys()})
        problems += [f"{name} is not known" for name in unknown[:_MOST_UNKNOWN]]
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
    """A version's name at Twilio and in WhatsApp's review, which allow lower-case letters, digits and `_` only.

    It contains the wording's hash, so that a copy whose sid was never stored can be found.
    """
    return re.sub("[^a-z0-9_]", "_", f"{template}_{version}".lower())


@lru_cache(maxsize=128)
def placeholders(body: str) -> tuple[str, ...]:
    """The variables of `body`, in order of first appearance: the nth is `{{n}}` at Twilio."""
    return tuple(dict.fromkeys(PLACEHOLDER.findall(body)))


@lru_cache(maxsize=128)
def numbered(body: str) -> str:
    """`body` as Twilio takes it: `{{ patient_name }}` becomes `{{1}}`."""
    numbers = {name: n for n, name in enumerate(placeholders(body), 1)}
    return PLACEHOLDER.sub(lambda found: f"{{{{{numbers[found[1]]}}}}}", body)


@cache
def _environment() -> "jinja2.Environment":
    """Sandboxed, so that a body cannot reach Python, although bodies come from our own files only.

    Imported here because the webhook uses templates but renders none.
    """
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)  # text, not HTML


@lru_cache(maxsize=128)
def _compiled(body: str) -> "jinja2.Template":
    return _environment().from_string(body)
