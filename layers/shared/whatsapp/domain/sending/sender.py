"""Whether our sender may send at all: someone holds it, or Twilio does not answer. Then messages wait; none is lost."""

from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import Failure

MOST_UNANSWERED = 3
"""POSTs in a row without an answer. After these nothing is posted until Twilio answers a question: each further one
would be in doubt, and hold its contact's slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Our sender's state. Times are epoch milliseconds."""

    held_at: int | None = None
    """Since when someone holds all sending."""
    is_restored: bool = False
    """The tables are a restored copy, and `RecoverAfterRestore` has not released it yet."""
    is_marked: bool = False
    """Whether the tables say which ones they are. A copy of them is known by that."""
    unanswered: int = 0
    """POSTs in a row that Twilio did not answer, as far as is known."""
    asks_at: int | None = None
    """From then on one worker asks whether Twilio answers again."""

    @property
    def is_held(self) -> bool:
        """Whether nothing is sent until someone releases it."""
        return self.held_at is not None or self.is_restored

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
