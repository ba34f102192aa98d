"""What the sync does next with one version, decided from the catalog, our record and Twilio's list.

Only pure decisions: a sync carries out `next_move` until it is `KEEP`, and a dry run shows the first one.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.schedule import iso
from whatsapp.domain.templates.template import QuickReply, Template, numbered
from whatsapp.domain.templates.version import (
    APPROVED,
    CATEGORY_CHANGED,
    DISABLED,
    MISSING,
    PAUSED,
    PENDING,
    PROBLEM,
    RECEIVED,
    REJECTED,
    RETIRED,
    UNSUBMITTED,
    WHATSAPP_STATUSES,
    TemplateVersion,
    current_version,
    serving_version,
)

_REPORTED = frozenset({APPROVED, REJECTED, PAUSED, DISABLED, MISSING})
"""Statuses that are published when a version takes them."""
_NOT_REVIEWED = frozenset({UNSUBMITTED, RECEIVED, PENDING, MISSING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """WhatsApp's verdict on a content, in WhatsApp's words."""

    status: str
    category: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A content at Twilio."""

    content_sid: str
    friendly_name: str
    language: str
    body: str
    quick_replies: tuple[QuickReply, ...]
    approval: Approval


class Move(StrEnum):
    """One thing that a sync does with a version."""

    KEEP = "keep"
    CREATE = "create"
    ADOPT = "adopt"
    """Store the sid of a copy that exists: an earlier sync died before it could."""
    SUBMIT = "submit"
    NOTE = "note"
    """Store WhatsApp's new verdict."""
    LOSE = "lose"
    """Store that its copy was deleted, and not by us."""
    RESTART = "restart"
    """Begin again without a copy, because it is needed again."""
    SUPERSEDE = "supersede"
    RESUME = "resume"
    """It is no longer superseded."""
    RETIRE = "retire"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Step:
    """A move with its reason."""

    version: TemplateVersion
    move: Move
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A version's place among all versions of its language."""

    is_current: bool
    """It is the catalog's own wording."""
    serves: bool
    superseded: bool
    """The catalog's own wording serves, and this is not it; or the catalog no longer has the language."""


def new_versions(template: Template, known: Iterable[TemplateVersion], now: int) -> list[TemplateVersion]:
    """The catalog's own wordings that have no version yet."""
    names = {version.version for version in known}
    return [
        TemplateVersion(
            template=template.name,
            version=template.version(language),
            language=language,
            status=UNSUBMITTED,
            created_at=now,
            category=template.category,
            body=wording.body,
            quick_replies=wording.quick_replies,
        )
        for language, wording in template.languages.items()
        if template.version(language) not in names
    ]


def standing(version: TemplateVersion, template: Template, versions: Sequence[TemplateVersion]) -> Standing:
    """The version's place among all `versions` of its template."""
    current = current_version(template, version.language)
    serving = serving_version(template, version.language, versions)
    is_current = version.version == current
    replaced = current is None or (serving is not None and serving.version == current)
    return Standing(
        is_current=is_current,
        serves=serving is not None and serving.version == version.version,
        superseded=replaced and not is_current,
    )


def next_move(
    version: TemplateVersion, stands: Standing, content: Content | None, now: int, *, recreate: bool = False
) -> tuple[Move, str]:
    """The next move and why. `content` is the version's copy at Twilio, None if there certainly is none."""
    if version.status == RETIRED:
        if stands.is_current:
            return Move.RESTART, "the catalog went back to this wording"
        return (Move.DELETE, "it is retired") if content else (Move.KEEP, "retired")
    if stands.superseded and version.superseded_at is None:
        return Move.SUPERSEDE, "a later wording is serving, or the catalog no longer has the language"
    if version.superseded_at is not None and not stands.superseded:
        return Move.RESUME, "no later wording is serving"
    if version.superseded_at is not None and now - version.superseded_at >= periods.OLD_WORDING_KEPT:
        return Move.RETIRE, f"superseded since {iso(version.superseded_at)}"
    if version.content_sid is None:
        if content:
            return Move.ADOPT, "its copy is at Twilio already"
        return (Move.CREATE, "new wording") if stands.is_current else (Move.KEEP, "replaced before it reached Twilio")
    if content is None:
        return _without_copy(version, stands, recreate=recreate)
    return _by_verdict(version, stands, content, now)


def _without_copy(version: TemplateVersion, stands: Standing, *, recreate: bool) -> tuple[Move, str]:
    if version.status != MISSING:
        return Move.LOSE, "its copy at Twilio was deleted, and not by us"
    if recreate and stands.is_current:
        return Move.RESTART, "its copy at Twilio was deleted, and `recreate` was requested"
    return Move.KEEP, "its copy at Twilio was deleted"


def _by_verdict(version: TemplateVersion, stands: Standing, content: Content, now: int) -> tuple[Move, str]:
    verdict = content.approval
    if verdict.status not in WHATSAPP_STATUSES:
        return Move.KEEP, "Twilio shows a status that we do not know: the last known status stays"
    if not same_words(version, content) and (version.status != APPROVED or verdict.status == APPROVED):
        return Move.KEEP, "the words at Twilio are not ours, so the verdict is not on our words"
    if verdict.status == UNSUBMITTED:
        if version.status in (UNSUBMITTED, MISSING) and stands.is_current:
            return Move.SUBMIT, "not submitted yet"
        return Move.KEEP, "Twilio shows no review of it"
    if verdict.status == APPROVED and version.reported_at and now - version.reported_at < periods.REPORT_STANDS:
        return Move.KEEP, "WhatsApp refused a message within the last hour, which is newer than the list"
    if verdict.status == APPROVED == version.status and stands.is_current and version.served_at is None:
        return Move.NOTE, "it starts serving"
    after = judged(version, verdict)
    if (after.status, after.reason, after.category) != (version.status, version.reason, version.category):
        return Move.NOTE, f"{version.status} → {after.status}" + (f" as {after.category}" if after.category else "")
    return Move.KEEP, version.status


def judged(version: TemplateVersion, verdict: Approval) -> TemplateVersion:
    """The version under this verdict. Fields that the verdict leaves out are unchanged."""
    known_reason = version.reason if verdict.status == version.status else None
    return replace(
        version,
        status=verdict.status,
        reason=verdict.reason or known_reason,
        category=verdict.category or version.category,
    )


def changes(
    move: Move, version: TemplateVersion, content: Content | None, template: Template, now: int
) -> tuple[dict[str, Any], frozenset[str]]:
    """What to store once the move is made at Twilio: the version's new values, and its new outbox entries.

    `content` is the version's copy after the move.
    """
    values: dict[str, Any] = {}
    reported = set()
    is_current = version.version == current_version(template, version.language)
    match move, content:
        case Move.CREATE | Move.ADOPT, Content(content_sid=content_sid):
            values = {"content_sid": content_sid}
        case Move.SUBMIT | Move.NOTE, Content(approval=verdict):
            after = judged(version, verdict)
            values = {"status": after.status, "reason": after.reason, "category": after.category}
            if after.status != version.status:
                values["reported_at"] = None
            if after.status == APPROVED and version.served_at is None and is_current:
                values["served_at"] = now
            if after.category != version.category:
                reported.add(CATEGORY_CHANGED)
        case Move.LOSE, _:
            values = {"status": MISSING, "reason": "its copy at Twilio was deleted by hand"}
        case Move.RESTART, _:
            values = {
                "status": UNSUBMITTED,
                "reason": None,
                "content_sid": None,
                "category": template.category,
                "superseded_at": None,
                "reported_at": None,
                "created_at": now,
            }
        case Move.SUPERSEDE, _:
            values = {"superseded_at": now}
        case Move.RESUME, _:
            starts = version.status == APPROVED and is_current
            values = {"superseded_at": None, "served_at": now if starts else version.served_at}
        case Move.RETIRE, _:
            values = {"status": RETIRED}
        case _:
            raise AssertionError(f"{move} needs a content")
    if values.get("status", version.status) != version.status:
        values["status_at"] = now
        reported |= {values["status"]} & _REPORTED
    return values, frozenset(f"{change}@{now}" for change in reported)


def copy_of(version: TemplateVersion, contents: Iterable[Content]) -> Content | None:
    """The version's copy, by its sid; without a sid, a content with its name and its words."""
    if version.content_sid:
        return next((c for c in contents if c.content_sid == version.content_sid), None)
    named = (c for c in contents if c.friendly_name == version.friendly_name and same_words(version, c))
    return max(named, key=lambda c: (c.approval.status == APPROVED, c.approval.status != UNSUBMITTED), default=None)


def created(version: TemplateVersion, content_sid: str) -> Content:
    """The version's copy as Twilio has just created it."""
    return Content(
        content_sid=content_sid,
        friendly_name=version.friendly_name,
        language=version.language,
        body=numbered(version.body),
        quick_replies=version.quick_replies,
        approval=Approval(status=UNSUBMITTED),
    )


def as_listed(version: TemplateVersion, contents: Iterable[Content]) -> TemplateVersion:
    """The version, without its approval if Twilio's list no longer shows it as approved.

    The other versions are judged by this: the fallback must not be deleted by the very sync that needs it.
    """
    copy = copy_of(version, contents)
    if version.status != APPROVED or (copy and copy.approval.status == APPROVED):
        return version
    return replace(version, status=copy.approval.status if copy else MISSING)


def drift(version: TemplateVersion, contents: Iterable[Content]) -> str | None:
    """What was changed by hand at Twilio, or None. It is reported, and never undone by us."""
    if version.status == RETIRED:
        return None
    found = []
    for content in contents:
        if content.content_sid == version.content_sid:
            if not same_words(version, content):
                found.append(f"the words of {content.content_sid} at Twilio are not ours")
            if content.approval.status not in WHATSAPP_STATUSES:
                found.append(f"Twilio shows {content.content_sid} as {content.approval.status}, which we do not know")
            if content.approval.status == UNSUBMITTED and version.status not in _NOT_REVIEWED:
                found.append(f"Twilio shows {content.content_sid} as never submitted")
        elif content.friendly_name == version.friendly_name:
            found.append(f"{content.content_sid} has the name {version.friendly_name} too")
    return "; ".join(sorted(found)) or None


def strangers(template: Template, versions: Sequence[TemplateVersion], contents: Iterable[Content]) -> list[str]:
    """Contents with a name like ours and a hash that we never made."""
    known = {version.friendly_name for version in versions}
    ours = re.compile(rf"{re.escape(template.name)}_[a-z]{{2,3}}_[0-9a-f]{{12}}")
    return [
        f"{content.content_sid} at Twilio is named {content.friendly_name}, which is none of our wordings"
        for content in contents
        if ours.fullmatch(content.friendly_name) and content.friendly_name not in known
    ]


def same_words(version: TemplateVersion, content: Content) -> bool:
    """Whether the body and the buttons are the same, apart from white space, which Twilio changes."""
    ours = [numbered(version.body), *(text for reply in version.quick_replies for text in (reply.title, reply.payload))]
    theirs = [content.body, *(text for reply in content.quick_replies for text in (reply.title, reply.payload))]
    return version.language == content.language and list(map(_plain, ours)) == list(map(_plain, theirs))


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


_WHAT_TO_DO = {
    RETIRED: "Its copy at Twilio is deleted; the record stays.",
    MISSING: "Its copy at Twilio was deleted by hand. A sync with `recreate` submits the same words for a new review.",
    UNSUBMITTED: "The next sync submits it.",
    RECEIVED: "WhatsApp reviews it: minutes to two days.",
    PENDING: "WhatsApp reviews it: minutes to two days.",
    REJECTED: "Reword it as the reason says. The new wording gets its own review.",
    PAUSED: "Patients blocked or reported it. WhatsApp lifts the first pause after 3 h and the second one after 6 h, "
    "and then disables it: send it to fewer people, or reword it.",
    DISABLED: "WhatsApp will never accept it again. Word it anew.",
    CATEGORY_CHANGED: "It costs and counts as its new category now. Reword it, or appeal in WhatsApp Manager.",
    PROBLEM: "Look at it in Twilio's console. We never undo a change made there: undo it, or reword ours.",
}


def what_to_do(change: str) -> str:
    """What people have to do about a status or another change."""
    return _WHAT_TO_DO[change]


def outlook(version: TemplateVersion, stands: Standing) -> str:
    """What happens next with a version, in a sentence for `GET /templates`."""
    if stands.serves:
        return "It goes out." if stands.is_current else "It goes out until the present wording is approved."
    if version.superseded_at is not None and version.status != RETIRED:
        deleted_at = iso(version.superseded_at + periods.OLD_WORDING_KEPT)
        return f"A later wording goes out. This one's copy is deleted after {deleted_at}."
    if version.status == UNSUBMITTED and not stands.is_current:
        return "Replaced before it was submitted: it never goes out."
    if version.status == APPROVED:
        return "Approved after it was replaced: it never goes out."
    return what_to_do(version.status)
