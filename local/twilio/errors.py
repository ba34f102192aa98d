"""Every Twilio code this emulator knows: what it says, where it arrives, and what brings it about here.

A code arrives in one of three places. A *refusal* is the HTTP answer of the request itself, and nothing was
accepted. A *failure* comes after acceptance: the message ends `failed` or `undelivered`, and the code is in
the status callback and in the message's `error_code`. A *warning* is about our own answer to an inbound
message, and stands in Twilio's Debugger only. Twilio's error dictionary gives the meanings; which place a code
takes is only partly published, so each row says how sure it is.

Source: https://www.twilio.com/docs/api/errors. `docs/emulator.md` shows this table (a test).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Certainty(StrEnum):
    """How we know where a code arrives."""

    DOCUMENTED = "documented"
    SEEN = "seen in captures"
    ASSUMED = "assumed"


Outcome = int | Literal["failed", "undelivered", "debugger"]
FAULT_ONLY = "faults only"
"""The cause of a code that no rule here brings about: the faults `error` and `status_failed` do."""


@dataclass(frozen=True)
class TwilioCode:
    """One row. `outcome` is a refusal's HTTP status, the status that a failed message ends in, or `debugger`."""

    code: int
    outcome: Outcome
    message: str
    cause: str
    certainty: Certainty

    @property
    def refuses(self) -> bool:
        return isinstance(self.outcome, int)


DOCUMENTED, SEEN, ASSUMED = Certainty.DOCUMENTED, Certainty.SEEN, Certainty.ASSUMED
FAILED: Literal["failed"] = "failed"
UNDELIVERED: Literal["undelivered"] = "undelivered"
DEBUGGER: Literal["debugger"] = "debugger"

_ROWS: tuple[tuple[int, Outcome, str, str, Certainty], ...] = (
    # Refusals: the account
    (20001, 400, "Bad request", "a body or parameter that cannot be read", ASSUMED),
    (20003, 401, "Authenticate", "wrong account sid, token, API key or secret", DOCUMENTED),
    (20005, 403, "Account is not active", FAULT_ONLY, ASSUMED),
    (20004, 405, "Method not allowed", "a path that has no such method", ASSUMED),
    (
        20404,
        404,
        "The requested resource was not found",
        "an unknown sid or path, another account's",
        DOCUMENTED,
    ),
    (20429, 429, "Too Many Requests", "over `messages_per_second`; fault `http_429`", DOCUMENTED),
    (20500, 500, "An internal server error has occurred", "fault `http_500` and its kin", DOCUMENTED),
    (20503, 503, "Service unavailable", "fault `http_503`", DOCUMENTED),
    (
        63007,
        400,
        "Twilio could not find a Channel with the specified From address",
        "From is no sender",
        SEEN,
    ),
    (63038, 429, "Account exceeded the daily messages limit", "over `messages_per_day`", ASSUMED),
    (
        63100,
        400,
        "Validation Error",
        "a sender's field that is missing or wrong; a logo that is no JPEG or PNG",
        DOCUMENTED,
    ),
    (21606, 400, "The 'From' phone number is not a valid message-capable number", FAULT_ONLY, ASSUMED),
    (21701, 400, "The Messaging Service does not exist", "an unknown MessagingServiceSid", ASSUMED),
    (21703, 400, "The Messaging Service contains no phone numbers", "a service without senders", ASSUMED),
    # Refusals: the request
    (21211, 400, "Invalid 'To' Phone Number", "`To` is no E.164 number", SEEN),
    (21602, 400, "Message body is required.", "no Body, MediaUrl or ContentSid", SEEN),
    (21603, 400, "A 'From' phone number is required.", "no From and no MessagingServiceSid", SEEN),
    (21604, 400, "A 'To' phone number is required.", "no To", SEEN),
    (
        21609,
        400,
        "The 'StatusCallback' URL is not a valid URL.",
        "no http(s) URL; `_` in its host",
        DOCUMENTED,
    ),
    (21610, 400, "Attempt to send to unsubscribed recipient", "the patient is `opted_out`", ASSUMED),
    (21614, 400, "'To' number is not a valid mobile number", FAULT_ONLY, ASSUMED),
    (21617, 400, "The message body exceeds the 1600 character limit.", "a Body over 1600", DOCUMENTED),
    (21620, 400, "Invalid media URL(s)", "a MediaUrl that is no http(s) URL", DOCUMENTED),
    (21623, 400, "Number of media files exceeds allowed limit", "more than 10 MediaUrl", DOCUMENTED),
    (21654, 400, "The ContentSid is Required", "ContentVariables without ContentSid", DOCUMENTED),
    (21655, 400, "The ContentSid is Invalid", "a ContentSid of wrong form or unknown", DOCUMENTED),
    (21656, 400, "The Content Variables parameter is invalid.", "no JSON object of non-empty strings", SEEN),
    (21658, 400, "Parameter exceeded character limit", "a variable's value over 1600", DOCUMENTED),
    (21910, 400, "Invalid From and To pair: different channels", "only one of them bears `whatsapp:`", SEEN),
    (
        35114,
        400,
        "Scheduling does not support this timestamp",
        "SendAt not 15 min to 35 days ahead",
        DOCUMENTED,
    ),
    (63031, 400, "Channels message cannot have same From and To", "From equals To", ASSUMED),
    # Failures: the recipient
    (30003, UNDELIVERED, "Unreachable destination handset", FAULT_ONLY, ASSUMED),
    (30005, UNDELIVERED, "Unknown destination handset", FAULT_ONLY, ASSUMED),
    (63003, FAILED, "Channel could not find To address", "`To` is a business-scoped id nobody has", ASSUMED),
    (63014, UNDELIVERED, "Message blocked by user action", FAULT_ONLY, ASSUMED),
    (
        63015,
        FAILED,
        "Recipient has not joined the Sandbox",
        "From is the sandbox, patient not in it",
        ASSUMED,
    ),
    (63024, UNDELIVERED, "Invalid message recipient", "patient `on_whatsapp: false`", ASSUMED),
    (63032, UNDELIVERED, "User cannot receive this message", FAULT_ONLY, ASSUMED),
    # Failures: window and templates
    (
        63016,
        FAILED,
        "Free-form message outside the allowed window",
        "window closed, no approved template",
        SEEN,
    ),
    (63027, FAILED, "Template does not exist for a language and locale", FAULT_ONLY, ASSUMED),
    (63028, FAILED, "Number of parameters does not match", "a placeholder that no variable fills", ASSUMED),
    (63013, FAILED, "Channel policy violation", "a value with a line break, tab or over 4 spaces", ASSUMED),
    (63040, FAILED, "Template rejected", "template rejected, window closed", ASSUMED),
    (63041, FAILED, "Template paused", "template paused", ASSUMED),
    (63042, FAILED, "Template disabled", "template disabled", ASSUMED),
    (
        63049,
        UNDELIVERED,
        "Meta chose not to deliver this marketing message",
        "over `marketing_per_day`",
        ASSUMED,
    ),
    # Failures: content and media
    (63005, FAILED, "Channel did not accept given content", FAULT_ONLY, ASSUMED),
    (63019, FAILED, "Media failed to download", "a MediaUrl that does not answer 200", ASSUMED),
    (
        63021,
        FAILED,
        "Channel invalid content error",
        "media, buttons or a list that WhatsApp does not take",
        ASSUMED,
    ),
    (63034, FAILED, "Media exceeds the size limit", "an image over 5 MB, another medium over 16 MB", ASSUMED),
    # Failures: throttles and outages
    (30001, FAILED, "Queue overflow", FAULT_ONLY, ASSUMED),
    (30008, UNDELIVERED, "Unknown error", FAULT_ONLY, ASSUMED),
    (63010, FAILED, "Channels: Twilio internal error", FAULT_ONLY, ASSUMED),
    (63012, FAILED, "Channel provider returned an internal service error", FAULT_ONLY, ASSUMED),
    (63018, FAILED, "Rate limit exceeded for channel", "over `new_conversations_per_day`", ASSUMED),
    (63051, FAILED, "WhatsApp Business Account is locked", FAULT_ONLY, ASSUMED),
    # Warnings about our answer to an inbound message
    (11200, DEBUGGER, "HTTP retrieval failure", "a 4xx or 5xx, silence, or an answer that broke off", DOCUMENTED),
    (11205, DEBUGGER, "HTTP connection failure", "nobody listens at the webhook's URL", DOCUMENTED),
    (11750, DEBUGGER, "TwiML response body too large", "an answer over 64 kB", DOCUMENTED),
    (12100, DEBUGGER, "Document parse failure", "an answer that is no XML", DOCUMENTED),
    (12200, DEBUGGER, "Schema validation warning", "XML whose root is not `Response`", DOCUMENTED),
    (12300, DEBUGGER, "Invalid Content-Type", "an answer that is neither XML nor plain text", DOCUMENTED),
)

CODES: dict[int, TwilioCode] = {row[0]: TwilioCode(*row) for row in _ROWS}


class TwilioError(Exception):
    """A request that Twilio refuses. `code` need not be in the table: a fault can name any."""

    def __init__(self, code: int, message: str | None = None) -> None:
        row = CODES.get(code)
        self.code = code
        self.status = row.outcome if row and isinstance(row.outcome, int) else 400
        self.message = message or (row.message if row else f"Error {code}")
        super().__init__(self.message)

    @classmethod
    def not_found(cls, path: str) -> "TwilioError":
        """20404 in Twilio's words; `path` is the emulator's, which begins with the host's prefix."""
        return cls(20404, f"The requested resource /{path.lstrip('/').partition('/')[2]} was not found")

    def body(self) -> dict[str, object]:
        """Twilio's error body, as the SDK reads it into a TwilioRestException."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


def final_status(code: int) -> Literal["failed", "undelivered"]:
    """The status a message ends in with this code; one that is unknown, or usually a refusal, fails."""
    row = CODES.get(code)
    return "undelivered" if row and row.outcome == "undelivered" else "failed"


def as_markdown() -> str:
    """The table for `docs/emulator.md`."""
    lines = ["| code | where it arrives | message | cause here | how sure |", "|---|---|---|---|---|"]
    for row in CODES.values():
        where = f"response, HTTP {row.outcome}" if row.refuses else f"callback, `{row.outcome}`"
        where = "Debugger" if row.outcome == DEBUGGER else where
        lines.append(f"| {row.code} | {where} | {row.message} | {row.cause} | {row.certainty} |")
    return "\n".join(lines)
