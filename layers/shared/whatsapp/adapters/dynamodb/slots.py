"""The contact's slots: what a claim takes on the contact's row, and how it is given back.

* A **proactive** message takes the one slot that carries the rate limit: `inflight` names the message that holds it,
  `next_allowed_at` says when the next one may be claimed. While the slot is held, that is a guard later than the limit;
  acceptance tightens it, a refund restores the value before the claim.
* A **reply** leaves that slot alone. It has `reply_inflight`, which ends with the worker's lease, and a place in the
  inbound message's `replied_by`.

`user_id` and `last_outbound_agent` are written with the claim and not on acceptance, because acceptance is written even
after an erasure and would restore erased data.
"""

from typing import Any

from whatsapp.adapters.dynamodb.client import Attr, Change, Old, absent_or, same
from whatsapp.adapters.dynamodb.items import message_key, written_to_items
from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.sending.message import Message, SendKind


@dataclass(frozen=True, slots=True)
class Slots:
    """The changes on other rows that go with a message's own."""

    messages_table: str
    contacts_table: str
    rate_limit_ms: int
    replies_per_inbound: int

    def take(self, claimed: Message, now: int, lease: int, contact: Contact) -> list[Change]:
        """What a claim needs of the contact, and of the inbound message that a reply answers.

        `contact`: the row as it was read.
        """
        if claimed.kind is SendKind.REPLY:
            return [self._take_reply_lane(claimed, now, lease, contact), self._take_place(claimed, now, contact)]
        free = (
            Attr("inflight").not_exists()
            & absent_or("next_allowed_at", Attr("next_allowed_at").lte(now))
            & absent_or("tied_until", Attr("tied_until").lte(now))
        )
        change = self._contact(
            claimed,
            _may_be_written_to(claimed, contact) & free,
            prev_next=Old("next_allowed_at", 0),
            next_allowed_at=now + self.rate_limit_ms + periods.SLOT_GUARD,
            inflight=claimed.slot_holder,
            inflight_at=now,
            **_speaker(claimed, contact, now),
        )
        return [change]

    def refund(self, message: Message) -> tuple[Change, list[Change]]:
        """Nothing was sent: the slot as it was before the claim, and the reply's place in its inbound message."""
        if message.kind is SendKind.REPLY:
            return self.release(message), [self._leave_place(message)]
        return self._release(message, next_allowed_at=Old("prev_next", 0)), []

    def accepted(self, message: Message, at: int) -> Change:
        """Twilio took it at `at` (epoch ms) at the latest: the slot opens a limit after that."""
        spoken: dict[str, int | str | None] = {"last_outbound_at": at}
        if message.kind is SendKind.PROACTIVE:
            opens = at + self.rate_limit_ms + periods.SLOT_EPSILON
            spoken |= {"next_allowed_at": opens, "last_accepted_at": at}
            spoken |= {"last_template": message.template, "last_template_language": message.language}
        return self._release(message, **spoken)

    def release(self, message: Message) -> Change:
        """The message no longer holds the slot. It opens when the claim said."""
        return self._release(message)

    def _release(self, message: Message, **values: Any) -> Change:
        if message.kind is SendKind.REPLY:
            mine = Attr("reply_inflight").eq(message.slot_holder)
            return self._contact(message, mine, reply_inflight=None, reply_until=None, **values)
        mine = Attr("inflight").eq(message.slot_holder)
        return self._contact(message, mine, inflight=None, inflight_at=None, prev_next=None, **values)

    def _take_reply_lane(self, claimed: Message, now: int, lease: int, contact: Contact) -> Change:
        free = absent_or("reply_inflight", Attr("reply_until").lt(now))
        return self._contact(
            claimed,
            _may_be_written_to(claimed, contact) & free,
            reply_inflight=claimed.slot_holder,
            reply_until=lease,
            **_speaker(claimed, contact, now),
        )

    def _take_place(self, claimed: Message, now: int, contact: Contact) -> Change:
        room = absent_or(
            "replied_by",
            Attr("replied_by").contains(claimed.message_id) | Attr("replied_by").size().lt(self.replies_per_inbound),
        )
        return Change(
            table=self.messages_table,
            key=message_key(claimed.in_reply_to or ""),
            condition=Attr("received_at").gt(now - periods.WINDOW)
            & Attr("contact_id").is_in([claimed.contact_id, *sorted(contact.aliases)])  # it may bear any of them
            & room,
            add={"replied_by": {claimed.message_id}},
        )

    def _leave_place(self, message: Message) -> Change:
        return Change(
            table=self.messages_table,
            key=message_key(message.in_reply_to or ""),
            delete={"replied_by": {message.message_id}},
        )

    def _contact(self, message: Message, condition: Any, **values: Any) -> Change:
        key = {"contact_id": message.contact_id}
        return Change(table=self.contacts_table, key=key, condition=condition, set=values)


def _speaker(message: Message, contact: Contact, now: int) -> dict[str, Any]:
    known: dict[str, Any] = {"user_id": message.user_id, "user_written_at": now} if message.user_id else {}
    if message.user_id and _is_shared(contact, message):
        known["written_to"] = written_to_items(contact.written_to_after(message.user_id, now))
    return {"last_outbound_agent": message.agent, **known}


def _is_shared(contact: Contact, message: Message) -> bool:
    """The message goes to another user than the last one, or several share the phone."""
    return bool(contact.written_to) or message.user_id != contact.user_id


def _may_be_written_to(message: Message, contact: Contact) -> Any:
    allowed = (
        Attr("alias_of").not_exists()
        & Attr("opted_out_at").not_exists()
        & absent_or("erased_at", Attr("erased_at").lt(message.requested_at))
    )
    if message.user_id and _is_shared(contact, message):  # of two claims at once neither forgets the other's user
        allowed &= same("user_id", contact.user_id) & same("written_to", written_to_items(contact.written_to))
    return allowed
