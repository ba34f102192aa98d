"""An incident: one cause of alerts, and the messages that failed by it since the last alert."""

from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One cause. Messages in one state that failed by one code have one cause."""

    state: str
    """A message's public status; `unreadable` for a queue message, `not fetched` for a file,
    `urgent` for a patient's words."""
    failure: Failure
    about: str | None = None
    """The contact_id, where each contact is an incident of its own."""
    ids: frozenset[str] = frozenset()
    """The messages that no alert has named yet: their ids, or SQS's ids where they are unreadable."""
    is_longer: bool = False
    """There were too many ids to note them all."""

    @property
    def cause(self) -> str:
        """Its key: incidents of the same cause are one."""
        cause = f"{self.state}#{self.failure.code}#{self.failure.twilio_code or ''}"
        return f"{cause}#{self.about}" if self.about else cause
