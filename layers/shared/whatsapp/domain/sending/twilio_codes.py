"""What each Twilio error code means for us: one row a code. `docs/codes.md` is generated from this table.

Source of each: its page in Twilio's error dictionary (`Row.source`), and Twilio's WhatsApp FAQ. The classes are ours.
There is a row for every code of the dictionary that a send can meet: those of the API as a whole, of accounts, of
messages and of WhatsApp. What is about setting up (senders, registrations, shortened links) is a family.
"""

from enum import StrEnum

from whatsapp.domain import periods
from whatsapp.domain.dataclass import dataclass


class Action(StrEnum):
    """What the send path does on a code."""

    RETRY = "retry"
    """Certainly not sent and likely to pass: up to three counted attempts."""
    WAIT = "wait"
    """Certainly not sent, and it will pass: wait, not counted, until the message expires or for 4 h. The row's audience
    is alerted from the second refusal on. Where it is the sender's limit (`Binds`): until the message expires, and
    they are alerted at once."""
    FAIL = "fail"
    """The message can never go as it is."""
    FALL_BACK = "fall back"
    """Outside the window: go on once with the approved template."""


class Binds(StrEnum):
    """What the limit behind a code binds, besides the message that met it."""

    NOTHING = "nothing"
    EVERYTHING = "everything"
    """The account, or the sender: the POST itself is refused."""
    OUTSIDE_WINDOW = "what goes outside the window"
    """Meta counts only whom we write to outside their 24-hour window (developers.facebook.com, messaging limits)."""


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
    binds: Binds = Binds.NOTHING
    """A limit of our sender's: what it binds waits with it (`domain/sending/throttle.py`)."""

    @property
    def retryable(self) -> bool:
        """Whether the caller may hope that the same request succeeds later."""
        return self.action in (Action.RETRY, Action.WAIT)

    @property
    def can_be_redriven(self) -> bool:
        """Whether an operator can mend the cause. Then a message that it failed is a dead letter, to redrive."""
        return self.action is Action.FAIL and self.alert is Audience.OPERATOR and self.error in REPAIRABLE

    @property
    def source(self) -> str:
        """Twilio's page about the code."""
        return f"https://www.twilio.com/docs/api/errors/{self.code}"


INVALID_TO = 21211
"""Also the answer to a business-scoped id, where Twilio takes none: `after_post.refuses_ids`."""
REPAIRABLE = frozenset({"account_problem", "throttled", "unknown_error"})
"""Errors of refusals whose cause an operator can mend, or that passes: certainly nothing was sent."""


def _account(code: int, meaning: str) -> Row:
    return Row(code, Action.WAIT, "account_problem", meaning, Audience.OPERATOR)


def _recipient(code: int, error: str, meaning: str, *, suppress: bool = True, lapses: int | None = None) -> Row:
    return Row(code, Action.FAIL, error, meaning, suppress=suppress, lapses=lapses)


def _request(code: int, meaning: str, error: str = "invalid_request") -> Row:
    return Row(code, Action.FAIL, error, meaning, Audience.DEVELOPERS)


def _template(code: int, meaning: str, error: str = "template_not_approved", status: str | None = None) -> Row:
    return Row(code, Action.FAIL, error, meaning, Audience.AUTHORS, template_status=status)


def _throttle(code: int, meaning: str, alert: Audience = Audience.NOBODY, binds: Binds = Binds.NOTHING) -> Row:
    return Row(code, Action.WAIT, "throttled", meaning, alert, binds=binds)


def _transient(code: int, meaning: str) -> Row:
    return Row(code, Action.RETRY, "twilio_unavailable", meaning)


def _channel(code: int, meaning: str) -> Row:
    return Row(code, Action.FAIL, "account_problem", meaning, Audience.OPERATOR)


_ROWS = (
    # Our account, sender or set-up is broken.
    _account(20003, "authentication failed: check the credentials in the Twilio secret"),
    _account(20005, "the account is not active"),
    _account(20006, "access is denied"),
    _account(20008, "test credentials cannot do this"),
    _account(20010, "Twilio disabled this for the account"),
    _account(20011, "Twilio does not accept our version of TLS"),
    _account(20012, "Twilio does not accept our TLS cipher"),
    _account(20151, "authentication failed"),
    _account(20403, "the account or its key may not do this"),
    _account(20426, "Twilio wants another version of the protocol"),
    _account(21210, "the From number is not verified"),
    _account(21212, "the From number is invalid"),
    _account(21264, "the From number is not verified"),
    _account(21267, "trial accounts have no alphanumeric senders"),
    _account(21470, "the AccountSid is invalid"),
    _account(21471, "the account does not exist"),
    _account(21472, "the account is not active"),
    _account(21601, "the From number is not the account's, or cannot send messages"),
    _account(21606, "the From number cannot send messages"),
    _account(21613, "the From number needs certification"),
    _account(21616, "the From number is several numbers of the account"),
    _account(21621, "the From number cannot send media"),
    _account(21622, "the account cannot send media"),
    _account(21631, "the From number needs an address"),
    _account(21657, "the From address is not valid for this channel"),
    _account(21659, "the From number is not Twilio's"),
    _account(21660, "the From number is not the account's"),
    _account(21661, "the From number cannot send messages"),
    _account(21662, "this sender cannot be used in the region of the request"),
    _account(21663, "the From number's routing between regions is wrong"),
    _account(21668, "this kind of number cannot send in the region of the request"),
    _account(21701, "the Messaging Service does not exist"),
    _account(21702, "the Messaging Service cannot be used"),
    _account(21703, "the Messaging Service has no senders"),
    _account(21704, "the Messaging Service has no senders of the right kind"),
    _account(21705, "the Messaging Service is invalid"),
    _account(30002, "the account is suspended"),
    _account(30028, "the API version is invalid"),
    _account(30037, "Twilio disabled the account's outbound messages"),
    _account(63001, "the channel could not authenticate"),
    _account(63002, "the channel could not find the From address"),
    _account(63007, "Twilio finds no channel with this From address"),
    _account(63008, "the channel module is misconfigured"),
    _account(63020, "Meta's invitation to the WhatsApp Business account is not accepted"),
    _account(63022, "the phone number's certificate is invalid"),
    _account(63051, "the WhatsApp Business account or sender is locked"),
    _account(63056, "Meta does not let this kind of account send"),
    _account(63058, "Meta restricts the business from writing to this country"),
    _account(63059, "the sender's number moved to another WhatsApp Business account"),
    _account(63109, "the sender moved to another Twilio account"),
    _account(63111, "Meta does not find the sender's number or its WhatsApp Business account"),
    _account(63112, "Meta disabled the WhatsApp Business account"),
    _account(63120, "Meta locked the business account"),
    _account(70051, "authorization failed"),
    _account(70052, "the account demands signed requests (public key client validation)"),
    _account(77701, "the account is not ready for messages"),
    _account(90010, "the account is not active"),
    # This recipient cannot be reached.
    _recipient(INVALID_TO, "invalid_address", "the To number is invalid"),
    _recipient(21214, "not_on_whatsapp", "the To number cannot be reached", suppress=False),
    _recipient(21217, "invalid_address", "the To number does not appear to be valid", suppress=False),
    _recipient(21265, "invalid_address", "the To number is a short code"),
    _recipient(21266, "invalid_address", "From and To are the same", suppress=False),
    _recipient(21268, "invalid_address", "the To number is a premium or information service"),
    _recipient(21610, "opted_out", "the recipient opted out at Twilio"),
    Row(21612, Action.FAIL, "not_on_whatsapp", "this sender cannot reach the To number", Audience.OPERATOR),
    _recipient(21614, "invalid_address", "the To number is not a mobile number"),
    _recipient(21635, "invalid_address", "the To number is a landline"),
    _recipient(30014, "invalid_address", "the To address has invalid attributes", suppress=False),
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
    _channel(21219, "trial accounts send to verified numbers only"),
    _channel(21607, "trial accounts send from the sandbox's number only"),
    _channel(21608, "trial accounts send to verified numbers only"),
    _channel(30044, "trial accounts send short messages only"),
    _channel(30450, "Twilio's protection against fraud blocked the message"),
    _channel(572006, "trial accounts send predefined messages only"),
    # We asked for something that cannot be.
    _request(20001, "a parameter is unknown or cannot be read"),
    _request(20004, "the resource has no such method"),
    _request(20404, "the resource does not exist"),
    _request(20410, "the resource is gone"),
    _request(20412, "a precondition of the request does not hold"),
    _request(20413, "the request is too large"),
    _request(20422, "a parameter is invalid"),
    _request(20423, "a sid is invalid"),
    _request(21205, "a URL is invalid"),
    _request(21420, "the ApplicationSid cannot be used"),
    _request(21602, "the message has no body"),
    _request(21603, "the message has no From"),
    _request(21604, "the message has no To"),
    _request(21605, "the body is longer than 160 characters (an old endpoint)"),
    _request(21609, "the status callback URL is invalid"),
    _request(21617, "the body is longer than 1600 characters"),
    _request(21618, "the body cannot be sent"),
    _request(21619, "the message has neither body, media nor ContentSid"),
    _request(21620, "the media URL is invalid"),
    _request(21623, "too many media"),
    _request(21624, "the validity period is invalid"),
    _request(21626, "the status callback's events are invalid"),
    _request(21627, "the highest price is no number"),
    _request(21652, "the subject is longer than 40 characters"),
    _request(21653, "too many recipients"),
    _request(21658, "a parameter is too long"),
    _request(21664, "a FallbackFrom does not go with a From"),
    _request(21665, "the FallbackFrom is invalid"),
    _request(21666, "a FallbackFrom needs a Messaging Service"),
    _request(21667, "a FallbackFrom needs an RCS sender"),
    _request(21900, "the DLT entity id is invalid (SMS in India)"),
    _request(21901, "the DLT template id is invalid (SMS in India)"),
    _request(21902, "the invoice tag is too long"),
    _request(30010, "the message costs more than the highest price allows"),
    _request(30012, "the time to live is too short"),
    _request(30013, "the time to live is too long"),
    _request(30015, "the channel type is not supported"),
    _request(30016, "From and To are of different channels"),
    _request(30019, "the content is larger than the carrier takes"),
    _request(30029, "ContentRetention is invalid"),
    _request(30030, "AddressRetention is invalid"),
    _request(30031, "MaxRate is invalid"),
    _request(30039, "filtered, to stop two machines from answering each other for ever"),
    _request(30045, "the validity period is out of range"),
    _request(30400, "parameters are invalid"),
    _request(30404, "the message does not exist"),
    _request(30409, "the message cannot be canceled"),
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
    Row(63052, Action.FAIL, "unknown_error", "a notice that a template is of the old kind; no send should get it"),
    Row(63053, Action.WAIT, "template_not_approved", "the template is not yet known everywhere (up to 10 minutes)"),
    _template(63054, "Meta does not let the account use the template"),
    _template(63055, "the way to send takes templates of the category MARKETING only"),
    # Too fast.
    _throttle(14107, "the rate limit was exceeded"),
    _throttle(20429, "too many requests", binds=Binds.EVERYTHING),
    _throttle(21611, "the sender's queue is full", binds=Binds.EVERYTHING),
    _throttle(30001, "the queue overflowed", binds=Binds.EVERYTHING),
    _throttle(30022, "the carriers' rate limit was exceeded (SMS in the USA)"),
    _throttle(30023, "the carriers' daily limit is reached (SMS in the USA)", Audience.OPERATOR),
    _throttle(30027, "a carrier's daily limit is reached (SMS in the USA)", Audience.OPERATOR),
    _throttle(30454, "the account's message limit is reached", Audience.OPERATOR, Binds.EVERYTHING),
    _throttle(63017, "the account's rate limit was exceeded", binds=Binds.EVERYTHING),
    _throttle(63018, "Meta's messaging limit for 24 hours is reached", Audience.OPERATOR, Binds.OUTSIDE_WINDOW),
    _throttle(63038, "the account's daily message limit is reached", Audience.OPERATOR, Binds.EVERYTHING),
    _throttle(63057, "templates were submitted too fast"),
    _throttle(63119, "Meta's rate limit was exceeded"),
    # Marketing.
    Row(
        63049,
        Action.FAIL,
        "marketing_limit",
        "Meta limits marketing messages to this user: is the category UTILITY?",
        Audience.AUTHORS,
    ),
    Row(
        63050,
        Action.FAIL,
        "marketing_limit",
        "the patient wants no marketing messages: is the category UTILITY?",
        Audience.AUTHORS,
    ),
    Row(63062, Action.FAIL, "account_problem", "Meta's marketing terms are not accepted", Audience.OPERATOR),
    # It may pass.
    _transient(20500, "Twilio had an internal error"),
    _transient(20409, "another request was changing the same resource"),
    _transient(20503, "Twilio is unavailable"),
    _transient(20504, "Twilio had an internal error"),
    _transient(30008, "unknown error at the carrier"),
    _transient(30017, "the carrier's network is congested"),
    _transient(30020, "Twilio's scheduling failed"),
    _transient(30021, "Twilio's Messaging Service failed"),
    _transient(30036, "it waited in Twilio's queue for longer than its validity period"),
    _transient(63009, "the channel returned an error"),
    _transient(63010, "the channel had an internal error"),
    _transient(63012, "the channel had an internal error"),
    _transient(63023, "the channel had an internal error"),
    _transient(63037, "the channel did not answer in time"),
    _transient(63117, "a service that Twilio needs is unavailable"),
    # It may have been sent: never tried again by us.
    Row(30410, Action.FAIL, "twilio_unavailable", "the provider timed out (may have been sent)", Audience.OPERATOR),
    Row(30046, Action.FAIL, "twilio_unavailable", "delivery was not confirmed (may have been sent)", Audience.OPERATOR),
    Row(30453, Action.FAIL, "twilio_unavailable", "it could not be delivered, for no reason given", Audience.OPERATOR),
    # Codes of other channels: our sender is set up wrongly if one comes.
    _channel(30007, "a carrier filtered the message"),
    _channel(30009, "a part of an incoming SMS is missing"),
    _channel(30011, "the number's region takes no MMS"),
    _channel(30018, "the carrier wants the sender registered"),
    _channel(30024, "the carrier does not know the sender"),
    _channel(30025, "half of a carrier's daily limit is used (SMS in the USA)"),
    _channel(30026, "70 % of a carrier's daily limit is used (SMS in the USA)"),
    _channel(30032, "the toll-free number is not verified"),
    _channel(30033, "the campaign is suspended (SMS in the USA)"),
    _channel(30034, "the number is not registered (SMS in the USA)"),
    _channel(30035, "the number is still being set up (SMS in the USA)"),
    _channel(30038, "an SMS with a one-time password was filtered"),
    _channel(30040, "the carrier wants the sender registered"),
    _channel(30041, "the sender is restricted, or not registered in the country"),
    _channel(30042, "the alphanumeric sender is not the account's"),
    _channel(30043, "an international SMS went through a domestic gateway"),
    _channel(63035, "an RCS code"),
    _channel(63036, "an RCS code"),
    _channel(63039, "a Messenger code"),
)

ROWS = {row.code: row for row in _ROWS}


_UNKNOWN = "a code that this version does not know"
FAMILIES = (
    (range(20000, 21000), "the API as a whole, or the account's keys"),
    (range(21700, 21800), "the Messaging Service, or a registration in the USA"),
    (range(30100, 30200), "shortened links"),
    (range(30400, 31000), "a registration in the USA"),
    (range(63100, 63200), "the set-up of the WhatsApp sender"),
    (range(70000, 71000), "the account's keys"),
    (range(90000, 91000), "the account"),
)
"""Codes without a row whose number shows the cause: the account or its settings, never one message."""
_STATUS_ROWS = {401: 20003, 403: 20003, 429: 20429}
"""What an HTTP status means where Twilio gave no code of its own."""


def row_for(code: int | None, http_status: int | None = None) -> Row:
    """The row of a code. `http_status`: of the answer that it came in.

    Twilio adds codes without notice. An unknown one that strikes the whole account is waited out, as every such cause
    is, by the HTTP status or the code's family. Any other is not tried again. Both alert the operator.
    """
    if code is None:
        code = _STATUS_ROWS.get(http_status or 0, 0)
    if row := ROWS.get(code):
        return row
    if http_status == 429:
        return _throttle(code, _UNKNOWN, Audience.OPERATOR)
    if http_status in _STATUS_ROWS:
        return _account(code, f"{_UNKNOWN}, with HTTP {http_status}")
    if family := next((about for codes, about in FAMILIES if code in codes), None):
        return _account(code, f"{_UNKNOWN}, about {family}")
    return Row(code, Action.FAIL, "unknown_error", _UNKNOWN, Audience.OPERATOR)
