"""A template's copies at Twilio: every wording that was ever submitted, and which of them serves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from whatsapp.domain.templates.template import QuickReply, Template, Wording, friendly_name

UNSUBMITTED, RECEIVED, PENDING = "unsubmitted", "received", "pending"
APPROVED, REJECTED, PAUSED, DISABLED = "approved", "rejected", "paused", "disabled"
WHATSAPPS_WORDS = frozenset({UNSUBMITTED, RECEIVED, PENDING, APPROVED, REJECTED, PAUSED, DISABLED})
"""Source: https://www.twilio.com/docs/content/content-api-resources, approval statuses."""
MISSING = "missing"
"""Our own word: its copy at Twilio is gone, and we did not delete it."""
RETIRED = "retired"
"""Our own word: superseded for long, its copy at Twilio deleted by us. The record stays."""

CATEGORY_CHANGED, PROBLEM = "category_changed", "problem"
"""News that are not a status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateVersion:
    """One wording in one language, as Twilio and WhatsApp know it. Times are epoch milliseconds."""

    template: str
    version: str
    """`en#1f0c93a2b7de`: language and hash of all that a reviewer sees."""
    language: str
    status: str
    """One of WhatsApp's words, or `missing` or `retired`."""
    created_at: int
    content_sid: str | None = None
    category: str | None = None
    """WhatsApp's, which may differ from the one we asked for."""
    reason: str | None = None
    """Why it was rejected or stopped: WhatsApp's words where it gives any."""
    body: str = ""
    """Its own Jinja2 source: a version that serves while its successor is reviewed is rendered from this."""
    quick_replies: tuple[QuickReply, ...] = ()
    status_at: int | None = None
    """Since when it has this status."""
    checked_at: int | None = None
    """What Twilio listed before this moment says nothing new about it."""
    reported_at: int | None = None
    """When WhatsApp refused a message because of this template: see `periods.REPORT_STANDS`."""
    served_at: int | None = None
    """Since when it went out as the catalog's own wording. Without it, it is never fallen back on."""
    superseded_at: int | None = None
    """Since when a later wording goes out in its place."""
    leased_until: int | None = None
    """Until then only the sync that set it works on this version."""
    problem: str | None = None
    """Why Twilio refused it, or how its copy there differs from ours by somebody's hand."""
    news: frozenset[str] = frozenset()
    """What is still to be told: `paused@1795347000000`, the news and when it happened."""

    @property
    def friendly_name(self) -> str:
        """Its name at Twilio."""
        return friendly_name(self.template, self.version)

    def wording_of(self, template: Template) -> Template:
        """The template, worded as this version is."""
        languages = {**template.languages, self.language: Wording(self.body, self.quick_replies)}
        return replace(template, languages=languages)

    def may_serve(self, current: str | None) -> bool:
        """Approved, and either the catalog's own wording (`current`) or one that went out before it.

        A wording that was replaced before it was ever approved does not begin to go out afterwards: somebody
        withdrew it.
        """
        wanted = self.version == current or self.served_at is not None
        return wanted and self.status == APPROVED and self.content_sid is not None


def current_version(template: Template, language: str) -> str | None:
    """The catalog's present wording, or None if it has none in this language any more."""
    return template.version(language) if language in template.languages else None


def serving_version(template: Template, language: str, versions: Sequence[TemplateVersion]) -> TemplateVersion | None:
    """The approved version that goes out: the catalog's own wording, else the one that last went out before it."""
    current = current_version(template, language)
    able = [v for v in versions if v.language == language and v.may_serve(current)]
    return max(able, key=lambda v: (v.version == current, v.served_at or 0), default=None)
