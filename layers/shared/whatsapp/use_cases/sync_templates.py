"""Carry the catalog to Twilio and through WhatsApp's review, and note what serves.

A failed call changes nothing that is known: the last good state stands, and the next sync goes on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from whatsapp.domain.catalog import Catalog
from whatsapp.domain.events import TemplateStatusChanged
from whatsapp.domain.ports import (
    Approval,
    Clock,
    ContentGateway,
    ContentUnavailable,
    EventBus,
    Metrics,
    NotTold,
    TemplateStore,
)
from whatsapp.domain.schedule import iso
from whatsapp.domain.template import Template
from whatsapp.domain.template_version import TemplateVersion, serving_version

CREATING_MS = 120_000
"""Another sync may be creating a version that is this young and has no sid yet."""
UNSUBMITTED = "unsubmitted"
_TOLD = {"approved", "rejected", "paused", "disabled"}


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What one sync did, a line for each version of the catalog's present wordings."""

    versions: list[TemplateVersion]
    problems: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTemplates:
    """Creates what is new, submits it, follows its status."""

    catalog: Catalog
    templates: TemplateStore
    content: ContentGateway
    bus: EventBus
    clock: Clock
    metrics: Metrics

    def __call__(self) -> SyncResult:
        """Sync every template in every language. Twice at once does no harm."""
        problems: list[str] = []
        try:
            at_twilio = {one.friendly_name: one for one in self.content.approvals()}
        except ContentUnavailable as error:
            return SyncResult([], [str(error)])
        done: list[TemplateVersion] = []
        for template in self.catalog:
            for language in template.languages:
                try:
                    done.append(self._sync(template, language, at_twilio))
                except ContentUnavailable as error:
                    problems.append(f"{template.name} ({language}): {error}")
        unusable = sum(
            serving_version(template, language, self.templates.versions(template.name)) is None
            for template in self.catalog
            for language in template.languages
        )
        self.metrics.count("TemplatesUnusable", unusable)
        return SyncResult(done, problems)

    def _sync(self, template: Template, language: str, at_twilio: Mapping[str, Approval]) -> TemplateVersion:
        version = self._known(template, language)
        name = template.content(language)["friendly_name"]
        remote = at_twilio.get(name)
        if version.content_sid is None:
            version = self._create(version, template, remote)
        if version.content_sid is None:
            return version
        status = remote.status if remote else UNSUBMITTED
        if status == UNSUBMITTED and version.status == UNSUBMITTED:
            submitted = self.content.submit(version.content_sid, name, template.category)
            return self._note(version, submitted)
        return self._note(version, remote) if remote and status != UNSUBMITTED else version

    def _known(self, template: Template, language: str) -> TemplateVersion:
        wanted = template.version(language)
        known = next((v for v in self.templates.versions(template.name) if v.version == wanted), None)
        if known:
            return known
        wording = template.wording(language)
        version = TemplateVersion(
            template=template.name,
            version=wanted,
            language=language,
            status=UNSUBMITTED,
            created_at=self.clock.now(),
            category=template.category,
            body=wording.body,
            quick_replies=wording.quick_replies,
        )
        # Who stores it creates it at Twilio; whoever finds it stored leaves it alone for a while.
        return (
            version if self.templates.put_new(version) else replace(version, created_at=self.clock.now() + CREATING_MS)
        )

    def _create(self, version: TemplateVersion, template: Template, remote: Approval | None) -> TemplateVersion:
        """Its copy at Twilio: the one that is there already, if an earlier sync died before it noted the sid."""
        age = self.clock.now() - version.created_at
        if remote is None and age < 0:
            return version
        content_sid = remote.content_sid if remote else self.content.create(template.content(version.language))
        self.templates.update(version, content_sid=content_sid)
        return replace(version, content_sid=content_sid)

    def _note(self, version: TemplateVersion, approval: Approval) -> TemplateVersion:
        after = replace(
            version,
            status=approval.status,
            reason=approval.reason,
            checked_at=self.clock.now(),
            category=approval.category or version.category,
        )
        if (after.status, after.reason, after.category) == (version.status, version.reason, version.category):
            return version
        self.templates.update(
            version,
            status=after.status,
            reason=after.reason,
            category=after.category,
            checked_at=after.checked_at,
        )
        self._tell(version, after)
        return after

    def _tell(self, before: TemplateVersion, after: TemplateVersion) -> None:
        changed = after.status if after.status != before.status and after.status in _TOLD else None
        if changed is None and after.category != before.category:
            changed = "category_changed"
        if changed is None:
            return
        event = TemplateStatusChanged(
            event_id=f"{after.content_sid}#{changed}#{after.checked_at}",
            occurred_at=iso(after.checked_at or self.clock.now()),
            template=after.template,
            language=after.language,
            template_version=after.version,
            content_sid=after.content_sid or "",
            status=changed,  # type: ignore[arg-type]  # one of `_TOLD`, or category_changed
            reason=after.reason,
            category=after.category,
        )
        try:
            self.bus.publish([event])
        except NotTold:
            self.metrics.count("PublishFailed")
