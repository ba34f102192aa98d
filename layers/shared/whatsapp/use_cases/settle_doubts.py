"""An operator settles what is in doubt by Twilio's list, and has sent again what the list certainly lacks."""

from collections.abc import Iterable
from dataclasses import field

from whatsapp.adapters.dynamodb.message_store import MessageStore
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.ports import Clock
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.on_doubt import is_early
from whatsapp.use_cases.commit import Commit
from whatsapp.use_cases.resolve_doubt import ResolveDoubt


@dataclass(slots=True, kw_only=True)
class Settled:
    """What became of each, by its id."""

    settled: dict[str, str] = field(default_factory=dict)
    """The status that Twilio's list shows."""
    resent: dict[str, str] = field(default_factory=dict)
    """The record that continues it."""
    young: list[str] = field(default_factory=list)
    """The list may not show it yet."""
    open: list[str] = field(default_factory=list)
    """Nothing is certain, or it was not to be sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleDoubts:
    """Settles messages in doubt, however long they have been so."""

    messages: MessageStore
    resolve_doubt: ResolveDoubt
    commit: Commit
    clock: Clock

    def __call__(self, message_ids: Iterable[str], *, resend: bool) -> Settled:
        """Settle those of these messages that are in doubt.

        Raises:
            TwilioUnavailable: Twilio's list did not answer. What was settled before is; run it again for the others.
        """
        done = Settled()
        for message_id in message_ids:
            message = self.messages.get(message_id)
            if message and message.is_in_doubt and not message.continued_as:
                self._settle(self.commit.drain(message), done, resend=resend)
        return done

    def _settle(self, message: Message, done: Settled, *, resend: bool) -> None:
        if is_early(message, self.clock.now()):
            done.young.append(message.message_id)
            return
        after = self.resolve_doubt(message, resend=resend)
        if message.status is not Status.UNRESOLVED and after.status is Status.UNRESOLVED:  # its doubt ended just now
            after = self.resolve_doubt(after, resend=resend)
        if after.continued_as:
            done.resent[after.message_id] = after.continued_as
        elif after.is_in_doubt:
            done.open.append(after.message_id)
        else:
            done.settled[after.message_id] = after.status.public_status
