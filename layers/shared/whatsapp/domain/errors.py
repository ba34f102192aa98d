"""The errors that callers see: `code` is our own stable word to branch on; Twilio's code stands beside it."""

import re

from whatsapp.domain.dataclass import dataclass

_FIELD_NAME = re.compile("[a-z][a-z0-9_]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Our own stable word for what went wrong, with Twilio's code beside it.

    `detail` says what was wrong, where, and what to do. It never holds a phone number, a name or a message's text.
    """

    code: str
    detail: str
    twilio_code: int | None = None
    retryable: bool = False
    """Whether the same request may succeed later."""


class MessagingError(Exception):
    """A request that cannot be served."""

    def __init__(self, code: str, detail: str, *, retryable: bool = False, twilio_code: int | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.failure = Failure(code=code, detail=detail, twilio_code=twilio_code, retryable=retryable)

    @property
    def code(self) -> str:
        """The failure's code."""
        return self.failure.code

    @property
    def detail(self) -> str:
        """The failure's detail."""
        return self.failure.detail


def named(name: object) -> str:
    """A field's name as an error shows it: only if it looks like one. A person's name or number may stand there."""
    text = str(name)
    return text if isinstance(name, int) or _FIELD_NAME.fullmatch(text) else "(not a field's name)"
