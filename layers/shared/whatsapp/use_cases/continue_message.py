"""Try again what Twilio had accepted or kept us in doubt of: as a new record that continues the old one."""

from dataclasses import dataclass, replace

from whatsapp.domain import lifecycle
from whatsapp.domain.lifecycle import Status
from whatsapp.domain.message import MAX_ATTEMPTS, Message, continuation_id_of, shard_of
from whatsapp.domain.ports import Clock, MessageStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueMessage:
    """Makes the one record that may continue another. It claims like any other; the next sweep nudges it."""

    messages: MessageStore
    clock: Clock

    def with_template(self, old: Message) -> Message:
        """After a refusal outside the window: once more, as the approved template."""
        return old if old.template is None or old.template_only else self._continue(old, template_only=True)

    def retry(self, old: Message) -> Message:
        """After a failure that may pass: once more, while counted attempts are left."""
        return old if old.attempts >= MAX_ATTEMPTS else self._continue(old, template_only=old.template_only)

    def resend(self, old: Message) -> Message:
        """After doubt without end, where the caller said `on_unknown: resend`."""
        return self._continue(old, template_only=old.template_only)

    def withdraw(self, old: Message) -> None:
        """Late evidence shows that the old message went out: its continuation must not, if it still can be held."""
        successor = self.messages.get(old.continued_as) if old.continued_as else None
        if successor and successor.is_waiting:
            self.messages.step(successor, lifecycle.CANCEL, now=self.clock.now())
        elif successor and successor.status is Status.CLAIMED:
            self.messages.request_stop(successor, "canceled")

    def _continue(self, old: Message, *, template_only: bool) -> Message:
        now = self.clock.now()
        if old.stop or old.continued_as or (old.expires_at is not None and old.expires_at <= now):
            return old
        new = replace(
            old,
            message_id=continuation_id_of(old.message_id),
            continues=old.message_id,
            continued_as=None,
            status=Status.PENDING,
            created_at=now,
            status_at=now,
            attempt=None,
            t0=None,
            twilio_sid=None,
            accepted_at=None,
            error=None,
            announce=frozenset(),
            due_at=now,
            due_shard=shard_of("send", old.contact_id),
            scheduled_for=None,
            template_only=template_only,
            content_sid=None,
            throttled_since=None,
        )
        self.messages.put_new(new)
        self.messages.link_continuation(old, new.message_id)
        return replace(old, continued_as=new.message_id)
