"""The catalog's copies at Twilio, in DynamoDB: one item per template, language and wording."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Key, Put, absent_or
from whatsapp.domain import periods
from whatsapp.domain.templates.template import QuickReply
from whatsapp.domain.templates.version import APPROVED, TemplateVersion

_FIELDS = {f.name for f in fields(TemplateVersion)}


class LeaseLost(Exception):
    """Another sync has the version now: leave it alone."""


class TemplateStore:
    """The `TemplateStore` port. Nothing is cached: what WhatsApp took back must not go out a minute longer."""

    def __init__(self, db: DynamoDB, templates_table: str) -> None:
        self._db = db
        self._templates = templates_table

    def versions(self, template: str) -> Sequence[TemplateVersion]:
        """Every version of a template, in all languages."""
        return [_version_from(item) for item in self._db.query_all(self._templates, Key("template").eq(template))]

    def put_new(self, version: TemplateVersion) -> bool:
        """Remember a version that is about to be made at Twilio. False if it is known."""
        try:
            self._db.write(Put(table=self._templates, item=asdict(version), condition=Attr("template").not_exists()))
        except ConditionFailed:
            return False
        return True

    def lease(self, version: TemplateVersion, *, listed_at: int, until: int) -> TemplateVersion:
        """Take the version until `until`, and return it as it is now.

        Only if no other sync has it, or has worked on it since Twilio's list was asked for at `listed_at`: such a
        list is out of date.

        Raises:
            LeaseLost: another sync has it, or had it since.
        """
        free = absent_or("leased_until", Attr("leased_until").lt(listed_at))
        fresh = absent_or("checked_at", Attr("checked_at").lt(listed_at))
        return self._change(version, Attr("template").exists() & free & fresh, set={"leased_until": until})

    def note(self, version: TemplateVersion, *, news: frozenset[str] = frozenset(), **values: Any) -> TemplateVersion:
        """Change what is known of a leased version, with the news that are to be told about it.

        Raises:
            LeaseLost: another sync has it now.
        """
        held = Attr("leased_until").eq(version.leased_until)
        return self._change(version, held, set=values, add={"news": news} if news else {})

    def release(self, version: TemplateVersion, *, told: frozenset[str], checked_at: int | None) -> TemplateVersion:
        """Give a leased version back: what was told is news no more.

        Raises:
            LeaseLost: another sync has it now.
        """
        held = Attr("leased_until").eq(version.leased_until)
        values = {"leased_until": None} | ({"checked_at": checked_at} if checked_at else {})
        return self._change(version, held, set=values, delete={"news": told} if told else {})

    def report(self, template: str, content_sid: str, status: str, at: int) -> None:
        """WhatsApp refused a message of time `at` because of its template: the version stops serving.

        A list of Twilio that is over an hour younger than the message and says approved knows better. The news is
        told by the next sync.
        """
        newest = absent_or("checked_at", Attr("checked_at").lt(at + periods.REPORT_STANDS))
        known = {
            "status": status,
            "status_at": at,
            "reported_at": at,
            "reason": "WhatsApp refused a message because of it",
        }
        for version in self.versions(template):
            if version.content_sid == content_sid:
                try:
                    self._change(
                        version, Attr("status").eq(APPROVED) & newest, set=known, add={"news": {f"{status}@{at}"}}
                    )
                except LeaseLost:
                    return  # it serves no more, or again

    def _change(self, version: TemplateVersion, condition: Any, **change: Any) -> TemplateVersion:
        key = {"template": version.template, "version": version.version}
        try:
            item = self._db.write(Change(table=self._templates, key=key, condition=condition, **change))
        except ConditionFailed:
            raise LeaseLost(f"{version.template} {version.version}") from None
        return _version_from(item)


def _version_from(item: dict[str, Any]) -> TemplateVersion:
    values = {name: value for name, value in item.items() if name in _FIELDS}
    values["quick_replies"] = tuple(
        QuickReply(title=r["title"], payload=r["payload"]) for r in item.get("quick_replies") or ()
    )
    values["news"] = frozenset(item.get("news") or ())
    return TemplateVersion(**values)
