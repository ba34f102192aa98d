"""One WhatsApp user."""

import hashlib
import hmac
import re
from dataclasses import field
from typing import Literal

from whatsapp.domain import periods
from whatsapp.domain.address import Address
from whatsapp.domain.dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OptWord:
    """A STOP or START that the contact wrote."""

    message_id: str
    opt: Literal["out", "in"]
    at: int
    """Epoch milliseconds."""
    is_dated: bool
    """Whether `at` is Twilio's date. A webhook has none: its message is dated when it comes, which may be late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A contact's row. Times are epoch milliseconds; a field is None until it is set."""

    contact_id: str
    address: str | None = None
    alias_of: str | None = None
    """Set on an alias's row: the contact_id of the row that has the data."""
    aliases: frozenset[str] = frozenset()
    """Alias contact_ids of this contact. Their old messages keep the alias as contact_id."""
    user_id: str | None = None
    """Who was written to last, or whom the caller named since."""
    user_written_at: int | None = None
    """When a message to a user was last claimed."""
    written_to: dict[str, int] = field(default_factory=dict)
    """When each user_id was last written to, once several share the phone."""
    language: str | None = None
    agent: str | None = None
    opted_in_at: int | None = None
    opt_in_source: str | None = None
    opted_out_at: int | None = None
    opt_words: tuple[OptWord, ...] = ()
    """The latest STOPs and STARTs, in the order in which they came."""
    erased_at: int | None = None
    suppressed_code: int | None = None
    """The Twilio code that proved this address unreachable. A later inbound message or delivery lifts it, or time does:
    `domain/sending/twilio_codes.py` says for how long each code stands."""
    suppressed_at: int | None = None
    """When the message that proved it was claimed."""
    last_inbound_at: int | None = None
    last_outbound_at: int | None = None
    last_outbound_agent: str | None = None
    next_allowed_at: int | None = None
    """No proactive message may be claimed before this."""
    tied_until: int | None = None
    """Nor before this: until then an alias's slot was taken when it was tied, while a message was in flight."""
    inflight: str | None = None
    """`message_id#attempt` of the proactive send that holds the slot."""
    inflight_at: int | None = None
    last_accepted_at: int | None = None
    """When Twilio last accepted a proactive message. The audit of the rate limit compares against it."""
    last_template: str | None = None
    """That message's template and language: an answer is counted for them."""
    last_template_language: str | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """Every contact_id under which messages of this person may be stored: the row's own and its aliases."""
        return (self.contact_id, *sorted(self.aliases))

    def was_erased_since(self, at: int) -> bool:
        """Whether the person was erased at that time or later. Messages from before then must not be stored again."""
        return self.erased_at is not None and at <= self.erased_at

    @property
    def known_users(self) -> dict[str, int]:
        """When each user_id was last written to, as far as is known."""
        at = self.user_written_at or self.last_outbound_at  # older rows have the second only
        return {self.user_id: at} if not self.written_to and self.user_id and at else self.written_to

    def users_written_to(self, now: int) -> dict[str, int]:
        """When each user_id was written to of late, the latest first."""
        late = [(at, user_id) for user_id, at in self.known_users.items() if at > now - periods.USERS_REMEMBERED]
        return {user_id: at for at, user_id in sorted(late, reverse=True)}

    def user_id_at(self, now: int) -> str | None:
        """Whose phone it is; None while several of its users were written to of late."""
        return None if len(self.users_written_to(now)) > 1 else self.user_id

    def written_to_after(self, user_id: str, now: int) -> dict[str, int]:
        """`written_to` after a message to this user: empty while only one was written to of late."""
        users = {user_id: now, **{other: at for other, at in self.users_written_to(now).items() if other != user_id}}
        return users if len(users) > 1 else {}

    def window_open(self, now: int) -> bool:
        """Whether free-form text may go out now."""
        return self.last_inbound_at is not None and now < self.last_inbound_at + periods.WINDOW

    def slot_opens_at(self, now: int, limit_ms: int) -> int | None:
        """When a proactive message could go, or None if one could go now.

        While another one is in flight, the slot opens a limit after that one started, unless it is refunded.
        """
        tied_until = self.tied_until or 0
        if self.inflight:
            return max((self.inflight_at or now) + limit_ms, tied_until)
        opens = max(self.next_allowed_at or 0, tied_until)
        return opens if opens > now else None


class ContactIds:
    """Makes pseudonyms: the same address gives the same `contact_id`, which cannot be reversed without the key."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def of(self, address: Address) -> str:
        """A keyed hash of the address in its canonical spelling; 32 hex digits."""
        return self._of(address.canonical)

    def former(self, address: Address) -> tuple[str, ...]:
        """Of a renumbered address, the contact_ids that its older spellings had before they were known to be one."""
        return tuple(map(self._of, address.older_spellings))

    def _of(self, spelling: str) -> str:
        return hmac.new(self._key, spelling.encode(), hashlib.sha256).hexdigest()[:32]


def is_contact_id(text: str) -> bool:
    """Whether the text has the form of a contact_id: 32 hex digits."""
    return re.fullmatch("[0-9a-f]{32}", text) is not None
