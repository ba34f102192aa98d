"""Carry the catalog to Twilio and through WhatsApp's review, and note what serves.

One version at a time, under a lease: read Twilio's list, judge (`domain/templates/plan.py`), act, note, tell. A failed
call changes nothing that is known: the last good state stands, and the next sync goes on from there.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from whatsapp.adapters.dynamodb.template_store import LeaseLost, TemplateStore
from whatsapp.domain import periods
from whatsapp.domain.events import TemplateStatusChanged
from whatsapp.domain.ports import (
    Alerts,
    Clock,
    ContentGateway,
    ContentRefused,
    ContentUnavailable,
    Deadline,
    EventBus,
    Metrics,
    PublishFailed,
)
from whatsapp.domain.schedule import iso
from whatsapp.domain.templates.catalog import Catalog
from whatsapp.domain.templates.plan import (
    Approval,
    Content,
    Move,
    Step,
    as_listed,
    copy_of,
    drift,
    judged,
    next_move,
    standing,
    strangers,
)
from whatsapp.domain.templates.template import Template, numbered
from whatsapp.domain.templates.version import (
    APPROVED,
    CATEGORY_CHANGED,
    DISABLED,
    MISSING,
    PAUSED,
    PROBLEM,
    REJECTED,
    RETIRED,
    UNSUBMITTED,
    TemplateVersion,
    serving_version,
)

_TOLD = frozenset({APPROVED, REJECTED, PAUSED, DISABLED, MISSING})
_GOOD_NEWS = frozenset({APPROVED})


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What one sync did, or a dry run would do."""

    versions: list[TemplateVersion]
    """The catalog's present wordings."""
    steps: list[Step]
    problems: list[str]
    """What went wrong, or was changed by somebody's hand, each with its template and language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTemplates:
    """Creates what is new, submits it, follows its status, retires what was superseded."""

    catalog: Catalog
    templates: TemplateStore
    content: ContentGateway
    bus: EventBus
    alerts: Alerts
    clock: Clock
    metrics: Metrics

    def __call__(self, deadline: Deadline, *, dry_run: bool = False, recreate: bool = False) -> SyncResult:
        """Sync every template in every language.

        Args:
            dry_run: change nothing; `steps` tells what each version's next step would be.
            recreate: make anew what was deleted at Twilio by hand.
        """
        listed_at = self.clock.now()
        try:
            contents = self.content.contents()
        except ContentUnavailable as error:
            if not dry_run:
                self.metrics.count("TemplateSyncFailed")
            return SyncResult([], [], [f"Twilio's list of templates: {error}"])
        result = SyncResult([], [], [])
        for template in self.catalog:
            run = _Run(self, template, contents, listed_at, recreate, result)
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
class _Run:
    """One sync of one template."""

    sync: SyncTemplates
    template: Template
    contents: Sequence[Content]
    listed_at: int
    recreate: bool
    result: SyncResult

    def plan(self) -> None:
        """Tell each version's next step, and do none."""
        known = [*self.sync.templates.versions(self.template.name)]
        versions = known + [v for v in self._wanted() if v.version not in {k.version for k in known}]
        for version in versions:
            try:
                self._judge(version, versions, self._copy(version))
            except ContentUnavailable as error:
                self._problem(version, str(error))
            self._problem(version, drift(version, self.contents))
            self._keep_present(version)
        self._name_strangers(known)

    def work(self, deadline: Deadline) -> None:
        """Bring each version on as far as it goes now."""
        store = self.sync.templates
        versions = store.versions(self.template.name)
        known = {version.version for version in versions}
        if new := [version for version in self._wanted() if version.version not in known]:
            for version in new:
                store.put_new(version)
            versions = store.versions(self.template.name)
        self._name_strangers(versions)
        for version in versions:
            if deadline.at - self.sync.clock.now() < periods.TWILIO_QUESTION:
                self._problem(version, "no time was left for it; the next sync goes on")
                self._keep_present(version)
            else:
                self._keep_present(self._bring_on(version, versions))

    def _bring_on(self, version: TemplateVersion, versions: Sequence[TemplateVersion]) -> TemplateVersion:
        """All that can be done for one version now, under its lease."""
        store = self.sync.templates
        try:
            content = self._copy(version)
            version = store.lease(version, listed_at=self.listed_at, until=self.sync.clock.now() + periods.SYNC_LEASE)
            version = self._move_on(version, versions, content)
            told = self._tell(version, versions)
            return store.release(version, told=told, checked_at=self.sync.clock.now())
        except LeaseLost:
            self.result.steps.append(Step(version, Move.KEEP, "another sync is at it, or has just been"))
        except ContentUnavailable as error:
            # If it is leased, the lease runs out by itself: what was asked of Twilio may yet happen.
            self.sync.metrics.count("TemplateSyncFailed")
            self._problem(version, str(error))
        return self._stored(version)

    def _move_on(
        self, version: TemplateVersion, versions: Sequence[TemplateVersion], content: Content | None
    ) -> TemplateVersion:
        try:
            while (move := self._judge(version, versions, content)) is not Move.KEEP:
                version, content = self._carry_out(move, version, content)
            problem = drift(version, self.contents)
        except ContentRefused as error:
            version, problem = self._stored(version), str(error)
        self._problem(version, problem)
        if problem == version.problem:
            return version
        return self._note(version, {PROBLEM} if problem else set(), problem=problem)

    def _judge(self, version: TemplateVersion, versions: Sequence[TemplateVersion], content: Content | None) -> Move:
        listed = [as_listed(one, self.contents) for one in versions]
        stands = standing(version, self.template, listed)
        move, why = next_move(version, stands, content, self.sync.clock.now(), recreate=self.recreate)
        self.result.steps.append(Step(version, move, why))
        return move

    def _copy(self, version: TemplateVersion) -> Content | None:
        """The version's copy. One that the list lacks is asked for by its sid: a list may be incomplete."""
        content = copy_of(version, self.contents)
        if content is None and version.content_sid and version.status not in (MISSING, RETIRED):
            return self.sync.content.find(version.content_sid)
        return content

    def _carry_out(
        self, move: Move, version: TemplateVersion, content: Content | None
    ) -> tuple[TemplateVersion, Content | None]:
        """Make one move; the version and its copy as they are then."""
        now, gateway = self.sync.clock.now(), self.sync.content
        match move, content:
            case Move.CREATE, _:
                sid = gateway.create(self.template.content(version.language))
                return self._note(version, content_sid=sid), _just_made(version, sid)
            case Move.ADOPT, Content(content_sid=sid):
                return self._note(version, content_sid=sid), content
            case Move.SUBMIT, Content(content_sid=sid):
                verdict = gateway.submit(sid, version.friendly_name, self.template.category)
                return self._judged(version, verdict), replace(content, approval=verdict)
            case Move.NOTE, Content(approval=verdict):
                return self._judged(version, verdict), content
            case Move.LOSE, _:
                return self._note(version, status=MISSING, reason="its copy at Twilio was deleted by hand"), None
            case Move.RESTART, _:
                fresh = self._note(
                    version, status=UNSUBMITTED, reason=None, content_sid=None, category=self.template.category,
                    superseded_at=None, reported_at=None, created_at=now,
                )  # fmt: skip
                return fresh, copy_of(fresh, self.contents)
            case Move.SUPERSEDE, _:
                return self._note(version, superseded_at=now), content
            case Move.RESUME, _:
                began = version.status == APPROVED and self._is_present(version)
                return self._note(version, superseded_at=None, served_at=now if began else version.served_at), content
            case Move.RETIRE, _:
                return self._note(version, status=RETIRED), content
            case Move.DELETE, Content(content_sid=sid):
                gateway.delete(sid)
                return version, None
        raise AssertionError(f"{move} needs a content")

    def _judged(self, version: TemplateVersion, verdict: Approval) -> TemplateVersion:
        after = judged(version, verdict)
        values: dict[str, Any] = {"reason": after.reason, "category": after.category}
        if after.status != version.status:
            values |= {"status": after.status, "reported_at": None}
        if after.status == APPROVED and version.served_at is None and self._is_present(version):
            values["served_at"] = self.sync.clock.now()
        return self._note(version, {CATEGORY_CHANGED} if after.category != version.category else set(), **values)

    def _note(self, version: TemplateVersion, news: AbstractSet[str] = frozenset(), **values: Any) -> TemplateVersion:
        """Write it down together with the news that it makes: what is not told now is told by the next sync."""
        now = self.sync.clock.now()
        if values.get("status", version.status) != version.status:
            values["status_at"] = now
            news = news | ({values["status"]} & _TOLD)
        return self.sync.templates.note(version, news=frozenset(f"{one}@{now}" for one in news), **values)

    def _tell(self, version: TemplateVersion, versions: Sequence[TemplateVersion]) -> frozenset[str]:
        """Tell the bus, and by an alert whoever must act; what was told."""
        others = [other for other in versions if other.version != version.version]
        serving = serving_version(self.template, version.language, [*others, version])
        told = set()
        for one in sorted(version.news, key=lambda token: token.partition("@")[2]):
            news, _, at = one.partition("@")
            try:
                if news != PROBLEM:
                    self.sync.bus.publish([_event(version, news, int(at))])
                if news not in _GOOD_NEWS:
                    self.sync.alerts.about_template(version, news, serving)
            except PublishFailed:
                self.sync.metrics.count("PublishFailed")
            else:
                told.add(one)
        return frozenset(told)

    def _wanted(self) -> list[TemplateVersion]:
        """The catalog's present wordings, as versions that nobody knows yet."""
        return [
            TemplateVersion(
                template=self.template.name,
                version=self.template.version(language),
                language=language,
                status=UNSUBMITTED,
                created_at=self.sync.clock.now(),
                category=self.template.category,
                body=wording.body,
                quick_replies=wording.quick_replies,
            )
            for language, wording in self.template.languages.items()
        ]

    def _is_present(self, version: TemplateVersion) -> bool:
        return version.language in self.template.languages and (
            version.version == self.template.version(version.language)
        )

    def _name_strangers(self, versions: Sequence[TemplateVersion]) -> None:
        found = strangers(self.template, versions, self.contents)
        self.result.problems.extend(f"{self.template.name}: {stranger}" for stranger in found)

    def _keep_present(self, version: TemplateVersion) -> None:
        if self._is_present(version):
            self.result.versions.append(version)

    def _stored(self, version: TemplateVersion) -> TemplateVersion:
        """The version as the last write left it: a move that failed may follow ones that did not."""
        stored = self.sync.templates.versions(version.template)
        return next((one for one in stored if one.version == version.version), version)

    def _problem(self, version: TemplateVersion, what: str | None) -> None:
        if what:
            self.result.problems.append(f"{version.template} ({version.language}): {what}")


def _just_made(version: TemplateVersion, content_sid: str) -> Content:
    return Content(
        content_sid=content_sid,
        friendly_name=version.friendly_name,
        language=version.language,
        body=numbered(version.body),
        quick_replies=version.quick_replies,
        approval=Approval(status=UNSUBMITTED),
    )


def _event(version: TemplateVersion, news: str, at: int) -> TemplateStatusChanged:
    """The event of one piece of news; the same news gives the same `event_id`."""
    return TemplateStatusChanged(
        event_id=f"{version.template}#{version.version}#{news}#{at}",
        occurred_at=iso(at),
        template=version.template,
        language=version.language,
        template_version=version.version,
        content_sid=version.content_sid or "",
        status=news,  # type: ignore[arg-type]  # one of `_TOLD`, or category_changed
        reason=version.reason if version.status == news else None,
        category=version.category,
    )
