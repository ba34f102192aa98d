"""Brings the catalog to Twilio and through WhatsApp's review, and stores which versions WhatsApp approved.

Each version is worked on under a lease: decide the next move (`domain/templates/plan.py`), make it at Twilio, store it
with its outbox, until nothing is left to do; then deliver the outbox. A call that fails changes nothing that is stored,
and the next sync continues from there.
"""

from collections.abc import Sequence
from dataclasses import replace

from whatsapp.adapters.dynamodb.template_store import LeaseLost, TemplateStore
from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.events import TemplateStatusChanged
from whatsapp.domain.ports import (
    Clock,
    ContentGateway,
    ContentRefused,
    ContentUnavailable,
    Deadline,
    Metrics,
    NoCredentials,
)
from whatsapp.domain.schedule import iso
from whatsapp.domain.templates.catalog import Catalog
from whatsapp.domain.templates.plan import (
    Content,
    Move,
    Step,
    as_listed,
    changes,
    copy_of,
    created,
    drift,
    new_versions,
    next_move,
    standing,
    strangers,
)
from whatsapp.domain.templates.template import Template
from whatsapp.domain.templates.version import (
    APPROVED,
    MISSING,
    PROBLEM,
    RETIRED,
    TemplateVersion,
    current_version,
    serving_version,
)
from whatsapp.use_cases.outbox import Outbox


@dataclass(frozen=True, slots=True)
class SyncResult:
    """The result of one sync, or the plan of a dry run."""

    versions: list[TemplateVersion]
    """The catalog's own wordings."""
    steps: list[Step]
    problems: list[str]
    """What failed, or was changed by hand at Twilio, each with its template and language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTemplates:
    """Creates and submits new wordings, follows their status, retires superseded ones."""

    catalog: Catalog
    templates: TemplateStore
    content: ContentGateway
    outbox: Outbox
    clock: Clock
    metrics: Metrics

    def __call__(self, deadline: Deadline, *, dry_run: bool = False, recreate: bool = False) -> SyncResult:
        """Sync every template in every language.

        Args:
            dry_run: change nothing; `steps` are each version's next moves.
            recreate: create again what was deleted at Twilio by hand.
        """
        result = SyncResult([], [], [])
        listed_at = self.clock.now()
        try:
            contents = self.content.contents()
        except ContentUnavailable as error:
            is_new_stack = isinstance(error, NoCredentials) and not any(
                map(self.templates.versions, self.catalog.names)
            )
            if not dry_run and not is_new_stack:
                self.metrics.count("TemplateSyncFailed")
            result.problems.append(f"Twilio's list of templates: {error}")
            return result
        for template in self.catalog:
            run = _TemplateSync(self, template, contents, listed_at, recreate, result)
            if dry_run:
                run.plan()
            else:
                run.work(deadline)
        if not dry_run:
            self._count_unusable()
        return result

    def _count_unusable(self) -> None:
        unusable = sum(
            serving_version(template, language, versions) is None
            for template in self.catalog
            for versions in [self.templates.versions(template.name)]
            for language in template.languages
        )
        self.metrics.count("TemplatesUnusable", unusable)


@dataclass(frozen=True, slots=True)
class _TemplateSync:
    """One sync of one template."""

    sync: SyncTemplates
    template: Template
    contents: Sequence[Content]
    listed_at: int
    recreate: bool
    result: SyncResult

    def plan(self) -> None:
        """Decide each version's next move, and make none."""
        known = self.sync.templates.versions(self.template.name)
        versions = [*known, *new_versions(self.template, known, self.sync.clock.now())]
        for version in versions:
            try:
                self._decide(version, versions, self._copy(version))
            except ContentUnavailable as error:
                self._report_problem(version, str(error))
            self._report_problem(version, drift(version, self.contents))
        self._report(versions, known)

    def work(self, deadline: Deadline) -> None:
        """Advance each version as far as possible now."""
        store, clock = self.sync.templates, self.sync.clock
        versions = store.versions(self.template.name)
        if new := new_versions(self.template, versions, clock.now()):
            for version in new:
                store.put_new(version)
            versions = store.versions(self.template.name)
        after = []
        for version in versions:
            if deadline.at - clock.now() < periods.TWILIO_QUESTION:
                self._report_problem(version, "no time was left for it; the next sync continues")
                after.append(version)
            else:
                after.append(self._advance(version, versions))
        self._report(after, versions)

    def _advance(self, version: TemplateVersion, versions: Sequence[TemplateVersion]) -> TemplateVersion:
        """Everything that can be done for one version now, under its lease."""
        store, clock = self.sync.templates, self.sync.clock
        try:
            content = self._copy(version)
            version = store.lease(version, listed_at=self.listed_at, until=clock.now() + periods.SYNC_LEASE)
            version = self._make_moves(version, versions, content)
            delivered = self._deliver(version, versions)
            return store.release(version, delivered=delivered, checked_at=clock.now())
        except LeaseLost:
            self.result.steps.append(Step(version, Move.KEEP, "another sync has it, or has just had it"))
        except ContentUnavailable as error:
            # The lease is kept until it ends: Twilio may still do what it was asked.
            self.sync.metrics.count("TemplateSyncFailed")
            self._report_problem(version, str(error))
        return self._stored(version)

    def _make_moves(
        self, version: TemplateVersion, versions: Sequence[TemplateVersion], content: Content | None
    ) -> TemplateVersion:
        try:
            while (move := self._decide(version, versions, content)) is not Move.KEEP:
                version, content = self._make(move, version, content)
            problem = drift(version, self.contents)
        except ContentRefused as error:
            version, problem = self._stored(version), str(error)
        self._report_problem(version, problem)
        if problem == version.problem:
            return version
        outbox = {f"{PROBLEM}@{self.sync.clock.now()}"} if problem else set()
        return self.sync.templates.record(version, outbox=outbox, problem=problem)

    def _decide(self, version: TemplateVersion, versions: Sequence[TemplateVersion], content: Content | None) -> Move:
        listed = [as_listed(one, self.contents) for one in versions]
        stands = standing(version, self.template, listed)
        move, why = next_move(version, stands, content, self.sync.clock.now(), recreate=self.recreate)
        self.result.steps.append(Step(version, move, why))
        return move

    def _make(
        self, move: Move, version: TemplateVersion, content: Content | None
    ) -> tuple[TemplateVersion, Content | None]:
        """Make one move, at Twilio first. Returns the version and its copy after it."""
        gateway = self.sync.content
        if move is Move.CREATE:
            content = created(version, gateway.create(self.template.content(version.language)))
        elif move is Move.SUBMIT and content:
            approval = gateway.submit(content.content_sid, version.friendly_name, self.template.category)
            content = replace(content, approval=approval)
        elif move is Move.DELETE and content:
            gateway.delete(content.content_sid)
            return version, None
        values, outbox = changes(move, version, content, self.template, self.sync.clock.now())
        version = self.sync.templates.record(version, outbox=outbox, **values)
        return version, copy_of(version, self.contents) if move is Move.RESTART else content

    def _deliver(self, version: TemplateVersion, versions: Sequence[TemplateVersion]) -> set[str]:
        """Deliver the version's outbox, oldest entry first; returns the delivered entries."""
        others = [other for other in versions if other.version != version.version]
        serving = serving_version(self.template, version.language, [*others, version])
        delivered = set()
        for entry in sorted(version.outbox, key=lambda entry: entry.partition("@")[2]):
            change, _, at = entry.partition("@")
            if change != PROBLEM and not self.sync.outbox.publish(_event(version, change, int(at))):
                continue
            if change != APPROVED and not self.sync.outbox.alert_about_template(version, change, serving):
                continue
            delivered.add(entry)
        return delivered

    def _copy(self, version: TemplateVersion) -> Content | None:
        """The version's copy. One that the list does not show is fetched by its sid, as the list may be incomplete."""
        content = copy_of(version, self.contents)
        if content is None and version.content_sid and version.status not in (MISSING, RETIRED):
            return self.sync.content.find(version.content_sid)
        return content

    def _stored(self, version: TemplateVersion) -> TemplateVersion:
        """The version as it is stored: the moves before the one that failed were stored."""
        stored = self.sync.templates.versions(version.template)
        return next((one for one in stored if one.version == version.version), version)

    def _report(self, versions: Sequence[TemplateVersion], known: Sequence[TemplateVersion]) -> None:
        self.result.versions.extend(v for v in versions if v.version == current_version(self.template, v.language))
        found = strangers(self.template, known, self.contents)
        self.result.problems.extend(f"{self.template.name}: {stranger}" for stranger in found)

    def _report_problem(self, version: TemplateVersion, what: str | None) -> None:
        if what:
            self.result.problems.append(f"{version.template} ({version.language}): {what}")


def _event(version: TemplateVersion, change: str, at: int) -> TemplateStatusChanged:
    """The event of one outbox entry. The same entry always has the same `event_id`."""
    return TemplateStatusChanged(
        event_id=f"{version.template}#{version.version}#{change}#{at}",
        occurred_at=iso(at),
        template=version.template,
        language=version.language,
        template_version=version.version,
        content_sid=version.content_sid or "",
        status=change,  # type: ignore[arg-type]  # a reported status, or category_changed
        reason=version.reason if version.status == change else None,
        category=version.category,
    )
