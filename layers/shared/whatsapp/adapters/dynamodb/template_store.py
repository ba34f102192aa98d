"""The templates' versions in DynamoDB: one item per template, language and wording."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any

from whatsapp.adapters.dynamodb.client import Attr, Change, ConditionFailed, DynamoDB, Put, absent_or
from whatsapp.domain import periods
from whatsapp.domain.templates.template import QuickReply
from whatsapp.domain.templates.version import APPROVED, TemplateVersion

_FIELDS = {f.name for f in fields(TemplateVersion)}
_OUTBOX = "news"
"""The outbox's older name, which stored items have."""
_CHOICES = "(choices)"
"""Where a template's name stands, in the items of the contents that choices are sent with. No template is named so."""


class LeaseLost(Exception):
    """Another sync has the version."""


class TemplateStore:
    """Reads and writes versions. Nothing is cached, because a version that WhatsApp stopped must not be sent."""

    def __init__(self, db: DynamoDB, templates_table: str) -> None:
        self._db = db
        self._templates = templates_table

    def versions(self, template: str) -> Sequence[TemplateVersion]:
        """Every version of a template, in all languages."""
        return [version_from(item) for item in self._db.query_all(self._templates, Attr("template").eq(template))]

    def put_new(self, version: TemplateVersion) -> bool:
        """Store a new version, before its copy is created at Twilio. False if it exists."""
        item = asdict(version)
        item[_OUTBOX] = item.pop("outbox")
        try:
            self._db.write(Put(table=self._templates, item=item, condition=Attr("template").not_exists()))
        except ConditionFailed:
            return False
        return True

    def lease(self, version: TemplateVersion, *, listed_at: int, until: int) -> TemplateVersion:
        """Lease the version until `until`, and return it as it is now.

        Fails if another sync has it, or has finished with it since Twilio's list was requested at `listed_at`, because
        such a list is out of date.

        Raises:
            LeaseLost: another sync has it, or had it since.
        """
        free = absent_or("leased_until", Attr("leased_until").lt(listed_at))
        fresh = absent_or("checked_at", Attr("checked_at").lt(listed_at))
        return self._change(version, Attr("template").exists() & free & fresh, set={"leased_until": until})

    def record(self, version: TemplateVersion, *, outbox: AbstractSet[str], **values: Any) -> TemplateVersion:
        """Change a leased version, and add to its outbox.

        Raises:
            LeaseLost: another sync has it now.
        """
        held = Attr("leased_until").eq(version.leased_until)
        return self._change(version, held, set=values, add={_OUTBOX: outbox} if outbox else {})

    def release(self, version: TemplateVersion, *, delivered: AbstractSet[str], checked_at: int) -> TemplateVersion:
        """End the lease, and remove from the outbox what was delivered.

        Raises:
            LeaseLost: another sync has it now.
        """
        held = Attr("leased_until").eq(version.leased_until)
        values = {"leased_until": None, "checked_at": checked_at}
        return self._change(version, held, set=values, delete={_OUTBOX: delivered} if delivered else {})

    def report(self, template: str, content_sid: str, status: str, at: int) -> None:
        """Stop a version from serving, because WhatsApp refused a message of time `at` because of it.

        Not if Twilio's list still showed it as approved more than an hour after the message. The next sync delivers
        the outbox.
        """
        newest = absent_or("checked_at", Attr("checked_at").lt(at + periods.REPORT_STANDS))
        values = {
            "status": status,
            "status_at": at,
            "reported_at": at,
            "reason": "WhatsApp refused a message because of it",
        }
        for version in self.versions(template):
            if version.content_sid == content_sid:
                try:
                    self._change(
                        version, Attr("status").eq(APPROVED) & newest, set=values, add={_OUTBOX: {f"{status}@{at}"}}
                    )
                except LeaseLost:
                    return  # it has stopped serving already, or a newer list shows it as approved

    def choices_content(self, name: str) -> str | None:
        """The sid of the content of this name, which choices are sent with; None: there is none yet."""
        item = self._db.get(self._templates, _choices_key(name)) or {}
        return item.get("content_sid")

    def keep_choices_content(self, name: str, content_sid: str) -> str:
        """Store a content's sid, and return the one that is stored: another worker may have been faster."""
        is_first = Attr("content_sid").not_exists()
        try:
            self._db.write(self._choices_change(name, is_first, content_sid))
        except ConditionFailed:
            return self.choices_content(name) or content_sid
        return content_sid

    def forget_choices_content(self, name: str, content_sid: str) -> None:
        """Twilio no longer has the content: the next message finds or makes another one."""
        with suppress(ConditionFailed):  # another worker has noticed, too
            self._db.write(self._choices_change(name, Attr("content_sid").eq(content_sid), None))

    def _choices_change(self, name: str, condition: Any, content_sid: str | None) -> Change:
        return Change(
            table=self._templates, key=_choices_key(name), set={"content_sid": content_sid}, condition=condition
        )

    def _change(self, version: TemplateVersion, condition: Any, **change: Any) -> TemplateVersion:
        key = {"template": version.template, "version": version.version}
        try:
            item = self._db.write(Change(table=self._templates, key=key, condition=condition, **change))
        except ConditionFailed:
            raise LeaseLost(f"{version.template} {version.version}") from None
        return version_from(item)


def _choices_key(name: str) -> dict[str, str]:
    return {"template": _CHOICES, "version": name}


def version_from(item: dict[str, Any]) -> TemplateVersion:
    """A version from its item."""
    values = {name: value for name, value in item.items() if name in _FIELDS}
    values["quick_replies"] = tuple(
        QuickReply(title=r["title"], payload=r["payload"]) for r in item.get("quick_replies") or ()
    )
    values["outbox"] = frozenset(item.get(_OUTBOX) or ())
    return TemplateVersion(**values)
