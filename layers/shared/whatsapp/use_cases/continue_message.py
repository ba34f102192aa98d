"""Try again what Twilio had refused, failed late or kept us in doubt of: as a new record that continues the old one."""

from dataclasses import dataclass, replace

from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain import periods
from whatsapp.domain.ports import Clock
from whatsapp.domain.sending import lifecycle
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import MAX_ATTEMPTS, Message, continuation_id_of, shard_of
from whatsapp.domain.sending.twilio_codes import Action, Row
from whatsapp.use_cases.steps import EVENT, Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueMessage:
    """Makes the one record that may continue another, in the same write that names it there.

    It claims like any other message; the next sweep nudges it.
    """

    messages: MessageStore
    clock: Clock
    steps: Steps

    def after_failure(self, old: Message, row: Row, *, accepted: bool) -> Message | None:
        """The record that goes on after a failure of this code, if one may. `accepted`: Twilio had taken the old one.

        What was refused outright still has its record to try again with; what had been accepted has not.
        """
        now = self.clock.now()
        if row.action is Action.FALL_BACK and old.template and old.content_sid is None:
            return self._successor(old, template_only=True, attempts=0)
        if accepted and row.action is Action.RETRY and old.attempts < MAX_ATTEMPTS:
            return self._successor(old, attempts=old.attempts)
        throttled_since = old.throttled_since or now
        if accepted and row.action is Action.SLOW_DOWN and now - throttled_since < periods.THROTTLED_FOR:
            return self._successor(old, attempts=old.attempts - 1, throttled_since=throttled_since)
        return None

    def resend(self, old: Message) -> bool:
        """After doubt without end, where the caller said `on_unknown: resend`. False where nothing may go on."""
        successor = self._successor(old, attempts=0)
        return successor is not None and self.steps.take(old, lifecycle.RESEND, successor=successor).due_at is None

    def redrive(self, old: Message) -> None:
        """After we gave up and people mended the cause: afresh."""
        if successor := self._successor(old, attempts=0):
            self.steps.take(old, lifecycle.REDRIVE, successor=successor)

    def withdraw(self, old: Message) -> None:
        """Late evidence shows that the old message went out: its continuation must not, if it still can be held."""
        successor = self.messages.get(old.continued_as) if old.continued_as else None
        if successor and successor.is_waiting:
            self.steps.take(successor, lifecycle.CANCEL, outbox=EVENT)
        elif successor and successor.status is Status.CLAIMED:
            self.messages.request_stop(successor, "canceled")

    def _successor(
        self, old: Message, *, attempts: int, template_only: bool = False, throttled_since: int | None = None
    ) -> Message | None:
        now = self.clock.now()
        if old.stop or old.continued_as or (old.expires_at is not None and old.expires_at <= now):
            return None
        return replace(
            old,
            message_id=continuation_id_of(old.message_id),
            continues=old.message_id,
            asked_at=old.asked_at or old.created_at,
            status=Status.PENDING,
            created_at=now,
            status_at=now,
            attempt=None,
            attempts=attempts,
            claimed_at=None,
            twilio_sid=None,
            accepted_at=None,
            error=None,
            outbox=frozenset(),
            due_at=now,
            due_shard=shard_of("send", old.contact_id),
            scheduled_for=None,
            template_only=old.template_only or template_only,
            content_sid=None,
            throttled_since=throttled_since,
        )
