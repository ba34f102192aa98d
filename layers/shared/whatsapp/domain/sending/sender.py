"""Whether our sender may send: someone holds it, Twilio does not answer, or a limit binds it. Then messages wait."""

from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import Failure, MessagingError
from whatsapp.domain.sending.message import Message
from whatsapp.domain.sending.throttle import Throttle

MOST_UNANSWERED = 3
"""POSTs in a row without an answer. After these nothing is posted until Twilio answers a question: each further one
would be in doubt, and hold its contact's slot."""

NUMBER_HIDDEN = MessagingError(
    "number_hidden",
    "WhatsApp hides this patient's number, and their id cannot be sent to: Twilio refused one lately, or the parameter "
    "SendToBusinessScopedIds is 0; ask them for the number, and send to that",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Our sender's state. Times are epoch milliseconds."""

    held_at: int | None = None
    """Since when someone holds all sending."""
    is_restored: bool = False
    """The tables are a restored copy, and `RecoverAfterRestore` has not released it yet."""
    is_marked: bool = False
    """Whether the tables say which ones they are. A copy of them is known by that."""
    lost_from: int | None = None
    lost_until: int | None = None
    settled_at: int | None = None
    """The tables were restored: records made between the first two are lost; at the third the others were settled."""
    unanswered: int = 0
    """POSTs in a row that Twilio did not answer, as far as is known."""
    asks_at: int | None = None
    """From then on one worker asks whether Twilio answers again."""
    ids_refused_at: int | None = None
    """When Twilio last refused a business-scoped id as `To`."""
    throttle: Throttle | None = None
    """The limit that it met last."""

    def takes_ids(self, now: int) -> bool:
        """Whether Twilio may take a business-scoped id as `To`: it did not refuse one of late."""
        return self.ids_refused_at is None or now >= self.ids_refused_at + periods.IDS_REFUSED

    def is_throttled(self, now: int) -> bool:
        """Whether a limit stands."""
        return self.throttle is not None and self.throttle.stands(now)

    @property
    def is_held(self) -> bool:
        """Whether nothing is sent until someone releases it."""
        return self.held_at is not None or self.is_restored

    def may_have_lost(self, message: Message) -> bool:
        """Whether the message may have had a record that a restore has lost: its request comes out of a queue again.

        It may have been asked for long before that time, and have waited in a queue until then.
        """
        if message.continues or message.asked_at is None or None in (self.lost_from, self.lost_until, self.settled_at):
            return False
        return message.asked_at <= (self.lost_until or 0) and message.created_at >= (self.settled_at or 0)

    @property
    def is_down(self) -> bool:
        """Whether Twilio does not answer."""
        return self.unanswered >= MOST_UNANSWERED

    @property
    def pause(self) -> Failure | None:
        """Why nothing is sent; None: it may go."""
        if self.is_restored:
            detail = "the tables were restored: `python -m commands.restore` releases sending once it has settled them"
            return Failure(code="sender_paused", detail=detail, retryable=True)
        if self.held_at is not None:
            return Failure(code="sender_paused", detail="sending is held: DELETE /hold releases it", retryable=True)
        if self.is_down:
            detail = "Twilio does not answer: it is asked every minute whether it does again"
            return Failure(code="twilio_unavailable", detail=detail, retryable=True)
        return None
