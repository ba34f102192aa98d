"""When a message may go: `send_at` and quiet hours."""

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from whatsapp.domain.dataclass import dataclass

_SPAN = re.compile(r"((?:[01][0-9]|2[0-3]):[0-5][0-9]) ?- ?((?:[01][0-9]|2[0-3]):[0-5][0-9])")
"""`time.fromisoformat` also takes seconds, offsets and a bare hour."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A daily span in one time zone without proactive messages. It may run past midnight."""

    start: time
    end: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, span: str, zone: str) -> "QuietHours | None":
        """Read `21:00-08:00`; an empty span means none.

        Raises:
            ValueError: the span is not two times of day.
        """
        if not span:
            return None
        times = _SPAN.fullmatch(span.strip())
        if times is None:
            raise ValueError("not two times of day such as 21:00-08:00")
        return cls(time.fromisoformat(times[1]), time.fromisoformat(times[2]), ZoneInfo(zone))

    def ends_after(self, now: int) -> int:
        """The end of the quiet span that `now` lies in, or `now` itself outside of it (epoch ms)."""
        local = datetime.fromtimestamp(now / 1000, UTC).astimezone(self.zone)
        clock = local.time()
        overnight = self.start > self.end
        inside = (clock >= self.start or clock < self.end) if overnight else self.start <= clock < self.end
        if not inside:
            return now
        day = local.date() + timedelta(days=1 if overnight and clock >= self.start else 0)
        return int(datetime.combine(day, self.end, self.zone).timestamp() * 1000)


def earliest(now: int, send_at: int | None, quiet: QuietHours | None) -> int:
    """The first moment at or after `now` that `send_at` and the quiet hours allow (epoch ms)."""
    at = max(now, send_at or now)
    return quiet.ends_after(at) if quiet else at


def epoch_ms(text: str) -> int | None:
    """An ISO 8601 time with its offset as epoch milliseconds; None for anything else."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int(at.timestamp() * 1000) if at.tzinfo else None


def iso(at: int, zone: str = "Asia/Kolkata") -> str:
    """Epoch milliseconds as ISO 8601 with the zone's offset, rounded up to the second: never earlier than meant."""
    return datetime.fromtimestamp(-(-at // 1000), UTC).astimezone(ZoneInfo(zone)).isoformat()
