"""A limit of Twilio's or Meta's on our sender. What it binds waits without a POST; one message in each pause tries."""

from dataclasses import replace

from whatsapp.domain import periods
from whatsapp.domain.contact import Contact
from whatsapp.domain.dataclass import dataclass
from whatsapp.domain.errors import Failure
from whatsapp.domain.schedule import iso
from whatsapp.domain.sending.message import Message, SendKind
from whatsapp.domain.sending.twilio_codes import Binds, Row, row_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """The limit that the sender met last. Times are epoch milliseconds."""

    code: int
    """Twilio's code: its row says what the limit binds."""
    pause: int
    """How long the present pause is."""
    probes_at: int
    """From then on one message, the probe, may try whether the limit still stands."""
    ends_at: int | None = None
    """Twilio accepted a probe: the limit is over then, unless the probe fails after all."""

    @property
    def failure(self) -> Failure:
        """Why a message waits."""
        row = row_for(self.code)
        detail = f"{row.meaning}: what waits looks again at {iso(self.looks_at)}"
        return Failure(code="sender_paused", detail=detail, twilio_code=self.code, retryable=True)

    @property
    def looks_at(self) -> int:
        """When what waits looks again at the earliest."""
        return self.probes_at if self.ends_at is None else self.ends_at

    @property
    def probed_at(self) -> int:
        """When the present pause began: with the first refusal, or when the last probe set out."""
        return self.probes_at - self.pause

    def stands(self, now: int) -> bool:
        """Whether it is not over."""
        return self.ends_at is None or now < self.ends_at

    def binds(self, contact: Contact, now: int) -> bool:
        """Whether what is sent to this contact waits for its end."""
        bound = row_for(self.code).binds is Binds.EVERYTHING or not contact.window_open(now)
        return bound and self.stands(now)

    def next_look(self, now: int, spread: float) -> int:
        """When what waits looks again. `spread`: a random number from 0 to 1, so that not all look at one moment."""
        return max(now, self.looks_at) + int(min(self.pause, periods.PAUSED_LOOK[1]) * spread)

    def may_probe(self, now: int) -> bool:
        """Whether a message may set out as the probe."""
        return self.ends_at is None and self.probes_at <= now

    def probed(self, now: int) -> "Throttle":
        """A probe sets out. The next one waits longer, whatever becomes of this one."""
        pause = min(self.pause * periods.THROTTLE_GROWS, periods.THROTTLE_PAUSE[1])
        return replace(self, pause=pause, probes_at=now + pause)

    def accepted(self, now: int) -> "Throttle":
        """Twilio accepted the probe."""
        is_proof = row_for(self.code).binds is Binds.EVERYTHING
        return replace(self, ends_at=now if is_proof else now + periods.THROTTLE_PROVED)


def throttle_after(known: Throttle | None, row: Row, message: Message, now: int) -> Throttle | None:
    """The limit, now that this message was refused, or failed, with this row's code. None: nothing new.

    Answers inside the window are no evidence of Meta's limit: one patient was written to too often, or too many a
    second were. `known` may be over.
    """
    is_evidence = row.binds is Binds.EVERYTHING or (
        row.binds is Binds.OUTSIDE_WINDOW and message.kind is SendKind.PROACTIVE
    )
    if not is_evidence:
        return None
    first = periods.THROTTLE_PAUSE[0]
    begins = Throttle(code=row.code, pause=first, probes_at=now + first)
    if known is None:
        return begins
    binds_more = row.binds is Binds.EVERYTHING and row_for(known.code).binds is not Binds.EVERYTHING
    if known.ends_at is None:
        return begins if binds_more else None
    if row.code == known.code and (message.claimed_at or 0) < known.probed_at:
        return None  # it went before the probe that Twilio accepted: its failure comes late
    comes_back = row.code == known.code and now <= known.ends_at + known.pause
    return replace(known, probes_at=now + known.pause, ends_at=None) if comes_back else begins
