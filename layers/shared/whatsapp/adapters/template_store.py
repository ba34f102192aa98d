"""The catalog's copies at Twilio, in DynamoDB: one item per template, language and wording."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from typing import Any

from whatsapp.adapters.dynamodb import Attr, Change, ConditionFailed, DynamoDB, Key, Put
from whatsapp.domain.template import QuickReply
from whatsapp.domain.template_version import TemplateVersion

_FIELDS = {f.name for f in fields(TemplateVersion)}


class DynamoTemplateStore:
    """The `TemplateStore` port.

    Args:
        cache_seconds: how long a function may go on with what it read. Nothing unapproved can slip through: an
            approval that WhatsApp takes back is told by the send itself (63041, 63042).
    """

    def __init__(
        self,
        db: DynamoDB,
        templates_table: str,
        cache_seconds: float = 0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._templates = templates_table
        self._cache_seconds = cache_seconds
        self._monotonic = monotonic
        self._cache: dict[str, tuple[float, list[TemplateVersion]]] = {}

    def versions(self, template: str) -> Sequence[TemplateVersion]:
        """Every version of a template, in all languages."""
        cached = self._cache.get(template)
        if cached and self._monotonic() < cached[0]:
            return cached[1]
        found = [_version_from(item) for item in self._db.query_all(self._templates, Key("template").eq(template))]
        self._cache[template] = (self._monotonic() + self._cache_seconds, found)
        return found

    def put_new(self, version: TemplateVersion) -> bool:
        """Remember a version that is about to be made at Twilio. False if it is known."""
        try:
            self._db.write(Put(table=self._templates, item=asdict(version), condition=Attr("template").not_exists()))
        except ConditionFailed:
            return False
        return True

    def update(self, version: TemplateVersion, **values: Any) -> None:
        """Change what is known of a version."""
        key = {"template": version.template, "version": version.version}
        self._db.write(Change(table=self._templates, key=key, set=values, condition=Attr("template").exists()))
        self._cache.pop(version.template, None)

    def report(self, template: str, content_sid: str, status: str) -> None:
        """A send showed that WhatsApp no longer accepts this version: it stops serving until a sync knows better."""
        self._cache.pop(template, None)
        for version in self.versions(template):
            if version.content_sid == content_sid:
                self.update(version, status=status)


def _version_from(item: dict[str, Any]) -> TemplateVersion:
    values = {name: value for name, value in item.items() if name in _FIELDS}
    values["quick_replies"] = tuple(
        QuickReply(title=r["title"], payload=r["payload"]) for r in item.get("quick_replies") or ()
    )
    return TemplateVersion(**values)
