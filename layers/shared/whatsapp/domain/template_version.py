"""A template's copies at Twilio: every wording that was ever submitted, and which of them serves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from whatsapp.domain.template import QuickReply, Template, Wording

APPROVED = "approved"


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateVersion:
    """One wording in one language, as Twilio and WhatsApp know it. Times are epoch milliseconds."""

    template: str
    version: str
    """`en#1f0c93a2b7de`: language and hash of all that a reviewer sees."""
    language: str
    status: str
    """unsubmitted, received, pending, approved, rejected, paused, disabled: WhatsApp's words."""
    created_at: int
    content_sid: str | None = None
    category: str | None = None
    reason: str | None = None
    """Why WhatsApp rejected it, in its words."""
    body: str = ""
    """Its own Jinja2 source: a version that serves while its successor is reviewed is rendered from this."""
    quick_replies: tuple[QuickReply, ...] = ()
    checked_at: int | None = None
    superseded_at: int | None = None

    def wording_of(self, template: Template) -> Template:
        """The template, worded as this version is."""
        languages = {**template.languages, self.language: Wording(self.body, self.quick_replies)}
        return replace(template, languages=languages)


def serving_version(template: Template, language: str, versions: Sequence[TemplateVersion]) -> TemplateVersion | None:
    """The approved version that goes out: the catalog's own wording, else the newest approved before it."""
    approved = [v for v in versions if v.language == language and v.status == APPROVED and v.content_sid]
    current = template.version(language)
    return next((v for v in approved if v.version == current), None) or max(
        approved, key=lambda v: v.created_at, default=None
    )
