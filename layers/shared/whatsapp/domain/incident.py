"""An incident: one cause of alerts, and the messages that failed by it since the last alert."""

from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One cause. Messages in one state that failed by one code have one cause."""

    state: str
    """A message's public status; `unreadable` for a queue message, `not fetched` for a file."""
    failure: Failure
    ids: frozenset[str] = frozenset()
    """The messages that no alert has named yet: their ids, or SQS's ids where they are unreadable."""
    is_longer: bool = False
    """There were too many ids to note them all."""

    @property
    def cause(self) -> str:
        """Its key: incidents of the same cause are one."""
        return f"{self.state}#{self.failure.code}#{self.failure.twilio_code or ''}"
