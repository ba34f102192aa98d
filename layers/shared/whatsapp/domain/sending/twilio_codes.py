"""What each Twilio error code means for us: one row a code. `docs/codes.md` is generated from this table.

Sources: Twilio's error dictionary (www.twilio.com/docs/api/errors/CODE) and its WhatsApp FAQ. The classes are ours.
"""

from dataclasses import dataclass
from enum import StrEnum

from whatsapp.domain import periods


class Action(StrEnum):
    """What the send path does on a code."""

    RETRY = "retry"
    """Certainly not sent and likely to pass: up to three counted attempts."""
    WAIT = "wait"
    """Certainly not sent, and it will pass: wait, not counted, until the message expires or for 4 h. The row's audience
    is alerted from the second refusal on."""
    FAIL = "fail"
    """The message can never go as it is."""
    FALL_BACK = "fall back"
    """Outside the window: go on once with the approved template."""


class Audience(StrEnum):
    """Who is alerted."""

    NOBODY = "nobody"
    OPERATOR = "operator"
    """The person on call."""
    AUTHORS = "authors"
    """Those who word the templates."""
    DEVELOPERS = "developers"
    """A request that we should not have made."""


@dataclass(frozen=True, slots=True)
class Row:
    """One code: what we do, which error the caller sees, whether the contact is suppressed, who is alerted."""

    code: int
    action: Action
    error: str
    meaning: str
    alert: Audience = Audience.NOBODY
    suppress: bool = False
    """Proof that this address cannot be reached: no further sends until the patient writes or someone lifts it."""
    lapses: int | None = None
    """For how long it suppresses (ms), where the cause may pass by itself; None: until someone lifts it."""
    template_status: str | None = None
    """What the code proves about the template: it stops serving at once, until the next sync knows better."""

    @property
    def retryable(self) -> bool:
        """Whether the caller may hope that the same request succeeds later."""
        return self.action in (Action.RETRY, Action.WAIT)


def _account(code: int, meaning: str) -> Row:
    return Row(code, Action.WAIT, "account_problem", meaning, Audience.OPERATOR)


def _recipient(code: int, error: str, meaning: str, *, suppress: bool = True, lapses: int | None = None) -> Row:
    return Row(code, Action.FAIL, error, meaning, suppress=suppress, lapses=lapses)


def _request(code: int, meaning: str, error: str = "invalid_request") -> Row:
    return Row(code, Action.FAIL, error, meaning, Audience.DEVELOPERS)


def _template(code: int, meaning: str, error: str = "template_not_approved", status: str | None = None) -> Row:
    return Row(code, Action.FAIL, error, meaning, Audience.AUTHORS, template_status=status)


def _throttle(code: int, meaning: str, alert: Audience = Audience.NOBODY) -> Row:
    return Row(code, Action.WAIT, "throttled", meaning, alert)


def _transient(code: int, meaning: str) -> Row:
    return Row(code, Action.RETRY, "twilio_unavailable", meaning)


def _channel(code: int, meaning: str) -> Row:
    return Row(code, Action.FAIL, "account_problem", meaning, Audience.OPERATOR)


_ROWS = (
    # Our account, sender or set-up is broken.
    _account(20003, "authentication failed: check the credentials in the Twilio secret"),
    _account(20005, "the account is not active"),
    _account(90010, "the account is not active"),
    _account(30002, "the account is suspended"),
    _account(63001, "the channel could not authenticate"),
    _account(63002, "the channel could not find the From address"),
    _account(63007, "Twilio finds no channel with this From address"),
    _account(63008, "the channel module is misconfigured"),
    _account(63020, "Meta's invitation to the WhatsApp Business account is not accepted"),
    _account(63022, "the phone number's certificate is invalid"),
    _account(63051, "the WhatsApp Business account or sender is locked"),
    _account(21212, "the From number is invalid"),
    _account(21606, "the From number cannot send messages"),
    _account(21657, "the From address is not valid for this channel"),
    _account(21701, "the Messaging Service does not exist"),
    _account(21702, "the Messaging Service cannot be used"),
    _account(21703, "the Messaging Service has no senders"),
    _account(21704, "the Messaging Service has no senders of the right kind"),
    _account(21705, "the Messaging Service is invalid"),
    # This recipient cannot be reached.
    _recipient(21211, "invalid_address", "the To number is invalid"),
    _recipient(21610, "opted_out", "the recipient opted out at Twilio"),
    _recipient(21614, "invalid_address", "the To number is not a mobile number"),
    _recipient(30003, "not_on_whatsapp", "the handset is unreachable", suppress=False),
    _recipient(30004, "blocked", "the recipient blocked the message"),
    _recipient(30005, "not_on_whatsapp", "unknown destination", lapses=periods.NOT_ON_WHATSAPP),
    _recipient(30006, "not_on_whatsapp", "landline or unreachable carrier", lapses=periods.NOT_ON_WHATSAPP),
    _recipient(63003, "not_on_whatsapp", "the channel cannot find the To address", lapses=periods.NOT_ON_WHATSAPP),
    _recipient(63014, "blocked", "the recipient blocked us or withdrew consent"),
    _recipient(63015, "not_on_whatsapp", "the recipient has not joined the sandbox", suppress=False),
    _recipient(63024, "not_on_whatsapp", "invalid recipient", lapses=periods.NOT_ON_WHATSAPP),
    _recipient(63031, "invalid_address", "From and To are the same", suppress=False),
    _recipient(63032, "not_on_whatsapp", "WhatsApp's limits forbid sending to this user", suppress=False),
    _recipient(63033, "blocked", "the recipient blocked the sender"),
    _channel(21408, "sending to this region is not enabled"),
    _channel(21608, "trial accounts send to verified numbers only"),
    # We asked for something that cannot be.
    _request(20404, "the resource does not exist"),
    _request(20422, "a parameter is invalid"),
    _request(21602, "the message has no body"),
    _request(21603, "the message has no From"),
    _request(21604, "the message has no To"),
    _request(21609, "the status callback URL is invalid"),
    _request(21617, "the body is longer than 1600 characters"),
    _request(21620, "the media URL is invalid"),
    _request(21623, "too many media"),
    _request(21658, "a parameter is too long"),
    _request(21910, "From and To are not of the same channel"),
    _request(11751, "the media are too large"),
    _request(63005, "the channel did not accept the content"),
    _request(63006, "the channel could not format the content"),
    _request(63011, "the channel found the request invalid"),
    _request(63013, "the message violates the channel's policy (more than four spaces in a variable do)"),
    _request(63019, "the media could not be downloaded"),
    _request(63021, "the channel found the content invalid"),
    _request(63025, "the media already exist"),
    _request(63026, "the message was flagged as spam"),
    _request(63030, "a parameter is not supported"),
    _request(63034, "the media are too large"),
    # The template is at fault.
    Row(63016, Action.FALL_BACK, "window_closed", "free-form text outside the 24-hour window"),
    _template(21654, "a ContentSid is required"),
    _template(21655, "Twilio has no such ContentSid", status="missing"),
    _template(21656, "the ContentVariables are invalid", "invalid_variables"),
    _template(63027, "WhatsApp knows no such template in this language", status="missing"),
    _template(63028, "the number of variables does not match the template", "invalid_variables"),
    _template(63029, "the template's format does not match"),
    _template(63040, "WhatsApp rejected the template", status="rejected"),
    Row(
        63041,
        Action.WAIT,
        "template_not_approved",
        "WhatsApp paused the template",
        Audience.AUTHORS,
        template_status="paused",
    ),
    _template(63042, "WhatsApp disabled the template", status="disabled"),
    _template(63043, "the template's sample media could not be fetched (403)"),
    _template(63044, "the template's sample media could not be fetched (404)"),
    _template(63045, "the template's sample media could not be fetched"),
    Row(63046, Action.FAIL, "unknown_error", "a notice that WhatsApp approved a template; no send should get it"),
    _template(63047, "the template's sample media have a wrong Content-Type"),
    # Too fast.
    _throttle(14107, "the rate limit was exceeded"),
    _throttle(20429, "too many requests"),
    _throttle(21611, "the sender's queue is full"),
    _throttle(30001, "the queue overflowed"),
    _throttle(63017, "the account's rate limit was exceeded"),
    _throttle(63018, "Meta's messaging limit for 24 hours is reached", Audience.OPERATOR),
    _throttle(63038, "the account's daily message limit is reached", Audience.OPERATOR),
    # Marketing.
    Row(
        63049,
        Action.FAIL,
        "marketing_limit",
        "Meta limits marketing messages to this user: is the category UTILITY?",
        Audience.AUTHORS,
    ),
    Row(63062, Action.FAIL, "account_problem", "Meta's marketing terms are not accepted", Audience.OPERATOR),
    # It may pass.
    _transient(20500, "Twilio had an internal error"),
    _transient(20503, "Twilio is unavailable"),
    _transient(30008, "unknown error at the carrier"),
    _transient(30017, "the carrier's network is congested"),
    _transient(30020, "the carrier's gateway failed"),
    _transient(30021, "the carrier's gateway failed"),
    _transient(63009, "the channel returned an error"),
    _transient(63010, "the channel had an internal error"),
    _transient(63012, "the channel had an internal error"),
    _transient(63023, "the channel had an internal error"),
    _transient(63037, "the channel did not answer in time"),
    # It may have been sent: never tried again by us.
    Row(30410, Action.FAIL, "twilio_unavailable", "the provider timed out (may have been sent)", Audience.OPERATOR),
    # Codes of other channels: our sender is set up wrongly if one comes.
    _channel(30007, "a carrier filtered the message"),
    _channel(63035, "an RCS code"),
    _channel(63036, "an RCS code"),
    _channel(63039, "a Messenger code"),
)

ROWS = {row.code: row for row in _ROWS}


def row_for(code: int | None) -> Row:
    """The row of a code; an unknown one is never retried and always alerted, since Twilio adds codes without notice."""
    return ROWS.get(code or 0) or Row(
        code or 0, Action.FAIL, "unknown_error", "a code that this version does not know", Audience.OPERATOR
    )
