"""What people are alerted about: a cause, and all that it has struck since the last alert about it."""

from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One cause. Messages in one state that failed by one code have one cause."""

    state: str
    """A message's public status; `unreadable` for what came by the queue, `not fetched` for a file."""
    failure: Failure
    ids: frozenset[str] = frozenset()
    """Message ids, or SQS's ids for what is unreadable: those that nobody was alerted about yet."""
    is_longer: bool = False
    """There were too many ids to note them all."""

    @property
    def cause(self) -> str:
        """Its key: incidents of the same cause are one."""
        return f"{self.state}#{self.failure.code}#{self.failure.twilio_code or ''}"
