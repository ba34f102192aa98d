"""Every Twilio code this emulator knows: what it says, where it arrives, and what brings it about.

A code arrives in one of two places. A *refusal* is the HTTP answer of the request itself, and nothing was
accepted. A *failure* comes after acceptance: the message ends `failed` or `undelivered`, and the code is in
the status callback and in the message's `error_code`. Twilio's error dictionary gives the meanings; which of
the two places a code takes is only partly published, so each row says how sure it is.

Source: https://www.twilio.com/docs/api/errors
"""

from dataclasses import dataclass
from typing import Literal

Place = Literal["response", "callback"]
Certainty = Literal["documented", "seen", "assumed"]
"""`documented` by Twilio, `seen` in public captures, or `assumed` here because neither was found."""


@dataclass(frozen=True)
class TwilioCode:
    """One row. `outcome` is a refusal's HTTP status, or the status that a failed message ends in."""

    code: int
    place: Place
    outcome: int | Literal["failed", "undelivered"]
    message: str
    cause: str
    certainty: Certainty


def _refusal(code: int, http: int, message: str, cause: str, certainty: Certainty) -> TwilioCode:
    return TwilioCode(code, "response", http, message, cause, certainty)


def _failure(
    code: int, status: Literal["failed", "undelivered"], message: str, cause: str, certainty: Certainty
) -> TwilioCode:
    return TwilioCode(code, "callback", status, message, cause, certainty)


_ROWS = (
    _refusal(20001, 400, "Bad request", "a parameter or a JSON body that cannot be read", "assumed"),
    _refusal(20003, 401, "Authenticate", "wrong account sid, token, API key or secret", "documented"),
    _refusal(
        20404,
        404,
        "The requested resource was not found",
        "an unknown sid or another account's",
        "documented",
    ),
    _refusal(
        20429,
        429,
        "Too Many Requests",
        "`messages_per_second` is exceeded, or fault `http_429`",
        "documented",
    ),
    _refusal(
        20500, 500, "An internal server error has occurred", "fault `http_500` and its kin", "documented"
    ),
    _refusal(20503, 503, "Service unavailable", "fault `http_503`", "documented"),
    _refusal(21211, 400, "Invalid 'To' Phone Number", "`To` is no E.164 number", "seen"),
    _refusal(21602, 400, "Message body is required.", "no Body, MediaUrl or ContentSid", "seen"),
    _refusal(
        21603,
        400,
        "A 'From' or 'MessagingServiceSid' parameter is required.",
        "neither From nor MessagingServiceSid",
        "seen",
    ),
    _refusal(21604, 400, "A 'To' phone number is required.", "no To", "seen"),
    _refusal(
        21609,
        400,
        "The 'StatusCallback' URL is not valid.",
        "no http(s) URL, or `_` in its host",
        "documented",
    ),
    _refusal(
        21610, 400, "Attempt to send to unsubscribed recipient", "the patient is `opted_out`", "assumed"
    ),
    _refusal(
        21617,
        400,
        "The concatenated message body exceeds the 1600 character limit.",
        "Body over 1600",
        "documented",
    ),
    _refusal(21620, 400, "Invalid media URL(s)", "a MediaUrl that is no http(s) URL", "documented"),
    _refusal(
        21623, 400, "Number of media files exceeds allowed limit", "more than 10 MediaUrl", "documented"
    ),
    _refusal(21654, 400, "The ContentSid is required", "ContentVariables without ContentSid", "documented"),
    _refusal(21655, 400, "The ContentSid is Invalid", "a ContentSid of wrong form or unknown", "documented"),
    _refusal(
        21656,
        400,
        "The Content Variables parameter is invalid.",
        "ContentVariables is no JSON object of non-empty strings",
        "seen",
    ),
    _refusal(21701, 400, "The Messaging Service does not exist", "an unknown MessagingServiceSid", "assumed"),
    _refusal(
        21910,
        400,
        "Invalid From and To pair. From and To should be of the same channel",
        "only one of From and To bears `whatsapp:`",
        "seen",
    ),
    _refusal(
        63007,
        400,
        "Twilio could not find a Channel with the specified From address",
        "From is no sender of this account",
        "seen",
    ),
    _failure(63003, "failed", "Channel could not find To address", "patient `on_whatsapp: false`", "assumed"),
    _failure(
        63016,
        "failed",
        "Failed to send freeform message because you are outside the allowed window.",
        "free-form, or a template WhatsApp has not approved, outside the 24-hour window",
        "documented",
    ),
)

CODES: dict[int, TwilioCode] = {row.code: row for row in _ROWS}


class TwilioError(Exception):
    """A request that Twilio refuses. `code` need not be in the table: a fault can name any."""

    def __init__(self, code: int, message: str | None = None) -> None:
        row = CODES.get(code)
        self.code = code
        self.status = row.outcome if row and isinstance(row.outcome, int) else 400
        self.message = message or (row.message if row else f"Error {code}")
        super().__init__(self.message)

    def body(self) -> dict[str, object]:
        """Twilio's error body, as the SDK reads it into a TwilioRestException."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }
