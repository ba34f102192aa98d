"""A template's versions: every wording that was ever submitted to Twilio, and which of them is serving."""

from collections.abc import Sequence

from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.templates.template import QuickReply, Template, friendly_name

UNSUBMITTED, RECEIVED, PENDING = "unsubmitted", "received", "pending"
APPROVED, REJECTED, PAUSED, DISABLED = "approved", "rejected", "paused", "disabled"
WHATSAPP_STATUSES = frozenset({UNSUBMITTED, RECEIVED, PENDING, APPROVED, REJECTED, PAUSED, DISABLED})
"""Source: https://www.twilio.com/docs/content/content-api-resources, approval statuses."""
MISSING = "missing"
"""Our own status: its copy at Twilio was deleted, and not by us."""
RETIRED = "retired"
"""Our own status: superseded for a week, and its copy at Twilio deleted by us. The record stays."""

CATEGORY_CHANGED, PROBLEM = "category_changed", "problem"
"""Changes that are reported like a status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateVersion:
    """One wording in one language, with its status at WhatsApp. Times are epoch milliseconds."""

    template: str
    version: str
    """`en#1f0c93a2b7de`: the language and a hash of everything that a reviewer sees."""
    language: str
    status: str
    """One of `WHATSAPP_STATUSES`, or `missing` or `retired`."""
    created_at: int
    content_sid: str | None = None
    category: str | None = None
    """WhatsApp's, which may differ from the one that was submitted."""
    reason: str | None = None
    """Why it was rejected or stopped: WhatsApp's words, if it gave any."""
    body: str = ""
    """Its own Jinja2 source, because it may still be serving when the catalog has another wording."""
    quick_replies: tuple[QuickReply, ...] = ()
    status_at: int | None = None
    """Since when it has this status."""
    checked_at: int | None = None
    """When a sync last finished with it. A list that Twilio made before is out of date."""
    reported_at: int | None = None
    """When WhatsApp refused a message because of this template: see `periods.REPORT_STANDS`."""
    served_at: int | None = None
    """Since when it was serving as the catalog's own wording. Without it, it is never a fallback."""
    superseded_at: int | None = None
    """Since when another version has been serving in its place."""
    leased_until: int | None = None
    """The sync that set this has the version until then."""
    problem: str | None = None
    """Why Twilio refused it, or how its copy was changed by hand."""
    outbox: frozenset[str] = frozenset()
    """What still has to be delivered, each with its time: `paused@1795347000000`. The table calls it `news`."""

    @property
    def friendly_name(self) -> str:
        """Its name at Twilio."""
        return friendly_name(self.template, self.version)


def current_version(template: Template, language: str) -> str | None:
    """The version of the catalog's own wording, or None if the catalog no longer has the language."""
    return template.version(language) if language in template.languages else None


def serving_version(template: Template, language: str, versions: Sequence[TemplateVersion]) -> TemplateVersion | None:
    """The version that is sent: the catalog's own wording if it is approved, else the one that served last before it.

    A wording that was replaced before it was ever approved does not start serving later, because it was withdrawn.
    """
    current = current_version(template, language)
    approved = (v for v in versions if v.language == language and v.status == APPROVED and v.content_sid)
    usable = (v for v in approved if v.version == current or v.served_at is not None)
    return max(usable, key=lambda v: (v.version == current, v.served_at or 0), default=None)
